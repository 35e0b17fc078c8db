"""numpy's ufuncs on arrays of symbolic size, by name."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ...domains.blocks import broadcast_axes
from ...domains.contractions import ONE, Sum
from ...domains.polynomial import DIVISOR
from ...domains.sizes import SIZES, Sized
from . import quotients
from .numpyops import Unsupported
from .products import matmul


def _sigmoid(z: Sized) -> Sized:
    return (SIZES.tanh(z / 2) + 1) / 2


def _divide(a: Sized, b: Sized) -> Sized:
    SIZES.needs_positive(b, DIVISOR)
    return _each_pair(quotients.divide, a, b)


def _each_pair(fn: Callable[[Sum, Sum], Sum], a: Sized, b: Sized) -> Sized:
    axes = broadcast_axes(a.axes, b.axes)
    return Sized.make(axes, lambda k: fn(a.spread(k), b.spread(k)))


def _power(a: Sized, b: Sized) -> Sized:
    if b.axes or set(b.entries[()].terms) - {ONE}:
        raise Unsupported("a power whose exponent is an array")
    k = b.entries[()].terms.get(ONE, 0)
    return SIZES.power(a, k) if k >= 0 else _divide(SIZES.number(1), SIZES.power(a, -k))


def _sign(a: Sized) -> Sized:
    return a.each(quotients.sign)


def _above(a: Sized, b: Sized, at_zero: int) -> Sized:
    return (a - b).each(lambda e: (quotients.sign(e, at_zero) + Sum.number(1)).scale(Fraction(1, 2)))


def _maximum(a: Sized, b: Sized) -> Sized:
    return (a + b + (a - b) * _sign(a - b)) / 2


UFUNCS: dict[str, Callable[..., Sized]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": _divide,
    "negative": lambda a: -a,
    "positive": lambda a: a,
    "square": lambda a: a * a,
    "reciprocal": lambda a: _divide(SIZES.number(1), a),
    "power": _power,
    "float_power": _power,
    "tanh": SIZES.tanh,
    "exp": SIZES.exp,
    "log": SIZES.log,
    "sqrt": SIZES.sqrt,
    "sin": SIZES.sin,
    "cos": SIZES.cos,
    "cosh": lambda a: (SIZES.exp(a) + SIZES.exp(-a)) / 2,
    "sinh": lambda a: (SIZES.exp(a) - SIZES.exp(-a)) / 2,
    "log1p": lambda a: SIZES.log(a + 1),
    "expm1": lambda a: SIZES.exp(a) - 1,
    "expit": _sigmoid,
    "logaddexp": lambda a, b: SIZES.log(SIZES.exp(a) + SIZES.exp(b)),
    "absolute": lambda a: a * _sign(a),
    "sign": _sign,
    "maximum": _maximum,
    "minimum": lambda a, b: -_maximum(-a, -b),
    "matmul": matmul,
    "greater": lambda a, b: _above(a, b, -1),
    "greater_equal": lambda a, b: _above(a, b, 1),
    "less": lambda a, b: _above(b, a, -1),
    "less_equal": lambda a, b: _above(b, a, 1),
    "logical_not": lambda a: 1 - a,
    "logical_and": lambda a, b: a * b,
    "logical_or": lambda a, b: a + b - a * b,
}
COMPARISONS = {"greater", "greater_equal", "less", "less_equal"}
LOGIC = {"logical_not", "logical_and", "logical_or"}  # of truth values, and nothing else
