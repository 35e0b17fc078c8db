"""Sums of products of indexed tensors: the laws of their normal form, and what they stand for in numbers."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from at_sizes import AtSizes
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.domains.contractions import DELTA, Sum, show
from minigrad.domains.sizes import ATOMS, fresh

SIZES = {"n": 3, "d": 2}
RANKS = {"a": "n", "v": "d", "W": "nn", "U": "nd", "R": "dd", "z": ""}  # dimensions of each tensor's indices
FREE = {-1: "n", -2: "n", -3: "d"}


@pytest.fixture(autouse=True)
def _fresh():
    with fresh():
        yield


def numbers(seed=0):
    at = AtSizes(SIZES, seed)
    for name, dims in RANKS.items():
        at.data[name] = at.rng.uniform(0.5, 1.5, [SIZES[d] for d in dims])
    return at


def value(e, seed=0):
    return numbers(seed).sum(e, {i: SIZES[d] for i, d in FREE.items()})


@st.composite
def monomials(draw):
    """(factors, bound dimensions): a product of tensors and deltas over free and bound indices."""
    dims = dict(FREE) | {k: draw(st.sampled_from("nd")) for k in range(draw(st.integers(0, 3)))}
    factors = {}
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from([*RANKS, DELTA]))
        kinds = RANKS.get(name) or (draw(st.sampled_from(["nn", "dd"])) if name == DELTA else "")
        idx = tuple(draw(st.sampled_from([i for i, d in dims.items() if d == k])) for k in kinds)
        power = 1 if name == DELTA else draw(st.sampled_from([1, 1, 2, -1]))
        factors[name, idx] = factors.get((name, idx), 0) + power
    return factors, {k: d for k, d in dims.items() if k >= 0}


@st.composite
def sums(draw):
    total = Sum()
    for _ in range(draw(st.integers(0, 3))):
        factors, dims = draw(monomials())
        total = total + Sum.product(factors, dims, draw(st.fractions(-2, 2, max_denominator=3)))
    return total


quick = settings(max_examples=60, deadline=None)


# ---- what a sum stands for ---------------------------------------------------------------------
@quick
@given(monomials())
def test_a_normal_form_has_the_value_of_what_was_written(monomial):
    """Deltas contracted, unused indices counted, powers added: einsum over the factors as written agrees."""
    factors, bound = monomial
    at = numbers()
    dims = {i: SIZES[d] for i, d in (FREE | bound).items()}
    letters = dict(zip(dims, "abcdefgh", strict=False))
    operands = [np.ones(list(dims.values()))]
    words = ["".join(letters.values())]
    for (name, idx), p in factors.items():
        operands.append(at.factor(name, tuple(dims[i] for i in idx)) ** (1.0 if name == DELTA else float(p)))
        words.append("".join(letters[i] for i in idx))
    order = "".join(letters[i] for i in sorted(FREE))
    expected = np.einsum(f"{','.join(words)}->{order}", *operands)
    np.testing.assert_allclose(value(Sum.product(factors, bound)), expected, rtol=1e-10)


@quick
@given(sums(), sums())
def test_sums_and_products_are_those_of_their_values(a, b):
    np.testing.assert_allclose(value(a + b), value(a) + value(b), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(value(a * b), value(a) * value(b), rtol=1e-9, atol=1e-9)


@quick
@given(sums(), st.sampled_from(sorted(FREE)))
def test_summing_over_an_index_is_numpys_sum(a, i):
    expected = value(a).sum(axis=sorted(FREE).index(i), keepdims=True)
    np.testing.assert_allclose(
        value(a.sum_over(i, FREE[i])), np.broadcast_to(expected, (2, 3, 3)), rtol=1e-9, atol=1e-9
    )


# ---- laws of the normal form -------------------------------------------------------------------
@quick
@given(sums(), sums(), sums())
def test_the_laws_of_a_ring_hold_as_equality_of_normal_forms(a, b, c):
    assert a * b == b * a
    assert a * (b + c) == a * b + a * c
    assert (a * b) * c == a * (b * c)
    assert not a - a
    assert (a + b).power(2) == a * a + (a * b).scale(2) + b * b


@quick
@given(monomials(), st.permutations(range(3)))
def test_bound_indices_may_be_called_anything(monomial, names):
    factors, dims = monomial
    rename = {k: names[k] for k in dims}
    renamed = {(n, tuple(rename.get(i, i) for i in idx)): p for (n, idx), p in factors.items()}
    assert Sum.product(factors, dict(dims)) == Sum.product(renamed, {rename[k]: d for k, d in dims.items()})


@quick
@given(sums())
def test_free_indices_may_be_exchanged(a):
    swapped = a.rename({-1: -2, -2: -1})
    assert swapped.rename({-1: -2, -2: -1}) == a
    np.testing.assert_allclose(value(swapped), value(a).transpose(0, 2, 1), rtol=1e-9, atol=1e-9)


@quick
@given(sums())
def test_sums_over_several_indices_in_any_order(a):
    orders = [a.bind({i: FREE[i] for i in order}) for order in itertools.permutations(FREE)]
    one_by_one = a.sum_over(-3, "d").sum_over(-1, "n").sum_over(-2, "n")
    assert all(o == one_by_one for o in orders)


def test_deltas_of_free_indices_choose_one_name():
    d12, d23, d13 = (Sum.factor(DELTA, p) for p in ((-1, -2), (-3, -2), (-1, -3)))
    assert d12 * d23 == d13 * d23 == d12 * d13
    x1, x2 = Sum.factor("x", (-1,)), Sum.factor("x", (-2,))
    assert not d12 * (x1 - x2)
    assert d12 * d12 == d12


def test_the_sum_of_one_is_the_size():
    assert Sum.number(1).sum_over(-1, "n") == Sum.factor("#n", ())
    assert Sum.factor(DELTA, (-1, -2)).bind({-1: "n", -2: "n"}) == Sum.factor("#n", ())


def test_equal_sums_have_equal_hashes_and_readable_text():
    x, y = Sum.factor("x", (-1,)), Sum.factor("y", (-1, -2))
    assert hash(x * y + x) == hash(x + y * x)
    assert str((x * y).sum_over(-2, "n").scale(2) - x) == "sum_k<n 2 x[j] y[j,k] - x[j]"
    assert show(x, {"x": ("tanh", (0,))}) == "tanh[j]"
    assert str(Sum()) == "0"


# ---- functions of sums -------------------------------------------------------------------------
X, Y = Sum.factor("a", (-1,)), Sum.factor("a", (-2,))
ONE = Sum.number(1)
HALF = Fraction(1, 2)


def atom(fn, u):
    return ATOMS.atom(fn, u)


def logistic(u):
    return ATOMS.power(ONE + atom("exp", -u), -1)


@quick
@given(sums(), st.sampled_from(["tanh", "exp", "sin", "cos", "sign"]), st.fractions(-2, 2, max_denominator=4))
def test_a_function_of_a_sum_has_its_value(u, fn, c):
    """All that the normal form does to an argument (parity, exp of a sum, halves of tanh) keeps the value."""
    u = u.scale(c)
    functions = {"tanh": np.tanh, "exp": np.exp, "sin": np.sin, "cos": np.cos, "sign": np.sign}
    with np.errstate(over="ignore"):
        v = value(u)
        expected = functions[fn](v)
    got = value(atom(fn, u))
    settled = np.abs(v) < 30  # beyond, exp loses digits
    if fn == "sign":
        settled &= np.abs(v) > 1e-9
    np.testing.assert_allclose(got[settled], expected[settled], rtol=1e-7, atol=1e-9)


@quick
@given(sums(), st.sampled_from([-3, -2, -1, 2, HALF, -HALF, Fraction(3, 2), Fraction(-2, 3)]))
def test_a_power_of_a_sum_has_its_value(u, q):
    u = u * u + ONE
    np.testing.assert_allclose(value(ATOMS.power(u, q)), value(u) ** float(q), rtol=1e-8)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (lambda: atom("tanh", -X), lambda: -atom("tanh", X)),
        (lambda: atom("tanh", X - Y), lambda: -atom("tanh", Y - X)),
        (lambda: atom("cos", -X), lambda: atom("cos", X)),
        (lambda: atom("exp", X + Y), lambda: atom("exp", X) * atom("exp", Y)),
        (lambda: atom("exp", X) * atom("exp", -X), lambda: ONE),
        (lambda: atom("exp", atom("log", X + Y)), lambda: X + Y),
        (lambda: atom("exp", -atom("log", X + Y)), lambda: ATOMS.power(X + Y, -1)),
        (lambda: logistic(X), lambda: (atom("tanh", X.scale(HALF)) + ONE).scale(HALF)),
        (lambda: ONE - logistic(-X), lambda: logistic(X)),
        (lambda: ATOMS.power((X + Y).scale(2), -2), lambda: ATOMS.power(X + Y, -2).scale(Fraction(1, 4))),
        (lambda: ATOMS.power(X, HALF), lambda: atom("sqrt", X)),
        (lambda: atom("sign", X.scale(3)), lambda: atom("sign", X)),
        (lambda: atom("sign", ONE.scale(-2)), lambda: ONE.scale(-1)),
    ],
)  # fmt: skip
def test_relations_that_every_normal_form_keeps(a, b):
    assert a() == b()


RELATIONS = {
    "sign^2": lambda: atom("sign", X).power(2) - ONE,
    "sign^3": lambda: atom("sign", X).power(3) - atom("sign", X),
    "sin^2 + cos^2": lambda: atom("sin", X).power(2) + atom("cos", X).power(2) - ONE,
    "sqrt^2": lambda: atom("sqrt", X + Y).power(2) - X - Y,
    "1/sqrt": lambda: ATOMS.power(atom("sqrt", X + Y), -1) * (X + Y) - atom("sqrt", X + Y),
    "cube root": lambda: ATOMS.power(X + Y, Fraction(1, 3)).power(3) - X - Y,
    "softplus'": lambda: atom("exp", X) * logistic(-X) - logistic(X),
    "exp(2x) tanh": lambda: atom("exp", X.scale(2)) * (ONE - atom("tanh", X)) - ONE - atom("tanh", X),
    "exp(-2x) tanh": lambda: atom("exp", X.scale(-2)) * (ONE + atom("tanh", X)) - ONE + atom("tanh", X),
    "sigmoid of log": lambda: atom("sigmoid", atom("log", X * X + Y * Y + ONE)) * (X * X + Y * Y + ONE.scale(2))
    - X * X - Y * Y - ONE,
    "tanh of half a log": lambda: atom("tanh", atom("log", (X + Y).power(2)).scale(Fraction(3, 2)))
    * ((X + Y).power(6) + ONE) - (X + Y).power(6) + ONE,
    "exp(-x) sigmoid": lambda: atom("exp", -X) * (ONE - logistic(-X)) - logistic(-X),
    "inside a sum": lambda: (atom("sign", X).power(2) * X - X).sum_over(-1, "n"),
    "1/u times u": lambda: ATOMS.power(X + Y, -1) * (X + Y) - ONE,
    "softmax adds to one": lambda: atom("exp", X).sum_over(-1, "n")
    * ATOMS.power(atom("exp", X).sum_over(-1, "n"), -1) - ONE,
}  # fmt: skip


@pytest.mark.parametrize("name", RELATIONS)
def test_relations_that_are_used_where_two_sums_seem_to_differ(name):
    e = RELATIONS[name]()
    assert e, "this one is known to every normal form; move it up"
    assert ATOMS.is_zero(e)
    assert not ATOMS.is_zero(e + X.scale(Fraction(1, 7)))


@quick
@given(sums(), sums())
def test_nothing_is_called_zero_that_has_a_value(a, b):
    """Also with atoms in it: is_zero never says more than numbers do."""
    e = atom("sign", a) * atom("exp", X) + ATOMS.power(b * b + ONE, -1) - atom("sqrt", b * b + ONE)
    if np.abs(value(e)).max() > 1e-6:
        assert not ATOMS.is_zero(e)


def test_what_is_not_known_is_not_called_zero():
    """tanh(2x) = 2t / (1 + t^2) is true and not known: False says nothing."""
    t = atom("tanh", X)
    e = atom("tanh", X.scale(2)) * (ONE + t * t) - t.scale(2)
    np.testing.assert_allclose(value(e), 0, atol=1e-12)
    assert not ATOMS.is_zero(e)


def test_division_by_zero_is_refused():
    with pytest.raises(ZeroDivisionError, match="division by an expression that is zero"):
        ATOMS.power(X - X, -1)
