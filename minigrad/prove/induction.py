"""The induction over time, in words of letters that do not commute: for every T and every size.

Letters stand for Jacobians and vectors of any size, so their order is kept. A word may be summed over a
bound index u = lo..hi with symbolic bounds. What is used, and nothing else:

    Phi(j, j) = 1    Phi(j, u) = b_j Phi(j-1, u) for u < j    sum_{lo}^{hi} f = sum_{lo}^{hi-1} f + f(hi)
    an empty sum is 0    sums and products distribute

Phi(j, u) = b_j b_{j-1} ... b_{u+1} is the product of the seeds' formula, in DESCENDING order, which is the
one that is right for matrices. A claim is proved if the difference of its two sides has no term left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from .report import Check, worst

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


# ---- the theorems ------------------------------------------------------------------------------
K, T_NOW, T_LAST, ZERO_AT, CUT = ("k", 0), ("t", 0), ("T", 0), ("", 0), ("c", 0)
Claim = Callable[[Index], Words]


def closed_form(k: Index) -> Words:
    """y_k = sum_{u=1}^{k} Phi(k, u) a_u + Phi(k, 0) y_0 (the seeds' a_k is the term u = k)."""
    return total(("", 1), k, letter("Phi", k, U) * letter("a", U)) + letter("Phi", k, ZERO_AT) * letter(
        "y", ZERO_AT
    )


def closed_form_residuals(
    claim: Claim = closed_form, product: Callable[[Index, Index], Words] | None = None
) -> dict[str, Words]:
    """What is left of the claim about y_k = a_k + b_k y_{k-1} in its base case k = 0 and its step."""
    base = unfold(split_top(claim(ZERO_AT), ZERO_AT), ZERO_AT, product) - letter("y", ZERO_AT)
    step = letter("a", K) + letter("b", K) * claim(before(K))
    return {"base k = 0": base, "step k-1 to k": unfold(split_top(claim(K), K), K, product) - step}


def forward(t: Index) -> Words:
    """S_t = P_t + J_t S_{t-1}: the chain rule, for ds_t/dtheta."""
    return letter("P", t) + letter("J", t) * letter("S", before(t))


@dataclass(frozen=True)
class Adjoint:
    """The backward recursion, from step t to t - 1: the cotangent delta and the accumulator A."""

    delta: Claim = lambda t: letter("g", before(t)) + letter("delta", t) * letter("J", t)
    A: Claim = lambda t: letter("A", t) + letter("delta", t) * letter("P", t)


def invariant(t: Index) -> Words:
    """I_t = A_t + delta_t S_t + sum_{u=0}^{t-1} g_u S_u, which does not depend on t."""
    earlier = total(ZERO_AT, before(t), letter("g", U) * letter("S", U))
    return letter("A", t) + letter("delta", t) * letter("S", t) + earlier


def duality_residuals(adjoint: Adjoint | None = None, s: Claim = forward) -> dict[str, Words]:
    """What is left of: A_0 + delta_0 S_0 = sum_t g_t S_t, from the loop invariant.

    Begin: delta_T = g_T, A_T = 0. Step: I_{t-1} = I_t. End: I_0 = A_0 + delta_0 S_0.
    """
    adjoint, t = adjoint or Adjoint(), T_NOW
    begin = replace(invariant(T_LAST), "A", lambda _: Words())
    begin = replace(begin, "delta", lambda at: letter("g", at))
    everything = total(ZERO_AT, T_LAST, letter("g", U) * letter("S", U))
    earlier = replace(invariant(before(t)), "A", lambda at: adjoint.A(t) if at == before(t) else None)
    earlier = replace(earlier, "delta", lambda at: adjoint.delta(t) if at == before(t) else None)
    now = replace(split_top(invariant(t), before(t)), "S", lambda at: s(t) if at == t else None)
    end = split_top(invariant(ZERO_AT), before(ZERO_AT))
    return {
        "begin t = T": begin - split_top(everything, T_LAST),
        "step t to t-1": earlier - now,
        "end t = 0": end - (letter("A", ZERO_AT) + letter("delta", ZERO_AT) * letter("S", ZERO_AT)),
    }


# ---- truncated BPTT ----------------------------------------------------------------------------
def kept(t: Index) -> Words:
    """sum_{u=c+1}^{t} Phi(t, u) a_u: what r_t is, the state after step c being the last that was cut."""
    return total(before(CUT, -1), t, letter("Phi", t, U) * letter("a", U))


def dropped(t: Index) -> Words:
    """sum_{u=1}^{c} Phi(t, u) a_u + Phi(t, 0) y_0: what y_t has and r_t has not."""
    earlier = total(("", 1), CUT, letter("Phi", t, U) * letter("a", U))
    return earlier + letter("Phi", t, ZERO_AT) * letter("y", ZERO_AT)


def truncation_residuals(
    keep: Claim = kept, drop: Claim = dropped, adjoint: Adjoint | None = None
) -> dict[str, Words]:
    """What is left of the claims about a recursion that begins anew after c, the last cut before t.

    r_{c+1} = a_{c+1}, r_t = a_t + b_t r_{t-1} for t > c + 1, beside y_t = a_t + b_t y_{t-1}: r_t is `kept`,
    y_t - r_t is `dropped`. Backward, delta_c = g_c at a cut: the invariant of the duality, with r_t for S_t,
    is kept there too, so what reverse accumulation gives is sum_t g_t r_t.
    """
    t, first = T_NOW, before(CUT, -1)
    a, b, y, r = (partial(letter, name) for name in "abyr")
    start = split_top(split_top(keep(first), first), CUT)
    y_then = replace(a(first) + b(first) * y(CUT), "y", lambda at: closed_form(CUT) if at == CUT else None)
    y_now = replace(a(t) + b(t) * y(before(t)), "y", lambda at: r(at) + drop(at) if at == before(t) else None)
    adjoint = adjoint or Adjoint(delta=lambda t: letter("g", before(t)))
    return {
        "kept: base t = c+1": unfold(start, first) - a(first),
        "kept: step": unfold(split_top(keep(t), t), t) - (a(t) + b(t) * keep(before(t))),
        "dropped: base": unfold(drop(first), first) - (y_then - a(first)),
        "dropped: step": unfold(drop(t), t) - (y_now - (a(t) + b(t) * r(before(t)))),
        "backward at a cut": duality_residuals(adjoint, lambda t: letter("P", t))["step t to t-1"],
    }


# ---- the lines of the table --------------------------------------------------------------------
def closed_form_check() -> Check:
    """The closed form of S_t, for every number of steps and every size."""
    claim = "S_t = sum_i (J_t ... J_{i+1}) P_i + (J_t ... J_1) S_0, descending"
    return _check("closed form", claim, closed_form_residuals)


def duality_check() -> Check:
    """Forward and backward recursion agree, for every number of steps and every size."""
    return _check("duality", "backward recursion: A_0 + delta_0 S_0 = sum_t g_t S_t", duality_residuals)


def truncation_check() -> Check:
    """Which terms truncated BPTT drops, for every number of steps, every cut and every size."""
    claim = "truncate=k drops the terms i <= c of S_t and S_0's, c the last cut before t"
    return _check("truncated", claim, truncation_residuals)


def _check(name: str, claim: str, residuals: Callable[[], dict[str, Words]]) -> Check:
    start = time.perf_counter()
    found = residuals()
    left = [f"{case}: {e} is left" for case, e in found.items() if e]
    verdict = worst("unknown" if e else "proved" for e in found.values())
    detail = "; ".join(left) or f"{', '.join(found)}: no term left; every T, every size"
    return Check(name, claim, verdict, time.perf_counter() - start, detail)


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
