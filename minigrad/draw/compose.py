"""Recording to Scene: the stage is set once per kind of step, and stamped once per time step."""

from __future__ import annotations

from collections.abc import Sequence

from .elide import draw_gap
from .flow import draw_gradients, draw_loss
from .measure import Numbers
from .rails import draw_rails
from .ribbon import draw_ribbon
from .scene import Scene
from .stage import Options, Pen, Stage
from .stamp import draw_state, draw_step
from .steps import Recording
from .unlike import draw_unlike


def compose(
    rec: Recording, options: Options, numbers: Numbers | None, title: str, shown: Sequence[int] | None = None
) -> Scene:
    """The scene of T steps, with the states between them, the parameters below, and the gradients.

    shown: the steps that are drawn; by default all.
    """
    return staged(Stage(rec, options, numbers, shown), title)


def staged(stage: Stage, title: str, ribbon: bool = True) -> Scene:
    """The scene of a stage; ribbon: whether the whole sequence stands above one with gaps."""
    pen, numbers = Pen(Scene(title)), stage.numbers
    for t in stage.shown:
        draw_step(stage, pen, t)
    for gap in stage.gaps:
        draw_gap(stage, pen, gap)
    for t in stage.stops:
        for k in range(len(stage.lines)):
            draw_state(stage, pen, t, k)
    if any(s.drawn.taps for s in stage.kinds):
        draw_rails(stage, pen)
    if numbers is not None:
        draw_gradients(stage, pen)
    draw_loss(stage, pen)
    draw_unlike(stage, pen)
    if stage.gaps and ribbon:
        draw_ribbon(stage, pen)
    pen.scene.description = describe(stage)
    return pen.scene


def describe(stage: Stage) -> str:
    """The picture in words, for those who cannot see it."""
    rec, T = stage.rec, stage.T
    text = f"A graph of {T} time steps, left to right." if rec.timed and T > 1 else "A graph of one step."
    if stage.gaps:
        hidden = [f"{g.after + 1} to {g.before}" for g in stage.gaps]
        text += f" Steps {', '.join(hidden)} are not drawn."
    if rec.states:
        text += (
            f" State{'s' * (len(rec.states) > 1)} {', '.join(rec.states)} pass from each step to the next."
        )
    parts = stage.kinds[0].drawn.parts.values()
    if gates := [f"{p.name} ({p.label})" for p in parts if p.kind == "gate" and p.name]:
        text += f" Gates of a step: {', '.join(gates)}."
    if rec.param_names:
        text += f" Parameters, shared by all steps: {', '.join(rec.param_names)}."
    for k, name in enumerate(rec.states):
        norms = [stage.norm(rec.carried[t][k]) for t in stage.stops]
        if any(n is not None for n in norms):
            row = ", ".join("none" if n is None else f"{n:.2e}" for n in norms)
            steps = f" at steps {', '.join(map(str, stage.stops))}" if stage.gaps else f" from step 0 to {T}"
            text += f" Norm of dL/d{name}{steps}: {row}."
    return text
