"""Whether equations for weights have no solution at all: exact linear algebra at small sizes.

The known weights get rational values; each equation then is one polynomial equation for each choice of its
indices. Those that are linear are solved exactly; what they determine is put into the others, until a
contradiction (0 = 1) shows that nothing solves them. Finding none proves nothing.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

from ...domains.contractions import DELTA, Sum

Entry = tuple[str, tuple[int, ...]]
Polynomial = dict[tuple[Entry, ...], Fraction]  # product of unknown entries -> its coefficient
CONSTANT: tuple[Entry, ...] = ()


def contradictory(
    equations: Sequence[Sum],
    unknown: Callable[[str], bool],
    dims: Mapping[str, tuple[str, ...]],
    sizes: Mapping[str, int],
) -> bool:
    """Whether the equations (each sum is zero) have no solution at these sizes, for some known weights.

    dims: the size of each index of each tensor.
    """
    rows = [p for e in equations for p in _instances(e, unknown, dims, sizes)]
    known: dict[Entry, Fraction] = {}
    while True:
        rows = [p for p in (_put(p, known) for p in rows) if p]
        linear = [p for p in rows if all(len(k) <= 1 for k in p)]
        found = _solved(linear)
        if found is None:
            return True
        if not found:
            return False
        known |= found


def _instances(
    e: Sum, unknown: Callable[[str], bool], dims: Mapping[str, tuple[str, ...]], sizes: Mapping[str, int]
) -> Iterator[Polynomial]:
    """The equation at every choice of its free indices."""
    span = _spans(e, dims)
    free = e.free()
    # An index that stands in deltas alone is 0: that one instance holds at every size.
    for at in itertools.product(*(range(sizes[span[i]] if i in span else 1) for i in free)):
        here = dict(zip(free, at, strict=True))
        out: Polynomial = {}
        for (fs, bound), c in e.terms.items():
            for inner in itertools.product(*(range(sizes[d]) for d in bound)):
                value, entries = Fraction(c), []
                for (name, idx), p in fs:
                    k = tuple(inner[i] if i >= 0 else here[i] for i in idx)
                    if name == DELTA:
                        value *= k[0] == k[1]
                    elif name.startswith("#"):
                        value *= Fraction(sizes[name[1:]]) ** p
                    elif unknown(name):
                        entries += [(name, k)] * p
                    else:
                        value *= _drawn(name, k) ** p
                key = tuple(sorted(entries))
                out[key] = out.get(key, Fraction(0)) + value
        yield {k: c for k, c in out.items() if c}


def _drawn(name: str, at: tuple[int, ...]) -> Fraction:
    """The value of a known weight: a number that depends on nothing but its name and place."""
    return Fraction(random.Random(f"{name} {at}").choice([k for k in range(-97, 98) if k]), 16)


def _spans(e: Sum, dims: Mapping[str, tuple[str, ...]]) -> dict[int, str]:
    """The size of each free index, deltas passing it on."""
    out: dict[int, str] = {}
    pairs = []
    for fs, _ in e.terms:
        for (name, idx), _ in fs:
            if name == DELTA:
                pairs.append(idx)
            out |= {i: d for i, d in zip(idx, dims.get(name, ()), strict=False) if i < 0}
    for _ in pairs:
        for a, b in pairs:
            for i, k in ((a, b), (b, a)):
                if i in out and k < 0:
                    out.setdefault(k, out[i])
    return out


def _put(p: Polynomial, known: Mapping[Entry, Fraction]) -> Polynomial:
    out: Polynomial = {}
    for key, c in p.items():
        for e in key:
            c = c * known.get(e, 1)
        left = tuple(e for e in key if e not in known)
        out[left] = out.get(left, Fraction(0)) + c
    return {k: c for k, c in out.items() if c}


def _solved(rows: Sequence[Polynomial]) -> dict[Entry, Fraction] | None:
    """The entries that linear equations determine; None if they contradict each other."""
    pivots: dict[tuple[Entry, ...], Polynomial] = {}
    for row in rows:
        for key, pivot in pivots.items():
            row = _minus(row, pivot, row.get(key, Fraction(0)))
        if set(row) == {CONSTANT}:
            return None
        if not row:
            continue
        key = next(k for k in row if k)
        row = {k: c / row[key] for k, c in row.items()}
        pivots = {k: _minus(p, row, p.get(key, Fraction(0))) for k, p in pivots.items()} | {key: row}
    return {
        key[0]: -row.get(CONSTANT, Fraction(0))
        for key, row in pivots.items()
        if not set(row) - {key, CONSTANT}
    }


def _minus(a: Polynomial, b: Polynomial, factor: Fraction) -> Polynomial:
    if not factor:
        return a
    keys = {**a, **b}
    out = {k: a.get(k, Fraction(0)) - factor * b.get(k, Fraction(0)) for k in keys}
    return {k: c for k, c in out.items() if c}
