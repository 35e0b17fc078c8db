"""The terms of BPTT: one step of the backward recursion after the other, the routes kept apart.

With g_j the part of the cotangent that enters at step j, and b_j, a_j the Jacobians of step j by the states
and by the parameter, the term of step i is delta_i a_i, where delta_i = sum_{t >= i} g_t b_t ... b_{i+1}.
Each product of blocks is a route through the state lines. `direct` is g_i a_i; `highway` stays on one line
from where it enters down to step i; `other` is all the rest. Each is propagated by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .graph import Array, Cots, Pieces

ROUTES = ("direct", "highway", "other")
MOST = 20_000_000  # numbers in all terms together: 160 MB


@dataclass
class Terms:
    """What was summed: routes[i][name] of shape (rows of `of`, *shape of `wrt`); outside: no step's part."""

    routes: list[dict[str, Array]]
    outside: Array | None
    delta: list[float]  # Frobenius norm of d of / d (states after step j)


@np.errstate(all="ignore")  # what is not finite is shown, not warned about
def terms(pieces: Pieces, highway: int | None) -> Terms:
    """All terms. Raises ValueError if they are more than 20 million numbers."""
    of, wrt = pieces.of, pieces.wrt
    rows, n = int(of.value.size), len(pieces.steps)
    if (count := rows * int(wrt.value.size) * n) > MOST:
        raise ValueError(
            f"ledger: {n} terms of shape {(*of.shape, *wrt.shape)} are {count:,} numbers, more than the "
            f"{MOST:,} that are kept; pass of=loss, a single number made from the states, or fewer units"
        )
    routes = [dict[str, Array]() for _ in range(n)]
    outside = np.zeros((rows, *wrt.shape)) if pieces.outside else None
    square = np.zeros(n)
    for r in range(rows):
        seed = np.zeros(rows, of.dtype)
        seed[r] = 1
        begun = pieces.tail({of.id: seed.reshape(of.shape)})
        if outside is not None:
            outside[r] = begun[wrt.id]
        chain: dict[str, Cots] = {"highway": {}, "other": {}}
        for j in range(n - 1, -1, -1):
            entering = {t.id: begun[t.id] for t in pieces.extra[j]}
            outputs = pieces.readouts[j](entering)
            square[j] += _square([entering, outputs, *chain.values()], pieces.states(j))
            if not (j or pieces.touched[0]):
                break
            found = {"direct": pieces.steps[j](entering)}
            found |= {name: pieces.steps[j](cots) for name, cots in chain.items()}
            for name, cots in found.items():
                if pieces.touched[j] and wrt.id in cots:
                    whole = routes[j].setdefault(name, np.zeros((rows, *wrt.shape)))
                    whole[r] = cots[wrt.id]
            if j:
                chain = _next(found, pieces.states(j - 1), highway)
    return Terms(routes, outside, [float(v) for v in np.sqrt(square)])


def _next(found: dict[str, Cots], states: list[int], highway: int | None) -> dict[str, Cots]:
    """What each route carries to the step before: the highway is left for good by any other line."""
    line = states[highway] if highway is not None else None
    chain: dict[str, Cots] = {"highway": {}, "other": {}}
    for name, cots in found.items():
        for i in dict.fromkeys(states):
            if i in cots:
                to = chain["highway" if i == line and name != "other" else "other"]
                to[i] = to[i] + cots[i] if i in to else cots[i]
    return chain


def _square(found: list[Cots], states: list[int]) -> float:
    """The squared norm of all cotangents of these states together."""
    whole = [np.sum([cots[i] for cots in found if i in cots], axis=0) for i in dict.fromkeys(states)]
    return float(sum((g * g).sum() for g in whole))
