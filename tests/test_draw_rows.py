"""Rows of runs: aligned in time, on one gradient scale, wired where one reads another."""

from __future__ import annotations

import json
import re
import runpy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad import Cell
from minigrad.cells import CELLS, affine
from minigrad.cells.unroll import Unrolled
from minigrad.draw import Scene
from minigrad.draw import render as renderer
from minigrad.draw.picture import example_run
from minigrad.draw.runs import Read, reads

ALL = {**CELLS, **STRANGERS}
THREE = [CELLS[name] for name in ("rnn", "lstm", "gru")]


def broken(scene: Scene) -> dict[str, list]:
    return {name: found[:3] for name, law in LAWS.items() if (found := law(scene))}


def run(cell: Cell, xs=None, start=None, T: int = 3, seed: int = 0, params=None) -> Unrolled:
    """A run whose sizes are all 4, so that any cell can read any other; xs: a run to read."""
    sizes = {n: 4 for a in (*cell.states, *cell.inputs, *cell.params) for s in cell.sizes[a] for n in s if n}
    rng = np.random.default_rng(seed)
    xs = mg.stack(xs.outputs) if xs is not None else rng.standard_normal((T, 1, 4))
    zero = tuple(mg.tensor(s.numpy(), requires_grad=True) for s in cell.zero_state(1, **sizes))
    params = params or cell.init(seed, **sizes)
    return mg.unroll(cell, zero if start is None else start, (xs,) * len(cell.inputs), params)


def network(cell: Cell) -> dict[str, Unrolled]:
    """Two layers that encode, and two that decode from where these ended."""
    one = run(cell)
    two = run(cell, one)
    three = run(cell, None, one.states[-1], 2)
    return {"e1": one, "e2": two, "d1": three, "d2": run(cell, three, two.states[-1])}


QUICK = {"lstm", "rnn_words", "torch_lstm", "minimal_gated", "leaky_deep"}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ALL])
def test_any_cells_compared_obey_the_laws(name: str):
    assert broken(mg.draw([CELLS["rnn"], ALL[name]], 2, values=True).scene) == {}


@pytest.mark.parametrize("name", ["lstm", pytest.param("three_states", marks=pytest.mark.slow)])
def test_a_network_of_any_cell_obeys_the_laws(name: str):
    assert broken(mg.draw(network(ALL[name]), values=True).scene) == {}


