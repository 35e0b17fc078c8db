"""The numbers in a picture: gradients of states and gates, and each step's share of dL/dW.

One reverse sweep of the engine gives every cotangent. A step's share of a parameter's gradient is the
sum, over the operations of that step that read the parameter, of their table rows' vjp at those
cotangents; the shares of all steps add up to the gradient (`check` is the largest difference).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.core import Tensor, recording
from ..engine.grad import ones_like, pull, sweep
from .steps import Recording


@dataclass(frozen=True)
class Numbers:
    """gradient: by tensor id; share[t][p]: step t's part of the gradient of parameter p."""

    loss: float
    gradient: dict[int, np.ndarray]
    share: tuple[tuple[np.ndarray | None, ...], ...]
    total: tuple[np.ndarray | None, ...]
    check: float
    peak: float  # largest finite entry of the gradient of any state

    def norm(self, t: Tensor | None) -> float | None:
        """Norm of dL/dt, None where no gradient is known."""
        g = None if t is None else self.gradient.get(t.id)
        return None if g is None else float(np.linalg.norm(g))

    def tap(self, steps: Sequence[int], group: tuple[int, ...]) -> float:
        """Norm of these steps' share (counted from 0) of the gradient of a group of parameters."""
        squares = 0.0
        for p in group:
            if parts := [g for t in steps if (g := self.share[t][p]) is not None]:
                whole = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
                squares += float((whole * whole).sum())
        return float(np.sqrt(squares))


@np.errstate(all="ignore")  # what is not finite is shown, not warned about
def measure(rec: Recording, loss: Tensor) -> Numbers | None:
    """All cotangents of the loss that a picture of these steps shows; None if none reaches them."""
    if loss.value.size != 1:
        raise ValueError(
            f"draw: loss has shape {loss.shape}; gradients are drawn of a single number, such as loss.sum()"
        )
    wanted: dict[int, Tensor] = {s.id: s for row in rec.carried for s in row if s is not None}
    wanted |= {n.id: n for step in rec.steps for n in step.nodes if not isinstance(n.value, tuple)}
    wanted |= {p.id: p for p in rec.params}
    keys = list(wanted)
    found = sweep([loss], [ones_like(loss)], [wanted[k] for k in keys], graph=False)
    g = {k: v for k, v in zip(keys, found, strict=True) if v is not None}
    if not g:
        return None
    share = tuple(_shares(rec, t, g) for t in range(len(rec.steps)))
    total = tuple(g[p.id].value if p.id in g else None for p in rec.params)
    check = 0.0
    for p, whole in enumerate(total):
        parts = [part for row in share if (part := row[p]) is not None]
        if whole is not None and parts:
            check = max(check, float(np.abs(np.sum(parts, axis=0) - whole).max()))
    values = {k: np.asarray(v.value) for k, v in g.items()}
    states = [values[s.id] for row in rec.carried for s in row if s is not None and s.id in values]
    finite = [np.abs(v[np.isfinite(v)]) for v in states]
    peak = max((float(v.max()) for v in finite if v.size), default=0.0)
    return Numbers(float(loss.value), values, share, total, check, peak)


def _shares(rec: Recording, t: int, g: dict[int, Tensor]) -> tuple[np.ndarray | None, ...]:
    out: list[np.ndarray | None] = [None] * len(rec.params)
    step = rec.steps[t]
    with recording("off"):
        for n, refs in zip(step.nodes, step.refs, strict=True):
            reads = [(j, p) for j, (kind, p) in enumerate(refs) if kind == "param"]
            if not reads or n.id not in g:
                continue
            pulled = pull(n, g[n.id])
            for j, p in reads:
                if pulled[j] is not None:
                    part = np.asarray(pulled[j].value)
                    out[p] = part if out[p] is None else out[p] + part
    return tuple(out)
