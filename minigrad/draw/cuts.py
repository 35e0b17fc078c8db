"""Truncated backpropagation through time: the graph with the cuts in it, what they lose, and their lines.

The graph is computed again, row by row of the engine's table, with `stop_gradient` wherever a step reads
what was made before a cut; so the gradients in the picture are the engine's, of that graph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..engine.core import Tensor, recording
from ..engine.functions import stop_gradient
from ..engine.grad import reachable
from ..engine.truncation import Truncation
from .measure import Numbers
from .names import text_width
from .stage import GAP, Pen, Stage
from .steps import Recording


@dataclass(frozen=True)
class Cuts:
    """Where the gradient is cut; lost: per parameter, the norm of what is lost over that of the whole."""

    truncation: Truncation
    lost: tuple[float, ...]
    total: float  # the same of all parameters together

    @property
    def steps(self) -> list[int]:
        """Steps whose incoming state passes no gradient back."""
        return self.truncation.cuts

    def __str__(self) -> str:
        if not self.steps:
            return str(self.truncation)
        where = ", ".join(map(str, self.steps[:6])) + (", …" if len(self.steps) > 6 else "")
        return f"truncate={self.truncation.k}: the gradient is cut at step {where}; {self.total:.0%} of W.grad is lost"


def truncated(rec: Recording, k: int) -> Recording:
    """The same steps and loss, through which no gradient flows from step k+1 to k, 2k+1 to 2k, and so on.

    Raises ValueError if k is not a number of steps.
    """
    cut = Truncation(len(rec.steps), k)
    made = {s.id: 0 for s in rec.carried[0] if s is not None}
    made |= {n.id: t for t, step in enumerate(rec.steps, start=1) for n in step.nodes}
    copy: dict[int, Tensor] = {}
    stopped: dict[int, Tensor] = {}

    def read(n: Tensor, x: Tensor) -> Tensor:
        crossed = n.id in made and x.id in made and not cut.keeps(made[n.id], made[x.id])
        if crossed and x.id not in stopped:
            stopped[x.id] = stop_gradient(copy[x.id])
        return (stopped if crossed else copy)[x.id]

    everything = [n for step in rec.steps for n in step.nodes]
    with recording("all"), np.errstate(all="ignore"):
        for n in reachable([*everything, *([rec.loss] if rec.loss is not None else [])]):
            if n.op is None:
                copy[n.id] = n
            else:
                new = n.op(*(read(n, x) for x in n.inputs), **n.params)
                copy[n.id], new.name, new.note = new, n.name, n.note

    def now(x: Tensor) -> Tensor:
        return copy.get(x.id, x)

    return replace(
        rec, params=tuple(map(now, rec.params)),
        carried=tuple(tuple(None if s is None else now(s) for s in row) for row in rec.carried),
        steps=tuple(
            replace(
                s, nodes=tuple(map(now, s.nodes)), inputs=tuple(map(now, s.inputs)), consts=tuple(map(now, s.consts))
            )
            for s in rec.steps
        ),
        loss=None if rec.loss is None else now(rec.loss), read_by_loss=frozenset(copy[i].id for i in rec.read_by_loss),
    )  # fmt: skip


def cuts_of(rec: Recording, k: int, whole: Numbers, kept: Numbers) -> Cuts:
    """What truncation loses of the gradient of each parameter."""
    zero = np.zeros(())
    pairs = [(zero if a is None else a, zero if b is None else b) for a, b in zip(whole.total, kept.total, strict=True)]
    off = [float(np.linalg.norm(a - b)) for a, b in pairs]
    size = [float(np.linalg.norm(a)) for a, _ in pairs]
    lost = tuple(a / b if b else 0.0 for a, b in zip(off, size, strict=True))
    total = float(np.linalg.norm(size))
    return Cuts(Truncation(len(rec.steps), k), lost, float(np.linalg.norm(off)) / total if total else 0.0)


def draw_cuts(stage: Stage, pen: Pen) -> None:
    """A dashed line across all states at each cut that is drawn."""
    low, high = stage.edges
    for c in stage.options.cuts.steps if stage.options.cuts else ():
        if c not in stage.shown or c == stage.first + 1:
            continue
        x = stage.state_x(c - 1) + stage.sizes.state[0] / 2 + GAP / 2
        ends, keys = ((x, high + 3), (x, low)), (f"cut-{c}-top", f"cut-{c}-low")
        for key, (_, y) in zip(keys, ends, strict=True):
            pen.box(key, x, y, 2.5, 2.5, "ellipse", "gradient", "gradient", kind="cut joint")
        pen.line(
            f"cut-{c}", *keys, ends, "gradient", 1.6, arrow=False, dashed=True, kind="cut",
            tip=f"no gradient flows from step {c} back to step {c - 1}",
        )  # fmt: skip
        w = text_width("cut", 9, True) + 2
        pen.label(f"cut-{c}-word", x - 2 - w / 2, high + 10, w, "cut", "gradient", 9, True)
