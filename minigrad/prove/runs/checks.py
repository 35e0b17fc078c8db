"""What is claimed of a run of T steps, as lines of a proof's table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.unroll import unroll
from ...engine.core import recording
from ...engine.functions import mse
from ...engine.scan import scan
from ..bptt import Loss
from ..layer import undecided
from ..progress import Progress, silent
from ..report import Check, Counterexample
from ..step import size_names, size_text, whole_inputs
from ..witness import problem
from .audit import audit, audit_scan
from .emitted import STEPS, check_emitted
from .everysize import check_every_size, same_text
from .modular import modular_check as modular

OTHER_RUNS: dict[str, dict[str, Any]] = {
    "inference": {"order": 0}, "float32": {"dtype": "float32"}, "reverse": {"reverse": True},
    "truncate": {"truncate": 2}, "checkpoint": {"checkpoint": 2},
}  # fmt: skip
OTHER_SIZES = (5, 7, 11, 13, 19, 23)  # at which the text is compared: not the constants of usual cells


def audit_check(cell: Cell, T: int, sizes: Mapping[str, int]) -> Check:
    """Whether the unrolled graph of a run is T copies of the lemma's step, and scan's program that step.

    An exact comparison of the graphs of one run, at random numbers. A step that differs leaves the statement
    unknown: then the lemma is not about what ran.
    """
    start, claim = time.perf_counter(), f"the graph that ran is {T} copies of that step, {size_text(sizes)}"
    with np.errstate(all="ignore"):  # a cell may grow without bound: its graph is asked for, not its values
        p = problem(cell, sizes, T, mse, _small)
        run = unroll(cell, p.state, p.xs, p.params)
        with recording("all"):
            _, y = scan(cell, p.state, p.xs, p.params, fast=False)
    try:
        unrolled, scanned = audit(run), audit_scan(y, cell)
    except Exception as e:  # the lemma's step does not run on arrays of symbolic size
        check = undecided("audit", claim, start, e)
        alone = audit(run, lemma=False)
        return replace(check, detail=f"{alone}; the step for every size {check.detail}")
    same = bool(unrolled) and bool(scanned) and unrolled.digest == scanned.digest
    detail = f"{unrolled}; scan's program is that step too"
    if not same:
        detail = "; ".join([*str(unrolled).splitlines(), f"scan: {scanned}"])
    return Check("audit", claim, "proved" if same else "unknown", time.perf_counter() - start, detail)


def _small(name: str, *shape: int) -> np.ndarray:
    return np.full(shape, 0.1)


def modular_check(
    cell: Cell, T: int, sizes: Mapping[str, int], loss: Loss, progress: Progress = silent
) -> Check:
    """Whether the gradient of the unrolled loss is its derivative at random points modulo a prime.

    Exact there, and sampled: the verdict is "agrees", with a bound on the probability that a wrong gradient
    does; refuted only if floating point sees the difference too.
    """
    start, claim = time.perf_counter(), f"dL/dw = derivative, mod 2^61 - 1, T = {T}, {size_text(sizes)}"
    tokens = sorted(whole_inputs(cell))
    try:
        found = modular(cell, T, sizes, sizes["batch"], loss=loss, tokens=tokens, progress=progress)
    except Exception as e:
        return replace(undecided("modular", claim, start, e, "integers modulo a prime"), sampled=True)
    wrong, counterexample, detail = ", ".join(found.wrong) or found.misfit, None, found.evidence
    if found.verdict == "refuted":
        detail = f"wrong: {wrong}"
        reason = found.misfit or f"differs modulo 2^61 - 1 and in floating point, T = {T}"
        counterexample = Counterexample(f"dL/d{', dL/d'.join(found.wrong) or 'w'}", (), None, reason)
    elif wrong:
        detail = f"differ modulo 2^61 - 1, which floating point does not see: {wrong}"
    elif found.verdict == "unknown":
        detail = f"the error bound says nothing: {detail}"
    seconds = time.perf_counter() - start
    return Check("modular", claim, found.verdict, seconds, detail, (), counterexample, sampled=True)


def emitted_text_check(cell: Cell) -> Check:
    """Whether the code that the fast path emits is that step and its derivative, for every size, batch and T.

    Proved is the text, its numbers read as sizes: that for small states, and that for large ones. That one of the
    two is the text at other sizes is looked at for one choice of them, and stays a condition.
    """
    start = time.perf_counter()
    found = check_every_size(cell)
    if found and found.compared:
        again = check_every_size(cell, kernels=True)
        found = replace(again, compared=found.compared + again.compared)
    others = dict(zip([*size_names(cell), "batch"], OTHER_SIZES, strict=False))
    verdict, detail, conditions = found.verdict, found.reason, found.conditions
    if found and not found.compared:
        detail = "none of its scans is compiled: they run step by step, as audited"
    elif found and same_text(cell, others):
        detail = f"{found.compared} identities of its text, without and with kernels"
        conditions += (
            "no size is 1, and the fast path emits one of the texts judged, up to sizes: "
            f"compared at {size_text(others)}",
        )
    elif found:
        verdict, detail = "unknown", f"another text is emitted at {size_text(others)}"
    claim = "the emitted code = the step and its derivative for every size, any T"
    return Check("emitted", claim, verdict, time.perf_counter() - start, detail, conditions)


def emitted_others_check(cell: Cell) -> Check:
    """Whether the code of other runs than training in float64 gives what their programs give, for every size.

    In single precision it is compared with the cell and its derivative too, as `emitted_text_check` does.
    """
    start, compared, unread = time.perf_counter(), 0, []
    for what, how in OTHER_RUNS.items():
        for kernels in (False, True):
            found = check_every_size(cell, kernels=kernels, **how)
            compared += found.compared
            if not found:
                unread.append(f"{what}: {found.reason}")
    claim = f"so is the code of other runs: {', '.join(OTHER_RUNS)}"
    detail = "; ".join(dict.fromkeys(unread)) or f"{compared} identities, without and with kernels"
    verdict = "unknown" if unread else "proved"
    return Check("emitted others", claim, verdict, time.perf_counter() - start, detail)


def emitted_run_check(cell: Cell, sizes: Mapping[str, int]) -> Check:
    """Whether what numpy makes of the emitted code, and of its kernels' text, is the plain scan, modulo a prime.

    Exact there, and sampled, as `modular_check`.
    """
    start = time.perf_counter()
    steps = ", ".join(map(str, STEPS))
    claim = f"that code, run = the plain scan, mod 2^61 - 1, T = {steps}, {size_text(sizes)}"
    both = [check_emitted(cell, sizes, kernels=kernels) for kernels in (False, True)]
    bad = next((f for verdict in ("refuted", "unknown") for f in both if f.verdict == verdict), None)
    counterexample = None
    if bad is None:
        found = both[0]
        lines, error = " and ".join(str(f.lines) for f in both), max(f.error for f in both)
        detail = f"{lines} lines, without and with kernels; wrong code agrees with probability < {error:.1e}"
        if not found.scans:
            detail = "none of its scans is compiled: they run step by step"
    else:
        found, detail = bad, bad.reason
        if bad.verdict == "refuted":
            counterexample = Counterexample(bad.reason, (), None, "in floating point too")
    seconds = time.perf_counter() - start
    return Check("emitted run", claim, found.verdict, seconds, detail, (), counterexample, sampled=True)
