"""Recordings that can be used again: only while everything the recorded code reads is the same.

A cell is recorded once per shapes. That is right if the cell reads nothing but its arguments, numbers,
text, this library, numpy and math, and functions of which the same holds; `world` lists what it reads, by
identity. Code that reads anything else (an array, a list, a Tensor, a class, a module of settings), or
that draws random numbers, is recorded anew each time.
"""

from __future__ import annotations

import os
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_HOUSE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_FIXED = (int, float, str, bytes, bool, type(None), BuiltinFunctionType)
_LIBRARIES = {__name__.partition(".")[0], "numpy", "math", "builtins"}  # what they hold does not change
_CHANCE = {"random", "randn", "generator", "default_rng"}


def world(fn: Any, seen: set[int] | None = None) -> list[Any] | None:
    """What a function reads besides its arguments, or None if it reads what may change in place."""
    seen = set() if seen is None else seen
    if id(fn) in seen:
        return []
    seen.add(id(fn))
    fn = getattr(fn, "fn", fn)  # a Cell is its equations
    if not isinstance(fn, FunctionType):
        return None
    found: list[Any] = [fn.__code__]
    names = names_in(fn.__code__)
    if names & _CHANCE:
        return None
    read = [fn.__globals__[n] for n in sorted(names) if n in fn.__globals__]
    read += [c.cell_contents for c in fn.__closure__ or ()]
    read += [*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()]
    for value in read:
        found.append(value)
        if isinstance(value, _FIXED) or (isinstance(value, ModuleType) and value.__name__ in _LIBRARIES):
            continue
        code = getattr(value, "__code__", None)
        if code is not None and code.co_filename.startswith(_HOUSE):
            continue  # the library's own functions read nothing that changes
        inner = world(value, seen)
        if inner is None:
            return None
        found += inner
    return found


def names_in(code: CodeType) -> set[str]:
    """What the code, and the code inside it (comprehensions, lambdas), calls by name."""
    inner = [names_in(c) for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*inner)


def same(a: list[Any] | None, b: list[Any] | None) -> bool:
    """Whether two worlds hold the very same things."""
    if a is None or b is None or len(a) != len(b):
        return False
    return all(x is y for x, y in zip(a, b, strict=True))
