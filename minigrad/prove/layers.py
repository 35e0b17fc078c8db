"""The layers of the theorem about a cell: each is a function from what is asked to one line of the table.

LAYERS are checked always; WITNESSES, independent and slower, on request, and where a layer is undecided; FAST,
about the code that the fast path runs, on request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..cells.cell import Cell
from ..engine.core import TABLE, Tensor
from .anysize import StepLemma, all_sizes, loss_lemma
from .bptt import Loss
from .culprits import culprits
from .equality import Point
from .examples import EXAMPLES, Example
from .induction import closed_form_check, duality_check, truncation_check
from .layer import Found, layer, undecided
from .lemmas import Compared, lemma
from .progress import Progress, silent, within
from .report import Check, Counterexample, worst
from .runs.checks import (
    audit_check,
    emitted_others_check,
    emitted_run_check,
    emitted_text_check,
    modular_check,
)
from .scanrule import scan_rule
from .step import Sizes, operations, random_array, size_names, size_text, step_lemma
from .witness import WAYS, exact_witness, problem, sympy_witness

STEPS = 2  # time steps of the witnesses: formulas grow about twentyfold with each


@dataclass(frozen=True)
class Asked:
    """What a proof is asked for. sizes: of the step at concrete sizes; steps: T of the audit and modular run."""

    cell: Cell
    loss: Loss
    sizes: Sequence[Sizes]
    steps: int
    progress: Progress = silent


# ---- for every size and every T ----------------------------------------------------------------
def rows(asked: Asked) -> Check:
    """The vjp of every row in the graph of the cell, unrolled, with its loss."""
    start, claim = time.perf_counter(), "vjp = derivative of <g, op(x)>"
    nodes = operations([problem(asked.cell, asked.sizes[0], 2, asked.loss, random_array).unrolled_loss()])
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


def _as_used(t: Tensor) -> Example:
    """For a row that has no example: the operation as it stands in the graph, on symbols."""
    op, params = t.op, t.params
    assert op is not None
    return Example(lambda *xs: op(*xs, **params), tuple(x.shape for x in t.inputs))


def scan(asked: Asked) -> Check:
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


def every_size(asked: Asked) -> Check:
    """The step lemma on arrays of symbolic size, with every case of sizes that takes another path."""
    claim = "vjp_F(delta) = (P^T delta, J^T delta) for every size"
    found = _cases("every size", claim, lambda: all_sizes(asked.cell))
    if found.verdict == "unknown" and "(in " not in found.detail:
        named = ", ".join(culprits(asked.cell))
        return replace(found, detail=f"{found.detail}; it is the vjp of {named}" if named else found.detail)
    return found


def loss(asked: Asked) -> Check:
    """g_t for every size of the output, after a read-out W_hq, b_q; for a loss of the user's own too."""
    claim = f"g_t = (1/T) d {getattr(asked.loss, '__name__', 'loss')}(o_t, y_t)/do_t for every size"
    return _cases("loss", claim, lambda: loss_lemma(asked.loss))


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


def closed_form(asked: Asked) -> Check:
    """The sum of products that S_t is, for every T and every size; the initial state included."""
    return closed_form_check()


def duality(asked: Asked) -> Check:
    """Forward and backward recursion have one result, for every T and every size."""
    return duality_check()


def truncated(asked: Asked) -> Check:
    """What truncated BPTT drops, for every T, every k and every size."""
    return truncation_check()


# ---- about a run -------------------------------------------------------------------------------
def run_sizes(cell: Cell) -> dict[str, int]:
    """Sizes of a run: all different, the batch included, and at least 2."""
    names = [*size_names(cell), "batch"]
    return dict(zip(names, [3, 2, *range(4, 4 + len(names))], strict=False))


def audit(asked: Asked) -> Check:
    """The graph that really ran is T copies of the step above."""
    return audit_check(asked.cell, asked.steps, run_sizes(asked.cell))


def modular(asked: Asked) -> Check:
    """The gradient of the whole graph, exactly, at random points of a finite field."""
    return modular_check(asked.cell, asked.steps, run_sizes(asked.cell), asked.loss, asked.progress)


# ---- about the code that the fast path runs ------------------------------------------------------
def emitted(asked: Asked) -> Check:
    """The emitted text, on arrays of symbolic size."""
    return emitted_text_check(asked.cell)


def emitted_run(asked: Asked) -> Check:
    """The emitted code and its kernels' text, run by numpy on numbers of a finite field."""
    return emitted_run_check(asked.cell, run_sizes(asked.cell))


def emitted_others(asked: Asked) -> Check:
    """The same for inference, float32, reversed, truncated and checkpointed runs."""
    return emitted_others_check(asked.cell)


# ---- witnesses ---------------------------------------------------------------------------------
def step(asked: Asked) -> Check:
    """The step at concrete sizes, every entry a symbol: another arithmetic than that of every size."""

    def run() -> Found:
        found: list[Compared] = []
        conditions: dict[str, None] = {}
        for sizes in asked.sizes:
            some, assumed = step_lemma(asked.cell, sizes)
            found += [replace(c, what=f"{c.what} at {size_text(sizes)}") for c in some]
            conditions |= dict.fromkeys(assumed)
        return found, conditions

    return layer("step", f"the same at {'; '.join(map(size_text, asked.sizes))}", run)


def whole(asked: Asked) -> Check:
    """Four ways to the gradient of a few steps, and the derivative of the unrolled loss."""
    sizes = _small(asked.cell)
    claim = _ways("dL/dw", sizes)
    return layer("whole", claim, lambda: exact_witness(asked.cell, sizes, STEPS, asked.loss, asked.progress))


def sympy(asked: Asked) -> Check:
    """The same ways, and sympy.diff of the unrolled loss."""
    sizes = _small(asked.cell)
    claim = _ways("sympy.diff(L)", sizes)
    return layer("sympy", claim, lambda: sympy_witness(asked.cell, sizes, STEPS, asked.loss, asked.progress))


def _small(cell: Cell) -> dict[str, int]:
    """States of two entries, so that the order of products is seen; everything else of one."""
    ones = dict.fromkeys([*size_names(cell), "batch"], 1)
    return ones | {n: 2 for s in cell.states for size in cell.sizes[s] for n in size if n}


def _ways(true: str, sizes: Sizes) -> str:
    return f"{len(WAYS)} ways = {true}, T = {STEPS}, {size_text(sizes)}"


Layer = Callable[[Asked], Check]
LAYERS: tuple[Layer, ...] = (
    rows, scan, every_size, loss, closed_form, duality, truncated, audit, modular,
)  # fmt: skip
WITNESSES: tuple[Layer, ...] = (step, whole, sympy)
FAST: tuple[Layer, ...] = (emitted, emitted_run, emitted_others)


def run(layers: Sequence[Layer], asked: Asked) -> list[Check]:
    """The lines of some layers, one after the other."""
    checks, n = [], len(layers)
    for k, line in enumerate(layers):
        progress = within(asked.progress, line.__name__.replace("_", " "), k / n, (k + 1) / n)
        progress("", 0)
        checks.append(line(replace(asked, progress=progress)))
    return checks
