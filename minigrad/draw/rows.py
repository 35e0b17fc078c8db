"""Rows of the parts of one step, found from its graph.

From below: inputs, the lines of states that run below (a state without a highway), operators before
a gate, the gates, operators by their distance from the gates, the lines of states that run on top,
read-outs, outputs. A state has a highway if it reaches its new value through operators alone (C of an
LSTM); these operators stand on its line. What follows from a highway's end comes down on the right.
"""

from __future__ import annotations

from collections import defaultdict, deque

from .fold import GATELIKE, Drawn, Part


class Rows:
    """`row` of each part, and of inputs (x0), state lines (s0) and outputs (y0), counted from below."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn, self.parts = drawn, drawn.parts
        self.readers: dict[str, list[str]] = defaultdict(list)
        for key, p in self.parts.items():
            for s in p.sources:
                self.readers[s].append(key)
        self.highways = [self._highway(k) for k in range(len(drawn.leaving))]
        passing = [s == f"s{k}" for k, s in enumerate(drawn.leaving)]
        self.top = drawn.top or tuple(bool(h) or p for h, p in zip(self.highways, passing, strict=True))
        on_line = {key for path in self.highways for key in path}
        self.reaches = self._reaching({k for k in drawn.leaving if k in self.parts})
        ends = [key for key in drawn.leaving if key in self.parts]
        self.late = self._after([p[-1] for p in self.highways if p]) - on_line - self._reaching(on_line)
        after_states = self._after(ends)
        self.readout = {k for k in self.parts if k not in self.reaches and ends and k in after_states}
        self.late -= self.readout
        self.line = {key: k for k, path in enumerate(self.highways) for key in path}
        self._number(on_line)

    def _highway(self, k: int) -> list[str]:
        """The shortest way of state k to its new value through operators alone; [] if there is none."""
        end = self.drawn.leaving[k]
        queue: deque[list[str]] = deque([[f"s{k}"]])
        seen = set()
        while queue:
            path = queue.popleft()
            for key in self.readers[path[-1]]:
                if key in seen or not _is_carrying(self.parts[key]):
                    continue
                seen.add(key)
                if key == end:
                    return [*path[1:], key]
                queue.append([*path, key])
        return []

    def _after(self, starts: list[str]) -> set[str]:
        found, stack = set(), list(starts)
        while stack:
            for key in self.readers[stack.pop()]:
                if key not in found:
                    found.add(key)
                    stack.append(key)
        return found

    def _reaching(self, ends: set[str]) -> set[str]:
        found, stack = set(ends), list(ends)
        while stack:
            for s in self.parts[stack.pop()].sources:
                if s in self.parts and s not in found:
                    found.add(s)
                    stack.append(s)
        return found

    def _number(self, on_line: set[str]) -> None:
        """Row of each part: first relative to the gates (0), then counted from below."""
        parts = self.parts
        gatelike = {k for k, p in parts.items() if p.kind in GATELIKE and k not in self.readout}
        free = [
            k for k, p in parts.items() if k not in on_line and k not in self.readout and p.kind != "joint"
        ]
        before = self._before(gatelike, [k for k in free if k not in self.late])
        level: dict[str, int] = {}
        for k in free:  # parts are in the order of the code, so sources come first
            if k in gatelike:
                level[k] = 0
            elif k in before:
                level[k] = -before[k]
            elif k not in self.late:
                level[k] = self._above(level, parts[k].sources, gatelike)
        depth: dict[str, int] = {}
        for k in free:
            if k in self.late:
                depth[k] = 1 + max([depth.get(s, 0) for s in parts[k].sources], default=0)
        tall = max([*level.values(), *(d for k, d in depth.items() if k not in gatelike), 0])
        level |= {k: max(1, tall + 1 - d) for k, d in depth.items() if k not in gatelike}
        if not any(self.highways) and not on_line:
            tall = max([*level.values(), 0])
        for k in parts:
            if k in self.readout:
                level[k] = 1 + max(
                    [level.get(s, 0) for s in parts[k].sources if s in self.readout], default=0
                )
        self._stack(level, tall)

    @staticmethod
    def _above(level: dict[str, int], sources: tuple[str, ...], gatelike: set[str]) -> int:
        """Row of an operator over the gates: beside the one operator that it reads, if a gate is below."""
        below = [level[s] for s in sources if s in level and s not in gatelike]
        beside = len(below) == 1 and any(s in gatelike for s in sources)
        return max(1, max(below, default=0) + (0 if beside else 1))

    def _before(self, gatelike: set[str], free: list[str]) -> dict[str, int]:
        """Operators that feed a gate: 0 if they stand among the gates, else how far below them."""
        far: dict[str, int] = {}
        for k in reversed(free):
            ways = [0 if r in gatelike else far[r] for r in self.readers[k] if r in gatelike or r in far]
            if ways and k not in gatelike:
                far[k] = 1 + max(ways)
        among: set[str] = set()
        for k in free:
            p = self.parts[k]
            if k in far and p.label != "@" and all(s not in far or s in among for s in p.sources):
                if any(s in gatelike or s in among for s in p.sources):
                    among.add(k)
        return {k: 0 if k in among else d for k, d in far.items()}

    def _stack(self, level: dict[str, int], tall: int) -> None:
        low = min([*(v for k, v in level.items() if k not in self.readout), 0])
        below = [k for k, high in enumerate(self.top) if not high]
        top = [k for k, high in enumerate(self.top) if high]
        self.row: dict[str, int] = {f"x{i}": 0 for i in range(self.drawn.inputs)}
        self.row |= {f"s{k}": 1 + i for i, k in enumerate(reversed(below))}
        joints = [p for p in self.parts.values() if p.kind == "joint"]
        n_bus = max(len(below), 1 if joints else 0)
        gate_row = 1 + n_bus - low
        self.row |= {f"s{k}": gate_row + tall + 1 + i for i, k in enumerate(reversed(top))}
        for p in joints:
            rows = [self.row[s] for s in p.sources if s[0] == "s" and self.row[s] <= n_bus]
            self.row[p.key] = max(rows, default=1)
        up = gate_row + tall + len(top)
        for k, v in level.items():
            self.row[k] = (up if k in self.readout else gate_row) + v
        self.row |= {k: self.row[f"s{line}"] for k, line in self.line.items()}
        self.gate_row = gate_row
        last = max([up, *self.row.values()])
        self.row |= {f"y{i}": last + 1 for i in range(len(self.drawn.outputs))}
        self.n_rows = last + (2 if self.drawn.outputs else 1)


def _is_carrying(p: Part) -> bool:
    return p.kind == "op" and any(sign in p.label for sign in "+−×÷")
