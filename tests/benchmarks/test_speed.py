"""The bars of docs/speed.md, measured: `pytest tests/benchmarks -m slow -k speed -s`."""

from __future__ import annotations

import numpy as np
import pytest

from . import peers, speed

pytestmark = pytest.mark.slow
SMALL = (5, 3, 4, 6)


@pytest.mark.parity
@pytest.mark.parametrize("cell", speed.CELLS)
def test_the_peers_compute_the_same(cell):
    """Value, gradients of all parameters and of the input, to single precision."""
    pytest.importorskip("torch")
    expected = peers.torch_nn(cell, *SMALL)()
    for name in ("minigrad", "torch loop", "jax.lax.scan"):
        try:
            found = peers.PEERS[name](cell, *SMALL)()
        except ImportError:
            continue
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


@pytest.mark.parity
def test_speed_against_the_bars():
    """Geometric means over the smaller sizes, so that it takes a minute."""
    pytest.importorskip("torch")
    sizes = speed.GRID[:3]
    times = speed.measured(["minigrad", "torch.nn", "torch loop"], speed.CELLS, sizes, 0.2)
    print(f"\n{speed.table(times, sizes)}")
    for peer in ("torch.nn", "torch loop"):
        every = [v for row in speed.ratios(times, peer).values() for v in row]
        assert speed.mean(every) <= speed.BARS[peer]
        assert max(every) <= 3 if peer == "torch.nn" else 1
