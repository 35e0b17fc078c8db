"""`minigrad bench`: the peers compute the same, what is not there is named, ratios and bars follow from times."""

from __future__ import annotations

import re
import sys
import time

import numpy as np
import pytest

from minigrad.bench import first, length, measure, own, peers, problem, process, profile, report, tables
from minigrad.cells import CELLS, VARIANTS
from minigrad.cli import main

SMALL = (5, 3, 4, 6)
ALL = (*problem.LAYERS, *problem.NO_LAYER)
FRAMEWORKS = [p for p in sorted(peers.PEERS) if p not in (*peers.RUNNERS, *peers.FLOORS)]
QUICK = [p for p in FRAMEWORKS if p not in ("torch.compile", "PyTensor scan", "torch loop")]
ONE = process.Setting()


def agree(peer, cell, train):
    """Value and all gradients, or the outputs, to single precision: against minigrad's."""
    expected = own.ours(cell, *SMALL, train)()
    assert len(expected) == (2 + len(problem.the_cell(cell).params) if train else 1)
    try:
        step = peers.PEERS[peer].step(cell, *SMALL, train)
    except problem.NoPeer as e:
        pytest.skip(str(e))
    for a, b in zip(step(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-5, atol=2e-7)


# ---- the peers ------------------------------------------------------------------------------------------
@pytest.mark.parity
@pytest.mark.parametrize("train", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("cell", ALL)
def test_the_torch_loop_computes_the_same(cell, train):
    agree("torch loop", cell, train)


@pytest.mark.parity
@pytest.mark.parametrize("train", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("peer", "cell"), [(p, c) for p in QUICK for c in ALL if p != "torch.nn" or c in CELLS])
def test_the_peers_compute_the_same(peer, cell, train):
    agree(peer, cell, train)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("cell", ALL)
@pytest.mark.parametrize("peer", ["torch.compile", "PyTensor scan", "jax unrolled"])
def test_the_peers_that_compile_for_long_compute_the_same(peer, cell, monkeypatch):
    monkeypatch.setitem(peers.PEERS, "jax unrolled", peers.Peer(first.others.jax_unrolled))
    agree(peer, cell, True)


@pytest.mark.parametrize("peer", ["numpy GEMM", "torch.nn"])
def test_a_peer_without_the_layer_says_so(peer):
    with pytest.raises(problem.NoPeer, match=f"{peer} has no mgu"):
        peers.PEERS[peer].step("mgu", *SMALL)


@pytest.mark.parametrize("peer", [*FRAMEWORKS, "numba runner", "torch GEMM"])
def test_a_peer_that_is_not_installed_says_so(peer, monkeypatch):
    def missing(library):
        raise ImportError(library)

    monkeypatch.setattr(problem, "import_module", missing)
    with pytest.raises(problem.NoPeer, match=rf"{re.escape(peer)}: \w+ is not installed"):
        peers.PEERS[peer].step("lstm", *SMALL)


def test_the_cells_are_built_in():
    assert set(problem.NO_LAYER) <= set(CELLS | VARIANTS)
    assert {problem.the_cell(c).name for c in problem.LAYERS} <= set(CELLS)


@pytest.mark.parametrize(("cell", "train"), [("rnn", True), ("lstm", True), ("gru", False)])
def test_the_floor_is_the_products_of_the_step_alone(cell, train):
    """As many multiplications as torch.nn's layer of that size has, counted."""
    T, B, d, n = SMALL
    done = []

    def product(a, b, out):
        assert out.shape == (a.shape[0], b.shape[1])
        done.append(a.shape[0] * a.shape[1] * b.shape[1])

    own._products("floor", cell, SMALL, train, product, lambda a: a)()
    assert sum(done) == T * B * problem.GATES[cell] * n * (d + n) * (3 if train else 1)


# ---- processes ------------------------------------------------------------------------------------------
def test_a_process_that_takes_too_long_is_stopped_and_what_it_said_is_kept():
    start = time.perf_counter()
    asked = ["numpy runner", ["lstm"], [(5, 1, 2, 3), (3 * 10**6, 1, 2, 3)], False, 0.0, "process_time"]
    found = list(process.results("measure:steps", asked, ONE, sys.executable, 1.5))
    assert [row[:2] for row in found] == [["lstm", 0]]
    assert time.perf_counter() - start < 60


def test_a_process_that_fails_says_why():
    with pytest.raises(process.Failed, match=r"measure:steps .* ended with 1:(.|\n)*KeyError: 'no such cell'"):
        list(
            process.results(
                "measure:steps", ["numpy runner", ["no such cell"], [SMALL], True, 0.0, "process_time"], ONE,
                sys.executable, 60.0,
            )
        )  # fmt: skip


@pytest.mark.parametrize("one", [True, False], ids=["one thread", "all cores"])
def test_the_machine_is_described_with_what_another_python_has(one):
    how = process.Setting(one, (("torch.nn", sys.executable),))
    assert process.python_of("torch.nn", how) == process.python_of("torch loop", how) == sys.executable
    text = report.machine(how)
    assert ("one thread on one core" in text) == one
    assert ("cores" in text) != one
    assert f"numpy {np.__version__}" in text


def test_a_peers_process_that_fails_is_told_and_the_rest_is_measured(monkeypatch, tmp_path):
    def broken(*_, **__):
        raise process.Failed("measure:steps ended with -11:\nmuch\nIllegal instruction")
        yield

    heard: list[str] = []
    ask = measure.Ask(["torch loop"], ["lstm"], [SIZES[0]])
    for module in (measure, first):
        monkeypatch.setattr(module, "results", broken)
    assert measure.measured(ask, heard.append) == {}
    assert heard == ["skipped: torch loop fails: Illegal instruction"]
    assert first.first_call("torch.compile", 5, str(tmp_path), 1.0, ONE) == "torch.compile fails: Illegal instruction"
    with pytest.raises(process.Failed, match="Illegal instruction"):
        measure.measured(ask._replace(peers=["numpy runner"]), print)
    with pytest.raises(process.Failed, match="Illegal instruction"):
        first.first_call("numpy runner", 5, str(tmp_path), 1.0, ONE)


def test_another_librarys_failure_is_told_and_the_rest_is_measured(monkeypatch):
    def broken(*size):
        raise ValueError("no compiler\nand more")

    monkeypatch.setitem(peers.PEERS, "torch.compile", peers.Peer(broken))
    ((cell, k, why),) = measure.steps("torch.compile", ["lstm"], [SMALL], True, 0.0, "process_time")
    assert (cell, k) == ("lstm", 0)
    assert "torch.compile fails with lstm: ['no compiler']" in why


# ---- from times to bars ---------------------------------------------------------------------------------
SIZES = [problem.Size(35, 1, 16, 32), problem.Size(100, 32, 128, 256)]


def made(ours, theirs, peer="torch.nn", cells=("rnn", "lstm", "gru"), sizes=SIZES):
    """Times of two rounds."""
    rows = {("numpy runner", c, s): dict(enumerate(ours)) for c in cells for s in sizes}
    return rows | {(peer, c, s): dict(enumerate(theirs)) for c in cells for s in sizes}


def test_ratios_are_taken_round_by_round():
    times = made([2.0, 8.0], [1.0, 2.0])
    assert measure.ratios(times, "numpy runner", "torch.nn", "rnn", SIZES[0]) == {0: 2.0, 1: 4.0}
    assert measure.ratios(times, "numpy runner", "torch loop", "rnn", SIZES[0]) == {}
    found = measure.several(times, "numpy runner", "torch.nn", ["rnn"], SIZES)
    assert found == pytest.approx((3.0, 2.0, 4.0, 3.0, 2))
    assert "| torch.nn, RNN     | 3.00 (2.00-4.00) |" in tables.ratios_table(times, "numpy runner", ["rnn"], SIZES)


def test_the_floor_is_the_better_blas_in_each_round():
    times = {("numpy GEMM", "rnn", SIZES[0]): {0: 1.0, 1: 3.0}, ("torch GEMM", "rnn", SIZES[0]): {0: 2.0, 1: 2.0}}
    assert measure.floor(times) == {("GEMM floor", "rnn", SIZES[0]): {0: 1.0, 1: 2.0}}


@pytest.mark.parametrize(
    ("ours", "peer", "verdict"),
    [
        (1.4, "torch.nn", "met"),
        (1.6, "torch.nn", "NOT met"),
        (0.51, "torch loop", "NOT met"),
        (1.2, "GEMM floor", "met"),
        (1.3, "GEMM floor", "NOT met"),
        (1.0, "jax.lax.scan", "met"),
    ],
)
def test_a_bar_is_met_or_not(ours, peer, verdict):
    text = tables.bars_table(made([ours] * 2, [1.0] * 2, peer), ["rnn", "lstm", "gru"], SIZES)
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert len(rows) == 2 * len(tables.BARS)
    for runner, cells, against, _, _, met in rows:
        is_it = (runner, against) == ("numpy runner", peer) and cells.startswith("RNN")
        assert re.sub(" so far: . of .+", "", met) == (verdict if is_it else "not measured")


def test_one_ratio_above_the_worst_that_is_allowed_misses_the_bar():
    times = made([0.9] * 2, [1.0] * 2)
    times["numpy runner", "gru", SIZES[0]] = {0: 3.1, 1: 3.1}
    row = tables.bars_table(times, ["rnn", "lstm", "gru"], SIZES).splitlines()[2]
    assert "worst 3.10" in row
    assert row.rstrip(" |").endswith("NOT met so far: 6 of 21")


@pytest.mark.parametrize(
    ("theirs", "text", "met"),
    [
        (first.Call(None, None, 59.6), "> 596 times less", "met"),
        (first.Call(None, None, 1.0), "> 10 times less", "not decided"),
        (first.Call(0.5, 0.3), "| 2 times less", "NOT met"),
    ],
)
def test_a_compiler_that_was_stopped_is_never_given_a_time(theirs, text, met):
    found = {"numpy runner": first.Call(0.15, 0.05), "jax unrolled": theirs}
    lines = first.bars(found, 1024).splitlines()[2:]
    assert [line for line in lines if text in line and line.rstrip(" |").endswith(met)] == [lines[2]]
    assert lines[0].split("|")[4:6] == [" 0.10 s".ljust(len(lines[0].split("|")[4])), " met".ljust(14)]
    assert first.Call(None, None, 59.6).cells() == ["> 60", "–", "> 60"]


def test_a_first_call_is_timed_in_a_process_with_an_empty_cache(tmp_path):
    call = first.first_call("numpy runner", 5, str(tmp_path), 60.0, ONE)
    assert call.first > call.second > 0
    stopped = first.first_call("numpy runner", 3 * 10**5, str(tmp_path), 1.5, ONE)
    assert stopped.first is None
    assert 0 <= stopped.compiling <= 1.5


@pytest.mark.parametrize(
    ("file", "function", "part"),
    [
        ("<loop of lstm 1>", "loop", "loops over time"),
        ("/cache/minigrad/kernels/k0.py", "loop", "loops over time"),
        ("/cache/minigrad/kernels/k1.py", "product", "before and after the loops"),
        ("C:\\minigrad\\fast\\stacks.py", "run", "before and after the loops"),
        ("<before the loop of back>", "before", "before and after the loops"),
        ("<sums over time of back>", "sums", "before and after the loops"),
        ("/x/minigrad/engine/core.py", "loop", "engine around them, loss"),
        ("/x/minigrad/bench/own.py", "run", "the rest"),
    ],
)
def test_the_profile_knows_whose_code_it_is(file, function, part):
    assert profile.part(file, function) == part


def test_the_shares_of_a_step_are_a_whole():
    ((ms, products, *shares),) = profile.shares("numpy runner", "lstm", SMALL, 0.0)
    assert 0 < products < ms
    assert sum(shares) == pytest.approx(1)
    assert shares[0] > 0.02


# ---- length ---------------------------------------------------------------------------------------------
def test_tracing_cutting_and_emitting_do_not_depend_on_the_length():
    """Counted, not timed: the calls that only the first step makes."""
    step = peers.PEERS["numpy runner"].step
    own.ours("lstm", 3, 1, 4, 6)()  # loads what is loaded once in a process
    short, long = (length.once(step("lstm", T, 1, 4, n)) for T, n in ((10, 7), (300, 8)))
    assert long == pytest.approx(short, rel=2e-3)


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_exponent_of_a_power_is_found(power):
    lengths = (1, 2, 4, 8)
    assert length.exponent(lengths, [3.0 * T**power for T in lengths]) == pytest.approx(power)


# ---- the command ----------------------------------------------------------------------------------------
def test_the_command_times_what_is_asked_for_and_names_what_is_skipped(tmp_path, capsys):
    page = tmp_path / "speed.md"
    page.write_text("# Speed\n<!-- inference -->\nold\n<!-- end -->\nrest\n", encoding="utf-8")
    asked = ["--cells", "mgu", "--peers", "numpy runner,numpy GEMM", "--grid", "0", "--seconds", "0", "--rounds", "1"]
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "inference", *asked, "--page", str(page)])
    out, err = capsys.readouterr()
    assert "Inference alone" in out
    assert "| mgu numpy runner | " in out
    assert "skipped: numpy GEMM with mgu\n" in err
    assert "round 1 of 1: numpy runner, " in err
    text = page.read_text(encoding="utf-8")
    assert out.strip() in text
    assert "old" not in text
    assert text.endswith("<!-- end -->\nrest\n")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--cells", "lstn", "there is no cell 'lstn'; choose among rnn"),
        ("--peers", "torch.nn,keras", "there is no peer 'keras'; choose among numpy runner, numba runner"),
        ("--grid", "9", "there is no size '9'; choose among 0, 1"),
        ("--python", "keras=python", "there is no peer 'keras'; choose among"),
        ("--python", "torch.nn=/no/python", "--python torch.nn=/no/python: there is no such file; give the path"),
        ("--page", "README.md", "README.md: no line <!-- training --> to put the table after; write it"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_measured(option, value, why, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "training", option, value])
    assert why in capsys.readouterr().err


def test_the_sizes_are_those_that_the_help_lists(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "--help"])
    text = "".join(capsys.readouterr().out.split())
    assert ",".join(map(str, problem.GRID)) in text


def test_the_page_has_a_place_for_every_table():
    page = process.ROOT / "docs" / "speed.md"
    if not page.exists():
        pytest.skip("the pages are not here")
    for name in report.TABLES:
        report.around(page, name)
    report.around(page, "training, all cores")
