"""The rolled view: one step as it is, each state once through a delay, and what it does not show in words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad import tanh, tensor
from minigrad.cells import CELLS
from minigrad.draw import Scene
from minigrad.engine.core import recording
from minigrad.engine.watch import Watch

ALL = {**CELLS, **STRANGERS}


def drawn(scene: Scene) -> Counter:
    """The boxes of step 1 by kind and text."""
    return Counter((b.kind, b.text) for b in scene.boxes if b.key.startswith("t1-"))


QUICK = {"rnn", "lstm", "torch_gru", "minimal_gated", "layer_norm_lstm", "leaky_deep"}
EACH = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ALL]


@pytest.mark.parametrize("name", EACH)
def test_every_cell_rolled_obeys_the_laws(name: str):
    for level in ("gates", "ops") if name in ("lstm", "gru", "multiplicative") else ("gates",):
        scene = mg.draw(ALL[name], 7, level=level, rolled=True).scene
        assert {law: found[:3] for law, f in LAWS.items() if (found := f(scene))} == {}


@pytest.mark.parametrize("name", EACH)
def test_each_state_goes_back_through_one_delay_and_nothing_is_merged(name: str):
    cell = ALL[name]
    scene = mg.draw(cell, 7, rolled=True).scene
    assert len(scene.frames) == 1
    loops = sorted((e.source, e.sink) for e in scene.lines if "loop" in e.kind)
    assert loops == sorted(
        pair for k in range(len(cell.states)) for pair in ((f"s{k}-1", f"delay{k}"), (f"delay{k}", f"s{k}-0"))
    )
    assert [b.text for b in scene.boxes if b.kind.startswith("delay")] == ["z⁻¹"] * len(cell.states)
    assert drawn(scene) == drawn(mg.draw(cell, 7).scene) != Counter()
    heads = [a.text for a in scene.labels if a.key.endswith("-cell0") and a.key.startswith("p")]
    assert sorted(" ".join(heads).split()) == sorted(cell.params)


def test_names_carry_the_time_and_the_frame_says_how_often():
    text = {a.key: a.text for a in mg.draw(CELLS["lstm"], 20, rolled=True).scene.labels}
    assert [text[f"s{k}-{t}-name"] for k in (1, 0) for t in (0, 1)] == ["Cₜ₋₁", "Cₜ", "Hₜ₋₁", "Hₜ"]
    assert text["t1-x0-name"] == "Xₜ"
    assert text["step-1-label"] == "× 20"
    assert text["delay1-start"] == "C₀ at t = 1"


def test_steps_that_differ_are_named_and_not_counted():
    W, U = tensor(np.ones((3, 5)), requires_grad=True), tensor(np.ones((5, 5)), requires_grad=True)
    with recording("all"), Watch():
        h = mg.zeros(1, 5)
        for t, x in enumerate(mg.randn(6, 1, 3, seed=0), start=1):
            h = 0.5 * h if t == 3 else tanh(x @ W + h @ U)
    picture = mg.draw(h, rolled=True)
    text = {a.key: a.text for a in picture.scene.labels}
    notes = [v for k, v in text.items() if k.startswith("note")]
    assert notes == ["not drawn: step 3: with ×0.5; without tanh, an input"]
    assert notes[0].removeprefix("not drawn: ") in picture.scene.description
    assert text["step-1-label"] == "× 5"
    assert {n: law(picture.scene) for n, law in LAWS.items() if law(picture.scene)} == {}


def test_what_cannot_be_rolled_is_refused():
    with recording("all"):
        y = tanh(tensor([[1.0]], requires_grad=True, name="a"))
    with pytest.raises(ValueError, match="a state that enters the next one; none is found"):
        mg.draw(y, rolled=True)
    with pytest.raises(ValueError, match="rolled=True draws one step for all, so it has no numbers"):
        mg.draw(CELLS["rnn"], rolled=True, values=True)
    for option in ({"gradients": True}, {"truncate": 2}, {"wrap": 500.0}, {"show": [1]}, {"lens": 2}):
        with pytest.raises(ValueError, match="rolled=True draws one step, so gradients, truncate, wrap, show and lens"):
            mg.draw(CELLS["rnn"], rolled=True, **option)
    with pytest.raises(ValueError, match="are for one run; draw these runs one by one"):
        mg.draw([CELLS["rnn"], CELLS["gru"]], rolled=True)
