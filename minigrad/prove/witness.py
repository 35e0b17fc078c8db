"""Whole gradients for a few steps, compared entry by entry: what the induction says, seen to happen.

exact: the four ways of `bptt` against the derivative of the unrolled loss. sympy: the same against sympy.diff
of the unrolled loss, which shares no calculus with this package. In both every intermediate value of the cell
is let-bound (given a name), so that values do not grow with T; gradients do, as the number of paths does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..domains import exact, symbols
from ..domains.elementary import Derivation
from ..domains.generators import fresh
from ..domains.polynomial import Poly
from ..engine.core import Primitive, Tensor, leaf, recording
from ..engine.grad import reachable
from .bptt import Gradients, Loss, Problem
from .equality import from_sympy
from .lemmas import Compared, compare, gradient
from .progress import Progress, silent
from .step import Sizes, indices, whole_inputs

WAYS: dict[str, Callable[[Problem], Gradients]] = {
    "unrolled": Problem.by_unrolling, "scan": Problem.by_scan,
    "recursion": Problem.by_recursion, "closed form": Problem.by_closed_form,
}  # fmt: skip
BIND = Primitive("bind", "pointwise", "{0}", lambda m, x: m.bind(x), lambda g, y, x: (g,))


def let_bound(cell: Cell) -> Cell:
    """The same cell on symbols, where every intermediate value is a name for what it is."""

    def fn(*args: Tensor, **params: Tensor) -> list[Tensor]:
        outs = cell.fn(*args, **params)
        outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
        env = {t.id: t for t in (*args, *params.values())}
        for t in reachable(outs):
            if t.id not in env and t.op is not None:
                new = t.op(*(env[x.id] for x in t.inputs), **t.params)
                symbolic = isinstance(new.m, symbols.Symbols) and not isinstance(new.value, tuple)
                env[t.id] = BIND(new) if symbolic else new
            env.setdefault(t.id, t)
        return [env[o.id] for o in outs]

    return replace(cell, fn=fn)


def problem(cell: Cell, sizes: Sizes, T: int, loss: Loss, make: Callable[..., Any]) -> Problem:
    """T steps of the cell with entries made by `make(name, *shape)`; targets have the shape of the output."""
    lead = (sizes["batch"],) if "batch" in sizes else ()

    def entry(name: str, *shape: int) -> Tensor:
        return leaf(make(name, *shape), True, name)

    whole = whole_inputs(cell)
    state = tuple(entry(f"{s}0", *lead, *cell.shape(s, sizes)) for s in cell.states)
    shapes = {x: (T, *lead, *cell.shape(x, sizes)) for x in cell.inputs}
    xs = tuple(leaf(indices(s, sizes)) if x in whole else entry(f"{x}s", *s) for x, s in shapes.items())
    params = {p: entry(p, *cell.shape(p, sizes)) for p in cell.params}
    with recording("off"):
        _, y = cell.advance(state, [x[0] for x in xs], params)
    targets = [entry(f"target{t}", *y.shape) for t in range(1, T + 1)]
    return Problem(cell, state, xs, params, loss, targets)


def exact_witness(
    cell: Cell, sizes: Sizes, T: int, loss: Loss, progress: Progress = silent
) -> tuple[list[Compared], list[str]]:
    """The four ways against the derivative of the unrolled loss, and the side conditions."""
    with fresh() as atoms:
        p = _whole(replace(problem(cell, sizes, T, loss, exact.array), cell=let_bound(cell)))
        L: Poly = p.unrolled_loss().value.item()
        d = Derivation()
        true = {k: gradient(L, x.value, d) for k, x in p.wanted.items()}
        return _compared(p, true, lambda v: v, progress), list(atoms.conditions)


def sympy_witness(
    cell: Cell, sizes: Sizes, T: int, loss: Loss, progress: Progress = silent
) -> tuple[list[Compared], list[str]]:
    """The four ways, run on sympy expressions, against sympy.diff of the unrolled loss."""
    with fresh() as atoms:
        p = _whole(replace(problem(cell, sizes, T, loss, symbols.array), cell=let_bound(cell)))
        known: dict[Any, Poly] = {}

        def polys(v: Any) -> Any:
            return np.frompyfunc(lambda e: from_sympy(e, known), 1, 1)(v)

        true = {k: polys(v) for k, v in p.by_sympy().items()}
        return _compared(p, true, polys, progress), list(atoms.conditions)


def _whole(p: Problem) -> Problem:
    """The same for a multiple of the loss, in whole numbers, which are twice as fast (2026-11-21)."""
    k, loss = p.steps * p.targets[0].value.size, p.loss
    return replace(p, loss=lambda o, y: loss(o, y) * k)


def _compared(p: Problem, true: Gradients, polys: Callable[[Any], Any], progress: Progress) -> list[Compared]:
    """Every gradient by every way against the true ones."""
    found = []
    for n, (way, run) in enumerate(WAYS.items()):
        progress(way, n / len(WAYS))
        found += [compare(f"{way}, T = {p.steps}: dL/d{k}", polys(v), true[k]) for k, v in run(p).items()]
    return found
