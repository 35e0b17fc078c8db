"""The fast path: a scan's program cut in three, run as straight-line code; no cell, no calculus.

`minigrad.scan` uses it by itself. Reading order: run (what happens to a scan), cut (before | inside | after
the loop), regroup and pack (rewrites that make the inside small), emit, storage and loop (the inside as numpy
with preallocated buffers), stacks (the outside, on all steps at once), memory. Where numba is: nests (the inside
as loops over rows and columns), kernels (compiled, and kept on disk), native and panels (what they call).
"""

from __future__ import annotations

from typing import Any

from ..engine.core import as_tensor, leaf
from ..engine.scan import scan
from ..engine.tree import leaves, tree_map
from . import run as run
from .run import Compiled as Compiled
from .run import Scanned as Scanned
from .run import StepByStep as StepByStep


def source(step: Any, state: Any, xs: Any, params: Any = None, **how: Any) -> str:
    """The code that runs `scan(step, state, xs, params)` and its gradient: the loops over time.

    how: truncate and reverse, as for scan. Raises what scan raises.
    """
    return "\n".join(dict.fromkeys(s.source for s in scanned(step, state, xs, params, **how)))


def scanned(step: Any, state: Any, xs: Any, params: Any = None, **how: Any) -> list[Scanned]:
    """The scans that run in `scan(step, state, xs, params)` and its gradient; arguments as for `source`."""

    def fresh(x: Any) -> Any:
        t = as_tensor(x)
        return leaf(t.value, t.dtype.kind == "f")

    with run.observed() as seen:
        results = scan(step, *(tree_map(fresh, tree) for tree in (state, xs, params)), **how)
        floats = [r.sum() for r in leaves(results) if r.dtype.kind == "f" and r.requires_grad]
        if floats:
            sum(floats[1:], floats[0]).backward()
    return seen


__all__ = ["Compiled", "Scanned", "StepByStep", "run", "scanned", "source"]
