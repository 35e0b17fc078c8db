"""One cell from another by a map of weights: the map proved at every size, or shown to fail at a point."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...cells.cell import Cell
from ...domains.blocks import COMPARED
from ...domains.contractions import Sum
from ...domains.sizes import ATOMS, SIZES, Blocks, Sized, Undecided, fresh, size_of
from ...engine.core import Tensor, leaf, recording
from ...engine.errors import ShapeError
from ..anysize import every_case, opaque_arguments
from ..points import Difference, difference
from .align import size_names
from .mismatch import Mismatch, mismatches
from .search import Search
from .sides import MARK, opaque_side
from .solving import solve
from .substitution import slot
from .weights import WeightMap, identity, opaque, parameter_axes, tagged

Params = Callable[..., Mapping[str, Tensor]]  # of a mapping of Tensors by name
MOST_RENAMINGS = 64
TOO_MANY = "too many pairings of gates; not all were tried"
NOT_ALL = "no map of weights was found, and none was shown impossible"


# ---- proving -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Agreement:
    """Whether two cells give the same on opaque arguments, at the sizes of one case."""

    differs: tuple[str, ...]  # states, and y for an output, that could not be shown equal
    point: Difference | None
    conditions: tuple[str, ...]
    asked: frozenset[tuple[Blocks, Blocks]]


def agreement(a: Cell, b: Cell, case: Mapping[str, Blocks], for_a: Params, for_b: Params) -> Agreement:
    """The two cells on one opaque state and input, with weights made from the opaque weights of a.

    Raises Undecided for what has no meaning on symbolic sizes, ShapeError for weights that do not fit.
    """
    with fresh(), recording("off"):
        values = opaque_arguments(a, case)
        free = {p: leaf(values[p], name=p) for p in a.params}
        args = [leaf(values[n], name=n) for n in a.states + a.inputs]
        left, right = padded(_outs(a, args, for_a(free)), _outs(b, args, _fitting(b, for_b(free), case)))
        differs, point = [], None
        for name, x, y in zip([*a.states, "y"], left, right, strict=False):
            wrong = [
                k for k, e in x.entries.items() if x.axes != y.axes or not ATOMS.is_zero(e - y.entries[k])
            ]
            differs += [name] * bool(wrong)
            for k in wrong if x.axes == y.axes and point is None else ():
                axes = tuple(axis[c] for axis, c in zip(x.axes, k, strict=True))
                sizes = dict.fromkeys(size_names(a), 2) | {"b": 1}
                point = difference(y.entries[k], x.entries[k], axes, sizes)
        return Agreement(tuple(differs), point, tuple(sorted(SIZES.conditions)), frozenset(COMPARED))


def _outs(cell: Cell, args: Sequence[Tensor], params: Mapping[str, Tensor]) -> list[Sized]:
    new, y = cell.outputs(cell.fn(*args, **params))
    return [o.value for o in (*new, *([y] if all(y is not s for s in new) else []))]


def padded(a: list[Sized], b: list[Sized]) -> tuple[list[Sized], list[Sized]]:
    """Both, where only one has an output: a cell without one gives its first state."""
    n = max(len(a), len(b))
    return a + a[:1] * (n - len(a)), b + b[:1] * (n - len(b))


def _fitting(cell: Cell, params: Mapping[str, Tensor], case: Mapping[str, Blocks]) -> Mapping[str, Tensor]:
    expected = opaque_arguments(cell, case)
    for p in cell.params:
        if params[p].shape != expected[p].shape:
            raise ShapeError(
                f"compare: the weights for {p} of {cell.name} have the shape {params[p].shape}; "
                f"it is declared as {cell.shape_text(p)}"
            )
    return params


# ---- one direction -----------------------------------------------------------------------------
@dataclass(frozen=True)
class Direction:
    """Whether `target` is `source` under a map of weights, and where it is not.

    weights: the map, or the best one found; where: what the source's weights must be for it (None: any);
    proved: whether it was proved, under `where`; mismatches and point: how the two differ without `where`;
    excluded: whether it was shown that no map does it, for all weights of the source and all sizes;
    lost: parameters of the source that the map back does not recover.
    """

    source: str
    target: str
    weights: Params | WeightMap
    proved: bool
    where: WeightMap | None = None
    mismatches: tuple[Mismatch, ...] = ()
    point: Difference | None = None
    conditions: tuple[str, ...] = ()
    unsure: str = ""
    excluded: bool = False
    lost: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the map was proved for all weights of the source."""
        return self.proved and self.where is None

    @property
    def requires(self) -> str:
        """What the source's weights must be, in words."""
        return ", ".join(f"{p} = {self.where.text(p)}" for p in self.where.changed()) if self.where else ""


