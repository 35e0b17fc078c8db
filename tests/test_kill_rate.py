"""The kill rate: wrong vjps and wrong backwards are refused, with the right name; right ones are not.

A table is printed with `pytest tests/test_kill_rate.py -s`; `-m slow` makes about 1,500 mutants of every
backward in `kill`, instead of some 250 of a dozen.
"""

from __future__ import annotations

from collections import Counter

import pytest
from kill import right_sequences, right_steps, rows, score
from own_cells import OWN

from minigrad.cells import CELLS

RIGHT = right_steps.RIGHT | right_sequences.RIGHT
SOME = (
    "rnn_stored", "relu_mask", "rnn_with_readout", "lstm_stored", "lstm_on_joined", "peephole", "gru_before",
    "gru_after", "one_example", "entry_by_entry", "rnn_sequence", "gru_sequence",
)  # fmt: skip


def assert_all_killed(outcomes: list[score.Outcome]) -> list[score.Outcome]:
    wrong = [o for o in outcomes if o.truth == "wrong"]
    assert [f"{o.mutant}: {o.check and o.check.statement} {o.error}" for o in wrong if not o.killed] == []
    return wrong


def test_wrong_backwards_are_refused_by_name(capsys):
    outcomes = score.run({name: RIGHT[name] for name in SOME}, per_kind=2)
    with capsys.disabled():
        print("\n" + score.table(outcomes))
    wrong = assert_all_killed(outcomes)
    assert len(wrong) >= 120
    assert sum(o.explained for o in wrong) >= 0.85 * len(wrong)


def test_equivalent_ones_are_not_refused():
    outcomes = score.run(RIGHT, per_kind=2, judge="equivalent")
    equivalent = [o for o in outcomes if o.truth == "equivalent"]
    assert equivalent
    assert [str(o.mutant) for o in equivalent if o.check and o.check.verdict == "refuted"] == []
    assert [str(o.mutant) for o in equivalent if not o.check and "Undecided" not in o.error] == []


def test_wrong_rows_are_refused_by_name(capsys):
    cells = {name: CELLS[name] for name in ("rnn", "lstm", "gru_concat", "torch_gru", "torch_rnn_relu")}
    _assert_rows_refused(rows.run(cells), capsys, at_least=200)


def _assert_rows_refused(outcomes, capsys, at_least):
    counts = Counter(o.truth for o in outcomes) | Counter(killed=sum(o.killed for o in outcomes))
    with capsys.disabled():
        print(f"\nrows: {dict(counts)}")
    wrong = [o for o in outcomes if o.truth == "wrong"]
    assert len(wrong) >= at_least
    assert [str(o) for o in wrong if o.verdict == "proved"] == []
    halves = "the parts of [{0}, {1}] are exchanged"  # cuts inside a block: no symbolic size can
    assert [f"{o}: {o.verdict} {sorted(o.named)}" for o in wrong if not o.killed and o.fault.text != halves] == []


@pytest.mark.slow
def test_every_kind_of_slip_in_every_right_backward(capsys):
    outcomes = score.run(RIGHT, per_kind=6)
    with capsys.disabled():
        print("\n" + score.table(outcomes))
    wrong = assert_all_killed(outcomes)
    assert len(wrong) >= 900
    assert sum(o.explained for o in wrong) >= 0.85 * len(wrong)


@pytest.mark.slow
def test_every_fault_in_every_row_of_every_cell(capsys):
    cells = CELLS | {name: c for name, c in OWN.items() if name != "token_rnn"}
    _assert_rows_refused(rows.run(cells), capsys, at_least=800)
