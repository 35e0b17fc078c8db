"""The bars of docs/proof-cost.md, measured: `pytest tests/benchmarks -m slow -k proof -s -n 0`.

Times are printed and never asserted: a busy machine is no fault of the code. Verdicts are.
"""

from __future__ import annotations

import pytest

from . import proof, timing

pytestmark = pytest.mark.slow


def test_every_bar_of_the_proof():
    found = [timing.timed(row) for row in proof.bars()]
    print(f"\n{proof.machine(proof.Setting())}\n\n{timing.bar_table(found)}")
    assert [t for t in found if t.verdict != t.right] == []


def test_how_the_cost_of_a_proof_grows():
    found = proof.grown()
    print(f"\n{proof.growth_table(found)}")
    assert {t.verdict for _, row in found for t in row} <= {"proved", "agrees"}


@pytest.mark.parity
def test_the_cost_of_a_proof_next_to_finite_differences():
    pytest.importorskip("torch")
    print(f"\n{proof.peer_table()}")
