"""Pictures obey the laws of `draw_laws` for every cell, level and length; and a fault in one is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS, crossings, random_cell

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.draw import Scene
from minigrad.draw.scene import Box, Label

ALL = {**CELLS, **STRANGERS}


def broken(scene: Scene) -> dict[str, list]:
    """The laws that a scene breaks, with the first places."""
    return {name: found[:3] for name, law in LAWS.items() if (found := law(scene))}


@pytest.mark.parametrize("level", ["gates", "ops"])
@pytest.mark.parametrize("name", ALL)
def test_every_cell_obeys_the_laws(name: str, level: str):
    assert broken(mg.draw(ALL[name], 2, level=level).scene) == {}


@pytest.mark.parametrize("steps", [1, 4, 20])
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_every_length_obeys_the_laws_with_values_and_gradients(name: str, steps: int):
    assert broken(mg.draw(ALL[name], steps, values=True).scene) == {}


@pytest.mark.parametrize("seed", range(12))
def test_random_cells_of_5_to_60_operations_obey_the_laws(seed: int):
    cell = random_cell(seed, [5, 8, 12, 20][seed % 4])
    for level in ("gates", "ops"):
        assert broken(mg.draw(cell, 2, level=level, values=True).scene) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 40))
def test_large_random_cells_obey_the_laws(seed: int):
    cell = random_cell(seed, [25, 40, 60, 15][seed % 4])
    for level in ("gates", "ops"):
        assert broken(mg.draw(cell, 2, level=level, values=True).scene) == {}


# Crossings of data wires inside one step, the fewest found so far. In the GRU x comes from below and h
# from above, and each is read alone as well as both together: that costs one.
CROSSINGS = {
    "rnn": 0, "rnn_words": 0, "lstm": 0, "lstm_concat": 0, "gru": 1, "gru_concat": 1, "torch_rnn_tanh": 0,
    "torch_rnn_relu": 0, "torch_lstm": 0, "torch_gru": 1, "peephole_lstm": 1, "minimal_gated": 1,
    "layer_norm_lstm": 0, "multiplicative": 1, "leaky_deep": 0, "three_states": 6,
}  # fmt: skip


@pytest.mark.parametrize("name", CROSSINGS)
def test_wires_inside_a_step_cross_no_more_than_this(name: str):
    scene = mg.draw(ALL[name], 1).scene
    assert crossings(scene, lambda e: e.kind.startswith("wire")) <= CROSSINGS[name]


def test_the_table_of_crossings_has_every_cell():
    assert set(CROSSINGS) == set(ALL)


def _boxes_of(scene: Scene, t: int) -> list[tuple]:
    """Boxes of step t, from the step's own left edge."""
    left, mine = scene.frames[t - 1].x0, [b for b in scene.boxes if b.key.startswith(f"t{t}-")]
    return sorted((b.key.removeprefix(f"t{t}-"), b.x - left, b.y, b.w, b.h) for b in mine)


@pytest.mark.parametrize("name", ALL)
def test_equal_steps_are_equal_up_to_a_shift(name: str):
    scene = mg.draw(ALL[name], 4).scene
    second, third = (_boxes_of(scene, t) for t in (2, 3))
    assert [s[0] for s in second] == [s[0] for s in third] != []
    np.testing.assert_allclose([s[1:] for s in second], [s[1:] for s in third], atol=1e-6)


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("name", ["rnn", "lstm", "torch_gru"])
def test_the_picture_grows_by_the_same_amount_with_every_step(name: str, values: bool):
    sizes = [
        (len(s.boxes), len(s.lines), len(s.labels), len(s.strips), len(s.frames))
        for T in (2, 3, 7) for s in [mg.draw(ALL[name], T, values=values).scene]
    ]  # fmt: skip
    grown = [b - a for a, b in zip(sizes[0], sizes[1], strict=True)]
    assert [b - a for a, b in zip(sizes[1], sizes[2], strict=True)] == [4 * g for g in grown]


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_is_drawn_once_with_one_tap_per_step_and_use(name: str):
    cell, T = ALL[name], 3
    scene = mg.draw(cell, T).scene
    heads = [a.text for a in scene.labels if a.key.endswith("-cell0") and a.key.startswith("p")]
    assert sorted(" ".join(heads).split()) == sorted(cell.params)
    taps = [e for e in scene.lines if e.kind.startswith("tap")]
    per_step = [sum(f" t{t}" in e.kind for e in taps) for t in range(1, T + 1)]
    assert per_step == [len(taps) // T] * T
    assert per_step[0] >= len(heads)


# ---- the laws can fail ---------------------------------------------------------------------------
def _shifted(scene: Scene, key: str, dx: float) -> Scene:
    boxes = [replace(b, x=b.x + dx) if b.key == key else b for b in scene.boxes]
    return replace(scene, boxes=boxes)


def _a_gate(scene: Scene) -> Box:
    return next(b for b in scene.boxes if b.kind.startswith("gate"))


def _with_twin(scene: Scene) -> Scene:
    wire = next(e for e in scene.lines if e.kind.startswith("wire"))
    return replace(scene, lines=[*scene.lines, replace(wire, key="twin", source="elsewhere")])


def _in_the_way(scene: Scene) -> Scene:
    x, y = next(e for e in scene.lines if "carry" in e.kind).points[0]
    return replace(scene, boxes=[*scene.boxes, Box("stone", x + 6, y, 4, 4)])


FAULTS = {
    "no two boxes overlap": lambda s: replace(s, boxes=[*s.boxes, replace(_a_gate(s), key="again")]),
    "every text is inside its place": lambda s: replace(
        s, labels=[*s.labels, Label("long", 0, 0, 20, "much longer than twenty points")]
    ),
    "no free text is hidden": lambda s: replace(s, labels=[Label("t", _a_gate(s).x, _a_gate(s).y, 20, "x")]),
    "every line ends at its boxes": lambda s: _shifted(s, _a_gate(s).key, 40.0),
    "no line runs through a box": _in_the_way,
    "no line runs on another one": _with_twin,
}


@pytest.mark.parametrize("law", LAWS)
def test_a_planted_fault_is_seen(law: str):
    scene = mg.draw(CELLS["lstm"], 1).scene
    assert LAWS[law](FAULTS[law](scene))
