"""`as_cell`: a cell from a plain function, its shapes read off example arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..engine.core import as_tensor
from .cell import Cell, roles
from .shapes import Size, evaluate, size_text


def as_cell(fn: Callable[..., Any], **examples: Any) -> Cell:
    """The Cell of a plain function: as_cell(f, h=randn(3), x=randn(2), W=randn(2, 3), U=randn(3, 3)).

    Examples of states and inputs have no batch axes. The last axis of the first state is called n, that of
    the first input d. Any other axis of size n, d, n+d, 2*n, 3*n or 4*n is read as that; one of another
    size gets a name of its own (q, q2, ...).
    Raises ValueError where the numbers allow two readings: examples of other sizes, such as n=3 and d=2,
    tell them apart; TypeError if an argument has no example.
    """
    states, inputs, params = roles(fn)
    names, who = states + inputs + params, f"as_cell {fn.__name__}"
    if missing := [n for n in names if n not in examples]:
        raise TypeError(f"{who}: no example for {missing}; pass {missing[0]}=...")
    if extra := [n for n in examples if n not in names]:
        raise TypeError(f"{who}: examples for {extra}, which are not its arguments")
    shapes = {name: as_tensor(examples[name]).shape for name in names}
    dims = {
        size: shapes[args[0]][-1] for size, args in (("n", states), ("d", inputs)) if args and shapes[args[0]]
    }

    def read(argument: str, number: int) -> Size:
        found = _readings(number, dims)
        if len(found) > 1:
            raise ValueError(
                f"{who}: size {number} of argument {argument} can be read as "
                f"{' or '.join(map(size_text, found))}; give examples of sizes that tell them apart, "
                "such as n=3 and d=2"
            )
        if not found:
            name = next(q for q in ("q", *(f"q{i}" for i in range(2, 100))) if q not in dims)
            dims[name] = number
            return {name: 1}
        return found[0]

    sizes = {name: tuple(read(name, number) for number in shapes[name]) for name in names}
    return Cell(fn, fn.__name__, states, inputs, params, sizes, inspect.getdoc(fn) or "")


def _readings(number: int, dims: dict[str, int]) -> list[Size]:
    """The sizes of the usual forms that are `number` under the sizes known so far."""
    forms: list[Size] = [{name: 1} for name in dims]
    if "n" in dims:
        forms += [{"n": 1, "d": 1}] * ("d" in dims) + [{"n": k} for k in (2, 3, 4)]
    return [form for form in forms if evaluate(form, dims) == number]
