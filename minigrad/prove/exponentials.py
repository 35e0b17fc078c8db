"""Fractions of exponentials: a second normal form, in which the relations between atoms are seen.

tanh, sigmoid and exp are rewritten in exponentials, sums in denominators in quotients, logarithms in
those of irreducible factors. The exponents are brought to a basis over the rationals, so that the
exponentials left over are algebraically independent (Ax 1971: exp of functions that are linearly
independent modulo constants are). Then an expression is zero exactly if its numerator is.

Used when polynomial identity over opaque atoms fails: it is complete for towers of exp, tanh, sigmoid and
division, and slower. Roots, sin, cos, sign and max stay opaque, and a logarithm in an exponent is undone
only where signs are known, so there it may miss an identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from ..domains.generators import atoms, powers
from ..domains.polynomial import ONE, ZERO, Poly, atom, generator_of, monomial, poly

MAX_TERMS = 20_000
REFINEMENTS = 6  # times that exponents of an inner level may turn out to be multiples of finer ones


class TooLarge(ValueError):
    """The normal form outgrew MAX_TERMS; nothing was decided."""


class _Finer(Exception):
    """An exponent of a level must be a multiple of a finer one: divide that level's by `by`."""

    def __init__(self, level: int, by: int) -> None:
        self.level, self.by = level, by


class Quotient:
    """num / product of den: num may have negative powers, den holds proper sums and their powers."""

    __slots__ = ("den", "num")

    def __init__(self, num: Poly, den: Mapping[Poly, int] | None = None) -> None:
        if len(num.terms) > MAX_TERMS:
            raise TooLarge
        self.num, self.den = num, dict(den or {})

    def __add__(self, other: Quotient) -> Quotient:
        den = {d: max(self.den.get(d, 0), other.den.get(d, 0)) for d in self.den | other.den}
        return Quotient(self._over(den) + other._over(den), den)

    def _over(self, den: Mapping[Poly, int]) -> Poly:
        num = self.num
        for d, k in den.items():
            num = num * d ** (k - self.den.get(d, 0))
        return num

    def __mul__(self, other: Quotient) -> Quotient:
        den = {d: self.den.get(d, 0) + other.den.get(d, 0) for d in self.den | other.den}
        return Quotient(self.num * other.num, den)

    def inverse(self) -> Quotient:
        """1 over this. Raises ZeroDivisionError if it is zero."""
        unit, rest = split_unit(self.num)
        top = Quotient(self._over_one() * unit**-1)
        return Quotient(top.num, {rest: 1}) if rest != ONE else top

    def _over_one(self) -> Poly:
        out = ONE
        for d, k in self.den.items():
            out = out * d**k
        return out

    def __pow__(self, n: int) -> Quotient:
        base, out = (self if n >= 0 else self.inverse()), Quotient(ONE)
        for _ in range(abs(n)):
            out = out * base
        return out

    def same(self, other: Quotient) -> bool:
        """Whether the two are equal."""
        return not (self + other * Quotient(-ONE)).num.terms


def split_unit(p: Poly) -> tuple[Poly, Poly]:
    """p as (one term) * (a sum of powers >= 0, without common factor, and with first coefficient 1)."""
    if not p.terms:
        raise ZeroDivisionError("division by an expression that is 0")
    factors = [dict(powers(k)) for k in p.terms]
    unit = Poly({0: p.lead()})
    for g in p.generators():
        unit = unit * monomial(g, min(f.get(g, 0) for f in factors))
    return unit, p * unit**-1


