"""Elementary functions of Polys, as opaque atoms in normal form, and what is known of their derivatives.

Used in the normal form: tanh, sin and sign are odd, cos is even; tanh(v/2) = 2 sigmoid(v) - 1; exp of a sum
is a product, and undoes log. `slopes` holds all of calculus that the provers use, with the product and
the chain rule in `Derivation`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from .generators import atoms, powers
from .polynomial import ONE, ZERO, Poly, atom, generator_of, monomial, poly

KINK = "no argument of relu, abs, maximum, max or a comparison is exactly at its kink or tied"
POSITIVE = "arguments of log, of roots and of powers that are not whole are positive"


def _odd(fn: str, u: Poly) -> Poly:
    return ZERO if not u.terms else -atom(fn, -u) if u.lead() < 0 else atom(fn, u)


def tanh(u: Poly) -> Poly:
    """tanh(u); of u = v/2 it is 2 sigmoid(v) - 1, so that a gate is one term and not two."""
    if u.terms and u.lead() < 0:
        return -tanh(-u)
    if u.terms and all(c.denominator % 2 == 0 for c in u.terms.values()):
        return atom("sigmoid", u.scale(2)).scale(2) - ONE
    return _odd("tanh", u)


def sin(u: Poly) -> Poly:
    """sin(u)."""
    return _odd("sin", u)


def cos(u: Poly) -> Poly:
    """cos(u)."""
    return ONE if not u.terms else atom("cos", -u if u.lead() < 0 else u)


def exp(u: Poly) -> Poly:
    """exp(u), as a product of one exponential per term of u; it undoes log."""
    out = ONE
    for k, c in u.terms.items():
        p, q, factors = c.numerator, c.denominator, powers(k)
        fn, args = atoms().what[factors[0][0]] if len(factors) == 1 and factors[0][1] == 1 else ("", ())
        if fn == "log":
            out = out * (args[0] ** p if q == 1 else root(args[0], q, p))
        else:
            unit = Fraction(1, q) if q != 1 else 1
            out = out * atom("exp", Poly({k: unit})) ** p
    return out


def log(u: Poly) -> Poly:
    """log(u), for u > 0."""
    if not u.is_positive():
        atoms().assume(POSITIVE)
    return ZERO if u == ONE else atom("log", u)


def sqrt(u: Poly) -> Poly:
    """The square root of u > 0."""
    return root(u, 2)


def root(u: Poly, q: int, p: int = 1) -> Poly:
    """u^(p/q) for u > 0 and q > 1."""
    if not u.is_positive():
        atoms().assume(POSITIVE)
    return u if u in (ZERO, ONE) else atom("root", u, q) ** p


def power(u: Poly, n: Any) -> Poly:
    """u to any exponent: whole, rational (then u > 0), or a Poly (exp(n log u))."""
    n = poly(n)
    c = n.constant()
    if c is None:
        return exp(n * log(u))
    return u**c if c.denominator == 1 else root(u, c.denominator, c.numerator)


def sign(u: Poly) -> Poly:
    """The sign of u, where u is not 0."""
    c = u.constant()
    if c is not None:
        return poly((c > 0) - (c < 0))
    if u.is_positive():
        return ONE
    atoms().assume(KINK)
    return _odd("sign", u.scale(1 / abs(Fraction(u.lead()))))


def is_max(first: Poly, *others: Poly) -> Poly:
    """1 if the first is the largest of the others (it is one of them), else 0."""
    if len(others) > 1:
        atoms().assume(KINK)
    return atom("is_max", first, *others)


def bind(u: Poly) -> Poly:
    """A name for u: one atom that equals it, so that formulas in u stay short."""
    return u if len(u.terms) <= 1 else atom("let", u)


# ---- the derivative: what is known of each function --------------------------------------------
def slopes(g: int) -> list[Poly]:
    """The derivative of an atom by each of its arguments: the facts that every proof uses."""
    fn, args = atoms().what[g]
    a = monomial(g)
    if fn == "tanh":
        return [ONE - a * a]
    if fn == "sigmoid":
        return [a - a * a]
    if fn == "exp":
        return [a]
    if fn == "log":
        return [args[0] ** -1]
    if fn == "root":
        return [monomial(g, 1 - args[1]).scale(Fraction(1, args[1])), ZERO]
    if fn == "sin":
        return [cos(args[0])]
    if fn == "cos":
        return [-sin(args[0])]
    if fn == "let":
        return [ONE]
    if fn in ("sign", "is_max"):
        return [ZERO] * len(args)
    if fn[0].isupper():  # an undefined function F: its partial derivatives are undefined functions too
        return [atom(f"{fn}.{i}", *args) for i in range(len(args))]
    raise ValueError(f"the derivative of {fn} is not known")


class Derivation:
    """d / d(symbol) of Polys, by the product rule, the chain rule and `slopes`."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], Poly] = {}
        self.parts: dict[Poly, dict[int, Poly]] = {}

    def __call__(self, p: Poly, by: Poly) -> Poly:
        """The derivative of p by the symbol `by`."""
        return self._by(p, generator_of(by))

    def _by(self, p: Poly, x: int) -> Poly:
        parts = self.parts.get(p)
        if parts is None:
            parts = self.parts[p] = p.partials()
        out = ZERO
        for g, dp in parts.items():
            dg = self._of(g, x)
            if dg.terms:
                out = out + dp * dg
        return out

    def _of(self, g: int, x: int) -> Poly:
        if g == x:
            return ONE
        fn, args = atoms().what[g]
        if fn == "symbol":
            return ZERO
        found = self.known.get((g, x))
        if found is None:
            found = ZERO
            inner = [self._by(a, x) if isinstance(a, Poly) else ZERO for a in args]
            if any(da.terms for da in inner):
                for slope, da in zip(slopes(g), inner, strict=True):
                    found = found + slope * da
            self.known[g, x] = found
        return found
