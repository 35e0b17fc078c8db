"""What is wrong with a wrong gradient: a certified point, the terms, the mistake, and the right line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...domains.contractions import Sum
from ...domains.sizes import Sized
from ..points import Difference, difference
from .lets import same

SHOWN = 6  # coordinates of a point


@dataclass(frozen=True)
class Finding:
    """One wrong gradient: whose, where it certainly differs, and the mistake if it was recognised.

    reason: the mistake, only where it gives exactly what was returned, else "". kind: what comparing the terms
    shows, whatever the reason. missing, extra: the terms that are not there and those that should not be.
    T: the smallest number of steps that shows it, None for a single step. steps: those whose terms are wrong.
    numpy, latex: the lines that compute the right gradient of one step.
    """

    argument: str
    point: Difference | None
    reason: str = ""
    kind: str = ""
    missing: str = ""
    extra: str = ""
    T: int | None = None
    steps: tuple[int, ...] = ()
    numpy: tuple[str, ...] = ()
    latex: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What is wrong, in words."""
        return self.reason or self.kind or "differs from the true gradient"

    def __str__(self) -> str:
        return "\n".join([f"d{self.argument}{self.when}: {self.what}", *self.lines()])

    @property
    def when(self) -> str:
        """The smallest number of steps that shows it, and the steps, in words."""
        if self.T is None:
            return ""
        wrong = (
            f", wrong in step {' and '.join(map(str, self.steps))}" if 0 < len(self.steps) < self.T else ""
        )
        return f" (smallest T = {self.T}{wrong})"

    def lines(self) -> list[str]:
        """What is under its headline: terms, the point, and the right lines."""
        out = [f"missing: {self.missing}"] * bool(self.missing) + [f"extra:   {self.extra}"] * bool(
            self.extra
        )
        if self.point:
            out += [str(self.point), f"point:   {_some(self.point.values)}"]
        out += [f"right:   {line}" for line in self.numpy] + [f"LaTeX:   {line}" for line in self.latex[-1:]]
        return [f"  {line}" for line in out]

    def short(self, said: set[str]) -> list[str]:
        """Less of it, where another gradient shows the same mistake. said: the right lines printed already."""
        out = [f"d{self.argument}: {self.point}"] if self.point else [f"d{self.argument}"]
        out += [f"right:   {line}" for line in self.numpy if line not in said]
        said.update(self.numpy)
        return [f"  {line}" for line in out]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "gradient": f"d{self.argument}", "argument": self.argument, "smallest_T": self.T, "steps": list(self.steps),
            "reason": self.reason, "kind": self.kind, "missing": self.missing, "extra": self.extra,
            "point": self.point and self.point.to_dict(), "numpy": list(self.numpy), "latex": list(self.latex),
        }  # fmt: skip


def told(findings: Sequence[Finding]) -> list[str]:
    """Findings as lines: those of one mistake together, one of them in full."""
    groups: dict[Any, list[Finding]] = {}
    for f in findings:
        groups.setdefault((f.reason, f.T) if f.reason else f.argument, []).append(f)
    out: list[str] = []
    for group in groups.values():
        first = min(group, key=lambda f: len(f.missing + f.extra))
        names = ", ".join(f"d{f.argument}" for f in group)
        shown = f" (shown for d{first.argument})" if len(group) > 1 else ""
        out += ["", f"{names}{first.when}: {first.what}{shown}", *first.lines()]
        said = set(first.numpy)
        out += [line for f in group if f is not first for line in f.short(said)]
    return out


def _some(values: Mapping[str, str]) -> str:
    """The first coordinates of a point."""
    words = [f"{k} = {v}" for k, v in values.items()]
    return ", ".join(words[:SHOWN]) + (f" ... ({len(words)} values)" if len(words) > SHOWN else "")


@dataclass(frozen=True)
class Compared:
    """A gradient against the true one: equal | differs | unsure, and the first entry that says so."""

    verdict: str
    got: Sum = field(default_factory=Sum)
    true: Sum = field(default_factory=Sum)
    point: Difference | None = None
    shapes: str = ""


def compared(got: Sized, true: Sized, sizes: Mapping[str, int]) -> Compared:
    """Whether two arrays are equal, at every size; `sizes` are those of the points tried."""
    if got.axes != true.axes:
        return Compared("differs", shapes=f"has shape {got.shape}, and its argument {true.shape}")
    worst = Compared("equal")
    for k, t in true.entries.items():
        g = got.entries[k]
        if g == t:
            continue
        axes = tuple(axis[c] for axis, c in zip(true.axes, k, strict=True))
        point = difference(g, t, axes, sizes)
        if point is not None:
            return Compared("differs", g, t, replace(point, entry=_whole_entry(true, k, point)))
        if not same(g, t):
            worst = Compared("unsure", g, t)
    return worst


def _whole_entry(x: Sized, choice: tuple[int, ...], point: Difference) -> tuple[int, ...]:
    """The entry in the whole array, its blocks laid end to end."""
    before = [axis[:c] for axis, c in zip(x.axes, choice, strict=True)]
    return tuple(
        i + sum(1 if b == 1 else point.sizes.get(b, 2) for b in blocks)
        for i, blocks in zip(point.entry, before, strict=True)
    )
