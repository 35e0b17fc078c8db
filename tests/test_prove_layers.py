"""The table of layers: what each line claims and of which run, and what is said where one is undecided."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from own_cells import smooth_mixture
from planted import planted

import minigrad as mg
from minigrad.cells import CELLS, cell, gru, lstm, rnn
from minigrad.domains.sizes import SIZES
from minigrad.engine.core import TABLE, Primitive
from minigrad.prove import Check, Proof, check_backward, prove
from minigrad.prove.culprits import culprits
from minigrad.prove.layers import LAYERS, WITNESSES, run_sizes
from minigrad.prove.runs.checks import audit_check, modular_check

NAMES = ["rows", "scan", "every size", "loss", "closed form", "duality", "truncated", "audit", "modular"]


def line(proof, name):
    return next(c for c in proof.checks if c.name == name)


# ---- the table -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_every_layer_has_a_line_with_its_verdict_and_time(name):
    proof = prove(CELLS[name])
    assert [c.name for c in proof.checks] == NAMES
    assert len(NAMES) == len(LAYERS)
    assert [c.verdict for c in proof.checks] == ["proved"] * 8 + ["agrees"]
    assert all(c.seconds > 0 for c in proof.checks)
    for c in proof.checks:
        assert f"{c.verdict}  {c.name} " in " ".join(str(proof).replace(c.claim, "").split(" "))


def test_the_witnesses_come_on_request():
    names = [c.name for c in prove(rnn, witness=True).checks]
    assert names == [*NAMES, *(w.__name__ for w in WITNESSES)]


@pytest.mark.parametrize("steps", [1, 5])
def test_the_user_says_how_long_the_run_is(steps):
    proof = prove(lstm, steps=steps)
    assert f"is {steps} copies of that step" in line(proof, "audit").claim
    assert line(proof, "audit").detail.startswith(f"{steps} copies of one step, {25 * steps} nodes")
    assert f"T = {steps}, n = 3, d = 2, batch = 4" in line(proof, "modular").claim


@pytest.mark.parametrize("steps", [0, -1])
def test_a_run_has_a_step(steps):
    with pytest.raises(ValueError, match=rf"prove: steps = {steps}; a run has at least 1 time step"):
        prove(rnn, steps=steps)


def test_progress_goes_from_layer_to_layer_and_only_on():
    seen = []
    prove(rnn, progress=lambda what, part: seen.append((what, part)))
    assert [what for what, _ in seen if "," not in what] == NAMES
    assert ("modular, point 2 of 2, graph", pytest.approx(8.5 / 9)) in seen
    parts = [part for _, part in seen]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert parts[-1] < 1


def test_a_backward_of_a_sequence_says_which_length_it_is_judged_at():
    def backward(is_, h0, dhs, W, U, b):
        steps, grads, dh = len(is_), {k: np.zeros_like(v) for k, v in (("W", W), ("U", U), ("b", b))}, 0 * h0
        hs = [h0]
        for t in range(steps):
            hs.append(np.tanh(is_[t] @ W + hs[-1] @ U + b))
        for t in reversed(range(steps)):
            d = (dh + dhs[t]) * (1 - hs[t + 1] ** 2)
            grads["W"] += is_[t].T @ d
            grads["U"] += hs[t].T @ d
            grads["b"] += d.sum(axis=0)
            dh = d @ U.T
        return grads

    seen = []
    found = check_backward(rnn, backward, progress=lambda *now: seen.append(now))
    assert found.verdict == "proved"
    assert seen == [("T = 1", 0), ("T = 2", 1 / 3), ("T = 3", 2 / 3)]


# ---- of a run --------------------------------------------------------------------------------------
def test_sizes_of_a_run_tell_the_axes_apart():
    for c in CELLS.values():
        sizes = run_sizes(c)
        assert len(set(sizes.values())) == len(sizes)
        assert min(sizes.values()) >= 2


def test_a_cell_that_is_another_one_at_each_step_is_found_by_the_audit():
    count = itertools.count()

    @cell(h="n", x="d", W="d n")
    def restless(h, /, x, *, W):
        return mg.tanh(x @ W + h) * (1 + next(count) % 2)

    found = audit_check(restless, 4, run_sizes(restless))
    assert found.verdict == "unknown"
    assert "not 4 copies of one step (2 forms)" in found.detail


def test_a_step_that_does_not_run_on_sizes_is_audited_alone(monkeypatch):
    @cell(h="n", x="d", W="d n")
    def odd(h, /, x, *, W):
        return mg.tanh(x @ W + mg.sin(h))

    monkeypatch.delattr(type(SIZES), "sin")
    found = audit_check(odd, 3, run_sizes(odd))
    assert found.verdict == "unknown"
    assert found.detail.startswith("3 copies of one step, 12 nodes")
    assert "the step for every size cannot be run on symbols: Undecided: sin has no rule" in found.detail


def test_the_modular_run_claims_no_more_than_it_saw():
    found = modular_check(gru, 3, run_sizes(gru), mg.mse)
    assert (found.verdict, found.sampled) == ("agrees", True)
    assert "a wrong gradient agrees with probability < " in found.detail
    with planted(TABLE["tanh"], lambda g, y, x: (g * (1 + y * y),)):
        found = modular_check(gru, 3, run_sizes(gru), mg.mse)
    assert found.verdict == "refuted"
    assert found.detail.startswith("wrong: ")
    assert "dL/dW_xz" in found.counterexample.what
    assert "in floating point, T = 3" in found.counterexample.reason


def test_where_the_bound_says_nothing_the_statement_stays_proved():
    proof = prove(smooth_mixture, steps=6)
    assert line(proof, "modular").verdict == "unknown"
    assert line(proof, "modular").detail.startswith("the error bound says nothing: ")
    assert proof.verdict == "proved"


@pytest.mark.parametrize(
    ("layers", "sampled", "verdict"),
    [
        (["proved"], "agrees", "proved"),
        (["proved"], "unknown", "proved"),
        (["unknown"], "agrees", "unknown"),
        (["proved"], "refuted", "refuted"),
    ],
)
def test_what_is_sampled_can_refute_and_cannot_prove(layers, sampled, verdict):
    checks = [Check("x", "", v, 0.0) for v in layers] + [Check("y", "", sampled, 0.0, sampled=True)]
    assert Proof("x", "x", tuple(checks)).verdict == verdict


# ---- unknown ---------------------------------------------------------------------------------------
@cell(h="n", x="d", W="d n")
def wave(h, /, x, *, W):
    y = x @ W
    return mg.sin(y + h)


HERE = f"{__file__}:{wave.fn.__code__.co_firstlineno + 3}: return mg.sin(y + h)"


def test_a_primitive_that_sizes_cannot_run_is_named_and_the_others_report(monkeypatch):
    monkeypatch.delattr(type(SIZES), "sin")
    proof = prove(wave)
    assert proof.verdict == "unknown"
    assert line(proof, "every size").verdict == "unknown"
    assert f"sin has no rule for arrays of symbolic size (in {HERE})" in line(proof, "every size").detail
    verdicts = {name: line(proof, name).verdict for name in ("modular", "step", "whole", "sympy")}
    assert verdicts == {"modular": "agrees", "step": "proved", "whole": "proved", "sympy": "proved"}
    assert "the sizes stated below, and no others" in proof.statement


def test_a_vjp_that_cannot_be_decided_is_named_with_its_line():
    """cos x = 1 - 2 sin^2(x/2) is right, and no rule of ours."""
    with planted(TABLE["sin"], lambda g, y, x: (g * (1 - 2 * mg.sin(x / 2) ** 2),)):
        assert [c.partition(" (in ")[0] for c in culprits(wave)] == ["sin"]
        proof = prove(wave)
    assert line(proof, "every size").detail.endswith(f"it is the vjp of sin (in {HERE})")
    assert proof.verdict == "unknown"
    assert {"modular", "step", "whole", "sympy"} < {c.name for c in proof.checks}
    assert culprits(wave) == ()


def test_a_division_by_zero_at_one_size_is_named():
    @cell(h="n", x="d", W="d n")
    def spread(h, /, x, *, W):
        return mg.tanh(x @ W) * mg.var(h, axis=-1, keepdims=True) ** 0.5  # at n = 1 there is no derivative

    (found,) = culprits(spread)
    assert found.startswith(f"power (in {__file__}:")


def test_a_row_of_ones_own_that_knows_numpy_alone_is_named_by_its_line():
    arctan = Primitive(
        "arctan", "pointwise", "", lambda m, x: np.arctan(x), lambda g, y, x: (g / (1 + x * x),)
    )

    @cell(h="n", x="d", W="d n")
    def unusual(h, /, x, *, W):
        return arctan(h + x @ W)

    proof = prove(unusual)
    assert proof.verdict == "unknown"
    assert "np.arctan(x)" in line(proof, "every size").detail
    assert "cannot be run on integers modulo a prime" in line(proof, "modular").detail
    assert line(proof, "sympy").verdict == "unknown"


def test_no_witness_is_asked_once_it_is_refuted():
    with planted(TABLE["sin"], lambda g, y, x: (g * mg.cos(x) * 2,)), pytest.MonkeyPatch.context() as m:
        m.delattr(type(SIZES), "sin")
        proof = prove(wave)
    assert line(proof, "every size").verdict == "unknown"
    assert proof.verdict == "refuted"
    assert [c.name for c in proof.checks] == NAMES
