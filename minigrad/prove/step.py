"""The step lemma at concrete sizes: vjp_F(delta) = (P^T delta, J^T delta), every entry a symbol.

The cell's own code runs on symbols, at any state, input, parameters and cotangents; what the engine's
sweep gives is compared, entry by entry, with the derivative of <delta, F>.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..domains.elementary import Derivation
from ..domains.exact import array
from ..domains.generators import fresh
from ..engine.core import Tensor, leaf, recording
from ..engine.grad import reachable, sweep
from ..engine.program import record
from .lemmas import Compared, compare, gradient, inner

Sizes = Mapping[str, int]


def size_names(cell: Cell) -> list[str]:
    """The names of a cell's sizes, in the order in which its arguments name them."""
    return list(dict.fromkeys(n for axes in cell.sizes.values() for size in axes for n in size if n))


def default_sizes(cell: Cell) -> list[dict[str, int]]:
    """Sizes of at least 2 that tell the axes apart, all of them 2, and all 1 (broadcasting's own case)."""
    names = size_names(cell)
    apart = {n: 3 - k if k < 2 else 2 + k for k, n in enumerate(names)}  # n = 3, d = 2, then 4, 5, ...
    return [apart | {"batch": 1}, dict.fromkeys([*names, "batch"], 2), dict.fromkeys([*names, "batch"], 1)]


def size_text(sizes: Sizes) -> str:
    """Sizes as they are written in a claim."""
    return ", ".join(f"{k} = {n}" for k, n in sizes.items())


def arguments(cell: Cell, sizes: Sizes, make: Callable[..., Any] = array) -> dict[str, Tensor]:
    """A leaf for each argument of the cell, its entries made by `make(name, *shape)`."""
    whole, batch = whole_inputs(cell), () if "batch" not in sizes else (sizes["batch"],)
    args = {}
    for k in cell.states + cell.inputs + cell.params:
        shape = (() if k in cell.params else batch) + cell.shape(k, sizes)
        args[k] = leaf(indices(shape, sizes) if k in whole else make(k, *shape), k not in whole, k)
    return args


def random_array(name: str, *shape: int) -> np.ndarray:
    """Numbers between 0.1 and 0.9, always the same ones for a name and shape."""
    return np.random.default_rng([len(name), *name.encode()]).uniform(0.1, 0.9, shape)


def indices(shape: tuple[int, ...], sizes: Sizes) -> np.ndarray:
    """Whole numbers that every axis of these sizes can be indexed by."""
    return (np.arange(math.prod(shape)) % min(2, *sizes.values())).reshape(shape)


@lru_cache(maxsize=64)
def whole_inputs(cell: Cell) -> frozenset[str]:
    """The inputs that hold whole numbers, such as the indices of words: the fewest with which the cell runs.

    Raises what the cell raises if it does not run with any.
    """
    first: Exception | None = None
    for k in range(len(cell.inputs) + 1):
        for whole in itertools.combinations(cell.inputs, k):
            try:
                _try(cell, whole)
            except (TypeError, IndexError) as e:
                first = first or e
            else:
                return frozenset(whole)
    assert first is not None
    raise first


def _try(cell: Cell, whole: Sequence[str]) -> None:
    """Run the cell on numbers, recorded, so that a branch on a value is seen."""
    sizes = default_sizes(cell)[0]
    names = cell.states + cell.inputs + cell.params
    shapes = {k: (2,) * (k not in cell.params) + cell.shape(k, sizes) for k in names}  # with a batch of 2
    values = [leaf(indices(s, sizes) if k in whole else random_array(k, *s)) for k, s in shapes.items()]
    k, last = len(cell.states), len(cell.states) + len(cell.inputs)

    def step(*xs: Tensor) -> tuple[Tensor, ...]:
        new, y = cell.advance(xs[:k], xs[k:last], dict(zip(cell.params, xs[last:], strict=True)))
        return (*new, y)

    record(step, values, watch=False)


def outputs(cell: Cell, args: Mapping[str, Tensor]) -> list[Tensor]:
    """The new states, and after them the output, if it is not the first state.

    Raises TraceError if the cell branches on a tensor's value, ShapeError as `Cell.advance`.
    """
    names, k = list(args), len(cell.states)
    ends = k, k + len(cell.inputs)

    def step(*xs: Tensor) -> list[Tensor]:
        new, y = cell.advance(
            xs[:k], xs[k : ends[1]], dict(zip(names[ends[1] :], xs[ends[1] :], strict=True))
        )
        return [*new, *([] if any(y is s for s in new) else [y])]

    program, captured = record(step, list(args.values()), names, watch=False)
    with recording("all"):
        return program.on_tensors([*args.values(), *captured])


def step_lemma(cell: Cell, sizes: Sizes) -> tuple[list[Compared], list[str]]:
    """How the engine's gradient of each argument compares with the true one, and the side conditions."""
    with fresh() as atoms:
        args = arguments(cell, sizes)
        return function_lemma(lambda: outputs(cell, args), args), list(atoms.conditions)


def function_lemma(run: Callable[[], Sequence[Tensor]], args: Mapping[str, Tensor]) -> list[Compared]:
    """The same for any function of symbols: run() gives its outputs, computed from the leaves in args."""
    outs = run()
    args = {k: x for k, x in args.items() if x.requires_grad}
    deltas = [array(f"delta{k}", *o.shape) for k, o in enumerate(outs)]
    found = sweep(outs, [leaf(d) for d in deltas], list(args.values()), graph=False)
    phi, d = inner(deltas, [o.value for o in outs]), Derivation()
    return [
        compare(f"d {k}", None if g is None else g.value, gradient(phi, x.value, d))
        for (k, x), g in zip(args.items(), found, strict=True)
    ]


def recorded(run: Callable[[], Sequence[Tensor]]) -> Sequence[Tensor]:
    """What run() gives, with its graph."""
    with recording("all"):
        return run()


def operations(outs: Iterable[Tensor]) -> list[Tensor]:
    """The nodes that an operation made."""
    return [t for t in reachable(list(outs)) if t.op is not None]
