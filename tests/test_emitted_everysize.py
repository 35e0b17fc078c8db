"""The emitted text is right for every size: run on arrays of symbolic size, for every cell."""

from __future__ import annotations

import itertools
import re

import pytest
from click.testing import CliRunner
from emitter_faults import faults, overlapping
from own_cells import OWN

from minigrad import fast
from minigrad.cells import CELLS
from minigrad.cli import cli
from minigrad.domains.blocks import Size, Undecided
from minigrad.domains.sizes import fresh
from minigrad.fast import emit
from minigrad.fast.cut import CannotCompile
from minigrad.prove import prove
from minigrad.prove.runs.emitted import check_emitted, differs_in_floats, judge, scans_of, texts, written
from minigrad.prove.runs.emittedstep import emitted_step
from minigrad.prove.runs.everysize import Reading, check_every_size, same_text
from minigrad.prove.step import size_names

ALL = {**CELLS, **OWN}
every_cell = pytest.mark.parametrize("cell", ALL.values(), ids=list(ALL))


@every_cell
@pytest.mark.parametrize("kernels", [False, True], ids=["lines", "kernels"])
def test_the_text_is_proved_for_every_size(cell, kernels):
    found = check_every_size(cell, kernels=kernels)
    assert found.verdict == "proved", found.reason
    assert found.compared >= 17  # the smallest: token_rnn


@pytest.mark.parametrize("how", [{"truncate": 2}, {"reverse": True}], ids=str)
@pytest.mark.parametrize("cell", [CELLS["lstm"], CELLS["gru"], OWN["two_speeds"]], ids=lambda c: c.name)
def test_reversed_and_truncated(cell, how):
    assert check_every_size(cell, **how)


@pytest.mark.parametrize("name", ["lstm", "gru_concat"])
def test_states_of_one_entry(name):
    """There the text is another, and is proved as a case of its own, for every other size."""
    assert not same_text(ALL[name], {"n": 1, "d": 7, "batch": 11})
    assert check_every_size(ALL[name], ones=["n"])


@pytest.mark.slow
@every_cell
def test_every_case_of_sizes_that_are_1(cell):
    names = [*size_names(cell), "batch"]
    for r in range(1, len(names) + 1):
        for ones in itertools.combinations(names, r):
            found = check_every_size(cell, ones=ones)
            assert found, f"{ones} = 1: {found.reason}"


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "peephole_lstm", "projected_lstm"])
def test_the_same_text_at_other_sizes(name):
    one = ALL[name]
    sizes = dict(
        zip(dict.fromkeys(k for a in one.sizes.values() for s in a for k in s), (5, 3, 2), strict=False)
    )
    assert same_text(one, sizes | {"batch": 7})
    assert same_text(one, {k: 64 for k in sizes} | {"batch": 32})


def test_the_text_of_large_states_is_another_and_is_judged_too():
    """Factors of one step are then computed in the loop; a fault that only this text has is not proved."""
    lstm, sizes = CELLS["lstm"], {"n": 64, "d": 16, "batch": 128}
    scan = scans_of(lstm, Reading(lstm).values)[1]
    small, near = written(scan, False)
    assert (small.near, near.near, scans_of(lstm, sizes)[1].compiled.near) == (False, True, True)
    assert same_text(lstm, sizes)
    wrong = near.loop.source.replace("subtract(one, O,", "add(one, O,")
    assert wrong != near.loop.source
    edit = lambda text: wrong if text == near.loop.source else text  # noqa: E731
    assert check_every_size(lstm, edit).reason.startswith("the emitted text of back: ")
    found = judge(scans_of(lstm)[1], edit=lambda text: text.replace("subtract(one, O,", "add(one, O,"))
    assert found.verdict == "refuted"


def test_where_the_text_is_another_that_is_said():
    """At n = 1 the compiler joins other work; a mean over 64 is a product with 1/64."""
    assert not same_text(CELLS["lstm"], {"n": 1, "d": 1, "batch": 1})
    assert same_text(OWN["normed_rnn"], {"n": 3, "d": 2, "batch": 2})
    assert not same_text(OWN["normed_rnn"], {"n": 64, "d": 2, "batch": 2})
    for sizes in (
        {"n": 1, "d": 1, "batch": 1},
        {"n": 2, "d": 1, "batch": 1},
    ):  # which the other judge looks at
        assert check_emitted(CELLS["lstm"], sizes)
        assert check_emitted(OWN["normed_rnn"], sizes)


