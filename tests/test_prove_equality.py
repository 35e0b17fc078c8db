"""Equality of formulas: proved by a normal form, refuted at a certified point, or unknown; never guessed."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.domains import elementary
from minigrad.domains.elementary import Derivation
from minigrad.domains.generators import atoms, fresh, powers
from minigrad.domains.polynomial import ONE, Poly, monomial, poly, symbol
from minigrad.domains.symbols import Sign, Tanh
from minigrad.engine.errors import TraceError
from minigrad.prove.equality import certify, equal, equal_sympy, from_sympy

x, y, z, u = sp.symbols("x y z u", real=True)
P, Q = sp.symbols("P Q", positive=True)


def s(v):
    return 1 / (1 + sp.exp(-v))


IDENTITIES = {  # equal, and not the same polynomial in the atoms as they are written
    "tanh by sigmoid": (Tanh(u), 2 * s(2 * u) - 1),
    "sigmoid by tanh": (s(z), (Tanh(z / 2) + 1) / 2),
    "two sigmoids": (sp.exp(x) / (1 + sp.exp(x)), s(x)),
    "sigma'": (s(x) * (1 - s(x)), sp.exp(-x) / (1 + sp.exp(-x)) ** 2),
    "sigma(-x)": (s(-x), 1 - s(x)),
    "softplus": (sp.log(1 + sp.exp(x)) - sp.log(1 + sp.exp(-x)), x),
    "addition theorem": (Tanh(x + y), (Tanh(x) + Tanh(y)) / (1 + Tanh(x) * Tanh(y))),
    "nested": (Tanh(Tanh(u)), 2 * s(2 * (2 * s(2 * u) - 1)) - 1),
    "nested gates": (s(s(x)), s((Tanh(x / 2) + 1) / 2)),
    "common factor": (1 / (x * y + x * z), 1 / x / (y + z)),
    "partial fractions": (x / (x + 1) + 1 / (x + 1), sp.S.One),
    "double quotient": (1 / (1 + 1 / (1 + x)), (1 + x) / (2 + x)),
    "log of product": (sp.log(P * Q), sp.log(P) + sp.log(Q)),
    "log of factors": (sp.log(2 * P**2 + 2 * P * Q), sp.log(2) + sp.log(P) + sp.log(P + Q)),
    "log of quotient": (sp.log((P + 1) / (Q + 1)), sp.log(1 + P) - sp.log(1 + Q)),
    "root": (sp.sqrt(P**2 + 1) ** 4, (P**2 + 1) ** 2),
    "root below": (1 / sp.sqrt(P + 1), sp.sqrt(P + 1) / (P + 1)),
    "signs": (Sign(x) ** 2 * y, y),
    "circle": (sp.sin(x) ** 2 + sp.cos(x) ** 2, sp.S.One),
    "half exponents": (sp.exp(x / 2) ** 2 / (1 + sp.exp(x)), s(x)),
    "softmax": (sp.exp(x) / (sp.exp(x) + sp.exp(y)), s(x - y)),
    "real power": (P**x, sp.exp(x * sp.log(P))),
}

DIFFERENT = {
    "tanh": (Tanh(u), Tanh(2 * u)),
    "sigma'": (s(x) * (1 + s(x)), s(x) * (1 - s(x))),
    "small": (Tanh(u), Tanh(u) + sp.Rational(1, 10**9)),
    "order": (sp.exp(x) * y, sp.exp(y) * x),
    "nested": (Tanh(Tanh(u)), Tanh(u)),
    "sign": (Sign(x), -Sign(x)),
    "log": (sp.log(P + Q), sp.log(P) + sp.log(Q)),
    "root": (sp.sqrt(P + Q), sp.sqrt(P) + sp.sqrt(Q)),
    "180 acos (sympy's simplify says 0)": (sp.sin(x + y), sp.sin(x) + sp.sin(y)),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_are_proved(name):
    assert equal_sympy(*IDENTITIES[name]).verdict == "proved"


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_with_a_term_more_is_not_proved(name):
    a, b = IDENTITIES[name]
    assert equal_sympy(a + x / 7, b).verdict == "refuted"


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_refuted_at_a_point_that_anybody_can_check(name):
    got, true = DIFFERENT[name]
    found = equal_sympy(got, true)
    assert found.verdict == "refuted"
    values = {k: sp.Rational(v.numerator, v.denominator) for k, v in found.point.values.items()}
    at = {v: values[v.name] for v in got.free_symbols | true.free_symbols}
    a, b = (sp.N(e.subs(at).replace(Tanh, sp.tanh).replace(Sign, sp.sign), 30) for e in (got, true))
    assert abs(a - b) > mpmath.mpf(10) ** -12
    assert float(found.point.got) == pytest.approx(float(a), rel=1e-5)
    assert float(found.point.true) == pytest.approx(float(b), rel=1e-5)


def test_what_is_not_decided_is_unknown():
    assert equal_sympy(sp.sin(2 * x), 2 * sp.sin(x) * sp.cos(x)).verdict == "unknown"
    assert equal_sympy(sp.sqrt(P + 1) * sp.sqrt(Q + 1), sp.sqrt(P * Q + P + Q + 1)).verdict == "unknown"


def test_an_undefined_function_cannot_be_refuted():
    with fresh():
        v = symbol("v")
        f, g = elementary.atom("F", v), elementary.atom("F", v * v)
        assert equal(f, f * ONE).verdict == "proved"
        assert equal(f, g).verdict == "unknown"


def test_points_where_a_value_does_not_exist_are_not_used():
    with fresh():
        v = symbol("v")
        assert certify(elementary.log(-v * v), ONE) is None
        found = certify(elementary.log(v), ONE)
        assert found.values["v"] > 0


# ---- the normal form ---------------------------------------------------------------------------
def test_parity_is_used():
    with fresh():
        v = symbol("v") - symbol("w")
        for f in (elementary.tanh, elementary.sin, elementary.sign):
            assert f(-v) == -f(v)
        assert elementary.cos(-v) == elementary.cos(v)


def test_a_gate_is_one_term():
    with fresh():
        v = symbol("v") + 3 * symbol("w")
        assert len(((elementary.tanh(v / 2) + 1) / 2).terms) == 1


def test_equal_arguments_give_the_same_atom():
    with fresh():
        v = symbol("v")
        assert elementary.tanh((v + 1) ** 2 - v**2 - 1) == elementary.tanh(2 * v)
        assert len(atoms().what) == 2


def test_constants_are_exact():
    with fresh():
        assert poly(0.1) * 10 == 1
        assert symbol("v") * 0.5 == symbol("v") / 2
        with pytest.raises(TypeError, match="a str is not an exact number"):
            poly("1")


def test_powers_out_of_reach_are_an_error():
    with fresh():
        v = symbol("v")
        for n in (20_000, -20_000):
            with pytest.raises(OverflowError, match="a power beyond 16383 is out of reach of exact formulas"):
                v**n
        v = v**10_000
        with pytest.raises(OverflowError, match="is out of reach"):
            v * v


def test_the_indicator_of_a_maximum_is_not_taken_to_be_positive():
    with fresh():
        hit = elementary.is_max(symbol("v"), ONE)
        assert not hit.is_positive()
        assert elementary.sign(hit) != ONE


def test_a_branch_on_a_symbol_is_an_error():
    with fresh():
        v = symbol("v")
        for decide in (bool, float, int, lambda p: p > 0, lambda p: p < 1):
            with pytest.raises(TraceError, match="a branch, loop or conversion on a tensor's value"):
                decide(v)
        assert bool(ONE)


def test_blocks_do_not_see_each_other():
    with fresh():
        symbol("v")
        with fresh():
            symbol("w")
            symbol("v")
            assert [args[0] for _, args in atoms().what] == ["w", "v"]
        assert [args[0] for _, args in atoms().what] == ["v"]


@pytest.mark.parametrize("e", [x + 0.5, sp.Float(2), sp.Function("f")(x), sp.gamma(x), sp.I * x])
def test_what_is_not_understood_is_an_error(e):
    with fresh(), pytest.raises(TypeError, match="is not understood here; exact numbers"):
        from_sympy(e)


# ---- against sympy -----------------------------------------------------------------------------
names = st.sampled_from(["x", "y", "z"])
coefficients = st.fractions(min_value=-3, max_value=3, max_denominator=4)
sums = st.lists(
    st.tuples(coefficients, st.lists(st.tuples(names, st.integers(-2, 3)), max_size=3)), max_size=4
)


def both(terms):
    """The same sum of products as a Poly and as a sympy expression."""
    p, e = poly(0), sp.S.Zero
    for c, factors in terms:
        tp, te = poly(c), sp.Rational(c.numerator, c.denominator)
        for name, k in factors:
            tp, te = tp * symbol(name) ** k, te * sp.Symbol(name, real=True) ** k
        p, e = p + tp, e + te
    return p, e


@settings(max_examples=60, deadline=None)
@given(sums, sums)
def test_arithmetic_is_sympys(a, b):
    with fresh():
        (p, e), (q, f) = both(a), both(b)
        assert p + q == from_sympy(sp.expand(e + f))
        assert p - q == from_sympy(sp.expand(e - f))
        assert p * q == from_sympy(sp.expand(e * f))
        assert (p == q) == (sp.expand(e - f) == 0)
        d = Derivation()
        assert d(p * q, symbol("x")) == from_sympy(sp.expand(sp.diff(e * f, sp.Symbol("x", real=True))))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 40), st.integers(-900, 900).filter(bool), max_size=8))
def test_a_monomial_keeps_its_powers(factors):
    p = ONE
    for g, e in factors.items():
        p = p * monomial(g, e)
    ((k, c),) = p.terms.items()
    assert dict(powers(k)) == factors
    assert c == 1


def towers(*more):
    """Random formulas of tanh, sigmoid, exp and division, and of the functions given."""
    return st.recursive(
        st.sampled_from([x, y, sp.Rational(1, 2), sp.Integer(2)]),
        lambda t: st.one_of(
            st.tuples(t, t).map(lambda ab: ab[0] + ab[1]), st.tuples(t, t).map(lambda ab: ab[0] * ab[1]),
            t.map(Tanh), t.map(s), t.map(lambda v: sp.exp(v / 3)), *(t.map(f) for f in more),
        ),
        max_leaves=5,
    )  # fmt: skip


def otherwise(e):
    """The same function, every tanh written as a sigmoid."""
    return e.replace(Tanh, lambda v: 2 * s(2 * v) - 1)


@settings(max_examples=60, deadline=None)
@given(towers())
def test_random_formulas_written_otherwise_are_proved_equal(e):
    assert equal_sympy(e, otherwise(e)).verdict == "proved"


@settings(max_examples=40, deadline=None)
@given(towers(lambda v: sp.log(1 + sp.exp(v)), sp.sin))
def test_equal_formulas_are_never_refuted(e):
    assert equal_sympy(e, otherwise(e)).verdict != "refuted"
    with fresh():
        assert equal(Derivation()(from_sympy(e), symbol("x")), from_sympy(sp.diff(e, x))).verdict == "proved"


@settings(max_examples=20, deadline=None)
@given(towers(), st.fractions(min_value=-1, max_value=1).filter(bool))
def test_a_wrong_formula_is_never_proved(e, c):
    wrong = e + sp.Rational(c.numerator, c.denominator) * (1 + x**2)
    assert equal_sympy(e, wrong).verdict != "proved"


def test_fractions_print_as_they_are():
    with fresh():
        assert str(Poly({0: Fraction(1, 2)}) + symbol("v") ** -1) in ("1/2 + v^-1", "v^-1 + 1/2")
