"""numpy's keys into arrays of symbolic size: x[t], x[:, :n], x[None], x[..., n:]."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...domains.blocks import Blocks, Size, size_of
from ...domains.sizes import SIZES, Sized, Undecided
from .numpyops import Unsupported


def full_key(key: Any, x: Sized) -> tuple[tuple[Any, ...], list[int]]:
    """(a number or a slice for every axis, the places in the result where None adds an axis)."""
    parts = key if isinstance(key, tuple) else (key,)
    used = [k for k in parts if k is not None and k is not Ellipsis]
    if len(used) > x.ndim:
        raise IndexError(f"{len(used)} indices for an array of shape {x.shape}")
    if not any(k is Ellipsis for k in parts):
        parts = (*parts, Ellipsis)
    at = next(i for i, k in enumerate(parts) if k is Ellipsis)
    parts = parts[:at] + (slice(None),) * (x.ndim - len(used)) + parts[at + 1 :]
    full: list[Any] = []
    new, place = [], 0
    for k in parts:
        if k is None:
            new.append(place)
        else:
            full.append(_entry(k, x.axes[len(full)], x))
        place += not isinstance(k, (int, np.integer))
    return tuple(full), new


def _entry(k: Any, axis: Blocks, x: Sized) -> Any:
    """One entry of a key, checked; negative ones counted from the front."""
    n = size_of(axis)
    if isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)):
        if isinstance(n, Size):
            raise Undecided(f"entry {k} of an axis of symbolic size {n}")
        if not -n <= k < n:
            raise IndexError(f"index {k} is out of bounds for axis of size {n}")
        return int(k) % n
    if not isinstance(k, slice):
        raise Unsupported(f"an index of type {type(k).__name__} into an array of shape {x.shape}")
    if not isinstance(n, Size):
        return slice(*_ends(range(n)[k]))
    start, stop, step = n.indices(k)
    return slice(start, stop, step)


def _ends(r: range) -> tuple[int, int | None, int]:
    """A range as the ends of a slice: reversed ones end before 0."""
    return r.start, (r.stop if r.stop >= 0 else None), r.step


def blanked(x: Sized, key: tuple[Any, ...]) -> Sized:
    """x with zeros at the key."""
    old = SIZES.index(x, key)
    return SIZES.place(-old, key, x.shape, x)
