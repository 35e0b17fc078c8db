"""A chart above the columns: the norm of the gradient by time, a curve for each run, on a log scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .names import text_width
from .stage import Pen

HEIGHT = 110.0
WIDE = 2200.0  # points; in a wider picture the chart is larger, so that it is read when all is seen
INKS = ("gate0", "gate1", "gate2", "gate3", "gate4", "gate5")
SHAPES = ("ellipse", "box", "rounded")  # a second cue beside the colour


@dataclass(frozen=True)
class Curve:
    """A run's (t, x, norm)."""

    name: str
    points: tuple[tuple[int, float, float], ...]


def draw_chart(pen: Pen, curves: list[Curve], low: float, when: str) -> None:
    """Axis, legend and curves, from y = low upwards; nothing without a positive finite norm."""
    known = [v for c in curves for _, _, v in c.points if math.isfinite(v) and v > 0]
    if not known:
        return
    top = math.ceil(math.log10(max(known)) - 1e-9)
    decades = max(1, top - math.floor(math.log10(min(known))))
    xs = [x for c in curves for _, x, _ in c.points]
    chart = _Chart(pen, min(xs) - 20, max(xs) + 20, low, top, decades)
    chart.axis()
    for i, c in enumerate(curves):
        chart.curve(i, c)
    chart.legend([c.name for c in curves], when)


class _Chart:
    def __init__(self, pen: Pen, left: float, right: float, low: float, top: int, decades: int) -> None:
        self.pen, self.left, self.right, self.low, self.top, self.decades = pen, left, right, low, top, decades
        self.scale = min(max((right - left) / WIDE, 1.0), 3.0)

    def y(self, exponent: float) -> float:
        """Height of 10**exponent."""
        return self.low + HEIGHT * self.scale * (1 - (self.top - exponent) / self.decades)

    def axis(self) -> None:
        """A line for a power of ten, at most seven of them."""
        middle, width = (self.left + self.right) / 2, self.right - self.left
        for e in range(self.top, self.top - self.decades - 1, -max(1, math.ceil(self.decades / 6))):
            y, key = self.y(e), f"chart-{self.top - e}"
            self.pen.box(key, middle, y, width, 0.4, "box", "frame_edge", "frame_edge", thick=0.5, kind="rule")
            self.text(f"{key}-tick", self.left - 8, y, f"1e{e}", "soft", 9, to_left=True)

    def curve(self, i: int, c: Curve) -> None:
        """Marks, and lines between those that follow one another."""
        before = None
        for t, x, v in c.points:
            if not (math.isfinite(v) and v > 0):
                before = None
                continue
            key, at = f"chart-r{i + 1}-{t}", (x, self.y(math.log10(v)))
            tip = f"{c.name}: norm of dL/d(states after step {t}) {v:.3e}"
            self.mark(key, *at, i, tip)
            if before is not None:
                self.pen.line(f"{key}-line", before[0], key, (before[1], at), INKS[i % len(INKS)],
                              2.0 * self.scale, arrow=False, kind="grad chart", tip=tip)  # fmt: skip
            before = key, at

    def legend(self, names: list[str], when: str) -> None:
        """What is shown, and the mark of each run."""
        y, x = self.y(self.top) + 22 * self.scale, self.left
        x += self.text("chart-title", x, y, f"‖∂L/∂sₜ‖ of all states {when}, log scale", "ink", 11)
        for i, name in enumerate(names):
            x += 28 * self.scale
            self.mark(f"chart-legend-{i + 1}", x, y, i, name)
            x += 10 * self.scale
            x += self.text(f"chart-name-{i + 1}", x, y, name, "ink", 11)

    def mark(self, key: str, x: float, y: float, i: int, tip: str) -> None:
        """A dot, square or rounded square; hollow beyond the first three runs."""
        ink, d = INKS[i % len(INKS)], 7.0 * self.scale
        fill = ink if i < len(SHAPES) else "paper"
        self.pen.box(key, x, y, d, d, SHAPES[i % len(SHAPES)], fill, ink, thick=1.4, kind="joint chart", tip=tip)

    def text(
        self, key: str, x: float, y: float, text: str, ink: str, size: float, to_left: bool = False
    ) -> float:
        """Text that begins (or ends) at x; its width."""
        size *= self.scale
        w = text_width(text, size, not to_left) + 4
        self.pen.label(key, x - w / 2 if to_left else x + w / 2, y, w, text, ink, size, not to_left)
        return w