def proposed(a: Cell, b: Cell, weights: Params | WeightMap, where: WeightMap | None = None) -> Direction:
    """The direction from a to b under a map of weights, proved at every size or not."""

    new = [n for n in size_names(b) if n not in size_names(a)] if isinstance(weights, WeightMap) else []
    of_a: Params = dict if where is None else where

    def prove(case: Mapping[str, Blocks]) -> Agreement:
        sizes = {n: size_of(case.get(n, (n,))) for n in new}
        return agreement(a, b, case, of_a, lambda free: weights(of_a(free), **sizes))

    try:
        cases: list[Any] = every_case(prove)  # type: ignore[arg-type]
    except Undecided as e:
        return Direction(a.name, b.name, weights, False, where, unsure=str(e))
    conditions = tuple(sorted({c for found in cases for c in found.conditions}))
    point = next((found.point for found in cases if found.point), None)
    return Direction(a.name, b.name, weights, not any(c.differs for c in cases), where, (), point, conditions)


def shortcut(a: Cell, b: Cell) -> Direction | None:
    """The direction from a to b under the first map that is found quickly and proved, if there is one."""
    if {p: a.sizes[p] for p in a.params} == {p: b.sizes[p] for p in b.params}:
        same = proposed(a, b, identity(a, b))
        if same.exact:
            return same
    try:
        with fresh():
            search = _search(a, b, quick=True)
            found = search.best
            if found is None or found.clashes or found.left:
                return None
            weights = WeightMap(a, b, _values(b, found.solution, MARK))
    except Undecided:
        return None
    direction = proposed(a, b, weights)
    return direction if direction.exact else None


def searched(a: Cell, b: Cell) -> Direction:
    """The direction from a to b under the best map of weights that the search finds."""
    found = shortcut(a, b) or _searched(a, b)
    if found.exact or found.excluded:
        return found
    for weights in itertools.islice(renamings(a, b), MOST_RENAMINGS):
        if not _differs(a, b, weights):
            renamed = proposed(a, b, weights)
            if renamed.exact:
                return renamed
    return found


def _searched(a: Cell, b: Cell) -> Direction:
    try:
        with fresh():
            search = _search(a, b, quick=False)
            found = search.best
            if found is None:
                return Direction(a.name, b.name, dict, False, unsure=TOO_MANY)
            weights = WeightMap(a, b, _values(b, found.solution, MARK))
            special, left = solve(
                found.left, search.a.weights.__contains__, search.fits(found), zero_free=False
            )
            mended = bool(found.left) and not left and not found.clashes
            where = WeightMap(a, a, _values(a, special)) if mended else None
            how, excluded = mismatches(search, found), search.excluded()
    except Undecided as e:
        return Direction(a.name, b.name, dict, False, unsure=str(e))
    free = proposed(a, b, weights)
    unsure = free.unsure or ("" if excluded else NOT_ALL if search.complete else TOO_MANY)
    free = replace(free, mismatches=how, excluded=excluded, unsure="" if free.exact else unsure)
    if free.proved or where is None:
        return free
    special_case = proposed(a, b, weights, where)
    return replace(free, proved=special_case.proved, where=where, conditions=special_case.conditions)


def _search(a: Cell, b: Cell, quick: bool) -> Search:
    """The search for b's weights, inside a `fresh` block. Raises Undecided."""
    values = opaque_arguments(a)
    shared = {n: values[n] for n in a.states + a.inputs}
    side_a, side_b = opaque_side(a, shared), opaque_side(b, shared, MARK)
    side_a.outs, side_b.outs = padded(side_a.outs, side_b.outs)
    if [o.axes for o in side_a.outs] != [o.axes for o in side_b.outs]:
        raise Undecided("their outputs have other shapes")
    return Search(side_a, side_b, quick)


def renamings(a: Cell, b: Cell) -> Iterator[WeightMap]:
    """Maps that take each parameter of b from another one of a, of its shape, perhaps transposed."""
    if len(a.params) != len(b.params):
        return
    choices = []
    for p in b.params:
        axes = parameter_axes(b, p)
        names = [p] * (p in a.params) + [q for q in a.params if q != p]
        same = [opaque(a, q) for q in names if parameter_axes(a, q) == axes]
        turned = [opaque(a, q) for q in a.params if len(axes) == 2 and parameter_axes(a, q) == axes[::-1]]
        choices.append(same + [SIZES.transpose(v, (-1, -2)) for v in turned])
    for values in itertools.product(*choices):
        if len({min(e.terms) for v in values for e in v.entries.values()}) == sum(
            len(v.entries) for v in values
        ):
            yield WeightMap(a, b, dict(zip(b.params, values, strict=True)))


def _differs(a: Cell, b: Cell, weights: Params) -> bool:
    """Whether the two are seen to differ under the map, at sizes in general."""
    try:
        return bool(agreement(a, b, {}, dict, weights).differs)
    except Undecided:
        return True


def _values(cell: Cell, solution: Mapping[str, Sum], mark: str = "") -> dict[str, Sized]:
    """The solution as arrays; blocks not in it are zero for marked weights, themselves for others."""
    out = {}
    for p, plain in identity(cell, cell).values.items():
        entries = {}
        for choice, tag, idx in tagged(plain):
            value = solution.get(mark + tag, Sum() if mark else None)
            entries[choice] = (
                plain.entries[choice]
                if value is None
                else value.rename({slot(k): i for k, i in enumerate(idx)})
            )
        out[p] = Sized(parameter_axes(cell, p), entries)
    return out
