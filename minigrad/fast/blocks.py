"""A compiled scan on a block of steps at a time, so that what it needs besides its arguments and results does not
grow with their number, and what one part of it writes is still in the cache when the next one reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.bptt import Layout
from ..engine.program import Program

ROOM = 1 << 22  # bytes of one block


def steps_in(program: Program, once: Sequence[int], stacked: Sequence[int]) -> int:
    """How many steps a block has: as many stacks as have room; what is computed once should pay off, too."""

    def size(slots: Sequence[int]) -> int:
        return sum(math.prod(program.shape(k)) * np.dtype(program.dtype(k) or "f4").itemsize for k in slots)

    room = max(ROOM, 32 * size(once))
    return max(1, room // max(1, size(stacked)))


def in_blocks(
    run: Callable[[Sequence[Any]], tuple[Any, ...]],
    program: Program,
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
        stacks = stacks or _stacks(program, layout, parts, T, empty)
        for whole, y in zip(stacks, parts, strict=True):
            whole[a : a + steps] = y
        sums = [x + y for x, y in zip(sums, more, strict=True)] if sums else list(more)
    return (*state, *stacks, *sums)


def _stacks(
    program: Program, layout: Layout, parts: Sequence[Any], T: int, empty: Callable[..., Any]
) -> list[Any]:
    """Memory for the stacks; a state that enters one step is the one that leaves another, and is there once."""
    s, paths, stacks = layout.n_state, dict[int, Any](), list[Any]()
    leave = dict(zip(program.outputs[:s], range(s), strict=True))
    for o, y in zip(program.outputs[s : s + layout.n_stack], parts, strict=True):
        i = o if o < s else leave.get(o)
        if i is None:
            stacks.append(empty((T, *y.shape[1:]), y.dtype))
            continue
        if i not in paths:
            paths[i] = empty((T + 1, *y.shape[1:]), y.dtype)
        stacks.append(paths[i][1:] if (o < s) == layout.reverse else paths[i][:-1])
    return stacks