def refused(one, every):
    """(how many faults were planted, how many of them were not proved); the others must be none."""
    planted = unproved = 0
    for scan in scans_of(one, Reading(one).values):
        found = {text: compiled for compiled in written(scan, False) for text in texts(compiled)}
        for text, compiled in found.items():
            for _, wrong in list(faults(text))[::every]:
                edit = lambda t, text=text, wrong=wrong: wrong if t == text else t  # noqa: E731
                planted += 1
                if check_every_size(one, edit):
                    assert not any(differs_in_floats(compiled, scan, T, edit=edit) for T in (1, 2, 3)), wrong
                else:
                    unproved += 1
    return planted, unproved


def test_faults_in_the_text_are_not_proved():
    planted, unproved = refused(CELLS["rnn"], 1)
    assert planted > 35
    assert unproved > 0.9 * planted


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("np.ones((1, T * 33)", "np.ones((1, 33)", "ValueError: matmul: inner sizes b and T*b differ"),
        ("v_4 = env[12]", "v_4 = env[12][:1]", "Inside: entry 0 of the symbolic size T"),
        ("sum_v_5 = rows_v_4", "sum_v_5 = rows_v_4 * T", "the emitted text of back: sum _5"),
    ],
    ids=["one step counted", "one step taken", "all counted T times"],
)
def test_a_fault_in_a_sum_over_time_is_not_proved(right, wrong, reason):
    assert right in scans_of(CELLS["rnn"], Reading(CELLS["rnn"]).values)[1].compiled.sums.source
    assert check_every_size(CELLS["rnn"], lambda text: text.replace(right, wrong)).reason == reason


def test_memory_whose_dtype_is_an_array_is_not_proved():
    memory = "empty((T, 33, 37), "
    found = check_every_size(CELLS["gru"], lambda text: text.replace(f"{memory}float64)", f"{memory}H)"))
    assert found.reason == "TypeError: memory whose dtype is an array"


def test_a_loop_that_reads_nothing_of_the_step_runs_once_for_each():
    """Of a segment whose states are known nothing is carried; what is left of its loop must still be over time."""
    found = check_every_size(CELLS["rnn"], lambda text: text.replace("range(T)", "range(2 * T)"), checkpoint=2)
    assert found.reason == "Undecided: a loop of 2*T steps"


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS.values(), ids=list(CELLS))
def test_it_takes_less_than_a_second(cell):
    assert min(check_every_size(cell).seconds for _ in range(3)) < 1
    assert min(check_emitted(cell, kernels=True).seconds for _ in range(3)) < 1


@pytest.mark.parametrize(
    ("right", "wrong", "parts"),
    [
        ("", "", []),
        ("multiply(b0, F, in1_out)", "multiply(b0, v_20, in1_out)", ["d C"]),
        (
            "multiply(b0, v_32, t9_s_1)",
            "multiply(b0, v_28, t9_s_1)",
            ["d H", "d X", "d W_xc", "d W_hc", "d b_c"],
        ),
    ],
    ids=["right", "forget gate", "candidate"],
)
def test_the_step_is_the_cell_and_its_derivative(right, wrong, parts):
    """Forward and backward text together, against the cell's own code; what a change spoils is named."""
    lstm, reading = CELLS["lstm"], Reading(CELLS["lstm"])
    scans = scans_of(lstm, reading.values)
    assert right in scans[1].compiled.loop.source
    with fresh():
        assert emitted_step(lstm, reading, *scans, lambda text: text.replace(right, wrong)) == (18, parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell", [CELLS["lstm"], CELLS["gru"], OWN["normed_rnn"], OWN["two_speeds"]], ids=lambda c: c.name
)
def test_every_fault_in_every_text_is_not_proved(cell):
    planted, unproved = refused(cell, 1)
    assert planted > 60
    assert unproved > 0.9 * planted


