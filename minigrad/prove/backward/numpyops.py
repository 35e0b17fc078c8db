"""numpy's functions on arrays of symbolic size: what `numpylike` runs somebody's numpy code with.

Plain functions from `Sized` arrays to `Sized` arrays, with numpy's meaning of every argument; tests
hold each against numpy. What cannot be said for all sizes raises `Undecided`, what is not understood
`Unsupported`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...domains.blocks import Remembered, Size, blocks_of, size_of
from ...domains.contractions import DELTA, Sum
from ...domains.sizes import SIZES, Sized, Undecided
from .layout import drop, insert, reshape

INSTEAD = "write it with sums, products, slices, np.where, np.einsum or a loop over time"


class Unsupported(Remembered, TypeError):
    """A numpy feature that the checker does not understand."""


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


def cumsum(x: Sized, axis: Any = None) -> Sized:
    """np.cumsum along an axis of which the size is a number, as that of time is."""
    if axis is None or isinstance(n := x.shape[axis], Size):
        raise Unsupported("np.cumsum without an axis, or along one of symbolic size")
    parts, total = [], None
    for t in range(n):
        at = tuple(slice(t, t + 1) if i == axis % x.ndim else slice(None) for i in range(x.ndim))
        total = SIZES.index(x, at) if total is None else total + SIZES.index(x, at)
        parts.append(total)
    return concatenate(parts, axis)


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


def moveaxis(x: Sized, source: int, target: int) -> Sized:
    """np.moveaxis of one axis."""
    order = [i for i in range(x.ndim) if i != source % x.ndim]
    order.insert(target % x.ndim, source % x.ndim)
    return transpose(x, order)


def tile(x: Sized, reps: Any) -> Sized:
    """np.tile."""
    reps = list(reps) if isinstance(reps, (tuple, list)) else [reps]
    reps = [1] * (x.ndim - len(reps)) + reps
    while x.ndim < len(reps):
        x = insert(x, 0)
    for at, n in enumerate(reps):
        if x.axes[at] == (1,):
            x = SIZES.broadcast(x, tuple(n if i == at else m for i, m in enumerate(x.shape)), x.ndim)
        elif isinstance(n, Size):
            raise Undecided(f"np.tile of an array of shape {x.shape}, {n} times along axis {at}")
        else:
            x = concatenate([x] * n, at)
    return x


def stack(xs: Sequence[Sized], axis: int = 0) -> Sized:
    """np.stack."""
    if not xs:
        raise ValueError("need at least one array to stack")
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


__all__ = ["INSTEAD", "Unsupported", "drop", "insert", "reshape"]
