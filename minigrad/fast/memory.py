"""Arrays for stacks, in memory that is used again once nobody looks at it any more.

A fresh array of megabytes costs the system a page fault for every 4 kB, each time: a quarter of a training
step. So large arrays are cut from blocks that stay here. A block is handed out again only when no array on it
is alive, which its reference count says: results never change under their owner.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

SMALL = 1 << 16  # bytes; below, the allocator's own lists are as good
LIMIT = 1 << 29  # bytes that are kept in all; what is larger is not kept

_lock = threading.Lock()
_blocks: dict[int, list[np.ndarray]] = {}  # by size; sizes are rounded, so that few differ
_held = 0


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An uninitialised array."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL or size > LIMIT // 4 or not _COUNTS:
        return np.empty(shape, dtype)
    room = _rounded(size)
    with _lock:
        blocks = _blocks.setdefault(room, [])
        for block in blocks:
            if sys.getrefcount(block) == _ALONE:
                return np.ndarray(shape, dtype, block)
        block = np.empty(room, np.uint8)
        if _make_room(room):
            blocks.append(block)
        return np.ndarray(shape, dtype, block)


def _rounded(size: int) -> int:
    """The size, or a little more: four sizes for each power of two."""
    step = 1 << max((size - 1).bit_length() - 3, 12)
    return -(-size // step) * step


def _make_room(room: int) -> bool:
    """Whether a block of this size may be kept; blocks that nobody uses make way."""
    global _held
    for blocks in list(_blocks.values()):
        if _held + room <= LIMIT:
            break
        used = []
        for block in blocks:
            if sys.getrefcount(block) == _ALONE:
                _held -= block.nbytes
            else:
                used.append(block)
        blocks[:] = used
    if _held + room > LIMIT:
        return False
    _held += room
    return True


def forget() -> None:
    """Give the blocks back."""
    global _held
    with _lock:
        _blocks.clear()
        _held = 0


def _alone() -> int:
    """The reference count of a block in a list that nobody else refers to, as the loops above see it."""
    for block in [np.empty(1, np.uint8)]:
        return sys.getrefcount(block)
    return 0


_ALONE = _alone()
_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)() and sys.implementation.name == "cpython"
