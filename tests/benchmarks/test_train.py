"""Training is torch's, step by step: the same model, weights and text. `pytest tests/benchmarks -k train`."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.train import Settings, default_text

from . import train

pytestmark = pytest.mark.parity
STEPS = 200


CASES = {  # minigrad trains in float32; torch in
    "small": (Settings(hidden=32, batch=8, length=16), "float32"),
    "default": (Settings(), "float64"),  # in float32 torch's rounding alone is 4e-4 (docs/speed.md)
}


@pytest.mark.parametrize("case", ["small", pytest.param("default", marks=pytest.mark.slow)])
def test_the_loss_curve_is_torchs(case):
    """Bits per character to 1e-4 at each of 200 steps: layers, loss, BPTT, clipping, Adam, order of the text."""
    torch = pytest.importorskip("torch", reason="torch, for a second opinion, is not installed")
    torch.set_num_threads(1)
    settings, dtype = CASES[case]
    text = default_text()[: 100 * settings.batch * settings.length]  # read twice
    training = train.ours(text, settings)
    peer = train.torch_peer(training, text, dtype)
    ours, theirs = zip(*[(training.step(), peer()) for _ in range(STEPS)], strict=True)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert np.mean(ours[-20:]) < 0.75 * ours[0]


@pytest.mark.slow
def test_the_table_of_training_is_printed():
    """A time is printed, never asserted."""
    pytest.importorskip("torch", reason="torch, for a second opinion, is not installed")
    settings = train.SIZES[1]
    times = train.measured(settings, 5.0, ("torch_lstm", "lstm"))
    assert set(times) == {"minigrad torch_lstm", "minigrad lstm", "torch.nn", "its products, numpy"}
    print(f"\n{train.table({settings: times})}")
