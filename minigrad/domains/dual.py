"""Field elements with a derivative along a direction: forward mode, the reference for gradients.

The value rules of the table run on these unchanged, so no vjp is asked. What is known of derivatives is
the rules of sums, products and quotients, and `SLOPES`; moving entries about moves their slopes alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.core import register
from .field import DTYPE, FIELD, Mod
from .kinks import Kinks

SLOPES: dict[str, Callable[[Mod, Mod], Mod]] = {  # f'(u), from t = f(u) and u
    "tanh": lambda t, u: 1 - t * t,
    "exp": lambda t, u: t,
    "log": lambda t, u: 1 / u,
    "sqrt": lambda t, u: 1 / (t * 2),
    "sin": lambda t, u: FIELD.cos(u),
    "cos": lambda t, u: -FIELD.sin(u),
    "softplus": lambda t, u: (FIELD.tanh(u / 2) + 1) / 2,
}


class Dual:
    """value + slope * epsilon; a slope of None is zero."""

    __slots__ = ("slope", "value")
    __array_ufunc__ = None
    dtype = DTYPE

    def __init__(self, value: Mod, slope: Mod | None = None) -> None:
        self.value, self.slope = value, slope

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)

    def __len__(self) -> int:
        return len(self.value)

    def __add__(self, other: Any) -> Dual:
        b = _dual(other)
        return _made(self.value + b.value, self.slope, b.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -_dual(other)

    def __mul__(self, other: Any) -> Dual:
        b = _dual(other)
        return _made(self.value * b.value, _times(self.slope, b.value), _times(b.slope, self.value))

    def __truediv__(self, other: Any) -> Dual:
        b = _dual(other)
        one = FIELD.inverse(b.value)
        y = self.value * one
        return _made(y, _times(self.slope, one), _times(b.slope, -y * one))

    def __neg__(self) -> Dual:
        return Dual(-self.value, None if self.slope is None else -self.slope)

    def __radd__(self, other: Any) -> Dual:
        return self + other

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __rmul__(self, other: Any) -> Dual:
        return self * other

    def __rtruediv__(self, other: Any) -> Dual:
        return _dual(other) / self


def _dual(x: Any) -> Dual:
    return x if x.__class__ is Dual else Dual(x if x.__class__ is Mod else FIELD.number(x))


def _times(slope: Mod | None, factor: Mod) -> Mod | None:
    return None if slope is None else slope * factor


def _made(value: Mod, *slopes: Mod | None) -> Dual:
    """The value with the sum of the slopes, in its shape."""
    total = None
    for s in slopes:
        if s is not None:
            total = s if total is None else total + s
    if total is not None and total.shape != value.shape:
        total = total + FIELD.zeros(value.shape, None)
    return Dual(value, total)


class Duals(Kinks):
    """The domain of dual field elements."""

    name, rank, array_type = "dual", 6, Dual

    def scalar(self, c: Any, like: Any) -> Dual:
        return _dual(c)

    def lift(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(self.lift, x))
        return x if isinstance(x, Dual) else Dual(FIELD.lift(x))

    def zeros(self, shape: Any, like: Any) -> Dual:
        return Dual(FIELD.zeros(shape, None))

    # ---- functions ----
    def _function(self, name: str, x: Dual) -> Dual:
        t = getattr(FIELD, name)(x.value)
        return Dual(t, _times(x.slope, SLOPES[name](t, x.value)) if x.slope is not None else None)

    def tanh(self, x: Dual) -> Dual:
        return self._function("tanh", x)

    def exp(self, x: Dual) -> Dual:
        return self._function("exp", x)

    def log(self, x: Dual) -> Dual:
        return self._function("log", x)

    def sqrt(self, x: Dual) -> Dual:
        return self._function("sqrt", x)

    def sin(self, x: Dual) -> Dual:
        return self._function("sin", x)

    def cos(self, x: Dual) -> Dual:
        return self._function("cos", x)

    def softplus(self, x: Dual) -> Dual:
        return self._function("softplus", x)

    def sign(self, x: Dual) -> Dual:
        return Dual(FIELD.sign(x.value))

    def equal(self, x: Dual, y: Any) -> Dual:
        return Dual(FIELD.equal(x.value, _dual(y).value))

    def is_max(self, x: Dual, axis: Any) -> Dual:
        return Dual(FIELD.is_max(x.value, axis))

    def power(self, x: Dual, y: Any) -> Dual:
        if not isinstance(y, Dual):
            q = FIELD.power(x.value, y)
            return _made(q, _times(x.slope, FIELD.power(x.value, y - 1) * y if y else x.value * 0))
        q = FIELD.power(x.value, y.value)  # q' = q (y' log x + y x'/x)
        return _made(q, _times(y.slope, q * FIELD.log(x.value)), _times(x.slope, q * y.value / x.value))

    def logsumexp(self, x: Dual, axis: Any, keepdims: bool) -> Dual:
        y = FIELD.logsumexp(x.value, axis, keepdims=True)
        slope = _times(x.slope, FIELD.exp(x.value - y))
        top = _made(y, None if slope is None else FIELD.sum(slope, axis, keepdims=True))
        return top if keepdims else self._both(top, lambda v: FIELD.sum(v, axis))

    # ---- contractions and layout ----
    def matmul(self, a: Dual, b: Dual) -> Dual:
        return _made(
            FIELD.matmul(a.value, b.value),
            None if a.slope is None else FIELD.matmul(a.slope, b.value),
            None if b.slope is None else FIELD.matmul(a.value, b.slope),
        )

    def _both(self, x: Dual, fn: Callable[[Mod], Mod]) -> Dual:
        return Dual(fn(x.value), None if x.slope is None else fn(x.slope))

    def sum(self, x: Dual, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.sum(v, *args))

    def reshape(self, x: Dual, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.reshape(v, *args))

    def transpose(self, x: Dual, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.transpose(v, *args))

    def broadcast(self, x: Dual, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.broadcast(v, *args))

    def index(self, x: Dual, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.index(v, *args))

    def _all(self, xs: Any, fn: Callable[[list[Mod]], Mod]) -> Dual:
        slopes = [FIELD.zeros(x.shape, None) if x.slope is None else x.slope for x in xs]
        return Dual(fn([x.value for x in xs]), None if all(x.slope is None for x in xs) else fn(slopes))

    def concat(self, xs: Any, *args: Any) -> Dual:
        return self._all(xs, lambda vs: FIELD.concat(vs, *args))

    def stack(self, xs: Any, *args: Any) -> Dual:
        return self._all(xs, lambda vs: FIELD.stack(vs, *args))

    def place(self, x: Dual, key: tuple, shape: tuple, onto: Dual | None = None) -> Dual:
        new = self._both(x, lambda v: FIELD.place(v, key, shape))
        return new if onto is None else onto + new

    def gather(self, x: Dual, indices: Any, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.gather(v, [i.value for i in indices], *args))

    def scatter(self, x: Dual, indices: Any, *args: Any) -> Dual:
        return self._both(x, lambda v: FIELD.scatter(v, [i.value for i in indices], *args))

    def one_hot(self, i: Dual, n: int, dtype: str) -> Dual:
        return Dual(FIELD.one_hot(i.value, n, dtype))


DUALS = Duals()
register(Dual, DUALS)
