"""A cell's gradients in floating point, on the numbers that `AtSizes` has for the lemma's opaque tensors."""

from __future__ import annotations

import numpy as np
from at_sizes import AtSizes

from minigrad.domains.sizes import INDICES, fresh
from minigrad.engine.core import leaf, recording
from minigrad.engine.grad import reachable, sweep
from minigrad.prove import anysize
from minigrad.prove.anysize import opaque_arguments, token_inputs

GENERAL = {"b": 2, "n": 3, "d": 4, "q": 5, "p": 2, "k": 3, "m": 4}


def rows_of(c):
    """The rows of the table that the cell's graph uses and that have a vjp."""
    with fresh(), recording("all"):
        args = {k: leaf(v) for k, v in opaque_arguments(c, tokens=token_inputs(c)).items()}
        nodes = reachable(anysize.step_outputs(c, args))
    return sorted({t.op.name for t in nodes if t.op is not None and t.op.vjp is not None})


class InFloats:
    """The cell at concrete sizes, on the very numbers that `at` has for the lemma's opaque tensors."""

    def __init__(self, c, sizes, seed=0):
        self.cell, self.at = c, AtSizes(sizes, seed)
        with fresh():
            opaque = opaque_arguments(c, tokens=token_inputs(c))
            outs = anysize.step_outputs(c, {k: leaf(v) for k, v in opaque.items()})
            draw = {k: (v.axes, 2 if v.dtype == INDICES else None) for k, v in opaque.items()}
            draw |= {f"delta_{k}": (o.value.axes, None) for k, o in enumerate(outs)}
        self.numbers = {k: self.at.draw(k, *axes, below=below)[1] for k, (axes, below) in draw.items()}

    def gradients(self):
        args = {
            k: leaf(v, v.dtype.kind == "f") for k, v in self.numbers.items() if not k.startswith("delta_")
        }
        with recording("grad"):
            outs = anysize.step_outputs(self.cell, args)
        deltas = [leaf(self.numbers[f"delta_{k}"]) for k in range(len(outs))]
        wrt = {k: t for k, t in args.items() if t.requires_grad}
        found = sweep(outs, deltas, list(wrt.values()), graph=False)
        return {
            k: np.zeros(t.shape) if g is None else g.numpy()
            for (k, t), g in zip(wrt.items(), found, strict=True)
        }

    def changed(self, right):
        """The arguments whose gradient is not `right`."""
        return {k for k, g in self.gradients().items() if not np.allclose(g, right[k], rtol=1e-9, atol=1e-12)}
