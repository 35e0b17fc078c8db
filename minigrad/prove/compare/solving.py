"""Linear equations between blocks of weights, solved block by block, for every size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ...domains.contractions import Sum
from .substitution import Multiplied, Substitution, sharing, slot, tensors


@dataclass(frozen=True)
class Equation:
    """A sum of weights that must be zero: at which gate or output of b, and what they multiply there."""

    step: str | int
    of: Multiplied
    zero: Sum
    soft: bool = False  # one way to meet what is needed, not the only one: used last, and dropped if it fails


def solve(
    equations: Sequence[Equation], unknown: Callable[[str], bool], fits: Callable[[str, Sum, Equation], int],
    zero_free: bool = True,
) -> tuple[dict[str, Sum], list[Equation]]:  # fmt: skip
    """(weight -> its value, in slots; the equations that are left).

    Where there is a choice, the value that fits best (least) is taken. Unknowns that are not determined are
    zero if `zero_free`; otherwise values are in terms of them, and equations that determine none are left.
    """
    values: dict[str, Sum] = {}
    pending = [e for e in equations if e.zero]
    while True:
        options: list[tuple[bool, int, int, str, Sum]] = []
        for find in (_isolated, _factored):
            if not options:
                options = [
                    (e.soft, fits(t, v, e), k, t, v)
                    for k, e in enumerate(pending) for t, v in find(e.zero, unknown)
                ]  # fmt: skip
        free = [t for e in pending for t in tensors(e.zero) if unknown(t)]
        if options:
            *_, tag, value = min(options, key=lambda o: o[:3])
        elif free and zero_free:
            tag, value = free[0], Sum()
        else:
            break
        put = Substitution({tag: value})
        values = {t: put(v) for t, v in values.items()} | {tag: value}
        pending = [e for e in (replace(e, zero=put(e.zero)) for e in pending) if e.zero]
    if zero_free:
        zeros = {t: Sum() for v in values.values() for t in tensors(v) if unknown(t)}
        values = {t: Substitution(zeros)(v) for t, v in values.items()} | zeros
    return values, [e for e in pending if not e.soft]


def _isolated(e: Sum, unknown: Callable[[str], bool]) -> Iterator[tuple[str, Sum]]:
    """Every unknown that the equation e = 0 determines, and its value."""
    for (fs, dims), c in e.terms.items():
        if len(fs) != 1 or dims or fs[0][1] != 1 or not unknown(fs[0][0][0]):
            continue
        (tag, idx), _ = fs[0]
        rest = Sum({k: v for k, v in e.terms.items() if k != (fs, dims)})
        if len(set(idx)) == len(idx) and set(rest.free()) <= set(idx) and tag not in tensors(rest):
            yield tag, rest.scale(-1 / Fraction(c)).rename({i: slot(k) for k, i in enumerate(idx)})


def _factored(e: Sum, unknown: Callable[[str], bool]) -> Iterator[tuple[str, Sum]]:
    """As `_isolated`, where all terms share known factors: sum_k W[k,j] (u[k] - v[k]) = 0 if u = v."""
    for (fs, _), _ in e.terms.items():
        mine = [name for (name, _), _ in fs if unknown(name)]
        known = {name for (name, _), _ in fs} - set(mine)
        if len(mine) == 1 and known:
            for part in sharing(e, known):
                yield from ((t, v) for t, v in _isolated(part, unknown) if t == mine[0])
