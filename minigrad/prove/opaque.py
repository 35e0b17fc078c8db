"""A cell's arguments as opaque arrays of symbolic size, and what its step gives for them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell, Size
from ..domains.contractions import TooLong, budget
from ..domains.sizes import INDICES, NUMBERS, Blocks, Sized, Undecided, array
from ..engine.core import Tensor, leaf, recording
from .layer import whose_line

MOST_PRODUCTS = 20_000  # of a cell's own formulas: 1 to 3 s


def blocks(size: Size, case: Mapping[str, Blocks]) -> Blocks:
    """A declared size as blocks, with the names in `case` replaced."""
    return tuple(
        block for name, k in size.items() for block in (case.get(name, (name,)) if name else (1,)) * k
    )


def opaque_arguments(
    cell: Cell, case: Mapping[str, Blocks] | Collection[str] = (), batch: tuple[Any, ...] = ("b",),
    tokens: Collection[str] = (),
) -> dict[str, Sized]:  # fmt: skip
    """Every argument of the cell as an opaque tensor of symbolic size.

    case: what size names stand for, or the names of those that are 1; tokens: the inputs that are indices.
    """
    case = case if isinstance(case, Mapping) else dict.fromkeys(case, (1,))
    lead = tuple(case.get(n, (n,)) for n in batch)
    return {
        name: array(
            name, *(() if name in cell.params else lead), *(blocks(s, case) for s in cell.sizes[name]),
            dtype=INDICES if name in tokens else NUMBERS,
        )
        for name in cell.states + cell.inputs + cell.params
    }  # fmt: skip


def token_inputs(cell: Cell) -> tuple[str, ...]:
    """The inputs that the cell looks up with: without axes of their own, and it refuses numbers there."""
    scalar = [n for n in cell.inputs if not cell.sizes[n]]
    sizes = {n: 2 for axes in cell.sizes.values() for size in axes for n in size}
    numbers = {
        k: np.full((() if k in cell.params else (2,)) + cell.shape(k, sizes), 0.5)
        for k in cell.states + cell.inputs + cell.params
    }
    for r in range(len(scalar) + 1):
        for tokens in itertools.combinations(scalar, r):
            try:
                with recording("off"), np.errstate(all="ignore"):
                    arrays = {k: v.astype(int) if k in tokens else v for k, v in numbers.items()}
                    step_outputs(cell, {k: leaf(v) for k, v in arrays.items()})
            except TypeError:
                continue
            return tokens
    return ()


def step_outputs(cell: Cell, args: dict[str, Tensor]) -> list[Tensor]:
    """The new states, and the output if it is another tensor. Raises Undecided if their formulas grow too long."""
    try:
        with budget(MOST_PRODUCTS):
            result = cell.fn(*(args[k] for k in cell.states + cell.inputs), **{k: args[k] for k in cell.params})
    except TooLong as e:
        raise Undecided(f"formulas of more than {MOST_PRODUCTS} products{whose_line(e)}") from None
    new, y = cell.outputs(result)
    return [*new, *([y] if all(y is not s for s in new) else [])]
