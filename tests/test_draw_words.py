"""The description of a picture in words: complete, true, and English."""

from __future__ import annotations

import re

import numpy as np
import pytest
from draw_laws import STRANGERS
from own_cells import OWN

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.draw.picture import example_run
from minigrad.engine.core import recording

ALL = {
    **CELLS, "multiplicative": STRANGERS["multiplicative"],
    **{name: OWN[name] for name in ("attention_like", "sliced_gate", "token_rnn", "two_speeds")},
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_every_state_input_and_parameter_is_named_in_whole_sentences(name: str):
    cell, text = ALL[name], mg.draw(ALL[name], 2).scene.description
    for word in (*cell.states, *cell.inputs, *cell.params):
        assert re.search(rf"\b{re.escape(word)}\b", text), word
    assert text.startswith("2 time steps, from left to right. ")
    assert text.endswith(".")
    assert not re.search(r"  |\(\)|, and|None|\b1 \w+s\b| ,", text)
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in text[:-1].split(". "))


def test_a_picture_in_words():
    assert mg.draw(CELLS["rnn"], 1).scene.description == (
        "One time step. The state h (1 by 5) passes through it. Each step reads the input i (1 by 4). A step has "
        "one gate: h (tanh). It uses 3 parameters: W, U and b."
    )
    lstm = mg.draw(CELLS["lstm"], 60).scene.description
    assert "60 time steps, from left to right. Steps 3 to 58 are not drawn. 2 states pass" in lstm
    assert "A step has 4 gates: I (sigmoid), F (sigmoid), O (sigmoid) and C_tilda (tanh)." in lstm


def test_the_numbers_in_words_are_those_of_backward():
    u = example_run(CELLS["lstm"], 3, 0)
    with recording("all"):
        loss = mg.mean(u.outputs[-1] * u.outputs[-1])
    text = mg.draw(u, values=True, loss=loss).scene.description
    loss.backward()
    assert f"The loss is {loss.item():.3g}." in text
    for name, start in zip(u.cell.states, u.states[0], strict=True):
        said = re.search(rf"norm of dL/d{name} is (\S+) at step 3, [^:]* and (\S+) at step 0: on its way back it "
                         rf"shrinks (\S+) times", text)  # fmt: skip
        last, first, times = map(float, said.groups())
        assert first == pytest.approx(np.linalg.norm(start.grad.numpy()), rel=5e-3)
        assert times == pytest.approx(last / first, rel=2e-2)
    assert re.search(r"Step \d has the largest share of dL/d\(W_xf, W_hf and b_f\): norm ", text)


def test_what_does_not_arrive_or_is_not_finite_is_said_as_such():
    assert (
        "0 at step 0: nothing of it arrives." in mg.draw(OWN["sliced_gate"], 3, values=True).scene.description
    )
    cell = CELLS["rnn"]
    start = mg.tensor([[np.nan, 0.0, 0.0]], requires_grad=True)
    text = mg.draw(
        mg.unroll(cell, start, np.ones((2, 1, 2)), cell.init(0, n=3, d=2)), values=True
    ).scene.description
    assert "The loss is nan." in text
    assert "times" not in text
