"""What is kept of each step for the gradient: no more than the cell's list, and kept once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.array_utils import byte_bounds

import minigrad as mg
from minigrad import fast
from minigrad.cells import CELLS, VARIANTS
from minigrad.fast import run

N, D, T = 8, 5, 7
ALL = CELLS | VARIANTS
LIST = {  # per cell, in units of n: what its derivative reads that moves with time, and the output; x is not kept
    "rnn": 1, "rnn_words": 1, "torch_rnn_tanh": 1,  # h
    "torch_rnn_relu": 2,  # h, and what relu is taken of, as its rule reads it
    "lstm": 7, "lstm_concat": 7, "torch_lstm": 7, "haiku_lstm": 7, "lstm_peephole": 7, "lstm_misprint": 7,
    # i, f, o, g, c, tanh c, h
    "lstm_coupled": 6,  # i is 1 - f
    "gru": 4, "gru_concat": 4, "gru_writes": 4,  # z, r, the candidate, h
    "torch_gru": 5,  # and the product that r multiplies
    "mgu": 3, "min_gru": 3,  # f or z, the candidate, h
    "li_gru": 4,  # and what relu is taken of
    "layer_norm_lstm": 16 + 3 / N,  # twice 4n normalised, the LSTM's without c's tanh but c normalised, 3 deviations
}  # fmt: skip


def arguments(one, steps=T):
    sizes = {"n": N, "d": N if one.name == "lstm_misprint" else D}
    xs = mg.tensor(np.random.default_rng(0).standard_normal((steps, 1, sizes["d"])))
    return one.zero_state(1, **sizes), xs, one.init(0, **sizes)


@pytest.mark.parametrize("name", ALL)
def test_no_more_than_the_list(name):
    found = fast.stored(ALL[name], *arguments(ALL[name]))
    assert sum(found.values()) <= LIST[name] * N, found


@pytest.mark.parametrize("how", [{}, {"reverse": True}], ids=str)
@pytest.mark.parametrize("blocks", [False, True], ids=["whole", "blocks"])
@pytest.mark.parametrize("name", ["gru", "lstm", "torch_gru"])
def test_it_is_what_takes_memory(name, blocks, how, monkeypatch):
    """The arrays of a forward scan span as many bytes as its list says: the state before the first step more."""
    if blocks:
        monkeypatch.setattr(run, "steps_in", lambda *_: 3)
    run.forget()
    one = ALL[name]
    first = fast.scanned(one, *arguments(one), **how)[0]
    stacks = first.results[first.layout.n_state :]
    spans = sorted(byte_bounds(a) for a in stacks)
    end, held = 0, 0
    for a, b in spans:
        held += max(0, b - max(a, end))
        end = max(end, b)
    expected = T * sum(fast.stored(one, *arguments(one), **how).values()) * 8
    states = N * 8 * len(one.states)
    assert expected <= held <= expected + states
    run.forget()


def test_it_is_named_as_in_the_cell():
    assert list(fast.stored(ALL["gru"], *arguments(ALL["gru"]))) == ["H", "Z", "R", "H_tilda"]
