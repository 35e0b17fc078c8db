"""A certified counterexample: two formulas of symbolic size that differ at a rational point.

Both are evaluated at small sizes, in numbers that carry a bound of their error (`Ball`); where the two
balls do not meet, the formulas differ. Functions come from mpmath's intervals, sums and products are ours.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from mpmath import iv
from mpmath.libmp import to_fixed

from ..domains.contractions import DELTA, Sum
from ..domains.sizes import ATOMS, INDICES, Sized
from .intervals import FUNCTIONS

TRIES = 8
BITS = 120  # behind the point
ONE = 1 << BITS
NUMERATORS = [k for k in range(-11, 12) if k]


class Ball(NamedTuple):
    """A real number within rad / 2^BITS of mid / 2^BITS."""

    mid: int
    rad: int

    @staticmethod
    def rational(q: Any) -> Ball:
        """A ball around a rational number."""
        q = Fraction(q)
        return Ball((q.numerator << BITS) // q.denominator, 1)

    @staticmethod
    def interval(v: Any) -> Ball:
        """A ball around an interval of mpmath's."""
        lo, hi = (to_fixed(end, BITS) for end in v._mpi_)
        return Ball((lo + hi) // 2, abs(hi - lo) // 2 + 2)

    def to_interval(self) -> Any:
        """The ball as an interval of mpmath's."""
        return iv.mpf([self.mid - self.rad, self.mid + self.rad]) / ONE

    def plus(self, other: Ball) -> Ball:
        """The sum."""
        return Ball(self.mid + other.mid, self.rad + other.rad)

    def times(self, other: Ball) -> Ball:
        """The product."""
        (a, r), (b, s) = self, other
        return Ball((a * b) >> BITS, ((abs(a) * s + abs(b) * r + r * s) >> BITS) + 2)

    def inverse(self) -> Ball:
        """One over it. Raises ZeroDivisionError if it may be zero."""
        low = abs(self.mid) - self.rad
        if low <= 0:
            raise ZeroDivisionError("a ball that holds zero")
        return Ball((1 << 2 * BITS) // self.mid, (self.rad << 2 * BITS) // (low * low) + 2)

    def sign(self) -> int:
        """1 or -1. Raises ValueError if neither is certain."""
        if abs(self.mid) <= self.rad:
            raise ValueError("a sign that is not certain")
        return 1 if self.mid > 0 else -1

    def __float__(self) -> float:
        return self.mid / ONE


class Point:
    """A rational value for every tensor entry, and a number for every size.

    A value depends on the seed and the entry's name alone, so that a point can be visited again.
    """

    def __init__(self, seed: int, sizes: Mapping[str, int], default: int = 2) -> None:
        self.seed, self.sizes, self.default = seed, dict(sizes), default
        self.entries: dict[tuple[str, tuple[int, ...]], Fraction] = {}
        self.known: dict[Any, Any] = {}

    def dim(self, name: str) -> int:
        """The number a size stands for."""
        return self.sizes.get(name, self.default)

    def evaluate(self, e: Sum, free: Mapping[int, int]) -> Ball:
        """A ball around the value of e, its free indices being given."""
        total = Ball(0, 0)
        for (fs, dims), c in e.terms.items():
            part = Ball(0, 0)
            for bound in itertools.product(*[range(self.dim(d)) for d in dims]):
                term = Ball(ONE, 0)
                for (name, idx), power in fs:
                    v = self.factor(name, tuple([bound[i] if i >= 0 else free[i] for i in idx]))
                    for _ in range(abs(power)):
                        term = term.times(v if power > 0 else v.inverse())
                    if term.mid == term.rad == 0:
                        break
                part = part.plus(term)
            total = total.plus(part.times(Ball.rational(c)))
        return total

    def factor(self, name: str, at: tuple[int, ...]) -> Ball:
        """The value of one tensor entry: an atom by its definition, a leaf by its drawn number."""
        found = self.known.get((name, at))
        if found is None:
            found = self.known[name, at] = self._factor(name, at)
        return found

    def _factor(self, name: str, at: tuple[int, ...]) -> Ball:
        if name == DELTA:
            return Ball(ONE if at[0] == at[1] else 0, 0)
        if name.startswith("#"):
            return Ball(self.dim(name[1:]) << BITS, 0)
        if name.startswith("ismax#"):
            return Ball(ONE if self._is_max(name, at) else 0, 0)
        if name.startswith("onehot("):
            return Ball(ONE if self.index(name, at[:-1]) == at[-1] else 0, 0)
        if name not in ATOMS.definitions:
            return Ball.rational(self.value(name, at))
        fn, u = ATOMS.definitions[name]
        inner = self.evaluate(u, {-1 - k: i for k, i in enumerate(at)})
        if fn == "let":
            return inner
        return (
            Ball(inner.sign() << BITS, 0)
            if fn == "sign"
            else Ball.interval(FUNCTIONS[fn](inner.to_interval()))
        )

    def _is_max(self, name: str, at: tuple[int, ...]) -> bool:
        """Whether an entry is the largest along the axes that it was compared over."""
        tag, *block = name.split(".")
        (_, over, axes, entries) = next(key for key, known in ATOMS.names.items() if known == tag)
        choice, given = tuple(map(int, block)) or (0,) * len(axes), iter(at)
        here = [(c, next(given) if axis[c] != 1 else 0) for c, axis in zip(choice, axes, strict=True)]
        places = [[here[i]] for i in range(len(axes))]
        for a in over:
            axis = axes[a]
            places[a] = [
                (c, i) for c, block in enumerate(axis) for i in range(1 if block == 1 else self.dim(block))
            ]

        def value(place: Sequence[tuple[int, int]]) -> Ball:
            free = {i - len(axes): k for i, (_, k) in enumerate(place)}
            return self.evaluate(dict(entries)[tuple(c for c, _ in place)], free)

        mine = value(here)
        others = (value(p) for p in itertools.product(*places) if list(p) != here)
        return all(mine.plus(Ball(-v.mid, v.rad)).sign() > 0 for v in others)

    def value(self, name: str, at: tuple[int, ...]) -> Fraction:
        """The rational value of an entry of a leaf."""
        if (name, at) not in self.entries:
            self.entries[name, at] = Fraction(self._draw((name, at), NUMERATORS), 8)
        return self.entries[name, at]

    def index(self, name: str, at: tuple[int, ...]) -> int:
        """Where the row `at` of onehot(...) has its 1."""
        return self._draw((name, at), range(10**6)) % self.default

    def _draw(self, key: tuple[str, tuple[int, ...]], choices: Sequence[int]) -> int:
        return random.Random(f"{self.seed} {key}").choice(choices)

    def array(self, x: Sized) -> np.ndarray:
        """An opaque array's values at this point, as floats."""
        parts = [
            [(c, i) for c, block in enumerate(axis) for i in range(1 if block == 1 else self.dim(block))]
            for axis in x.axes
        ]
        whole = x.dtype == INDICES
        out = np.empty([len(p) for p in parts], dtype=int if whole else float)
        for at in np.ndindex(*out.shape):
            picked = [p[i] for p, i in zip(parts, at, strict=True)]
            (((fs, _), _),) = x.entries[tuple(c for c, _ in picked)].terms.items()
            (((name, idx), _),) = fs
            place = tuple(picked[i][1] for i in idx)
            out[at] = self.index(f"onehot({name})", place) if whole else self.value(name, place)
        return out


@dataclass(frozen=True)
class Difference:
    """Where two formulas certainly differ: the entry (inside its block), both values, sizes, the point, seed.

    values: the rational value of every entry that was used. error: both values are certain to within it.
    """

    entry: tuple[int, ...]
    got: float
    true: float
    sizes: Mapping[str, int]
    values: Mapping[str, str]
    seed: int = 0
    error: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "entry": list(self.entry), "sizes": dict(self.sizes), "values": dict(self.values),
            "returned": self.got, "right": self.true, "error": self.error,
        }  # fmt: skip

    def __str__(self) -> str:
        sizes = ", ".join(f"{k} = {v}" for k, v in self.sizes.items())
        at = f"entry {list(self.entry)} at {sizes}" if sizes else f"entry {list(self.entry)}"
        return f"{at}: {self.got:.6g} was returned, {self.true:.6g} is right (certified)"


def difference(
    got: Sum, true: Sum, axes: Sequence[Any], sizes: Mapping[str, int], tries: int = TRIES
) -> Difference | None:
    """An entry and a rational point at which the two certainly differ, or None if none was found.

    axes: for each axis, the size name of the block the entry lies in, or 1. A size not in `sizes` is 2.
    """
    before, iv.prec = iv.prec, BITS
    try:
        for seed in range(tries):
            point = Point(seed, sizes)
            for entry in itertools.product(*(range(1 if a == 1 else point.dim(a)) for a in axes)):
                free = {i - len(axes): k for i, k in enumerate(entry)}
                try:
                    a, b = point.evaluate(got, free), point.evaluate(true, free)
                except (ValueError, ZeroDivisionError):
                    continue
                if abs(a.mid - b.mid) > a.rad + b.rad:
                    values = {f"{n}{list(at)}": str(v) for (n, at), v in point.entries.items()}
                    error = max(a.rad, b.rad) / ONE
                    return Difference(entry, float(a), float(b), dict(sizes), values, seed, error)
    finally:
        iv.prec = before
    return None
