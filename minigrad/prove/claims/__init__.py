"""What the articles say of their cells, as checked statements: proved for every size, or corrected.

A gate is set to 0 or 1 in the formulas themselves, of arrays of symbolic size, and normal forms are
compared; a range is a bound over all values, not a sample; derivatives are exact; a correction has a
certified counterexample. `python -m minigrad.prove.claims` writes docs/claims.md, and a test compares.
"""

from __future__ import annotations

import time

from .equations import code_and_equations, misprint
from .gates import convex, forgetting, one_gate, ranges, reset_closed, reset_open
from .gradients import cell_line, recurrent_line
from .statement import Claim, ClaimCheck

CLAIMS = (
    Claim("Reset gate near 1: a plain RNN", "article 001, on equation (9)", reset_open),
    Claim(
        "Reset gate near 0: a perceptron of x, the old state reset",
        "article 001, on equation (9)",
        reset_closed,
    ),
    Claim("The new state is a convex combination", "article 001, on equation (10)", convex),
    Claim("Gates lie in (0, 1), candidates in (-1, 1)", "articles 001 and 002", ranges),
    Claim("A forget gate near 0 forgets, near 1 keeps", "article 001, on equations (1) and (4)", forgetting),
    Claim("An LSTM is not bothered by vanishing gradients", "article 002", cell_line),
    Claim("A plain RNN's gradient vanishes or explodes", "article 002", recurrent_line),
    Claim("A GRU merges the forget and input gates into its update gate", "article 001", one_gate),
    Claim("The code is the equations", "article 001", code_and_equations),
    Claim("The equations are an LSTM's", "article 002", misprint),
)


def check_claims() -> list[ClaimCheck]:
    """Every claim of the articles, checked."""
    out = []
    for claim in CLAIMS:
        start = time.perf_counter()
        found = tuple(claim.check())
        out.append(ClaimCheck(claim, found, time.perf_counter() - start))
    return out


__all__ = ["CLAIMS", "Claim", "ClaimCheck", "check_claims"]
