"""Sums of products of indexed tensors, in one normal form: the entries of arrays of symbolic size.

A `Sum` maps monomials to rational coefficients. A monomial is a product of indexed factors, each to
an integer power, summed over some bound indices, each of which runs over a named dimension:

    2 * sum_{k < n} W[k, j] h[i, k]      ->      {((("W", (0, j)), 1), (("h", (i, 0)), 1)), ("n",): 2}

Free indices are negative integers, bound ones 0, 1, ...; delta[i, j] is 1 where i = j, else 0, and
the factor #n is the number n itself. Functions of sums are opaque tensors (`atoms.py`).
Guarantee: equal normal forms mean equal functions, at every size of at least 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

Factors = dict[tuple[str, tuple[int, ...]], int]  # (tensor, indices) -> power
Monomial = tuple[tuple, tuple[str, ...]]  # (sorted factors, dimensions of the bound indices 0, 1, ...)
DELTA = "delta"
ONE: Monomial = ((), ())
FACTOR = 1 / 64  # of the work of a product: a factor, in each order of the bound indices that is tried


class TooLong(RuntimeError):
    """More products were worked out than a `budget` allows."""


class _Work:
    left = float("inf")


_WORK = _Work()


@contextmanager
def budget(products: int) -> Iterator[None]:
    """A block in which at most so many products are brought to normal form. Raises TooLong beyond them."""
    before, _WORK.left = _WORK.left, products
    try:
        yield
    finally:
        _WORK.left = before


def _spend(products: float) -> None:
    _WORK.left -= products
    if _WORK.left < 0:
        raise TooLong("formulas of too many products")


class Sum:
    """A sum of monomials with rational coefficients; immutable."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: dict[Monomial, Any] | None = None) -> None:
        """terms: in normal form, and nobody else's: they are not copied."""
        self.terms: dict[Monomial, Any] = {} if terms is None else terms
        self._hash: int | None = None

    @staticmethod
    def number(c: Any) -> Sum:
        """A constant."""
        return Sum({ONE: _tidy(c)} if c else {})

    @staticmethod
    def factor(name: str, indices: tuple[int, ...], power: int = 1) -> Sum:
        """One indexed tensor to a power."""
        if name == DELTA:
            return Sum.product({(name, indices): power}, {})
        return Sum({((((name, indices), power),), ()): 1})

    @staticmethod
    def product(factors: Factors, dims: dict[int, str], c: Any = 1) -> Sum:
        """c times a product of factors, summed over the indices in `dims`, each with its dimension."""
        out: dict[Monomial, Any] = {}
        add_term(out, factors, dims, c)
        return Sum(out)

    def __add__(self, other: Sum) -> Sum:
        big, small = (self, other) if len(self.terms) >= len(other.terms) else (other, self)
        if not small.terms:
            return big
        terms = dict(big.terms)
        for k, c in small.terms.items():
            c = terms.get(k, 0) + c
            if c:
                terms[k] = _tidy(c)
            else:
                del terms[k]
        return Sum(terms)

    def __neg__(self) -> Sum:
        return self.scale(-1)

    def __sub__(self, other: Sum) -> Sum:
        return self + other.scale(-1)

    def scale(self, c: Any) -> Sum:
        """The sum times a rational number."""
        if c == 1:
            return self
        return Sum({k: _tidy(v * c) for k, v in self.terms.items()}) if c else Sum()

    def __mul__(self, other: Sum) -> Sum:
        out: dict[Monomial, Any] = {}
        for (fa, da), ca in self.terms.items():
            shift = len(da)
            for (fb, db), cb in other.terms.items():
                factors = dict(fa)
                for (name, idx), p in fb:
                    key = (name, tuple([i + shift if i >= 0 else i for i in idx]) if db and shift else idx)
                    factors[key] = factors.get(key, 0) + p
                add_term(out, factors, dict(enumerate(da + db)), ca * cb)
        return Sum(out)

    def power(self, n: int) -> Sum:
        """The sum to a natural power."""
        if len(self.terms) == 1:
            (((fs, dims), c),) = self.terms.items()
            if n and not dims and not any(name == DELTA for (name, _), _ in fs):
                return Sum({(tuple((f, p * n) for f, p in fs), ()): c**n})
        out = Sum.number(1)
        for _ in range(n):
            out = out * self
        return out

    def rename(self, names: Mapping[int, int]) -> Sum:
        """Free indices renamed, all at once (so an exchange is safe)."""
        return self.bind({}, {k: v for k, v in names.items() if k != v})

    def sum_over(self, index: int, dim: str) -> Sum:
        """The free index summed over its dimension; it becomes a bound one."""
        return self.bind({index: dim})

    def bind(self, dims: Mapping[int, str], names: Mapping[int, int] | None = None) -> Sum:
        """The free indices in `dims` summed over, the others renamed as `names` says."""
        if not dims and not names:
            return self
        out: dict[Monomial, Any] = {}
        for (fs, bound), c in self.terms.items():
            new = dict(names or {})
            new.update(zip(dims, itertools.count(len(bound)), strict=False))
            factors: Factors = {}
            for (name, idx), p in fs:
                key = (name, tuple([new.get(i, i) for i in idx]))
                factors[key] = factors.get(key, 0) + p
            add_term(out, factors, dict(enumerate((*bound, *dims.values()))), c)
        return Sum(out)

    def free(self) -> list[int]:
        """The free indices that occur, in increasing order."""
        return sorted({i for fs, _ in self.terms for (_, idx), _ in fs for i in idx if i < 0})

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __str__(self) -> str:
        return show(self)

    __repr__ = __str__


