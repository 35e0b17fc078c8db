"""Whether the functions in two cells are independent: then formulas are equal only if they are term by term.

tanh and sigmoid are, of sums of which no rational multiples add up to a number: tanh(u + v) is rational in
tanh(u) and tanh(v). Pairs such as tanh(u) and sigmoid(u), which is made of tanh(u/2), have no relation
without squares: they are independent where nothing is squared. Signs are, if all of them can be either,
whatever the others are: the sign of exp(u) is always 1, and that of u + 1 is if that of u is.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ...domains.contractions import ONE, Monomial, Sum
from ...domains.sizes import ATOMS
from .sides import Side, functions
from .substitution import tensors


def independent(*sides: Side) -> bool:
    """Whether the functions in the cells are known to be: tanh, sigmoid and signs of sums, as above."""
    pairs, powers = False, set[tuple[str, int]]()
    for side in sides:
        used = [e for o in side.outs for e in o.entries.values()]
        smooth, signs = list[Sum](), list[Sum]()
        for f in dict.fromkeys(f for e in used for f in functions(e)):
            fn, u = ATOMS.definitions[f]
            (signs if fn == "sign" else smooth).append(u.scale(Fraction(1, 2)) if fn == "sigmoid" else u)
        used += [*smooth, *signs]
        powers |= {(name.split("#")[0], p) for e in used for fs, _ in e.terms for (name, _), p in fs if "#" in name}
        ratios = _ratios(smooth)
        if ratios is None or not _free(side.weights, signs):
            return False
        pairs = pairs or bool(ratios)
    most = {"tanh": 1 if pairs else None, "sigmoid": 1 if pairs else None, "sign": 1}
    return all(not fn or (fn in most and 0 < p <= (most[fn] or p)) for fn, p in powers)


def _ratios(sums: Iterable[Sum]) -> list[Fraction] | None:
    """c of each pair u, c u + number among the sums; None if there are other relations, or c is 1 or -1."""
    groups: dict[frozenset[tuple[Monomial, Fraction]], list[Fraction]] = {}
    for e in sums:
        row = {k: Fraction(c) for k, c in sorted(e.terms.items(), key=repr) if k != ONE}
        lead = next(iter(row.values()), Fraction(1))
        groups.setdefault(frozenset((k, c / lead) for k, c in row.items()), []).append(lead)
    pairs = [leads[0] / leads[1] for leads in groups.values() if len(leads) == 2]
    if any(len(leads) > 2 for leads in groups.values()) or {*map(abs, pairs)} & {1}:
        return None
    return pairs if _no_relation(map(dict, groups)) else None


def _no_relation(rows: Iterable[dict[Monomial, Fraction]]) -> bool:
    """Whether no multiples of the rows, not all zero, add up to nothing."""
    pivots: list[tuple[Monomial, dict[Monomial, Fraction]]] = []
    for row in rows:
        for at, pivot in pivots:
            factor = row.get(at, Fraction(0)) / pivot[at]
            row = {k: row.get(k, Fraction(0)) - factor * pivot.get(k, Fraction(0)) for k in {**row, **pivot}}
        left = [k for k, c in row.items() if c]
        if not left:
            return False
        pivots.append((left[0], row))
    return True


def _free(weights: set[str], sums: list[Sum]) -> bool:
    """Whether each sum is affine in a weight that no other has: then all signs occur, whatever the others are."""
    inside = [{*tensors(u), *(t for f in functions(u) for t in tensors(ATOMS.definitions[f][1]))} for u in sums]
    return all(
        any(_is_affine(u, w) for w in weights - set().union(*inside[:k], *inside[k + 1 :]))
        for k, u in enumerate(sums)
    )


def _is_affine(u: Sum, weight: str) -> bool:
    """Whether u is a * weight + b with neither a nor b made of that weight: it can be above 0, and below."""
    if any(weight in tensors(ATOMS.definitions[f][1]) for f in functions(u)):
        return False
    powers = [[p for (name, _), p in fs if name == weight] for fs, _ in u.terms]
    return any(powers) and all(ps in ([], [1]) for ps in powers)
