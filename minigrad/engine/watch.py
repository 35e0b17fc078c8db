"""What the running code calls things: variable names, time steps and source lines of graph nodes.

While a `Watch` is active, every new node is given a `Note` (time step, file, line), and a node that
the code binds to a variable is given that variable's name (the outermost binding, and of those the
first). Names are read from the frames of the running code, by identity, never guessed from text.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .core import STATE, Tensor

_HOUSE = os.path.dirname(os.path.dirname(__file__)) + os.sep
# Code of the house that is read all the same, its cells' equations: by id, for a code object's hash takes
# 0.16 us, and the frames of every operation are asked (2026-11-21).
EQUATIONS: dict[int, CodeType] = {}


def is_machinery(code: CodeType) -> bool:
    """Whether a frame's variables and lines are the library's own, not those of anybody's equations."""
    return _skipped(code.co_filename) and id(code) not in EQUATIONS


@lru_cache(1024)
def _skipped(file: str) -> bool:
    return file.startswith((_HOUSE, "<frozen", "<__array"))


class Note(NamedTuple):
    """Where a node comes from: its time step (1, 2, ... or None), and its line of source."""

    step: int | None
    file: str | None
    line: int | None

    def explain(self, e: BaseException) -> None:
        """Add to an error that it comes from here."""
        if self.file:
            e.add_note(f"in line {self.line} of {self.file}")


class Watch:
    """Context in which new nodes learn their name, step and line. Nested watches are no-ops."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step
        self.named: dict[int, int] = {}  # node id -> depth of the frame that named it

    def __enter__(self) -> Watch:
        self.outer = STATE.watch
        if self.outer is None:
            STATE.watch = self
            self.trace = sys.gettrace()
            sys.settrace(self._call)
        else:
            self.step_before, self.outer.step = self.outer.step, self.step or self.outer.step
        return self

    def __exit__(self, *_: Any) -> None:
        if self.outer is None:
            sys.settrace(self.trace)
            STATE.watch = None
        else:
            self.outer.step = self.step_before

    def saw(self, t: Tensor) -> None:
        """Note the step and the first source line outside the library; called for each new node."""
        frame: FrameType | None = sys._getframe(2)
        while (
            frame is not None and _skipped((code := frame.f_code).co_filename) and id(code) not in EQUATIONS
        ):
            frame = frame.f_back  # is_machinery, written out: a call would be traced, which takes 1 us
        t.note = Note(self.step, frame and frame.f_code.co_filename, frame and frame.f_lineno)

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        if _skipped((code := frame.f_code).co_filename) and id(code) not in EQUATIONS:
            return None
        depth = 0
        caller = frame.f_back
        while caller is not None:
            depth, caller = depth + 1, caller.f_back

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event in ("line", "return"):
                for name, value in frame.f_locals.items():
                    self._bind(name, value, depth)
            return local

        return local

    def _bind(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, Tensor) and not name.startswith("_"):
            known = self.named.get(value.id)
            if (known is None and value.name is None) or (known is not None and depth < known):
                value.name, self.named[value.id] = name, depth
