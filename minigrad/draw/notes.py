"""What is said below a picture: the check of the taps, and what hatching means."""

from __future__ import annotations

from .scene import HIGH, LOW, Scene
from .stage import Pen, Stage
from .unlike import notes


def draw_notes(stage: Stage, pen: Pen) -> None:
    """The notes of this picture, below all that is drawn so far."""
    if stage.last == stage.T:
        notes(pen, words(stage, pen.scene), "soft", "said")


def words(stage: Stage, scene: Scene) -> list[str]:
    """The notes of a scene."""
    found = []
    if stage.numbers is not None and any(b.kind.startswith("param") for b in scene.boxes):
        found.append(f"Σ taps = W.grad, max error {stage.numbers.check:.1e}")
    if stage.options.cuts is not None:
        found.append(str(stage.options.cuts))
    if any(s.hatched and not all(LOW <= v <= HIGH for v in s.values) for s in scene.strips):
        found.append(f"hatched: a gate below {LOW} or above {HIGH}")
    return found
