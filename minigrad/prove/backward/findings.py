"""What is wrong with a wrong gradient: a certified point, the terms, the mistake, and the right line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...domains.contractions import Names, Sum, show
from ...domains.sizes import Sized
from ..faults import label
from ..points import Difference, difference
from .lets import same
from .problem import Problem

LONGEST = 240  # characters of a list of terms


@dataclass(frozen=True)
class Finding:
    """One wrong gradient: whose, where it certainly differs, and the mistake if it was recognised.

    reason: the mistake, only where it gives exactly what was returned, else "". missing, extra: the terms
    that are not there and those that should not be. T: the smallest number of steps that shows it, None for
    a single step. numpy, latex: the lines that compute the right gradient of one step.
    """

    argument: str
    point: Difference | None
    reason: str = ""
    missing: str = ""
    extra: str = ""
    T: int | None = None
    numpy: tuple[str, ...] = ()
    latex: tuple[str, ...] = ()

    def __str__(self) -> str:
        at = f" (T = {self.T})" if self.T else ""
        lines = [f"d{self.argument}{at}: {self.reason or 'differs from the true gradient'}"]
        lines += [f"  missing: {self.missing}"] * bool(self.missing) + [f"  extra:   {self.extra}"] * bool(
            self.extra
        )
        lines += [f"  {self.point}"] if self.point else []
        return "\n".join([*lines, *(f"  right:   {line}" for line in self.numpy)])


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


# ---- in words ----------------------------------------------------------------------------------
def terms(problem: Problem, got: Sum, true: Sum) -> tuple[str, str]:
    """(missing terms, extra terms), in the names of the code."""
    names = atom_names(problem)
    return _only_in(true, got, names), _only_in(got, true, names)


def _only_in(a: Sum, b: Sum, names: Names) -> str:
    """The terms of a that b lacks, or has with another factor."""
    left = {k: c for k, c in a.terms.items() if b.terms.get(k) != c}
    text = show(Sum(left), names) if left else ""
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + f" ... ({len(left)} terms)"


def atom_names(problem: Problem) -> Names:
    """What the code calls the opaque functions, and the order of their axes there: sigmoid#3 is F."""
    names: Names = {}
    for t, step in enumerate(problem.steps, start=1):
        for node in step.nodes:
            for e in getattr(node.value, "entries", {}).values():
                if len(e.terms) != 1:
                    continue
                (((fs, dims), c),) = e.terms.items()
                if dims or c != 1 or len(fs) != 1 or "#" not in fs[0][0][0]:
                    continue
                name, idx = fs[0][0]
                order = tuple(sorted(range(len(idx)), key=lambda k, idx=idx: idx[k]))
                names.setdefault(name, (label(node, 1) + (f"_{t}" if problem.whole else ""), order))
    return names
