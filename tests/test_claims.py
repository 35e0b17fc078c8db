"""The articles' claims: each decided as docs/claims.md says, its numbers again by another path."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.domains.contractions import Sum
from minigrad.domains.sizes import Undecided, fresh
from minigrad.prove.claims import CLAIMS, check_claims
from minigrad.prove.claims.__main__ import markdown
from minigrad.prove.opened import Opened, bounds, zero_everywhere

PAGE = Path(__file__).parents[1] / "docs" / "claims.md"
VERDICTS = {
    "Reset gate near 1: a plain RNN": ["proved", "corrected"],
    "Reset gate near 0: a perceptron of x, the old state reset": ["proved", "corrected"],
    "The new state is a convex combination": ["proved", "proved", "proved", "corrected"],
    "Gates lie in (0, 1), candidates in (-1, 1)": ["proved"] * 5 + ["corrected"],
    "A forget gate near 0 forgets, near 1 keeps": ["proved"],
    "An LSTM is not bothered by vanishing gradients": ["proved", "corrected"],
    "A plain RNN's gradient vanishes or explodes": ["proved", "corrected"],
    "A GRU merges the forget and input gates into its update gate": ["proved"],
    "The code is the equations": ["proved", "corrected"],
    "The equations are an LSTM's": ["corrected", "proved"],
}


@pytest.fixture(scope="module")
def checks():
    return check_claims()


def test_every_claim_is_decided(checks):
    assert {c.claim.title: [s.verdict for s in c.statements] for c in checks} == VERDICTS
    assert [c.title for c in CLAIMS] == list(VERDICTS)
    assert all("unknown" not in str(c) for c in checks)


def test_a_correction_shows_why(checks):
    assert all(s.shown for c in checks for s in c.statements if s.verdict == "corrected")


def test_the_page_is_what_was_found(checks):
    assert PAGE.read_text() == markdown(checks), (
        "docs/claims.md is old: python -m minigrad.prove.claims > docs/claims.md"
    )


# ---- the same in numbers -----------------------------------------------------------------------
def step(name: str, state: dict, x, **weights):
    """One step in floats, n = d = 2, of weights that are zero unless given."""
    c, sizes = CELLS[name], {"n": 2, "d": 2}
    params = {p: mg.tensor(np.broadcast_to(weights.get(p, 0.0), c.shape(p, sizes))) for p in c.params}
    args = [mg.tensor(np.broadcast_to(state[s], (1, 2)), "float64") for s in c.states]
    new, _ = c.outputs(c(*args, mg.tensor(np.broadcast_to(x, (1, 2)), "float64"), **params))
    return [t.numpy() for t in new]


def test_an_lstm_of_zero_weights_halves_its_cell():
    for x, h in ((0.3, -0.7), (-2.0, 0.9)):
        np.testing.assert_allclose(step("lstm", {"H": h, "C": 1.6}, x)[1], 0.8)


def test_an_lstms_cell_leaves_the_interval_of_its_parts():
    (_, C) = step("lstm", {"H": 0.0, "C": 1.0}, 0.5, b_i=4.0, b_f=4.0, b_o=4.0, b_c=4.0)
    assert C.min() > 1.9


def test_a_plain_rnn_at_rest_keeps_or_doubles_a_gradient():
    for scale in (1.0, 2.0):
        h = mg.zeros(1, 2, requires_grad=True)
        new = h
        for _ in range(10):
            new = CELLS["rnn"].fn(
                new, mg.zeros(1, 2), W=mg.zeros(2, 2), U=mg.tensor(scale * np.eye(2)), b=mg.zeros(2)
            )
        mg.sum(new).backward()
        np.testing.assert_allclose(h.grad.numpy(), scale**10)


def test_a_closed_reset_gate_does_not_reset_the_state():
    """r is 0 to rounding (bias -1000); h_t still depends on h_{t-1}, by z."""
    weights = {"b_r": -1e3, "W_hh": 1.0, "W_xh": 0.5, "b_h": 0.1}
    low, high = (step("gru", {"H": h}, 0.2, **weights)[0] for h in (0.0, 0.8))
    np.testing.assert_allclose(high - low, 0.5 * 0.8)  # z = 1/2


# ---- the tools ---------------------------------------------------------------------------------
def test_a_wrong_claim_is_not_proved():
    def formulas(case):
        o = Opened("gru", case)
        yield o.put(o["H_tilda"], R=1) - o.other("rnn", W="W_xh", U="W_hh", b="b_z")

    assert not zero_everywhere(formulas)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sets(st.sampled_from("abc"))), min_size=1, max_size=5),
    st.lists(st.fractions(0, 1), min_size=3, max_size=3),
)
def test_bounds_hold_inside_the_box(terms, at):
    """Affine in each of three variables, which run over (0, 1), (-1, 1) and (-1, 2)."""
    box = {"a": (0, 1), "b": (-1, 1), "c": (-1, 2)}
    values = {n: lo + t * (hi - lo) for (n, (lo, hi)), t in zip(box.items(), at, strict=True)}
    e, value = Sum(), Fraction(0)
    for c, names in terms:
        term, v = Sum.number(c), Fraction(c)
        for n in sorted(names):
            term, v = term * Sum.factor(n, (-1,)), v * values[n]
        e, value = e + term, value + v
    low, high = bounds(e, box)
    assert low <= value <= high
    if all(0 < t < 1 for t in at) and low < high:
        assert low < value < high


def test_bounds_refuse_what_is_not_affine():
    with fresh(), pytest.raises(Undecided, match="not affine"):
        bounds(Sum.factor("a", (-1,), 2), {"a": (0, 1)})
