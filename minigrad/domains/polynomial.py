"""Sparse polynomials over the rationals in symbols and atoms: exact numbers with one normal form.

A `Poly` maps monomials to rational coefficients. A monomial is a product of powers of generators, and a
generator is a symbol or an atom: an opaque function, such as tanh, of a Poly (see `elementary`). Atoms are
hash-consed on the Poly they are a function of, so equal normal forms mean equal functions, wherever
both are defined. The converse does not hold: atoms have relations that are not known here, such as
tanh(u) = 2 sigmoid(2u) - 1 (see prove/equality.py). Negative powers stand for division.

The Polys of two `fresh()` blocks must not be mixed (see `generators`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np

from ..engine.errors import TraceError
from .generators import BITS, atoms, powers
from .symbols import exact

MAX_POWER = (1 << BITS - 2) - 1  # so that a product of two monomials never runs over a digit
DIVISOR = "no divisor is 0"

MOST_PRODUCTS = 2_000_000  # of terms, in one product: a second


class Poly:
    """A polynomial (with negative powers allowed); immutable. Sums and products with numbers are exact."""

    __slots__ = ("_hash", "reach", "terms")

    def __init__(self, terms: Mapping[int, Any], reach: int | None = None) -> None:
        self.terms: Any = terms
        self._hash: int | None = None
        if reach is None:
            reach = max((abs(e) for k in terms for _, e in powers(k)), default=0)
        if reach > MAX_POWER:
            raise OverflowError(f"a power beyond {MAX_POWER} is out of reach of exact formulas")
        self.reach = reach  # no power is larger, so that no digit of a monomial runs over

    def __add__(self, other: Any) -> Poly:
        if other.__class__ is not Poly:
            other = _number(other)
            if other is None:
                return NotImplemented
        big, small = (
            (self.terms, other.terms) if len(self.terms) >= len(other.terms) else (other.terms, self.terms)
        )
        out = dict(big)
        for k, c in small.items():
            total = out.get(k, 0) + c
            if total:
                out[k] = total
            else:
                del out[k]
        return Poly(out, max(self.reach, other.reach))

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly({k: -c for k, c in self.terms.items()}, self.reach)

    def __pos__(self) -> Poly:
        return self

    def __sub__(self, other: Any) -> Poly:
        return self + (-other)

    def __rsub__(self, other: Any) -> Poly:
        return -self + other

    def __mul__(self, other: Any) -> Poly:
        if other.__class__ is not Poly:
            other = _number(other)
            if other is None:
                return NotImplemented
        if not self.terms or not other.terms:
            return ZERO
        if len(other.terms) == 1 and 0 in other.terms:
            return self.scale(other.terms[0])
        if len(self.terms) * len(other.terms) > MOST_PRODUCTS:
            raise OverflowError(f"a product of more than {MOST_PRODUCTS} terms is out of reach of exact formulas")
        (a, below_a), (b, below_b) = _integral(self.terms), _integral(other.terms)
        out: dict[int, Any] = {}
        for ka, ca in a.items():
            for kb, cb in b.items():
                k = ka + kb
                out[k] = out.get(k, 0) + ca * cb
        below, reach = below_a * below_b, self.reach + other.reach
        return Poly({k: c if below == 1 else _plain(Fraction(c, below)) for k, c in out.items() if c}, reach)

    __rmul__ = __mul__

    def scale(self, c: Any) -> Poly:
        """The polynomial times a rational number."""
        if c == 1:
            return self
        return Poly({k: _plain(v * c) for k, v in self.terms.items()}, self.reach) if c else ZERO

    def __truediv__(self, other: Any) -> Poly:
        if other.__class__ is not Poly:
            other = _number(other)
            if other is None:
                return NotImplemented
        return self * other**-1

    def __rtruediv__(self, other: Any) -> Poly:
        return self**-1 * other

    def __pow__(self, n: int) -> Poly:
        """A whole power; for n < 0, of a proper sum, that of an atom. Raises OverflowError for a large n."""
        if n < 0:
            return self._divided(n)
        out, square = ONE, self
        while n:
            if n % 2:
                out = out * square
            n //= 2
            square = square * square if n else square
        return out

    def _divided(self, n: int) -> Poly:
        if not self.terms:
            raise ZeroDivisionError("division by an expression that is 0")
        if self.constant() is None and not self.is_positive():
            atoms().assume(DIVISOR)
        if len(self.terms) == 1:
            ((k, c),) = self.terms.items()
            return Poly({k * n: _plain(Fraction(c) ** n)}, -self.reach * n)
        c = Fraction(self.lead())
        return monomial(atoms().generator("let", (self.scale(1 / c),)), n).scale(_plain(c**n))

    # ---- comparison ----
    def __eq__(self, other: object) -> bool:
        if other.__class__ is not Poly:
            other = _number(other)
            if other is None:
                return NotImplemented
        return self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def _decided(self, *_: Any) -> Any:
        c = self.constant()
        if c is None or _:
            raise TraceError(
                "a branch, loop or conversion on a tensor's value: the program would depend on its data; "
                "use where(condition, a, b), or operations on tensors"
            )
        return c

    def __bool__(self) -> bool:
        return bool(self._decided())

    def __float__(self) -> float:
        return float(self._decided())

    def __int__(self) -> int:
        return int(self._decided())

    def __index__(self) -> int:
        return self._decided().__index__()

    __lt__ = __le__ = __gt__ = __ge__ = _decided

    # ---- reading ----
    def constant(self) -> Any:
        """The number this is, or None."""
        return 0 if not self.terms else self.terms.get(0) if len(self.terms) == 1 else None

    def lead(self) -> Any:
        """The coefficient of the first monomial, in an order that multiplication respects."""
        return self.terms[min(self.terms)]

    def generators(self) -> set[int]:
        """The generators that occur."""
        return {g for k in self.terms for g, _ in powers(k)}

    def is_positive(self) -> bool:
        """Whether it is positive wherever it is defined, as far as the signs of its terms tell."""
        sure, positive = False, atoms().positive
        for k, c in self.terms.items():
            if c < 0 or any(e % 2 and g not in positive for g, e in powers(k)):
                return False
            sure = sure or all(g in positive for g, _ in powers(k))
        return sure

    def partials(self) -> dict[int, Poly]:
        """The derivative by each generator that occurs, the others held fixed."""
        out: dict[int, dict[int, Any]] = {}
        for k, c in self.terms.items():
            for g, e in powers(k):
                out.setdefault(g, {})[k - (1 << BITS * g)] = c * e
        return {g: Poly(terms, self.reach + 1) for g, terms in out.items()}

    def __repr__(self) -> str:
        words = [_term(k, c) for k, c in sorted(self.terms.items(), key=lambda kc: powers(kc[0]))]
        return " + ".join(words).replace("+ -", "- ") or "0"


def monomial(g: int, e: int = 1) -> Poly:
    """A generator to a power."""
    return Poly({e << BITS * g: 1}, abs(e))


def generator_of(p: Poly) -> int:
    """The generator that p is. Raises ValueError if it is something else."""
    ((k, _),) = p.terms.items()
    ((g, _),) = powers(k)
    return g


def atom(fn: str, *args: Any) -> Poly:
    """The opaque function fn of these arguments."""
    return monomial(atoms().generator(fn, args))


def symbol(name: str, positive: bool = False) -> Poly:
    """A real symbol; the same name (and sign) is the same symbol."""
    return atom("symbol", name, positive)


ZERO, ONE = Poly({}, 0), Poly({0: 1}, 0)


# ---- numbers -----------------------------------------------------------------------------------
def poly(x: Any) -> Poly:
    """A number or a Poly as a Poly. Raises TypeError for anything else."""
    p = x if isinstance(x, Poly) else _number(x)
    if p is None:
        raise TypeError(f"a {type(x).__name__} is not an exact number")
    return p


def _number(x: Any) -> Poly | None:
    """A number as a Poly; None for anything else. A float is the rational it is written as."""
    if isinstance(x, (bool, np.bool_)):
        x = int(x)
    elif isinstance(x, Rational):
        x = _plain(Fraction(int(x.numerator), int(x.denominator)))
    elif isinstance(x, (float, np.floating)) or getattr(x, "is_Rational", False):
        q = exact(x)
        x = _plain(Fraction(int(q.p), int(q.q)))
    else:
        return None
    return Poly({0: x} if x else {}, 0)


def _plain(c: Any) -> Any:
    """A whole Fraction as an int, which is faster from then on."""
    return c.numerator if c.__class__ is Fraction and c.denominator == 1 else c


def _integral(terms: Any) -> tuple[Any, int]:
    """The terms with whole coefficients, and what they are to be divided by: Fractions multiply slowly."""
    if all(c.__class__ is int for c in terms.values()):
        return terms, 1
    below = math.lcm(*(c.denominator for c in terms.values()))
    return {k: c.numerator * (below // c.denominator) for k, c in terms.items()}, below


# ---- text --------------------------------------------------------------------------------------
def name_of(g: int) -> str:
    """A generator as text: x_0, tanh(...), and (...) for one that names a sum."""
    fn, args = atoms().what[g]
    if fn == "symbol":
        return args[0]
    return f"({args[0]})" if fn == "let" else f"{fn}({', '.join(map(str, args))})"


def _term(k: int, c: Any) -> str:
    words = [] if c == 1 and k else ["-"] if c == -1 and k else [str(c)]
    words += [name_of(g) + (f"^{e}" if e != 1 else "") for g, e in powers(k)]
    return " ".join(words).replace("- ", "-", 1)
