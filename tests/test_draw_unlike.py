"""A step that is not the same code as the others is marked, and the legend says how it differs."""

from __future__ import annotations

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad import Tensor, tanh, tensor
from minigrad.cells import CELLS
from minigrad.draw.unlike import spans
from minigrad.engine.core import recording
from minigrad.engine.watch import Watch


def a_loop(T: int, first: bool = False, masked: tuple[int, ...] = (), read_out: bool = False) -> Tensor:
    """A leaky RNN whose first step reads no state, which skips `masked` steps, and is read at the end."""
    W, U, V = (tensor(np.ones((n, 5)), requires_grad=True, name=name) for n, name in ((3, "W"), (5, "U"), (5, "V")))
    with recording("all"), Watch():
        h = None if first else mg.zeros(1, 5)
        for t, x in enumerate(mg.randn(T, 1, 3, seed=0), start=1):
            if h is None:
                h = tanh(x @ W)
            elif t in masked:
                h = 0.9 * h
            else:
                h = 0.5 * h + 0.5 * tanh(x @ W + h @ U)
            if read_out and t == T:
                return h @ V
    return h


CASES = {
    "first": (a_loop(5, first=True), {1: "without ×0.5, ×0.5, +"}),
    "masked": (a_loop(6, masked=(3, 4)), {t: "with ×0.9; without ×0.5, ×0.5, tanh, +, an input" for t in (3, 4)}),
    "read_out": (a_loop(4, read_out=True), {4: "with W·, an output"}),
}


@pytest.mark.parametrize("case", CASES)
def test_steps_unlike_the_others_are_marked_with_a_legend(case: str):
    y, expected = CASES[case]
    scene = mg.draw(y).scene
    marked = [t for t, f in enumerate(scene.frames, start=1) if f.marked]
    assert set(expected) <= set(marked)
    legend = {a.key: a.text for a in scene.labels if a.key.startswith("note-")}
    text = " ".join(legend.values())
    for t, words in expected.items():
        assert scene.frames[t - 1].tip.startswith(f"time step {t}, unlike the others: {words}")
        assert words in text
    headings = {a.key: a.text for a in scene.labels if a.key.startswith("step-")}
    assert [headings[f"step-{t}-label"].endswith("*") for t in range(1, len(scene.frames) + 1)] == [
        t in marked for t in range(1, len(scene.frames) + 1)
    ]
    assert {n: law(scene) for n, law in LAWS.items() if law(scene)} == {}


@pytest.mark.parametrize("name", sorted({**CELLS, **STRANGERS}.keys() - {"three_states", "multiplicative"}))
def test_no_step_of_a_cell_is_marked(name: str):
    scene = mg.draw({**CELLS, **STRANGERS}[name], 3).scene
    assert not any(f.marked for f in scene.frames)
    assert not any(a.key.startswith("note") for a in scene.labels)


def test_numbers_of_steps_in_a_row_are_joined():
    assert spans([1, 3, 4, 5, 8, 9]) == "1, 3–5, 8, 9"


def test_a_marked_frame_is_dashed_in_the_file():
    dot = mg.draw(CASES["masked"][0]).dot
    assert sum("dashed" in line for line in dot.splitlines() if "subgraph" in line) >= 2
