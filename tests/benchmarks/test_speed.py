"""The bars of docs/speed.md, measured: `pytest tests/benchmarks -m slow -k speed -s`."""

from __future__ import annotations

import pytest

from minigrad.bench import speed

pytestmark = pytest.mark.slow


@pytest.mark.parity
def test_speed_against_the_bars():
    """Geometric means over the smaller sizes, so that it takes a minute."""
    pytest.importorskip("torch")
    sizes = speed.GRID[:3]
    times = speed.measured(["minigrad", "torch.nn", "torch loop"], speed.LAYERS, sizes, 0.2)
    print(f"\n{speed.table(times, sizes)}")
    for peer in ("torch.nn", "torch loop"):
        every = [v for row in speed.ratios(times, peer).values() for v in row]
        assert speed.mean(every) <= speed.BARS[peer]
        assert max(every) <= 3 if peer == "torch.nn" else 1
