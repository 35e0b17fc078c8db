"""Levels "steps" and "symbols": the same states and wires, one box for a step or an equation in each."""

from __future__ import annotations

import pytest
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.draw import Scene, draw
from minigrad.draw import render as renderer
from minigrad.draw.equations import Equations
from minigrad.draw.names import text_width

ALL = {**CELLS, **STRANGERS}
FEW = ("rnn", "gru", "lstm", "multiplicative", "minimal_gated")  # the others are slow to lay out
EVERY = [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in sorted(ALL)]


def broken(scene: Scene) -> dict[str, list]:
    return {n: found[:3] for n, law in LAWS.items() if (found := law(scene))}


# ---- steps ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EVERY)
def test_a_step_is_one_box_between_the_states_of_the_step_that_it_stands_for(name: str):
    one, gates = (draw(ALL[name], 3, level=level, values=True).scene for level in ("steps", "gates"))
    assert [b.key for b in one.boxes if b.kind.startswith("cell")] == ["t1-cell", "t2-cell", "t3-cell"]
    assert not any(b.kind.startswith(("gate", "op", "linear", "fn")) for b in one.boxes)
    for kind in ("state", "input", "output"):
        here, there = ({b.key: b.y for b in s.boxes if b.kind.startswith(f"{kind} ")} for s in (one, gates))
        assert here == there
    assert broken(one) == {}


@pytest.mark.parametrize("name", ["rnn", "lstm", "multiplicative"])
def test_each_state_and_input_enters_the_box_and_each_state_leaves_it(name: str):
    cell = ALL[name]
    scene = draw(cell, 2, level="steps", values=True).scene
    wires = {(e.source, e.sink) for e in scene.lines if e.kind.startswith("wire")}
    for t in (1, 2):
        for k in range(len(cell.states)):
            assert {(f"s{k}-{t - 1}", f"t{t}-cell"), (f"t{t}-cell", f"s{k}-{t}")} <= wires
        for i in range(len(cell.inputs)):
            assert (f"t{t}-x{i}", f"t{t}-cell") in wires
        back = {(e.source, e.sink) for e in scene.lines if e.kind.startswith("grad")}
        assert all((f"t{t}-cell", f"s{k}-{t - 1}") in back for k in range(len(cell.states)))


def test_one_rail_carries_all_parameters_and_its_tap_all_shares():
    picture = draw(CELLS["lstm"], 3, level="steps", values=True)
    taps = [e for e in picture.scene.lines if e.kind.startswith("tap")]
    assert [e.sink for e in taps] == ["t1-cell", "t2-cell", "t3-cell"]
    numbers, group = picture.stage.numbers, tuple(range(12))
    for t, e in enumerate(taps):
        assert f"{numbers.tap([t], group):.3e}" in e.tip


def test_the_box_leaves_room_for_larger_type():
    assert broken(draw(CELLS["gru"], 2, level="steps", values=True, theme="slide").scene) == {}


def test_the_box_has_the_cells_name_and_20_steps_are_narrower_than_their_gates():
    steps, gates = (draw(CELLS["lstm"], 20, level=level).scene for level in ("steps", "gates"))
    assert {a.text for a in steps.labels if a.key.endswith("cell-name")} == {"lstm"}
    wide = [s.bounds()[2] - s.bounds()[0] for s in (steps, gates)]
    assert wide[0] < 0.6 * wide[1]


# ---- symbols -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EVERY)
def test_every_part_has_the_equation_of_its_own_step(name: str):
    picture = draw(ALL[name], 2, level="symbols")
    rec, scene = picture.stage.rec, picture.scene
    text = {a.key: a.text for a in scene.labels} | {b.key: b.text for b in scene.boxes if b.text}
    count = 0
    for t in (1, 2):
        equations = Equations(rec, t)
        for key, p in picture.stage.steps[t - 1].drawn.parts.items():
            if p.kind == "joint":
                continue
            shown = text.get(f"t{t}-{key}") or text[f"t{t}-{key}-equation0"]
            whole = equations.of_part(p)[-1]
            assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]))
            count += shown == whole
    assert count > 0
    assert broken(scene) == {}


def test_symbols_keep_the_textbooks_order():
    gates, symbols = (draw(CELLS["lstm"], 1, level=level).scene for level in ("gates", "symbols"))
    order = [[b.key for b in sorted(s.boxes, key=lambda b: b.x) if b.kind.startswith("gate")] for s in (gates, symbols)]
    assert order[0] == order[1]
    line = next(b.y for b in symbols.boxes if b.key == "s1-0")
    on_line = [b.text for b in sorted(symbols.boxes, key=lambda b: b.x) if b.kind == "op t1" and b.y == line]
    assert on_line == ["F₁ ⊙ C₀", "C₁ = F₁ ⊙ C₀ + I₁ ⊙ C\u0303₁"]


@pytest.mark.skipif(not renderer.has_dot(), reason="dot is not installed")
@pytest.mark.parametrize("level", ["steps", "symbols"])
def test_both_renderers_draw_as_much(level: str):
    picture = draw(CELLS["gru"], 2, level=level, values=True)
    counts = [[svg.count(f'class="{kind} ') for kind in ("node", "edge")] for svg in map(picture.svg, ("dot", "wasm"))]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("level", ["steps", "symbols"])
def test_names_that_are_long_or_markup_are_cut_and_stay_text(level: str):
    for name in ("x" * 200, "<b>&\\N\"", "</script>"):
        W = mg.tensor([[1.0]], requires_grad=True, name=name)
        with mg.engine.core.recording("all"):
            y = mg.tanh(mg.tensor([[1.0]], name=name) @ W)
            z = y * y
        z.name = name
        picture = draw(z, level=level, title=name)
        assert broken(picture.scene) == {}
        assert "<b>" not in picture.svg("wasm")
        assert all(text_width(a.text, a.size, a.bold) <= a.w + 1.5 for a in picture.scene.labels)


def test_rows_of_cells_have_their_names_in_the_boxes():
    scene = draw([CELLS["rnn"], CELLS["gru"]], 3, level="steps").scene
    assert {a.text for a in scene.labels if a.key.endswith("cell-name")} == {"rnn", "gru"}
    assert broken(scene) == {}
