"""The main job, end to end: what it leaves, what its page holds, and that it leaves nothing when it fails."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from minigrad.cells import CELLS
from minigrad.prove import derive
from minigrad.tour import take
from minigrad.tour.mathml import equations, math
from minigrad.tour.page import rows, said
from minigrad.tour.stops import text_of
from minigrad.train import TextError
from minigrad.train.chart import POINTS, curve_picture, loss_curve, smoothed, thinned, ticks

HOSTILE = 'if a < b & c > d: print("<script>alert(1)</script>")  # \N{GREEK SMALL LETTER SIGMA}\n' * 40
PICTURES = {"unrolled.svg", "unrolled-dark.svg", "unrolled.dot"}
MADE = {"index.html", "proof.json", "derivation.tex", "sample.txt", "tour.json", *PICTURES}


class Elements(HTMLParser):
    """Every tag of a page with its attributes, and the text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text, self.open = "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The folder of a short tour over a text that would break a careless page, and what was said."""
    place = tmp_path_factory.mktemp("tour")
    (place / "<b>.txt").write_text(HOSTILE, encoding="utf-8")
    said = []
    verdict = take(str(place / "<b>.txt"), str(place / "out"), steps=12, say=said.append)
    assert verdict == "proved"
    return place / "out", "\n".join(said)


def test_the_folder_is_whole_and_nothing_stands_beside_it(tour):
    folder, _ = tour
    assert {p.name for p in folder.iterdir()} - {"unrolled.png"} == MADE
    assert {p.name for p in folder.parent.iterdir()} == {"out", "<b>.txt"}


def test_the_loss_falls_and_the_numbers_agree(tour):
    folder, said = tour
    facts = json.loads((folder / "tour.json").read_text())
    losses = facts["losses"]
    assert len(losses) == 12
    assert sum(losses[-4:]) < sum(losses[:4])
    assert facts["verdict"] == json.loads((folder / "proof.json").read_text())["verdict"] == "proved"
    page = Elements((folder / "index.html").read_text(encoding="utf-8")).text
    assert f"{losses[0]:.2f} → {smoothed(losses, 20)[-1]:.2f}" in page
    assert "proved" in said


def test_the_page_is_self_contained_and_escapes_the_text(tour):
    html = (tour[0] / "index.html").read_text(encoding="utf-8")
    page = Elements(html)
    loading = {"script", "link", "iframe", "object", "embed", "img", "image", "base", "form"}
    assert [t for t, _ in page.tags if t in loading] == []
    links = {a[k] for _, a in page.tags for k in ("href", "src", "xlink:href") if k in a}
    assert {x for x in links if not x.startswith("#")} <= MADE | {"unrolled.png"}
    assert not re.search(r"url\(|@import|javascript:", html)
    assert "<b>.txt" in page.text
    assert "&lt;b&gt;.txt" in html


def test_the_page_shows_the_cell_its_picture_its_proof_and_its_formula(tour):
    page = Elements((tour[0] / "index.html").read_text(encoding="utf-8"))
    assert "C_tilda = tanh((X @ W_xc) + (H @ W_hc) + b_c)" in page.text
    assert [t for t, _ in page.tags].count("svg") == 3  # the loss, and the picture in light and in dark
    assert [a["id"] for t, a in page.tags if t == "section"] == ["train", "draw", "prove", "derive"]
    assert (tour[0] / "derivation.tex").read_text() in page.text + "\n"


def test_a_second_tour_replaces_the_first(tour, monkeypatch):
    folder, _ = tour
    (folder / "left.over").write_text("")
    take(str(folder.parent / "<b>.txt"), str(folder), steps=1, say=lambda _: None)
    assert len(json.loads((folder / "tour.json").read_text())["losses"]) == 1
    assert not (folder / "left.over").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the text is empty"),
        (b"short", "5 characters are too few to learn from; at least 65"),
        (b"caf\xe9" * 99, "not UTF-8 text .byte 0xe9."),
    ],
)
def test_a_text_that_cannot_be_learned_from_is_named_and_nothing_is_left(tmp_path, content, message):
    file = tmp_path / "text"
    file.write_bytes(content)
    with pytest.raises(TextError, match=f"{file}: {message}"):
        take(str(file), str(tmp_path / "out"), steps=1)
    assert list(tmp_path.iterdir()) == [file]


