"""Whether two formulas are equal: proved, refuted at a certified point, or unknown. Never sampled.

1. Polynomial identity over opaque atoms: equal normal forms are equal functions.
2. If that fails, a rational point is sought at which both sides, in interval arithmetic, have disjoint
   values: then they differ, and the point is shown.
3. If none is found, the normal form in exponentials (`exponentials`), which knows the relations
   between atoms, such as tanh(u) = 2 sigmoid(2u) - 1 and 1 / (1 + exp(-z)) = sigmoid(z).

sympy expressions come in through `from_sympy`; nothing is ever simplified.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from mpmath import iv

from ..domains import elementary as e
from ..domains.generators import atoms, fresh, powers
from ..domains.polynomial import Poly, poly, symbol
from ..domains.symbols import IsMax, Let, Sign, Tanh
from .exponentials import Exponentials, TooLarge
from .intervals import FUNCTIONS

PRECISION = 120  # bits of the interval arithmetic
TRIES = 8  # points tried before the two sides are taken to be perhaps equal


# ---- from sympy --------------------------------------------------------------------------------
FROM_SYMPY: dict[Any, Callable[..., Poly]] = {
    Tanh: e.tanh, sp.tanh: e.tanh, sp.exp: e.exp, sp.log: e.log, sp.sin: e.sin, sp.cos: e.cos,
    Sign: e.sign, IsMax: e.is_max,
}  # fmt: skip


def from_sympy(expr: Any, known: dict[Any, Poly] | None = None) -> Poly:
    """A sympy expression as a Poly. known: what was converted before, which is used and added to.

    Raises TypeError, naming it, for a float or a function that is not understood.
    """
    known = {} if known is None else known
    found = known.get(expr)
    if found is None:
        found = known[expr] = _convert(expr, known)
    return found


def _convert(expr: Any, known: dict[Any, Poly]) -> Poly:
    if isinstance(expr, Let):
        u = from_sympy(expr.definition, known)
        return u if expr.slope else e.bind(u)
    if expr.is_Symbol:
        return symbol(expr.name, positive=bool(expr.is_positive))
    if expr.is_Rational:
        return poly(expr)
    if expr is sp.E:
        return e.exp(poly(1))
    if expr.is_Add or expr.is_Mul:
        parts = [from_sympy(a, known) for a in expr.args]
        out = parts[0]
        for part in parts[1:]:
            out = out + part if expr.is_Add else out * part
        return out
    if expr.is_Pow:
        base, exponent = (from_sympy(a, known) for a in expr.args)
        return e.power(base, exponent)
    if expr.func in FROM_SYMPY:
        return FROM_SYMPY[expr.func](*(from_sympy(a, known) for a in expr.args))
    raise TypeError(
        f"{expr} is not understood here; exact numbers, + * **, tanh, exp, log, sin, cos and signs are"
    )


# ---- certified points --------------------------------------------------------------------------
@dataclass(frozen=True)
class Point:
    """A rational point at which two formulas certainly differ, with both values there."""

    got: str
    true: str
    values: Mapping[str, Fraction]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"got": self.got, "true": self.true, "at": {k: str(v) for k, v in self.values.items()}}

    def __str__(self) -> str:
        at = ", ".join(f"{k} = {v}" for k, v in list(self.values.items())[:12])
        at += ", ..." if len(self.values) > 12 else ""
        return f"{self.got} where {self.true} is right (certified), at {at}"


class _Undefined(ValueError):
    """A value that does not exist at this point, or that intervals do not decide."""


class _Values:
    """Interval values of generators at one rational point."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.given: dict[str, Fraction] = {}
        self.known: dict[int, Any] = {}

    def of(self, u: Poly) -> Any:
        """An interval that holds the value of u."""
        total = iv.mpf(0)
        for k, c in u.terms.items():
            c = Fraction(c)
            term = iv.mpf(c.numerator) / c.denominator
            for g, n in powers(k):
                v = self._generator(g)
                term = term * v**n if n > 0 else term / _nonzero(v) ** (-n)
            total = total + term
        return total

    def _generator(self, g: int) -> Any:
        if g not in self.known:
            fn, args = atoms().what[g]
            self.known[g] = self._draw(g, args[0]) if fn == "symbol" else self._function(fn, args)
        return self.known[g]

    def _draw(self, g: int, name: str) -> Any:
        n = self.random.choice([k for k in range(-11, 12) if k])
        v = self.given[name] = Fraction(abs(n) if g in atoms().positive else n, self.random.choice([8, 7, 5]))
        return iv.mpf(v.numerator) / v.denominator

    def _function(self, fn: str, args: tuple[Any, ...]) -> Any:
        if fn == "is_max":
            first, *others = (self.of(a) for a in args)
            return int(
                all(_nonzero(first - o).a > 0 for o, a in zip(others, args[1:], strict=True) if a != args[0])
            )
        u = self.of(args[0])
        if fn == "sign":
            return 1 if _nonzero(u).a > 0 else -1
        if fn in ("log", "root") and not u.a > 0:
            raise _Undefined
        if fn == "root":
            return iv.exp(iv.log(u) / args[1])
        if fn == "let":
            return u
        if fn not in FUNCTIONS:
            raise _Undefined  # an undefined function has no value
        return FUNCTIONS[fn](u)


def _nonzero(v: Any) -> Any:
    if isinstance(v, int) or v.a > 0 or v.b < 0:
        return v
    raise _Undefined


def certify(got: Poly, true: Poly) -> Point | None:
    """A rational point at which the two certainly differ, or None if none was found."""
    before, iv.prec = iv.prec, PRECISION
    try:
        for seed in range(TRIES):
            values = _Values(seed)
            try:
                a, b = values.of(got), values.of(true)
            except _Undefined:
                continue
            if a.a > b.b or b.a > a.b:
                return Point(_short(a), _short(b), dict(sorted(values.given.items())))
    finally:
        iv.prec = before
    return None


def _short(v: Any) -> str:
    return f"{float(v.mid):.6g}"


# ---- the decision ------------------------------------------------------------------------------
@dataclass(frozen=True)
class Decision:
    """proved | refuted | unknown, how it was decided, and the point if it is refuted."""

    verdict: str
    how: str
    point: Point | None = None

    def __bool__(self) -> bool:
        return self.verdict == "proved"


IDENTITY = Decision("proved", "polynomial identity over opaque atoms")


def equal(got: Poly, true: Poly) -> Decision:
    """Whether two Polys (of one `fresh` block) are equal wherever both are defined."""
    if got == true:
        return IDENTITY
    if point := certify(got, true):
        return Decision("refuted", "interval arithmetic at a rational point", point)
    try:
        form = Exponentials([got, true])
        if form(got).same(form(true)):
            return Decision("proved", "normal form in exponentials")
    except (TooLarge, ZeroDivisionError):
        pass
    return Decision("unknown", "no normal form shows them equal, and no point shows them different")


def equal_sympy(got: Any, true: Any) -> Decision:
    """Whether two sympy expressions are equal wherever both are defined. Raises as `from_sympy`."""
    with fresh():
        known: dict[Any, Poly] = {}
        return equal(from_sympy(sp.sympify(got), known), from_sympy(sp.sympify(true), known))
