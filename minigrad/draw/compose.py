"""Recording to Scene: the stage is set once per kind of step, and stamped once per time step."""

from __future__ import annotations

from collections.abc import Sequence

from .cuts import draw_cuts
from .elide import draw_gap
from .flow import draw_gradients, draw_loss
from .measure import Numbers
from .notes import draw_notes
from .rails import draw_rails
from .ribbon import draw_ribbon
from .scene import Scene
from .stage import Options, Pen, Stage
from .stamp import draw_state, draw_step
from .steps import Recording
from .unlike import draw_unlike
from .words import describe


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
    if stage.rec.params:
        draw_rails(stage, pen)
    if numbers is not None:
        draw_gradients(stage, pen)
    draw_cuts(stage, pen)
    draw_loss(stage, pen)
    draw_unlike(stage, pen)
    if stage.gaps and ribbon:
        draw_ribbon(stage, pen)
    draw_notes(stage, pen)
    pen.scene.description = describe(stage)
    return pen.scene
