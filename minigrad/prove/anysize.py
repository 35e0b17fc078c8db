"""The step lemma for every size: vjp_F(delta) = (P^T delta, J^T delta) for symbolic n, d and batch.

The cell's own code and the engine's own vjp rules run on arrays of symbolic size (domains/sizes.py).
The other side of the identity is the derivative of <delta, F>, taken term by term (derivative.py).

Special sizes are cases of their own (cases.py). Formulas that grow long are compared in parts (parts.py). What
is assumed beyond that is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..cells.cell import Cell
from ..cells.rnn import affine
from ..domains import blocks as b
from ..domains.contractions import Sum, TooLong, budget
from ..domains.sizes import ATOMS, INDICES, SIZES, Blocks, Sized, Undecided, array, fresh
from ..engine.core import Tensor, leaf, recording
from ..engine.errors import ShapeError
from ..engine.functions import cross_entropy, mse
from ..engine.grad import sweep
from .cases import StepLemma as StepLemma
from .cases import every_case as every_case
from .cases import solve_sizes as solve_sizes
from .derivative import Derivative as Derivative
from .derivative import gradient, inner
from .layer import whose_line
from .opaque import blocks as blocks
from .opaque import opaque_arguments as opaque_arguments
from .opaque import step_outputs as step_outputs
from .opaque import token_inputs as token_inputs
from .parts import crossing, cut, opened, operations, stopped
from .points import Difference, difference

MOST_PRODUCTS = 5_000  # of one identity: 0.2 s
IN_PARTS = "the sweep goes back through a graph as through its parts, one after the other"
LONG = 50  # terms that take a tenth of a second to evaluate in interval arithmetic


# ---- one case ----------------------------------------------------------------------------------
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


# ---- cells and losses --------------------------------------------------------------------------
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
