"""A long scan runs a block of steps at a time: the same results, and no more memory for more steps."""

from __future__ import annotations

import numpy as np
import pytest
from test_fast import ALL, arguments, by_scan, close, every_cell, everything

import minigrad as mg
from minigrad.fast import run
from minigrad.prove.runs.emitted import check_emitted

T = 5


@pytest.fixture
def small(monkeypatch):
    """Blocks of two steps."""
    run.forget()
    monkeypatch.setattr(run, "steps_in", lambda *_: 2)
    yield
    run.forget()


@every_cell
def test_blocks_are_the_whole(one, small):
    args = arguments(one, T=T)
    close(everything(by_scan(one, True), *args), everything(by_scan(one, False), *args))


@pytest.mark.parametrize("how", [{"reverse": True}, {"truncate": 3}, {"reverse": True, "truncate": 1}], ids=str)
@pytest.mark.parametrize("name", ["gru", "lstm", "three_states"])
def test_blocks_reversed_and_truncated(name, how, small):
    args = arguments(ALL[name], T=T)
    close(everything(by_scan(ALL[name], True, **how), *args), everything(by_scan(ALL[name], False, **how), *args))


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_the_glue_between_blocks_is_judged_with_the_text(name, small):
    """Three steps run as a block of two and one of one, on numbers modulo p."""
    found = check_emitted(ALL[name])
    assert found.verdict == "agrees", found.reason


def test_many_steps_are_several_blocks():
    params, state, xs = arguments(ALL["lstm"], T=2000, lead=(64,))
    with run.observed() as seen:
        mg.scan(ALL["lstm"], state, xs, params)
    assert 1 < seen[0].compiled.block < 2000
    (first, _), _ = mg.scan(ALL["lstm"], state, xs, params, fast=False)
    np.testing.assert_allclose(seen[0].results[0], first.numpy(), rtol=1e-12)
