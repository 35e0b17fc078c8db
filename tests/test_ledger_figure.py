"""The ledger's figure: the laws of every picture, over all cells; and its numbers are the ledger's."""

from __future__ import annotations

import html
import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS
from test_ledger import exploding, run

import minigrad as mg
from minigrad import Cell
from minigrad.cells import CELLS
from minigrad.draw import Scene
from minigrad.draw.render import has_dot
from minigrad.draw.theme import THEMES
from minigrad.engine.core import recording
from minigrad.ledger import Ledger, ledger
from minigrad.ledger.factors import short
from minigrad.ledger.figure import highlights
from minigrad.ledger.panel import BAR, percent

ALL = {**CELLS, **STRANGERS}


def broken(scene: Scene) -> dict[str, list]:
    return {name: found[:3] for name, law in LAWS.items() if (found := law(scene))}


def of(c: Cell, T: int, wrt: str | None = None, **sizes: int) -> Ledger:
    return ledger(run(c, T, **sizes), c.states[0], wrt or c.params[0])


def texts(scene: Scene) -> dict[str, str]:
    return {a.key: a.text for a in scene.labels}


@pytest.mark.parametrize("name", ALL)
def test_every_cell_obeys_the_laws(name: str):
    for T in (2, 7):
        assert broken(of(ALL[name], T, n=2, d=1).picture().scene) == {}


@pytest.mark.parametrize("T", [1, 6, 25, 26, 200])
def test_every_length_obeys_the_laws(T: int):
    assert broken(of(CELLS["rnn"], T, n=1, d=1).picture().scene) == {}
    if T < 100:
        assert broken(of(CELLS["lstm"], T, n=1, d=1).picture().scene) == {}


@pytest.mark.parametrize("T", [2, 8])
@pytest.mark.parametrize("name", ["rnn", "lstm", "three_states"])
def test_initial_states_losses_and_other_orders_obey_the_laws(name: str, T: int):
    c = ALL[name]
    r = run(c, T)
    with recording("all"):
        losses = [(r.outputs[-1] ** 2).sum() + sum((p**2).sum() for p in r.params.values()), mg.stack(r.outputs).sum()]
    books = [ledger(r, None, c.states[-1]), *(ledger(r, loss, c.params[-1]) for loss in losses)]
    for book in (*books, books[1].sorted("size")):
        assert broken(book.picture().scene) == {}


@pytest.mark.parametrize("T", [4, 20, 60])
@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_the_numbers_in_the_picture_are_the_ledgers(name: str, T: int):
    book = of(CELLS[name], T, "b" if name == "rnn" else "b_f", n=1, d=1)
    scene = book.picture().scene
    said, bars = texts(scene), {}
    for b in scene.boxes:
        if m := re.match(r"(r\d+)-bar-", b.key):
            bars[m[1]] = bars.get(m[1], 0.0) + b.w
    shown = [n for n in range(len(book.rows)) if f"r{n}-value" in said]
    assert len(shown) == min(T, 24)
    top = max(r.norm for r in book.rows)
    for n in shown:
        row = book.rows[n]
        assert said[f"r{n}-value"] == short(row.value, 4)
        assert said[f"r{n}-share"] == percent(row.share)
        assert said[f"r{n}-sum"] == short(row.running, 4)
        assert bars.get(f"r{n}", 0.0) == pytest.approx(BAR * row.norm / top, abs=1.3)
    assert said["foot-0"] == f"Σ = {book.total.item():.6g}".replace("-", "−")
    assert said["foot-1"] == f"the engine's gradient = {book.gradient.item():.6g}".replace("-", "−")
    assert said["foot-2"] == f"largest difference {book.difference:.1e}"
    if T > 24:
        left = sum(r.share for r in book.rows[24:])
        assert said["rest-term"] == f"… {T - 24} more, of steps 1 to {T - 24}"
        assert (said["rest-share"], said["rest-sum"]) == (percent(left), short(book.rows[-1].running, 4))


def test_the_factors_stand_beside_their_edges():
    book = of(CELLS["rnn"], 4, "U", n=1, d=1)
    said = texts(book.picture().scene)
    for n, i in enumerate((4, 3, 2, 1)):
        assert said[f"r{n}-a{i}-n"].endswith(f"= {book.entries[i][0]}")
        lit = {int(m[1]): said[k] for k in said if (m := re.match(rf"r{n}-b(\d)-0-n", k))}
        assert set(lit) == set(range(i + 1, 5))
        assert all(text.endswith(f"= {book.blocks[j][0, 0]}") for j, text in lit.items())
        factors = [str(book.blocks[j][0, 0]) for j in range(4, i, -1)] + [str(book.entries[i][0])]
        assert said[f"r{n}-note"] == " · ".join(factors)


def lit(scene: Scene, row: int) -> set[str]:
    """The parts of a row's graph that are lit."""
    parts = [*scene.lines, *scene.boxes]
    return {p.key.split("-", 1)[1] for p in parts if p.key.startswith(f"r{row}-") and p.kind.endswith(" lit")}


def test_of_each_term_its_path_is_lit_and_nothing_else():
    scene = of(CELLS["rnn"], 4, "U").picture().scene
    assert lit(scene, 0) == {"w1", "w2", "w3", "w4", "a4", "s4"}
    assert lit(scene, 2) == {"w1", "w2", "a2", "s2", "b3-0-0", "s3", "b4-0-0", "s4"}
    of_initial = ledger(run(CELLS["rnn"], 2), "h", "h").picture().scene
    assert lit(of_initial, 0) == {"s0", "b1-0-0", "s1", "b2-0-0", "s2"}


