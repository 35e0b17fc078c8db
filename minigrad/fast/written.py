"""Emitted text as a function that can be debugged: what goes wrong in it names the line of the cell's code."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from ..engine.watch import Note

_number = count(1)


def function(
    name: str, text: str, title: str, space: dict[str, Any], notes: Mapping[int, Note | None]
) -> Callable[..., Any]:
    """The function of this name that the text defines, with these names in it.

    notes: where in the cell's code a line (1, 2, ...) comes from. Tracebacks and warnings show it beside the line.
    """
    file = f"<{title} {next(_number)}>"
    lines = text.splitlines()
    for at, note in notes.items():
        if note is not None and note.file:
            lines[at - 1] += f"  # {Path(note.file).name}, line {note.line}"
    linecache.cache[file] = len(text), None, [f"{line}\n" for line in lines], file
    exec(compile(text, file, "exec"), space)
    space["__notes__"] = notes
    return space[name]


def explain(e: BaseException) -> None:
    """Add to an error from emitted code which line of the cell it comes from."""
    trace = e.__traceback__
    while trace is not None:
        note = trace.tb_frame.f_globals.get("__notes__", {}).get(trace.tb_lineno)
        if note is not None:
            note.explain(e)
        trace = trace.tb_next
