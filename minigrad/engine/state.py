"""What is being recorded, in this thread, now: a graph for gradients, everything, or nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

new_id = itertools.count(1).__next__  # a node is newer than its inputs: ids order every graph


class _State(threading.local):
    """What is being recorded in this thread: nothing, what needs a gradient, or everything."""

    mode = "grad"  # "off" | "grad" | "all"
    frozen = False  # inside no_grad() while everything is recorded
    watch: Any = None  # sees each new node while a program is traced (see watch.py)
    since: float = float("inf")  # nodes with a larger id belong to a program being traced
    looked = 0  # how often numbers were read that no program shows: a Tensor's, or chance's


STATE = _State()


@contextmanager
def recording(mode: str) -> Iterator[None]:
    """Within the block, graphs are kept for: nothing ("off"), gradients ("grad"), all ops ("all")."""
    before = STATE.mode, STATE.frozen
    STATE.mode, STATE.frozen = mode, False
    try:
        yield
    finally:
        STATE.mode, STATE.frozen = before


@contextmanager
def no_grad() -> Iterator[None]:
    """A block, or (as a decorator) a function, in which results do not require a gradient.

    No graph is kept; where everything is recorded (a program, an unrolled cell), the operations are
    recorded all the same, and their results stop the gradient.
    """
    with recording("all" if STATE.mode == "all" else "off"):
        STATE.frozen = STATE.mode == "all"
        yield
