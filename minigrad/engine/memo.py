"""Recordings that can be used again: only while everything the recorded code reads is the same.

A step is recorded once per shapes. That is right if it reads nothing but its arguments, numbers, text, Tensors,
this library, numpy and math, tuples, lists and dicts of these, and functions of which the same holds; `world`
is what it reads, as a key. A Tensor counts by its shape, for its value enters the recording as an input. Code
that reads anything else (an array, an object, a module of settings), that draws random numbers, prints, or
writes what outlives it, is recorded anew each time.
"""

from __future__ import annotations

import dis
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from .core import Primitive, Tensor

_HOUSE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_LIBRARY = __name__.partition(".")[0]
_LIBRARIES = {_LIBRARY, "numpy", "math", "builtins"}  # what they hold does not change
_UNSEEN = {
    "random", "randn", "generator", "default_rng",  # chance
    "print", "input", "open",  # is asked for at each scan
    "eval", "exec", "globals", "vars", "locals", "__import__",  # reads what no name says
    "value", "grad",  # a Tensor's numbers, not as an input
}  # fmt: skip
_UNSEEN_CODE = {"IMPORT_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"}
_WRITES = {
    "append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update",
}  # fmt: skip
_WRITES_CODE = {"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_ATTR", "DELETE_ATTR"}
_LIMIT = 256


def remembered(known: dict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """known[key], made now if it is not there; what holds too many is emptied first."""
    found = known.get(key)
    if found is None:
        if len(known) >= _LIMIT:
            known.clear()
        found = known[key] = make()
    return found


def world(fn: Any) -> tuple[tuple[Any, ...], list[Tensor]] | None:
    """What a function reads besides its arguments, as a key, and the Tensors in it, each once.

    None if it reads what may change unseen.
    """
    w = _World()
    return (tuple(w.key), w.tensors) if w.sees(fn) and not (w.writes and w.mutable) else None


class _World:
    """What has been found so far: `key` holds every fact that a recording can depend on."""

    def __init__(self) -> None:
        self.key: list[Any] = []
        self.tensors: list[Tensor] = []
        self.functions: list[FunctionType] = []
        self.modules: list[ModuleType] = []
        self.writes = self.mutable = False

    def sees(self, x: Any) -> bool:
        """Add x to the key; whether that is all there is to it."""
        kind = x.__class__
        if kind is FunctionType:
            return self._function(x)
        if kind in _FIXED:
            self.key += (kind, x.hex() if kind is float else x)  # 0.0 == -0.0, and nan != nan
            return True
        if kind is Tensor:
            return self._tensor(x)
        if kind is dict:
            self.mutable = True
            self.key += (kind, *x, kind)
            return all(k.__class__ is str for k in x) and all(map(self.sees, x.values()))
        if kind is tuple or kind is list or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
            self.mutable = self.mutable or kind is list
            self.key += (kind, len(x))
            return all(map(self.sees, x))
        self.key.append(x)
        if kind is BuiltinFunctionType:
            return x.__self__.__class__ is ModuleType
        if kind is Primitive or kind is np.ufunc:
            return True
        of_house = kind.__module__.partition(".")[0] == _LIBRARY
        return of_house and hasattr(x, "fn") and self.sees(x.fn)  # a Cell is its equations

    def _tensor(self, t: Tensor) -> bool:
        for i, known in enumerate(self.tensors):
            if known is t:
                self.key += (Tensor, i)
                return True
        self.key += (Tensor, t.shape, t.dtype, t.m, t.requires_grad)
        self.tensors.append(t)
        return t.dtype.kind not in "iub"  # indices may be looked at while they are recorded

    def _module(self, x: ModuleType, names: tuple[str, ...]) -> bool:
        """A library, and what is read of it by these names."""
        self.key.append(x)
        if x in self.modules:
            return True
        self.modules.append(x)
        held = vars(x)
        for name in names:
            if name in held:
                y = held[name]
                self.key.append(name)
                if y.__class__ is not ModuleType and callable(y):
                    self.key.append(y)
                elif not (self._module(y, names) if y.__class__ is ModuleType else self.sees(y)):
                    return False
        return x.__name__.partition(".")[0] in _LIBRARIES

    def _function(self, fn: FunctionType) -> bool:
        for i, known in enumerate(self.functions):
            if known is fn:
                self.key += (FunctionType, i)
                return True
        self.functions.append(fn)
        code = _seen(fn.__code__)
        if code is None:
            return False
        if code.ours and fn.__closure__ is None:
            self.key.append(fn)  # a function of the library
            return True
        self.key.append(fn.__code__)
        self.writes = self.writes or code.writes
        held = fn.__globals__
        for name in code.names:
            if name in held:
                self.key.append(name)
                x = held[name]
                if not (self._module(x, code.names) if x.__class__ is ModuleType else self.sees(x)):
                    return False
        try:
            closed = tuple(c.cell_contents for c in fn.__closure__ or ())
        except ValueError:  # not bound yet
            return False
        rest = (closed, fn.__defaults__, fn.__kwdefaults__)
        return all(map(self.sees, rest)) and (code.ours or not fn.__dict__)


_FIXED = {int, float, str, bytes, bool, type(None), type(...), complex}


class _Seen(NamedTuple):
    """What a code object reads by name; whether it writes into something; whether it is the library's."""

    names: tuple[str, ...]
    writes: bool
    ours: bool


@lru_cache(1024)
def _seen(code: CodeType) -> _Seen | None:
    """None for code that cannot be seen through."""
    if code.co_filename.startswith(_HOUSE):
        return _Seen((), False, True)  # it reads nothing that changes
    names, done = names_in(code), {*_instructions(code)}
    if names & _UNSEEN or done & _UNSEEN_CODE:
        return None
    return _Seen(tuple(sorted(names)), bool(names & _WRITES or done & _WRITES_CODE), False)


def names_in(code: CodeType) -> set[str]:
    """What the code, and the code inside it (comprehensions, lambdas), calls by name."""
    return set().union(*(c.co_names for c in _inside(code)))


def _inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for c in code.co_consts:
        if isinstance(c, CodeType):
            yield from _inside(c)


def _instructions(code: CodeType) -> Iterator[str]:
    """The names of the instructions; what writes a variable of an outer function is as writing a global."""
    for c in _inside(code):
        for i in dis.get_instructions(c):
            outer = i.opname == "STORE_DEREF" and i.argval in code.co_freevars
            yield "STORE_GLOBAL" if outer else i.opname