def test_a_fault_in_a_kernel_is_not_proved():
    def wrong(text):
        return text.replace("b1[row, column] * F[t, row, column]", "b1[row, column] + F[t, row, column]")

    assert check_every_size(CELLS["lstm"], kernels=True)
    found = check_every_size(CELLS["lstm"], wrong, kernels=True)
    assert found.verdict == "unknown"
    assert found.reason.startswith("the emitted text of back: ")


# ---- the layers ----------------------------------------------------------------------------------
@pytest.mark.parametrize("cell", [CELLS["rnn"], CELLS["lstm"], OWN["token_rnn"]], ids=lambda c: c.name)
def test_the_proof_covers_the_code_that_runs(cell):
    proof = prove(cell, fast=True)
    assert proof.verdict == "proved"
    text, run = proof.checks[-3:-1]
    assert (text.name, text.verdict, text.sampled) == ("emitted", "proved", False)
    assert (run.name, run.verdict, run.sampled) == ("emitted run", "agrees", True)
    assert text.detail.endswith("identities of its text, without and with kernels")
    assert re.fullmatch(
        r"\d+ and \d+ lines, without and with kernels; wrong code agrees .* < .*e-1\d", run.detail
    )
    assert any(
        "no size is 1, and the fast path emits one of the texts judged, up to sizes: compared at n = 5" in c
        for c in text.conditions
    )


def test_a_wrong_emitter_is_refuted_and_only_where_it_is_asked(monkeypatch):
    fast.run.forget()
    swapped = emit._operator("subtract", flip=True)
    monkeypatch.setattr(emit.Handle, "__sub__", swapped)
    try:
        assert prove(CELLS["gru"]).verdict == "proved"
        proof = prove(CELLS["gru"], fast=True)
    finally:
        fast.run.forget()
    assert proof.verdict == "refuted"
    text, run = proof.checks[-3:-1]
    assert text.verdict == "unknown"
    assert text.detail.startswith("the emitted text of ")
    assert run.verdict == "refuted"
    assert "differs" in str(proof.counterexample)


def test_what_runs_step_by_step_is_not_judged(monkeypatch):
    def refuse(*_):
        raise CannotCompile("not today")

    fast.run.forget()
    monkeypatch.setattr(fast.run, "Compiled", refuse)
    with pytest.warns(fast.StepByStep, match="not today"):
        text = prove(CELLS["rnn"], fast=True).checks[-3]
    fast.run.forget()
    assert text.verdict == "proved"
    assert text.detail == "none of its scans is compiled: they run step by step, as audited"


def test_the_command_says_so():
    done = CliRunner().invoke(cli, ["prove", "rnn", "--fast"])
    assert done.exit_code == 0
    assert re.search(r"proved +emitted +the emitted code = the step and its derivative", done.output)
    assert re.search(
        r"agrees +emitted run +that code, run = the plain scan, mod 2\^61 - 1, T = 1, 2, 3", done.output
    )


# ---- reading numbers as sizes --------------------------------------------------------------------
def test_numbers_are_read_as_sums_of_sizes():
    reading = Reading(CELLS["lstm_concat"])
    n, d = reading.values["n"], reading.values["d"]
    assert reading.of(4 * n) == Size(("n",) * 4)
    assert reading.of((n + d, 3, slice(n, 2 * n))) == (
        Size(("n", "d")),
        3,
        slice(Size(("n",)), Size(("n", "n"))),
    )
    text, names = reading.text(f"y = add(env[{n}], x[..., 0:{n}], empty((T, {n + d}), 'float64'))")
    assert text == f"y = add(env[{n}], x[..., 0:size_{n}], empty((T, size_{n + d}), 'float64'))"
    assert names == {f"size_{n}": Size(("n",)), f"size_{n + d}": Size(("n", "d"))}


def test_a_number_that_is_no_sum_of_sizes_is_undecided():
    with pytest.raises(
        Undecided, match=re.escape("the number 1009 is not one sum of the sizes {'n': 37, 'd': 23")
    ):
        Reading(CELLS["rnn"]).of(1009)


def test_what_is_undecided_is_unknown_and_named():
    found = check_every_size(overlapping)
    assert found.verdict == "unknown"
    assert found.reason.startswith("Undecided: the number 36 is not one sum of the sizes {'n': 37,")
    assert check_emitted(overlapping)
