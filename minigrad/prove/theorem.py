"""prove(cell): the gradient of a cell over time is the derivative of its loss, for every number of steps.

Its layers (layers.py), each with a verdict of its own: the vjp of every row the cell uses, the vjp of scan,
the step of the cell, its loss, the induction over time, and what is claimed of a run: the graph that ran is
copies of the proved step, and its gradient is right in a finite field. Witnesses compare whole gradients for
a few steps. The rows are those of the graph that really runs, so a wrong vjp is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..cells.cell import Cell
from ..engine.functions import mse
from .bptt import Loss
from .certificate import certificate
from .layers import FAST, LAYERS, WITNESSES, Asked, run
from .measure import measured
from .progress import Progress, silent
from .purity import check_function
from .report import Check, Proof, verdict
from .step import Sizes, default_sizes, size_names


def prove(
    cell: Cell, state: Any = None, xs: Any = None, params: Mapping[str, Any] | None = None,
    targets: Any = None, *, loss: Loss = mse, sizes: Sequence[Sizes] | None = None, witness: bool = False,
    steps: int = 4, fast: bool = False, progress: Progress = silent,
) -> Proof:  # fmt: skip
    """Proof that the engine's BPTT gradient of a cell is the derivative of L = (1/T) sum_t l(o_t, y_t).

    The step is proved for every size, where the cell can be run on arrays of symbolic size; where it cannot,
    at the concrete `sizes`, such as [{"n": 3, "d": 2, "batch": 1}], and the verdict is at best unknown.
    loss: l(output, target), with a target of the output's shape. witness: also compare whole gradients over
    a few steps with sympy.diff, by four ways, and the step at `sizes`: independent, and slower; they run
    too where a layer is undecided. steps: T of the run that is audited and whose gradient is checked in a
    finite field; the time they take is linear in it. fast: judge the code that the fast path emits too, so that
    what is proved is what runs. progress: called with the layer that begins and the
    part that is behind it, from 0 to 1.
    state, xs, params, targets: numbers, if the ways to the gradient are to be compared at them too.
    Raises TypeError for what is not a cell; ImpureError for one that is not a function of its arguments (see
    purity.py); TraceError if it branches on a tensor's value; ShapeError if shapes do not fit, or the cell
    does not keep its states; ValueError for NaN or inf among the numbers, and for steps < 1.
    """
    if not isinstance(cell, Cell):
        raise TypeError(
            f"prove: {cell!r} is a {type(cell).__name__}, not a cell; decorate the function with @cell(...), "
            "or make a cell of it and example arguments with as_cell"
        )
    if steps < 1:
        raise ValueError(f"prove: steps = {steps}; a run has at least 1 time step")
    asked = Asked(cell, loss, list(sizes or default_sizes(cell)), steps, progress)
    check_function(cell)  # on numbers, so that what is wrong with it is told in their terms
    numbers = measured(cell, state, xs, params, targets, loss)
    checks = run(LAYERS, asked)
    for independent in WITNESSES:
        if witness or verdict(checks) == "unknown":
            checks += run([independent], asked)
    if fast:
        checks += run(FAST, asked)
    if not numbers.agree:
        checks.append(Check("numbers", "the ways agree at the given numbers", "unknown", 0.0, "they do not"))
    made = partial(certificate, cell)
    return Proof(f"BPTT of {cell.name}", _statement(cell, checks), tuple(checks), numbers.notes, made)


def _statement(cell: Cell, checks: Sequence[Check]) -> str:
    names = ", ".join(size_names(cell))
    every = next(c for c in checks if c.name == "every size")
    sizes = f"every size {names} and batch"
    if every.verdict == "unknown":
        sizes = "the sizes stated below, and no others"
    return (
        f"For {cell.name}, {sizes}, and every number of steps T, reverse accumulation gives dL/dw = "
        "sum_t g_t S_t with S_t = P_t + J_t S_{t-1} = sum_i (J_t J_{t-1} ... J_{i+1}) P_i, the product "
        "descending; for an initial state that is learnt too. Over the real numbers: rounding is not covered."
    )
