"""The bars of docs/speed.md, measured on the smaller sizes: `pytest tests/benchmarks -m slow -k speed -s -n 0`.

Times are printed and never asserted: a busy machine is no fault of the code.
"""

from __future__ import annotations

import pytest

from minigrad.bench import length, measure, problem, report, tables
from minigrad.bench.process import Setting

pytestmark = [pytest.mark.slow, pytest.mark.parity]


def test_speed_next_to_torch_is_printed():
    """Every runner that is there, and torch, at the first three sizes: about a minute."""
    pytest.importorskip("torch")
    peers = ["numpy runner", "numba runner", "torch.nn", "torch loop", "numpy GEMM", "torch GEMM"]
    ask = measure.Ask(peers, list(problem.LAYERS), problem.GRID[:3])
    print(f"\n{report.training(ask, print)}")
    assert measure.several(measure.measured(ask._replace(rounds=1), print), "numpy runner", *TORCH).parts == 9


TORCH = ("torch.nn", list(problem.LAYERS), problem.GRID[:3])


def test_what_is_done_once_does_not_grow_with_the_length():
    """From 10 to 10,000 steps a first step makes at most one call in a thousand more."""
    step = length.PEERS["numpy runner"].step
    short, long = (length.once(step("lstm", T, 1, 16, 32)) for T in (10, 10_000))
    assert long <= 1.001 * short
    assert tables.BLANK not in length.table(Setting(), print, (10, 100, 1000))