@pytest.mark.parametrize("steps", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_three_cells_of_any_length_obey_the_laws(steps: int):
    assert broken(mg.draw(THREE, steps).scene) == broken(mg.draw(THREE, steps, values=True).scene) == {}


def test_columns_are_aligned_and_equal_steps_equal_up_to_a_shift():
    scene = mg.draw(THREE, 4).scene
    for t in range(5):
        xs = {b.x for b in scene.boxes if re.fullmatch(rf"r\ds0-{t}|r\d-s0-{t}", b.key)}
        assert len(xs) == 1
    left = {f.key: f.x0 for f in scene.frames}
    for row in (1, 2, 3):
        second, third = (
            {b.key.split("-", 2)[2]: (b.x - left[f"r{row}-step-{t}"], b.y, b.w, b.h)
             for b in scene.boxes if b.key.startswith(f"r{row}-t{t}-")}
            for t in (2, 3)
        )  # fmt: skip
        assert second.keys() == third.keys()
        np.testing.assert_allclose([second[k] for k in third], list(third.values()), atol=1e-6)


def test_rows_do_not_overlap_and_the_first_is_on_top_or_of_a_network_at_the_bottom():
    for what, down in ((THREE, True), (network(CELLS["gru"]), False)):
        scene = mg.draw(what, 3, values=True).scene
        spans = []
        for row in range(1, len(what) + 1):
            ys = [(b.y - b.h / 2, b.y + b.h / 2) for b in scene.boxes if b.key.startswith(f"r{row}-")]
            spans.append((min(y for y, _ in ys), max(y for _, y in ys)))
        for a, b in pairwise(spans):
            assert (b[1] < a[0]) if down else (a[1] < b[0])
        assert [a.text for a in scene.labels if a.key.endswith("caption")] == (
            ["rnn", "lstm", "gru"] if down else list(what)
        )


# ---- one scale -----------------------------------------------------------------------------------
def test_all_rows_and_the_chart_are_on_one_gradient_scale():
    scene = mg.draw(THREE, 8, values=True).scene
    bars = [(float(b.tip.split()[-1]), b.h) for b in scene.boxes if b.kind.startswith("bar")]
    marks = [(float(b.tip.split()[-1]), b.y) for b in scene.boxes if re.fullmatch(r"chart-r\d-\d+", b.key)]
    arrows = [(float(e.tip.split()[-1]), e.width) for e in scene.lines if re.match(r"grad state", e.kind)]
    assert [len(bars), len(marks), len(arrows)] == [4 * 9, 3 * 9, 4 * 8]
    for found in (bars, marks, arrows):
        for (a, x), (b, y) in pairwise(sorted(found)):
            assert x <= y + 1e-9
            assert a == b or found is arrows or y > x or y <= 1
    note = next(a.text for a in scene.labels if a.key == "note-0")
    assert f"are {max(n for n, _ in bars):.2g}, log scale" in note


def test_the_chart_shows_the_norm_over_all_states_as_backward_gives_it():
    u = example_run(CELLS["lstm"], 3, 0)
    scene = mg.draw({"a": u, "b": CELLS["rnn"]}, 3, values=True).scene
    with mg.engine.core.recording("all"):
        loss = mg.mean(u.outputs[-1] * u.outputs[-1])
    loss.backward()
    norm = np.sqrt(sum(np.sum(s.grad.numpy() ** 2) for s in u.states[0]))
    mark = next(b for b in scene.boxes if b.key == "chart-r1-0")
    assert mark.tip == f"a: norm of dL/d(states after step 0) {norm:.3e}"


@pytest.mark.parametrize("shared", [False, True])
def test_the_taps_of_all_rows_add_up_to_the_gradient(shared: bool):
    one = run(CELLS["gru"])
    two = run(CELLS["gru"], one, params=one.params if shared else None)
    check = mg.draw([one, two], gradients=True).check
    assert check is not None
    assert check < 1e-14


def test_a_network_has_one_loss_drawn_where_it_is_read():
    scene = mg.draw(network(CELLS["gru"]), values=True).scene
    assert [b.key for b in scene.boxes if b.kind == "loss"] == ["r4-loss"]
    assert len([b for b in mg.draw(THREE, 2, values=True).scene.boxes if b.kind == "loss"]) == 3


# ---- which run reads which -----------------------------------------------------------------------
def test_reads_are_found_in_the_graph_and_drawn_as_wires():
    runs = network(CELLS["lstm"])
    expected = [Read(0, t, "s0", 1, t, 0) for t in (1, 2, 3)]
    expected += [Read(0, 3, f"s{k}", 2, 0, k) for k in (0, 1)] + [Read(1, 3, f"s{k}", 3, 0, k) for k in (0, 1)]
    expected += [Read(2, t, "s0", 3, t, 0) for t in (1, 2)]
    found, others = reads(list(runs.values()))
    assert others == []
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    wires = {(e.source, e.sink) for e in mg.draw(runs).scene.lines if e.kind == "wire read"}
    assert ("r1-s0-2", "r2-t2-x0") in wires
    assert ("r2-s1-3", "r4-s1-0") in wires
    assert len(wires) == len(expected)


def test_an_output_that_is_read_is_the_wires_origin():
    one = run(CELLS["rnn"].then(affine))
    scene = mg.draw([one, run(CELLS["gru"], one)]).scene
    assert ("r1-t2-y0", "r2-t2-x0") in {(e.source, e.sink) for e in scene.lines}
    assert broken(scene) == {}


def test_runs_that_share_nothing_have_no_wires():
    assert reads([run(CELLS["rnn"]), run(CELLS["rnn"])]) == ([], [])


def test_what_is_read_through_other_operations_is_said_and_not_drawn():
    one = run(CELLS["rnn"])
    mask = np.arange(4) % 2
    gru, xs = CELLS["gru"], mg.stack(one.outputs) * mask
    two = mg.unroll(gru, gru.zero_state(1, n=4), xs, gru.init(0, n=4, d=4))
    three = run(gru, two)
    assert reads([one, two, three])[1] == [(0, 1)]
    scene = mg.draw({"one": one, "two": two, "three": three}, values=True).scene
    said = "two reads one through other operations, which are not drawn"
    assert said in [a.text for a in scene.labels]
    assert said in scene.description
    assert [b.key for b in scene.boxes if b.kind == "loss"] == ["r3-loss"]
    assert broken(scene) == {}


def test_a_layer_of_nn_is_drawn_with_its_layers_as_rows():
    layer = mg.nn.LSTM(3, 4, num_layers=2)
    picture = mg.draw(layer, 3, values=True)
    wires = [(e.source, e.sink) for e in picture.scene.lines if e.kind == "wire read"]
    assert wires == [(f"r1-s0-{t}", f"r2-t{t}-x0") for t in (1, 2, 3)]
    assert picture.scene.title == "LSTM, layer 1 → LSTM, layer 2"
    assert "LSTM, layer 2 reads LSTM, layer 1 as its input" in picture.scene.description
    assert picture.check < 1e-14
    assert broken(picture.scene) == {}
    assert mg.draw(mg.nn.GRU(3, 4), 2).scene.title == "torch_gru, 2 time steps"


def test_one_run_of_a_network_alone_has_its_own_operations_only():
    runs = network(CELLS["gru"])
    alone, apart = mg.draw(runs["d2"]).scene, mg.draw(run(CELLS["gru"], T=2)).scene
    assert sorted(b.key for b in alone.boxes) == sorted(b.key for b in apart.boxes)


# ---- the edges -----------------------------------------------------------------------------------
def test_long_rows_have_gaps():
    scene = mg.draw([CELLS["rnn"]] * 3, 60, values=True).scene
    assert [b.key for b in scene.boxes if b.kind == "gap"] == [f"r{i}-gap-2" for i in (1, 2, 3)]
    marks = sorted((int(b.key.split("-")[2]), b.x) for b in scene.boxes if re.fullmatch(r"chart-r2-\d+", b.key))
    assert [t for t, _ in marks] == list(range(61))  # the chart has no gap
    np.testing.assert_allclose(np.diff([x for _, x in marks]), (marks[-1][1] - marks[0][1]) / 60)
    assert any("from step 0 to 60, log scale" in a.text for a in scene.labels)
    assert broken(scene) == {}


def test_what_does_not_fit_together_is_refused():
    u = run(CELLS["rnn"])
    with pytest.raises(ValueError, match="these runs are not connected: each is drawn with the mean square"):
        mg.draw([u, run(CELLS["gru"])], loss=u.outputs[-1].sum(), values=True)
    with pytest.raises(ValueError, match="are for one run; draw these runs one by one"):
        mg.draw(THREE, wrap=500.0)
    with pytest.raises(TypeError, match="not a list of Cell, Tensor"):
        mg.draw([CELLS["rnn"], u.outputs[-1]])


def test_captions_of_equal_names_are_numbered_and_those_of_a_dict_kept():
    texts = [
        [a.text for a in mg.draw(what, 2).scene.labels if a.key.endswith("caption")]
        for what in ([CELLS["rnn"]] * 2, {"<b>": CELLS["rnn"], "two": CELLS["gru"]})
    ]
    assert sorted(texts[0]) == ["rnn (1)", "rnn (2)"]
    assert sorted(texts[1]) == ["<b>", "two"]


@pytest.mark.skipif(not renderer.has_dot(), reason="the program dot is not installed")
def test_both_renderers_draw_all_of_it():
    picture = mg.draw(network(CELLS["rnn"]))
    texts = [picture.svg(engine) for engine in ("dot", "wasm")]
    kinds = ("node", "edge", "cluster")
    counts = [[len(re.findall(rf'<g id="[^"]*" class="{k}[ "]', text)) for k in kinds] for text in texts]
    s = picture.scene
    assert counts[0] == counts[1] == [len(s.boxes) + len(s.labels) + len(s.strips), len(s.lines), len(s.frames)]


def test_a_planted_loose_wire_is_seen():
    scene = mg.draw(network(CELLS["rnn"])).scene
    moved = [replace(e, points=((0.0, 0.0), *e.points[1:])) if e.kind == "wire read" else e for e in scene.lines]
    assert "every line ends at its boxes" in broken(replace(scene, lines=moved))


# ---- the page of figures -------------------------------------------------------------------------
DOCS = Path(__file__).parent.parent / "docs"
FIGURES = runpy.run_path(str(DOCS / "figures" / "make.py"))["PICTURES"]


def outline(svg: str) -> tuple[list[str], list[float]]:
    """The ids of what is drawn, and the size of the picture."""
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert box is not None
    return sorted(re.findall(r'<g id="([^"]*)"', svg)), [float(v) for v in box[1].split()]


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_in_docs_are_small_lawful_and_what_the_code_draws(name: str):
    text, picture = (DOCS / "figures" / f"{name}.svg").read_text(encoding="utf-8"), FIGURES[name]()
    assert len(text) < 250_000
    kept, now = outline(text), outline(picture.svg("wasm"))
    assert kept[0] == now[0]
    np.testing.assert_allclose(kept[1][2:], now[1][2:], rtol=0.1)
    assert broken(picture.scene) == {}


def test_the_page_of_figures_shows_each_of_them():
    page = (DOCS / "figures.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(figures/([\w-]+)\.svg\)", page)) == sorted(FIGURES)


def test_rows_have_a_page_with_the_steps_of_all():
    page = mg.draw(THREE[:1] * 2, 3).html()
    data = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert data["shown"] == [1, 2, 3]
    assert {key for key, node in data["nodes"].items() if node.get("step") == 2 and node["word"] == "State"} == {
        f"r{row}-s0-2" for row in (1, 2)
    }
