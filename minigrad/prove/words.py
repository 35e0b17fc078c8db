"""Sums of words in letters that do not commute, and the rules that rewrite them.

Letters stand for Jacobians and vectors of any size, so their order is kept. A word may be summed over a
bound index u = lo..hi with symbolic bounds. What is used, and nothing else:

    Phi(j, j) = 1    Phi(j, u) = b_j Phi(j-1, u) for u < j    sum_{lo}^{hi} f = sum_{lo}^{hi-1} f + f(hi)
    an empty sum is 0    sums and products distribute

Phi(j, u) = b_j b_{j-1} ... b_{u+1} is the product of the seeds' formula, in DESCENDING order, which is the
one that is right for matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

Index = tuple[str, int]  # ("k", -1) is k - 1, ("", 3) is 3
Letter = tuple[str, tuple[Index, ...]]  # ("Phi", (k, u))
Key = tuple[tuple[Index, Index] | None, tuple[Letter, ...]]  # (bounds of the sum over u, word)
U: Index = ("u", 0)  # the bound index of sums
LEAST = {  # what is assumed of the free indices: by how much the second exceeds the first, at least
    ("", "k"): 1, ("", "t"): 1, ("", "T"): 0, ("", "c"): 1, ("c", "t"): 2,
}  # fmt: skip


class Words:
    """A sum of words with rational coefficients, each word perhaps under a sum over u; immutable."""

    def __init__(self, terms: Mapping[Key, Fraction | int] | None = None) -> None:
        self.terms = {k: c for k, c in (terms or {}).items() if c}

    def __add__(self, other: Words) -> Words:
        out = dict(self.terms)
        for k, c in other.terms.items():
            out[k] = out.get(k, 0) + c
        return Words(out)

    def __sub__(self, other: Words) -> Words:
        return self + Words({k: -c for k, c in other.terms.items()})

    def __mul__(self, other: Words) -> Words:
        out: dict[Key, Fraction | int] = {}
        for (ra, wa), a in self.terms.items():
            for (rb, wb), b in other.terms.items():
                if ra and rb:
                    raise ValueError("a product of two sums: one bound index is not enough")
                key = ra or rb, wa + wb
                out[key] = out.get(key, 0) + a * b
        return Words(out)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words) and self.terms == other.terms

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return (
            " + ".join(_text(k, c) for k, c in sorted(self.terms.items(), key=repr)).replace("+ -", "- ")
            or "0"
        )

    __repr__ = __str__


ONE = Words({(None, ()): 1})


def letter(name: str, *at: Index) -> Words:
    """One letter, such as b_k or Phi(k, u)."""
    return Words({(None, ((name, at),)): 1})


def total(lo: Index, hi: Index, body: Words) -> Words:
    """The sum of the body over u = lo..hi. Raises ValueError if the body holds a sum."""
    if any(bounds for bounds, _ in body.terms):
        raise ValueError("a sum in a sum: one bound index is not enough")
    return Words({((lo, hi), word): c for (_, word), c in body.terms.items()})


def before(i: Index, by: int = 1) -> Index:
    """i - by."""
    return i[0], i[1] - by


def _least(i: Index, j: Index) -> int | None:
    """A number that j - i is at least, or None if none is known."""
    if i[0] == j[0]:
        return j[1] - i[1]
    apart = LEAST.get((i[0], j[0]))
    return None if apart is None else apart + j[1] - i[1]


def at_most(i: Index, j: Index, slack: int = 0) -> bool:
    """Whether i <= j + slack is certain."""
    d = _least(i, j)
    return d is not None and d + slack >= 0


# ---- the rewrite rules -------------------------------------------------------------------------
def split_top(e: Words, top: Index) -> Words:
    """Sums that end at `top` without their last term, and that term; a sum that is empty is 0."""
    out = Words()
    for (bounds, word), c in e.terms.items():
        if bounds is None or bounds[1] != top:
            out = out + Words({(bounds, word): c})
            continue
        lo, hi = bounds
        if hi == before(lo):
            continue
        if not at_most(lo, hi):
            raise ValueError(f"the sum from {lo} to {hi} may be empty: it has no certain last term")
        out = out + Words({((lo, before(hi)), word): c}) + Words({(None, _at(word, hi)): c})
    return out


def _at(word: tuple[Letter, ...], u: Index) -> tuple[Letter, ...]:
    return tuple((n, tuple((u[0], u[1] + i[1]) if i[0] == "u" else i for i in at)) for n, at in word)


def unfold(e: Words, top: Index, product: Callable[[Index, Index], Words] | None = None) -> Words:
    """Phi(top, u) unfolded once, and Phi(j, j) = 1; `product` gives the unfolded form."""
    product = product or descending
    out = Words()
    for (bounds, word), c in e.terms.items():
        term = ONE
        for name, at in word:
            term = term * (_unfolded(at, bounds, top, product) if name == "Phi" else letter(name, *at))
        out = out + Words({(bounds, w): c * k for (_, w), k in term.terms.items()})
    return out


def _unfolded(
    at: tuple[Index, ...],
    bounds: tuple[Index, Index] | None,
    top: Index,
    product: Callable[[Index, Index], Words],
) -> Words:
    j, i = at
    if i == j:
        return ONE
    largest = (bounds[1][0], bounds[1][1] + i[1]) if i[0] == "u" and bounds else i
    return product(j, i) if j == top and at_most(largest, j, -1) else letter("Phi", j, i)


def descending(j: Index, i: Index) -> Words:
    """Phi(j, i) = b_j Phi(j-1, i): the later factor stands left."""
    return letter("b", j) * letter("Phi", before(j), i)


def ascending(j: Index, i: Index) -> Words:
    """The seeds' product as it is typed, factors from left to right: right for numbers only."""
    return letter("Phi", before(j), i) * letter("b", j)


