"""prove(cell): the gradient of a cell over time is the derivative of its loss, for every number of steps.

Its layers, each with a verdict of its own: the vjp of every row the cell uses, the vjp of scan, the step of
the cell, its loss, the induction over time, and two witnesses that compare whole gradients for a few steps.
The rows are those of the graph that really runs, so a wrong vjp is refused by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ..cells.cell import Cell
from ..engine.core import TABLE, Tensor
from ..engine.functions import mse
from .anysize import StepLemma, all_sizes, loss_lemma
from .bptt import Loss
from .equality import Point
from .examples import EXAMPLES, Example
from .induction import induction
from .layer import Found, layer, undecided
from .lemmas import Compared, lemma
from .measure import measured
from .report import Check, Counterexample, Proof, worst
from .scanrule import scan_rule
from .step import (
    Sizes,
    default_sizes,
    operations,
    random_array,
    size_names,
    size_text,
    step_lemma,
    whole_inputs,
)
from .witness import WAYS, exact_witness, problem, sympy_witness

STEPS = 2  # time steps of the witnesses: formulas grow about twentyfold with each


def prove(
    cell: Cell, state: Any = None, xs: Any = None, params: Mapping[str, Any] | None = None,
    targets: Any = None, *, loss: Loss = mse, sizes: Sequence[Sizes] | None = None, witness: bool = False,
) -> Proof:  # fmt: skip
    """Proof that the engine's BPTT gradient of a cell is the derivative of L = (1/T) sum_t l(o_t, y_t).

    The step is proved for every size, where the cell can be run on arrays of symbolic size; where it cannot,
    at the concrete `sizes`, such as [{"n": 3, "d": 2, "batch": 1}], and the verdict is at best unknown.
    loss: l(output, target), with a target of the output's shape. witness: also compare whole gradients over
    a few steps with sympy.diff, by four ways, and the step at `sizes`: independent, and slower.
    state, xs, params, targets: numbers, if the ways to the gradient are to be compared at them too.
    Raises TypeError for what is not a cell; TraceError if it branches on a tensor's value; ShapeError if
    shapes do not fit, or the cell does not keep its states; ValueError for NaN or inf among the numbers.
    """
    if not isinstance(cell, Cell):
        raise TypeError(
            f"prove: {cell!r} is a {type(cell).__name__}, not a cell; decorate the function with @cell(...), "
            "or make a cell of it and example arguments with as_cell"
        )
    sizes = list(sizes or default_sizes(cell))
    whole_inputs(cell)  # runs the cell on numbers, so that what is wrong with it is told in their terms
    numbers = measured(cell, state, xs, params, targets, loss)
    small = dict.fromkeys([*size_names(cell), "batch"], 1)
    # states of two entries, so that the order of products is seen
    mixed = small | {n: 2 for s in cell.states for size in cell.sizes[s] for n in size if n}
    every = _every_size(cell)
    checks = [
        _rows(cell, sizes[0], loss),
        _scan(),
        every,
        _loss_of_every_size(loss),
        *induction(),
    ]
    if witness or every.verdict == "unknown":
        at = "; ".join(map(size_text, sizes))
        checks.append(layer("step", f"the same at {at}", lambda: _step(cell, sizes)))
    if witness:
        checks += [
            layer("whole", _ways("dL/dw", mixed), lambda: exact_witness(cell, mixed, STEPS, loss)),
            layer("sympy", _ways("sympy.diff(L)", small), lambda: sympy_witness(cell, small, STEPS, loss)),
        ]
    if not numbers.agree:
        checks.append(Check("numbers", "the ways agree at the given numbers", "unknown", 0.0, "they do not"))
    return Proof(f"BPTT of {cell.name}", _statement(cell, every), tuple(checks), numbers.notes)


def _ways(true: str, sizes: Sizes) -> str:
    return f"{len(WAYS)} ways = {true}, T = {STEPS}, {size_text(sizes)}"


def _statement(cell: Cell, every: Check) -> str:
    names = ", ".join(size_names(cell))
    every_size = f"every size {names} and batch"
    sizes = "the sizes stated below, and no others" if every.verdict == "unknown" else every_size
    return (
        f"For {cell.name}, {sizes}, and every number of steps T, reverse accumulation gives dL/dw = "
        "sum_t g_t S_t with S_t = P_t + J_t S_{t-1} = sum_i (J_t J_{t-1} ... J_{i+1}) P_i, the product "
        "descending. Over the real numbers: rounding is not covered."
    )


# ---- layers ------------------------------------------------------------------------------------
def _rows(cell: Cell, sizes: Sizes, loss: Loss) -> Check:
    """The vjp of every row in the graph of the cell, unrolled, with its loss."""
    start, claim = time.perf_counter(), "vjp = derivative of <g, op(x)>"
    nodes = operations([problem(cell, sizes, 2, loss, random_array).unrolled_loss()])
    used = {(t.op.name, id(t.op)): t for t in reversed(nodes) if t.op is not None}
    checks = [_row(t, claim) for _, t in sorted(used.items())]
    verdict = worst(c.verdict for c in checks)
    bad = [c for c in checks if c.verdict == verdict != "proved"]
    detail = "; ".join(c.detail for c in bad) or ", ".join(c.name for c in checks)
    counterexample = next((c.counterexample for c in bad), None)
    return Check("rows", claim, verdict, time.perf_counter() - start, detail, (), counterexample)


def _row(t: Tensor, claim: str) -> Check:
    """The lemma of a node's row, on its examples, or else on the node itself."""
    assert t.op is not None
    start = time.perf_counter()
    try:
        return lemma(t.op, EXAMPLES.get(t.op.name) or [_as_used(t)])
    except Exception as e:
        check = undecided(t.op.name, claim, start, e)
        return replace(check, detail=f"{t.op.name} {check.detail}")


