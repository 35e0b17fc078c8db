"""The stage of a picture: the steps' layouts side by side, and a pen that writes into the Scene."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..engine.core import Tensor
from .closed import closed
from .elide import WIDTH as GAP_WIDTH
from .elide import Gap, spans, stops
from .fold import GATELIKE, Drawn, Part, fold, with_rails
from .layout import Path, Sizes, StepLayout, layout
from .measure import Numbers
from .names import fit, pretty, shape_text, text_width
from .rows import Rows
from .scene import HIGH, LOW, Box, Label, Line, Point, Scene, Strip
from .steps import Recording
from .symbols import Symbols
from .theme import gate_roles
from .unlike import unlike

if TYPE_CHECKING:
    from .cuts import Cuts

GAP = 14.0  # between a state box and the steps beside it
GATE_WIDTH = (58.0, 96.0)  # as narrow as can be, as wide as may be
BINS = 12  # cells in a strip, at most
DECADES = 4.0  # of the logarithmic scale of gradients
_Solid = TypeVar("_Solid", Box, Label, Strip)


@dataclass(frozen=True)
class Options:
    """What a picture shows."""

    level: str = "gates"
    values: bool = False
    shapes: bool = True
    saturated: bool = True  # hatch the entries of gates that are nearly 0 or 1
    type: float = 1.0  # size of type, and of the boxes around it
    cuts: Cuts | None = None  # of a truncated gradient
    name: str = "step"  # what stands in a step that is one box


class Stage:
    """Where each step stands, what is drawn of it, and the colours of its gates."""

    def __init__(
        self, rec: Recording, options: Options, numbers: Numbers | None, shown: Sequence[int] | None = None
    ) -> None:
        self.rec, self.options, self.numbers, self.T = rec, options, numbers, len(rec.steps)
        self.shown = tuple(shown or range(1, self.T + 1))  # the steps that are drawn
        signatures = {t: rec.steps[t - 1].signature for t in self.shown}
        kinds = {signatures[t]: rec.steps[t - 1] for t in self.shown}
        coarse = self._shared([fold(step, "gates", rec.names()) for step in kinds.values()], "gates")
        fine, ops = coarse, options.level == "ops"
        self.symbols = Symbols(rec) if options.level == "symbols" else None
        self._like = {signature: t for t, signature in signatures.items()}  # the last step of each kind
        if ops:
            fine = self._shared([fold(step, "ops", rec.names()) for step in kinds.values()], "ops")
        elif self.symbols is not None:
            fine = [self.symbols.labelled(d, self._like[s]) for d, s in zip(coarse, kinds, strict=True)]
        self.sizes = self._sizes(fine)
        found = self._opened = aligned([
            layout(d, self.sizes, c if ops else None) for d, c in zip(fine, coarse, strict=True)
        ])  # fmt: skip
        if options.level == "steps":
            found = closed(found, options.name, self.sizes)
        kind = dict(zip(kinds, found, strict=True))
        self.steps = [found[0]] * self.T  # also for a step that is not drawn, where nobody asks
        for t, signature in signatures.items():
            self.steps[t - 1] = kind[signature]
        self.kinds = tuple(found)
        self.made = {n.id: t for t, step in enumerate(rec.steps, start=1) for n in step.nodes}
        self.lines = found[0].lines
        self._set_columns(0, self.T)
        parts = [p for s in found for p in s.drawn.parts.values() if p.kind in GATELIKE]
        names = list(dict.fromkeys(map(gate_key, parts)))
        self._role = dict(zip(names, gate_roles([None if n[0] == "*" else n for n in names]), strict=True))

    def _set_columns(self, first: int, last: int) -> None:
        """Where the steps, gaps and states from state `first` to state `last` stand."""
        between = self.sizes.state[0] + 2 * GAP if self.lines else 2 * GAP
        self.first, self.last = first, last
        self.stops = stops(self.shown, first, last)  # the states that are drawn
        self.gaps: list[Gap] = []
        self.x = [0.0] * self.T  # left edges of the steps that are drawn
        self._states = {first: -between / 2}
        x = 0.0
        for a, b, drawn in spans(self.shown, first, last):
            if drawn:
                self.x[b - 1] = x
            else:
                self.gaps.append(Gap(a, b, x))
            x += (self.steps[b - 1].width if drawn else GAP_WIDTH) + between
            self._states[b] = x - between / 2

    def part(self, first: int, last: int) -> Stage:
        """The same stage with what lies between the states `first` and `last` alone."""
        other = copy.copy(self)
        other.shown = tuple(t for t in self.shown if first < t <= last)
        other._set_columns(first, last)
        other.__dict__["unlike"] = {t: words for t, words in self.unlike.items() if t in other.shown}
        return other

    @property
    def edges(self) -> tuple[float, float]:
        """The lowest and the highest edge of the steps' frames."""
        return min(s.frame[0] for s in self.kinds), max(s.frame[1] for s in self.kinds)

    @staticmethod
    def _shared(kinds: list[Drawn], level: str) -> list[Drawn]:
        """The kinds of step with common rails, and each state's line on the same side in all of them."""
        top = tuple(map(any, zip(*(Rows(d).top for d in kinds), strict=True)))
        return [replace(d, top=top) for d in with_rails(kinds, level)]

    def _sizes(self, kinds: list[Drawn]) -> Sizes:
        """Sizes of boxes; gates are all alike, and wide enough for the names and activations in them."""
        parts = [p for d in kinds for p in d.parts.values() if p.kind in GATELIKE]
        widths = [min(sum(self.header(p, len(self.rec.steps))) + 14, GATE_WIDTH[1]) for p in parts]
        values, gradients, k = self.options.values, self.numbers is not None, self.options.type
        gate = max([GATE_WIDTH[0], *widths]), (32.0 if self.options.shapes else 24.0) + 10 * values
        if self.symbols is not None:
            rooms = [self.symbols.room(d, t) for d, t in zip(kinds, self._like.values(), strict=True)]
            gate = max(gate[0], *(w for w, _ in rooms)), 24.0 + 10 * values + max(h for _, h in rooms)
        state = 66.0, 22.0 + 13 * values + (24 if gradients else 10 if self.options.shapes or values else 4)
        return Sizes(
            gate=(k * gate[0], k * gate[1]), input=(k * 46.0, k * (32.0 if values else 30.0)),
            state=(k * state[0], k * state[1]), op=k * 19.0, lane=k * 9.5 + 7.5 if gradients else 0.0,
        )  # fmt: skip

    def shape(self, t: Tensor | None) -> str:
        """A tensor's shape, if shapes are shown."""
        return shape_text(t) if self.options.shapes else ""

    def heading(self, t: int) -> str:
        """What stands in the frame of step t."""
        return f"t = {t} *" if t in self.unlike else f"t = {t}"

    @cached_property
    def unlike(self) -> dict[int, str]:
        """The steps that are drawn and are unlike most, and how they differ."""
        kind = dict(zip(self._like, self._opened, strict=True))
        steps = {t: kind[self.rec.steps[t - 1].signature] for t in self.shown}
        return unlike(steps) if self.rec.timed else {}

    def header(self, p: Part, t: int) -> tuple[float, float]:
        """Widths of a gate's name and of its activation."""
        name = self.name(p.name, t) if p.name and p.leaves_as is None else ""
        act = "" if p.kind == "linear" and name else p.label
        return text_width(name, 12.5, True) + 1 if name else 0.0, text_width(act, 10.5) + 3 if act else 0.0

    def name(self, name: str, t: int) -> str:
        """A name as it is shown at step t."""
        return pretty(name, t if self.rec.timed else None)

    def state_name(self, t: int, k: int) -> str:
        """The name of what line k carries after step t, with the step that it was made in."""
        tensor = self.rec.carried[t][k]
        return self.name(self.rec.states[k], self.made.get(tensor.id, 0) if tensor is not None else t)

    def role(self, p: Part) -> str:
        """The colour of a gate."""
        return self._role[gate_key(p)]

    def state_x(self, t: int) -> float:
        """x of the states after step t."""
        return self._states[t]

    @cached_property
    def peak(self) -> float:
        """The largest finite norm of the gradient of any state, drawn or not."""
        known = (self.norm(s) for row in self.rec.carried for s in row)
        return max((n for n in known if n is not None and math.isfinite(n)), default=0.0)

    def norm(self, t: Tensor | None) -> float | None:
        """Norm of the gradient, if gradients are drawn and it has one."""
        return self.numbers.norm(t) if self.numbers else None


