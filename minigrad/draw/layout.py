"""The layout of one step: positions of its parts and wires, to be stamped once per time step.

Rows and columns come from `place`, wires from `route`; here both become points. Only tracks that a
wire uses take up room, so a step is as small as its wires allow. Coordinates: x to the right from the
left edge of the step, y upwards from the lowest state line, in points.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from .fold import GATELIKE, Drawn, Part
from .names import text_width
from .place import Plan, place
from .route import DOWN, LEFT, RIGHT, UP, Grid, NoRoute, Terminal, Wire
from .tracks import PITCH, Tracks

SMALL = 16  # parts; beyond, a second routing of a step costs up to 1.5 s (2026-11-21)
CLEAR = 4.0  # around a part, where no wire passes
Point = tuple[float, float]


@dataclass(frozen=True)
class Sizes:
    """Boxes in points, which depend on what is shown in them."""

    gate: Point = (56.0, 34.0)
    input: Point = (44.0, 30.0)
    state: Point = (64.0, 40.0)
    op: float = 19.0
    lane: float = 0.0  # room beside a state line for the gradient that flows back


@dataclass(frozen=True)
class Spot:
    """A part's place and size."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Path:
    """A wire from one part to another; `tap` is the rail's number if it brings a parameter."""

    source: str
    sink: str
    points: tuple[Point, ...]
    tap: int | None = None


@dataclass(frozen=True)
class StepLayout:
    """One step: where parts, state lines and wires are."""

    drawn: Drawn
    spots: dict[str, Spot]
    lines: tuple[float, ...]  # y of each state line
    on_top: tuple[bool, ...]
    paths: tuple[Path, ...]
    width: float
    frame: tuple[float, float]  # lower and upper edge of the step's box
    low: float  # where taps begin
    high: float
    crossings: tuple[int, int] = field(default=(0, 0))  # of data wires; of parameter taps


@lru_cache(maxsize=128)
def layout(drawn: Drawn, sizes: Sizes, coarse: Drawn | None = None) -> StepLayout:
    """Positions of everything in a step: of a few arrangements, the one whose wires cross least.

    coarse: the step at a coarser level, whose order is kept.
    """
    routed = [found for plan in place(drawn, 4, coarse) if (found := _routed(drawn, plan, sizes)) is not None]
    if not routed:
        raise NoRoute(
            f"a step of {len(drawn.parts)} parts could not be wired; draw it at level='gates', or in parts"
        )
    return min(routed, key=_crossed)


def _crossed(s: StepLayout) -> float:
    return s.crossings[0] + 0.1 * s.crossings[1] + 0.002 * s.width


def _routed(drawn: Drawn, plan: Plan, sizes: Sizes) -> StepLayout | None:
    """The plan with its wires; where those of a small step cross twice, more tracks are tried too."""
    found: list[StepLayout] = []
    for tracks in (3, 5, 9, 16):
        try:
            found.append(_Layout(drawn, plan, sizes, tracks).build())
        except NoRoute:
            continue
        if found[-1].crossings[0] < 2 or len(found) == 2 or len(drawn.parts) > SMALL:
            break
    return min(found, key=_crossed, default=None)


def part_size(p: Part | None, sizes: Sizes) -> Point:
    """Width and height of a part's box."""
    if p is None:
        return sizes.input
    if p.kind == "joint":
        return (0.0, 0.0)
    if p.kind in GATELIKE:
        wires = len(p.sources) + len(p.params)
        return (max(sizes.gate[0], PITCH * (wires + 3)), sizes.gate[1])
    text = p.text or p.label
    if len(text) <= 1:
        return (sizes.op, sizes.op)
    return (max(sizes.op, min(sizes.op / 19 * text_width(text, 9) + 10, sizes.gate[0])), sizes.op)


_ANY = {RIGHT: 0.0, UP: 0.0, LEFT: 0.0, DOWN: 0.0}


