"""equal(a, b): two cells are the same function, under a map of their weights; at concrete sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..cells.cell import Cell
from ..domains.generators import fresh
from ..engine.core import Tensor, leaf
from ..engine.functions import concatenate
from .layer import Found, layer
from .lemmas import Compared, compare
from .measure import random_arguments
from .report import Proof
from .step import Sizes, arguments, default_sizes, outputs, size_text

Weight = str | Sequence[str] | Callable[[Mapping[str, Tensor]], Tensor]


def equal(
    a: Cell, b: Cell, weights: Mapping[str, Weight] | None = None, fixed: Mapping[str, float] | None = None,
    sizes: Sequence[Sizes] | None = None,
) -> Proof:  # fmt: skip
    """Proof that a gives the states and output of b, for every state, input and weights of b.

    weights: a's parameters from b's, each as the name of one, as several names whose rows stand one under the
    other, or as a function of b's parameters; a parameter that is not named is b's of the same name.
    fixed: parameters of b that are held at a number, such as {"b_z": 0}. sizes: as for `prove`.
    Raises TypeError if the two differ in their number of states, inputs or outputs, or a weight has no
    value; ShapeError if a weight does not fit.
    """
    weights, fixed = weights or {}, fixed or {}
    for what, x, y in (("states", a.states, b.states), ("inputs", a.inputs, b.inputs)):
        if len(x) != len(y):
            raise TypeError(f"equal: {a.name} has the {what} {x}, {b.name} has {y}; their numbers must agree")
    known = {*weights, *b.params}
    if missing := [p for p in a.params if p not in known]:
        raise TypeError(
            f"equal: no value for {missing[0]} of {a.name}; say in weights what it is in {b.name}'s"
        )
    if extra := [p for p in weights if p not in a.params] + [p for p in fixed if p not in b.params]:
        raise TypeError(f"equal: {extra[0]} is no parameter of {a.name if extra[0] in weights else b.name}")
    sizes = list(sizes or default_sizes(b))
    _sides(a, b, random_arguments(b, sizes[0]), weights, fixed)  # what does not fit is told here
    check = layer("outputs", "the same states and output", lambda: _compared(a, b, weights, fixed, sizes))
    return Proof(f"{a.name} = {b.name}", _statement(a, b, weights, fixed, sizes), (check,))


def _compared(
    a: Cell, b: Cell, weights: Mapping[str, Weight], fixed: Mapping[str, float], sizes: Sequence[Sizes]
) -> Found:
    found: list[Compared] = []
    conditions: dict[str, None] = {}
    for at in sizes:
        with fresh() as atoms:
            mine, theirs = _sides(a, b, arguments(b, at), weights, fixed)
            for name, x, y in zip([*b.states, "output"], mine, theirs, strict=False):
                found.append(replace(compare(name, x.value, y.value), what=f"{name} at {size_text(at)}"))
        conditions |= atoms.conditions
    return found, conditions


def _sides(
    a: Cell, b: Cell, given: dict[str, Tensor], weights: Mapping[str, Weight], fixed: Mapping[str, float]
) -> tuple[list[Tensor], list[Tensor]]:
    """The new states (and the output) of both cells, from arguments of b."""
    given = dict(given)
    for p, c in fixed.items():
        x = given[p]
        given[p] = leaf(x.m.zeros(x.shape, x.value) + x.m.scalar(c, x.value))
    args = dict(zip(a.states + a.inputs, (given[n] for n in b.states + b.inputs), strict=True))
    args |= {p: _made(weights.get(p, p), given, b) for p in a.params}
    mine, theirs = outputs(a, args), outputs(b, given)
    if len(mine) != len(theirs):
        raise TypeError(f"equal: one of {a.name} and {b.name} has an output of its own, the other has none")
    return mine, theirs


def _made(weight: Weight, given: Mapping[str, Tensor], b: Cell) -> Tensor:
    """One parameter of a from the parameters of b."""
    if callable(weight):
        return weight({p: given[p] for p in b.params})
    if isinstance(weight, str):
        return given[weight]
    return concatenate([given[p] for p in weight], axis=0)


def _statement(
    a: Cell, b: Cell, weights: Mapping[str, Weight], fixed: Mapping[str, Any], sizes: Sequence[Sizes]
) -> str:
    parts = []
    for p in a.params:
        w = weights.get(p, p)
        if not callable(w) and w != p:
            parts.append(f"{p} = {w}" if isinstance(w, str) else f"{p} = rows [{'; '.join(w)}]")
        elif callable(w):
            parts.append(f"{p} = {getattr(w, '__name__', 'a function')} of {b.name}'s weights")
    parts += [f"{p} = {c}" for p, c in fixed.items()]
    where = f" where {', '.join(parts)}" if parts else ""
    return (
        f"{a.name} gives the new states and the output of {b.name}{where}, for every state, input and "
        f"weight, with a symbol for every entry at the sizes {'; '.join(map(size_text, sizes))}, and at no "
        "others."
    )
