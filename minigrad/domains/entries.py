"""Numbers modulo p one by one, as entries of numpy's object arrays: numpy itself computes with them.

So code that was written for arrays of floats runs as it stands, with numpy's own views, slices, `out=` and
order of writing, and what it gives is exact. The numbers, the oracles for tanh and the like, and the degrees
that the error bound needs are those of `field.py`. What is computed from memory that nobody has written is as
unknown as that memory: `UNWRITTEN` spreads, as NaN does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .field import DTYPE, FIELD, Mod, P


class NeverWritten(ValueError):
    """A number is wanted of memory that has never been written."""


class Entry:
    """A number modulo p, or None: unknown; its degree and inverses are as those of `field.Mod`."""

    __slots__ = ("degree", "inverses", "value")

    def __init__(self, value: int | None, degree: int = 0, inverses: bool = False) -> None:
        self.value, self.degree, self.inverses = value, degree, inverses

    def __add__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        b = entry(other)
        if self.value is None or b.value is None:
            return UNWRITTEN
        return Entry((self.value + b.value) % P, max(self.degree, b.degree), self.inverses or b.inverses)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        b = entry(other)
        if self.value is None or b.value is None:
            return UNWRITTEN
        return Entry(self.value * b.value % P, self.degree + b.degree, self.inverses or b.inverses)

    def __neg__(self) -> Entry:
        return UNWRITTEN if self.value is None else Entry(-self.value % P, self.degree, self.inverses)

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else self + -entry(other)

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else self * of(FIELD.inverse, other)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __rtruediv__(self, other: Any) -> Any:
        return entry(other) / self

    def __abs__(self) -> Entry:
        return of(FIELD.abs, self)

    def __bool__(self) -> bool:
        raise TypeError("a branch on a number modulo p, which has no order")

    def __repr__(self) -> str:
        return f"{self.value} mod p"


UNWRITTEN = Entry(None)

for _name in ("tanh", "exp", "log", "sqrt", "sin", "cos"):  # np.tanh of an object array calls these
    setattr(Entry, _name, lambda self, name=_name: of(getattr(FIELD, name), self))


def entry(x: Any) -> Entry:
    """A number as an entry."""
    if isinstance(x, Entry):
        return x
    return Entry(FIELD.number(x).a.item())


def of(fn: Callable[..., Mod], *xs: Any) -> Entry:
    """A function of the field, of single numbers."""
    found = [*map(entry, xs)]
    if any(e.value is None for e in found):
        return UNWRITTEN
    y = fn(*(Mod(np.asarray(e.value, DTYPE), e.degree, e.inverses) for e in found))
    return Entry(int(y.a.item()), y.degree, y.inverses)


# ---- whole arrays ------------------------------------------------------------------------------
class Memory(np.ndarray):
    """An object array; it can be filled with a number as an array of floats can."""

    def fill(self, c: Any) -> None:
        """Put the number everywhere."""
        self[...] = entry(c)


def memory(shape: Any, dtype: Any = None) -> np.ndarray:
    """An array that nobody has written yet; of whole numbers only if that is what the dtype says."""
    if np.dtype(dtype).kind in "iu":
        return np.zeros(shape, dtype)
    out = np.empty(shape, DTYPE).view(Memory)
    out[...] = UNWRITTEN
    return out


def to_array(x: Mod) -> np.ndarray:
    """Numbers modulo p as an object array of entries."""
    out = np.frompyfunc(lambda v: Entry(int(v), x.degree, x.inverses), 1, 1)(x.a)
    return np.asarray(out, DTYPE).view(Memory)


def to_field(x: Any) -> Mod:
    """An array of entries, or of plain numbers, as one array modulo p. Raises NeverWritten."""
    x = np.asarray(x)
    if x.dtype != DTYPE:
        return FIELD.lift(x)
    found = [entry(v) for v in x.flat]
    if any(v.value is None for v in found):
        raise NeverWritten("it depends on memory that has never been written")
    values = np.empty(len(found), DTYPE)
    values[:] = [v.value for v in found]
    degree = max((v.degree for v in found), default=0)
    return Mod(values.reshape(x.shape), degree, any(v.inverses for v in found))


class Entries:
    """The domain of such arrays: what the field can do, done on object arrays."""

    name, rank, array_type = "entries", 5, Memory

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        fn = getattr(FIELD, name)

        def on_arrays(*args: Any, **params: Any) -> Any:
            y = fn(*map(_to_field, args), **params)
            return tuple(map(to_array, y)) if isinstance(y, tuple) else to_array(y)

        return on_arrays

    def asarray(self, x: Any) -> Any:
        return x

    def lift(self, x: Any) -> Any:
        return to_array(to_field(x))


def _to_field(x: Any) -> Any:
    if isinstance(x, (np.ndarray, Entry)):
        return to_field(x)
    if isinstance(x, (tuple, list)) and any(isinstance(v, np.ndarray) for v in x):
        return tuple(map(_to_field, x))
    return x


ENTRIES = Entries()


# ---- numpy's functions of numbers that have an order, or no method of their own ---------------------------
def _elementwise(fn: Callable[..., Mod], n: int) -> np.ufunc:
    return np.frompyfunc(lambda *xs: of(fn, *xs), n, 1)


def _power(x: Any, y: Any) -> Entry:
    if isinstance(y, Entry):
        return of(FIELD.power, x, y)
    return of(lambda v: FIELD.power(v, y), x)


class _Maximum:
    """np.maximum, with its `reduce`."""

    call = _elementwise(FIELD.maximum, 2)

    def __call__(self, x: Any, y: Any, out: Any = None) -> Any:
        return self.call(x, y, out=out)

    def reduce(self, x: Any, axis: Any, dtype: Any, out: Any, keepdims: bool) -> Any:
        """The largest entry along axes."""
        out[...] = ENTRIES.max(x, axis, keepdims)
        return out


UFUNCS: dict[Any, Any] = {
    np.maximum: _Maximum(),
    np.greater: _elementwise(FIELD.greater, 2),
    np.greater_equal: _elementwise(FIELD.greater_equal, 2),
    np.equal: _elementwise(FIELD.equal, 2),
    np.sign: _elementwise(FIELD.sign, 1),
    np.absolute: np.frompyfunc(operator.abs, 1, 1),
    np.logaddexp: np.frompyfunc(lambda x, y: of(FIELD.softplus, entry(x) - y) + y, 2, 1),
    np.power: np.frompyfunc(_power, 2, 1),
}
