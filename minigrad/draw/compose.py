"""Recording to Scene: the stage is set once per kind of step, and stamped once per time step."""

from __future__ import annotations

from .flow import draw_gradients, draw_loss
from .measure import Numbers
from .rails import draw_rails
from .scene import Scene
from .stage import Options, Pen, Stage
from .stamp import draw_state, draw_step
from .steps import Recording


def compose(rec: Recording, options: Options, numbers: Numbers | None, title: str) -> Scene:
    """The scene of T steps, with the states between them, the parameters below, and the gradients."""
    stage, pen = Stage(rec, options, numbers), Pen(Scene(title))
    for t in range(1, stage.T + 1):
        draw_step(stage, pen, t)
    for t in range(stage.T + 1):
        for k in range(len(stage.lines)):
            draw_state(stage, pen, t, k)
    if any(s.drawn.taps for s in stage.steps):
        draw_rails(stage, pen)
    if numbers is not None:
        draw_gradients(stage, pen)
    draw_loss(stage, pen)
    pen.scene.description = describe(stage)
    return pen.scene


def describe(stage: Stage) -> str:
    """The picture in words, for those who cannot see it."""
    rec, T = stage.rec, stage.T
    text = f"A graph of {T} time steps, left to right." if rec.timed and T > 1 else "A graph of one step."
    if rec.states:
        text += (
            f" State{'s' * (len(rec.states) > 1)} {', '.join(rec.states)} pass from each step to the next."
        )
    parts = stage.steps[0].drawn.parts.values()
    if gates := [f"{p.name} ({p.label})" for p in parts if p.kind == "gate" and p.name]:
        text += f" Gates of a step: {', '.join(gates)}."
    if rec.param_names:
        text += f" Parameters, shared by all steps: {', '.join(rec.param_names)}."
    for k, name in enumerate(rec.states):
        norms = [stage.norm(row[k]) for row in rec.carried]
        if any(n is not None for n in norms):
            row = ", ".join("none" if n is None else f"{n:.2e}" for n in norms)
            text += f" Norm of dL/d{name} from step 0 to {T}: {row}."
    return text
