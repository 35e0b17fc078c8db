"""Compiled code kept on disk between processes. Whatever is wrong with the folder, the code runs all the same."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(code: str, name: str, compiled: Callable[[Any, bool], Any]) -> Any:
    """compiled(function, True) of the function of this name in the code, which is a file in the cache folder.

    What was kept and is damaged is thrown away. Where nothing can be kept it is compiled(function, False), and
    a warning says so, once. Raises what compiled(function, False) raises.
    """
    why = ""
    for _ in range(2):  # the second time without what was kept
        try:
            return compiled(getattr(_module(code), name), True)
        except OSError as e:
            why = str(e)
            break
        except Exception as e:
            why = f"{type(e).__name__}: {e}"
            _forget(code)
    here: dict[str, Any] = {}
    exec(compile(code, f"<{name}>", "exec"), here)
    found = compiled(here[name], False)
    _not_kept(why)
    return found


def _file(code: str) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad" / "kernels"
    return folder / f"k{hashlib.sha256(code.encode()).hexdigest()[:24]}.py"


def _module(code: str) -> types.ModuleType:
    """The code as a module of a file in the cache folder. Raises OSError if there is no place to write."""
    file = _file(code)
    name = f"minigrad_kernel_{file.stem}"
    if getattr(sys.modules.get(name), "__file__", "") != str(file):  # the folder may have become another
        if not _holds(file, code):
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".tmp", delete=False) as f:
                try:
                    f.write(code)
                    f.close()
                    os.replace(f.name, file)  # whole or not at all, whoever else writes it
                except OSError:
                    Path(f.name).unlink(missing_ok=True)
                    raise
        module = types.ModuleType(name)
        module.__file__ = str(file)
        exec(compile(code, str(file), "exec"), module.__dict__)
        sys.modules[name] = module  # numba looks for it there when it loads what it kept
    return sys.modules[name]


def _holds(file: Path, code: str) -> bool:
    try:
        return file.read_bytes() == code.encode()
    except OSError:
        return False


def _forget(code: str) -> None:
    """Remove what is kept for this code."""
    file = _file(code)
    for kept in (file, *file.parent.glob(f"__pycache__/{file.stem}.*")):
        try:
            kept.unlink(missing_ok=True)
        except OSError:
            pass  # then it is compiled without
    sys.modules.pop(f"minigrad_kernel_{file.stem}", None)


@functools.cache
def _not_kept(why: str) -> None:
    """Say once that compiled code is not kept."""
    warnings.warn(
        f"compiled kernels cannot be kept on disk ({why}); each process compiles them",
        RuntimeWarning,
        stacklevel=2,
    )
