"""What the running code calls things: variable names, time steps and source lines of graph nodes.

While a `Watch` is active, every new node is given a `Note` (time step, file, line), and a node that
the code binds to a variable is given that variable's name (the outermost binding, and of those the
first). Names are read from the frames of the running code, by identity, never guessed from text.
"""

from __future__ import annotations

import dis
import os
import sys
from bisect import bisect_left
from collections import Counter
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


class _Code:
    """What is asked of a code object at every operation: whose it is, its lines, and where it binds again."""

    __slots__ = ("again", "code", "file", "lines", "machinery")

    def __init__(self, code: CodeType) -> None:
        self.code = code  # kept, so that its id stays its own
        self.machinery = is_machinery(code)
        self.file = code.co_filename
        self.lines: dict[int, int | None] = {}  # by offset; f_lineno searches
        self.again = () if self.machinery else _bound_again(code)


_codes: dict[int, _Code] = {}


def _look(code: CodeType) -> _Code:
    if len(_codes) > 4096:
        _codes.clear()
    found = _codes[id(code)] = _Code(code)
    return found


def _bound_again(code: CodeType) -> tuple[int, ...]:
    """Where a variable is bound or deleted that has other bindings too: an argument, or one in a loop."""
    steps = list(dis.get_instructions(code))
    jumps = {*dis.hasjrel, *dis.hasjabs}
    loops = [(i.argval, i.offset) for i in steps if i.opcode in jumps and i.argval <= i.offset]
    stores = [(-1, name) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    for i in steps:
        if i.opname.startswith(("STORE_FAST", "STORE_DEREF", "STORE_NAME", "DELETE_FAST", "DELETE_DEREF")):
            names = i.argval if isinstance(i.argval, tuple) else (i.argval,)  # of two at once, from 3.13 on
            stores += [(i.offset, name) for name in names]
    times = Counter(name for _, name in stores)
    looped = {name for at, name in stores if any(a <= at <= b for a, b in loops)}
    return tuple(at for at, name in stores if times[name] > 1 or name in looped)


class _Frame:
    """A frame whose variables name nodes: its distance from the watch, and the last operation it made."""

    __slots__ = ("again", "at", "depth", "frame")

    def __init__(self, frame: FrameType, depth: int, again: tuple[int, ...]) -> None:
        self.frame, self.depth, self.again, self.at = frame, depth, again, -2


class Watch:
    """Context in which new nodes learn their name, step and line. Nested watches are no-ops.

    Nothing is traced: frames that make nodes are kept until they have ended, and their variables are read
    then; where one may be bound again, at the next operation already.
    """

    def __init__(self, step: int | None = None) -> None:
        self.step = step
        self.named: dict[int, int] = {}  # node id -> depth of the frame that named it
        self.frames: list[_Frame] = []  # that have made nodes and may not have ended, outermost first

    def __enter__(self) -> Watch:
        self.outer = STATE.watch
        if self.outer is None:
            STATE.watch, self.base = self, sys._getframe(1)
        else:
            self.step_before, self.outer.step = self.outer.step, self.step or self.outer.step
        return self

    def __exit__(self, *_: Any) -> None:
        if self.outer is None:
            STATE.watch = self.base = None  # type: ignore[assignment]
            self._end(0)
        else:
            self.outer.step = self.step_before
            self.outer._move_to(sys._getframe(1))

    def saw(self, t: Tensor, above: int = 3) -> None:
        """Note the step and the first source line outside the library; called for each new node."""
        frame: FrameType | None = sys._getframe(above)
        base, inside = self.base, True
        while frame is not None:
            if frame is base:
                inside = False
            code = frame.f_code
            known = _codes.get(id(code)) or _look(code)
            if not known.machinery:
                break
            frame = frame.f_back
        if frame is None:
            t.note = Note(self.step, None, None)
            return
        at = frame.f_lasti
        if inside:
            if not self.frames or self.frames[-1].frame is not frame:
                self._move_to(frame)
            elif self.frames[-1].again:
                self._catch_up(self.frames[-1])
        line = known.lines.get(at)
        if line is None:
            line = known.lines[at] = frame.f_lineno
        t.note = Note(self.step, known.file, line)

    def _move_to(self, frame: FrameType | None) -> None:
        """Make this frame the last one; those that it was not called from have ended."""
        place = {id(f.frame): i for i, f in enumerate(self.frames)}
        new = []
        while frame is not None and frame is not self.base and id(frame) not in place:
            new.append(frame)
            frame = frame.f_back
        last = place.get(id(frame), -1)
        self._end(last + 1)
        outer = self.frames[last].depth if last >= 0 else 0
        for depth, inner in enumerate(reversed(new), start=outer + 1):
            known = _codes.get(id(inner.f_code)) or _look(inner.f_code)
            if not known.machinery:
                self.frames.append(_Frame(inner, depth, known.again))
        for f in self.frames[max(last, 0) :]:
            self._catch_up(f)

    def _catch_up(self, f: _Frame) -> None:
        """Read a frame's variables if one was bound since its last operation that may be bound again."""
        at = f.frame.f_lasti
        if f.again and (at <= f.at or bisect_left(f.again, at) > bisect_left(f.again, f.at)):
            self._read(f)
        f.at = at

    def _end(self, first: int) -> None:
        """Read the variables of all frames from the first on, innermost first, and let them go."""
        while len(self.frames) > first:
            self._read(self.frames.pop())

    def _read(self, f: _Frame) -> None:
        """Name the nodes that the variables of a frame hold now."""
        depth, named = f.depth, self.named
        for name, value in f.frame.f_locals.items():
            if value.__class__ is Tensor and (value.name is None or value.id in named) and name[0] != "_":
                if depth < named.get(value.id, depth + 1):
                    value.name, named[value.id] = name, depth
