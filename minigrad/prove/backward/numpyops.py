"""numpy's functions on arrays of symbolic size: what `numpylike` runs somebody's numpy code with.

Plain functions from `Sized` arrays to `Sized` arrays, with numpy's meaning of every argument; tests
hold each against numpy. What cannot be said for all sizes raises `Undecided`, what is not understood
`Unsupported`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ...domains.blocks import Size, blocks_of, broadcast_axes, size_of
from ...domains.contractions import DELTA, ONE, Sum
from ...domains.sizes import SIZES, Sized, Undecided
from . import quotients
from .layout import drop, insert, reshape


class Unsupported(TypeError):
    """A numpy feature that the checker does not understand."""


# ---- ufuncs ------------------------------------------------------------------------------------
def _sigmoid(z: Sized) -> Sized:
    return (SIZES.tanh(z / 2) + 1) / 2


def _divide(a: Sized, b: Sized) -> Sized:
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
    "matmul": lambda a, b: matmul(a, b),
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


# ---- products ----------------------------------------------------------------------------------
def matmul(a: Sized, b: Sized) -> Sized:
    """a @ b. Raises ValueError for arrays without axes, as numpy."""
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: an operand has no axes; use * for scaling")
    row, column = a.ndim == 1, b.ndim == 1
    a, b = insert(a, 0) if row else a, insert(b, 1) if column else b
    y = SIZES.matmul(a, b)
    gone = ({y.ndim - 2} if row else set()) | ({y.ndim - 1} if column else set())
    return drop(y, gone)


def dot(a: Sized, b: Sized) -> Sized:
    """np.dot: the last axis of a against the last but one of b."""
    if not a.ndim or not b.ndim:
        return a * b
    return (
        matmul(a, b) if a.ndim <= 2 and b.ndim <= 2 else tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))
    )


def outer(a: Sized, b: Sized) -> Sized:
    """np.outer, which flattens both."""
    a, b = (x if x.ndim == 1 else reshape(x, (-1,)) for x in (a, b))
    return insert(a, 1) * insert(b, 0)


def einsum(spec: str, *xs: Sized) -> Sized:
    """np.einsum, without ellipsis and without a letter twice in one operand."""
    left, arrow, right = spec.replace(" ", "").partition("->")
    terms = left.split(",")
    letters = list(dict.fromkeys("".join(terms)))
    if "." in spec or any(len(set(t)) != len(t) for t in terms):
        raise Unsupported(f"np.einsum({spec!r}): an ellipsis, or a letter twice in one operand")
    if len(terms) != len(xs) or any(len(t) != x.ndim for t, x in zip(terms, xs, strict=False)):
        raise ValueError(f"einsum {spec!r} of shapes {', '.join(str(x.shape) for x in xs)}")
    if not arrow:
        right = "".join(sorted(c for c in letters if left.count(c) == 1))
    total = SIZES.number(1)
    for t, x in zip(terms, xs, strict=True):
        v = transpose(x, sorted(range(len(t)), key=lambda i, t=t: letters.index(t[i])))
        for at, c in enumerate(letters):
            v = v if c in t else insert(v, at)
        total = total * v
    summed = sum_(total, tuple(i for i, c in enumerate(letters) if c not in right))
    kept = [c for c in letters if c in right]
    return transpose(summed, [kept.index(c) for c in right])


def tensordot(a: Sized, b: Sized, axes: Any = 2) -> Sized:
    """np.tensordot."""
    pairs = (range(a.ndim - axes, a.ndim), range(axes)) if isinstance(axes, int) else axes
    left, right = ([p] if isinstance(p, int) else list(p) for p in pairs)
    s, t = [chr(97 + i) for i in range(a.ndim)], [chr(110 + i) for i in range(b.ndim)]
    for i, j in zip(left, right, strict=True):
        t[j] = s[i]
    out = [c for k, c in enumerate(s) if k - a.ndim not in left and k not in left]
    out += [c for k, c in enumerate(t) if k - b.ndim not in right and k not in right]
    return einsum(f"{''.join(s)},{''.join(t)}->{''.join(out)}", a, b)


# ---- reductions and layout ---------------------------------------------------------------------
def axis_set(x: Sized, axis: Any) -> tuple[int, ...]:
    """numpy's axis argument as axes counted from the left."""
    wanted = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list, range)) else (axis,)
    for a in wanted:
        if not -x.ndim <= a < x.ndim:
            raise ValueError(f"axis {a} is out of bounds for an array of shape {x.shape}")
    return tuple(sorted({a % x.ndim for a in wanted}))


def sum_(x: Sized, axis: Any = None, keepdims: bool = False) -> Sized:
    """np.sum."""
    at = axis_set(x, axis)
    return SIZES.sum(x, tuple(a - x.ndim for a in at), keepdims) if at else x


def mean(x: Sized, axis: Any = None, keepdims: bool = False) -> Sized:
    """np.mean."""
    total = sum_(x, axis, keepdims)
    for a in axis_set(x, axis):
        total = total / SIZES.number(x.shape[a])
    return total


def transpose(x: Sized, axes: Sequence[int] | None = None) -> Sized:
    """np.transpose."""
    order = range(x.ndim - 1, -1, -1) if axes is None else [a % x.ndim for a in axes]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"axes {axes} do not match an array of shape {x.shape}")
    return SIZES.transpose(x, tuple(a - x.ndim for a in order))


def concatenate(xs: Sequence[Sized], axis: int = 0) -> Sized:
    """np.concatenate."""
    if len({x.ndim for x in xs}) > 1:
        raise ValueError(
            f"concatenate: shapes {', '.join(str(x.shape) for x in xs)} differ in their number of axes"
        )
    (at,) = axis_set(xs[0], axis)
    return SIZES.concat(list(xs), at - xs[0].ndim)


def stack(xs: Sequence[Sized], axis: int = 0) -> Sized:
    """np.stack."""
    at = axis % (xs[0].ndim + 1)
    return concatenate([insert(x, at) for x in xs], at)


# ---- making arrays -----------------------------------------------------------------------------
def full(shape: Any, c: Any) -> Sized:
    """An array of one number."""
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    return SIZES.zeros(tuple(shape), None) + SIZES.number(c)


def eye(n: Any, m: Any = None) -> Sized:
    """np.eye."""
    axes = blocks_of(n), blocks_of(n if m is None else m)

    def entry(k: tuple[int, ...]) -> Sum:
        if axes[0][k[0]] == 1 or k[0] != k[1]:
            return Sum.number(int(k[0] == k[1]))
        return Sum.factor(DELTA, (-2, -1))

    if axes[0] != axes[1] and any(isinstance(size_of(a), Size) for a in axes):
        raise Undecided(f"np.eye({n}, {m})")
    return Sized.make(axes, entry)


def diag(x: Sized) -> Sized:
    """np.diag of a vector."""
    if x.ndim != 1:
        raise Unsupported(f"np.diag of an array of shape {x.shape}; of a vector it is understood")
    return insert(x, 1) * eye(x.shape[0])


__all__ = ["COMPARISONS", "LOGIC", "UFUNCS", "Unsupported", "drop", "insert", "reshape"]
