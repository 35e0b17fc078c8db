"""check_backward: somebody's hand-written backward, judged for every size.

The function is plain numpy and asks for what it needs by name. It is run by numpy, on numbers, which
shows how it lays out its arrays; then on arrays of symbolic size, and what it returns is compared, as
exact formulas, with the vjp that the engine's rules give for the cell (which the step lemma proves). A
difference is reported only with a certified point, at which numpy then runs the function once more; then
the mistake is looked for: which known one gives exactly what was returned.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...cells.cell import Cell
from ...domains.sizes import Undecided
from ..anysize import step_lemma
from ..progress import Progress, silent
from ..purity import check_function
from .calling import choose_reading
from .findings import Finding, told
from .judge import Judge

SEQUENCE = (
    "(Of a state h: h_2 is h after step 2, dh2 its own cotangent, carried_dh2 what flows back into it from step 3.\n"
    " The right lines are those of one step, where dh is both together; gradients of parameters are added up.)"
)


@dataclass(frozen=True)
class BackwardCheck:
    """The verdict on a hand-written backward, what it covers, and what is wrong.

    verdict: proved | refuted | unknown. statement: what was judged, sizes and numbers of steps included.
    conditions: what is assumed besides. findings: one for each gradient that is certainly wrong.
    only: "at size 2 only" for what is proved there alone, as a loop over entries is, else "". A check is true
    if it is proved, at whatever sizes: ask for `found and not found.only` where every size is meant.
    """

    verdict: str
    statement: str
    findings: tuple[Finding, ...]
    conditions: tuple[str, ...]
    seconds: float
    only: str = ""

    def __bool__(self) -> bool:
        return self.verdict == "proved"

    def __str__(self) -> str:
        notes = [f"provided that {c}" for c in self.conditions] if self.verdict == "proved" else []
        said = f"{' '.join([self.verdict, self.only]).rstrip()}: {self.statement}".replace("; ", "\n")
        if any(f.T for f in self.findings):
            notes = [SEQUENCE]
        return "\n".join([said, *notes, *told(self.findings)])

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "verdict": self.verdict, "only": self.only, "statement": self.statement,
            "conditions": list(self.conditions), "findings": [f.to_dict() for f in self.findings],
            "seconds": self.seconds,
        }  # fmt: skip


def check_backward(
    cell: Cell, backward: Callable[..., Any], steps: Sequence[int] = (1, 2, 3), progress: Progress = silent
) -> BackwardCheck:
    """Whether `backward` gives the gradients of `cell`, for every size of its arrays.

    backward: plain numpy, for one step or for a whole sequence; it asks for what it needs by name. One step:
    the cell's arguments (or h_prev), its named variables, the new states h_next, and dh for the cotangent
    of each new state. Sequence: xs, h0, dhs (cotangents of h_1..h_T, stacked; or dhT, the last alone), hs,
    hs_prev (h_0..h_T-1), T, any named variable with an s, and the parameters. Also params and cache, dicts. A
    name that is a keyword gets an underscore (is_).
    It returns a dict of gradients by argument (W or dW), or a tuple in the order states, inputs, parameters.
    Arrays have a batch axis and time first, unless the function needs them otherwise.
    steps: the numbers of steps that a whole-sequence function is judged at; one step needs none. progress:
    called with what is judged now and the part that is behind it, from 0 to 1.
    Raises ImpureError for a cell that is not a function of its arguments (see purity.py); Unsupported or
    Undecided, with the function's line, for numpy that is not understood; TypeError
    for a function that asks for what is not known; ValueError if the cell's own vjp is wrong.
    """
    start = time.perf_counter()
    check_function(cell)
    conditions = _own_conditions(cell)
    whole = is_sequence(backward, cell)
    spans: list[int | None] = [*sorted(steps)] if whole else [None]
    judge = Judge(cell, backward, choose_reading(cell, backward, spans[-1]))
    for k, T in enumerate(spans):
        progress("one step" if T is None else f"T = {T}", k / len(spans))
        judge.at(T)
        if judge.verdict != "proved":
            break
    else:
        judge.compare_with_numpy()
    return BackwardCheck(
        judge.verdict,
        judge.statement(spans),
        tuple(judge.findings),
        tuple(sorted(conditions | judge.conditions)),
        time.perf_counter() - start,
        judge.only,
    )


def _own_conditions(cell: Cell) -> set[str]:
    """What the cell's own vjp is proved under. Raises ValueError if it is wrong."""
    try:
        lemma = step_lemma(cell)
    except Undecided as e:
        return {f"the cell's own vjp is right, which its step lemma leaves undecided: {e}"}
    if lemma.verdict == "refuted":
        raise ValueError(
            f"{cell.name}: the cell's own vjp is wrong for {', '.join(lemma.wrong)}; prove(cell) says more"
        )
    unsure = {
        f"the cell's own vjp is right for {', '.join(lemma.wrong)}, which its step lemma leaves undecided"
    }
    return {c for c in lemma.conditions if "!=" not in c} | (unsure if lemma.wrong else set())


def is_sequence(backward: Callable[..., Any], cell: Cell) -> bool:
    """Whether a function asks for what only a whole sequence has."""
    asked = set(inspect.signature(backward).parameters)
    outs = [*cell.states, "y"]
    whole = (
        {f"{x}s{end}" for x in cell.inputs for end in ("", "_")}
        | {f"d{s}{e}" for s in outs for e in "sT"}
        | {f"{s}0" for s in cell.states}
        | {"T"}
    )
    return bool(asked & (whole - {*cell.states, *cell.inputs, *cell.params}))