def _tidy(c: Any) -> Any:
    """A whole number as an int, on which arithmetic is ten times faster than on a Fraction."""
    return c.numerator if c.__class__ is Fraction and c.denominator == 1 else c


# ---- the normal form ---------------------------------------------------------------------------
def add_term(out: dict[Monomial, Any], factors: Factors, dims: dict[int, str], c: Any) -> None:
    """Add c times the monomial, in normal form, to `out`."""
    key = normal(factors, dims)
    total = out.get(key, 0) + c
    if total:
        out[key] = _tidy(total)
    else:
        out.pop(key, None)


def normal(factors: Factors, dims: dict[int, str]) -> Monomial:
    """The monomial in normal form: deltas contracted, unused indices counted, bound indices in order.

    dims: dimension of each bound index.
    """
    _spend(1)
    if not all(factors.values()):
        factors = {k: p for k, p in factors.items() if p}
    if any(name == DELTA for name, _ in factors):
        factors = _contract(factors, dims)
    if not dims:
        return tuple(sorted(factors.items())), ()
    used = {i for _, idx in factors for i in idx}
    for i in [i for i in dims if i not in used]:  # the sum of 1 over n entries is n
        size = (f"#{dims.pop(i)}", ())
        factors[size] = factors.get(size, 0) + 1
        if not factors[size]:
            del factors[size]
    best = None
    for order in _orders(factors, dims):
        _spend(FACTOR * len(factors))
        names = {v: k for k, v in enumerate(order)}
        key = tuple(
            sorted([((name, tuple([names.get(i, i) for i in idx])), p) for (name, idx), p in factors.items()])
        )
        if best is None or key < best[0]:
            best = key, tuple(dims[v] for v in order)
    assert best is not None
    return best


def _contract(factors: Factors, dims: dict[int, str]) -> Factors:
    """Deltas with a bound index removed, by renaming that index; of equal free indices the lowest is used."""
    while True:
        for name, idx in factors:
            if name == DELTA and (idx[0] == idx[1] or max(idx) >= 0):
                break
        else:
            break
        del factors[name, idx]
        kept, gone = sorted(idx)  # free indices are negative, so `gone` is a bound one
        if kept != gone:
            del dims[gone]
            factors = _renamed(factors, {gone: kept})
    same: dict[int, int] = {}  # free index -> the lowest one that it equals
    for name, (a, b) in [k for k in factors if k[0] == DELTA]:
        del factors[name, (a, b)]
        low, high = sorted((same.get(a, a), same.get(b, b)))
        same |= {i: low for i in (a, b, high, *(k for k, v in same.items() if v == high))}
    if not same:
        return factors
    return _renamed(factors, same) | {(DELTA, (low, i)): 1 for i, low in same.items() if i != low}


def _renamed(factors: Factors, names: dict[int, int]) -> Factors:
    out: Factors = {}
    for (name, idx), p in factors.items():
        key = (name, tuple([names.get(i, i) for i in idx]))
        out[key] = out.get(key, 0) + p
    return {k: p for k, p in out.items() if p}


def _orders(factors: Factors, dims: dict[int, str]) -> Iterable[tuple[int, ...]]:
    """Orders of the bound indices to try: those told apart by what they index are not permuted."""
    if len(dims) < 2:
        return [tuple(dims)]
    colour: dict[int, Any] = {v: (d,) for v, d in dims.items()}
    for _ in range(2):
        if len(set(colour.values())) == len(dims):
            break
        ranks = {c: r for r, c in enumerate(sorted(set(colour.values())))}
        seen: dict[int, list] = {v: [] for v in dims}
        for (name, idx), p in factors.items():
            mine = tuple([ranks[colour[i]] if i in dims else i for i in idx])
            for at, i in enumerate(idx):
                if i in dims:
                    seen[i].append((name, p, at, mine))
        colour = {v: (ranks[colour[v]], *sorted(s)) for v, s in seen.items()}
    groups: dict[Any, list[int]] = {}
    for v, c in colour.items():
        groups.setdefault(c, []).append(v)
    # colours of one dimension stay together: the dimension is the first thing they were ranked by
    parts = [itertools.permutations(groups[c]) for c in sorted(groups)]
    return (tuple(itertools.chain(*choice)) for choice in itertools.product(*parts))


# ---- as text -----------------------------------------------------------------------------------
Names = dict[str, tuple[str, tuple[int, ...]]]  # tensor -> what to call it, and its indices in which order


def show(e: Sum, names: Names | None = None) -> str:
    """The sum as text: free indices j (last axis), i, ..., bound ones k, l, ...; tensors as `names` says."""
    words = [_text(k, c, names or {}) for k, c in sorted(e.terms.items(), key=lambda kc: repr(kc[0]))]
    return " + ".join(words).replace("+ -", "- ") or "0"


def _text(key: Monomial, c: Any, names: Names) -> str:
    fs, dims = key

    def index(i: int) -> str:
        return "klmnpq"[i] if 0 <= i < 6 else "?jihg"[-i] if -5 < i < 0 else f"_{abs(i)}"

    words = [] if abs(c) == 1 and fs else [str(abs(c))]
    for (n, idx), p in fs:
        n, order = names.get(n, (n, range(len(idx))))
        idx = tuple(idx[k] for k in order)
        n = n.removeprefix("#")  # a size as a number
        words.append(n + (f"[{','.join(map(index, idx))}]" if idx else "") + (f"^{p}" if p != 1 else ""))
    total = "".join(f"sum_{index(i)}<{d} " for i, d in enumerate(dims))
    return "-" * (c < 0) + total + " ".join(words)
