"""Long sequences: which steps are drawn, and the gaps that stand for the others, with their number.

Nothing is left out silently: a gap says how many steps it stands for, the state lines, the rails and the
gradient pass through it, and a tap into it is the share of all its steps together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .stage import Pen, Stage
    from .steps import Recording

MOST = 40  # steps; longer sequences are drawn with a gap unless elide=False
WIDTH = 112.0  # of a gap
KINDS = 4  # further kinds of step, of each of which the first one is drawn too


@dataclass(frozen=True)
class Gap:
    """The steps after state `after`, up to the one that makes state `before`; x: of its left edge."""

    after: int
    before: int
    x: float

    @property
    def key(self) -> str:
        """Its box."""
        return f"gap-{self.after}"

    @property
    def steps(self) -> range:
        """The steps that are not drawn."""
        return range(self.after + 1, self.before + 1)


def chosen(
    rec: Recording, elide: bool | None, show: Sequence[int] | None, lens: int | None
) -> tuple[int, ...]:
    """The steps to be drawn, in order.

    show: these; lens: the first and the last step, and one with its neighbours; elide: the first two, the
    last two, and the first of each other kind of step, by default if there are more than 40; else all.
    Raises TypeError or ValueError for steps that are not in the sequence.
    """
    T = len(rec.steps)
    if show is not None and lens is not None:
        raise ValueError("draw: show=... and lens=... both choose the steps that are drawn; pass one of them")
    if elide is False and (show is not None or lens is not None):
        raise ValueError("draw: elide=False draws every step, so show=... and lens=... choose nothing")
    if show is not None:
        steps = [_step(t, T, "show") for t in show]
        if not steps:
            raise ValueError("draw: show=[] draws no step; name at least one")
        return tuple(sorted(set(steps)))
    if lens is not None:
        t = _step(lens, T, "lens")
        return tuple(sorted({1, T, *range(max(t - 1, 1), min(t + 1, T) + 1)}))
    if elide is False or T <= (4 if elide else MOST):
        return tuple(range(1, T + 1))
    ends = {1, 2, T - 1, T}
    kinds = {rec.steps[t - 1].signature for t in ends}
    more: list[int] = []
    for t, step in enumerate(rec.steps, start=1):
        if len(more) < KINDS and step.signature not in kinds:
            kinds.add(step.signature)
            more.append(t)
    return tuple(sorted(ends | set(more)))


def _step(t: int, T: int, option: str) -> int:
    import operator

    try:
        t = operator.index(t)
    except TypeError:
        raise TypeError(f"draw: {option}={t!r}; pass whole numbers, time steps from 1 to {T:,}") from None
    if not 1 <= t <= T:
        raise ValueError(f"draw: {option}={t:,} is not a step of this sequence; they are 1 to {T:,}")
    return t


def stops(shown: Sequence[int], first: int, last: int) -> list[int]:
    """The states that are drawn, between state `first` and state `last`: those beside the steps shown."""
    return sorted(
        {first, last, *(t for t in shown if first < t <= last), *(t - 1 for t in shown if first < t <= last)}
    )


def spans(shown: Sequence[int], first: int, last: int) -> list[tuple[int, int, bool]]:
    """(state before, state after, whether it is a step that is drawn) from left to right."""
    known = set(shown)
    return [(a, b, b in known) for a, b in pairwise(stops(shown, first, last))]


def draw_gap(stage: Stage, pen: Pen, gap: Gap) -> None:
    """A narrow stack of frames with the number of steps in it; the state lines go in and out."""
    low, high = stage.edges
    x, y, h, n = gap.x + WIDTH / 2, (low + high) / 2, high - low, len(gap.steps)
    steps = f"step {gap.before}" if n == 1 else f"steps {gap.after + 1} to {gap.before}"
    pen.box(gap.key, x, y, WIDTH, h, "rounded", "frame", "frame_edge", kind="gap", tip=f"{steps}, not drawn")
    for i in (1, 2, 3):
        for side in (-1, 1):
            at = x + side * (WIDTH / 2 - 3.5 * i)
            pen.box(f"{gap.key}-{i}{'l' if side < 0 else 'r'}", at, y, 0.4, h - 8 - 6 * i, "box", "frame_edge",
                    "frame_edge", thick=0.8, kind="piece", lies_in=gap.key)  # fmt: skip
    words = [(f"{n:,} step{'s' * (n != 1)}", 12.0, True), ("not drawn", 9.0, False)]
    words.append((f"t = {gap.before}" if n == 1 else f"t = {gap.after + 1} … {gap.before}", 9.0, False))
    marks = sorted([low, *stage.lines, high])
    below, above = max(pairwise(marks), key=lambda m: m[1] - m[0])
    for i, (text, size, bold) in enumerate(words):
        at = (below + above) / 2 + 13 * (1 - i)
        pen.label(
            f"{gap.key}-text{i}", x, at, WIDTH - 26, text, "ink" if bold else "soft", size, bold, gap.key
        )
    for k, line in enumerate(stage.lines):
        _line(stage, pen, gap, k, line)


def _line(stage: Stage, pen: Pen, gap: Gap, k: int, y: float) -> None:
    """State line k into the gap and out of it."""
    half, dots = stage.sizes.state[0] / 2, 34.0
    if stage.rec.carried[gap.after][k] is not None:
        ends = (stage.state_x(gap.after) + half, y), (gap.x, y)
        pen.line(
            f"{gap.key}-in{k}", f"s{k}-{gap.after}", gap.key, ends, "ink", 2.4, arrow=False, kind="wire carry"
        )
    pen.label(f"{gap.key}-dots{k}", gap.x + WIDTH / 2, y, dots, "···", "ink", 14, True, gap.key)
    if stage.rec.carried[gap.before][k] is not None:
        ends = (gap.x + WIDTH, y), (stage.state_x(gap.before) - half, y)
        pen.line(f"{gap.key}-out{k}", gap.key, f"s{k}-{gap.before}", ends, "ink", 2.4, kind="wire carry")
