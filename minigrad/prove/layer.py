"""One layer of a proof: comparisons of arrays of Polys, summed up in one line of its table."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import sympy

from .equality import IDENTITY
from .lemmas import Compared
from .report import Check, worst

Found = tuple[list[Compared], Iterable[str]]  # comparisons, side conditions
LIBRARIES = tuple(str(Path(m.__file__ or "").parent) for m in (np, sympy))
INSIDE = (*(str(Path(__file__).parents[1] / part) for part in ("engine", "domains", "prove")), *LIBRARIES)


def whose_line(e: BaseException) -> str:
    """The last line of code outside the engine, the domains and the prover that led to an error, or ""."""
    lines = [f for f in traceback.extract_tb(e.__traceback__) if not f.filename.startswith((*INSIDE, "<"))]
    return f" (in {lines[-1].filename}:{lines[-1].lineno}: {lines[-1].line})" if lines else ""


def layer(name: str, claim: str, run: Callable[[], Found]) -> Check:
    """The check that a layer's comparisons amount to; `unknown` where the cell cannot run on symbols."""
    start = time.perf_counter()
    try:
        found, conditions = run()
    except Exception as e:
        return undecided(name, claim, start, e)
    verdict = worst(c.verdict for c in found)
    wrong = [c for c in found if c.verdict == verdict != "proved"]
    detail = f"{sum(c.entries for c in found)} identities"
    if wrong:
        which = ", ".join(dict.fromkeys(c.what for c in wrong))
        detail = f"{'wrong' if verdict == 'refuted' else 'undecided'}: {which}"
    elif ways := {c.how for c in found if c.how != IDENTITY.how}:
        detail += f", some by {', '.join(sorted(ways))}"
    return Check(
        name, claim, verdict, time.perf_counter() - start, detail, tuple(conditions),
        next((c.counterexample for c in wrong), None),
    )  # fmt: skip


def undecided(name: str, claim: str, start: float, e: Exception, on: str = "symbols") -> Check:
    """An operation that has no meaning on symbols: nothing is claimed, and the reason is told.

    What is wrong with the cell itself is raised before, by its run on numbers.
    """
    detail = f"cannot be run on {on}: {type(e).__name__}: {e}"
    if "(in " not in detail:
        detail += whose_line(e)
    return Check(name, claim, "unknown", time.perf_counter() - start, detail)