class Exponentials:
    """Rewrites Polys as Quotients in which equal means equal; one for all that is to be compared."""

    def __init__(self, polys: list[Poly]) -> None:
        self.divisor: dict[int, int] = {}  # level -> what its exponents are divided by
        gens = [g for p in polys for g in p.generators()]
        for _ in range(REFINEMENTS):
            try:
                return self._build(gens)
            except _Finer as e:
                self.divisor[e.level] = self.divisor.get(e.level, 1) * e.by
        raise TooLarge

    def _build(self, gens: list[int]) -> None:
        self.value: dict[int, Quotient] = {}  # atom -> what it is
        self.opaque: list[tuple[str, tuple[Any, ...], Poly]] = []
        self.exponents: dict[int, tuple[Quotient, int]] = {}  # exponential -> its exponent and level
        level: dict[int, int] = {}
        for g in gens:
            _nesting(g, level)
        for d in sorted(set(level.values())):
            here = [g for g, at in level.items() if at == d]  # arguments stand before what takes them
            self._exponentials([g for g in here if atoms().what[g][0] in EXPONENTIAL], d)
            for g in here:
                self._other(g, *atoms().what[g])

    def __call__(self, p: Poly) -> Quotient:
        """The quotient that p is."""
        out = Quotient(ZERO)
        for k, c in p.terms.items():
            term = Quotient(poly(c))
            for g, e in powers(k):
                term = term * (self.value[g] ** e if g in self.value else Quotient(monomial(g, e)))
            out = out + term
        return self._reduced(out)

    # ---- one level of nesting after the other ----
    def _other(self, g: int, fn: str, args: tuple[Any, ...]) -> None:
        if fn == "let":
            self.value[g] = self(args[0])
        elif fn == "log":
            self.value[g] = self._log(self(args[0]))
        elif fn != "symbol" and fn not in EXPONENTIAL:
            self.value[g] = self._opaque(g, fn, args)

    def _exponentials(self, gens: list[int], level: int) -> None:
        """tanh, sigmoid and exp atoms in exponentials whose exponents are a basis of all met so far."""
        known, split = list(self.exponents), [self._exponent(g) for g in gens]
        basis, coordinates = _basis(
            _vectors([*(self.exponents[k][0] for k in known), *(u for u, _ in split)])
        )
        units: list[tuple[int, int]] = []  # for each basis exponent u, (E, k) with exp(u) = E^k
        for j, i in enumerate(basis):
            whole = math.lcm(*(c[j].denominator for c in coordinates))
            if i < len(known):
                if whole != 1:
                    raise _Finer(self.exponents[known[i]][1], whole)
                units.append((known[i], 1))
            else:
                whole *= self.divisor.get(level, 1)
                exponent = split[i - len(known)][0] * Quotient(poly(Fraction(1, whole)))
                g = generator_of(atom("E", exponent))
                atoms().positive.add(g)
                self.exponents[g] = exponent, level
                units.append((g, whole))
        for g, c, (_, e) in zip(gens, coordinates[len(known) :], split, strict=True):
            for (b, whole), q in zip(units, c, strict=True):
                e = e * Quotient(monomial(b, int(q * whole))) if q else e
            self.value[g] = EXPONENTIAL[atoms().what[g][0]](e)

    def _exponent(self, g: int) -> tuple[Quotient, Quotient]:
        """(u, f) with exp(u) f the exponential that the atom g is made of: exp(k log f) is f^k."""
        fn, (argument, *_) = atoms().what[g]
        u, f = self(argument) * Quotient(poly(2 if fn == "tanh" else 1)), Quotient(ONE)
        if u.den:
            return u, f
        rest: dict[int, Any] = {}
        for k, c in u.num.terms.items():
            inner = self._inside_log(k)
            if inner is not None and (c % 2 == 0 or (inner.is_positive() and Fraction(c).denominator == 1)):
                f = f * Quotient(inner) ** int(c)
            else:
                rest[k] = c
        return Quotient(Poly(rest)), f

    def _inside_log(self, k: int) -> Poly | None:
        """f, if the monomial k is log |f|."""
        factors = powers(k)
        fn, args = atoms().what[factors[0][0]] if len(factors) == 1 and factors[0][1] == 1 else ("", ())
        return args[0] if fn == "logabs" else None

    def _log(self, u: Quotient) -> Quotient:
        """log u as a sum of log |f| over the irreducible factors f of u (u > 0 where log u is defined)."""
        out = Quotient(ZERO)
        for p, k in [(u.num, 1), *((d, -e) for d, e in u.den.items())]:
            for f, e in _factors(p).items():
                out = out + self._log_of_factor(f) * Quotient(poly(k * e))
        return out

    def _log_of_factor(self, f: Poly) -> Quotient:
        if len(f.terms) == 1 and f.constant() is None:
            g = generator_of(f)
            if g in self.exponents:
                return self.exponents[g][0]
        return Quotient(atom("logabs", f))

    def _opaque(self, g: int, fn: str, args: tuple[Any, ...]) -> Quotient:
        """An atom that is not rewritten: the same as an earlier one if its arguments are equal."""
        mine = tuple(self(a) if isinstance(a, Poly) else a for a in args)
        for other, theirs, found in self.opaque:
            if other == fn and len(mine) == len(theirs) and all(map(_same, mine, theirs)):
                return Quotient(found)
        self.opaque.append((fn, mine, monomial(g)))
        return Quotient(monomial(g))

    def _reduced(self, q: Quotient) -> Quotient:
        """sign(u)^2 = 1, cos^2 = 1 - sin^2 and root(u)^q = u, used as far as they go in the numerator."""
        for fn, mine, p in tuple(self.opaque):
            g = generator_of(p)
            n = {"sign": 2, "cos": 2, "root": atoms().what[g][1][-1]}.get(fn)
            if n is None or all(0 <= dict(powers(k)).get(g, 0) < n for k in q.num.terms):
                continue
            whole, out = self._whole_power(g, fn, mine), Quotient(ZERO)
            for k, c in q.num.terms.items():
                e = dict(powers(k)).get(g, 0)
                rest = Poly({k: c}) * monomial(g, -e)
                out = out + Quotient(rest * monomial(g, e % n)) * whole ** (e // n)
            q = out * Quotient(ONE, q.den)
        return q

    def _whole_power(self, g: int, fn: str, mine: tuple[Any, ...]) -> Quotient:
        if fn == "cos":
            _, args = atoms().what[g]
            sine = self._opaque(atoms().generator("sin", args), "sin", args)
            return Quotient(ONE) + sine * sine * Quotient(-ONE)
        return Quotient(ONE) if fn == "sign" else mine[0]


def _same(a: Any, b: Any) -> bool:
    return a.same(b) if isinstance(a, Quotient) else a == b


EXPONENTIAL: dict[
    str, Callable[[Quotient], Quotient]
] = {  # the atoms, from e = exp(their argument); tanh: exp(2u)
    "exp": lambda e: e,
    "sigmoid": lambda e: e * (e + Quotient(ONE)).inverse(),
    "tanh": lambda e: (e + Quotient(-ONE)) * (e + Quotient(ONE)).inverse(),
}


def _nesting(g: int, level: dict[int, int]) -> int:
    """How many exponentials stand inside one another in g, itself included."""
    if g not in level:
        fn, args = atoms().what[g]
        inner = [_nesting(h, level) for a in args if isinstance(a, Poly) for h in a.generators()]
        level[g] = max(inner, default=0) + (fn in EXPONENTIAL)
    return level[g]


def _vectors(qs: list[Quotient]) -> list[dict[Any, Fraction]]:
    """The quotients over one denominator: their numerators, as vectors of coefficients."""
    den: dict[Poly, int] = {}
    for q in qs:
        for d, k in q.den.items():
            den[d] = max(den.get(d, 0), k)
    return [{k: Fraction(c) for k, c in q._over(den).terms.items()} for q in qs]


def _basis(vectors: list[dict[Any, Fraction]]) -> tuple[list[int], list[list[Fraction]]]:
    """Which vectors form a basis (greedily, from the first), and every vector's coordinates in it."""
    chosen: list[int] = []
    rows: list[
        tuple[Any, dict[Any, Fraction], list[Fraction]]
    ] = []  # pivot, reduced vector, in terms of chosen
    coordinates: list[list[Fraction]] = []
    for i, v in enumerate(vectors):
        v, own = dict(v), [Fraction(0)] * len(chosen)
        for pivot, row, combo in rows:
            if c := v.get(pivot):
                _subtract(v, row, c)
                for j, x in enumerate(combo):
                    own[j] += c * x
        if v:
            pivot = min(v)
            c = v[pivot]
            rows.append((pivot, {k: x / c for k, x in v.items()}, [-x / c for x in own] + [1 / c]))
            chosen.append(i)
            own = [Fraction(0)] * (len(chosen) - 1) + [Fraction(1)]
        coordinates.append(own)
    return chosen, [c + [Fraction(0)] * (len(chosen) - len(c)) for c in coordinates]


def _subtract(v: dict[Any, Fraction], row: dict[Any, Fraction], c: Fraction) -> None:
    for k, x in row.items():
        left = v.get(k, Fraction(0)) - c * x
        if left:
            v[k] = left
        else:
            v.pop(k, None)


def _factors(p: Poly) -> dict[Poly, int]:
    """p up to sign as a product of irreducible sums, generators and primes, with their powers."""
    unit, rest = split_unit(p)
    ((k, constant),) = unit.terms.items()
    out = {monomial(g): e for g, e in powers(k)}
    if rest != ONE:
        gens = sorted(rest.generators())
        content, found = _to_sympy(rest, gens).factor_list()
        constant *= _fraction(content)
        for f, e in found:
            back = sum((_product(gens, m).scale(_fraction(x)) for m, x in f.terms()), ZERO)
            unit, factor = split_unit(back)
            constant *= unit.lead() ** e
            out[factor] = out.get(factor, 0) + e
    for n, sign in ((Fraction(constant).numerator, 1), (Fraction(constant).denominator, -1)):
        out |= {poly(int(q)): sign * e for q, e in sp.factorint(abs(n)).items()}
    return out


def _product(gens: list[int], exponents: tuple[int, ...]) -> Poly:
    out = ONE
    for g, n in zip(gens, exponents, strict=True):
        out = out * monomial(g, n)
    return out


def _fraction(x: Any) -> Fraction:
    return Fraction(int(x.p), int(x.q))


def _to_sympy(p: Poly, gens: list[int]) -> sp.Poly:
    terms = {}
    for k, c in p.terms.items():
        of, c = dict(powers(k)), Fraction(c)
        terms[tuple(of.get(g, 0) for g in gens)] = sp.Rational(c.numerator, c.denominator)
    return sp.Poly.from_dict(terms, *(sp.Symbol(f"g{g}") for g in gens))
