"""A claim of the articles, the statements that decide it, and their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

PROVED, CORRECTED, UNKNOWN = "proved", "corrected", "unknown"


@dataclass(frozen=True)
class Statement:
    """What was decided: proved, corrected (the claim as made is not right), or unknown."""

    verdict: str
    text: str
    shown: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim, who makes it, and the check that decides it."""

    title: str
    source: str
    check: Callable[[], Iterator[Statement]]


def proved(zero: bool, statement: str, shown: str = "") -> Statement:
    """The statement as proved if what has to be zero is, else as unknown."""
    return Statement(PROVED if zero else UNKNOWN, statement, shown)


def corrected(evidence: str, statement: str, extra: bool = True) -> Statement:
    """The statement as a correction if there is evidence for it, else as unknown."""
    return Statement(CORRECTED if evidence and extra else UNKNOWN, statement, evidence)


@dataclass(frozen=True)
class ClaimCheck:
    """A claim with what was found."""

    claim: Claim
    statements: tuple[Statement, ...]
    seconds: float

    @property
    def verdict(self) -> str:
        """proved if all of it is; unknown if anything is; else corrected."""
        verdicts = {f.verdict for f in self.statements}
        return PROVED if verdicts == {PROVED} else UNKNOWN if UNKNOWN in verdicts else CORRECTED

    def __str__(self) -> str:
        lines = [
            f"  {f.verdict}: {f.text}" + (f"\n    {f.shown}" if f.shown else "") for f in self.statements
        ]
        return "\n".join([f"{self.verdict}: {self.claim.title} ({self.claim.source})", *lines])
