"""Kernels: the elementwise calls between two products of a loop as one compiled function, if numba is there.

A kernel is generated from the very lines it takes the place of, row by row and one result after the other
(a loop with one result is vectorised, one with several is not); tanh stays numpy's, which is vectorised where
numba's is not. So the results are the same, bit for bit. Compiled code is kept on disk between processes,
where there is a folder for it. Without numba, or with MINIGRAD_KERNELS=0, the lines stay as they are.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .emit import Handle, Instruction

OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


@dataclass
class Line:
    """A line of a loop: its text, its instruction, and the words in it."""

    text: str
    note: Any = None
    made: Instruction | None = None
    words: tuple[str, ...] = ()
    result: str = ""


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


def fused(
    lines: Sequence[Line], space: dict[str, Any], kernels: bool | None = None
) -> tuple[list[Line], str]:
    """The lines with runs of elementwise calls as one kernel each, and the kernels' text.

    kernels: whether there are any; if not said, where numba is there to compile them.
    """
    if kernels is None:
        kernels = os.environ.get("MINIGRAD_KERNELS") != "0" and numba() is not None
    if not kernels:
        return list(lines), ""
    out: list[Line] = []
    run: list[Line] = []
    texts: list[str] = []

    def close() -> None:
        if len(run) > 1:
            name = f"kernel{len(texts)}"
            text, arguments = _kernel(name, run, space)
            texts.append(text)
            space[name] = _compiled(
                name, text, {c: space[c] for line in run for c in line.words if c in space}
            )
            out.append(Line(f"{name}({', '.join(arguments)})", run[0].note))
        else:
            out.extend(run)
        run.clear()

    for line in lines:
        if not _fits(line, space):
            close()
            out.append(line)
        else:
            run.append(line)
    close()
    return out, "\n".join(texts)


def _fits(line: Line, space: dict[str, Any]) -> bool:
    """Whether the line is an elementwise call on rows: arrays of one shape, numbers, vectors."""
    made = line.made
    if made is None or not made.aligned or made.text.split("(")[0] not in OPERATORS or made.out.ndim != 2:
        return False
    shape, dtype = made.out.shape, made.out.dtype
    for a, word in zip(made.args, line.words, strict=True):
        if not isinstance(a, Handle):
            if space[word].dtype != dtype:
                return False
        elif a.dtype != dtype or a.shape not in (shape, shape[1:]) or any(v.how != "index" for v in a.views):
            return False
    return dtype.kind == "f" and min(shape) > 0


def _kernel(name: str, run: list[Line], space: dict[str, Any]) -> tuple[str, list[str]]:
    """The text of one kernel, and its arguments."""
    arguments = list(dict.fromkeys(w for line in run for w in (*line.words, line.result) if w not in space))
    text = [f"def {name}({', '.join(arguments)}):", f"    for row in range({run[0].result}.shape[0]):"]
    for line in run:
        assert line.made is not None
        text.append(f"        for column in range({line.result}.shape[1]):")
        at = {0: "", 1: "[column]", 2: "[row, column]"}
        ranks = (x.ndim if isinstance(x, Handle) else 0 for x in line.made.args)
        a, b = (word + at[rank] for word, rank in zip(line.words, ranks, strict=True))
        operator = OPERATORS[line.made.text.split("(")[0]]
        text.append(f"            {line.result}[row, column] = {a} {operator} {b}")
    return "\n".join([*text, ""]), arguments


def _compiled(name: str, text: str, constants: dict[str, np.ndarray]) -> Callable[..., None]:
    """The kernel, compiled when it is first called; from disk if it has been before. Python without numba."""
    head = [f"{c} = np.{v.dtype.name}({v.item()!r})" for c, v in sorted(constants.items())]
    code = "\n".join(["import numpy as np", *head, "", text])
    here: dict[str, Any] = {}
    if numba() is None:
        exec(compile(code, f"<{name}>", "exec"), here)
        return here[name]
    options = {"error_model": "numpy", "nogil": True}
    try:
        module = _module(code)
        return numba().njit(cache=True, **options)(getattr(module, name))
    except OSError as e:
        _no_folder(str(e))
        exec(compile(code, f"<{name}>", "exec"), here)
        return numba().njit(**options)(here[name])


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
