"""Two cells side by side: which state, input and size of one stands for which of the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...cells.cell import Cell, as_tuple
from ...cells.shapes import Axes

MOST = 24  # orders of states, inputs and sizes that are tried


def arguments_differ(a: Cell, b: Cell) -> str:
    """Why the states and inputs of two cells cannot be matched, or ""."""
    for what, mine, other in (("state", a.states, b.states), ("input", a.inputs, b.inputs)):
        if len(mine) != len(other):
            counts = (
                f"{len(mine)} {what}(s) ({', '.join(mine)}), {b.name} has {len(other)} ({', '.join(other)})"
            )
            return f"{a.name} has {counts}"
    if next(alignments(a, b), None) is None:
        shapes = [", ".join(f"{n} {c.shape_text(n)}" for n in c.states + c.inputs) for c in (a, b)]
        return (
            f"{a.name} takes {shapes[0]}; {b.name} takes {shapes[1]}; no names of sizes make these the same"
        )
    return ""


def alignments(a: Cell, b: Cell) -> Iterator[Cell]:
    """b with its states and inputs in the order of a's, and its sizes by a's names: the likely orders first.

    Arguments of the same names go together; otherwise every order whose shapes fit is tried.
    """
    found = (
        (states, inputs, sizes)
        for states in _orders(a.states, b.states)
        for inputs in _orders(a.inputs, b.inputs)
        for sizes in _size_names(a, b, states + inputs)
    )
    for states, inputs, sizes in itertools.islice(found, MOST):
        yield _reordered(b, states, inputs, sizes)


def _orders(mine: Sequence[str], other: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Orders of the other's names."""
    by_name = {n.lower(): n for n in other}
    if sorted(by_name) == sorted(n.lower() for n in mine):
        yield tuple(by_name[n.lower()] for n in mine)
        return
    yield from itertools.permutations(other)


def _size_names(a: Cell, b: Cell, arguments: Sequence[str]) -> Iterator[dict[str, str]]:
    """What b's sizes are called in a, the arguments standing for a's states and inputs."""
    names: dict[str, str] = {}
    for mine, other in zip(a.states + a.inputs, arguments, strict=True):
        if not _match(a.sizes[mine], b.sizes[other], names):
            return
    left_a, left_b = (
        [n for n in size_names(c) if n not in taken] for c, taken in ((a, names.values()), (b, names))
    )
    if sorted(left_a) == sorted(left_b):
        yield names | {n: n for n in left_b}
        return
    for order in itertools.permutations(left_a, min(len(left_a), len(left_b))):
        extra = {n: n if n not in size_names(a) else f"{n}'" for n in left_b[len(order) :]}
        yield names | dict(zip(left_b, order, strict=False)) | extra


def _match(mine: Axes, other: Axes, names: dict[str, str]) -> bool:
    """Whether the other's shape is this one under the names; new names are added."""
    if [list(s.values()) for s in mine] != [list(s.values()) for s in other]:
        return False
    for x, y in zip(mine, other, strict=True):
        for m, o in zip(x, y, strict=True):
            if names.setdefault(o, m) != m or sum(v == m for v in names.values()) > 1:
                return False
    return True


def size_names(cell: Cell) -> list[str]:
    """The names of all sizes of a cell, in its order."""
    return list(dict.fromkeys(n for axes in cell.sizes.values() for size in axes for n in size if n))


def _reordered(b: Cell, states: Sequence[str], inputs: Sequence[str], sizes: dict[str, str]) -> Cell:
    def fn(*args: Any, **params: Any) -> tuple:
        given = dict(zip((*states, *inputs), args, strict=True))
        result = as_tuple(b.fn(*(given[n] for n in b.states + b.inputs), **params))
        new = dict(zip(b.states, result, strict=False))
        return (*(new[s] for s in states), *result[len(states) :])

    renamed = {
        arg: tuple({sizes.get(n, n): k for n, k in size.items()} for size in axes)
        for arg, axes in b.sizes.items()
    }
    return replace(b, fn=fn, states=tuple(states), inputs=tuple(inputs), sizes=renamed)
