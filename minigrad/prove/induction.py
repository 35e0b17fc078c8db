"""The induction over time, in words of letters that do not commute: for every T and every size.

A claim is proved if the difference of its two sides, rewritten by the rules of words.py, has no term left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .report import Check, worst
from .words import Index, U, Words, before, letter, replace, split_top, total, unfold

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
