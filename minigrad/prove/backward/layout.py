"""Axes of symbolic size that come, go, are joined and cut: np.reshape, for all sizes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...domains.blocks import blocks_of, size_of
from ...domains.merging import merged, quotient
from ...domains.sizes import SIZES, Sized, Undecided


def insert(x: Sized, at: int) -> Sized:
    """An axis of size 1 before axis `at`."""
    return SIZES._insert(x, at)


def drop(x: Sized, gone: set[int]) -> Sized:
    """Axes of size 1 taken away. Raises ValueError if one is not."""
    for i in gone:
        if x.axes[i] != (1,):
            raise ValueError(f"cannot squeeze axis {i} of an array of shape {x.shape}")
    return SIZES._drop(x, gone) if gone else x


def reshape(x: Sized, shape: Sequence[Any]) -> Sized:
    """np.reshape. Raises Undecided where an axis would begin inside an old one."""
    return SIZES.reshape(x, tuple(_completed(x, shape)), x.ndim)


def _completed(x: Sized, shape: Sequence[Any]) -> list[Any]:
    """The shape with its negative entry worked out: what the sizes of x leave when the others are divided out."""
    shape = list(shape)
    unknown = [i for i, n in enumerate(shape) if isinstance(n, int) and n < 0]  # as numpy: -2 is -1
    if len(unknown) > 1:
        raise ValueError(f"reshape of {x.shape} to {tuple(shape)}: only one size can be left to be worked out")
    for i in unknown:
        left = quotient(merged(*x.axes), merged(*(blocks_of(n) for k, n in enumerate(shape) if k != i)))
        if left is None:
            raise Undecided(f"reshape of {x.shape} to {tuple(shape)}")
        shape[i] = size_of(left)
    return shape
