"""How a checker does on right and wrong backwards: which mutants are wrong is found by numpy alone."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.cells import Cell
from minigrad.prove.backward import BackwardCheck, check_backward, is_sequence
from minigrad.prove.backward.calling import choose_reading, run_numbers
from minigrad.prove.backward.pose import floats, sizes_of

from .mutants import Mutant, mutants

STEPS = (1, 2, 3)


@dataclass
class Outcome:
    """What numpy says of a mutant (crash, equivalent, or wrong: which, from T steps on), and the checker."""

    mutant: Mutant
    truth: str
    wrong: frozenset[str] = frozenset()
    T: int | None = None
    check: BackwardCheck | None = None
    error: str = ""
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Whether it was refuted, with exactly the gradients that are wrong, at the smallest T."""
        if self.check is None or self.check.verdict != "refuted":
            return False
        return {f.argument for f in self.check.findings} == self.wrong and all(
            f.T == self.T for f in self.check.findings
        )

    @property
    def explained(self) -> bool:
        """Whether a mistake was named for every wrong gradient."""
        if not self.killed:
            return False
        return self.check is not None and all(f.reason for f in self.check.findings)


class Truth:
    """What the right function returns, in floats, at several sizes and numbers of steps."""

    def __init__(self, cell: Cell, fn: Callable[..., Any]) -> None:
        self.cell, self.name = cell, fn.__name__
        self.spans = STEPS if is_sequence(fn, cell) else (None,)
        self.reading = choose_reading(cell, fn, self.spans[-1]).problem.reading
        self.known = {
            key: run_numbers(cell, fn, key[0], self.reading, self._make(*key)).got for key in self._keys()
        }

    def _keys(self) -> Iterator[tuple[Any, int, int]]:
        return itertools.product(self.spans, (5, 3), (0, 1))

    def _make(self, _: Any, size: int, seed: int) -> Any:
        return floats(sizes_of(self.cell, size), seed)

    def of(self, mutant: Mutant) -> Outcome:
        """Whether numpy runs a mutant, and where its gradients are wrong."""
        wrong: dict[Any, set[str]] = {T: set() for T in self.spans}
        for key, right in self.known.items():
            try:
                got = run_numbers(self.cell, mutant.fn, key[0], self.reading, self._make(*key)).got
            except Exception:
                return Outcome(mutant, "crash")
            if set(got) != set(right):
                return Outcome(mutant, "crash")
            wrong[key[0]] |= {
                k
                for k, g in got.items()
                if g.shape != right[k].shape or not np.allclose(g, right[k], 1e-7, 1e-10)
            }
        for T, names in wrong.items():
            if names:
                return Outcome(mutant, "wrong", frozenset(names), T)
        return Outcome(mutant, "equivalent")


def judged(cell: Cell, outcome: Outcome) -> Outcome:
    """The outcome with the checker's verdict; an error that it raises counts as no verdict."""
    start = time.perf_counter()
    try:
        outcome.check = check_backward(cell, outcome.mutant.fn, STEPS)
    except (TypeError, ValueError, IndexError, NotImplementedError) as e:
        outcome.error = f"{type(e).__name__}: {e}"
    outcome.seconds = time.perf_counter() - start
    return outcome


def sample(cell: Cell, fn: Callable[..., Any], seed: int = 0) -> Iterator[Mutant]:
    """Every mutant, spread over the source: which comes first does not depend on where it stands."""
    found = list(mutants(fn, cell.params))
    return (found[i] for i in np.random.default_rng(seed).permutation(len(found)))


def run(right: dict[str, tuple[Cell, Callable[..., Any]]], per_kind: int) -> list[Outcome]:
    """Of every right backward, so many mutants of each kind that numpy runs, and those that crash on the way."""
    out = []
    for cell, fn in right.values():
        truth = Truth(cell, fn)
        taken: Counter[str] = Counter()
        for mutant in sample(cell, fn):
            if taken[mutant.kind] < per_kind:
                outcome = truth.of(mutant)
                out.append(outcome)
                if outcome.truth != "crash":
                    taken[mutant.kind] += 1
                    judged(cell, outcome)
    return out


def counts(outcomes: Iterable[Outcome]) -> dict[str, Counter[str]]:
    """By kind of slip: made, crash, equivalent, wrong, killed, explained."""
    out: dict[str, Counter[str]] = {}
    for o in outcomes:
        wrong = o.truth == "wrong"
        said = {"made": 1, o.truth: 1, "killed": wrong and o.killed, "explained": wrong and o.explained}
        out.setdefault(o.mutant.kind, Counter()).update(said)
    return out


def table(rows: dict[str, Counter[str]]) -> str:
    """One line per kind of slip, and one for all."""
    columns = ("made", "crash", "equivalent", "wrong", "killed", "explained")
    lines = [f"{'kind of slip':<24}" + "".join(f"{c:>12}" for c in columns)]
    total: Counter[str] = sum(rows.values(), Counter())
    for kind, c in [*sorted(rows.items()), ("all", total)]:
        share = f" {c['explained'] / c['wrong']:>4.0%}" if c["explained"] else ""
        lines.append(f"{kind:<24}" + "".join(f"{c[k]:>12}" for k in columns) + share)
    return "\n".join(lines)
