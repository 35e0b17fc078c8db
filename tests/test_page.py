"""The page around a picture: whole, self-contained, true to the scene, and readable without JavaScript."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from draw_laws import STRANGERS, random_cell

import minigrad as mg
from minigrad import Cell, cell, tanh
from minigrad.cells import CELLS
from minigrad.draw import Picture
from minigrad.draw.page import Highlight, page
from minigrad.draw.page.walk import walk
from minigrad.draw.theme import THEMES

ALL = CELLS | {c.name: c for c in STRANGERS.values()}
EACH = [pytest.param(n, marks=pytest.mark.slow) if n == "three_states" else n for n in sorted(ALL)]
VOID = {"meta", "input", "br", "link", "img", "hr"}
EVIL = "</script><b onclick=alert(1)>&\"'\\ \u2028<!--"


class Reader(HTMLParser):
    """Elements, ids and texts of a page; notes tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.text: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        tag = self.open[-1] if self.open else ""
        self.text[tag] = self.text.get(tag, "") + data
        if tag in ("td", "th"):
            self.rows[-1][-1] += data

    @property
    def ids(self) -> list[str]:
        return [i for _, a in self.tags if (i := a.get("id")) is not None]


def data_of(text: str) -> dict:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


@cache
def drawn(name: str, T: int = 2) -> tuple[Picture, str]:
    picture = mg.draw(ALL[name], T, values=True)
    return picture, picture.html()


def real_sources(data: dict, key: str) -> set[str]:
    """The boxes that a box reads, through dots of wires."""
    found = set()
    for e in data["lines"]:
        if e["sink"] == key and "grad" not in e["kind"].split():
            found |= {e["source"]} if e["source"] in data["nodes"] else real_sources(data, e["source"])
    return found


@pytest.mark.parametrize("name", EACH)
def test_every_cell_has_a_whole_page(name: str):
    picture, text = drawn(name)
    r, data = Reader(text), data_of(text)
    assert (r.wrong, r.open) == ([], [])
    assert len(r.ids) == len(set(r.ids))
    keys = {b.key for b in picture.scene.boxes if b.lies_in is None} | {e.key for e in picture.scene.lines}
    assert keys <= set(r.ids)
    assert set(data["nodes"]) <= set(r.ids)
    assert {e["key"] for e in data["lines"]} <= set(r.ids)
    parts = {
        b.key
        for b in picture.scene.boxes
        if b.lies_in is None and re.match(r"t\d+-[nxy]\d|s\d+-\d|p\d+$", b.key)
    }
    assert parts <= set(data["nodes"])


@pytest.mark.parametrize("name", EACH)
def test_the_table_has_every_box_and_every_arrow(name: str):
    _, text = drawn(name)
    data, (head, *rows) = data_of(text), Reader(text).rows
    assert head == ["Name", "What", "Step", "Equation", "Reads", "Shape", "Norm of gradient"]
    assert len(rows) == len(data["nodes"])
    for (key, node), row in zip(data["nodes"].items(), rows, strict=True):
        assert row[0] == node["name"]
        names = {data["nodes"][k]["name"] for k in real_sources(data, key)}
        assert set(row[4].split(", ")) - {""} == {part for n in names for part in n.split(", ")}


@pytest.mark.parametrize("name", EACH)
def test_the_walk_visits_every_part_of_a_step(name: str):
    picture, text = drawn(name)
    data, stage = data_of(text), picture.stage
    for t in data["shown"]:
        frames = data["walks"][data["kinds"][str(t)]]
        parts = {k for k, p in stage.steps[t - 1].drawn.parts.items() if p.kind != "joint"}
        assert {k for f in frames for k in f["keys"]} == parts
        heads = [stage.steps[t - 1].drawn.parts[f["keys"][0]].head for f in frames]
        assert heads == sorted(heads)  # in the order of the code
        assert all(f"t{t}-{f['keys'][0]}" in data["nodes"] for f in frames)


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("lstm", ["Input gate", "Forget gate", "Output gate", "Candidate", "Cell state", "Hidden state"]),
        (
            "lstm_concat",
            ["Forget gate", "Input gate", "Candidate", "Cell state", "Output gate", "Hidden state"],
        ),
        ("gru", ["Update gate", "Reset gate", "Candidate", "New state"]),
        ("rnn", ["New state"]),
        ("leaky_deep", ["Layer u", "Layer v", "New state"]),
    ],
)
def test_a_step_is_explained_in_the_words_of_the_field_and_the_order_of_the_code(
    name: str, titles: list[str]
):
    stage = drawn(name)[0].stage
    assert [f.title for f in walk(stage.steps[0].drawn, stage.rec.states)] == titles


def test_a_fact_is_the_engines_own_number():
    picture, text = drawn("lstm", 3)
    data, stage = data_of(text), picture.stage
    node = next(n for n in stage.rec.steps[1].nodes if n.name == "F")
    fact = next(n for n in data["nodes"].values() if n["name"] == "F₂")
    assert fact["word"] == "Forget gate"
    assert fact["step"] == 2
    assert fact["equations"] == ["F₂ = σ(X₂ W_xf + H₁ W_hf + b_f)"]
    assert fact["code"] == "F = sigmoid((X @ W_xf) + (H @ W_hf) + b_f)"
    assert re.fullmatch(r"lstm\.py:\d+", fact["place"])
    assert [float(v.replace("−", "-")) for v in fact["values"]] == pytest.approx(node.value[0], rel=5e-3)
    assert float(fact["norm"]) == pytest.approx(stage.numbers.norm(node), rel=5e-3)


