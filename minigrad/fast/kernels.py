"""Loops compiled by numba, if it is there, and kept on disk between processes, if there is a folder for it.

What is compiled is the very text of the loop (nests.py). Without numba, or with MINIGRAD_KERNELS=0, loops are
numpy's calls, one after the other.
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .cache import kept
from .cut import CannotCompile

Kind = tuple[int, Any, bool, bool]  # of an argument: its axes, dtype, whether it is only read, has no gaps


def wanted() -> bool:
    """Whether loops are compiled here."""
    return os.environ.get("MINIGRAD_KERNELS") != "0" and numba() is not None and _ready()


@functools.cache
def _ready() -> bool:
    """Whether what compiled loops call is there too; says once what is missing."""
    try:
        native()
    except Exception as e:
        warnings.warn(f"numba cannot compile loops here ({e}); they run on numpy", RuntimeWarning, stacklevel=2)
        return False
    return True


@functools.cache
def numba() -> Any:
    """numba, or None if it is not installed; one that is broken says so, once."""
    try:
        import numba as found
    except Exception as e:
        if isinstance(e, ModuleNotFoundError) and e.name == "numba":
            return None
        warnings.warn(
            f"numba is installed, but does not load ({e}); loops run on numpy", RuntimeWarning, stacklevel=2
        )
        return None
    return found


def compiled(
    name: str, text: str, space: dict[str, Any], arguments: Sequence[Kind], steps: bool = True
) -> Callable[..., None]:
    """A function of (the number of steps and) arrays, compiled or from disk; plain Python without numba.

    Raises CannotCompile if numba fails, which is said once.
    """
    here: dict[str, Any] = dict(space)
    if numba() is None:
        exec(compile(text, f"<{name}>", "exec"), here)
        return here[name]
    words, dtypes = set(re.findall(r"\w+", text)), {str(dtype) for _, dtype, _, _ in arguments}

    def compiler(function: Callable[..., None], keep: bool) -> Callable[..., None]:
        return numba().njit(_signature(arguments, steps), cache=keep, **native().PLAIN)(function)

    try:
        native().prepare(words, dtypes)
        return kept(_code(text, space), name, compiler)
    except Exception as e:
        _broken(f"{type(e).__name__}: {e}")
        raise CannotCompile("numba fails") from e


def native() -> Any:
    """The module that compiled loops call."""
    from . import native as found

    return found


MULTIPLY = "def product(a, b, out):\n    multiply(a, b, out)\n"


def multiply(a: Any, b: Any, out: Any) -> Any:
    """out = a @ b of matrices: as in compiled loops where they are and BLAS has one thread, else by BLAS."""
    alike = a.dtype == b.dtype == out.dtype and out.dtype.name in ("float32", "float64")
    if alike and wanted() and native().threads() == 1:
        _multiplier(out.dtype)(a, b, out)
    else:
        np.matmul(a, b, out=out)
    return out


@functools.cache
def _multiplier(dtype: Any) -> Callable[..., None]:
    kinds = [(2, dtype, True, False), (2, dtype, True, False), (2, dtype, False, True)]
    return compiled("product", MULTIPLY, {"multiply": np.dot}, kinds, steps=False)


def _signature(arguments: Sequence[Kind], steps: bool) -> Any:
    types = numba().types
    return types.void(
        *[types.intp] * steps,
        *(
            types.Array(numba().from_dtype(dtype), rank, "C" if solid else "A", readonly=read)
            for rank, dtype, read, solid in arguments
        ),
    )


def _code(text: str, space: dict[str, Any]) -> str:
    """The text with all that its names stand for: a module. It is another one where what it calls is."""
    head = [f"# {native().VERSION}", "import numpy as np"]
    for name in sorted(set(re.findall(r"\w+", text)) & set(space) - {"np"}):
        value = space[name]
        if isinstance(value, np.ndarray):
            head.append(f"{name} = np.{value.dtype.name}({value.item()!r})")
        else:
            ours = native() if hasattr(native(), name) else np
            head.append(f"from {ours.__name__} import {name}")
    return "\n".join([*head, "", text])


@functools.cache
def _broken(why: str) -> None:
    """Say once that numba fails."""
    warnings.warn(f"numba does not compile a loop ({why}); loops run on numpy", RuntimeWarning, stacklevel=2)
