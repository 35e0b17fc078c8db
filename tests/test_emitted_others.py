"""The proof of the emitted code covers every program that the fast path compiles, not training in float64 alone."""

from __future__ import annotations

import re

import pytest
from emitter_faults import faults
from own_cells import OWN

from minigrad.cells import CELLS
from minigrad.prove import prove
from minigrad.prove.runs import checks
from minigrad.prove.runs.checks import OTHER_RUNS, emitted_others_check
from minigrad.prove.runs.emitted import check_emitted, differs_in_floats, judge, scans_of, texts
from minigrad.prove.runs.everysize import check_every_size

ALL = {**CELLS, **OWN}
RUNS = {**OTHER_RUNS, "second order": {"order": 2}, "truncated second order": {"order": 2, "truncate": 1}}
FEW = ("rnn", "two_speeds", "token_rnn")
UNREAD = {("smooth_mixture", 2)}  # joins one column with n: n+1 is no sum of the sizes
CASES = [
    pytest.param(ALL[name], how, id=f"{name}-{what}", marks=[pytest.mark.slow] * (name not in FEW))
    for what, how in RUNS.items()
    for name in ALL
]


@pytest.mark.parametrize(("cell", "how"), CASES)
def test_the_text_gives_what_its_program_gives(cell, how):
    """For every size, from the text itself; and run by numpy on numbers modulo a prime."""
    assert check_emitted(cell, **how)
    found = check_every_size(cell, **how)
    assert found.verdict == ("unknown" if (cell.name, how.get("order")) in UNREAD else "proved"), found.reason


@pytest.mark.slow
@pytest.mark.parametrize("how", RUNS.values(), ids=list(RUNS))
@pytest.mark.parametrize("cell", ALL.values(), ids=list(ALL))
def test_with_kernels(cell, how):
    assert check_emitted(cell, kernels=True, **how)
    assert check_every_size(cell, kernels=True, **how) or (cell.name, how.get("order")) in UNREAD


def test_which_programs_these_are():
    def programs(**how):
        found = scans_of(CELLS["gru"], **how)
        assert all(s.compiled for s in found)
        return [(s.program.name, str(s.layout), str(s.program.inputs[0].dtype)) for s in found]

    forward, backward = ("gru", "1 state, 1 seq", "float64"), ("back", "1 state, 6 seq, reverse", "float64")
    assert programs() == [forward, backward]
    assert programs(order=0) == [forward]
    assert programs(dtype="float32") == [(*p[:2], "float32") for p in (forward, backward)]
    cut = [layout for _, layout, _ in programs(truncate=2)]
    assert cut == ["1 state, 1 seq, cut [2]", "1 state, 7 seq, reverse"]  # one more: where the state is kept
    assert len(programs(order=2)) == 4
    assert {name for name, *_ in programs(checkpoint=2)} == {"gru", "back"}


def test_a_step_of_a_truncated_scan_that_always_cuts_is_refused():
    """The mask is read where the state enters: without it no gradient flows on."""
    _, back = scans_of(CELLS["rnn"], truncate=1)
    (text,) = (t for t in texts(back.compiled) if "def loop(" in t)
    masked = [line for line in text.splitlines() if "where=" in line]
    assert len(masked) == 1
    wrong = text.replace(masked[0].split("; ")[1], "pass")
    assert judge(back, (3,)).verdict == "agrees"
    assert not judge(back, (3,), edit=lambda t: wrong if t == text else t)


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"order": 2}, {"truncate": 1}, {"dtype": "float32"}], ids=str)
@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_faults_in_these_texts_are_refused(name, how):
    planted = refused = 0
    for scan in scans_of(CELLS[name], **how):
        for text in texts(scan.compiled):
            for _, wrong in faults(text):
                edit = lambda t, text=text, wrong=wrong: wrong if t == text else t  # noqa: E731
                planted += 1
                if judge(scan, edit=edit):
                    assert not any(differs_in_floats(scan.compiled, scan, T, edit=edit) for T in (1, 2, 3)), wrong
                else:
                    refused += 1
    assert refused > 0.9 * planted > 30


def test_the_proof_says_so():
    line = prove(CELLS["rnn"], fast=True).checks[-1]
    assert (line.name, line.verdict) == ("emitted others", "proved")
    assert line.claim == "so is the code of other runs: inference, float32, reverse, truncate, checkpoint"


def test_what_cannot_be_read_is_unknown_and_named(monkeypatch):
    monkeypatch.setattr(checks, "OTHER_RUNS", {"second order": {"order": 2}})
    found = emitted_others_check(OWN["smooth_mixture"])
    assert found.verdict == "unknown"
    assert re.match("second order: Undecided: the number [0-9]+ is not one sum of the sizes", found.detail)
