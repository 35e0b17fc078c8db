"""Wrong rows: every fault of a row planted in the table, for every cell that uses it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.cells import Cell
from minigrad.domains.sizes import Undecided
from minigrad.engine.core import TABLE, Primitive
from minigrad.prove.anysize import step_lemma
from minigrad.prove.backward.pose import floats, pose, sizes_of
from minigrad.prove.backward.problem import Reading
from minigrad.prove.faults import Fault, faults

KINDS = {  # by the words of a fault
    "sign": "sign|minus", "dropped term": "nothing flows", "missing factor": "missing|doubled",
    "transposed matrix": "transpose", "reversed product": "factors are exchanged", "1/T, 1/batch": "1/T",
    "swapped gate": "parts of|tanh's|sigmoid's",
}  # fmt: skip


@dataclass
class RowOutcome:
    """A fault in one row: which of a cell's gradients it spoils by numpy, and what the step lemma says."""

    cell: Cell
    row: str
    fault: Fault
    truth: str  # crash | equivalent | wrong
    wrong: frozenset[str] = frozenset()
    verdict: str = ""
    named: frozenset[str] = frozenset()

    @property
    def killed(self) -> bool:
        """Whether the lemma refuses it and names exactly the gradients that are wrong."""
        return self.verdict == "refuted" and self.named == self.wrong

    @property
    def kind(self) -> str:
        """The kind of slip, as of the mutants; a derivative with another formula has none of these."""
        return next(
            (k for k, words in KINDS.items() if re.search(words, self.fault.text)), "wrong derivative"
        )

    def __str__(self) -> str:
        return f"{self.cell.name} {self.row}: {self.fault.text}"


@contextmanager
def row_with(row: Primitive, rule: Any) -> Iterator[None]:
    """A row of the table with another vjp."""
    true = row.vjp
    object.__setattr__(row, "vjp", rule)
    try:
        yield
    finally:
        object.__setattr__(row, "vjp", true)


def run(cells: dict[str, Cell]) -> list[RowOutcome]:
    """Every fault of every row that these cells use."""
    out = []
    for cell in cells.values():
        problem = pose(cell, floats(sizes_of(cell)), None, Reading())
        right = problem.gradients()
        used = {t.op.name: len(t.inputs) for t in problem.steps[0].nodes if t.op is not None}
        for name, n in used.items():
            out += [_outcome(cell, problem, right, TABLE[name], fault) for fault in faults(TABLE[name], n)]
    return out


def _outcome(cell: Cell, problem: Any, right: dict[str, Any], row: Primitive, fault: Fault) -> RowOutcome:
    with row_with(row, fault.rule):
        try:
            got = problem.gradients()
        except (ValueError, TypeError, IndexError):
            return RowOutcome(cell, row.name, fault, "crash")
        wrong = frozenset(k for k, g in got.items() if not np.allclose(g, right[k], 1e-9, 1e-12))
        if not wrong:
            return RowOutcome(cell, row.name, fault, "equivalent")
        try:
            found = step_lemma(cell)
        except Undecided:
            return RowOutcome(cell, row.name, fault, "wrong", wrong, "undecided")
    return RowOutcome(cell, row.name, fault, "wrong", wrong, found.verdict, frozenset(found.wrong))


def counts(outcomes: list[RowOutcome]) -> dict[str, Counter[str]]:
    """By kind of slip, as of the mutants; what names the wrong gradients explains nothing more."""
    out: dict[str, Counter[str]] = {}
    for o in outcomes:
        out.setdefault(f"row: {o.kind}", Counter()).update({"made": 1, o.truth: 1, "killed": o.killed})
    return out
