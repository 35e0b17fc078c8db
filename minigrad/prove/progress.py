"""How far a long check is: it calls a function with what it does now and the part that is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, float], Any]  # what is done now; the part that is behind it, from 0 to 1


def silent(what: str, part: float) -> None:
    """Progress that nobody looks at."""


def within(progress: Progress, name: str, start: float, end: float) -> Progress:
    """The progress of a piece that goes from start to end of the whole; its name stands before what is done."""
    return lambda what, part: progress(f"{name}, {what}" if what else name, start + part * (end - start))
