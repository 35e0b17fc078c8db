"""A progress bar on standard error, if that is a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DELAY, TICK = 0.3, 0.2  # seconds until the bar is shown: most checks are over by then; and between two looks


@contextmanager
def bar(title: str) -> Iterator[Callable[[str, float], Any]]:
    """A function to call with what is done now and the part that is behind it, from 0 to 1.

    The bar is gone when the block ends, however it ends; where standard error is no terminal, nothing is
    written at all. Its clock goes on while a long piece of work says nothing.
    """
    if not sys.stderr.isatty():
        yield lambda what, part: None
        return
    from tqdm import tqdm

    shape = "{desc} {percentage:3.0f}% |{bar:24}| {elapsed}{postfix}"
    done = threading.Event()
    with tqdm(total=1.0, desc=title, bar_format=shape, miniters=0, delay=DELAY, leave=False) as shown:

        def progress(what: str, part: float) -> None:
            shown.n = part
            shown.set_postfix_str(what, refresh=False)

        def tick() -> None:
            while not done.wait(TICK):
                shown.update(0)

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield progress
        finally:
            done.set()
            clock.join()
