"""Somebody's function, and the functions that it calls, with numpy replaced by a stand-in.

`np.zeros((n, d))` cannot be asked for a symbolic n otherwise. Nothing of theirs is changed: the
functions are copies, with other globals and closures.
"""

from __future__ import annotations

import builtins
import math
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ...domains.blocks import Size
from .numpyfunctions import FUNCTIONS, MAKERS
from .numpylike import Symbolic
from .standin import MATH, NUMPY


def rebound(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` as it would be had its author imported the stand-ins for numpy and math.

    Raises TypeError for what is not a plain Python function.
    """
    if isinstance(fn, types.MethodType):
        return types.MethodType(rebound(fn.__func__), fn.__self__)
    if not isinstance(fn, types.FunctionType):
        raise TypeError(f"a plain Python function is wanted, and not {type(fn).__name__}; wrap it in a def")
    return _Copies().function(fn)


class _Copies:
    """Functions copied so far, and the globals of each module that they come from."""

    def __init__(self) -> None:
        self.functions: dict[int, Any] = {}
        self.spaces: dict[int, dict[str, Any]] = {}

    def function(self, fn: Any) -> Any:
        if id(fn) in self.functions:
            return self.functions[id(fn)]
        cells = tuple(types.CellType() for _ in fn.__closure__ or ())
        new = types.FunctionType(fn.__code__, self.space(fn.__globals__), fn.__name__, None, cells or None)
        self.functions[id(fn)] = new  # before its closure, which may hold the function itself
        new.__defaults__ = tuple(map(self.value, fn.__defaults__)) if fn.__defaults__ else None
        new.__kwdefaults__ = {k: self.value(v) for k, v in (fn.__kwdefaults__ or {}).items()} or None
        for cell, old in zip(cells, fn.__closure__ or (), strict=True):
            try:
                cell.cell_contents = self.value(old.cell_contents)
            except ValueError:
                pass  # a cell that is still empty
        return new

    def space(self, own: dict[str, Any]) -> dict[str, Any]:
        if id(own) not in self.spaces:
            space = self.spaces[id(own)] = dict(own)
            for name, value in own.items():
                space[name] = self.value(value)
            space["__builtins__"] = vars(builtins) | OWN
        return self.spaces[id(own)]

    def value(self, value: Any) -> Any:
        if value is np:
            return NUMPY
        if value is math:
            return MATH
        if isinstance(value, types.FunctionType) and _theirs(value):
            return self.function(value)
        name = getattr(value, "__name__", "")
        if name in FUNCTIONS | MAKERS and getattr(np, name, None) is value:
            return getattr(NUMPY, name)
        if getattr(math, name if isinstance(name, str) else "", None) is value and callable(value):
            return getattr(MATH, name)
        return value


def _theirs(fn: types.FunctionType) -> bool:
    """Whether a function is the author's own, or of a module of theirs: not of a library."""
    top = (fn.__module__ or "").partition(".")[0]
    return top not in {"numpy", "scipy", "minigrad"} and top not in sys.stdlib_module_names - {"__main__"}


def _len(x: Any) -> Any:
    """len, which Python itself lets be no symbolic size."""
    return x.shape[0] if isinstance(x, Symbolic) and x.ndim else len(x)


def _import(name: str, *args: Any) -> Any:
    """What an import statement inside of the function gives."""
    if name == "numpy":
        return NUMPY
    return MATH if name == "math" else builtins.__import__(name, *args)


def _stands_for(x: Any) -> Any:
    """What numpy would have in the place of a symbolic array or size."""
    if isinstance(x, Symbolic):
        return np.zeros((1,) * x.ndim)[()]
    return 1 if isinstance(x, Size) else x


def _isinstance(x: Any, kinds: Any) -> bool:
    return isinstance(x, kinds) or isinstance(_stands_for(x), kinds)


def _type(x: Any, *rest: Any) -> Any:
    """type, of arrays and sizes numpy's and Python's own."""
    kind = type(_stands_for(x), *rest)
    return NUMPY.ndarray if kind is np.ndarray else kind


OWN = {"__import__": _import, "len": _len, "isinstance": _isinstance, "type": _type}  # instead of builtins
