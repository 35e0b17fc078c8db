"""A heat ribbon of the whole sequence, above the few steps of it that are drawn.

One column for each step (of more than 1,000 steps, one for several): the mean of each gate, the values of
each state, and the norm of dL/d(state) on a log scale. The steps that are drawn are marked on it.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from ..engine.core import Tensor
from .fold import GATELIKE, Part
from .names import pretty, text_width
from .scene import Box, Strip
from .stage import Pen, Stage

COLUMNS = 1000  # at most
UNITS = 8  # rows of a state, at most
ROW, UNIT = 11.0, 5.0  # heights
FUNNEL = 44.0  # between the ribbon and the steps
DECADES = (4, 8, 16, 32)  # of the norms; what is smaller still is white


def draw_ribbon(stage: Stage, pen: Pen, right: float | None = None) -> None:
    """Rows of the ribbon from the gradients up to the gates, its axis, and the marks of what is drawn.

    right: its end where the steps stand in several rows, and the marks do not lead to them.
    """
    half, funnel = stage.sizes.state[0] / 2, FUNNEL if right is None else 18.0
    left, right = stage.state_x(stage.first) - half, right or stage.state_x(stage.last) + half
    top = pen.scene.bounds()[3] + 10
    y = top + funnel
    rows = [*_gradients(stage), *(_states(stage) + _gates(stage) if stage.options.values else [])]
    if not rows:
        return
    for row in rows:
        y = row.draw(pen, left, right, y)
    _axis(stage, pen, left, right, y)
    marks = _marks(stage, pen, left, right, top + funnel - 6)
    if funnel == FUNNEL:
        _funnel(stage, pen, marks, top)


class _Row:
    """One row of numbers, or a group of thin ones, one for each unit, on one scale."""

    def __init__(
        self, key: str, name: str, values: np.ndarray, scale: str, hue: str, ends: tuple[str, str], what: str
    ) -> None:
        self.key, self.name, self.scale, self.hue, self.ends, self.what = key, name, scale, hue, ends, what
        self.values = values  # (rows, steps)

    def draw(self, pen: Pen, left: float, right: float, y: float) -> float:
        """The row above y, its name and its scale at the left; the y above it."""
        h = ROW if len(self.values) == 1 else UNIT
        x, w, middle = (left + right) / 2, right - left, y + h * len(self.values) / 2
        for i, row in enumerate(self.values):
            columns, at = _binned(row), y + h * (len(self.values) - i - 0.5)
            finite = columns[np.isfinite(columns)]
            mean = float(finite.mean()) if finite.size else 0.0
            key = f"ribbon-{self.key}-{i}" if len(self.values) > 1 else f"ribbon-{self.key}"
            for suffix, cells in (
                ("-mean", (mean,)),
                ("", tuple(map(float, columns))),
            ):  # no light between columns
                pen.scene.strips.append(
                    Strip(f"{key}{suffix}", x, at, w, h, cells, self.scale, self.hue, "ribbon", self.what)
                )
        self._legend(pen, left, middle)
        return y + h * len(self.values) + 4

    def _legend(self, pen: Pen, left: float, y: float) -> None:
        low, high = self.ends
        cells = (0.0, 0.25, 0.5, 0.75, 1.0) if self.scale == "unit" else (-1.0, -0.5, 0.0, 0.5, 1.0)
        x = left - 8
        for text, key in ((high, "high"), ("", "swatch"), (low, "low"), (self.name, "name")):
            size = 10.0 if key == "name" else 8.0
            w = text_width(text, size, key == "name") + 4 if text else 36.0
            ink = self.hue if key == "name" and self.scale == "unit" else "ink" if key == "name" else "soft"
            if text:
                pen.label(f"ribbon-{self.key}-{key}", x - w / 2, y, w, text, ink, size, key == "name")
            else:
                pen.scene.strips.append(
                    Strip(
                        f"ribbon-{self.key}-swatch", x - w / 2, y, w, 7, cells, self.scale, self.hue, "ribbon"
                    )
                )
            x -= w + 3


def _binned(row: np.ndarray) -> np.ndarray:
    """At most COLUMNS numbers: means of neighbours."""
    if len(row) <= COLUMNS:
        return row
    return np.array([part.mean() for part in np.array_split(row, COLUMNS)])


def _array(t: Tensor | None) -> np.ndarray | None:
    """The value of a tensor, if it is numbers."""
    if t is None or isinstance(t.value, tuple) or t.value.size == 0 or t.value.dtype.kind not in "fiub":
        return None
    return np.asarray(t.value, dtype=float)


def _gates(stage: Stage) -> list[_Row]:
    """The mean of each gate at each step; nothing is known where a step has no such gate."""
    first = stage.steps[stage.shown[0] - 1]
    rows = []
    for key, p in reversed(list(first.drawn.parts.items())):
        if p.kind not in GATELIKE or p.label not in ("σ", "tanh"):
            continue
        found = [_array(_node(stage, t, p)) for t in range(1, stage.T + 1)]
        means = np.array([math.nan if a is None else float(a.mean()) for a in found])
        unit = p.label == "σ"
        name = f"{pretty(p.name) if p.name else p.label} mean"
        what = f"mean of {name.removesuffix(' mean')} at steps 1 to {stage.T}"
        ends = ("0", "1") if unit else ("−1", "1")
        rows.append(_Row(key, name, means[None], "unit" if unit else "signed", stage.role(p), ends, what))
    return rows


def _node(stage: Stage, t: int, p: Part) -> Tensor | None:
    """The node of step t that is the same gate as part p of the first step that is drawn."""
    nodes, model = stage.rec.steps[t - 1].nodes, stage.rec.steps[stage.shown[0] - 1].nodes[p.head]
    node = nodes[p.head] if p.head < len(nodes) else None
    return node if node is not None and (node.op, node.name) == (model.op, model.name) else None


def _states(stage: Stage) -> list[_Row]:
    """The values of each state after each step: a row for each unit, or for neighbours together."""
    rows = []
    for k, name in reversed(list(enumerate(stage.rec.states))):
        found = [_array(row[k]) for row in stage.rec.carried[1:]]
        sizes = {a.shape[-1] if a.ndim else 1 for a in found if a is not None}
        if len(sizes) != 1:
            continue
        n = sizes.pop()
        units = np.array([[math.nan] * n if a is None else a.reshape(-1, n)[0] for a in found]).T
        groups = np.array([part.mean(axis=0) for part in np.array_split(units, min(n, UNITS))])
        said = f"{n} unit{'s' * (n != 1)}" + (f" in {UNITS} groups" if n > UNITS else "")
        what = f"{pretty(name)} after steps 1 to {stage.T}, {said}"
        rows.append(_Row(f"s{k}", f"{pretty(name)}, {said}", groups, "signed", "gradient", ("−1", "1"), what))
    return rows


def _gradients(stage: Stage) -> list[_Row]:
    """The norm of dL/d(state) after each step, on a log scale of as many decades as are needed."""
    norms = np.array([[_norm(stage, t, k) for t in range(1, stage.T + 1)] for k in range(len(stage.lines))])
    known = norms[np.isfinite(norms) & (norms > 0)]
    if not known.size:
        return []
    peak = float(known.max())
    needed = math.log10(peak / float(known.min()))
    decades = next((d for d in DECADES if d >= needed), DECADES[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(norms == 0, 0.0, np.maximum(1 + np.log10(norms / peak) / decades, 0.0))
    parts[np.isinf(parts)] = math.nan  # drawn like all that is not finite
    rows = []
    for k, name in reversed(list(enumerate(stage.rec.states))):
        if np.isnan(norms[k]).all():
            continue
        what = f"norm of dL/d{pretty(name)} after steps 1 to {stage.T}, log scale of {decades} decades"
        ends = (f"{peak * 10.0**-decades:.0e}", f"{peak:.0e}")
        rows.append(
            _Row(
                f"g{k}",
                f"‖∂L/∂{pretty(name)}‖, {decades} decades",
                parts[k][None],
                "unit",
                "gradient",
                ends,
                what,
            )
        )
    return rows


def _norm(stage: Stage, t: int, k: int) -> float:
    norm = stage.norm(stage.rec.carried[t][k])
    return math.nan if norm is None else norm


def _axis(stage: Stage, pen: Pen, left: float, right: float, y: float) -> None:
    """Steps along the upper edge, and how many steps a column stands for."""
    T, pitch = stage.T, (right - left) / stage.T
    unit = 10 ** max(math.floor(math.log10(T / 8)), 0) if T > 8 else 1
    every = next(m * unit for m in (1, 2, 5, 10) if m * unit * pitch >= 60 or m == 10)
    for t in sorted({1, *range(every, T + 1, every)}):
        x, text = left + pitch * (t - 0.5), f"t = {t}" if t == 1 else f"{t:,}"
        w = text_width(text, 9) + 4
        if t == 1 or x - left > 60:
            pen.box(f"ribbon-tick-{t}", x, y + 1, 0.4, 4, "box", "soft", "soft", thick=0.6, kind="ribbon")
            pen.label(f"ribbon-t-{t}", max(x, left + w / 2 - 2), y + 11, w, text, "soft", 9)
    each = f"{T:,} steps" if T <= COLUMNS else f"{T:,} steps, {T / COLUMNS:.3g} to a column (their mean)"
    w = text_width(each, 10, True) + 4
    pen.label("ribbon-steps", left - 8 - w / 2, y + 11, w, each, "ink", 10, True)


def _marks(stage: Stage, pen: Pen, left: float, right: float, y: float) -> list[Box]:
    """Under the ribbon a bar for each run of steps that are drawn."""
    pitch, end, found = (right - left) / stage.T, -math.inf, []
    for a, b in _runs(stage.shown):
        x0 = max(left + pitch * (a - 1), end + 1)
        end = max(left + pitch * b, x0 + 3)
        mark = Box(f"mark-{a}", (x0 + end) / 2, y, end - x0, 4, "box", "ink", "ink", thick=0.0, kind="ribbon")
        found.append(mark)
    pen.scene.boxes += found
    return found


def _funnel(stage: Stage, pen: Pen, marks: list[Box], y: float) -> None:
    """Lines from each mark to the width at which its steps are drawn below."""
    for mark, (a, b) in zip(marks, _runs(stage.shown), strict=True):
        u0, u1, key = stage.state_x(a - 1) - 26, stage.state_x(b) + 26, f"lens-{a}"
        pen.box(key, (u0 + u1) / 2, y, u1 - u0, 1, "box", "soft", "soft", thick=0.0, kind="ribbon")
        for side, u in ((-1, u0), (1, u1)):
            ends = (mark.x + side * mark.w / 2, mark.y - 2), (u, y + 0.5)
            name = f"{mark.key}-{'l' if side < 0 else 'r'}"
            pen.line(name, mark.key, key, ends, "soft", 0.8, arrow=False, kind="lens")


def _runs(shown: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last step of each run of steps without a gap."""
    cuts = [i for i, (a, b) in enumerate(pairwise(shown), start=1) if b > a + 1]
    return [(shown[i], shown[j - 1]) for i, j in pairwise([0, *cuts, len(shown)])]
