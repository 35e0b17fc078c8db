"""Wires of one step: orthogonal paths between parts, found on a grid of tracks.

Every part covers grid points, every channel between rows and columns has tracks. A wire may cross
another one at a right angle and never runs on it, never touches a bend of it, and never enters a
part but its own ends; so what is drawn cannot be misread. Paths are cheapest ones (length, bends,
crossings); wires are ripped up and drawn again until nothing improves. A wire to several parts
branches from itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

RIGHT, UP, LEFT, DOWN = range(4)
BEND, CROSS, CROSS_TAP = 9.0, 70.0, 14.0
ATTEMPTS = 4
JUNCTION, BUS_JUNCTION = 3.0, 60.0  # a bus runs on straight, and branches off itself


@dataclass(frozen=True)
class Terminal:
    """What a wire may end at: points it covers, and the cost of entering and leaving each side."""

    points: tuple[tuple[int, int], ...]  # (column track, row track)
    enter: dict[int, float]  # direction of travel on arrival -> cost
    leave: dict[int, float]
    center: int = 0  # which of the points is preferred
    tap_left: int = 0  # a parameter arrives so many points to the left of it
    shift: float = 3.0  # cost of an upright wire per point away from the preferred one


@dataclass
class Wire:
    """One net: a source and its sinks; after routing, a path of grid points per sink."""

    key: str
    source: str
    sinks: list[str]
    tap: bool = False
    bus: bool = False
    paths: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


class NoRoute(ValueError):
    """The grid has too few tracks for these wires."""


class Grid:
    """Tracks at nominal coordinates, what stands on them, and the wires drawn so far."""

    def __init__(
        self, xs: list[float], ys: list[float], terminals: dict[str, Terminal], blocked: set[tuple[int, int]],
        kept: Mapping[tuple[int, int], str],
    ) -> None:  # fmt: skip
        """kept: points that only the wire from this source may use."""
        self.xs, self.ys, self.nx = xs, ys, len(xs)
        self.terminals = terminals
        self.step = (1, self.nx, -1, -self.nx)
        n = self.nx * len(ys)
        self.owner: list[str | None] = [None] * n
        for key, t in terminals.items():
            for x, y in t.points:
                self.owner[y * self.nx + x] = key
        for x, y in (*blocked, *kept):
            if self.owner[y * self.nx + x] is None:
                self.owner[y * self.nx + x] = ""
        self.kept = {y * self.nx + x: source for (x, y), source in kept.items()}
        self.edge: dict[tuple[int, int], int] = {}  # (lower point, 0 flat | 1 upright) -> wire
        self.mine: dict[int, set[tuple[int, int]]] = {}  # wire -> its edges
        self.used: list[dict[int, int]] = [{} for _ in range(n)]  # point -> {wire: bits of directions}
        self.gap = [self._gaps(i) for i in range(4)]

    def _gaps(self, d: int) -> list[float]:
        """Length of the move in direction d from each track."""
        c = self.xs if d in (RIGHT, LEFT) else self.ys
        if d in (RIGHT, UP):
            return [b - a for a, b in pairwise(c)] + [-1.0]
        return [-1.0] + [b - a for a, b in pairwise(c)]

    def route(self, wires: list[Wire], passes: int = 3) -> None:
        """Draw all wires, then each again given the others, until no cost falls. Raises NoRoute."""
        self.taps = [w.tap for w in wires]
        costs = self._draw_all(wires)
        for _ in range(passes):
            before = sum(costs)
            for i, w in enumerate(wires):
                self._erase(i)
                costs[i] = self._draw(i, w)
            if sum(costs) >= before - 1e-9:
                return

    def _draw_all(self, wires: list[Wire]) -> list[float]:
        """Draw each wire once; one that finds no way is drawn before the others, in a new attempt."""
        order, costs = list(range(len(wires))), [0.0] * len(wires)
        for attempt in range(ATTEMPTS):
            for i in order:
                try:
                    costs[i] = self._draw(i, wires[i])
                except NoRoute:
                    if attempt == ATTEMPTS - 1:
                        raise
                    order.remove(i)
                    order.insert(0, i)
                    self.edge.clear()
                    self.mine.clear()
                    for use in self.used:
                        use.clear()
                    break
            else:
                break
        return costs

    def _draw(self, i: int, w: Wire) -> float:
        w.paths, total = {}, 0.0
        tree: set[int] = set()
        for sink in self._nearest_first(w):
            cost, path = self._search(i, w, sink, tree)
            total += cost
            self._take(i, path)
            tree.update(path[1:-1])
            w.paths[sink] = [(p % self.nx, p // self.nx) for p in path]
        return total

    def _nearest_first(self, w: Wire) -> list[str]:
        def far(key: str) -> float:
            (a, b), (c, d) = self.terminals[w.source].points[0], self.terminals[key].points[0]
            return abs(self.xs[a] - self.xs[c]) + abs(self.ys[b] - self.ys[d])

        return sorted(w.sinks, key=far)

    def _erase(self, i: int) -> None:
        for e in self.mine.pop(i, ()):
            del self.edge[e]
            for p in (e[0], e[0] + self.step[e[1]]):
                self.used[p].pop(i, None)

    def _take(self, i: int, path: list[int]) -> None:
        for p, q in pairwise(path):
            d = self.step.index(q - p)
            self.edge[min(p, q), d & 1] = i
            self.mine.setdefault(i, set()).add((min(p, q), d & 1))
            self.used[p][i] = self.used[p].get(i, 0) | 1 << d
            self.used[q][i] = self.used[q].get(i, 0) | 1 << (d + 2) % 4

    def _starts(self, i: int, w: Wire, tree: set[int]) -> list[tuple[float, int, int]]:
        """(cost, point, direction) of each way to leave the source or the wire drawn so far."""
        if not tree:
            t = self.terminals[w.source]
            return [
                (c + t.shift * abs(k - t.center) * (d & 1), y * self.nx + x, d)
                for k, (x, y) in enumerate(t.points) for d, c in t.leave.items()
                if self.owner[y * self.nx + x + self.step[d]] != w.source
            ]  # fmt: skip
        free = [p for p in tree if len(self.used[p]) == 1 and self.owner[p] is None]
        # a branch that goes straight on is free
        turn = BUS_JUNCTION if w.bus else JUNCTION
        return [
            (turn * (1 - (self.used[p][i] >> (d + 2) % 4 & 1)), p, d)
            for p in free for d in range(4) if not self.used[p][i] >> d & 1
        ]  # fmt: skip

    def _search(self, i: int, w: Wire, sink: str, tree: set[int]) -> tuple[float, list[int]]:
        """Cheapest path from the source (or the wire so far) to the sink: A*, over points and directions."""
        end, nx, owner, used, step = self.terminals[sink], self.nx, self.owner, self.used, self.step
        aim = end.center - end.tap_left if w.tap else end.center
        into = {y * nx + x: end.shift * abs(k - aim) for k, (x, y) in enumerate(end.points)}
        rest = self._rest(end)
        price = CROSS_TAP if w.tap else CROSS
        best: dict[int, float] = {}  # by 4 * point + direction
        came: dict[int, int] = {}
        queue: list[tuple[float, float, int]] = []

        def push(at: int, before: int, c: float, after: float) -> None:
            if c < best.get(at, 1e18) - 1e-9:
                best[at], came[at] = c, before
                heapq.heappush(queue, (c + after, c, at))

        for c, p, d in self._starts(i, w, tree):
            push(4 * p + d, -1, c, rest(p, d))
        while queue:
            _, c, at = heapq.heappop(queue)
            if c > best[at]:
                continue
            p, d = at >> 2, at & 3
            if p in into and came[at] != -1:
                return c, self._back(came, at)
            length = self.gap[d][p // nx if d & 1 else p % nx]
            q = p + step[d]
            if length < 0 or self.edge.get((min(p, q), d & 1), i) != i or (q in tree):
                continue
            c += length
            if q in into:
                if d in end.enter:
                    push(4 * q + d, at, c + end.enter[d] + into[q] * (d & 1), 0.0)
                continue
            if owner[q] is not None and self.kept.get(q) != w.source:
                continue
            if straight := used[q]:
                upright = 0b0101 if d & 1 else 0b1010
                if any(bits != upright for bits in straight.values()):
                    continue
                c += sum((CROSS_TAP if w.tap else 0.5) if self.taps[j] else price for j in straight)
                push(4 * q + d, at, c, rest(q, d))
                continue
            for turn in (d, (d + 1) % 4, (d + 3) % 4):
                push(4 * q + turn, at, c + (BEND if turn != d else 0.0), rest(q, turn))
        raise NoRoute(f"no way from {w.source} to {sink}")

    def _rest(self, end: Terminal) -> Callable[[int, int], float]:
        """At least what is left to a terminal from a point and direction: the distance, and bends."""
        columns, rows = {x for x, _ in end.points}, {y for _, y in end.points}
        dx, dy = _distances(self.xs, columns), _distances(self.ys, rows)
        nx, first, last = self.nx, (min(columns), min(rows)), (max(columns), max(rows))

        def rest(p: int, d: int) -> float:
            y, x = divmod(p, nx)
            along, aside, at, axis = (dy[y], dx[x], y, 1) if d & 1 else (dx[x], dy[y], x, 0)
            away = along and (at > last[axis] if d < LEFT else at < first[axis])
            return along + aside + BEND * (2 if away else 1 if aside else 0)

        return rest

    @staticmethod
    def _back(came: dict[int, int], at: int) -> list[int]:
        path = [at >> 2]
        while (at := came[at]) != -1:
            if at >> 2 != path[-1]:
                path.append(at >> 2)
        return path[::-1]

    def crossings(self) -> tuple[int, int]:
        """(between wires, with at least one tap): points where two wires cross."""
        data = taps = 0
        for p, use in enumerate(self.used):
            ids = list(use) if self.owner[p] is None else []
            for a in range(len(ids)):
                for b in range(a):
                    if self.taps[ids[a]] or self.taps[ids[b]]:
                        taps += 1
                    else:
                        data += 1
        return data, taps


def _distances(c: list[float], ends: Collection[int]) -> list[float]:
    """How far each track is from the nearest of these and what lies between them."""
    low, high = min(c[i] for i in ends), max(c[i] for i in ends)
    return [max(low - x, 0.0, x - high) for x in c]
