"""THE TABLE: every primitive's value and vector-Jacobian product, one row each.

A value is one formula over a number domain `m`, so the same row runs on floats, complex numbers,
formulas, and symbolic sizes. A vjp is written with Tensors, in the output `y` where that is
possible, with exact numbers only; so orders of differentiation nest, and the vjp that is proved
is the vjp that runs. Broadcasting is undone by the sweep (grad.py), in one place.
Parameters count axes from the right, so that leading axes are free: value(stack) = stack(value).

At kinks: relu, and where a condition jumps, take the derivative 0; abs takes 0; maximum and
minimum share it in halves between equal entries (as torch does), max over an axis evenly.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from .core import Tensor, as_tensor, define, leaf

POINTWISE, CONTRACT, REDUCE, LAYOUT, LOOP = "pointwise", "contract", "reduce", "layout", "loop"



def _exact(c: int, like: Any) -> Any:
    """A whole number beside a Tensor, or beside an array, where numpy gives it the array's dtype."""
    return as_tensor(c, like) if like.__class__ is Tensor else c


# ---- pointwise ---------------------------------------------------------------------------------
add = define("add", POINTWISE, "{0} + {1}", lambda m, x, y: x + y, lambda g, o, x, y: (g, g))
sub = define("sub", POINTWISE, "{0} - {1}", lambda m, x, y: x - y, lambda g, o, x, y: (g, -g))
mul = define(
    "mul", POINTWISE, r"{0} \odot {1}", lambda m, x, y: x * y, lambda g, o, x, y: (g * y, g * x)
)
div = define(
    "div", POINTWISE, r"\frac{{{0}}}{{{1}}}", lambda m, x, y: x / y,
    lambda g, o, x, y: (g / y, -g * o / y),
)  # fmt: skip
neg = define("neg", POINTWISE, "-{0}", lambda m, x: -x, lambda g, o, x: (-g,))
power = define(
    "power", POINTWISE, "{0}^{{{exponent}}}",
    lambda m, x, exponent: m.power(x, exponent),
    lambda g, o, x, exponent: (g * exponent * power(x, exponent=exponent - 1) if exponent else g * 0,),
)  # fmt: skip
pow_ = define(
    "pow", POINTWISE, "{0}^{{{1}}}", lambda m, x, y: m.power(x, y),
    lambda g, o, x, y: (
        g * y * x ** where(equal(y, _exact(0, y)), y, y - 1),  # at y = 0 it is 0, also for x = 0
        g * o * log(where(x > 0, x, _exact(1, x))),
    ),
)  # fmt: skip
tanh = define(
    "tanh", POINTWISE, r"\tanh({0})", lambda m, x: m.tanh(x), lambda g, y, x: (g * (1 - y * y),)
)
sigmoid = define(
    "sigmoid", POINTWISE, r"\sigma({0})",
    lambda m, x: (m.tanh(x / 2) + 1) / 2,  # one formula for all domains, never overflows
    lambda g, y, x: (g * y * (1 - y),),
)  # fmt: skip
softplus = define(
    "softplus", POINTWISE, r"\operatorname{{softplus}}({0})",
    lambda m, x: m.softplus(x), lambda g, y, x: (g * sigmoid(x),),
)  # fmt: skip
exp = define("exp", POINTWISE, r"\exp({0})", lambda m, x: m.exp(x), lambda g, y, x: (g * y,))
log = define("log", POINTWISE, r"\log({0})", lambda m, x: m.log(x), lambda g, y, x: (g / x,))
sqrt = define(
    "sqrt", POINTWISE, r"\sqrt{{{0}}}", lambda m, x: m.sqrt(x), lambda g, y, x: (g / (2 * y),)
)
sin = define("sin", POINTWISE, r"\sin({0})", lambda m, x: m.sin(x), lambda g, y, x: (g * cos(x),))
cos = define("cos", POINTWISE, r"\cos({0})", lambda m, x: m.cos(x), lambda g, y, x: (-g * sin(x),))
sign = define("sign", POINTWISE, r"\operatorname{{sign}}({0})", lambda m, x: m.sign(x))
abs_ = define("abs", POINTWISE, "|{0}|", lambda m, x: m.abs(x), lambda g, y, x: (g * sign(x),))
relu = define(
    "relu", POINTWISE, r"\operatorname{{relu}}({0})",
    lambda m, x: m.maximum(x, 0), lambda g, y, x: (g * (x > 0),),
)  # fmt: skip
maximum = define(
    "maximum", POINTWISE, r"\max({0}, {1})", lambda m, x, y: m.maximum(x, y),
    lambda g, o, x, y: (g * (1 + sign(x - y)) / 2, g * (1 + sign(y - x)) / 2),
)  # fmt: skip
greater = define("greater", POINTWISE, "[{0} > {1}]", lambda m, x, y: m.greater(x, y))
greater_equal = define(
    "greater_equal", POINTWISE, r"[{0} \ge {1}]", lambda m, x, y: m.greater_equal(x, y)
)
equal = define("equal", POINTWISE, "[{0} = {1}]", lambda m, x, y: m.equal(x, y))
where = define(
    "where", POINTWISE, r"\begin{{cases}}{1} & {0}\\ {2} & \text{{else}}\end{{cases}}",
    lambda m, c, x, y: m.where(c, x, y),
    lambda g, o, c, x, y: (None, where(c, g, _exact(0, g)), where(c, _exact(0, g), g)),
)  # fmt: skip
cast = define(
    "cast", POINTWISE, "{0}", lambda m, x, dtype: m.cast(x, dtype),
    lambda g, y, x, dtype: (cast(g, dtype=str(x.dtype)),),
)  # fmt: skip
alias = define("alias", POINTWISE, "{0}", lambda m, x: x, lambda g, y, x: (g,))
stop_gradient = define("stop_gradient", POINTWISE, r"\operatorname{{stop}}({0})", lambda m, x: x)
one_hot = define(
    "one_hot", LAYOUT, r"\operatorname{{onehot}}({0})", lambda m, i, n, dtype: m.one_hot(i, n, dtype)
)


