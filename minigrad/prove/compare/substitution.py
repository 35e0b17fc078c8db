"""Sums rewritten: tensors replaced by sums, also in functions; terms collected by what weights multiply."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from fractions import Fraction
from typing import Any

from ...domains.contractions import DELTA, Monomial, Sum
from ...domains.sizes import ATOMS

OPEN, OUTER = -500, -700  # free names for bound indices: of a term being rewritten, of a collected one
HALF = Fraction(1, 2)


def tensors(e: Sum) -> Iterator[str]:
    """The tensors that occur in a sum (not those inside functions), in its order, some more than once."""
    return (name for fs, _ in e.terms for (name, _), _ in fs)


def slot(k: int) -> int:
    """The free index that stands, in what replaces a tensor, for the index at its position k."""
    return -1 - k


class Substitution:
    """Replaces each tensor in `values` by its sum, whose free indices are slot(0), slot(1), ..."""

    def __init__(self, values: Mapping[str, Sum]) -> None:
        self.values = values
        self.known: dict[str, Sum | None] = {}

    def __call__(self, e: Sum) -> Sum:
        if all(self._value(name) is None for name in tensors(e)):
            return e
        out = Sum()
        for (fs, dims), c in e.terms.items():
            term = Sum.number(c)
            for (name, idx), p in fs:
                idx = tuple(OPEN - i if i >= 0 else i for i in idx)
                v = self._value(name)
                if v is None:
                    term = term * Sum.factor(name, idx, p)
                else:
                    term = term * ATOMS.power(v.rename({slot(k): i for k, i in enumerate(idx)}), p)
            for i, dim in enumerate(dims):
                term = term.sum_over(OPEN - i, dim)
            out = out + term
        return out

    def _value(self, name: str) -> Sum | None:
        """What the tensor becomes, or None if it stays."""
        if name in self.values:
            return self.values[name]
        if name not in ATOMS.definitions:
            return None
        if name not in self.known:
            fn, u = ATOMS.definitions[name]
            new = self(u)
            self.known[name] = None if new == u else applied(fn, new)
        return self.known[name]


def applied(fn: str, u: Sum) -> Sum:
    """fn(u), for every function that an atom can be of."""
    if fn == "let":  # a sum that is only raised to powers
        return u
    if fn == "sigmoid":
        return (ATOMS.atom("tanh", u.scale(HALF)) + Sum.number(1)).scale(HALF)
    return ATOMS.atom(fn, u)


def collected(e: Sum, is_weight: Callable[[str], bool], batch: Collection[int] = ()) -> dict[Multiplied, Sum]:
    """What weights multiply -> the sum of weights, and of deltas, that multiplies it; zero sums are left out.

    Every index of what is multiplied, but those in `batch`, is one of its own (OUTER, OUTER - 1, ...), which
    the weights' side then relates: sum_k W[k,j] x[i,k] + u[j] x[i,j] gives x[i,p]: W[p,j] + u[j] delta[p,j].
    So the sum is zero for all values of what is multiplied if and only if each collected sum is.
    """
    out: dict[Multiplied, Sum] = {}
    for term, c in e.terms.items():
        key, weights = _split(term, c, is_weight, batch)
        out[key] = out.get(key, Sum()) + weights
    return {k: v for k, v in out.items() if v}


Multiplied = tuple[tuple[str, int, tuple[int, ...]], ...]  # tensor, power, and its batch indices (else 0)


def _split(
    term: Monomial, c: Any, is_weight: Callable[[str], bool], batch: Collection[int]
) -> tuple[Multiplied, Sum]:
    fs, dims = term
    copies: list[tuple[str, int, tuple[int, ...], tuple[int, ...]]] = []
    factors: dict[Any, int] = {}
    bound = {i: OPEN - i for i in range(len(dims))}
    for (name, idx), p in fs:
        at = tuple(bound.get(i, i) for i in idx)
        if is_weight(name) or name == DELTA or name.startswith("#"):
            factors[name, at] = factors.get((name, at), 0) + p
        else:
            kept = tuple(i if i in batch else 0 for i in idx)
            copies += [(name, min(p, 1), kept, at)] * max(p, 1)
    copies.sort(key=lambda f: f[:3])
    outer, slots = OUTER, []
    for _, _, kept, at in copies:
        own = {k: outer - n for n, k in enumerate(k for k, i in enumerate(kept) if not i)}
        outer -= len(own)
        slots.append(own)
        for k, new in own.items():
            factors[DELTA, (at[k], new)] = 1
    weights = Sum.product(factors, {}, c).bind({OPEN - i: d for i, d in enumerate(dims)})
    return tuple(f[:3] for f in copies), _symmetric(weights, copies, slots)


def _symmetric(weights: Sum, copies: list[Any], slots: list[dict[int, int]]) -> Sum:
    """The mean over the exchanges of equal factors, as x[i,p] x[i,q] does not tell W[p,q] from W[q,p]."""
    groups = [list(g) for _, g in itertools.groupby(range(len(copies)), key=lambda k: copies[k][:3])]
    orders = list(itertools.product(*(itertools.permutations(g) for g in groups)))
    out = Sum()
    for order in orders:
        moved = dict(zip(itertools.chain(*groups), itertools.chain(*order), strict=True))
        out = out + weights.rename(
            {v: slots[moved[k]][p] for k, own in enumerate(slots) for p, v in own.items()}
        )
    return out.scale(Fraction(1, len(orders)))


def sharing(e: Sum, shared: Collection[str]) -> list[Sum]:
    """The terms by their factors among the shared tensors, without these: e is zero if all of these are.

    sum_k W[k,j] u[k] - sum_k W[k,j] v[k], W being shared, gives u[OUTER] - v[OUTER].
    """
    out: dict[Monomial, Sum] = {}
    for (fs, dims), c in e.terms.items():
        mine = [f for f in fs if f[0][0] in shared]
        bound = sorted({i for (_, idx), _ in mine for i in idx if i >= 0})
        names = {old: OUTER - new for new, old in enumerate(bound)}
        names |= {i: OPEN - i for i in range(len(dims)) if i not in names}
        key = tuple(sorted(((n, tuple(names.get(i, i) for i in idx)), p) for (n, idx), p in mine))
        rest = {(n, tuple(names.get(i, i) for i in idx)): p for (n, idx), p in fs if n not in shared}
        term = Sum.product(rest, {}, c).bind({OPEN - i: d for i, d in enumerate(dims) if i not in bound})
        out[key, tuple(dims[i] for i in bound)] = out.get((key, tuple(dims[i] for i in bound)), Sum()) + term
    return list(out.values())
