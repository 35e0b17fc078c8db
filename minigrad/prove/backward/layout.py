"""Axes of symbolic size that come, go, are joined and cut: np.reshape, for all sizes at once.

An axis can be joined with a later one only where that is the same for every size, and cut only between
blocks; anything else raises `Undecided`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...domains.blocks import Blocks, Size, blocks_of, size_of
from ...domains.contractions import Sum
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
    """np.reshape, where no axis of symbolic size is joined with a later one or cut inside a block."""
    target = tuple(map(blocks_of, _completed(x, shape)))
    y, at = drop(x, {i for i, b in enumerate(x.axes) if b == (1,)}), 0
    entries: dict[tuple[int, ...], Sum] = {}
    wide = [i for i, b in enumerate(target) if b != (1,)]
    pairs = _groups(y.axes, [target[i] for i in wide], f"reshape of {x.shape} to {tuple(shape)}")
    for k, e in y.entries.items():
        new, names, at, place = [0] * len(target), {}, 0, 0
        for old_group, new_group in pairs:
            old, fresh = y.axes[at : at + old_group], [target[i] for i in wide[place : place + new_group]]
            flat = _flat(k[at : at + old_group], old)
            for i, c in zip(wide[place : place + new_group], _unflat(flat, fresh), strict=True):
                new[i] = c
            names[at + old_group - 1 - y.ndim] = wide[place + new_group - 1] - len(target)
            at, place = at + old_group, place + new_group
        entries[tuple(new)] = e.rename(names)
    return Sized(target, entries)


def _completed(x: Sized, shape: Sequence[Any]) -> list[Any]:
    """The shape with its negative entry worked out: what the sizes of x leave when the others are divided out."""
    shape = list(shape)
    unknown = [i for i, n in enumerate(shape) if isinstance(n, int) and n < 0]  # as numpy: -2 is -1
    if not unknown:
        return shape
    if len(unknown) > 1:
        raise ValueError(f"reshape of {x.shape} to {tuple(shape)}: only one size can be left to be worked out")
    count, bases = _factors(x.shape)
    known, taken = _factors([n for i, n in enumerate(shape) if i not in unknown])
    for base in taken:
        if base not in bases:
            raise Undecided(f"reshape of {x.shape} to {tuple(shape)}")
        bases.remove(base)
    if len(bases) > 1 or count % known:
        raise Undecided(f"reshape of {x.shape} to {tuple(shape)}")
    shape[unknown[0]] = size_of((bases[0] if bases else (1,)) * (count // known))
    return shape


def _factors(sizes: Sequence[Any]) -> tuple[int, list[Blocks]]:
    """The sizes multiplied: a number, and symbolic factors that are no multiples."""
    count, bases = 1, []
    for n in sizes:
        blocks = blocks_of(n)
        if not isinstance(n, Size):
            count *= len(blocks)
            continue
        k = next(k for k in range(len(blocks), 0, -1) if blocks[: len(blocks) // k] * k == blocks)
        count *= k
        bases.append(blocks[: len(blocks) // k])
    return count, bases


def _flattened(axes: Sequence[Blocks]) -> Blocks | None:
    """The axes as one, in numpy's order; None where that is not made of blocks."""
    if any(b != 1 for axis in axes[:-1] for b in axis):
        return None
    return axes[-1] * math.prod(len(a) for a in axes[:-1])


def _groups(old: Sequence[Blocks], new: Sequence[Blocks], what: str) -> list[tuple[int, int]]:
    """How many axes of each correspond: the shortest groups that are the same when flattened."""
    pairs, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        sizes = (
            (a, b)
            for total in range(2, len(old) + len(new) + 1)
            for a in range(1, total)
            for b in [total - a]
        )
        for a, b in sizes:
            if i + a <= len(old) and j + b <= len(new):
                flat = _flattened(old[i : i + a])
                if flat is not None and flat == _flattened(new[j : j + b]):
                    pairs.append((a, b))
                    i, j = i + a, j + b
                    break
        else:
            break
    if i < len(old) or j < len(new):
        raise Undecided(f"{what}: not possible for all sizes, or not by blocks")
    return pairs


def _flat(k: Sequence[int], axes: Sequence[Blocks]) -> int:
    at = 0
    for c, axis in zip(k, axes, strict=True):
        at = at * len(axis) + c
    return at


def _unflat(at: int, axes: Sequence[Blocks]) -> list[int]:
    out = []
    for axis in reversed(axes):
        at, c = divmod(at, len(axis))
        out.append(c)
    return out[::-1]
