"""Loops compiled by numba, if it is there, and kept on disk between processes, if there is a folder for it.

What is compiled is the very text of the loop (nests.py). Without numba, or with MINIGRAD_KERNELS=0, loops are
numpy's calls, one after the other.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    """A function of (the number of steps and) arrays, compiled or from disk; plain Python without numba."""
    here: dict[str, Any] = dict(space)
    if numba() is None:
        exec(compile(text, f"<{name}>", "exec"), here)
        return here[name]
    code = _code(text, space)
    options = native().PLAIN
    signature = _signature(arguments, steps)
    try:
        return numba().njit(signature, cache=True, **options)(getattr(_module(code), name))
    except OSError as e:
        _no_folder(str(e))
        exec(compile(code, f"<{name}>", "exec"), here)
        return numba().njit(signature, **options)(here[name])
    except Exception as e:
        why = f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"
        warnings.warn(f"numba cannot compile a {name} ({why}); numpy runs it", RuntimeWarning, stacklevel=2)
        raise CannotCompile(why) from e


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


def _module(code: str) -> Any:
    """The code as a module in the cache folder. Raises OSError if there is no place to write."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad" / "kernels"
    file = folder / f"k{hashlib.sha256(code.encode()).hexdigest()[:24]}.py"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as f:
            f.write(code)
        os.replace(f.name, file)  # whole or not at all, whoever else writes it
    name = f"minigrad_kernel_{file.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module  # numba looks for it there when it loads what it kept
    return sys.modules[name]


@functools.cache
def _no_folder(why: str) -> None:
    """Say once that compiled kernels are not kept."""
    warnings.warn(
        f"compiled kernels cannot be kept on disk ({why}); each process compiles them",
        RuntimeWarning,
        stacklevel=2,
    )
