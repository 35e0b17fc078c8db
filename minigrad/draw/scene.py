"""The scene: what is in a picture, with positions, known to no writer and to no theme.

Coordinates are points, x to the right and y upwards. Colours are roles of the theme ("ink", "gate0").
Everything is plain data: a writer turns it into DOT, a test checks it as geometry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]
LOW, HIGH = 0.05, 0.95  # a gate beyond them is saturated


@dataclass(frozen=True)
class Frame:
    """The box of one time step, from (x0, y0) to (x1, y1), behind everything else."""

    key: str
    x0: float
    y0: float
    x1: float
    y1: float
    tip: str = ""
    marked: bool = False  # a step unlike the others


@dataclass(frozen=True)
class Box:
    """A box or ellipse around (x, y), perhaps with one line of text in its middle."""

    key: str
    x: float
    y: float
    w: float
    h: float
    shape: str = "box"  # box | rounded | ellipse, or a mark: diamond | triangle | invtriangle
    fill: str = "state"
    edge: str = "state_edge"
    text: str = ""
    ink: str = "ink"
    size: float = 12.0
    bold: bool = False
    thick: float = 1.1
    kind: str = ""
    tip: str = ""
    lies_in: str | None = None  # the key of the box that it is a piece of


@dataclass(frozen=True)
class Strip:
    """Numbers as a row of coloured cells. scale: signed (-1..1), unit (0..1) or log (decades below 1)."""

    key: str
    x: float
    y: float
    w: float
    h: float
    values: tuple[float, ...]
    scale: str
    hue: str = "gradient"
    kind: str = ""
    tip: str = ""
    lies_in: str | None = None
    hatched: bool = False  # whether cells below LOW and above HIGH are


@dataclass(frozen=True)
class Label:
    """A line of text around (x, y) that needs no more than w points."""

    key: str
    x: float
    y: float
    w: float
    text: str
    ink: str = "ink"
    size: float = 10.0
    bold: bool = False
    kind: str = ""
    tip: str = ""
    lies_in: str | None = None
    side: str = ""  # of its place that it begins at: "l" left, "r" right, else it is in the middle


@dataclass(frozen=True)
class Line:
    """A polyline with rounded corners from the box `source` to the box `sink`."""

    key: str
    source: str
    sink: str
    points: tuple[Point, ...]
    ink: str = "ink"
    width: float = 1.4
    arrow: bool = True
    radius: float = 8.0
    alpha: float = 1.0
    dashed: bool = False
    kind: str = ""
    tip: str = ""


@dataclass
class Scene:
    """A picture: its parts in drawing order, a title, and a description in words."""

    title: str
    description: str = ""
    frames: list[Frame] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def bounds(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) around everything."""
        xs: list[float] = []
        ys: list[float] = []
        solid: list[Box | Strip] = [*self.boxes, *self.strips]
        for b in solid:
            xs += [b.x - b.w / 2, b.x + b.w / 2]
            ys += [b.y - b.h / 2, b.y + b.h / 2]
        for a in self.labels:
            xs += [a.x - a.w / 2, a.x + a.w / 2]
            ys += [a.y - a.size / 2, a.y + a.size / 2]
        for f in self.frames:
            xs += [f.x0, f.x1]
            ys += [f.y0, f.y1]
        for line in self.lines:
            xs += [p[0] for p in line.points]
            ys += [p[1] for p in line.points]
        return min(xs), min(ys), max(xs), max(ys)
