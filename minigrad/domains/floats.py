"""Real and complex numpy arrays: the numbers that train, and those of the complex-step check.

A domain `m` gives the primitives' value rules every function that is not an operator. `Complex`
differs from `Floats` where a branch on the sign is taken: it looks at the real part, so that the
derivative along the imaginary axis (f(x + ih) = f(x) + ih f'(x)) is carried through.
Axes count from the right; leading axes are free, so a rule also runs on a whole stack at once.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..engine.core import register


class Arrays:
    """What every domain over numpy arrays shares: the functions that only move entries."""

    rank = 0
    array_type: type = np.ndarray
    where = staticmethod(np.where)

    def asarray(self, x: Any) -> Any:
        return tuple(map(self.asarray, x)) if isinstance(x, tuple) else np.asarray(x)

    def zeros(self, shape: Any, like: Any) -> np.ndarray:
        return np.zeros(shape, like.dtype)

    def sum(self, x: Any, axis: Any, keepdims: bool = False) -> Any:
        return x.sum(axis=axis, keepdims=keepdims)

    def reshape(self, x: Any, shape: tuple, ndim: int) -> Any:
        return x.reshape(x.shape[: x.ndim - ndim] + shape)

    def transpose(self, x: Any, axes: tuple) -> Any:
        if axes == (-1, -2):
            return x.swapaxes(-1, -2)
        lead = x.ndim - len(axes)
        return x.transpose(*range(lead), *(a + x.ndim for a in axes))

    def broadcast(self, x: Any, shape: tuple, ndim: int) -> Any:
        lead = x.shape[: x.ndim - ndim]
        return np.broadcast_to(
            x.reshape(lead + (1,) * (len(shape) - ndim) + x.shape[len(lead) :]), lead + shape
        )

    def concat(self, xs: Any, axis: int) -> Any:
        return np.concatenate(xs, axis=axis)

    def stack(self, xs: Any, axis: int) -> Any:
        return np.stack(xs, axis=axis)

    def index(self, x: Any, key: tuple) -> Any:
        return x[(..., *key)]

    def place(self, x: Any, key: tuple, shape: tuple, onto: Any = None) -> Any:
        """x at the key in zeros of the shape, or added in place to an earlier such array."""
        if onto is None:
            onto = self.zeros(x.shape[: x.ndim - _axes_left(key)] + shape, x)
        there = onto[(..., *key)]
        there += x
        return onto

    def gather(self, x: Any, indices: Any, ndim: int, at: int) -> Any:
        return x[_each_lead(x.shape[: x.ndim - ndim], at) + tuple(indices)]

    def scatter(self, x: Any, indices: Any, shape: tuple, at: int) -> Any:
        own = x.ndim - at - (len(shape) - len(indices))
        lead = np.broadcast_shapes(x.shape[:own], *(i.shape[: i.ndim - at] for i in indices))
        out = self.zeros(lead + shape, x)
        np.add.at(out, _each_lead(lead, at) + tuple(indices), x)
        return out

    def matmul(self, a: Any, b: Any) -> Any:
        if b.ndim == 2 and a.ndim > 2:  # fold the leading axes into one matrix product
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return (rows @ b).reshape(*a.shape[:-1], b.shape[-1])
        return a @ b


def _axes_left(key: tuple) -> int:
    return sum(not isinstance(k, int) for k in key)


def _each_lead(lead: tuple[int, ...], at: int) -> tuple:
    """Index arrays that run over the leading axes, to stand before ones of `at` axes."""
    return tuple(i.reshape(i.shape + (1,) * at) for i in np.ogrid[tuple(map(slice, lead))]) if lead else ()


@lru_cache(256)
def _whole(c: int, dtype: Any) -> np.ndarray:
    """A whole number as an array without axes: the rules of the table are full of ones and twos."""
    found = np.asarray(c, dtype)
    found.setflags(write=False)  # shared by all who ask
    return found


class Floats(Arrays):
    """float32, float64, and the ints and bools that index and choose."""

    name = "floats"
    tanh, log, sqrt, sin, cos, abs, sign = np.tanh, np.log, np.sqrt, np.sin, np.cos, np.abs, np.sign
    maximum, greater, greater_equal, equal = np.maximum, np.greater, np.greater_equal, np.equal
    power = staticmethod(np.power)

    def matmul(self, a: Any, b: Any) -> Any:
        if a.ndim == b.ndim == 2:
            return np.dot(a, b)  # 0.5 us a call, against 0.8 us of matmul (2026-11-21)
        return super().matmul(a, b)

    def exp(self, x: Any) -> Any:
        with np.errstate(over="ignore"):  # exp(1e4) is inf, which is right; no warning, as in torch
            return np.exp(x)

    def softplus(self, x: Any) -> Any:
        return np.logaddexp(x, 0)

    def logsumexp(self, x: Any, axis: Any, keepdims: bool) -> Any:
        top = x.max(axis=axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0)
        with np.errstate(divide="ignore"):  # all entries -inf: log(0) is -inf, which is right
            y = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
        return y if keepdims else np.squeeze(y, axis)

    def max(self, x: Any, axis: Any, keepdims: bool) -> Any:
        return x.max(axis=axis, keepdims=keepdims)

    def is_max(self, x: Any, axis: Any) -> Any:
        hit = (x == x.max(axis=axis, keepdims=True)).astype(x.dtype)
        return hit / hit.sum(axis=axis, keepdims=True)

    def cast(self, x: Any, dtype: str) -> Any:
        return x.astype(dtype)

    def one_hot(self, i: Any, n: int, dtype: str) -> Any:
        return (i[..., None] == np.arange(n)).astype(dtype)

    def scalar(self, c: Any, like: Any) -> np.ndarray:
        if c.__class__ is int and like.dtype.kind == "f":
            return _whole(c, like.dtype)
        keep = like.dtype.kind == "f" or (isinstance(c, int) and like.dtype.kind != "b")
        return np.asarray(c, like.dtype if keep else None)

    def lift(self, x: Any) -> Any:
        return x


class Complex(Floats):
    """complex128, for derivatives to rounding error by the complex step."""

    name, rank = "complex", 1

    def lift(self, x: Any) -> Any:
        return x if x.dtype.kind in "iub" else x.astype(np.complex128)

    def sign(self, x: Any) -> Any:
        return np.sign(x.real)

    def abs(self, x: Any) -> Any:
        return x * np.sign(x.real)

    def greater(self, x: Any, y: Any) -> Any:
        return x.real > y.real

    def greater_equal(self, x: Any, y: Any) -> Any:
        return x.real >= y.real

    def equal(self, x: Any, y: Any) -> Any:
        return x.real == y.real

    def maximum(self, x: Any, y: Any) -> Any:
        return np.where(x.real >= np.real(y), x, y)

    def softplus(self, x: Any) -> Any:
        return self.maximum(x, np.zeros((), x.dtype)) + np.log1p(np.exp(-self.abs(x)))

    def logsumexp(self, x: Any, axis: Any, keepdims: bool) -> Any:
        top = x.real.max(axis=axis, keepdims=True)
        y = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
        return y if keepdims else np.squeeze(y, axis)

    def max(self, x: Any, axis: Any, keepdims: bool) -> Any:
        y = (x * self.is_max(x, axis)).sum(axis=axis, keepdims=True)
        return y if keepdims else np.squeeze(y, axis)

    def is_max(self, x: Any, axis: Any) -> Any:
        return FLOATS.is_max(x.real, axis)

    def cast(self, x: Any, dtype: str) -> Any:
        return x

    def scalar(self, c: Any, like: Any) -> np.ndarray:
        return np.asarray(c, np.complex128)


FLOATS, COMPLEX = Floats(), Complex()
for kind in "fiub":
    register(kind, FLOATS)
register("c", COMPLEX)