def test_an_lstms_highway_has_a_colour_of_its_own():
    c = CELLS["lstm"]
    book = ledger(run(c, 3), "H", "C")
    ink = {e.key: e.ink for e in book.picture().scene.lines if e.kind.endswith(" lit")}
    H, C = 0, 1
    assert {k for k, v in ink.items() if v == "gate0"} == {f"r0-b1-{C}-{C}", f"r0-b2-{C}-{C}", f"r0-b3-{H}-{C}"}
    assert {k for k, v in ink.items() if v == "gate1"} == {
        f"r0-b1-{H}-{C}", f"r0-b2-{H}-{H}", f"r0-b2-{H}-{C}", f"r0-b2-{C}-{H}", f"r0-b3-{H}-{H}"
    }  # fmt: skip
    said = texts(book.picture().scene)
    assert said["r0-note"] == f"along C {percent(book.rows[0].via['highway'])}, through H " + percent(
        book.rows[0].via["other"]
    )


def test_the_formulas_of_the_cell_stand_above_it():
    assert "bⱼ = ∂hⱼ/∂hⱼ₋₁ = D(1 − hⱼ²) Uᵀ" in " ".join(texts(of(CELLS["rnn"], 2).picture().scene).values())
    assert "∂Cₜ/∂Cₜ₋₁ = D(Fₜ)" in " ".join(texts(of(CELLS["lstm"], 2).picture().scene).values())


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_every_theme_draws_it(theme: str):
    assert THEMES[theme]["gradient"] in of(CELLS["rnn"], 2).picture(theme).dot


@pytest.mark.skipif(not has_dot(), reason="the program dot is not installed")
@pytest.mark.parametrize("T", [3, 12])
def test_both_renderers_give_the_same_picture(T: int):
    picture = of(CELLS["lstm"], T).picture()
    found = []
    for engine in ("dot", "wasm"):
        svg = picture.svg(engine)
        found.append((sorted(re.findall(r'<g id="([^"]+)"', svg)), sorted(re.findall(r">([^<>\n]+)</text>", svg))))
    assert found[0] == found[1]
    assert "∂H" in "".join(found[0][1])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_shown_as_such():
    book = ledger(mg.unroll(exploding, np.ones((1, 1)), np.ones((3, 1, 1)), {"U": np.ones(1)}), "h", "U")
    scene = book.picture().scene
    assert {"inf", "nan"} & set(texts(scene).values())
    assert broken(scene) == {}
    assert book.picture().svg("wasm").startswith("<svg")


def test_a_notebook_shows_the_figure_and_the_table(tmp_path):
    book = of(CELLS["rnn"], 2)
    bundle = book._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == str(book)
    assert book.save(tmp_path / "a.dot").read_text(encoding="utf-8").startswith("digraph")


@pytest.mark.parametrize("T", [3, 8, 30])
def test_a_click_on_a_term_lights_its_path(T: int, tmp_path):
    book = of(CELLS["rnn"], T, "U")
    scene = book.picture().scene
    found = highlights(book, scene)
    assert len(found) == min(T, 24)
    for n, (row, h) in enumerate(zip(book.rows, found, strict=False)):
        assert h.value == f"{row.product:.6g}"
        words = {a.key for a in scene.labels if a.key.startswith(f"r{n}-") and a.lies_in is None}
        assert words
        assert words <= set(h.keys)
        graph = {k.split("-", 1)[1] for k in h.keys if re.search(r"-[sbwa]\d", k) and not k.endswith("-n")}
        if T < 24:
            path = {f"s{j}" for j in range(row.step, T + 1)} | {f"b{j}-0-0" for j in range(row.step + 1, T + 1)}
            rail = {f"w{i}" for i in range(1, row.step + 1)}
            assert graph == path | rail | {f"a{row.step}"}
    if T == 8:
        text = book.save(tmp_path / "a.html").read_text(encoding="utf-8")
        assert all(h.name in text for h in found)


def test_a_name_is_text_and_nothing_else():
    c = CELLS["rnn"]
    hostile = replace(c, states=('<b>"h\\"</script>',), sizes={'<b>"h\\"</script>': c.sizes["h"], **c.sizes})
    svg = ledger(run(hostile, 2)).picture().svg("wasm")
    assert "<b>" not in svg
    assert "</script>" not in svg


DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_in_docs_shows_what_the_code_makes():
    books = runpy.run_path(str(DOCS / "ledger" / "make.py"))["ledgers"]()
    page = (DOCS / "ledger.md").read_text(encoding="utf-8")
    measured = re.compile("largest difference .*")  # the last bits are another machine's
    shown = page.split("```text\n")[1].split("\n```")[0]
    assert measured.sub("", shown) == measured.sub("", str(books["rnn"]))
    assert set(re.findall(r"\(ledger/([\w-]+)\.svg\)", page)) == set(books)
    for name, book in books.items():
        svg = (DOCS / "ledger" / f"{name}.svg").read_text(encoding="utf-8")
        scene = book.picture().scene
        now = {*texts(scene).values(), *(b.text for b in scene.boxes if b.text)}
        kept = {html.unescape(t) for t in re.findall(r"<text[^>]*>([^<]*)</text>", svg)}
        different = kept ^ now
        assert all(measured.match(t) for t in different), different
        assert len(svg) < 150_000
