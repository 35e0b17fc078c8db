"""The induction over time: the claims hold, their mutants leave a residual, the rules agree with matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from minigrad.engine.truncation import Truncation
from minigrad.prove.induction import (
    Adjoint,
    closed_form,
    closed_form_check,
    closed_form_residuals,
    dropped,
    duality_check,
    duality_residuals,
    invariant,
    kept,
    truncation_check,
    truncation_residuals,
)
from minigrad.prove.words import (
    Words,
    ascending,
    at_numbers,
    before,
    descending,
    letter,
    split_top,
    total,
    unfold,
)

K, U, T0 = ("k", 0), ("u", 0), ("", 0)


def zero_at(claim):
    return [case for case, left in claim.items() if left]


def test_the_closed_form_the_duality_and_the_truncation_are_proved():
    checks = [closed_form_check(), duality_check(), truncation_check()]
    assert [c.verdict for c in checks] == ["proved"] * 3
    for residuals in (closed_form_residuals, duality_residuals, truncation_residuals):
        assert zero_at(residuals()) == []
    assert sum(c.seconds for c in checks) < 0.1


# ---- mutants -----------------------------------------------------------------------------------
def sum_of(word, lo=("", 1), hi=K):
    return total(lo, hi, word)


START = letter("Phi", K, T0) * letter("y", T0)


def shifted(k):
    return total(("", 1), k, letter("Phi", k, before(U)) * letter("a", U)) + at(START, k)


def stale(k):
    return total(("", 1), k, letter("Phi", k, U) * letter("a", before(U))) + at(START, k)


def without_start(k):
    return total(("", 1), k, letter("Phi", k, U) * letter("a", U))


def from_zero(k):
    return total(T0, k, letter("Phi", k, U) * letter("a", U)) + at(START, k)


def a_first(k):
    return total(("", 1), k, letter("a", U) * letter("Phi", k, U)) + at(START, k)


def at(e, k):
    return letter("Phi", k, T0) * letter("y", T0)


@pytest.mark.parametrize(
    "claim", [shifted, stale, without_start, from_zero, a_first], ids=lambda f: f.__name__
)
def test_a_wrong_closed_form_leaves_terms(claim):
    assert zero_at(closed_form_residuals(claim))


def test_the_seeds_product_in_ascending_order_leaves_terms():
    left = closed_form_residuals(product=ascending)
    assert zero_at(left) == ["step k-1 to k"]
    assert "Phi(k-1, u) b_k a_u" in str(left["step k-1 to k"])


def L(name, i=("t", 0)):
    return letter(name, i)


NOW, EARLIER = ("t", 0), ("t", -1)
BACKWARD = {
    "J delta instead of delta J": Adjoint(delta=lambda t: L("g", EARLIER) + L("J") * L("delta")),
    "g of the wrong step": Adjoint(delta=lambda t: L("g") + L("delta") * L("J")),
    "J of the step before": Adjoint(delta=lambda t: L("g", EARLIER) + L("delta") * L("J", EARLIER)),
    "g forgotten": Adjoint(delta=lambda t: L("delta") * L("J")),
    "carry forgotten": Adjoint(delta=lambda t: L("g", EARLIER)),
    "A overwritten": Adjoint(A=lambda t: L("delta") * L("P")),
    "A with the new delta": Adjoint(A=lambda t: L("A") + L("delta", EARLIER) * L("P")),
    "A with the sign wrong": Adjoint(A=lambda t: L("A") - L("delta") * L("P")),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_a_wrong_backward_recursion_leaves_terms(name):
    assert zero_at(duality_residuals(BACKWARD[name])) == ["step t to t-1"]


def test_a_wrong_forward_recursion_leaves_terms():
    def reversed_order(t):
        return letter("P", t) + letter("S", before(t)) * letter("J", t)

    assert zero_at(duality_residuals(s=reversed_order)) == ["step t to t-1"]


# ---- truncated BPTT ------------------------------------------------------------------------------
C, T_NOW = ("c", 0), ("t", 0)
FIRST = before(C, -1)
WRONG_TRUNCATION = {
    "kept from c": ({"keep": lambda t: total(C, t, letter("Phi", t, U) * letter("a", U))}, "kept: base t = c+1"),
    "kept to t-1": (
        {"keep": lambda t: total(FIRST, before(t), letter("Phi", t, U) * letter("a", U))}, "kept: base t = c+1",
    ),
    "kept in ascending order": (
        {"keep": lambda t: total(FIRST, t, letter("a", U) * letter("Phi", t, U))}, "kept: step",
    ),
    "the initial state is not dropped": (
        {"drop": lambda t: total(("", 1), C, letter("Phi", t, U) * letter("a", U))}, "dropped: base",
    ),
    "the step after the cut is dropped too": (
        {"drop": lambda t: dropped(t) + letter("Phi", t, FIRST) * letter("a", FIRST)}, "dropped: base",
    ),
    "one product ends a step early": (
        {"drop": lambda t: total(("", 1), C, letter("Phi", before(t), U) * letter("a", U))}, "dropped: base",
    ),
    "the cut lets the cotangent through": ({"adjoint": Adjoint()}, "backward at a cut"),
    "the cut drops its own loss too": ({"adjoint": Adjoint(delta=lambda t: Words())}, "backward at a cut"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_TRUNCATION)
def test_a_wrong_claim_about_truncation_leaves_terms(name):
    changed, case = WRONG_TRUNCATION[name]
    assert case in zero_at(truncation_residuals(**changed))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_the_terms_are_those_that_truncation_lists(k):
    """What the words keep and drop, and what `Truncation(T, k)` says of each term; 0 is the initial state."""
    cut = Truncation(9, k)
    for t in range(1, 10):
        c = max([step - 1 for step in cut.cuts if step <= t], default=0)
        terms = {i: tuple([("b", m) for m in range(t, i, -1)] + [("a", i)]) for i in range(1, t + 1)}
        terms[0] = tuple([("b", m) for m in range(t, 0, -1)] + [("y", 0)])
        for claim, keeps in ((kept, True), (dropped, False)):
            if c:
                listed = {terms[i] for i in terms if cut.keeps(t, i) == keeps}
                assert at_numbers(claim(T_NOW), {"t": t, "c": c}) == dict.fromkeys(listed, 1)
        assert c or all(cut.keeps(t, i) for i in terms)


# ---- the rules against matrices ----------------------------------------------------------------
N, LAST = 3, 6
MATRICES = {
    name: np.random.default_rng(k).uniform(-1, 1, (LAST + 3, N, N)) for k, name in enumerate(["b", "a", "y"])
}


def value(e, k):
    """The words at a number k, as a sum of matrix products."""
    out = np.zeros((N, N))
    for word, c in at_numbers(e, {"k": k}).items():
        product = np.eye(N)
        for name, i in word:
            product = product @ MATRICES[name][i]
        out += float(c) * product
    return out


def recursion(k):
    y = MATRICES["y"][0]
    for j in range(1, k + 1):
        y = MATRICES["a"][j] + MATRICES["b"][j] @ y
    return y


@pytest.mark.parametrize("k", range(LAST + 1))
def test_the_closed_form_is_the_recursion_in_matrices(k):
    assert_allclose(value(closed_form(K), k), recursion(k), atol=1e-12)


@pytest.mark.parametrize("k", range(1, LAST + 1))
def test_every_rule_keeps_the_value(k):
    e = closed_form(K)
    for changed in (split_top(e, K), unfold(e, K), unfold(split_top(e, K), K), split_top(split_top(e, K), K)):
        assert_allclose(value(changed, k), value(e, k), atol=1e-12)


def test_unfolding_takes_the_later_factor_to_the_left():
    assert descending(K, T0) == letter("b", K) * letter("Phi", before(K), T0)
    assert str(unfold(letter("Phi", K, T0), K)) == "b_k Phi(k-1, 0)"
    assert str(unfold(letter("Phi", before(K), T0), K)) == "Phi(k-1, 0)"


def test_phi_of_equal_indices_is_one():
    assert unfold(letter("Phi", K, K), K) == Words({(None, ()): 1})


def test_phi_is_not_unfolded_where_it_might_be_empty():
    e = sum_of(letter("Phi", K, U) * letter("a", U))
    assert "b_k" not in str(unfold(e, K))


def test_a_sum_that_might_be_empty_is_not_split():
    with pytest.raises(ValueError, match="may be empty: it has no certain last term"):
        split_top(total(("", 3), K, letter("a", U)), K)


def test_sums_do_not_nest():
    s = sum_of(letter("a", U))
    with pytest.raises(ValueError, match="one bound index is not enough"):
        s * s
    with pytest.raises(ValueError, match="one bound index is not enough"):
        total(T0, K, s)


def test_letters_do_not_commute():
    a, b = letter("a", K), letter("b", K)
    assert a * b != b * a
    assert a * b - a * b == Words()


def test_the_invariant_is_read_as_it_is_meant():
    assert str(invariant(("t", 0))) == "sum_{u=0..t-1} g_u S_u + A_t + delta_t S_t"
