"""Division and signs of entries, in one form however they are written.

    1 / (1 + exp(v)) = 1 - s,  exp(v) / (1 + exp(v)) = s   for s = sigmoid(v), and powers of these,

so that every way to write a sigmoid, a tanh or their derivatives meets the engine's. The sign of a
piecewise formula is taken piece by piece: relu(z) > 0 exactly where z > 0, although relu(z) is often 0.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

from ...domains.contractions import ONE, Factors, Sum
from ...domains.sizes import ATOMS, KINK, SIZES

MOST_TERMS = 5  # of (1 + exp(v))^k, multiplied out


def divide(a: Sum, b: Sum) -> Sum:
    """a / b. Raises ZeroDivisionError if b is zero."""
    found = _binomial(b)
    if found is None:
        return a * ATOMS.power(b, -1)
    c, first, ratio, k = found  # b = c * first * (1 + exp(v))^k
    v = Sum()
    for (name, idx), p in ratio.items():
        v = v + ATOMS.argument(name, idx)[1].scale(p)
    s = (Sum.number(1) + ATOMS.atom("tanh", v.scale(Fraction(1, 2)))).scale(Fraction(1, 2))
    out = Sum()
    for (fs, dims), coefficient in a.terms.items():
        factors = dict(fs)
        for f, p in first.items():
            factors[f] = factors.get(f, 0) - p
        j = min(k, *(max(0, int(Fraction(factors.get(f, 0), p))) for f, p in ratio.items()))
        for f, p in ratio.items():
            factors[f] = factors.get(f, 0) - j * p
        rest = Sum.product(factors, dict(enumerate(dims)), Fraction(coefficient) / c)
        out = out + rest * s.power(j) * (Sum.number(1) - s).power(k - j)
    return out


def _binomial(u: Sum) -> tuple[Fraction, Factors, Factors, int] | None:
    """(c, m, r, k) if u = c m (1 + r)^k for products of exponentials m and r."""
    k = len(u.terms) - 1
    if not 1 <= k < MOST_TERMS or any(dims for _, dims in u.terms):
        return None
    terms = {fs: Fraction(c) for (fs, _), c in u.terms.items()}
    if any(ATOMS.definitions.get(name, ("",))[0] != "exp" for fs in terms for (name, _), _ in fs):
        return None
    ends = sorted((fs for fs in terms if terms[fs] == min(terms.values())), key=lambda fs: (len(fs), fs))
    for first, last in itertools.combinations(ends, 2):
        a, b = dict(first), dict(last)
        gap = {f: Fraction(b.get(f, 0) - a.get(f, 0), k) for f in {*a, *b}}
        if any(p.denominator != 1 for p in gap.values()):
            continue
        ratio = {f: int(p) for f, p in gap.items() if p}
        steps = ({f: a.get(f, 0) + i * ratio.get(f, 0) for f in {*a, *ratio}} for i in range(k + 1))
        keys = [tuple(sorted((f, p) for f, p in here.items() if p)) for here in steps]
        if all(terms.get(key) == terms[first] * math.comb(k, i) for i, key in enumerate(keys)):
            return terms[first], a, ratio, k
    return None


# ---- signs -------------------------------------------------------------------------------------
def sign(e: Sum, at_zero: int = 0) -> Sum:
    """The sign of an entry, piece by piece where signs occur in it; `at_zero` where a piece is zero."""
    return _sign(e, at_zero, {})


def _sign(e: Sum, at_zero: int, known: dict[tuple[str, tuple[int, ...]], int]) -> Sum:
    if not e:
        return Sum.number(at_zero)
    if set(e.terms) == {ONE}:
        return Sum.number(1 if e.terms[ONE] > 0 else -1)
    for (name, idx), value in known.items():
        u = ATOMS.argument(name, idx)[1]
        if set(u.terms) == set(e.terms):
            ratios = {Fraction(e.terms[k]) / u.terms[k] for k in u.terms}
            if len(ratios) == 1:
                return Sum.number(value if ratios.pop() > 0 else -value)
    inner = next(
        (f for fs, _ in e.terms for f, _ in fs if f[0].startswith("sign#") and max(f[1], default=-1) < 0),
        None,
    )
    if inner is None:
        SIZES.assumed.add(KINK)
        return ATOMS.atom("sign", e)
    half = Sum.factor(*inner).scale(Fraction(1, 2))
    pieces = [_sign(_put(e, inner, value), at_zero, known | {inner: value}) for value in (1, -1)]
    return (half + Sum.number(Fraction(1, 2))) * pieces[0] + (Sum.number(Fraction(1, 2)) - half) * pieces[1]


def _put(e: Sum, factor: tuple[str, tuple[int, ...]], value: int) -> Sum:
    """e with a factor replaced by 1 or -1."""
    out = Sum()
    for (fs, dims), c in e.terms.items():
        p = dict(fs).get(factor, 0)
        rest = {f: q for f, q in fs if f != factor}
        out = out + Sum.product(rest, dict(enumerate(dims)), c * value ** (p % 2))
    return out
