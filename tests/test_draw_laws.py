"""Pictures obey the laws of `draw_laws` for every cell, level and length; and a fault in one is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS, crossings, random_cell
from own_cells import OWN

import minigrad as mg
from minigrad.cells import CELLS, Unrolled
from minigrad.draw import Scene
from minigrad.draw.picture import example_run
from minigrad.draw.scene import Box, Label
from minigrad.engine.core import recording

ALL = {**CELLS, **STRANGERS, **{f"own {name}": cell for name, cell in OWN.items()}}

LARGE = ("peephole_lstm", "three_states", "own peephole_lstm", "own kinks", "own smooth_mixture")
MARKED = [pytest.param(name, marks=pytest.mark.slow if name in LARGE else []) for name in ALL]


def broken(scene: Scene) -> dict[str, list]:
    """The laws that a scene breaks, with the first places."""
    return {name: found[:3] for name, law in LAWS.items() if (found := law(scene))}


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


# Crossings of data wires inside one step at levels gates and ops, the fewest found so far. In the GRU x comes
# from below and h from above, and each is read alone as well as both together: that costs one.
CROSSINGS = {
    "rnn": (0, 1), "rnn_words": (0, 1), "lstm": (0, 6), "lstm_concat": (0, 0), "gru": (1, 4),
    "gru_concat": (1, 2), "torch_rnn_tanh": (0, 1), "torch_rnn_relu": (0, 1), "torch_lstm": (0, 1),
    "torch_gru": (1, 4), "peephole_lstm": (1, 7), "minimal_gated": (1, 3), "layer_norm_lstm": (0, 1),
    "multiplicative": (1, 2), "leaky_deep": (0, 1), "three_states": (5, 8), "own peephole_lstm": (1, 3),
    "own projected_lstm": (0, 0), "own normed_rnn": (0, 1), "own diagonal_rnn": (0, 1), "own token_rnn": (0, 1),
    "own sliced_gate": (1, 0), "own kinks": (2, 1), "own smooth_mixture": (5, 17), "own two_speeds": (1, 3),
    "own attention_like": (0, 0),
}  # fmt: skip


CASES = [
    pytest.param(name, level, marks=pytest.mark.slow if level == "ops" and name in LARGE else [])
    for name in ALL for level in ("gates", "ops")
]  # fmt: skip


@pytest.mark.parametrize(("name", "level"), CASES)
def test_every_cell_obeys_the_laws_and_its_wires_cross_no_more_than_this(name: str, level: str):
    picture = mg.draw(ALL[name], 2, level=level)
    assert broken(picture.scene) == {}
    said = picture.stage.kinds[0].crossings[0]  # by the router, in one step
    assert crossings(picture.scene, lambda e: e.kind.startswith("wire")) == 2 * said
    assert said <= CROSSINGS[name][level == "ops"]


def test_the_table_of_crossings_has_every_cell():
    assert set(CROSSINGS) == set(ALL)


def _shares(u: Unrolled) -> list[dict[str, np.ndarray]]:
    """Per step the gradient of the mean square of the last output, by copies of the parameters for that step."""
    copies = [{k: mg.tensor(p.numpy().copy(), requires_grad=True) for k, p in u.params.items()} for _ in u.xs]
    state = u.states[0]
    with recording("all"):
        for x, params in zip(u.xs, copies, strict=True):
            state, y = u.cell.advance(state, x, params)
        mg.mean(y * y).backward()
    return [
        {k: np.zeros(p.shape) if p.grad is None else p.grad.numpy() for k, p in c.items()} for c in copies
    ]


@pytest.mark.parametrize("name", MARKED)
def test_a_tap_is_as_wide_as_the_log_of_its_steps_share_of_the_gradient(name: str):
    u = example_run(ALL[name], 4, 0)
    shares = _shares(u)
    taps = [e for e in mg.draw(u, values=True).scene.lines if e.kind.startswith("tap")]
    assert taps
    for e in taps:
        t, group = int(e.kind.split("t")[-1]), e.tip.split("dL/d(")[1].split(")")[0].split(", ")
        norms = [np.sqrt(sum((share[p] ** 2).sum() for p in group)) for share in shares]
        part = 1 + np.log10(norms[t - 1] / max(norms)) / 3 if norms[t - 1] else 0.0
        assert e.width == pytest.approx(0.5 + 2.9 * max(0.0, part), abs=1e-9)
        assert float(e.tip.split()[-1]) == pytest.approx(norms[t - 1], rel=1e-3, abs=1e-15)


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
        (
            sum("limit" not in b.kind for b in s.boxes), sum(e.kind != "limit" for e in s.lines), len(s.strips),
            len(s.frames),
        )
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


def carried(names: str, code: str) -> mg.Cell:
    """A cell of these states that returns `code`."""
    scope: dict = {"tanh": mg.tanh}
    exec(f"def passing({', '.join(names)}, /, x, *, W): return {code}", scope)
    return mg.cell(**dict.fromkeys(names, "n"), x="n", W="n n")(scope["passing"])


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ("hc", "c, h"), ("hc", "c, tanh(h @ W + x)"), ("hc", "tanh(c @ W + x), h"), ("hc", "c, c"), ("hc", "h, h"),
        ("hcd", "c, d, h"), ("hcd", "d, h, c"), ("hcd", "d, c, h"), ("hcd", "c, h, tanh(d @ W + x)"),
        ("hcd", "tanh(d @ W + x), d, c"), ("hcde", "e, d, c, h"), ("hcde", "c, d, e, h"), ("hcde", "d, e, h, c"),
    ],
)  # fmt: skip
def test_states_that_change_places_are_drawn(states: str, code: str):
    c = carried(states, code)
    for level in ("gates", "ops"):
        assert broken(mg.draw(c, 2, level=level, values=True).scene) == {}