def _terminal(points: list, p: Part | None, key: str) -> Terminal:
    """What may be entered and left where: gates from below, operators from all sides."""
    middle = len(points) // 2
    if key[0] == "y":
        return Terminal(tuple(points), {UP: 0.0}, {}, middle, 0, 30.0)
    if p is None:
        return Terminal(tuple(points), {}, {UP: 0.0}, middle, 0, 30.0)
    if p.kind == "joint":
        return Terminal(tuple(points), {RIGHT: 0.0, UP: 0.0, DOWN: 5.0}, {RIGHT: 0.0, UP: 0.0}, middle)
    if p.kind in GATELIKE:
        return Terminal(
            tuple(points),
            {UP: 0.0, RIGHT: 40.0, DOWN: 45.0, LEFT: 60.0},
            {UP: 0.0, RIGHT: 26.0, LEFT: 30.0, DOWN: 60.0},
            middle,
            2,
            14.0,
        )
    return Terminal(
        tuple(points),
        {RIGHT: 0.0, UP: 0.0, DOWN: 2.0, LEFT: 12.0},
        {UP: 0.0, RIGHT: 0.0, DOWN: 3.0, LEFT: 25.0},
        middle,
        0,
        1e9,
    )


class _Layout:
    def __init__(self, drawn: Drawn, plan: Plan, sizes: Sizes, tracks: int) -> None:
        self.drawn, self.plan, self.sizes = drawn, plan, sizes
        self.cells = {key: (c, r) for key, (c, r) in plan.where().items()}
        self.box = {key: part_size(drawn.parts.get(key), sizes) for key in self.cells}
        self.tracks = Tracks(plan, self.box, tracks)

    def build(self) -> StepLayout:
        t, apart = self.tracks, (self.sizes.lane, self.sizes.state[1] + 8)
        xs, ys = t.xs(range(len(t.xt))), t.ys(range(len(t.yt)), *apart)
        terminals, blocked = self._terminals()
        wires = self._wires()
        grid = Grid(xs, ys, terminals, blocked, self._kept())
        grid.route(wires)
        used_x: set[int] = set()
        used_y: set[int] = set()
        for w in wires:
            for path in w.paths.values():
                for (x, y), (_, v) in pairwise(path):
                    (used_y if y == v else used_x).add(y if y == v else x)
        return self._finish(wires, t.xs(used_x), t.ys(used_y, *apart), grid.crossings())

    def _terminals(self) -> tuple[dict[str, Terminal], set[tuple[int, int]]]:
        terminals = {}
        for key, (c, r) in self.cells.items():
            y, w = self.tracks.row_track[r], self.box[key][0] / 2
            inside = [i for i in self.tracks.port[c] if abs(self.tracks.xt[i][2]) < max(w + CLEAR, 1.0)]
            terminals[key] = _terminal([(i, y) for i in inside], self.drawn.parts.get(key), key)
        for k in range(len(self.drawn.leaving)):
            y = self.tracks.row_track[self.plan.row[f"s{k}"]]
            terminals[f"s{k}"] = Terminal(((0, y),), {}, {RIGHT: 0.0})
            terminals[f"out{k}"] = Terminal(((len(self.tracks.xt) - 1, y),), {RIGHT: 0.0}, {})
        taken = {point for t in terminals.values() for point in t.points}
        beside = [(i, self.tracks.row_track[0]) for i, t in enumerate(self.tracks.xt) if t[0] != "edge"]
        bottom = tuple(point for point in beside if point not in taken)  # between the inputs
        terminals["rail"] = Terminal(bottom, {}, {UP: 0.0}, 0, 0, 0.0)
        edges = {(x, y) for x in (0, len(self.tracks.xt) - 1) for y in range(len(self.tracks.yt))}
        return terminals, edges

    def _kept(self) -> dict[tuple[int, int], str]:
        """Room for states that change places: the first and last point of each line, for its own wires.

        Else the first wire to turn onto another's line stands where that one has to leave it.
        """
        leaving, last = self.drawn.leaving, len(self.tracks.xt) - 2
        if all(s is None or s[0] != "s" or s == f"s{k}" for k, s in enumerate(leaving)):
            return {}
        y = [self.tracks.row_track[self.plan.row[f"s{k}"]] for k in range(len(leaving))]
        first = {(1, y[k]): f"s{k}" for k in range(len(leaving))}
        return first | {(last, y[k]): s for k, s in enumerate(leaving) if s is not None}

    def _wires(self) -> list[Wire]:
        """Data wires first, the straight ones before the others; then the taps."""
        sinks: dict[str, list[str]] = {}
        for key, p in self.drawn.parts.items():
            for s in p.sources:
                sinks.setdefault(s, []).append(key)
        for k, origin in enumerate(self.drawn.leaving):
            if origin is not None:
                sinks.setdefault(origin, []).append(f"out{k}")
        for i, s in enumerate(self.drawn.outputs):
            sinks.setdefault(s, []).append(f"y{i}")
        wires = [Wire(s, s, keys, bus=s[0] != "n") for s, keys in sinks.items()]
        on_line = {self.plan.row[f"s{k}"] for k in range(len(self.drawn.leaving))}
        wires.sort(key=lambda w: (self.plan.row[w.source] not in on_line, len(w.sinks)))
        return wires + [Wire(f"tap{g}", "rail", [key], tap=True) for g, key in self.drawn.taps]

    def _finish(
        self, wires: list[Wire], xs: list[float], ys: list[float], crossings: tuple[int, int]
    ) -> StepLayout:
        plan, rows = self.plan, self.tracks.row_track
        base = min([ys[rows[plan.row[f"s{k}"]]] for k in range(len(plan.highway))], default=ys[rows[0]])
        ys = [y - base for y in ys]
        spots = {}
        for key, (c, r) in self.cells.items():
            w, h = self.box[key]
            ports = self.tracks.port[c]
            spots[key] = Spot(xs[ports[len(ports) // 2]], ys[rows[r]], w, h)
        paths = []
        for wire in wires:
            for sink, points in _whole(wire).items():
                pts = _corners([(xs[a], ys[b]) for a, b in points])
                ends = spots.get(wire.source), spots.get(sink)
                paths.append(
                    Path(wire.source, sink, _clip(pts, *ends), int(wire.key[3:]) if wire.tap else None)
                )
        lines = tuple(ys[rows[plan.row[f"s{k}"]]] for k in range(len(plan.highway)))
        inner = [s for key, s in spots.items() if key[0] not in "xy"]
        low = min([s.y - s.h / 2 for s in inner] + [y - self.sizes.lane for y in lines])
        high = max([s.y + s.h / 2 for s in inner] + [y + self.sizes.lane for y in lines])
        for p in paths:
            if p.tap is None:  # the frame is around all but the ends of inputs and outputs
                inside = p.points[p.source[0] == "x" : len(p.points) - (p.sink[0] == "y")]
                low, high = min([low, *(y for _, y in inside)]), max([high, *(y for _, y in inside)])
        return StepLayout(
            self.drawn, spots, lines, plan.highway, tuple(paths), xs[-1], (low - 12, high + 26),
            ys[0], max([s.y + s.h / 2 for s in spots.values()] + [high + 26]), crossings,
        )  # fmt: skip


def _whole(w: Wire) -> dict[str, list[tuple[int, int]]]:
    """Each sink's path from the source on, where a path began at a branch of an earlier one."""
    done: dict[str, list[tuple[int, int]]] = {}
    for sink, path in w.paths.items():
        start = path[0]
        for other in done.values():
            if start in other[1:-1]:
                path = other[: other.index(start)] + path
                break
        done[sink] = path
    return done


def _corners(points: list[Point]) -> list[Point]:
    """The points at which a path turns, and its ends."""
    points = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
    out = points[:1]
    for a, b, c in zip(points, points[1:], points[2:], strict=False):
        if (a[0] == b[0]) != (b[0] == c[0]):
            out.append(b)
    return [*out, points[-1]]


def _clip(points: list[Point], source: Spot | None, sink: Spot | None) -> tuple[Point, ...]:
    """The path between the borders of its parts."""
    points = list(points)
    if source is not None:
        points[0] = _border(points[0], points[1], source)
    if sink is not None:
        points[-1] = _border(points[-1], points[-2], sink)
    return tuple(points)


def _border(inside: Point, outside: Point, s: Spot) -> Point:
    if inside[0] == outside[0]:
        return (inside[0], s.y + s.h / 2 * (1 if outside[1] > inside[1] else -1))
    return (s.x + s.w / 2 * (1 if outside[0] > inside[0] else -1), inside[1])
