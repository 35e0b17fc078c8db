"""The rolled view: one step that stands for all, each state's loop through a delay of one step (z⁻¹).

The step is the recorded one, part by part at its place, so nothing is merged that is not one thing:
an LSTM's three sigmoids stay three. A run whose steps are not all alike says which ones are not drawn.
"""

from __future__ import annotations

from dataclasses import replace

from .compose import staged
from .names import pretty, text_width
from .scene import Scene
from .stage import Options, Pen, Stage
from .steps import Recording
from .unlike import lines, notes

PITCH = 16.0  # between the loops, at the sides
LANE = 30.0  # between the loops, above the step
DELAY = (36.0, 20.0)


def compose_rolled(rec: Recording, options: Options, title: str) -> Scene:
    """The scene of one step at time t, its states led back from its right to its left.

    Raises ValueError for a graph whose steps hand nothing on, and for options.values.
    """
    if options.values:
        raise ValueError("draw: rolled=True draws one step for all, so it has no numbers; leave values away")
    every = Stage(rec, options, None)
    like = [t for t in range(1, every.T + 1) if t not in every.unlike]
    t = max(like, key=lambda t: len(_back(rec, t)))
    if not _back(rec, t):
        raise ValueError("draw: rolled=True needs time steps with a state that enters the next one; none is found")
    one = replace(
        rec, steps=(rec.steps[t - 1],), carried=rec.carried[t - 1 : t + 1], loss=None, read_by_loss=frozenset()
    )
    stage = _AnyStep(one, options, None)
    stage.times = len(like)
    scene = staged(stage, title)
    pen = Pen(scene)
    back = _back(rec, t)
    top = scene.bounds()[3] + 18
    for i, k in enumerate(sorted(back, key=lambda k: -stage.lines[k])):
        _loop(stage, pen, k, PITCH * i, top + LANE * options.type * i, rec.carried[0][k] is not None)
    notes(pen, [f"not drawn: {line}" for line in lines(every.unlike)])
    names = " and ".join(rec.states[k] for k in back)
    scene.description = (
        f"One step that stands for {len(like)} of {every.T}. {names} leave{'s' * (len(back) < 2)} it at the "
        f"right and come{'s' * (len(back) < 2)} back at the left through a delay of one step. "
        + scene.description
        + "".join(f" Not drawn: {line}." for line in lines(every.unlike))
    )
    return scene


def _back(rec: Recording, t: int) -> list[int]:
    """The states that enter step t and leave it."""
    before, after = rec.carried[t - 1 : t + 1]
    return [k for k, (a, b) in enumerate(zip(before, after, strict=True)) if a is not None and b is not None]


class _AnyStep(Stage):
    """The stage of one step, at time t."""

    times = 1

    @property
    def delay(self) -> tuple[float, float]:
        """Size of a delay's box."""
        return DELAY[0] * self.options.type, DELAY[1] * self.options.type

    def name(self, name: str, t: int) -> str:
        """A name with a t."""
        return pretty(name) + "ₜ"

    def state_name(self, t: int, k: int) -> str:
        """The name of a state before (t = 0) or after (t = 1) the step."""
        return pretty(self.rec.states[k]) + ("ₜ" if t else "ₜ₋₁")

    def heading(self, t: int) -> str:
        """How many steps this one stands for."""
        return f"× {self.times:,}"


def _loop(stage: _AnyStep, pen: Pen, k: int, aside: float, top: float, starts: bool) -> None:
    """State k from the right of the step over its top to the left, through a delay."""
    y, half = stage.lines[k], stage.sizes.state[0] / 2
    (a, b), (w, h), key = (stage.state_x(1) + half, stage.state_x(0) - half), stage.delay, f"delay{k}"
    right, left, x = a + 20 + aside, b - 20 - aside, (a + b) / 2
    name = pretty(stage.rec.states[k])
    tip = f"delay of one step: {name} comes back as the state that enters the next step"
    size = 12.0 * stage.options.type
    pen.box(key, x, top, w, h, "box", "state", "ink", "z⁻¹", size=size, kind=f"delay state{k}", tip=tip)
    way, kind = ((a, y), (right, y), (right, top), (x + w / 2, top)), f"wire carry loop state{k}"
    pen.line(f"{key}-in", f"s{k}-1", key, way, "ink", 2.4, kind=kind)
    way = ((x - w / 2, top), (left, top), (left, y), (b, y))
    pen.line(f"{key}-out", key, f"s{k}-0", way, "ink", 2.4, kind=kind)
    if starts:
        text = f"{name}₀ at t = 1"
        size *= 0.75
        width = text_width(text, size) + 4
        pen.label(f"{key}-start", x - w / 2 - 12 - width / 2, top + size / 2 + 6, width, text, "soft", size)
