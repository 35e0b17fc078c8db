"""Arrays of symbolic size: the engine's own rules run on them, so a proof holds for every size.

An axis is a tuple of blocks (`blocks.py`): n+d is the axis of [h, x], and 4*n that of four gates. For
each choice of blocks, an entry is a `Sum` in the free indices -1 (last axis), -2, ... Every assumption
(no entry at a kink, indices in range) is noted as a condition of whatever is proved, and every
comparison of sizes is noted in `COMPARED`.

Guarantee: what is computed holds at every size that meets the conditions. An operation that cannot
be done on symbolic sizes raises `Undecided`, naming itself; it is never approximated.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np

from ..engine.core import Tensor, leaf, register
from .atoms import Atoms
from .blocks import (
    COMPARED,
    Blocks,
    Negative,
    Shape,
    Size,
    Undecided,
    blocks_of,
    broadcast_axes,
    choices,
    size_of,
)
from .contractions import Sum
from .elementary import POSITIVE
from .kinks import Kinks
from .layout import Layout
from .lookups import RANGE, LookUps
from .merging import indices, parts, places
from .polynomial import DIVISOR
from .symbols import exact

__all__ = [
    "ATOMS", "SIZES", "Blocks", "Size", "Sized", "Sizes", "Undecided", "array", "blocks_of", "fresh",
    "size_of", "sized_tensor",
]  # fmt: skip

NUMBERS, INDICES = np.dtype(object), np.dtype("int64")
KINK = "no argument of relu, abs, maximum, or a comparison is exactly at its kink"
TIE = "no two entries share a maximum"
BASE = "the base of a power whose exponent is an array is positive"


class Sized:
    """An array whose axes are blocks; `entries` maps a choice of block per axis to a Sum."""

    __slots__ = ("_shape", "axes", "dtype", "entries")
    __array_ufunc__ = None

    def __init__(
        self, axes: tuple[Blocks, ...], entries: dict[tuple[int, ...], Sum], dtype: Any = NUMBERS
    ) -> None:
        self.axes, self.entries, self.dtype = axes, entries, dtype
        self._shape: Shape | None = None

    @property
    def shape(self) -> Shape:
        """A Size or an int per axis."""
        if self._shape is None:
            self._shape = Shape(map(size_of, self.axes))
        return self._shape

    ndim = property(lambda self: len(self.axes))
    size = property(lambda self: math.prod(self.shape))

    @staticmethod
    def make(
        axes: tuple[Blocks, ...], entry: Callable[[tuple[int, ...]], Sum], dtype: Any = NUMBERS
    ) -> Sized:
        """The array with entry(choice) for every choice of blocks."""
        return Sized(axes, {k: entry(k) for k in choices(axes)}, dtype)

    def _with(self, other: Any, op: Callable[[Sum, Sum], Sum]) -> Sized:
        b = other if isinstance(other, Sized) else SIZES.number(other)
        axes = broadcast_axes(self.axes, b.axes)
        return Sized.make(axes, lambda k: op(self.spread(k), b.spread(k)))

    def spread(self, choice: tuple[int, ...]) -> Sum:
        """The entry at a choice of blocks of a larger shape that this array broadcasts to."""
        own = choice[len(choice) - self.ndim :]
        return self.entries[tuple(0 if axis == (1,) else c for axis, c in zip(self.axes, own, strict=True))]

    def renamed(self, axes: dict[int, int]) -> Sized:
        """The entries with the indices of some axes (-1 is the last) called as those of others."""
        names = {
            old: new for a, b in axes.items() if a != b
            for block in self.axes[a]
            for old, new in zip(indices(a, block), indices(b, block), strict=True)
        }  # fmt: skip
        return self.each(lambda e: e.rename(names)) if names else self

    def each(self, fn: Callable[[Sum], Sum]) -> Sized:
        """fn of every entry."""
        return Sized(self.axes, {k: fn(e) for k, e in self.entries.items()})

    def __add__(self, other: Any) -> Sized:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Sized:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Any) -> Sized:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Sized:
        return self * (other if isinstance(other, Sized) else SIZES.number(other)).power(-1)

    def __radd__(self, other: Any) -> Sized:
        return self + other

    def __rsub__(self, other: Any) -> Sized:
        return -self + other

    def __rmul__(self, other: Any) -> Sized:
        return self * other

    def __rtruediv__(self, other: Any) -> Sized:
        return SIZES.number(other) / self

    def __neg__(self) -> Sized:
        return self.each(lambda e: -e)

    def power(self, q: Any) -> Sized:
        """Each entry to a rational power."""
        q = _fraction(q)
        if q < 0 or q.denominator != 1:
            SIZES.needs_positive(self, DIVISOR if q.denominator == 1 else POSITIVE)
        return self.each(lambda e: ATOMS.power(e, q))

    def __bool__(self) -> bool:
        raise Undecided("a branch on the value of a tensor, which would then hold for some values only")

    def __len__(self) -> int:
        return operator.index(self.shape[0])

    def __getitem__(self, t: int) -> Sized:
        """Entry t of the first axis."""
        return SIZES.index(self, (t,) + (slice(None),) * (self.ndim - 1))

    def min(self) -> int:
        """0, which every index array is at least: noted as a condition."""
        SIZES.assumed.add(RANGE)
        return 0

    max = min  # and below every size


class Sizes(Kinks, LookUps, Layout):
    """The domain of arrays of symbolic size."""

    name, rank, array_type = "sizes", 4, Sized

    def __init__(self) -> None:
        self.assumed: set[str] = set()

    @property
    def conditions(self) -> set[str]:
        """All that has been assumed since `fresh`, in words."""
        return self.assumed | {f"{Size(a)} != {Size(b)}" for a, b in COMPARED}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Undecided(f"{name} has no rule for arrays of symbolic size")

    # ---- numbers ----
    def number(self, c: Any) -> Sized:
        """A constant, or a size, as an array without axes."""
        if isinstance(c, Negative):
            return -self.number(c.size)
        if isinstance(c, Size):
            total = Sum()
            for b in c.blocks:
                total = total + math.prod((Sum.factor(f"#{n}", ()) for n in parts(b)), start=Sum.number(1))
            return Sized((), {(): total})
        return Sized((), {(): c if isinstance(c, Sum) else Sum.number(_fraction(c))})

    def scalar(self, c: Any, like: Any) -> Sized:
        return self.number(c)

    def lift(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(self.lift, x))
        if isinstance(x, Sized):
            return x
        return Sized.make(tuple((1,) * n for n in x.shape), lambda k: Sum.number(_fraction(x[k])), x.dtype)

    def zeros(self, shape: Any, like: Any) -> Sized:
        return Sized.make(tuple(map(blocks_of, shape)), lambda k: Sum())

    # ---- functions of entries ----
    def tanh(self, x: Sized) -> Sized:
        return x.each(lambda e: ATOMS.atom("tanh", e))

    def exp(self, x: Sized) -> Sized:
        return x.each(lambda e: ATOMS.atom("exp", e))

    def needs_positive(self, x: Sized, condition: str) -> None:
        """Note the condition, unless every entry shows that it is positive."""
        if not all(ATOMS.is_positive(e) or _is_number(e) for e in x.entries.values()):
            self.assumed.add(condition)

    def log(self, x: Sized) -> Sized:
        self.needs_positive(x, POSITIVE)
        return x.each(lambda e: ATOMS.atom("log", e))

    def sqrt(self, x: Sized) -> Sized:
        self.needs_positive(x, POSITIVE)
        return x.each(lambda e: ATOMS.atom("sqrt", e))

    def sin(self, x: Sized) -> Sized:
        return x.each(lambda e: ATOMS.atom("sin", e))

    def cos(self, x: Sized) -> Sized:
        return x.each(lambda e: ATOMS.atom("cos", e))

    def sign(self, x: Sized) -> Sized:
        if any(e and not _is_number(e) for e in x.entries.values()):
            self.assumed.add(KINK)
        return x.each(lambda e: ATOMS.atom("sign", e))

    def equal(self, x: Any, y: Any) -> Sized:
        d = x - y
        self.sign(d)  # for its condition
        return d.each(lambda e: Sum.number(0 if e else 1))

    def softplus(self, x: Sized) -> Sized:
        return self.log(self.exp(x) + 1)

    def power(self, x: Sized, y: Any) -> Sized:
        if not isinstance(y, Sized):
            return x.power(y)
        self.assumed.add(BASE)
        for e in x.entries.values():
            ATOMS.assume_positive(e)
        return self.exp(y * self.log(x))

    # ---- contractions and reductions ----
    def matmul(self, a: Sized, b: Sized) -> Sized:
        if a.axes[-1] != b.axes[-2]:
            if a.shape[-1] == b.shape[-2]:
                raise Undecided(f"matmul: blocks {a.axes[-1]} against {b.axes[-2]}, in another order")
            raise ValueError(f"matmul: inner sizes {a.shape[-1]} and {b.shape[-2]} differ")
        lead = broadcast_axes(a.axes[:-2], b.axes[:-2])
        inner = -1 - max(a.ndim, b.ndim)
        left, right = a.renamed({-1: inner}), b.renamed({-2: inner})

        def entry(k: tuple[int, ...]) -> Sum:
            total = Sum()
            for c, dim in enumerate(a.axes[-1]):
                term = left.spread((*k[:-1], c)) * right.spread((*k[:-2], c, k[-1]))
                total = total + term.bind(indices(inner, dim))
            return total

        return Sized.make((*lead, a.axes[-2], b.axes[-1]), entry)

    def sum(self, x: Sized, axis: Any, keepdims: bool = False) -> Sized:
        axis = (axis,) if isinstance(axis, int) else axis
        at = {x.ndim + a: a for a in axis}

        def entry(k: tuple[int, ...]) -> Sum:
            total = Sum()
            for gone in choices(tuple(x.axes[i] for i in at)):
                full = list(k)
                for i, c in zip(at, gone, strict=True):
                    full[i] = c
                dims = {j: n for i, a in at.items() for j, n in indices(a, x.axes[i][full[i]]).items()}
                total = total + x.entries[tuple(full)].bind(dims)
            return total

        y = Sized.make(tuple((1,) if i in at else b for i, b in enumerate(x.axes)), entry)
        return y if keepdims else self._drop(y, set(at))

    def logsumexp(self, x: Sized, axis: Any, keepdims: bool) -> Sized:
        return self.log(self.sum(self.exp(x), axis, keepdims))

    def is_max(self, x: Sized, axis: Any) -> Sized:
        if any(len(parts(block)) > 1 for b in x.axes for block in b):
            raise Undecided(f"a maximum of an array of shape {x.shape}, some axes of which were merged")
        self.assumed.add(TIE)
        key = ("ismax", axis, x.axes, tuple(sorted(x.entries.items(), key=lambda ke: ke[0])))
        tag = ATOMS.names.setdefault(key, f"ismax#{len(ATOMS.names)}")
        return array(tag, *x.axes)


def _fraction(c: Any) -> Any:
    """A number as a whole number or a Fraction; floats as they are written."""
    if isinstance(c, (int, Fraction)):
        return int(c) if isinstance(c, int) else c
    q = exact(c)
    return Fraction(int(q.p), int(q.q))


def _is_number(e: Sum) -> bool:
    return all(not fs for fs, _ in e.terms)


ATOMS, SIZES = Atoms(), Sizes()
register(Sized, SIZES)
Size.number = lambda n, fn: leaf(fn(SIZES.number(n)))  # type: ignore[method-assign, assignment]


@contextmanager
def fresh() -> Iterator[Sizes]:
    """A block with no atoms and no conditions noted at its start."""
    ATOMS.clear()
    SIZES.assumed.clear()
    COMPARED.clear()
    yield SIZES


def array(name: str, *axes: Blocks, dtype: Any = NUMBERS) -> Sized:
    """An opaque tensor of the given blocks: entry name[choice][indices]. dtype: INDICES for index arrays."""

    def entry(k: tuple[int, ...]) -> Sum:
        tag = name + (f".{'.'.join(map(str, k))}" if any(len(b) > 1 for b in axes) else "")
        return Sum.factor(tag, tuple(places(axes, k)))

    return Sized.make(axes, entry, dtype)


def sized_tensor(name: str, *axes: Blocks, requires_grad: bool = True) -> Tensor:
    """A leaf Tensor of symbolic size."""
    return leaf(array(name, *axes), requires_grad, name)
