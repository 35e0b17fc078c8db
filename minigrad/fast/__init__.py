"""The fast path: a scan's program cut in three, run as straight-line code; no cell, no calculus.

`minigrad.scan` uses it by itself. Reading order: run (what happens to a scan), cut (before | inside | after
the loop), regroup and pack (rewrites that make the inside small), emit, storage and loop (the inside as numpy
with preallocated buffers), stacks (the outside, on all steps at once), sums (over time), memory. Where numba is:
nests (the inside as loops over rows and columns), kernels and cache (compiled, and kept on disk), native and
panels (what they call).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..engine.core import as_tensor, leaf
from ..engine.grad import grad, hvp
from ..engine.scan import scan
from ..engine.tree import leaves, rebuild, tree_map
from . import run as run
from .run import Compiled as Compiled
from .run import Scanned as Scanned
from .run import StepByStep as StepByStep


def source(step: Any, state: Any, xs: Any, params: Any = None, **how: Any) -> str:
    """The code that runs `scan(step, state, xs, params)` and its gradient: the loops over time.

    how: truncate and reverse, as for scan. Raises what scan raises.
    """
    return "\n".join(dict.fromkeys(s.source for s in scanned(step, state, xs, params, **how)))


def stored(step: Any, state: Any, xs: Any, params: Any = None, **how: Any) -> dict[str, int]:
    """What `scan(step, state, xs, params)` keeps of each step for its gradient: how many numbers, by name.

    The stacked outputs are among them; the sequences xs are not. A state is kept once, though steps both enter
    and leave with it. how: as for `source`. Raises what scan raises.
    """
    first = scanned(step, state, xs, params, **how)[0]
    program, s, k = first.program, first.layout.n_state, first.layout.n_stack
    leave = dict(zip(program.outputs[:s], range(s), strict=True))
    slots = dict.fromkeys(leave.get(o, o) for o in program.outputs[s : s + k])
    names = program.slot_names()
    return {names[o]: math.prod(program.shape(o)) for o in slots}


def scanned(step: Any, state: Any, xs: Any, params: Any = None, order: int = 1, **how: Any) -> list[Scanned]:
    """The scans that run in `scan(step, state, xs, params)` and its gradient; arguments as for `source`.

    order: 0 without the gradient; 2 with the gradient of a function of the gradient (a Hessian times a vector).
    """
    args = tree_map(as_tensor, (state, xs, params))
    floats = [x.dtype.kind == "f" for x in leaves(args)]

    def total(free: Sequence[Any]) -> Any:
        found = iter(free)
        every = (next(found) if f else x for f, x in zip(floats, leaves(args), strict=True))
        results = leaves(scan(step, *rebuild(args, list(every)), **how))
        parts = [r.sum() for r in results if r.dtype.kind == "f" and (r.requires_grad or not order)]
        return sum(parts[1:], parts[0]) if parts else leaf(0.0)

    start = tuple(leaf(x.value) for x, f in zip(leaves(args), floats, strict=True) if f)
    with run.observed() as seen:
        if order == 2:
            hvp(total, start, start)
        else:
            (grad(total) if order else total)(start)
    return seen


__all__ = ["Compiled", "Scanned", "StepByStep", "run", "scanned", "source", "stored"]
