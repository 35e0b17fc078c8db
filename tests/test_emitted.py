"""The emitted code is judged: the right one agrees, for every cell; a fault planted in its text is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from emitter_faults import faults, overlapping
from own_cells import OWN

from minigrad.cells import CELLS
from minigrad.domains import entries
from minigrad.domains.field import FIELD, fresh
from minigrad.fast import Compiled
from minigrad.prove.runs.emitted import check_emitted, differs_in_floats, judge, scans_of, texts, written

ALL = {**CELLS, **OWN}
every_cell = pytest.mark.parametrize("cell", ALL.values(), ids=list(ALL))


@every_cell
@pytest.mark.parametrize("kernels", [False, True], ids=["lines", "kernels"])
def test_the_code_that_runs_is_the_plain_scan(cell, kernels):
    found = check_emitted(cell, kernels=kernels)
    assert found.verdict == "agrees", str(found)
    assert found.scans == (cell.name, "back")
    assert found.lines > 10
    assert found.error < 1e-6


def test_parts_that_are_added_in_a_compiled_loop():
    assert check_emitted(overlapping, kernels=True)


@pytest.mark.parametrize(
    "how", [{"truncate": 2}, {"reverse": True}, {"truncate": 1, "reverse": True}], ids=str
)
@pytest.mark.parametrize("cell", [CELLS["lstm"], CELLS["gru"], OWN["two_speeds"]], ids=lambda c: c.name)
def test_reversed_and_truncated(cell, how):
    assert check_emitted(cell, **how)


@pytest.mark.parametrize(
    "sizes",
    [{"n": 1, "d": 1, "batch": 1}, {"n": 2, "d": 2, "batch": 2}, {"n": 2, "d": 5, "batch": 3}],
    ids=str,
)
@pytest.mark.parametrize("name", ["lstm", "gru_concat"])
def test_at_sizes_where_code_might_go_another_way(name, sizes):
    assert check_emitted(CELLS[name], sizes, steps=(1, 4))


def test_the_kernels_text_is_judged_without_numba():
    _, back = scans_of(CELLS["lstm"])
    (text,) = (t for t in texts(Compiled(back.program, back.layout, kernels=True)) if "def loop(" in t)
    assert "for column in range(" in text
    wrong = text.replace("b0[row, column] =", "b0[row, 0] =", 1)
    assert wrong != text
    found = judge(back, kernels=True, edit=lambda t: wrong if t == text else t)
    assert found.verdict == "refuted"
    assert "memory that was never written is read" in found.reason


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_both_texts_are_judged_whichever_runs(name):
    found = scans_of(CELLS[name])[1]
    with_kernels = replace(found, compiled=Compiled(found.program, found.layout, kernels=True))
    assert all("for column in range(" in compiled.loop.source for compiled in written(found, True))
    assert written(with_kernels, True)[0] is with_kernels.compiled
    assert [*map(texts, written(with_kernels, False))] == [*map(texts, written(found, False))]
    assert judge(with_kernels)
    assert judge(with_kernels, kernels=True)


@pytest.mark.parametrize("cell", [CELLS["gru"], OWN["normed_rnn"], overlapping], ids=lambda c: c.name)
def test_no_text_is_left_out(cell):
    """Sums over time too have a text: what is compared, and where faults are planted, is all that is emitted."""
    for scan in scans_of(cell):
        assert "\n".join(texts(scan.compiled)) == scan.compiled.source
    sums = texts(scan.compiled)[-1]
    assert sums.startswith("def sums(")
    wrong = [text for _, text in faults(sums)]
    assert len(wrong) > 5
    assert not any(judge(scan, edit=lambda t, w=w: w if t == sums else t) for w in wrong)


# ---- planted faults ------------------------------------------------------------------------------
def table(cell, kernels, every=1):
    """How many faults of each kind were planted, refused, and are none: the same numbers after all."""
    planted, refused, equal = Counter(), Counter(), Counter()
    for scan in scans_of(cell):
        found = {text: compiled for compiled in written(scan, kernels) for text in texts(compiled)}
        for text, compiled in found.items():
            for kind, wrong in list(faults(text))[::every]:
                edit = lambda t, text=text, wrong=wrong: wrong if t == text else t  # noqa: E731
                planted[kind] += 1
                if judge(scan, kernels=kernels, edit=edit):
                    assert not any(differs_in_floats(compiled, scan, T, edit=edit) for T in (1, 2, 3)), wrong
                    equal[kind] += 1
                else:
                    refused[kind] += 1
    return planted, refused, equal


SOME = [(CELLS["rnn"], False, 1), (CELLS["gru"], False, 9), (CELLS["lstm"], True, 9), (overlapping, False, 2)]


@pytest.mark.parametrize(("cell", "kernels", "every"), SOME, ids=[c.name for c, _, _ in SOME])
def test_faults_in_the_text_are_refused(cell, kernels, every):
    planted, refused, equal = table(cell, kernels, every)
    assert planted.total() >= 20
    assert refused + equal == planted
    assert refused.total() > 0.9 * planted.total()


def test_parts_overwritten_where_they_are_added_are_refused():
    _, back = scans_of(overlapping)
    (text,) = (t for t in texts(back.compiled) if "def loop(" in t)
    wrong = [w for kind, w in faults(text) if kind == "overwritten, not added"]
    verdicts = [judge(back, edit=lambda t, w=w: w if t == text else t).verdict for w in wrong]
    assert verdicts == ["agrees", "refuted"]  # into zeros, the first may be written as well as added


@pytest.mark.slow
def test_every_fault_in_every_text_is_refused():
    kinds: dict[str, Counter] = {w: Counter() for w in ("planted", "refused", "equal")}
    for cell in (*CELLS.values(), OWN["peephole_lstm"], OWN["normed_rnn"], OWN["two_speeds"], overlapping):
        for kernels in (False, True):
            for total, found in zip(kinds.values(), table(cell, kernels), strict=True):
                total.update(found)
    print()
    for kind, n in sorted(kinds["planted"].items()):
        print(f"{kind:24} {n:5} planted {kinds['refused'][kind]:5} refused {kinds['equal'][kind]:5} equal")
    assert kinds["planted"].total() > 2000


def test_what_is_written_into_an_argument_is_seen():
    scan, _ = scans_of(CELLS["rnn"])
    found = judge(scan, edit=lambda t: t + "    env[2][...] = env[2] + env[2]\n" if "def before" in t else t)
    assert found.verdict == "refuted"
    assert found.reason == "rnn, T = 1: argument W is written into"


def test_a_fault_that_shows_at_two_steps_only():
    scan, _ = scans_of(CELLS["rnn"])
    found = judge(scan, edit=lambda t: t.replace("in zip(h_in,", "in zip([h_in[0]] * T,"))
    assert found.verdict == "refuted"
    assert found.reason.startswith("rnn, T = 2: final state h2 differs")


def test_code_that_does_not_run_is_refused():
    scan, _ = scans_of(CELLS["rnn"])
    found = judge(scan, edit=lambda t: t.replace("tanh(", "tan_h("))
    assert found.verdict == "refuted"
    assert "cannot be run: NameError: name 'tan_h' is not defined" in found.reason


# ---- the numbers ---------------------------------------------------------------------------------
def test_entries_are_the_field():
    """numpy's loops on entries give what the field gives on whole arrays."""
    with fresh(3) as field:
        x, y = field.random(2, 3), field.random(2, 3)
        a, b = entries.to_array(x), entries.to_array(y)
        pairs = [
            (a + b, x + y), (a - b, x - y), (a * b, x * y), (a / b, x / y), (1 - a / 2, 1 - x / 2),
            (np.tanh(a), field.tanh(x)), (np.exp(a), field.exp(x)), (np.log(a), field.log(x)),
            (np.dot(a, b.T), field.matmul(x, field.transpose(y, (-1, -2)))), (np.add.reduce(a, 0), field.sum(x, -2)),
            (entries.UFUNCS[np.maximum](a, b), field.maximum(x, y)),
            (entries.UFUNCS[np.greater](a, 0.0), field.greater(x, 0)),
            (entries.UFUNCS[np.logaddexp](a, 0), field.softplus(x)),
            (entries.UFUNCS[np.power](a, 3.0), field.power(x, 3)),
            (entries.UFUNCS[np.power](a, b), field.power(x, y)),
            (entries.ENTRIES.logsumexp(a, (-1,), True), field.logsumexp(x, (-1,), True)),
        ]  # fmt: skip
        for k, (found, true) in enumerate(pairs):
            gap = entries.to_field(found) - true
            assert not gap.a.any(), k
            assert entries.to_field(found).degree <= max(true.degree, 2), k


def test_what_depends_on_unwritten_memory_is_known():
    with fresh():
        a = entries.memory((2, 2), np.float64)
        a[0] = entries.to_array(FIELD.random(2))
        b = a * 2 + np.tanh(a)
        assert [e.value is None for e in b.flat] == [False, False, True, True]
        assert all(e.value is None for e in np.dot(a, a).flat)
        with pytest.raises(entries.NeverWritten, match=r"^it depends on memory that has never been written$"):
            entries.to_field(b)
        a.fill(0)
        assert not entries.to_field(a).a.any()
        with pytest.raises(TypeError, match=r"^a branch on a number modulo p, which has no order$"):
            bool(a[0, 0])
