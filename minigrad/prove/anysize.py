"""The step lemma for every size: vjp_F(delta) = (P^T delta, J^T delta) for symbolic n, d and batch.

The cell's own code and the engine's own vjp rules run on arrays of symbolic size (domains/sizes.py).
The other side of the identity is the derivative of <delta, F>, taken term by term (derivative.py).

Code may take another path at special sizes: broadcasting does, where a size is 1. Every comparison of
sizes that the run made is therefore noted, and the sizes at which it turns out otherwise (n = 1, d = n)
are proved as cases of their own, until no comparison is left. What is assumed beyond that is said.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..cells.cell import Cell, Size
from ..cells.rnn import affine
from ..domains import blocks as b
from ..domains.blocks import Inside
from ..domains.contractions import Sum, TooLong, budget
from ..domains.merging import Merged, merged, parts
from ..domains.sizes import ATOMS, INDICES, NUMBERS, SIZES, Blocks, Sized, Undecided, array, fresh
from ..engine.core import Tensor, leaf, recording
from ..engine.errors import ShapeError
from ..engine.functions import cross_entropy, mse
from ..engine.grad import sweep
from .derivative import Derivative as Derivative
from .derivative import gradient, inner
from .layer import whose_line
from .parts import crossing, cut, opened, operations, stopped
from .points import Difference, difference

MOST_CASES = 256
MOST_TOLD_APART = 8  # entries of one axis that are taken singly
MOST_PRODUCTS = 5_000  # of one identity: 0.2 s
IN_PARTS = "the sweep goes back through a graph as through its parts, one after the other"
LONG = 50  # terms that take a tenth of a second to evaluate in interval arithmetic


# ---- one case ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class StepLemma:
    """Whether the vjp was found equal to the derivative, at the sizes of one case.

    wrong: argument -> engine minus truth at one entry, where they could not be shown equal; `points`: where
    they certainly differ (for one wrong argument at least, if a point was found). case: what is said of the
    sizes, {} for all of them in general.
    """

    wrong: dict[str, Sum]
    compared: int
    conditions: tuple[str, ...]
    seconds: float
    case: Mapping[str, Blocks] = field(default_factory=dict)
    points: dict[str, Difference] = field(default_factory=dict)
    asked: frozenset[tuple[Blocks, Blocks]] = frozenset()  # comparisons of sizes that came out unequal
    misfit: str = ""  # the error, if the vjp's shapes do not even fit

    @property
    def verdict(self) -> str:
        """proved | refuted (an argument certainly differs, or the vjp's shapes do not fit) | unknown."""
        return "refuted" if self.points or self.misfit else "unknown" if self.wrong else "proved"

    @property
    def ones(self) -> tuple[str, ...]:
        """The sizes that are 1 in this case."""
        return tuple(sorted(n for n, blocks in self.case.items() if blocks == (1,)))

    def __str__(self) -> str:
        where = _words(self.case) or "sizes in general"
        why = self.misfit or ", ".join(self.wrong)
        return f"{where}: {self.verdict}" + (f" ({why})" if why else "")


def lemma(
    fn: Callable[[dict[str, Tensor]], Sequence[Tensor]], values: dict[str, Sized], case: Mapping[str, Blocks]
) -> StepLemma:
    """Whether the engine's vjp of fn is its derivative, for opaque cotangents of what fn returns.

    fn: from Tensors by name to Tensors; values: opaque arrays, made inside the same `fresh` block.
    Raises Undecided, with the line of code, for what has no meaning on arrays of symbolic size.
    """
    start = time.perf_counter()
    with recording("all"), _located():
        args = {k: leaf(v, requires_grad=v.dtype.kind not in "iu", name=k) for k, v in values.items()}
        outs = stopped(list(fn(args)))
        found = _compared(outs, {k: t for k, t in args.items() if t.requires_grad})
    return StepLemma(
        {n: residual for n, (residual, _, _) in found.wrong.items()}, found.compared,
        tuple(sorted(SIZES.conditions)), time.perf_counter() - start, dict(case),
        found.points, frozenset(b.COMPARED), found.misfit,
    )  # fmt: skip


@dataclass
class _Compared:
    """What a sweep was found to be: `wrong` has (engine minus truth, truth, blocks of an entry) by name."""

    wrong: dict[str, tuple[Sum, Sum, tuple[Any, ...]]] = field(default_factory=dict)
    compared: int = 0
    misfit: str = ""
    long: bool = False  # whether something stands in `wrong` because it was too long to be looked into
    points: dict[str, Difference] = field(default_factory=dict)


def _compared(outs: list[Tensor], wrt: dict[str, Tensor]) -> _Compared:
    """The engine's sweep from opaque cotangents of outs against the derivative; in parts, if that is long."""
    try:
        with budget(MOST_PRODUCTS):
            found = _as_a_whole(outs, wrt)
    except TooLong:
        return _in_parts(outs, wrt)
    found.points = _certain(found.wrong)
    return found if found.points or not found.long else _in_parts(outs, wrt)


def _in_parts(outs: list[Tensor], wrt: dict[str, Tensor]) -> _Compared:
    """The same of two parts, the values between them opaque. What is wrong there is wrong for some values."""
    nodes = operations(outs)
    at = cut(nodes, outs)
    if at is None:
        raise Undecided(f"{nodes[-1].op}: formulas of more than {MOST_PRODUCTS} products")
    SIZES.assumed.add(IN_PARTS)
    before = crossing(nodes, outs, at)
    later, opaque = opened(nodes, outs, at)
    one = _compared(later, wrt | opaque)
    two = _compared(before, wrt)
    return _Compared(one.wrong | two.wrong, one.compared + two.compared, one.misfit or two.misfit)


def _as_a_whole(outs: list[Tensor], wrt: dict[str, Tensor]) -> _Compared:
    found = _Compared()
    deltas = [array(f"delta_{k}", *o.value.axes) for k, o in enumerate(outs)]
    try:
        got = sweep(outs, [leaf(d) for d in deltas], list(wrt.values()), graph=False)
    except (ShapeError, IndexError) as e:
        got, found.misfit = [None] * len(wrt), str(e)
    phi = sum((inner(d, o.value) for d, o in zip(deltas, outs, strict=True)), Sum())
    for (name, x), g in zip(wrt.items(), got, strict=True):
        value = SIZES.zeros(x.shape, None) if g is None else g.value
        if value.axes != x.value.axes:  # equal as sizes: the sweep has seen to that
            raise Undecided(f"the cotangent of {name} has its blocks in another order: {value.axes}")
        for choice, true in gradient(phi, x.value):
            found.compared += 1
            residual = value.entries[choice] - true
            if not found.misfit and residual and name not in found.wrong and not _is_zero(residual, found):
                axes = tuple(axis[k] for axis, k in zip(x.value.axes, choice, strict=True))
                found.wrong[name] = residual, true, axes
    return found


def _is_zero(e: Sum, found: _Compared) -> bool:
    try:
        with budget(MOST_PRODUCTS):
            return ATOMS.is_zero(e)
    except TooLong:
        found.long = True
        return False


def _certain(wrong: Mapping[str, tuple[Sum, Sum, tuple[Any, ...]]]) -> dict[str, Difference]:
    """A certified point for wrong gradients, short formulas first; one is enough where more take long."""
    points: dict[str, Difference] = {}
    terms = 0
    for name, (residual, true, axes) in sorted(wrong.items(), key=lambda item: len(item[1][1].terms)):
        terms += 2 * len(true.terms) + len(residual.terms)
        if points and terms > LONG:
            break
        if (point := difference(true + residual, true, axes, {})) is not None:
            points[name] = point
    return points


class _located:
    """Adds to an Undecided the last line of code outside the engine that led to it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, tb: Any) -> None:
        if isinstance(error, Undecided) and "(in " not in str(error):
            error.args = (f"{error}{whose_line(error)}",)


# ---- every case --------------------------------------------------------------------------------
def every_case(prove: Callable[[Mapping[str, Blocks]], StepLemma]) -> list[StepLemma]:
    """The lemma for sizes in general, and for each case in which a comparison of sizes comes out otherwise.

    Where the code takes a single entry of an axis, such as h[..., 0], sizes in general are n = 1 + n', with
    the sizes below them as cases; where it then does not run, that is said. Conditions on sizes are dropped
    where a case stands for them. Raises Undecided as `prove` does.
    """
    todo: list[dict[str, Blocks]] = [{}]
    seen: set[frozenset] = {frozenset()}
    done: list[StepLemma] = []
    short: set[str] = set()  # sizes at which an entry that the code asks for is not there

    def add(case: Mapping[str, Blocks], step: Mapping[str, Blocks]) -> None:
        new = {n: _put(v, step) for n, v in case.items()} | {n: v for n, v in step.items() if "'" not in n}
        if (key := frozenset(new.items())) not in seen:
            seen.add(key)
            todo.append(new)

    while todo and len(done) < MOST_CASES:
        case = todo.pop(0)
        try:
            found = prove(case)
        except Inside as e:
            if e.k > MOST_TOLD_APART or not isinstance(e.block, str):
                raise
            for step in _told_apart(e):
                add(case, step)
            continue
        except IndexError:
            if not case:
                raise
            short.add(f"not {_words(case)}: the cell does not run there")
            continue
        left = set(found.conditions)
        for pair in sorted(found.asked, key=repr):
            if (answer := solve_sizes(*pair)) is not None:
                left.discard(f"{b.Size(pair[0])} != {b.Size(pair[1])}")
                add(case, answer)
        done.append(replace(found, conditions=tuple(sorted(left))))
    if todo:
        raise Undecided(f"more than {MOST_CASES} cases of equal sizes; give fewer sizes names of their own")
    return [replace(found, conditions=(*found.conditions, *sorted(short))) for found in done]


def _told_apart(e: Inside) -> Iterator[dict[str, Blocks]]:
    """Cases that cover every size of a block: more than k entries, or 1, ..., k."""
    ones = (1,) * e.k
    yield {e.block: (f"{e.block}'", *ones) if e.back else (*ones, f"{e.block}'")}
    for k in range(1, e.k + 1):
        yield {e.block: (1,) * k}


def _words(case: Mapping[str, Blocks]) -> str:
    return ", ".join(f"{n} = {b.size_of(v)}" for n, v in case.items())


def solve_sizes(a: Blocks, c: Blocks) -> dict[str, Blocks] | None:
    """What makes two sizes without a common block equal: n = 1, d = n, ...; None if that is not one name."""
    for one, other in ((a, c), (c, a)):
        names = {n for block in one for n in parts(block)}
        if all(block == 1 for block in other) and 1 not in one and len(one) >= len(other):
            return dict.fromkeys(sorted(names), (1,))
    for one, other in sorted(((a, c), (c, a)), key=repr, reverse=True):  # the later name gives way
        if len(one) == 1 and isinstance(one[0], str) and not any(one[0] in parts(o) for o in other):
            return {one[0]: other}
    return None


def _put(blocks: Blocks, step: Mapping[str, Blocks]) -> Blocks:
    """Blocks with sizes put for names. Raises Undecided where that takes a product of sizes apart."""
    new = [merged(*(step.get(n, (n,)) for n in parts(block))) for block in blocks]
    if bad := [axis for axis in new if isinstance(axis, Merged)]:
        raise Undecided(f"a product of sizes, {b.size_of(bad[0])}, whose blocks are not one after the other")
    return tuple(block for axis in new for block in axis)


# ---- cells and losses --------------------------------------------------------------------------
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
    """The new states, and the output if it is another tensor."""
    result = cell.fn(*(args[k] for k in cell.states + cell.inputs), **{k: args[k] for k in cell.params})
    new, y = cell.outputs(result)
    return [*new, *([y] if all(y is not s for s in new) else [])]


def step_lemma(
    cell: Cell, case: Mapping[str, Blocks] | Collection[str] = (), batch: tuple[Any, ...] = ("b",)
) -> StepLemma:
    """The step lemma for all sizes in general, or for those of a case (see `opaque_arguments`).

    Raises Undecided where it cannot say.
    """
    tokens = token_inputs(cell) if any(not cell.sizes[n] for n in cell.inputs) else ()
    case = case if isinstance(case, Mapping) else dict.fromkeys(case, (1,))
    with fresh():
        return lemma(lambda args: step_outputs(cell, args), opaque_arguments(cell, case, batch, tokens), case)


def all_sizes(cell: Cell, batch: tuple[Any, ...] = ("b",)) -> list[StepLemma]:
    """The step lemma for sizes in general, then for every case that it leaves out. Raises Undecided."""
    return every_case(lambda case: step_lemma(cell, case, batch))


LOSSES: dict[str, tuple[Callable[..., Tensor], bool]] = {  # (loss, whether its target is class indices)
    "cross_entropy of class indices": (cross_entropy, True),
    "cross_entropy of probabilities": (cross_entropy, False),
    "mse": (mse, False),
}


def loss_lemma(loss: Callable[..., Tensor], indices: bool = False, readout: Cell = affine) -> list[StepLemma]:
    """The vjp of L = (1/T) loss(readout(h), y) for every size, T included; all the cases of `every_case`.

    indices: whether y holds class indices; otherwise it has the shape of the read-out.
    """
    (h,) = readout.inputs

    def prove(case: Mapping[str, Blocks]) -> StepLemma:
        def fn(args: dict[str, Tensor]) -> list[Tensor]:
            o = readout.fn(args[h], **{k: args[k] for k in readout.params})
            return [loss(o, args["y"]) / b.size_of(case.get("T", ("T",)))]

        with fresh():
            values = opaque_arguments(readout, case)
            out = readout.fn(leaf(values[h]), **{k: leaf(values[k]) for k in readout.params}).value
            y = array("y", *out.axes[:-1], dtype=INDICES) if indices else array("y", *out.axes)
            return lemma(fn, values | {"y": y}, case)

    return every_case(prove)
