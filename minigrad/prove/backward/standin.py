"""The modules that stand in for numpy and math while somebody's code runs on symbolic arrays."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .numpyfunctions import FUNCTIONS, MAKERS, call, symbolic
from .numpylike import Symbolic, apply
from .numpyops import Unsupported


class _Arrays(type):
    """Symbolic arrays are instances of the stand-in's `ndarray`, as numpy's own are."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, (Symbolic, np.ndarray))


class _NdArray(metaclass=_Arrays):
    """np.ndarray, whose name and module it has."""


_NdArray.__name__ = _NdArray.__qualname__ = "ndarray"
_NdArray.__module__ = "numpy"


class StandIn(types.ModuleType):
    """What `np` is while somebody's code runs on symbolic arrays."""

    ndarray = _NdArray

    def __getattr__(self, name: str) -> Any:
        if name in MAKERS:
            return MAKERS[name]
        if name == "random":
            raise Unsupported("np.random: a gradient is not random; it must be the same at every call")
        if name in FUNCTIONS:
            return _either(name)
        if name in ("c_", "r_"):
            return _Joined(FUNCTIONS["column_stack"] if name == "c_" else FUNCTIONS["concatenate"], name)
        return getattr(np, name)


class _Joined:
    """np.c_ and np.r_, of arrays."""

    def __init__(self, join: Callable[..., Any], name: str) -> None:
        self.join, self.name = join, name

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple) or not any(map(symbolic, key)):
            return getattr(np, self.name)[key]
        return self.join(key)


def _either(name: str) -> Callable[..., Any]:
    """numpy's own function for plain arguments, ours where a symbolic array is among them."""

    def function(*args: Any, **kwargs: Any) -> Any:
        if any(map(symbolic, args)) or any(map(symbolic, kwargs.values())):
            return call(name, args, kwargs)
        return getattr(np, name)(*args, **kwargs)

    return function


NUMPY = StandIn("numpy")


class StandInMath(types.ModuleType):
    """What `math` is: its functions take one number, and a symbolic one has entries as numpy's have."""

    def __getattr__(self, name: str) -> Any:
        fn = getattr(math, name)
        if name not in ("tanh", "exp", "log", "sqrt", "sin", "cos", "sinh", "cosh", "log1p", "expm1", "pow"):
            return fn
        return lambda *xs: apply({"pow": "power"}.get(name, name), *xs) if _scalars(name, xs) else fn(*xs)


def _scalars(name: str, xs: Iterator[Any] | tuple[Any, ...]) -> bool:
    found = [x for x in xs if isinstance(x, Symbolic)]
    for x in found:
        if x.ndim:
            raise Unsupported(
                f"math.{name} takes one number, and not an array of shape {x.shape}; use np.{name}"
            )
    return bool(found)


MATH = StandInMath("math")
