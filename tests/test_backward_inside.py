"""What check_backward stands on: certified numbers, names for subexpressions, quotients, signs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from mpmath import iv, mp

from minigrad.domains.contractions import Sum
from minigrad.domains.sizes import ATOMS, SIZES, array, fresh
from minigrad.prove.backward import quotients
from minigrad.prove.backward.lets import LETS, same
from minigrad.prove.points import FUNCTIONS, ONE, Ball, Point, difference


def test_balls_hold_the_value_that_they_stand_for():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p, q = (Fraction(int(rng.integers(-99, 99)) or 1, int(rng.integers(1, 50))) for _ in range(2))
        a, b = Ball.rational(p), Ball.rational(q)
        for ball, value in (
            (a.plus(b), p + q),
            (a.times(b), p * q),
            (b.inverse(), 1 / q),
            (a.times(b.inverse()), p / q),
        ):
            assert abs(Fraction(ball.mid, ONE) - value) <= Fraction(ball.rad, ONE)
            assert ball.rad < 1 << 40
        for name, fn in FUNCTIONS.items():
            x = abs(p) if name in ("log", "sqrt") else p
            u = Ball.rational(x)
            ball = Ball.interval(fn(u.to_interval()))
            lo, hi = (Fraction(int(end * 2**200), 2**200) for end in _ends(fn, x))
            assert Fraction(ball.mid - ball.rad, ONE) <= hi
            assert Fraction(ball.mid + ball.rad, ONE) >= lo


def _ends(fn, x):
    with mp.workprec(300):
        before, iv.prec = iv.prec, 300
        try:
            v = fn(iv.mpf(x.numerator) / x.denominator)
        finally:
            iv.prec = before
        return mp.mpf(v.a), mp.mpf(v.b)


@pytest.mark.parametrize(
    ("ball", "error"), [(Ball(0, 1), ZeroDivisionError), (Ball(5, 9), ZeroDivisionError)]
)
def test_balls_that_hold_zero_have_no_inverse_and_no_sign(ball, error):
    with pytest.raises(error):
        ball.inverse()
    with pytest.raises(ValueError, match="not certain"):
        ball.sign()


def test_a_point_can_be_visited_again():
    with fresh():
        x, y = array("x", ("b",), ("n",)), array("y", ("n",))
        a, b = (SIZES.tanh(x) * y).entries[0, 0], (SIZES.tanh(x) + y).entries[0, 0]
        found = difference(a, b, ("b", "n"), {"b": 2, "n": 3})
        assert found is not None
        point = Point(found.seed, found.sizes)
        i, j = found.entry
        u, v = point.array(x)[i, j], point.array(y)[j]
        np.testing.assert_allclose([found.got, found.true], [np.tanh(u) * v, np.tanh(u) + v], rtol=1e-12)
        assert difference(a, a, ("b", "n"), {}) is None


def test_names_stand_for_what_they_name_and_for_nothing_else():
    with fresh():
        LETS.clear()
        x, y = array("x", ("b",), ("n",)), array("y", ("b",), ("n",))
        s = SIZES.tanh(x) * y + y
        short = LETS.bind("s", s)
        assert len(short.entries[0, 0].terms) == 1
        assert LETS.short(s).entries == short.entries
        assert LETS.long(short.entries[0, 0]) == s.entries[0, 0]
        assert LETS.bind("s", s).entries == short.entries
        other = LETS.bind("s", s + 1)
        assert other.entries != short.entries
        assert LETS.long(other.entries[0, 0]) == (s + 1).entries[0, 0]
        assert LETS.bind("z", y).entries == y.entries  # short already
        assert same((short * short).entries[0, 0], (s * s).entries[0, 0])
        assert not same((short * short).entries[0, 0], (s * s + y).entries[0, 0])
        with LETS.scope({}):
            assert LETS.short(s) is s
        assert LETS.short(s).entries == short.entries


def test_a_name_inside_of_sums_keeps_its_indices_apart():
    with fresh():
        LETS.clear()
        U, g = array("U", ("n",), ("n",)), array("g", ("b",), ("n",))
        first = SIZES.matmul(g, U) + g
        second = SIZES.matmul(LETS.bind("a", first), U) + g
        third = SIZES.matmul(LETS.bind("c", second), U)
        plain = SIZES.matmul(SIZES.matmul(first, U) + g, U)
        assert LETS.long(third.entries[0, 0]) == plain.entries[0, 0]


def test_quotients_of_exponentials_have_one_form():
    with fresh():
        x = array("x", ("b",), ("n",)).entries[0, 0]
        e, one = ATOMS.atom("exp", x), Sum.number(1)
        s = (one + ATOMS.atom("tanh", x.scale(Fraction(1, 2)))).scale(Fraction(1, 2))
        assert quotients.divide(one, one + e) == one - s
        assert quotients.divide(e, one + e) == s
        assert quotients.divide(e * e, (one + e).power(2)) == s * s
        assert quotients.divide(e.scale(6), (one + e).power(2).scale(3)) == (s * (one - s)).scale(2)
        assert quotients.divide(one, one + e.scale(2)) == ATOMS.power(one + e.scale(2), -1)
        with pytest.raises(ZeroDivisionError):
            quotients.divide(one, Sum())


def test_signs_are_taken_piece_by_piece():
    with fresh():
        x = array("x", ("n",)).entries[0,]
        sign = ATOMS.atom("sign", x)
        relu = (x + x * sign).scale(Fraction(1, 2))
        step = (sign + Sum.number(1)).scale(Fraction(1, 2))
        assert quotients.sign(relu) == step
        assert quotients.sign(relu, 1) == Sum.number(1)
        assert quotients.sign(-relu) == -step
        assert quotients.sign(x * sign) == Sum.number(1)
        assert quotients.sign(Sum.number(-3)) == Sum.number(-1)
        assert quotients.sign(x.scale(2)) == sign