# ---- contractions and reductions ---------------------------------------------------------------
def _matmul_vjp(g: Tensor, y: Tensor, a: Tensor, b: Tensor):
    asked = a.__class__ is not Tensor or a.requires_grad  # not where a is data
    da = matmul(g, b.mT) if asked else None
    if b.ndim == 2 and a.ndim > 2:  # one product over all leading axes, not one each and a sum
        rows = math.prod(a.shape[:-1])
        a = reshape(a, shape=(rows, a.shape[-1]), ndim=a.ndim)
        g = reshape(g, shape=(rows, g.shape[-1]), ndim=g.ndim)
    return da, matmul(a.mT, g)


matmul = define("matmul", CONTRACT, r"{0}\,{1}", lambda m, a, b: m.matmul(a, b), _matmul_vjp)


def _spread(g: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """g of a reduction, with the reduced axes back as size 1."""
    if keepdims:
        return g
    shape = tuple(1 if i - x.ndim in axis else n for i, n in enumerate(x.shape))
    return reshape(g, shape=shape, ndim=g.ndim)


sum_ = define(
    "sum", REDUCE, r"\textstyle\sum {0}",
    lambda m, x, axis, keepdims: m.sum(x, axis, keepdims),
    lambda g, y, x, axis, keepdims: (
        broadcast(_spread(g, x, axis, keepdims), shape=x.shape, ndim=x.ndim),
    ),
)  # fmt: skip
logsumexp = define(
    "logsumexp", REDUCE, r"\log\textstyle\sum\exp({0})",
    lambda m, x, axis, keepdims: m.logsumexp(x, axis, keepdims),
    lambda g, y, x, axis, keepdims: (
        _spread(g, x, axis, keepdims) * exp(x - _spread(y, x, axis, keepdims)),
    ),
)  # fmt: skip
is_max = define(
    "is_max", REDUCE, r"[{0} = \max {0}]", lambda m, x, axis: m.is_max(x, axis)
)
max_ = define(
    "max", REDUCE, r"\max({0})", lambda m, x, axis, keepdims: m.max(x, axis, keepdims),
    lambda g, y, x, axis, keepdims: (_spread(g, x, axis, keepdims) * is_max(x, axis=axis),),
)  # fmt: skip


# ---- layout: each row's vjp is its transpose ---------------------------------------------------
reshape = define(
    "reshape", LAYOUT, "{0}", lambda m, x, shape, ndim: m.reshape(x, shape, ndim),
    lambda g, y, x, shape, ndim: (reshape(g, shape=x.shape, ndim=g.ndim),),
)  # fmt: skip
broadcast = define(
    "broadcast", LAYOUT, "{0}", lambda m, x, shape, ndim: m.broadcast(x, shape, ndim),
    lambda g, y, x, shape, ndim: (g,),  # the sweep sums over what was broadcast
)
@lru_cache(256)
def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that undoes `axes`."""
    return tuple(axes.index(i) - len(axes) for i in range(-len(axes), 0))


transpose = define(
    "transpose", LAYOUT, r"{0}^\top", lambda m, x, axes: m.transpose(x, axes),
    lambda g, y, x, axes: (transpose(g, axes=_inverse(axes)),),
)  # fmt: skip


def swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return transpose(x, axes=(-1, -2))


def _concat_vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int):
    ends, start = [], 0
    for x in xs:
        ends.append((start, start + x.shape[axis]))
        start += x.shape[axis]
    return tuple(index(g, key=(slice(a, b),) + (slice(None),) * (-axis - 1)) for a, b in ends)


concat = define(
    "concat", LAYOUT, "[{*}]", lambda m, *xs, axis: m.concat(xs, axis), _concat_vjp
)


class Part(NamedTuple):
    """The cotangent of one part of an input: component `key` of a tuple, or the slice at `key`.

    The sweep collects the parts and builds the whole once, so that T slices of one tensor cost one
    array and not T.
    """

    key: Any
    g: Tensor

    def __mul__(self, c: Any) -> Part:
        """The part of c times the whole, as g * c is for a Tensor."""
        return Part(self.key, self.g * c)


def filled(g: list[Tensor | None], y: Tensor) -> list[Tensor]:
    """The cotangents of a tuple-valued output, zeros where nothing flowed in."""
    return [leaf(y.m.zeros(v.shape, v)) if c is None else c for c, v in zip(g, y.value, strict=True)]


def _stack_vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int):
    parts = unstack(g, axis=axis)
    return tuple(pick(parts, i=i) for i in range(len(xs)))


def _unstack(m, x, axis: int):
    rest = (slice(None),) * (-axis - 1)
    return tuple(m.index(x, (i, *rest)) for i in range(x.shape[axis]))


stack = define("stack", LAYOUT, "[{*}]", lambda m, *xs, axis: m.stack(xs, axis), _stack_vjp)
unstack = define(
    "unstack", LAYOUT, "{0}", _unstack, lambda g, y, x, axis: (stack(*filled(g, y), axis=axis),)
)
pick = define(
    "pick", LAYOUT, "{0}_{{{i}}}", lambda m, xs, i: xs[i], lambda g, y, xs, i: (Part(i, g),)
)
index = define(
    "index", LAYOUT, "{0}_{{{key}}}", lambda m, x, key: m.index(x, key),
    lambda g, y, x, key: (Part(key, g),),
)  # fmt: skip


def _place(m, *xs, keys, shape):
    whole = None
    for x, key in zip(xs, keys, strict=True):
        whole = m.place(x, key, shape, whole)
    return whole


place = define(  # zeros of a shape, with each x added in at its key
    "place", LAYOUT, "{0}", _place,
    lambda g, y, *xs, keys, shape: tuple(index(g, key=key) for key in keys),
)  # fmt: skip


def parts_of(x: Any, parts: list[Part]) -> Any:
    """The cotangent of x from those of its slices."""
    if x.__class__ is not Tensor and _end_to_end(parts, x.shape):
        return concat(*[p.g for p in reversed(parts)], axis=-1)
    keys = tuple(p.key for p in parts)
    return place(*(p.g for p in parts), keys=keys, shape=x.shape[x.ndim - len(keys[0]) :])


def _end_to_end(parts: list[Part], shape: tuple[int, ...]) -> bool:
    """Whether slices fill the last axis without a gap, the last one first, as those of `split` come back."""
    end = shape[-1] if shape else None
    for key, _ in parts:
        k = key[0] if len(key) == 1 else None
        if k.__class__ is not slice or k.stop != end or k.step not in (None, 1):
            return False
        end = k.start
    return end == 0


# x: (leading axes, one per index array, rest), of which the last `ndim` are looked up; the index
# arrays have `at` axes of their own, which take the place of the axes that are looked up.
gather = define(
    "gather", LAYOUT, "{0}_{{{1}}}",
    lambda m, x, *i, ndim, at: m.gather(x, i, ndim, at),
    lambda g, y, x, *i, ndim, at: (
        scatter(g, *i, shape=x.shape[x.ndim - ndim :], at=at), *(None for _ in i),
    ),
)  # fmt: skip
scatter = define(
    "scatter", LAYOUT, "{0}",
    lambda m, x, *i, shape, at: m.scatter(x, i, shape, at),
    lambda g, y, x, *i, shape, at: (gather(g, *i, ndim=len(shape), at=at), *(None for _ in i)),
)  # fmt: skip
