"""Texts to learn from: where they come from, and the order in which training reads them."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np

_MODULES = ("argparse", "ast", "inspect", "pathlib", "subprocess", "tarfile", "textwrap", "typing")


class TextError(ValueError):
    """A text that cannot be learned from; the message names the file, says why and what to do."""


def default_text() -> str:
    """Real text that is on every machine: the source of modules of Python's own standard library.

    Raises FileNotFoundError on a Python that was installed without its sources.
    """
    files = [importlib.import_module(name).__file__ or "" for name in _MODULES]
    texts = [Path(file).read_text(encoding="utf-8") for file in files if file.endswith(".py")]
    if not texts:
        raise FileNotFoundError("this Python has no sources of its standard library; give a text of your own")
    return "\n".join(texts)


def read_text(file: str, most: int | None = None) -> str:
    """The text of a file, or its first `most` characters.

    Raises TextError if it is empty or is not text in UTF-8, OSError if it cannot be read.
    """
    try:
        with open(file, encoding="utf-8-sig") as f:
            text = f.read(most)
    except UnicodeDecodeError as e:
        raise TextError(f"{file}: not UTF-8 text (byte {e.object[e.start]:#04x}); save it as UTF-8") from None
    if "\0" in text:
        raise TextError(f"{file}: not text: character {text.index(chr(0)):,} is a zero; pass a text file")
    if not text:
        raise TextError(f"{file}: the text is empty: there is nothing to learn from; pass another file")
    return text


def fingerprint(text: str) -> str:
    """The SHA-256 of a text, to know it again."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Reader:
    """A text as `batch` rows that are read side by side, `length` characters at a time, for ever.

    The state after one chunk is the state before the next, until the rows are read and start anew. Each pass
    starts at a place drawn from `rng`, so that what is left over of a row, less than a chunk, is not always
    the same. `state` is where the reader is; set it to go on there.
    """

    def __init__(self, codes: np.ndarray, batch: int, length: int, rng: np.random.Generator) -> None:
        for what, n in (("batch", batch), ("length", length)):
            if n < 1:
                raise ValueError(f"{what}={n}; pass at least 1")
        needed = batch * length + 1
        if len(codes) < needed:
            raise TextError(
                f"the text has {len(codes):,} characters; {batch} rows of {length} characters need {needed:,}. "
                "Pass a longer text, or a smaller batch or length"
            )
        width = (len(codes) - 1) // batch
        self.x = codes[: batch * width].reshape(batch, width).T
        self.y = codes[1 : batch * width + 1].reshape(batch, width).T
        self.length, self.rng = length, rng
        self.chunks, self.spare = divmod(width, length)  # of one pass
        self.chunk = self.offset = 0

    def read(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """(inputs, targets, first): (length, batch) ints, targets one later; first: the rows start anew."""
        first = self.chunk == 0
        if first:
            self.offset = int(self.rng.integers(self.spare + 1))
        start = self.offset + self.chunk * self.length
        self.chunk = (self.chunk + 1) % self.chunks
        here = slice(start, start + self.length)
        return self.x[here], self.y[here], first

    @property
    def state(self) -> dict[str, Any]:
        """The place in the text, and what `rng` will draw; numbers and text only."""
        return {"chunk": self.chunk, "offset": self.offset, "rng": self.rng.bit_generator.state}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        chunk, offset = int(state["chunk"]), int(state["offset"])
        if not (0 <= chunk < self.chunks and 0 <= offset <= self.spare):
            raise ValueError(f"chunk {chunk} at {offset} is not a place in {self.chunks} chunks")
        self.chunk, self.offset = chunk, offset
        self.rng.bit_generator.state = state["rng"]
