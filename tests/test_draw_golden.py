"""The DOT text of three pictures, kept word for word; renewed by `python tests/test_draw_golden.py`."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.cells import CELLS

FOLDER = Path(__file__).parent / "golden"


def golden(name: str) -> str:
    """The DOT text of a cell over two steps, without numbers of a run or of lines in the source."""
    return re.sub(r", line \d+", "", mg.draw(CELLS[name], 2).dot)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_the_dot_text_is_the_one_that_was_kept(name: str):
    kept, now = (
        sorted((FOLDER / f"{name}.dot").read_text(encoding="utf-8").splitlines()),
        sorted(golden(name).splitlines()),
    )
    changed = [line for line in difflib.ndiff(kept, now) if line[0] in "+-"]
    assert changed == [], "look at the pictures; if they are right: python tests/test_draw_golden.py"


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.dot")):
        path.write_text(golden(path.stem), encoding="utf-8")
