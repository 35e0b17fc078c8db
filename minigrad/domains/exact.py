"""Polynomials over the rationals as numbers: object arrays of `Poly`, on which equality is decided at once.

The same value and vjp rules as for training run on them; what comes out has one normal form, so two
gradients are compared by `==`, with no simplification. Guarantee and limits: `polynomial`, `elementary`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.core import Tensor, leaf, register
from . import elementary as e
from . import polynomial as p
from .symbols import Symbols


def _each(f: Any, n: int = 1) -> Any:
    return np.frompyfunc(f, n, 1)


class Exact(Symbols):
    """Object arrays of Polys."""

    name, rank = "exact", 3
    bind = staticmethod(_each(e.bind))
    tanh, exp, log, sqrt = (staticmethod(_each(f)) for f in (e.tanh, e.exp, e.log, e.sqrt))
    sin, cos, sign = (staticmethod(_each(f)) for f in (e.sin, e.cos, e.sign))

    def lift(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(self.lift, x))
        return self.asarray(_each(p.poly)(x))

    def scalar(self, c: Any, like: Any) -> Any:
        return self.asarray(p.poly(c))

    def zeros(self, shape: Any, like: Any) -> Any:
        return np.full(shape, p.ZERO, dtype=object)

    def power(self, x: Any, y: Any) -> Any:
        return _each(e.power, 2)(x, y)

    def equal(self, x: Any, y: Any) -> Any:
        return _each(lambda a, b: p.ONE if a == b else p.ZERO, 2)(x, y)

    def is_max(self, x: Any, axis: Any) -> Any:
        lead = [a for a in range(-x.ndim, 0) if a not in axis]
        moved = x.transpose(*lead, *axis)
        rows = moved.reshape(*moved.shape[: len(lead)], -1)
        hits = np.empty_like(rows)
        for i in np.ndindex(*rows.shape):
            hits[i] = e.is_max(rows[i], *rows[i[:-1]])
        return hits.reshape(moved.shape).transpose(*np.argsort([a % x.ndim for a in (*lead, *axis)]))

    def one_hot(self, i: Any, n: int, dtype: str) -> Any:
        return self.lift((i.astype(np.intp)[..., None] == np.arange(n)).astype(int))


EXACT = Exact()
register(p.Poly, EXACT)


def array(name: str, *shape: int, positive: bool = False) -> np.ndarray:
    """An object array of real symbols name_i_j, of the given shape."""
    out = np.empty(shape, dtype=object)
    for i in np.ndindex(*shape):
        out[i] = p.symbol("_".join([name, *map(str, i)]), positive)
    return out


def exact_tensor(name: str, *shape: int, requires_grad: bool = True) -> Tensor:
    """A leaf Tensor of symbols."""
    return leaf(array(name, *shape), requires_grad, name)
