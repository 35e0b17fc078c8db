"""Columns of the parts of one step: the gates in the order of the code, operators near what they read.

Another order of the gates is taken if it has fewer crossings. A hill climb over columns lowers an
estimate of the cost: crossings and wires through parts, then order, length and width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from .fold import GATELIKE, Drawn, Part
from .rows import Rows
from .sketch import path, sketched

BUDGET = 400  # arrangements tried per start: about 0.1 s


@dataclass
class Plan:
    """Where everything stands: rows by number from below, columns from the left."""

    row: dict[str, int]  # of parts, and of "s0", "x0", "y0": state lines, inputs, outputs
    columns: list[dict[int, str]]  # each: row -> part
    highway: tuple[bool, ...]  # per state line: whether it runs on top
    n_rows: int

    def where(self) -> dict[str, tuple[int, int]]:
        """(column, row) of each part."""
        return {key: (c, r) for c, column in enumerate(self.columns) for r, key in column.items()}


def place(drawn: Drawn, n: int = 1, coarse: Drawn | None = None) -> list[Plan]:
    """The n best arrangements found, best first.

    coarse: the same step at a coarser level; then its arrangement is kept, and each box opened in place.
    """
    rows = Rows(drawn)
    if coarse is None:
        return _Columns(drawn, rows).best(n)
    return [
        Plan(rows.row, _opened(drawn, rows, coarse, plan.columns), rows.top, rows.n_rows)
        for plan in _Columns(coarse, Rows(coarse)).best(n)
    ]


def _opened(drawn: Drawn, rows: Rows, coarse: Drawn, columns: list[dict[int, str]]) -> list[dict[int, str]]:
    """The columns with each box replaced by the tree of operations folded into it."""
    out: list[dict[int, str]] = []
    placed: set[str] = set()
    for column in columns:
        block: list[dict[int, str]] = []
        for key in column.values():
            part = coarse.parts.get(key)
            inner = {f"n{i}" for i in part.members} & set(drawn.parts) - placed - {key} if part else set()
            _grow(drawn, rows, key, inner, block, placed)
        out += block or [{}]
    return out


def _grow(
    drawn: Drawn, rows: Rows, key: str, inner: set[str], block: list[dict[int, str]], placed: set[str]
) -> None:
    """Add a part and what is folded into it: what it reads side by side, and itself above the last."""
    if key in placed or (key not in rows.row):
        return
    placed.add(key)
    part = drawn.parts.get(key)
    for s in part.sources if part else ():
        if s in inner:
            _grow(drawn, rows, s, inner, block, placed)
    r = rows.row[key]
    has_inner = bool(part) and any(s in inner for s in part.sources)
    if (
        not block
        or r in block[-1]
        or (key in inner and not has_inner and any(k in inner for k in block[-1].values()))
    ):
        block.append({})
    block[-1][r] = key


class _Columns:
    def __init__(self, drawn: Drawn, rows: Rows) -> None:
        self.drawn, self.rows, self.parts, self.row = drawn, rows, drawn.parts, rows.row
        self.code = {k: i for i, k in enumerate(self.parts)}
        self.edges = [(s, k) for k, p in self.parts.items() for s in p.sources]

    def best(self, n: int = 1) -> list[Plan]:
        """The n cheapest arrangements found by climbing from several starts."""
        found = {}
        for columns in self._starts():
            columns = self._improve(columns)
            found[str(columns)] = (self.cost(columns), columns)
        order = sorted(found.values(), key=lambda f: f[0])
        return [Plan(self.row, columns, self.rows.top, self.rows.n_rows) for _, columns in order[:n]]

    def _starts(self) -> list[list[dict[int, str]]]:
        """Arrangements to climb from: the gates in the order of the code, and in the best other orders."""
        row = [
            k
            for k, p in self.parts.items()
            if self.row[k] == self.rows.gate_row and k not in self.rows.readout
        ]
        orders = permutations(row) if len(row) <= 5 else [row]
        built = [self._construct(list(order)) for order in orders]
        return [built[0], *sorted(built[1:], key=self.cost)[:3]]

    def _construct(self, row: list[str]) -> list[dict[int, str]]:
        columns: list[dict[int, str]] = [{0: f"x{i}"} for i in range(self.drawn.inputs)] or [{}]
        columns[0] |= {self.row[k]: k for k, p in self.parts.items() if p.kind == "joint"}
        columns += [{self.row[k]: k} for k in row]
        rest = [k for k, p in self.parts.items() if p.kind != "joint" and k not in row]
        ordered = [k for k in rest if self.row[k] > self.rows.gate_row]
        ordered += sorted((k for k in rest if self.row[k] < self.rows.gate_row), key=lambda k: -self.row[k])
        for k in ordered:
            at = {key: c for c, column in enumerate(columns) for key in column.values()}
            below = self.row[k] < self.rows.gate_row
            near = self.rows.readers[k] if below else self.parts[k].sources
            cols = [at[s] for s in near if s in at]
            c = max(cols, default=len(columns) - 1)
            path = next((p for p in self.rows.highways if p and k in p), [])
            floor = max([at[s] for s in path if s in at], default=-1)
            if c <= floor or self.row[k] in columns[c] or c < max(1, self.drawn.inputs):
                c = max(c, floor) + (0 if below and c > self.drawn.inputs else 1)
                columns.insert(c, {})
            elif k in self.rows.late and not any(key in self.rows.late for key in columns[c].values()):
                c = len(columns)
                columns.append({})
            columns[c][self.row[k]] = k
        for i, s in enumerate(self.drawn.outputs):
            columns[next((c for c, col in enumerate(columns) if s in col.values()), -1)][
                self.row[f"y{i}"]
            ] = f"y{i}"
        return columns

    def _improve(self, columns: list[dict[int, str]]) -> list[dict[int, str]]:
        """Better neighbours until there is none, or BUDGET arrangements were tried."""
        cost, best, left = self.cost(columns), columns, BUDGET
        while left > 0:
            start = cost
            for trial in self._moves(best):
                left -= 1
                if left < 0:
                    return best
                if (c := self.cost(trial)) < cost - 1e-9:
                    cost, best = c, trial
            if cost == start:
                break
        return best

    def _moves(self, columns: list[dict[int, str]]) -> Iterator[list[dict[int, str]]]:
        """Neighbouring arrangements: columns moved, a part in another column or in a new one."""
        n, first = len(columns), max(1, self.drawn.inputs)
        for i in range(first, n):
            for j in range(first, n):
                if i != j:
                    trial = list(columns)
                    trial.insert(j, trial.pop(i))
                    yield trial
        where = {key: c for c, column in enumerate(columns) for key in column.values()}
        for key, c in where.items():
            r = self.row[key]
            if key[0] in "xj" or (len(columns[c]) == 1 and r == self.rows.gate_row):
                continue
            for d in range(first, n):
                if r not in columns[d]:
                    yield _moved(columns, key, r, c, d, False)
                yield _moved(columns, key, r, c, d, True)
            yield _moved(columns, key, r, c, n, True)

    def cost(self, columns: list[dict[int, str]]) -> float:
        """Estimate: 10 a crossing, 30 a wire through a part, then order, length and width."""
        at = {
            key: (float(c), float(self.row[key]))
            for c, column in enumerate(columns)
            for key in column.values()
        }
        at |= {f"s{k}": (-1.0, float(self.row[f"s{k}"])) for k in range(len(self.drawn.leaving))}
        ends: list[tuple[str, tuple, Part | None]] = [(s, at[k], self.parts[k]) for s, k in self.edges]
        ends += [(s, at[f"y{i}"], None) for i, s in enumerate(self.drawn.outputs)]
        nets = {key: i for i, key in enumerate(at)}
        wires = [self._ways(nets[s], at[s], b, s, sink) for s, b, sink in ends]
        wires += [
            self._leave(nets[s], at[s], (float(len(columns)), at[f"s{k}"][1]))
            for k, s in enumerate(self.drawn.leaving) if s is not None
        ]  # fmt: skip
        back = sum(self._backward(s, k, at) for s, k in self.edges)
        gates = [
            self.code[k]
            for column in columns
            for r, k in column.items()
            if r == self.rows.gate_row and k in self.code
        ]
        turned = sum(a > b for i, a in enumerate(gates) for b in gates[i + 1 :])
        return sketched(columns, wires) + back + 0.3 * turned + len(columns)

    def _backward(self, s: str, k: str, at: dict) -> float:
        """Penalty for a wire against the reading direction, on a line or among the gates."""
        (a, ra), (b, rb) = at[s], at[k]
        late = s in self.rows.line and k in self.rows.late and b < a
        return 40.0 * (a > b) if ra == rb else 3.0 * late

    def _ways(self, net: int, a: tuple, b: tuple, source: str, sink: Part | None) -> list[list]:
        """Ways to draw a wire, each a list of (net, x, y, x, y)."""
        (xa, ya), (xb, yb) = a, b
        d = 0.02 * (net % 9)
        enters_below = sink is not None and sink.kind in GATELIKE
        line = source[0] == "s"
        if ya == yb:
            ways = [path(net, a, b)]
            if ya == self.rows.gate_row and abs(xa - xb) > 1:  # over or under what stands between
                ways += [path(net, a, (xa, ya + h), (xb, yb + h), b) for h in (0.3 + d, -0.3 - d)]
            return ways
        if yb < ya:
            x = xb - 0.3 - d if enters_below else xb
            ways = [path(net, (xa, ya), (x, ya), (x, yb))]
            if line:  # down on the left, and along below the gates
                low = self.rows.gate_row - 0.6 - d if sink is None or sink.kind != "joint" else yb
                left = path(net, (xa, ya), (-0.5, ya), (-0.5, low), (xb + d, low))
                ways = [left if low == yb else [*left, *path(net, (xb + d, low), (xb + d, yb))]]
                ways += [] if low == yb else [path(net, (xa, ya), (x, ya), (x, yb))]
            elif sink is not None and sink.kind == "op":
                ways.append(path(net, (xa, ya), (xa, yb), (xb, yb)))
            return ways
        if line or source[0] == "j":
            return [path(net, (xa, ya), (xb + d, ya), (xb + d, yb))]
        over = ya + 0.3 + d
        across = path(
            net, (xa, ya), (xa, over), (xb + d * (source[0] == "x"), over), (xb + d * (source[0] == "x"), yb)
        )
        if xa == xb and source[0] != "x":
            return [path(net, (xa, ya), (xb, yb))]
        if enters_below or sink is None or source[0] == "x":
            return [across]
        return [path(net, (xa, ya), (xa, yb), (xb, yb)), across]

    def _leave(self, net: int, a: tuple, b: tuple) -> list[list]:
        (xa, ya), (xb, yb) = a, b
        if self.rows.gate_row == ya:
            return [path(net, a, (xb - 0.5, ya), (xb - 0.5, yb), b)]
        return [path(net, a, (xa, yb), b), path(net, a, (xb - 0.5, ya), (xb - 0.5, yb), b)]


def _moved(
    columns: list[dict[int, str]], key: str, r: int, c: int, d: int, new: bool
) -> list[dict[int, str]]:
    trial = [dict(column) for column in columns]
    del trial[c][r]
    if new:
        trial.insert(d, {r: key})
    else:
        trial[d][r] = key
    return [column for i, column in enumerate(trial) if column or i == 0]
