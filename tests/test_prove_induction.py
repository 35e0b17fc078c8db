"""The induction over time: the claims hold, their mutants leave a residual, the rules agree with matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from minigrad.prove.induction import (
    Adjoint,
    Words,
    ascending,
    at_numbers,
    before,
    closed_form,
    closed_form_residuals,
    descending,
    duality_residuals,
    induction,
    invariant,
    letter,
    split_top,
    total,
    unfold,
)

K, U, T0 = ("k", 0), ("u", 0), ("", 0)


def zero_at(claim):
    return [case for case, left in claim.items() if left]


def test_the_closed_form_and_the_duality_are_proved():
    checks = induction()
    assert [c.verdict for c in checks] == ["proved", "proved"]
    assert zero_at(closed_form_residuals()) == []
    assert zero_at(duality_residuals()) == []
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