def test_the_backward_pass_tells_the_norms_from_the_loss_to_the_first_step():
    picture, text = drawn("lstm", 3)
    data, stage = data_of(text), picture.stage
    assert [f["title"] for f in data["back"]] == [
        "The loss", "Back through step 3", "Back through step 2", "Back through step 1",
    ]  # fmt: skip
    for t, frame in zip((3, 2, 1, 0), data["back"], strict=True):
        said = [float(line.rpartition("= ")[2]) for line in frame["lines"]]
        norms = [stage.numbers.norm(s) for s in stage.rec.carried[t]]
        assert said == pytest.approx([n for n in norms if n is not None], rel=1e-2)
        assert {k for k in frame["keys"] if k.startswith("grad-")} <= {e["key"] for e in data["lines"]}
    assert data_of(mg.draw(CELLS["lstm"], 2).html())["back"] == []


@pytest.mark.parametrize("name", ["lstm", "multiplicative"])
def test_nothing_is_loaded_from_anywhere(name: str):
    _, text = drawn(name)
    for tag, attributes in Reader(text).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "action", "data"):
                assert value is not None
                assert value.startswith("#")
    assert set(re.findall(r"https?://[^\s\"'<)]*", text)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def evil_cell() -> Cell:
    @cell(h="n", x="n")
    def plain(h, /, x):
        return tanh(h + x)

    return plain


def test_text_of_users_is_text():
    picture = mg.draw(evil_cell(), 2, values=True, title=EVIL)
    key = picture.scene.boxes[0].key
    text = picture.html([Highlight(EVIL, (key,), EVIL)])
    r = Reader(text)
    assert (r.wrong, r.open) == ([], [])
    assert sum(tag == "script" for tag, _ in r.tags) == 2
    assert not any(tag == "b" or "onclick" in a for tag, a in r.tags)
    assert data_of(text)["paths"][0]["name"] == EVIL
    assert "</script>" in r.text["h1"]
    assert "</script>" not in text[text.index('id="data"') : text.index("</script>")]


def test_a_frame_in_a_notebook_holds_the_page_as_text():
    bundle = mg.draw(evil_cell(), 2, title=EVIL)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    (tag, attributes), *rest = Reader(bundle["text/html"]).tags
    assert (tag, rest) == ("iframe", [])
    assert attributes["sandbox"] == "allow-scripts"
    assert Reader(attributes["srcdoc"] or "").wrong == []
    assert "require" not in bundle["text/html"]


def test_a_path_with_an_unknown_key_is_refused():
    with pytest.raises(
        ValueError, match=r"the path 'one' has the key 'nowhere', which is not in the picture"
    ):
        drawn("rnn")[0].html([Highlight("one", ("nowhere",))])


def test_what_is_not_finite_is_said():
    @cell(h="n", x="n")
    def broken(h, /, x):
        return h + x / (x - x)

    with np.errstate(all="ignore"):
        data = data_of(mg.draw(broken, 1, values=True).html())
    shown = {v for n in data["nodes"].values() for v in n.get("values", [])}
    assert {"inf", "−inf"} & shown


def test_without_a_stage_a_page_says_what_the_scene_says():
    picture = drawn("gru")[0]
    data = data_of(page(picture.scene, None, lambda name: Picture(picture.scene, name).svg()))
    assert len(data["nodes"]) == len(data_of(drawn("gru")[1])["nodes"])
    assert (data["walks"], data["back"]) == ([], [])


@pytest.mark.parametrize("seed", range(3))
def test_random_cells_have_whole_pages(seed: int):
    text = mg.draw(random_cell(seed, 16), 2, values=True).html()
    r = Reader(text)
    assert (r.wrong, r.open) == ([], [])
    assert data_of(text)["walks"]


# ---- colours -----------------------------------------------------------------------------------------
def test_a_page_follows_the_reader_or_its_own_theme():
    picture = drawn("rnn")[0]
    assert "prefers-color-scheme" in picture.html()
    dark = Picture(picture.scene, "dark", stage=picture.stage).html()
    assert "prefers-color-scheme" not in dark
    assert f"--paper:{THEMES['dark']['paper']}" in dark


# ---- both renderers, size, files ---------------------------------------------------------------------
def test_both_renderers_give_the_same_page():
    picture = drawn("gru")[0]

    def structure(engine: str) -> list[tuple[str | None, str | None]]:
        text = page(picture.scene, picture.stage, lambda name: Picture(picture.scene, name).svg(engine))
        return [(a.get("id"), a.get("class")) for tag, a in Reader(text).tags if tag == "g"]

    if not mg.draw.render.has_dot():
        pytest.skip("the program dot is not installed")
    assert structure("dot") == structure("wasm")


@pytest.mark.parametrize(("T", "most"), [(4, 300_000), (20, 1_000_000)])
def test_a_page_is_small(T: int, most: int):
    assert len(drawn("lstm", T)[1].encode()) < most


def test_a_long_sequence_has_a_page_of_the_steps_that_are_drawn():
    data = data_of(mg.draw(CELLS["rnn"], 60, values=True).html())
    assert data["T"] == 60
    assert data["shown"] == [1, 2, 59, 60]
    assert [f["title"] for f in data["back"]][3] == "Back through steps 58 to 3"
    assert math.isfinite(float(data["back"][3]["lines"][0].rpartition("= ")[2]))


def test_a_state_that_is_drawn_again_in_the_next_row_is_the_same_state():
    data = data_of(mg.draw(CELLS["gru"], 3, values=True, wrap=600).html())
    again = {k for k in data["nodes"] if re.match(r"s\d+-\d+@", k)}
    assert again
    for k in again:
        assert data["nodes"][k] == data["nodes"][k.partition("@")[0]]
        assert k.partition("@")[0] in real_sources(data, k)


def test_save_writes_a_page(tmp_path: Path):
    text = mg.draw(CELLS["rnn"], 2).save(tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