def _every_size(cell: Cell) -> Check:
    """The step lemma on arrays of symbolic size, with every case of sizes that takes another path."""
    claim = "vjp_F(delta) = (P^T delta, J^T delta) for every size"
    return _cases("every size", claim, lambda: all_sizes(cell))


def _loss_of_every_size(loss: Loss) -> Check:
    """g_t for every size of the output, after a read-out W_hq, b_q; for a loss of the user's own too."""
    claim = f"g_t = (1/T) d {getattr(loss, '__name__', 'loss')}(o_t, y_t)/do_t for every size"
    return _cases("loss", claim, lambda: loss_lemma(loss))


def _cases(name: str, claim: str, run: Callable[[], list[StepLemma]]) -> Check:
    """The check that an any-size lemma and its cases amount to."""
    start = time.perf_counter()
    try:
        found = run()
    except Exception as e:
        return undecided(name, claim, start, e)
    verdict = worst(f.verdict for f in found)
    bad = [f for f in found if f.verdict == verdict != "proved"]
    detail = f"{sum(f.compared for f in found)} identities in {len(found)} cases"
    counterexample = None
    if bad:
        how = "wrong" if verdict == "refuted" else "undecided"
        detail = f"{how}: {bad[0].misfit or 'd ' + ', d '.join(bad[0].wrong)}"
        what, point = next(iter(bad[0].points.items()), ("", None))
        if point is not None:
            at = {k: Fraction(v) for k, v in point.values.items()}
            both = Point(f"{point.got:.6g}", f"{point.true:.6g}", at)
            counterexample = Counterexample(f"d {what}", point.entry, both)
    conditions = tuple(dict.fromkeys(c for f in found for c in f.conditions))
    return Check(name, claim, verdict, time.perf_counter() - start, detail, conditions, counterexample)


def _scan() -> Check:
    """scan's vjp for an undefined step, on arrays of symbolic size; a wrong one is shown wrong at a point."""
    claim = "its vjp is the adjoint recursion, for an undefined step F"
    start = time.perf_counter()
    try:
        found = scan_rule()
        detail = f"undecided: {', '.join(found.wrong)}"
    except Exception as e:
        found, detail = None, undecided("scan", claim, start, e).detail
    if found is None or found.wrong:
        shown = lemma(TABLE["scan"], EXAMPLES["scan"])
        verdict, detail = ("refuted", shown.detail) if shown.verdict == "refuted" else ("unknown", detail)
        return Check(
            "scan", claim, verdict, time.perf_counter() - start, detail, (), shown.counterexample
        )  # fmt: skip
    detail = f"{found.compared} identities: the backward step (any T), and whole for T = 1..4"
    return Check("scan", claim, "proved", time.perf_counter() - start, detail)


def _as_used(t: Tensor) -> Example:
    """For a row that has no example: the operation as it stands in the graph, on symbols."""
    op, params = t.op, t.params
    assert op is not None
    return Example(lambda *xs: op(*xs, **params), tuple(x.shape for x in t.inputs))


def _step(cell: Cell, sizes: Sequence[Sizes]) -> Found:
    found: list[Compared] = []
    conditions: dict[str, None] = {}
    for s in sizes:
        some, assumed = step_lemma(cell, s)
        found += [replace(c, what=f"{c.what} at {size_text(s)}") for c in some]
        conditions |= dict.fromkeys(assumed)
    return found, conditions
