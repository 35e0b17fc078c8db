"""The kill rate: wrong vjps and wrong backwards are refused, with the right name; right ones are not.

`pytest tests/test_kill_rate.py -s -n 0` prints the table by kind of slip, over a dozen backwards and the rows of
four cells; with `-m slow`, over every backward in `kill` and every row of every cell.
"""

from __future__ import annotations

import pytest
from kill import right_sequences, right_steps, rows, score
from own_cells import OWN

from minigrad.cells import CELLS
from minigrad.engine.core import TABLE
from minigrad.prove.anysize import LOSSES, loss_lemma
from minigrad.prove.faults import faults

RIGHT = right_steps.RIGHT | right_sequences.RIGHT
SOME = (
    "rnn_stored", "relu_mask", "rnn_with_readout", "lstm_stored", "lstm_on_joined", "gru_before",
    "gru_after", "projection", "two_states", "one_example", "diagonal", "entry_by_entry", "rnn_sequence",
    "rnn_lists", "rnn_closed_form", "rnn_last_state_only",
)  # fmt: skip
KINDS = {
    "dropped term", "sign", "swapped gate", "missing factor", "transposed matrix", "overwritten (= for +=)",
    "wrong time index", "1/T, 1/batch", "reversed product", "stale state",
}  # fmt: skip
INSIDE_A_BLOCK = "the parts of [{0}, {1}] are exchanged"  # cuts where no symbolic size can: undecided


def backwards_refused(outcomes, capsys):
    """How many wrong ones; prints the table, and asserts of every mutant what was said of it."""
    kinds = score.counts(outcomes)
    with capsys.disabled():
        print("\n" + score.table(kinds))
    wrong = [o for o in outcomes if o.truth == "wrong"]
    assert [f"{o.mutant}: {o.check and o.check.statement} {o.error}" for o in wrong if not o.killed] == []
    assert sum(o.explained for o in wrong) >= 0.85 * len(wrong)
    assert {k for k in KINDS if not kinds[k]["killed"]} == set()

    equivalent = [o for o in outcomes if o.truth == "equivalent"]
    assert [str(o.mutant) for o in equivalent if o.check and o.check.verdict == "refuted"] == []
    assert [f"{o.mutant} {o.error}" for o in equivalent if not o.check and "Undecided" not in o.error] == []
    return len(wrong)


def rows_refused(of_rows, capsys):
    """The same of every fault in a row."""
    with capsys.disabled():
        print("\n" + score.table(rows.counts(of_rows)))
    of_rows = [o for o in of_rows if o.truth == "wrong"]
    assert [str(o) for o in of_rows if o.verdict == "proved"] == []
    left = [o for o in of_rows if not o.killed and o.fault.text != INSIDE_A_BLOCK]
    assert [f"{o}: {o.verdict} {sorted(o.named)}" for o in left] == []
    return len(of_rows)


def test_wrong_backwards_are_refused_by_name(capsys):
    assert backwards_refused(score.run({name: RIGHT[name] for name in SOME}, per_kind=1), capsys) > 100


def test_wrong_rows_are_refused_by_name(capsys):
    cells = {name: CELLS[name] for name in ("rnn", "lstm", "gru_concat", "torch_rnn_relu")}
    assert rows_refused(rows.run(cells), capsys) > 140


@pytest.mark.parametrize("name", LOSSES)
def test_a_forgotten_1_over_T_in_a_loss_is_refused(name):
    loss, indices = LOSSES[name]
    (fault,) = [f for f in faults(TABLE["div"], 2) if f.text == "the divisor {1} is forgotten"]
    with rows.row_with(TABLE["div"], fault.rule):
        found, *_ = loss_lemma(loss, indices)  # sizes in general; of a single class every gradient is 0
    assert found.verdict == "refuted"
    assert {"h", "W_hq", "b_q"} <= set(found.wrong)


@pytest.mark.slow
def test_every_kind_of_slip_in_every_right_backward_and_every_row_of_every_cell(capsys):
    cells = CELLS | {name: c for name, c in OWN.items() if name != "token_rnn"}
    wrong = backwards_refused(score.run(RIGHT, per_kind=5), capsys)
    assert wrong + rows_refused(rows.run(cells), capsys) >= 1500
