"""Wires between the rows of a network: from a state or output up to an input or initial state above it.

A wire leaves its box at the top, goes up beside the column of states, along a lane between two rows, and
up into the input above; past rows in between it goes at the right. An initial state is entered at the left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from .runs import Read
from .scene import Point, Scene
from .stage import Pen, Stage

PITCH = 8.0  # between lanes, and between wires beside a row
Source = tuple[int, int, str]  # row, step, box
_Span = tuple[float, float, tuple]


class Lanes:
    """Which lane each wire takes in which gap between rows; x of its vertical parts."""

    def __init__(self, rows: Sequence[tuple[Stage, Scene]], reads: Sequence[Read]) -> None:
        self.rows = rows
        self.reads = [r for r in reads if self._is_drawn(r)]
        self.start = [0.0] * len(rows)  # y of the lowest lane above each row
        self.left = min(scene.bounds()[0] for _, scene in rows) - 16
        self.aside = self._aside()
        self.right = max(scene.bounds()[2] for _, scene in rows) + max(self.aside.values(), default=0.0) + 16
        far = list(dict.fromkeys(_source(r) for r in self.reads if r.sink > r.source + 1))
        self.far = {s: self.right + PITCH * i for i, s in enumerate(far)}
        handed = [r for r in self.reads if r.t == 0]
        handed.sort(key=lambda r: (r.sink, rows[r.sink][0].lines[r.k]))
        self.entry = {(r.sink, r.k): self.left - PITCH * i for i, r in enumerate(handed)}
        self.lane = self._assign()

    def _is_drawn(self, r: Read) -> bool:
        source, sink = self.rows[r.source][0], self.rows[r.sink][0]
        if r.made[0] == "y":
            made = r.after in source.shown and r.made in source.steps[r.after - 1].spots
        else:
            made = r.after in source.stops
        reader = sink.first == 0 if r.t == 0 else r.t in sink.shown and f"x{r.k}" in sink.steps[r.t - 1].spots
        return made and reader

    def _aside(self) -> dict[Source, float]:
        """How far beside its column of states each wire goes up: the top line's straight, the lowest's farthest."""
        by_column: dict[tuple[int, int], set[Source]] = defaultdict(set)
        for r in self.reads:
            if r.made[0] == "s":
                by_column[r.source, r.after].add(_source(r))
        found = {}
        for (row, _), sources in by_column.items():
            lines = self.rows[row][0].lines
            for i, s in enumerate(sorted(sources, key=lambda s: -lines[int(s[2][1:])])):
                straight = lines[int(s[2][1:])] == max(lines) and len(lines) <= 3  # beside the bars above
                found[s] = -10.0 if straight else 4.0 + 6.0 * i
        return found

    def up_x(self, r: Read) -> float:
        """x at which the wire leaves its row."""
        stage = self.rows[r.source][0]
        if r.made[0] == "y":
            return stage.x[r.after - 1] + stage.steps[r.after - 1].spots[r.made].x
        return stage.state_x(r.after) + stage.sizes.state[0] / 2 + self.aside[_source(r)]

    def in_x(self, r: Read) -> float:
        """x at which the wire goes up to what reads it."""
        stage = self.rows[r.sink][0]
        return self.entry[r.sink, r.k] if r.t == 0 else stage.x[r.t - 1] + stage.steps[r.t - 1].spots[f"x{r.k}"].x

    def _assign(self) -> dict[tuple, int]:
        """The lowest lane that is free, for each wire in each gap that it runs along."""
        spans: dict[int, dict[tuple, list[float]]] = defaultdict(dict)
        for r in self.reads:
            for gap, a, b in self.stretches(r):
                key = self.key(r, gap)
                old = spans[gap].get(key, [a, b])
                spans[gap][key] = [min(a, b, *old), max(a, b, *old)]
        found: dict[tuple, int] = {}
        self.count: dict[int, int] = {}
        for gap, wires in spans.items():
            taken: list[list[list[float]]] = []
            for key, span in sorted(wires.items(), key=lambda w: (-w[1][0] if w[0][2] == 0 else 0.0, w[1])):
                lane = next((i for i, row in enumerate(taken) if all(_apart(span, s) for s in row)), len(taken))
                if lane == len(taken):
                    taken.append([])
                taken[lane].append(span)
                found[key] = lane
            self.count[gap] = len(taken)
        return found

    def stretches(self, r: Read) -> list[tuple[int, float, float]]:
        """(row below, x, x) of each lane that a wire runs along."""
        a, b = self.up_x(r), self.in_x(r)
        if r.sink == r.source + 1:
            return [(r.source, a, b)]
        x = self.far[_source(r)]
        return [(r.source, a, x), (r.sink - 1, x, b)]

    @staticmethod
    def key(r: Read, gap: int) -> tuple:
        """Wires of one source share their lane."""
        return gap, _source(r), min(r.t, 1)

    def room(self, gap: int) -> float:
        """Height of the lanes above a row."""
        return PITCH * self.count.get(gap, 0) + 6 if self.count.get(gap) else 0.0

    def y(self, r: Read, gap: int) -> float:
        """The lane of a wire."""
        return self.start[gap] + PITCH * self.lane[self.key(r, gap)]


def _source(r: Read) -> Source:
    return r.source, r.after, r.made


def _apart(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[1] < b[0] - 2 or b[1] < a[0] - 2


def draw_reads(pen: Pen, lanes: Lanes, dy: Sequence[float]) -> None:
    """The wires, row i being moved up by dy[i]."""
    for i, r in enumerate(lanes.reads):
        (stage, _), (sink, _) = lanes.rows[r.source], lanes.rows[r.sink]
        points = _leave(lanes, stage, r, dy[r.source])
        for gap, a, b in lanes.stretches(r):
            y = lanes.y(r, gap)
            points += [(a, y), (b, y)]
        if r.t == 0:
            key, y = f"s{r.k}-0", sink.lines[r.k] + dy[r.sink]
            points += [(lanes.in_x(r), y), (sink.state_x(0) - sink.sizes.state[0] / 2, y)]
        else:
            key, spot = f"t{r.t}-x{r.k}", sink.steps[r.t - 1].spots[f"x{r.k}"]
            points += [(lanes.in_x(r), spot.y - spot.h / 2 + dy[r.sink])]
        made = f"t{r.after}-{r.made}" if r.made[0] == "y" else f"{r.made}-{r.after}"
        pen.line(f"read-{i}", f"r{r.source + 1}-{made}", f"r{r.sink + 1}-{key}", points, "ink", 1.8,
                 kind="wire read")  # fmt: skip


def _leave(lanes: Lanes, stage: Stage, r: Read, dy: float) -> list[Point]:
    """From the top of the box into the room beside its column."""
    x = lanes.up_x(r)
    if r.made[0] == "y":
        spot = stage.steps[r.after - 1].spots[r.made]
        return [(x, spot.y + spot.h / 2 + dy)]
    top = stage.lines[int(r.made[1:])] + stage.sizes.state[1] / 2 + dy
    start = stage.state_x(r.after) + stage.sizes.state[0] / 2 - 10
    return [(start, top), (start, top + 4), (x, top + 4)] if x > start else [(x, top)]
