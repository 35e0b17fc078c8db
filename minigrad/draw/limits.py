"""Where a gradient counts as vanished or exploded: dashed lines across the profile of its norms."""

from __future__ import annotations

import math
from itertools import pairwise

from .names import text_width
from .scene import Point
from .stage import DECADES, Pen, Stage, log_part

VANISHED, EXPLODED = 0.01, 100.0  # of the largest norm at the last step
WORDS = {VANISHED: "vanished: < 1 % of step {T}", EXPLODED: "exploded: > 100 × step {T}"}


def limits(stage: Stage, peak: float) -> dict[float, float]:
    """The norms at which a gradient has vanished or exploded, if they are in the profile's decades."""
    known = (stage.norm(s) for s in stage.rec.carried[stage.T])
    last = max((n for n in known if n is not None and math.isfinite(n)), default=0.0)
    found = {k: k * last for k in WORDS}
    return {k: n for k, n in found.items() if 10.0**-DECADES * peak < n < peak}


def draw_limits(stage: Stage, pen: Pen, floor: float, tallest: float, peak: float) -> None:
    """Each limit as a line from state to state, beside the bars, and its words at the right."""
    aside = 13 * len(stage.lines) / 2 + 3
    for k, n in limits(stage, peak).items():
        name, y = WORDS[k].partition(":")[0], floor + 1 + tallest * log_part(n, peak)
        for a, b in pairwise(stage.stops):
            ends: tuple[Point, Point] = (stage.state_x(a) + aside, y), (stage.state_x(b) - aside, y)
            keys = [f"{name}-{a}-{side}" for side in ("from", "to")]
            for key, (x, _) in zip(keys, ends, strict=True):
                pen.box(key, x, y, 0.5, 0.5, "box", "gradient", "gradient", thick=0.0, kind="limit joint")
            pen.line(
                f"{name}-{a}", keys[0], keys[1], ends, "gradient", 0.8, arrow=False, dashed=True, kind="limit",
                tip=f"{k:g} times the norm at step {stage.T}: {n:.3e}",
            )  # fmt: skip
        text, size = WORDS[k].format(T=stage.T), 8.5 * stage.options.type
        w = text_width(text, size) + 2
        pen.label(f"{name}-words", stage.state_x(stage.last) + aside + 14 + w / 2, y, w, text, "gradient", size)