def test_the_default_text_is_real_and_large():
    name, text = text_of(None)
    assert "standard library" in name
    assert len(text) > 200_000
    assert "import" in text


# ---- the curve -----------------------------------------------------------------------------------
def test_the_running_mean_is_the_mean():
    values = [5.0, 3.0, 4.0, 1.0, 1.0]
    assert smoothed(values, 2) == [5.0, 4.0, 3.5, 2.5, 1.0]
    assert smoothed(values, 1) == values


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 6.8), (0, 0.52), (1, 100000), (-3, 400)])
def test_ticks_are_round_inside_and_neither_few_nor_many(low, high):
    found = ticks(low, high, 6)
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)
    assert 2 <= len(found) <= 8
    steps = {round(b - a, 9) for a, b in itertools.pairwise(found)}
    assert len(steps) == 1
    assert f"{steps.pop():e}"[0] in "125"


@pytest.mark.parametrize("losses", [[6.0], [0.0, 0.0], [9.0, 2.0, 1.0], [3.0] * 500])
def test_a_curve_is_well_formed_and_inside_its_box(losses):
    svg = ET.fromstring(loss_curve(losses, chance=6.58))
    _, _, width, height = map(float, svg.get("viewBox").split())
    points = [p.split(",") for line in svg.iter("polyline") for p in line.get("points").split()]
    assert len(points) == 2 * len(losses)
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2500])
def test_a_long_curve_is_thinned_to_means_at_their_middle(n):
    points = thinned(range(1, n + 1), POINTS)  # the value of a step is its number
    assert len(points) <= POINTS
    assert all(step == value for step, value in points)
    assert len(points) == n or n > POINTS


def test_a_curve_is_a_picture_of_its_own_with_all_of_the_pages_parts():
    alone, inside = (ET.fromstring(f([6.0, 4.0, 3.0], 6.5)) for f in (curve_picture, loss_curve))
    assert alone.tag == "{http://www.w3.org/2000/svg}svg"
    assert [e.tag.rpartition("}")[2] for e in alone[1:]] == [e.tag for e in inside]
    (style,) = alone.iter("{http://www.w3.org/2000/svg}style")
    classes = {e.get("class") for e in inside} - {None}
    assert {c for c in classes if f".{c} " not in style.text} == set()


# ---- formulas ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tex", "mathml"),
    [
        ("h_t", "<msub><mi>h</mi><mi>t</mi></msub>"),
        ("W_{xi}^{\\top}", "<msubsup><mi>W</mi><mrow><mi>x</mi><mi>i</mi></mrow><mi>⊤</mi></msubsup>"),
        ("\\frac{1}{T}", "<mfrac><mn>1</mn><mi>T</mi></mfrac>"),
        ("\\sum_t 2", '<mrow><munder><mo stretchy="false">∑</mo><mi>t</mi></munder><mn>2</mn></mrow>'),
        ("\\tilde{C}", '<mover accent="true"><mi>C</mi><mo stretchy="false">~</mo></mover>'),
        ("\\left[x\\right.", '<mrow><mo stretchy="true">[</mo><mi>x</mi></mrow>'),
        ("\\text{if a < b}", "<mtext>if a &lt; b</mtext>"),
        ("\\unheard{<}", '<mrow><mtext>\\unheard</mtext><mo stretchy="false">&lt;</mo></mrow>'),
        ("x_", "<msub><mi>x</mi><mrow></mrow></msub>"),
        ("}{", '<mrow><mo stretchy="false">}</mo><mrow></mrow></mrow>'),
    ],
)
def test_latex_is_set_as_mathml(tex, mathml):
    found = str(math(tex))
    ET.fromstring(found)
    assert found == f"<math>{mathml}</math>"


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda c: c.name)
def test_every_formula_that_is_derived_is_understood(cell):
    derived = derive(cell)
    formulas = [(x.left.tex, rows(x.right.tex)) for _, _, lines in derived.sections for x in lines]
    texts = [str(said(words)) for _, words, _ in derived.sections]
    found = str(equations(formulas))
    ET.fromstring(found)
    assert found.count("<mo>=</mo>") == len(formulas)
    assert [t for t in re.findall(r"<mtext>(.*?)</mtext>", found + "".join(texts)) if "\\" in t] == []
