"""Write the page docs/gallery.md and the pictures on it: python docs/gallery.py."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import minigrad as mg
from minigrad.cells.cell import Cell
from minigrad.cells.find import find_cell

DOCS = Path(__file__).parent
CELLS = {  # name -> where its equations stand
    name: name if name in mg.cells.CELLS | mg.cells.VARIANTS else f"{DOCS / 'gallery_cells.py'}:{name}"
    for name in (
        "rnn", "lstm", "gru", "lstm_peephole", "mgu", "min_gru", "layer_norm_lstm", "memory_rnn", "slstm",
        "deep_gru",
    )
}  # fmt: skip
LONG, OPS = ("rnn", "lstm", "gru"), ("lstm", "gru", "layer_norm_lstm", "slstm")  # drawn in these ways too
SHOWN: dict[str, dict[str, Any]] = {  # ending of the file -> how the cell is drawn
    "-4": {"steps": 4, "values": True, "theme": "auto"},
    "-20": {"steps": 20, "gradients": True, "wrap": 2700},
    "-ops": {"steps": 1, "level": "ops", "theme": "auto"},
    "-paper": {"steps": 2, "values": True, "theme": "paper"},
    "": {"steps": 3, "values": True},  # these two open the README
    "-dark": {"steps": 3, "values": True, "theme": "dark"},
}
HEAD = """# Gallery

Each picture is drawn from the running code of its cell, with the numbers and the gradient of one run. Values are
strips: blue below zero, red above; gates from white (0) to their own colour (1). Magenta is the gradient of the loss,
which flows from right to left: its arrows and bars are as wide and as high as the logarithm of its norm. Parameters
stand once, on rails; a tap is as wide as the logarithm of that step's share of their gradient.

Written by `python docs/gallery.py`; tests compare page and pictures with what it writes.

| cell | operations in a step | crossings of wires | of every operation |
|---|---|---|---|
"""
LONG_WORDS = (
    "Twenty steps, without values: the gradient fades on its way back, and with it the shares of early steps."
)
OPS_WORDS = "Every operation of one step, with each box of the picture above opened where it stood."
PAPER_WORDS = 'For print, in colours that stay apart in grey (`theme="paper"`).'


def pictures() -> dict[str, tuple[str, dict[str, Any]]]:
    """The files of docs/pictures that this writes: the cell of each, and how it is drawn."""
    ways = {
        name: [
            "-4",
            *["-20"] * (name in LONG),
            *["-ops"] * (name in OPS),
            *["-paper", "", "-dark"] * (name == "lstm"),
        ]
        for name in CELLS
    }
    return {f"{name}{way}.svg": (name, SHOWN[way]) for name, found in ways.items() for way in found}


def drawn(file: str) -> mg.draw.Picture:
    """The picture of a file."""
    name, options = pictures()[file]
    return mg.draw(find_cell(CELLS[name]), **options)


def page() -> str:
    """The page: a table of the cells, then each with its code and its pictures."""
    rows, sections = [], []
    for name, place in CELLS.items():
        cell = find_cell(place)
        stages = [mg.draw(cell, 1, level=level).stage for level in ("gates", "ops")]
        crossed = [stage.kinds[0].crossings[0] for stage in stages]
        rows.append(
            f"| [{name}](#{name}) | {len(stages[0].rec.steps[0].nodes)} | {crossed[0]} | {crossed[1]} |"
        )
        sections.append(section(name, cell))
    return HEAD + "\n".join([*rows, "", *sections])


def section(name: str, cell: Cell) -> str:
    """A cell's heading, code and pictures."""
    shown = [f for f, (of, options) in pictures().items() if of == name and options["steps"] != 3]
    words = {"-20": LONG_WORDS, "-ops": OPS_WORDS, "-paper": PAPER_WORDS}
    text = [f"## {name}", "", "```python", inspect.getsource(cell.fn).strip(), "```", ""]
    for file in shown:
        way = file.removeprefix(name).removesuffix(".svg")
        text += [words[way], ""] if way in words else []
        text += [f"![{name}, {pictures()[file][1]['steps']} steps](pictures/{file})", ""]
    return "\n".join(text)


def main() -> None:
    """Write the page and every picture."""
    for file in pictures():
        drawn(file).save(DOCS / "pictures" / file)
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")
    size = sum(os.path.getsize(DOCS / "pictures" / file) for file in pictures())
    print(f"{len(pictures())} pictures, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
