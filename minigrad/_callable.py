"""A package that can also be called, so that `minigrad.prove(cell)` and `minigrad.prove.lemmas` both work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module: str, fn: Callable[..., Any]) -> None:
    """Let the named module be called as `fn` is."""

    class CallableModule(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return fn(*args, **kwargs)

    CallableModule.__call__.__doc__ = fn.__doc__
    sys.modules[module].__class__ = CallableModule
