"""What running somebody's function does besides computing: what it changes, calls and draws, and where."""

from __future__ import annotations

import io
import linecache
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CellType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine import functions
from ..engine.core import Tensor
from ..engine.memo import names_in
from ..engine.watch import is_machinery

ALONE = "it must do nothing but compute what it returns, as it may be run any number of times, or none"
ARGUMENT = "what changes from run to run must be an argument, such as an input"
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
LIBRARIES = tuple(os.path.dirname(str(m.__file__)) + os.sep for m in (os, np))
DEPTH, WIDTH = 4, 1000  # how far a look into lists, dicts and objects goes


class ImpureError(ValueError):
    """A cell or backward that is not a function of its arguments: what it does, where, what to do instead."""


@contextmanager
def without_effects(who: str, fn: Any, again: Callable[[], Any]) -> Iterator[None]:
    """Raises ImpureError, with file and line, if the block draws random numbers, prints, or changes anything.

    fn: the function whose world is looked at. again: what the block does, to find the line by.
    """
    before = _state(fn)
    with _calls(who, {f.__code__.co_filename for f in _functions(fn)}):
        yield
    after = _state(fn)
    changed = next((k for k in before | after if before.get(k) != after.get(k)), None)
    if changed is None:
        return
    place = _line_that_changes(changed, fn, again)
    if isinstance(_outside(fn).get(changed), GENERATORS):
        raise ImpureError(f"{who} draws random numbers from {changed}; {ARGUMENT} {place}")
    raise ImpureError(f"{who} changes {changed}; {ALONE} {place}")


# ---- what there is to change -----------------------------------------------------------------------
def _state(fn: Any) -> dict[str, Any]:
    return {label: fingerprint(v) for label, v in _outside(fn).items()}


def _outside(fn: Any) -> dict[str, Any]:
    """What a function can reach by name, and the random number generators that everybody shares."""
    shared: dict[str, Any] = {
        "random": random._inst,
        "numpy.random": np.random.mtrand._rand,
        "minigrad's generator": functions.generator(),
    }
    for f in _functions(fn):
        shared |= _read_by(f)
    return shared


def _read_by(fn: FunctionType) -> dict[str, Any]:
    """What a function reads by name: label -> value."""
    names = sorted(names_in(fn.__code__)) if is_users(fn.__code__) else []  # our globals are ours to change
    found = {n: fn.__globals__[n] for n in names if n in fn.__globals__}
    found |= {n: _held(c) for n, c in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True)}
    found |= {f"the defaults of {fn.__name__}": (fn.__defaults__, fn.__kwdefaults__)}
    for label, value in [*found.items()]:
        if isinstance(value, ModuleType):
            del found[label]
            if value.__name__.partition(".")[0] not in ("minigrad", "numpy", "math"):
                found |= {f"{label}.{n}": vars(value)[n] for n in names if n in vars(value)}
    return found


def _functions(fn: Any) -> Iterator[FunctionType]:
    """A function or cell, and the functions and cells that it reads by name, and so on."""
    todo, seen = [fn], set[int]()
    while todo:
        f = todo.pop()
        f = getattr(f, "fn", f)  # a Cell is its equations
        if isinstance(f, FunctionType) and id(f) not in seen:
            seen.add(id(f))
            todo += _read_by(f).values()
            yield f


def _held(c: CellType) -> Any:
    try:
        return c.cell_contents
    except ValueError:  # not bound yet
        return None


def fingerprint(value: Any, depth: int = DEPTH) -> Any:
    """Equal as long as nothing in a value is changed, as far as a look inside shows."""
    if isinstance(value, (int, float, complex, str, bytes, type(None))):
        return type(value), repr(value)
    if isinstance(value, np.ndarray):
        return id(value), value.shape, str(value.dtype), value.tobytes() if value.dtype.kind != "O" else 0
    if isinstance(value, Tensor):
        return id(value), fingerprint(value.value)
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return _frozen(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return _frozen(value.get_state(legacy=False))
    if hasattr(type(value), "__next__"):  # whoever reads it takes from it, and nothing shows what is left
        return object()
    if isinstance(value, FunctionType):
        return id(value), fingerprint(vars(value), depth - 1) if depth else 0
    if isinstance(value, (ModuleType, Cell)) or not depth:
        return id(value)
    size = len(value) if hasattr(type(value), "__len__") else 0
    own = 0 if isinstance(value, tuple) else id(value)
    return own, size, [fingerprint(v, depth - 1) for v in _inside(value)]


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [x for kv in list(value.items())[:WIDTH] for x in kv]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)[:WIDTH]
    if isinstance(value, bytearray):
        return [bytes(value)]
    if type(value).__module__.startswith(("minigrad", "numpy")):
        return []
    slots = {k: getattr(value, k) for k in _slots(type(value)) if hasattr(value, k)}
    own = slots | dict(getattr(value, "__dict__", {}))
    return [v for k, v in list(own.items())[:WIDTH] if not k.startswith("__")]


