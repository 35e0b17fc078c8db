"""What a prover says: a verdict, the statement it is about, and the table of what was checked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._output import whole_file
from ..domains.blocks import Undecided
from .equality import Point

VERDICTS = ("refuted", "unknown", "proved")  # the first of these that any check has is the proof's


@dataclass(frozen=True)
class Counterexample:
    """Where something is wrong: the row or gradient, the entry, and a certified point if there are values."""

    what: str
    entry: tuple[int, ...]
    point: Point | None
    reason: str = ""

    def __str__(self) -> str:
        entry = f"{list(self.entry)}" if self.entry else ""
        return f"{self.what}{entry}: {self.point or self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        point = self.point and self.point.to_dict()
        return {"what": self.what, "entry": list(self.entry), "reason": self.reason, "point": point}


@dataclass(frozen=True)
class Check:
    """One line of a proof: what was claimed, what came out, and under which side conditions.

    sampled: a run at random points. It can refute, and otherwise says "agrees" or "unknown"; the statement
    does not rest on it.
    """

    name: str
    claim: str
    verdict: str
    seconds: float
    detail: str = ""
    conditions: tuple[str, ...] = ()
    counterexample: Counterexample | None = None
    sampled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "name": self.name, "claim": self.claim, "verdict": self.verdict, "seconds": self.seconds,
            "detail": self.detail, "sampled": self.sampled, "conditions": list(self.conditions),
            "counterexample": self.counterexample and self.counterexample.to_dict(),
        }  # fmt: skip


def worst(verdicts: Iterable[str]) -> str:
    """refuted if any is, else unknown if any is, else proved. Raises ValueError if there are none."""
    return min(verdicts, key=VERDICTS.index)


def verdict(checks: Iterable[Check]) -> str:
    """What checks amount to: the worst, of sampled ones only a refutation."""
    return worst(c.verdict for c in checks if not c.sampled or c.verdict == "refuted")


@dataclass(frozen=True)
class Proof:
    """A statement and its checks; true exactly if every check that it rests on is proved, and none refuted.

    measured: what was only measured in floating point, in words; it is no part of the proof.
    certificate: makes what `save` writes; None if there is nothing of the kind.
    """

    subject: str
    statement: str
    checks: tuple[Check, ...]
    measured: tuple[str, ...] = ()
    certificate: Callable[[], dict[str, Any]] | None = field(default=None, repr=False, compare=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Leave a certificate of the step at `path`, for `minigrad verify`: JSON, the same bytes each time.

        A file that is there is replaced, by a whole one or not at all. Raises ValueError if the verdict is not
        proved, or there is no certificate of such a proof; OSError if the file cannot be written.
        """
        if not self:
            raise ValueError(f"{self.subject}: {self.verdict}; only what is proved has a certificate")
        if self.certificate is None:
            raise ValueError(f"{self.subject}: no certificate; there are some for the proofs of a cell's gradient")
        try:
            data = self.certificate()
        except Undecided as e:
            raise ValueError(f"{self.subject}: proved, but its step has no certificate: {e}") from e
        with whole_file(path) as part:
            part.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @property
    def verdict(self) -> str:
        """proved | refuted | unknown."""
        return verdict(self.checks)

    def __bool__(self) -> bool:
        return self.verdict == "proved"

    @property
    def counterexample(self) -> Counterexample | None:
        """That of the first refuted check."""
        return next((c.counterexample for c in self.checks if c.verdict == "refuted"), None)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Side conditions of all checks, each once."""
        return tuple(dict.fromkeys(k for c in self.checks for k in c.conditions))

    @property
    def seconds(self) -> float:
        """Time of all checks."""
        return sum(c.seconds for c in self.checks)

    def __str__(self) -> str:
        rows = [(c.verdict, c.name, c.claim, _time(c.seconds), c.detail) for c in self.checks]
        widths = [max(len(r[i]) for r in rows) for i in range(4)]
        lines = [
            f"{self.subject}: {self.verdict} in {_time(self.seconds)}",
            "",
            *_wrapped(self.statement),
            "",
        ]
        for r in rows:
            lines.append(
                "  ".join(
                    [*(w.ljust(n) for w, n in zip(r[:3], widths, strict=False)), r[3].rjust(widths[3]), r[4]]
                ).rstrip()
            )
        lines += [f"provided that {k}" for k in self.conditions]
        lines += [f"measured: {m}" for m in self.measured]
        lines += [f"counterexample: {c.counterexample}" for c in self.checks if c.counterexample]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        rows = [(c.verdict, c.name, c.claim, _time(c.seconds), c.detail) for c in self.checks]
        table = ["| verdict | check | claim | time | detail |", "|---|---|---|---|---|"]
        table += ["| " + " | ".join(w.replace("|", r"\|") for w in r) + " |" for r in rows]
        notes = [f"- provided that {k}" for k in self.conditions] + [
            f"- measured: {m}" for m in self.measured
        ]
        notes += [f"- counterexample: {c.counterexample}" for c in self.checks if c.counterexample]
        return "\n".join([f"**{self.subject}: {self.verdict}**", "", self.statement, "", *table, "", *notes])

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "subject": self.subject, "verdict": self.verdict, "statement": self.statement,
            "seconds": self.seconds,
            "conditions": list(self.conditions), "measured": list(self.measured),
            "checks": [c.to_dict() for c in self.checks],
            "counterexample": self.counterexample and self.counterexample.to_dict(),
        }  # fmt: skip


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _wrapped(text: str, width: int = 110) -> Sequence[str]:
    import textwrap

    return textwrap.wrap(text, width)
