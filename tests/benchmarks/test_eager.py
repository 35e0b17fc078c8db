"""What one eager operation costs, measured: `pytest tests/benchmarks -m slow -k eager -s`."""

from __future__ import annotations

import numpy as np
import pytest

from . import eager

pytestmark = [pytest.mark.slow, pytest.mark.parity]


@pytest.mark.parametrize("cell", sorted(eager.LAYERS))
def test_the_eager_peers_compute_the_same(cell):
    """Value, gradients of all parameters and of the input, to single precision."""
    pytest.importorskip("torch")
    runs = eager.steps(cell, (5, 3, 4, 6))
    expected = runs.pop("torch loop")()
    assert {"minigrad loop", "minigrad unroll"} <= runs.keys()
    for run in runs.values():
        for a, b in zip(run(), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


def test_the_table_of_the_eager_engine_is_printed():
    """At (35, 1, 32, 32) and batch 32: next to torch's loop and HIPS autograd; a time is printed, never asserted."""
    pytest.importorskip("torch").set_num_threads(1)
    found = {
        (cell, size): eager.measured(cell, size, 2.0) for size in eager.FIRST for cell in eager.LAYERS
    }
    assert all(times["minigrad loop"] for times in found.values())
    print(f"\n{eager.table(found)}")
