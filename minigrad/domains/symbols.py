"""sympy expressions as numbers: object arrays whose entries are exact formulas.

The engine's own value and vjp rules run on them unchanged, so a gradient comes out as formulas.
Guarantee: exact over the reals; a float constant such as 0.5 is taken as the rational it is written
as. tanh, sign and max are opaque functions with known derivatives (t' = 1 - t^2; sign and the
indicator of the maximum are locally constant, where they do not jump): sympy's own evaluate
themselves and are slow to build. Not guaranteed: anything at a kink; that is a side condition.
"""

from __future__ import annotations

import math
from numbers import Rational
from typing import Any

import numpy as np
import sympy as sp

from ..engine.core import Tensor, leaf, register
from .floats import Arrays


class Tanh(sp.Function):
    """Opaque hyperbolic tangent: odd, with derivative 1 - Tanh(u)^2."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        if u == 0:  # not is_zero, which asks for signs: slow
            return sp.S.Zero
        return -cls(-u) if u.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> Any:
        return 1 - self**2

    def _eval_evalf(self, prec: int) -> Any:
        return sp.tanh(self.args[0])._eval_evalf(prec)


class Sign(sp.Function):
    """Opaque sign: odd, locally constant; says nothing at 0."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        if u.is_number and u.is_comparable:
            return sp.sign(u)
        if u.is_Symbol and u.is_positive:
            return sp.S.One
        return -cls(-u) if u.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> Any:
        return sp.S.Zero

    def _eval_evalf(self, prec: int) -> Any:
        return sp.sign(self.args[0].evalf(prec))


class IsMax(sp.Function):
    """Opaque indicator that the first argument is the largest of the others; locally constant."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sp.S.Zero

    def _eval_evalf(self, prec: int) -> Any:
        first, *rest = [a.evalf(prec) for a in self.args]
        return sp.Integer(int(all(first >= r for r in rest)))


class Let(sp.Dummy):
    """A name for a formula, which sympy.diff goes into: values and derivatives over names stay short.

    slope: whether it names a derivative, and not a value.
    """

    __slots__ = ("definition", "free_symbols", "slope", "slopes")

    def _eval_derivative(self, s: Any) -> Any:
        if s not in self.slopes:
            self.slopes[s] = sp.S.One if s == self else let(self.definition.diff(s), slope=True)
        return self.slopes[s]

    _eval_derivative_n_times = sp.Expr._eval_derivative_n_times


def let(u: Any, slope: bool = False) -> Any:
    """A name for the formula u, unless it is a symbol or a number."""
    if u.is_Atom:
        return u
    name = Let("let", real=True)
    name.definition, name.free_symbols, name.slope, name.slopes = u, u.free_symbols | {name}, slope, {}
    return name


def exact(c: Any) -> sp.Expr:
    """A Python or numpy number as the rational it is written as (0.1 is 1/10)."""
    if isinstance(c, sp.Basic):
        return c
    if isinstance(c, (bool, np.bool_)):
        return sp.Integer(int(c))
    if isinstance(c, Rational):
        return sp.Rational(int(c.numerator), int(c.denominator))
    if not math.isfinite(c):
        raise ValueError(f"{c} is not an exact number; formulas need finite constants")
    return sp.Rational(repr(float(c)))


def _each(f: Any, n: int = 1) -> Any:
    return np.frompyfunc(f, n, 1)


class Symbols(Arrays):
    """Object arrays of sympy expressions."""

    name, rank = "symbols", 2
    bind = staticmethod(_each(let))
    tanh, exp, log, sqrt = (staticmethod(_each(f)) for f in (Tanh, sp.exp, sp.log, sp.sqrt))
    sin, cos, sign = (staticmethod(_each(f)) for f in (sp.sin, sp.cos, Sign))

    def asarray(self, x: Any) -> Any:
        return tuple(map(self.asarray, x)) if isinstance(x, tuple) else np.asarray(x, dtype=object)

    def lift(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(self.lift, x))
        return x if x.dtype == object else self.asarray(_each(exact)(x))

    def scalar(self, c: Any, like: Any) -> Any:
        return self.asarray(exact(c))

    def zeros(self, shape: Any, like: Any) -> Any:
        return np.full(shape, sp.S.Zero, dtype=object)

    def power(self, x: Any, y: Any) -> Any:
        return x ** (y if isinstance(y, np.ndarray) else exact(y))

    def abs(self, x: Any) -> Any:
        return x * self.sign(x)

    def maximum(self, x: Any, y: Any) -> Any:
        d = x - y
        return (x + y + d * self.sign(d)) / 2

    def greater(self, x: Any, y: Any) -> Any:
        return (1 + self.sign(x - y)) / 2

    greater_equal = greater  # they differ only at the kink

    def equal(self, x: Any, y: Any) -> Any:
        return _each(lambda a, b: sp.Integer(int(a == b)), 2)(x, y)

    def where(self, c: Any, x: Any, y: Any) -> Any:
        return c * x + (1 - c) * y

    def softplus(self, x: Any) -> Any:
        return self.log(1 + self.exp(x))

    def logsumexp(self, x: Any, axis: Any, keepdims: bool) -> Any:
        return self.log(self.asarray(self.exp(x).sum(axis=axis, keepdims=keepdims)))

    def max(self, x: Any, axis: Any, keepdims: bool) -> Any:
        return (x * self.is_max(x, axis)).sum(axis=axis, keepdims=keepdims)

    def is_max(self, x: Any, axis: Any) -> Any:
        lead = [a for a in range(-x.ndim, 0) if a not in axis]
        moved = x.transpose(*lead, *axis)
        rows = moved.reshape(*moved.shape[: len(lead)], -1)
        hits = np.empty_like(rows)
        for i in np.ndindex(*rows.shape):
            hits[i] = IsMax(rows[i], *rows[i[:-1]])
        return hits.reshape(moved.shape).transpose(*np.argsort([a % x.ndim for a in (*lead, *axis)]))

    def gather(self, x: Any, indices: Any, ndim: int, at: int) -> Any:
        return super().gather(x, [i.astype(np.intp) for i in indices], ndim, at)

    def scatter(self, x: Any, indices: Any, shape: tuple, at: int) -> Any:
        return super().scatter(x, [i.astype(np.intp) for i in indices], shape, at)

    def one_hot(self, i: Any, n: int, dtype: str) -> Any:
        return self.lift(np.eye(n, dtype=int)[i.astype(np.intp)])

    def cast(self, x: Any, dtype: str) -> Any:
        return x


SYMBOLS = Symbols()
register(sp.Basic, SYMBOLS)
register("O", SYMBOLS)  # an object array without entries


def array(name: str, *shape: int) -> np.ndarray:
    """An object array of fresh real symbols name_i_j, of the given shape."""
    out = np.empty(shape, dtype=object)
    for i in np.ndindex(*shape):
        out[i] = sp.Symbol("_".join([name, *map(str, i)]), real=True)
    return out


def symbol_tensor(name: str, *shape: int, requires_grad: bool = True) -> Tensor:
    """A leaf Tensor of fresh symbols."""
    return leaf(array(name, *shape), requires_grad, name)