def replace(e: Words, name: str, by: Callable[..., Words | None]) -> Words:
    """Every letter of that name replaced by `by(*its indices)`, where that is not None."""
    out = Words()
    for (bounds, word), c in e.terms.items():
        term = Words({(bounds, ()): c})
        for n, at in word:
            new = by(*at) if n == name else None
            term = term * (letter(n, *at) if new is None else new)
        out = out + term
    return out


# ---- numbers and text --------------------------------------------------------------------------
def at_numbers(e: Words, values: Mapping[str, int]) -> dict[tuple[tuple[str, int], ...], Fraction | int]:
    """The words of e with its indices as numbers: sums written out, Phi(j, i) as b_j ... b_{i+1}."""
    out: dict[tuple[tuple[str, int], ...], Fraction | int] = {}

    def number(i: Index) -> int:
        return (values[i[0]] if i[0] else 0) + i[1]

    for (bounds, word), c in e.terms.items():
        for u in range(number(bounds[0]), number(bounds[1]) + 1) if bounds else (None,):
            plain: list[tuple[str, int]] = []
            for name, at in word if u is None else _at(word, ("", u)):
                plain += _descending(*map(number, at)) if name == "Phi" else [(name, number(at[0]))]
            key = tuple(plain)
            out[key] = out.get(key, 0) + c
    return {k: c for k, c in out.items() if c}


def _descending(j: int, i: int) -> Iterable[tuple[str, int]]:
    return [("b", m) for m in range(j, i, -1)]


def _text(key: Key, c: Fraction | int) -> str:
    bounds, word = key
    words = [
        f"{n}_{_index(at[0])}" if len(at) == 1 else f"{n}({', '.join(map(_index, at))})" for n, at in word
    ]
    sign = "" if c == 1 and words else "-" if c == -1 and words else f"{c} "
    total = f"sum_{{u={_index(bounds[0])}..{_index(bounds[1])}}} " if bounds else ""
    return sign + total + " ".join(words)


def _index(i: Index) -> str:
    return f"{i[0]}{i[1]:+d}" if i[0] and i[1] else i[0] or str(i[1])
