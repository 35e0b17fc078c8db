"""Level "symbols": the textbook's parts with their equations in them, as the code has them."""

from __future__ import annotations

from dataclasses import replace

from .equations import Equations
from .fold import GATELIKE, Drawn, Part
from .names import text_width
from .steps import Recording

SIZE = 8.5  # of an equation in a gate
PITCH = 11.0
WIDEST = 340.0  # of a gate


class Symbols:
    """The equations of the parts of every step."""

    def __init__(self, rec: Recording) -> None:
        self.rec, self.known = rec, dict[int, Equations]()

    def lines(self, t: int, p: Part) -> list[str]:
        """What part p of step t computes, one line for each variable in it."""
        if t not in self.known:
            self.known[t] = Equations(self.rec, t)
        return self.known[t].of_part(p)

    def labelled(self, drawn: Drawn, t: int) -> Drawn:
        """A step like t with equations for signs; the last step has the widest."""
        parts = {
            k: p if p.kind in (*GATELIKE, "joint") else replace(p, text=self.lines(t, p)[-1])
            for k, p in drawn.parts.items()
        }
        return replace(drawn, parts=parts)

    def room(self, drawn: Drawn, t: int) -> tuple[float, float]:
        """Width and height of the equations in the gates of a step."""
        texts = [self.lines(t, p) for p in drawn.parts.values() if p.kind in GATELIKE]
        width = max((text_width(line, SIZE) for text in texts for line in text), default=0.0)
        return min(width + 10, WIDEST), PITCH * max(map(len, texts), default=0)