def _slots(kind: type) -> list[str]:
    """The attributes that a class keeps without a __dict__."""
    found = [vars(c).get("__slots__", ()) for c in kind.__mro__]
    return [k for names in found for k in ([names] if isinstance(names, str) else names)]


def _frozen(state: Any) -> Any:
    """A generator's state by value."""
    if isinstance(state, dict):
        return [(k, _frozen(v)) for k, v in state.items()]
    return state.tobytes() if isinstance(state, np.ndarray) else state


# ---- calls that compute nothing --------------------------------------------------------------------
@contextmanager
def _calls(who: str, files: set[str]) -> Iterator[None]:
    """Raises ImpureError after the block if code of these files called what prints, reads a clock, and the like."""
    seen: list[str] = []

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call" and not seen and (what := _effect(arg)) and (place := _caller(frame, files)):
            seen.append(f"{who} {what} {place}")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
    if seen:
        raise ImpureError(seen[0])


def _effect(called: Any) -> str:
    """What a built-in function does besides computing, and the advice; "" if nothing that is known."""
    name, owner = getattr(called, "__name__", ""), getattr(called, "__self__", None)
    module = owner.__name__ if isinstance(owner, ModuleType) else getattr(owner, "__module__", "")
    if isinstance(owner, random.Random):
        return f"draws random numbers with random.{name}; {ARGUMENT}"
    if name == "urandom":
        return f"draws random numbers from the operating system; {ARGUMENT}"
    if (module, name) != ("time", "sleep") and (
        module == "time" or (module == "datetime" and name in ("now", "today", "utcnow"))
    ):
        return f"reads the clock with {name}; {ARGUMENT}"
    if name in ("print", "input", "open") and module in ("builtins", "io", "_io"):
        return f"calls {name}; {ALONE}"
    return f"calls {name} of a file; {ALONE}" if isinstance(owner, io.IOBase) else ""


def _caller(frame: FrameType | None, files: set[str]) -> str:
    """The line of these files that leads to a frame, by libraries alone; "" if there is none.

    So what an import does, or a callback of the garbage collector, is nobody's.
    """
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename not in files:
        return ""
    return line(frame.f_code.co_filename, frame.f_lineno)


# ---- where -----------------------------------------------------------------------------------------
def _line_that_changes(label: str, fn: Any, again: Callable[[], Any]) -> str:
    """The line after which the labelled thing has changed, found by running once more, line by line."""
    last, found = "", ""
    was = _state(fn).get(label)

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal last, found
        if not found and last and _state(fn).get(label) != was:
            found = last
        last = line(frame.f_code.co_filename, frame.f_lineno)
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: local(frame, event, arg) if is_users(frame.f_code) else None)
    try:
        again()
    finally:
        sys.settrace(before)
    return found or definition(fn)


def is_users(code: CodeType) -> bool:
    """Whether code is neither the house's, nor Python's, nor numpy's."""
    return not is_machinery(code) and not code.co_filename.startswith(LIBRARIES)


def definition(fn: Any) -> str:
    """Where a function is defined."""
    code = getattr(fn, "__func__", fn).__code__
    file, first = code.co_filename, code.co_firstlineno
    numbers = range(first, first + 20)  # decorators come first
    return line(file, next((k for k in numbers if "def " in linecache.getline(file, k)), first))


def line(file: str, number: int) -> str:
    """A line of source, as an error names it."""
    return f"(in {file}:{number}: {linecache.getline(file, number).strip()})"
