"""A compiled scan on a block of steps at a time, so that what it needs besides its arguments and results does not
grow with their number, and what one part of it writes is still in the cache when the next one reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.program import Program
from ..engine.scan import Layout

ROOM = 1 << 22  # bytes of one block


def steps_in(program: Program, once: Sequence[int], stacked: Sequence[int]) -> int:
    """How many steps a block has: as many stacks as have room; what is computed once should pay off, too."""

    def size(slots: Sequence[int]) -> int:
        return sum(math.prod(program.shape(k)) * np.dtype(program.dtype(k) or "f4").itemsize for k in slots)

    room = max(ROOM, 32 * size(once))
    return max(1, room // max(1, size(stacked)))


def in_blocks(
    run: Callable[[Sequence[Any]], tuple[Any, ...]],
    layout: Layout,
    steps: int,
    arrays: Sequence[Any],
    empty: Callable[..., Any],
) -> tuple[Any, ...]:
    """What run(arrays) gives, a block of so many steps after the other: final states, stacks, sums."""
    s, q, k = layout.n_state, layout.n_state + layout.n_seq, layout.n_stack
    state, T = tuple(arrays[:s]), len(arrays[s])
    stacks: list[Any] = []
    sums: list[Any] = []
    starts = range(0, T, steps)
    for a in reversed(starts) if layout.reverse else starts:
        found = run([*state, *(x[a : a + steps] for x in arrays[s:q]), *arrays[q:]])
        state, parts, more = found[:s], found[s : s + k], found[s + k :]
        stacks = stacks or [empty((T, *y.shape[1:]), y.dtype) for y in parts]
        for whole, y in zip(stacks, parts, strict=True):
            whole[a : a + steps] = y
        sums = [x + y for x, y in zip(sums, more, strict=True)] if sums else list(more)
    return (*state, *stacks, *sums)
