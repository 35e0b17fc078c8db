"""Integers modulo a prime as numbers: the engine's own code runs on them exactly, at random points.

p = 2^61 - 1. A function such as tanh is a random oracle: each new argument gets a fresh random value, and
the same argument the same value. Only these relations hold, and they hold for the real functions too:

    tanh, sin, sign odd, cos even; sigmoid by its row, (tanh(x/2) + 1)/2; exp(0) = 1, exp(-x) = 1/exp(x),
    exp(log x) = x, log(exp x) = x, exp(x_i - logsumexp(x)) = exp(x_i)/sum_j exp(x_j); x^(y+k) = x^y x^k
    for small whole k; log(1) = 0.

Not kept: exp(a + b) = exp(a) exp(b) (no such map of this field exists), sqrt(x)^2 = x, sin^2 + cos^2 = 1,
sign^2 = 1, tanh(2x) by tanh(x), and all others. So two formulas that agree here are, up to the error
bound of `Field.error`, equal as rational functions of their variables and of the values of functions, and
hence equal over the reals; two that differ here may still be equal over the reals.

`dual.py` carries a derivative along a direction: the reference that gradients are compared with.
Source: Schwartz 1980, Zippel 1979 (polynomial identity testing).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from ..engine.core import register
from .floats import Arrays
from .kinks import Kinks

P = (1 << 61) - 1
DTYPE = np.dtype(object)
Known = tuple[int, int, bool]  # value, degree, whether it contains the inverse of a variable


class Mod:
    """An array of integers modulo p (Python's own, which cannot overflow).

    degree: of its entries, as polynomials in the random variables, the values of oracles, and inverses;
    inverses: whether there may be inverses of these in it.
    """

    __slots__ = ("a", "degree", "inverses")
    __array_ufunc__ = None
    dtype = DTYPE

    def __init__(self, a: Any, degree: int = 0, inverses: bool = False) -> None:
        self.a = a if a.__class__ is np.ndarray else np.asarray(a, DTYPE)
        self.degree, self.inverses = degree, inverses

    shape = property(lambda self: self.a.shape)
    ndim = property(lambda self: self.a.ndim)
    size = property(lambda self: self.a.size)

    def __bool__(self) -> bool:
        raise TypeError("a branch on a value modulo p, which has no order; use where(condition, a, b)")

    def __len__(self) -> int:
        return len(self.a)

    def _with(self, a: Any) -> Mod:
        return Mod(a, self.degree, self.inverses)

    def __add__(self, other: Any) -> Mod:
        b = other if other.__class__ is Mod else FIELD.number(other)
        return Mod((self.a + b.a) % P, max(self.degree, b.degree), self.inverses or b.inverses)

    def __sub__(self, other: Any) -> Mod:
        b = other if other.__class__ is Mod else FIELD.number(other)
        return Mod((self.a - b.a) % P, max(self.degree, b.degree), self.inverses or b.inverses)

    def __mul__(self, other: Any) -> Mod:
        b = other if other.__class__ is Mod else FIELD.number(other)
        return Mod((self.a * b.a) % P, self.degree + b.degree, self.inverses or b.inverses)

    def __truediv__(self, other: Any) -> Mod:
        return self * FIELD.inverse(other if other.__class__ is Mod else FIELD.number(other))

    def __neg__(self) -> Mod:
        return self._with(-self.a % P)

    def __radd__(self, other: Any) -> Mod:
        return self + other

    def __rsub__(self, other: Any) -> Mod:
        return -self + other

    def __rmul__(self, other: Any) -> Mod:
        return self * other

    def __rtruediv__(self, other: Any) -> Mod:
        return FIELD.number(other) / self


class Field(Kinks):
    """The domain of arrays modulo p, and what its oracles have answered since `fresh`."""

    name, rank, array_type = "field", 5, Mod

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget all answers; new ones are drawn from the seed."""
        self.draw = random.Random(seed)
        self.known: dict[tuple, Known] = {}
        self.asked: dict[str, list[int]] = {}  # oracle -> degrees of the arguments that drew an answer
        self.given: dict[str, list[int]] = {}  # oracle -> degrees of the arguments whose answer was given
        self.inverted: dict[int, tuple[int, int, bool]] = {}  # element -> its inverse, degree, flag

    # ---- numbers ----
    def number(self, c: Any) -> Mod:
        """A rational constant; floats are taken as they are written."""
        return Mod(np.asarray(_residue(c), DTYPE))

    def scalar(self, c: Any, like: Any) -> Mod:
        return self.number(c)

    def random(self, *shape: int) -> Mod:
        """An array of new random variables."""
        out = np.empty(shape, DTYPE)
        for i in np.ndindex(*shape):
            out[i] = self.draw.randrange(P)
        return Mod(out, 1)

    def lift(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(self.lift, x))
        return x if isinstance(x, Mod) else Mod(_each(_residue, np.asarray(x)))

    def zeros(self, shape: Any, like: Any) -> Mod:
        return Mod(np.full(shape, 0, DTYPE))

    def inverse(self, x: Mod) -> Mod:
        """1/x. Raises ZeroDivisionError at 0, which at a random point is as rare as the error bound."""
        if not x.degree:
            return Mod(_each(lambda u: pow(u, -1, P), x.a))
        out = _each(lambda u: self._inverse(u, x.degree, x.inverses), x.a)
        return Mod(out, 1, True)

    def _inverse(self, u: int, degree: int, nested: bool) -> int:
        if u not in self.inverted:
            if not u:
                raise ZeroDivisionError("division by an expression that is zero at this point")
            self.inverted[u] = pow(u, -1, P), degree, nested
        return self.inverted[u][0]

    # ---- oracles ----
    def ask(
        self, fn: str, x: Mod, answer: Callable[[int], Known | None] = lambda u: None, count: str = ""
    ) -> Mod:
        """The oracle fn of every entry; answer(u) may give what is known of a new argument u.

        count: the name under which its arguments are counted, if not fn.
        """
        degree, inverses = 0, False
        asked = self.asked.setdefault(count or fn, [])
        out = np.empty(x.a.shape, DTYPE)
        for i, u in np.ndenumerate(x.a):
            found = self.known.get((fn, u))
            if found is None:
                found = answer(u)
                if found is None:
                    asked.append(x.degree)
                    found = (self.draw.randrange(P), 1, False)
                self.known[fn, u] = found
            out[i] = found[0]
            degree, inverses = max(degree, found[1]), inverses or found[2]
        return Mod(out, degree, inverses)

    def _odd(self, fn: str, x: Mod, sign: int = -1) -> Mod:
        def answer(u: int) -> Known | None:
            if not u:
                return int(sign > 0), 0, False
            found = self.known.get((fn, P - u))
            return found and (sign * found[0] % P, found[1], found[2])

        return self.ask(fn, x, answer)

    def tanh(self, x: Mod) -> Mod:
        return self._odd("tanh", x)

    def sin(self, x: Mod) -> Mod:
        return self._odd("sin", x)

    def cos(self, x: Mod) -> Mod:
        return self._odd("cos", x, 1)

    def sign(self, x: Mod) -> Mod:
        return self._odd("sign", x)

    def sqrt(self, x: Mod) -> Mod:
        return self.ask("sqrt", x)

    def softplus(self, x: Mod) -> Mod:
        return self.ask("softplus", x)

    def exp(self, x: Mod) -> Mod:
        def answer(u: int) -> Known | None:
            if not u:
                return 1, 0, False
            found = self.known.get(("exp", P - u))
            return found and (self._inverse(found[0], found[1], found[2]), 1, True)

        y = self.ask("exp", x, answer)
        self._give("log", y, x)
        return y

    def log(self, x: Mod) -> Mod:
        y = self.ask("log", x, lambda u: (0, 0, False) if u == 1 else None)
        self._give("exp", y, x)
        return y

    def _give(self, fn: str, x: Mod, y: Mod) -> None:
        """From here on, fn(x) = y."""
        given = self.given.setdefault(fn, [])
        for u, v in zip(x.a.flat, y.a.flat, strict=True):
            if (fn, u) not in self.known:
                self.known[fn, u] = (v, y.degree, y.inverses)
                given.append(x.degree)

    def logsumexp(self, x: Mod, axis: Any, keepdims: bool) -> Mod:
        e = self.exp(x)
        total = self.sum(e, axis, keepdims=True)
        y = self.log(total)
        self._give("exp", x - y, e / total)
        return y if keepdims else y._with(np.squeeze(y.a, axis))

    def power(self, x: Mod, y: Any) -> Mod:
        if isinstance(y, Mod):
            return self._general_power(x, y)
        q = _fraction(y)
        if q.denominator > 1:
            x = self.sqrt(x) if q.denominator == 2 else self.ask(f"root {q.denominator}", x)
        if q.numerator < 0:
            x = self.inverse(x)
        n = abs(q.numerator)
        return Mod(_each(lambda u: pow(int(u), n, P), x.a), x.degree * n, x.inverses)

    def _general_power(self, x: Mod, y: Mod) -> Mod:
        x, y = self._spread(x, y), self._spread(y, x)
        for u in map(int, x.a.flat):  # x is positive; but a sign that was given before stays, for both sides see it
            if ("sign", P - u) not in self.known:
                self.known.setdefault(("sign", u), (1, 1, False))
        one = self.inverse(x)
        out, degree = np.empty(x.a.shape, DTYPE), 1
        for i in np.ndindex(*out.shape):
            u, v, w = int(x.a[i]), int(y.a[i]), int(one.a[i])
            for k in (0, 1, -1, 2, -2):  # x^v from a known x^(v + k)
                found = self.known.get(("pow", u, (v + k) % P))
                if found is not None:
                    out[i] = found[0] * pow(w if k > 0 else u, abs(k), P) % P
                    degree = max(degree, found[1] + abs(k) * x.degree)
                    break
            else:
                out[i] = answer = self.draw.randrange(P)
                self.asked.setdefault("pow", []).append(x.degree + y.degree)
                self.known["pow", u, v] = (answer, 1, False)
        return Mod(out, degree, True)

    def _spread(self, x: Mod, y: Mod) -> Mod:
        return x._with(np.broadcast_to(x.a, np.broadcast_shapes(x.shape, y.shape)))

    def equal(self, x: Mod, y: Any) -> Mod:
        return Mod(_each(lambda u: int(not u), (x - y).a))

    def is_max(self, x: Mod, axis: Any) -> Mod:
        """An oracle of each entry and all of its row."""
        lead = [a for a in range(-x.ndim, 0) if a not in axis]
        moved = x.a.transpose(*lead, *axis)
        rows = moved.reshape(*moved.shape[: len(lead)], -1)
        out = np.empty(rows.shape, DTYPE)
        for i in np.ndindex(*rows.shape[:-1]):
            row = tuple(rows[i])
            hits = self.ask(f"max of {sorted(row)}", Mod(rows[i], x.degree), count="max")
            out[i] = hits.a if len(row) > 1 else 1
        back = np.argsort([a % x.ndim for a in (*lead, *axis)])
        return Mod(out.reshape(moved.shape).transpose(*back), 1)

    # ---- contractions and layout ----
    def matmul(self, a: Mod, b: Mod) -> Mod:
        return Mod(ARRAYS.matmul(a.a, b.a) % P, a.degree + b.degree, a.inverses or b.inverses)

    def sum(self, x: Mod, axis: Any, keepdims: bool = False) -> Mod:
        return x._with(ARRAYS.sum(x.a, axis, keepdims) % P)

    def reshape(self, x: Mod, shape: tuple, ndim: int) -> Mod:
        return x._with(ARRAYS.reshape(x.a, shape, ndim))

    def transpose(self, x: Mod, axes: tuple) -> Mod:
        return x._with(ARRAYS.transpose(x.a, axes))

    def broadcast(self, x: Mod, shape: tuple, ndim: int) -> Mod:
        return x._with(ARRAYS.broadcast(x.a, shape, ndim))

    def index(self, x: Mod, key: tuple) -> Mod:
        return x._with(ARRAYS.index(x.a, key))

    def concat(self, xs: Any, axis: int) -> Mod:
        return _joined(xs, ARRAYS.concat([x.a for x in xs], axis))

    def stack(self, xs: Any, axis: int) -> Mod:
        return _joined(xs, ARRAYS.stack([x.a for x in xs], axis))

    def place(self, x: Mod, key: tuple, shape: tuple, onto: Mod | None = None) -> Mod:
        placed = ARRAYS.place(x.a, key, shape, None if onto is None else onto.a)
        return _joined([x] if onto is None else [x, onto], placed % P)

    def gather(self, x: Mod, indices: Any, ndim: int, at: int) -> Mod:
        return x._with(ARRAYS.gather(x.a, [_whole(i) for i in indices], ndim, at))

    def scatter(self, x: Mod, indices: Any, shape: tuple, at: int) -> Mod:
        return x._with(ARRAYS.scatter(x.a, [_whole(i) for i in indices], shape, at) % P)

    def one_hot(self, i: Mod, n: int, dtype: str) -> Mod:
        return Mod(np.equal(_whole(i)[..., None], np.arange(n)).astype(int).astype(DTYPE))

    # ---- how sure ----
    def error(self, degree: int) -> float:
        """A bound on the probability that a difference of this degree is 0 at this point by chance alone.

        With D the degree in variables, oracle values and inverses 1/u_k, and d_k the degree of u_k:
        multiplying by every u_k^D gives a polynomial of degree D (1 + sum d_k), times (1 + d_k) for each u_k
        that itself contains inverses. It vanishes at a random point with probability <= degree/p (Schwartz,
        Zippel), if no two different arguments of an oracle had the same value up to sign. Each such pair
        differs by a polynomial as well, of at most the sum of their degrees; over the N arguments of an
        oracle that is N times the sum of their degrees, twice for the sign, five times for the whole shifts
        of an exponent. And no u_k is zero.
        """
        flat = 1 + sum(d for _, d, nested in self.inverted.values() if not nested)
        for _, d, nested in self.inverted.values():
            flat *= 1 + d if nested else 1
        pairs = 0
        for fn in {*self.asked, *self.given}:
            degrees = self.asked.get(fn, []) + self.given.get(fn, [])
            pairs += (5 if fn == "pow" else 2) * len(degrees) * sum(degrees)
        inverses = sum(d for _, d, _ in self.inverted.values())
        return min(1.0, (degree + pairs + inverses) * flat / P)


def _joined(xs: Any, a: Any) -> Mod:
    return Mod(a, max(x.degree for x in xs), any(x.inverses for x in xs))


def _each(fn: Callable[[Any], Any], a: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(fn, 1, 1)(a), DTYPE)


def _whole(i: Mod) -> np.ndarray:
    """Residues as the small whole numbers that they stand for."""
    return _each(lambda u: u if u < P // 2 else u - P, i.a).astype(np.intp)


def _fraction(c: Any) -> Fraction:
    """A number exactly; a float as it is written."""
    return Fraction(c) if isinstance(c, (int, Fraction)) else Fraction(repr(float(c)))


@lru_cache(maxsize=4096)
def _residue(c: Any) -> int:
    q = _fraction(c.item() if isinstance(c, np.generic) else c)
    return q.numerator * pow(q.denominator, -1, P) % P


ARRAYS, FIELD = Arrays(), Field()
register(Mod, FIELD)


@contextmanager
def fresh(seed: int = 0) -> Iterator[Field]:
    """A block whose oracles know nothing at its start."""
    FIELD.reset(seed)
    yield FIELD
