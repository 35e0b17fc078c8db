"""The gallery is what its command makes: the page, the pictures on it, and those of the README."""

from __future__ import annotations

import html
import inspect
import re
import runpy
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.cells.find import find_cell

DOCS = Path(__file__).parents[1] / "docs"
GALLERY = runpy.run_path(str(DOCS / "gallery.py"))
RENEW = "is old: python docs/gallery.py"
QUICK = ("rnn", "lstm", "gru", "mgu", "min_gru")


@pytest.mark.slow
def test_the_page_is_what_the_command_writes():
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == GALLERY["page"](), f"docs/gallery.md {RENEW}"


def test_the_page_has_every_cell_and_every_picture():
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == list(GALLERY["CELLS"])
    shown = re.findall(r"\]\(pictures/(\S+\.svg)\)", text)
    opening = re.findall(r"docs/pictures/(\S+\.svg)", (DOCS.parent / "README.md").read_text(encoding="utf-8"))
    assert sorted({*shown, *opening}) == sorted(GALLERY["pictures"]())
    for place in GALLERY["CELLS"].values():
        assert inspect.getsource(find_cell(place).fn).strip() in text
    assert sum((DOCS / "pictures" / file).stat().st_size for file in GALLERY["pictures"]()) < 3e6


FILES = [
    pytest.param(file, id=file, marks=[] if name in QUICK else pytest.mark.slow)
    for file, (name, _) in GALLERY["pictures"]().items()
]


@pytest.mark.parametrize("file", FILES)
def test_a_picture_has_the_parts_and_the_size_of_what_the_code_draws(file: str):
    svg, scene = (DOCS / "pictures" / file).read_text(encoding="utf-8"), GALLERY["drawn"](file).scene
    found = set(re.findall(r'<g id="([^"]*)" class="(?:node|edge|cluster)', svg))
    parts = [*scene.frames, *scene.lines, *scene.boxes, *scene.strips, *scene.labels]
    assert set(map(html.unescape, found)) == {part.key for part in parts}, f"docs/pictures/{file} {RENEW}"
    (x0, y0, x1, y1), box = scene.bounds(), re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', svg)
    assert [float(v) for v in box.groups()] == pytest.approx([x1 - x0, y1 - y0], abs=40), f"{file} {RENEW}"


def test_the_gallery_has_cells_of_every_kind():
    cells = [find_cell(place) for place in GALLERY["CELLS"].values()]
    assert {len(c.states) for c in cells} == {1, 2, 4}
    assert sum(c.name not in {**mg.cells.CELLS, **mg.cells.VARIANTS} for c in cells) >= 3
