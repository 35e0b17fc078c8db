"""A cell by name: a built-in one, or one that a Python file defines."""

from __future__ import annotations

import difflib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from . import CELLS, VARIANTS
from .cell import Cell


class CellNotFound(LookupError):
    """No cell of that name; the message says what there is instead, and what to write."""


class CellFileError(CellNotFound):
    """The code of a cell's file raised; the message is its own traceback."""


def find_cell(name: str) -> Cell:
    """The built-in cell or variant `name`, or for "file.py:function" the cell of that name in that file.

    The file is run as Python runs a script: its folder is first on the path, and nothing is cached.
    Raises CellNotFound for an unknown name, a file or function that is not there, or a function
    without @cell; CellFileError, holding the traceback, if the file raises.
    """
    known = CELLS | VARIANTS
    if name in known:
        return known[name]
    path, colon, function = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise CellNotFound(f"{name}: which cell of this file? Write {name}:FUNCTION")
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(CELLS)
        raise CellNotFound(
            f"there is no built-in cell {name!r}; did you mean {' or '.join(near)}? "
            "A cell of your own is written FILE.py:FUNCTION"
        )
    module = run_file(Path(path))
    found = vars(module).get(function)
    if isinstance(found, Cell):
        return found
    raise CellNotFound(_why_not(path, function, found, module))


def find_function(name: str) -> Callable[..., Any]:
    """The plain function of "file.py:function", such as a hand-written backward. Raises as `find_cell`."""
    path, colon, function = name.rpartition(":")
    if not colon:
        raise CellNotFound(f"{name}: which function? Write FILE.py:FUNCTION")
    module = run_file(Path(path))
    found = vars(module).get(function)
    if inspect.isfunction(found):
        return found
    functions = [k for k, v in vars(module).items() if inspect.isfunction(v)]
    there = f"its functions are {', '.join(functions)}" if functions else "it defines no function"
    raise CellNotFound(f"{path} has no function {function!r}; {there}")


def run_file(path: Path) -> ModuleType:
    """The module that running a Python file gives. Raises as `find_cell` does."""
    try:
        source = path.read_bytes()
    except OSError as e:
        raise CellNotFound(f"{path}: cannot be read: {e.strerror}") from None
    module = ModuleType(f"cells_of_{path.stem}")
    module.__file__ = str(path)
    folder = str(path.resolve().parent)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for it
    sys.path.insert(0, folder)
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as e:
        raise CellFileError(f"{path} raised while it was read:\n{own_traceback(e, str(path))}") from e
    finally:
        sys.path.remove(folder)
    return module


def own_traceback(error: BaseException, file: str) -> str:
    """The traceback of `error` as text, from the first frame that is in `file`."""
    tb: TracebackType | None = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename != file:
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb)).rstrip()


def _why_not(path: str, function: str, found: Any, module: ModuleType) -> str:
    if inspect.isfunction(found):
        names = list(inspect.signature(found).parameters)
        shapes = ", ".join(f'{n}="..."' for n in names)
        return (
            f"{path}:{function} is a plain function; a cell also says the shape of each argument. "
            "Decorate it:\n\n"
            f"    from minigrad import cell\n\n"
            f"    @cell({shapes})\n"
            f"    def {function}{inspect.signature(found)}:\n\n"
            'Each shape names the size of every axis, such as W="d n". States stand before a /, parameters '
            "after a *, inputs between them: def rnn(h, /, x, *, W, U, b)."
        )
    if found is not None:
        return f"{path}:{function} is a {type(found).__name__}, not a cell; decorate a function with @cell"
    cells = [k for k, v in vars(module).items() if isinstance(v, Cell)]
    near = difflib.get_close_matches(function, cells, n=3, cutoff=0.4) or cells
    there = f"its cells are {', '.join(cells)}" if cells else "it defines no cell"
    return f"{path} has no {function!r}; {there}" + (f"; did you mean {path}:{near[0]}?" if near else "")