def gate_key(p: Part) -> str:
    """What gates of one colour have in common: the variable's name, or the place of one without."""
    return p.name if p.name and p.leaves_as is None else f"*{p.key}"


class Pen:
    """Adds labels, strips and framed names to a scene."""

    def __init__(self, scene: Scene, zoom: float = 1.0, middle: Point = (0.0, 0.0)) -> None:
        self.scene, self.zoom, self.middle = scene, zoom, middle

    def zoomed(self, zoom: float, x: float, y: float) -> Pen:
        """A pen for the same scene that enlarges all but lines about a point."""
        return Pen(self.scene, zoom, (x, y))

    def _placed(self, a: _Solid) -> _Solid:
        k, (x, y) = self.zoom, self.middle
        if k == 1:
            return a
        more: dict[str, Any] = {} if isinstance(a, Label) else {"h": k * a.h}
        if not isinstance(a, Strip):
            more["size"] = k * a.size
        return replace(a, x=x + k * (a.x - x), y=y + k * (a.y - y), w=k * a.w, **more)

    def box(self, *args: object, **kwargs: object) -> None:
        """Add a Box."""
        self.scene.boxes.append(self._placed(Box(*args, **kwargs)))  # type: ignore[arg-type]

    def line(
        self,
        key: str,
        source: str,
        sink: str,
        points: Sequence[Point],
        ink: str,
        width: float,
        **more: object,
    ) -> None:
        """Add a Line."""
        self.scene.lines.append(Line(key, source, sink, tuple(points), ink, width, **more))  # type: ignore[arg-type]

    def label(
        self, key: str, x: float, y: float, w: float, text: str, ink: str = "ink", size: float = 10.0,
        bold: bool = False, lies_in: str | None = None,
    ) -> None:  # fmt: skip
        """Add a Label, cut to its width; nothing if there is no text."""
        if text:
            self.scene.labels.append(
                self._placed(Label(key, x, y, w, fit(text, w, size, bold), ink, size, bold, "piece", lies_in=lies_in))
            )

    def strip(
        self, key: str, place: tuple[float, float, float, float], a: object, scale: str, hue: str, kind: str,
        what: str, lies_in: str, hatched: bool = False,
    ) -> None:  # fmt: skip
        """Add a Strip of the first row of an array, in at most BINS cells (means of neighbours)."""
        if isinstance(a, Tensor):
            if isinstance(a.value, tuple):
                return
            a = a.value
        array = np.asarray(a)
        if array.size == 0 or array.dtype.kind not in "fiub":
            return
        row = np.asarray(
            array.reshape(-1, array.shape[-1])[0] if array.ndim > 1 else array.reshape(-1), dtype=float
        )
        shown = row if len(row) <= BINS else np.array([part.mean() for part in np.array_split(row, BINS)])
        numbers = ", ".join(f"{v:.3g}" for v in row[:16]) + (" …" if len(row) > 16 else "")
        rows = array.size // len(row)
        tip = f"{what}{f' (row 1 of {rows})' if rows > 1 else ''}: {numbers}"
        if hatched and (n := int(np.sum((row < LOW) | (row > HIGH)))):
            tip += f"; {n} of {len(row)} saturated, below {LOW} or above {HIGH}"
        if scale != "log" and not np.isfinite(array).all():
            place = self._odd(key, place, "NaN" if np.isnan(array).any() else "inf", lies_in)
        strip = Strip(key, *place, tuple(map(float, shown)), scale, hue, kind, tip, lies_in, hatched)
        self.scene.strips.append(self._placed(strip))

    def _odd(
        self, key: str, place: tuple[float, float, float, float], word: str, lies_in: str
    ) -> tuple[float, float, float, float]:
        """The word for what is not finite at the end of a strip, and the place that is left for the strip."""
        (x, y, w, h), size = place, 8.0
        room = text_width(word, size, True) + 1
        self.label(f"{key}-odd", x + (w - room) / 2, y, room, word, "gradient", size, True, lies_in)
        return x - (room + 2) / 2, y, w - room - 2, h

    def titled(
        self, key: str, x: float, y: float, size: Point, text: str, t: Tensor | None, kind: str, options: Options
    ) -> None:
        """An input or output: a rounded box with its name, and its values or its shape."""
        w, h = size[0] / self.zoom, size[1] / self.zoom
        values, full = options.values, shape_text(t)
        shape = full if options.shapes else ""
        self.box(key, x, y, w, h, "rounded", kind=kind, tip=f"{text}, shape {full}" if full else text)
        up = h / 2 - 10 if values or shape else 0.0
        self.label(f"{key}-name", x, y + up, w - 6, text, "ink", 12.5, True, key)
        if values and t is not None:
            self.strip(
                f"{key}-value", (x, y - h / 2 + 8, w - 10, 9), t, "signed", "gradient", kind, "values", key
            )
        else:
            self.label(f"{key}-shape", x, y - h / 2 + 7, w - 4, shape, "soft", 8, False, key)


def log_part(n: float, peak: float, decades: float = DECADES) -> float:
    """0 to 1: where n lies in the decades below the peak; 1 for infinity."""
    if not (n > 0 and peak > 0):
        return 0.0
    return 1.0 if n >= peak else max(0.0, 1 + math.log10(n / peak) / decades)


def aligned(layouts: list[StepLayout]) -> list[StepLayout]:
    """The layouts with each state line at the same height in all of them."""
    if len(layouts) < 2 or not layouts[0].lines:
        return layouts
    order = sorted(range(len(layouts[0].lines)), key=lambda k: layouts[0].lines[k])
    target, y = {}, 0.0
    for i, k in enumerate(order):
        y += max(s.lines[k] - s.lines[order[i - 1]] for s in layouts) if i else 0.0
        target[k] = y
    return [_stretched(s, [(s.lines[k], target[k]) for k in order]) for s in layouts]


def _stretched(s: StepLayout, anchors: list[tuple[float, float]]) -> StepLayout:
    def move(y: float) -> float:
        below = [a for a in anchors if a[0] <= y] or [anchors[0]]
        return y + below[-1][1] - below[-1][0]

    def end(key: str, y: float) -> float:
        """A wire's end moves with its part, which may lie across a line."""
        spot = s.spots.get(key)
        return move(y) if spot is None else y + move(spot.y) - spot.y

    def path(p: Path) -> Path:
        ys = [
            end(p.source, p.points[0][1]),
            *(move(y) for _, y in p.points[1:-1]),
            end(p.sink, p.points[-1][1]),
        ]
        return replace(p, points=tuple((x, y) for (x, _), y in zip(p.points, ys, strict=True)))

    return replace(
        s, spots={k: replace(v, y=move(v.y)) for k, v in s.spots.items()}, lines=tuple(map(move, s.lines)),
        paths=tuple(map(path, s.paths)),
        frame=(move(s.frame[0]), move(s.frame[1])), low=move(s.low), high=move(s.high),
    )  # fmt: skip
