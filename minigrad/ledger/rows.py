"""The rows of a ledger: each term with its norm, its share, its routes, and the sum so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .graph import Array
from .terms import ROUTES, Terms

ORDERS = ("time", "size")


@dataclass(frozen=True)
class Row:
    """One term: what the gradient owes to one step.

    step: the step, 0 for the initial state, None for what reads the parameter outside the steps.
    term: an array of shape of.shape + wrt.shape; value: its one number, if it has only one.
    share: <term, total> / <total, total>; the shares of all rows add up to 1.
    running: the norm (for one number, the value) of the sum of this row and those above it.
    via: the share of each route: "direct", "highway" (along one state line), "other"; they add up to `share`.
    """

    step: int | None
    term: Array
    norm: float
    share: float
    running: float
    via: dict[str, float]
    routes: dict[str, Array]

    @property
    def value(self) -> float | None:
        """The term as a number, if it is one."""
        return float(self.term.item()) if self.term.size == 1 else None

    @property
    def product(self) -> float:
        """What the product of the factors comes to: the number, or the norm of the term."""
        return self.norm if self.value is None else self.value


def rows_of(found: Terms, shape: tuple[int, ...], touched: list[bool]) -> list[Row]:
    """A row for each step that the graph lets contribute, latest first; their shares are not known yet."""
    rows = []
    if found.outside is not None:
        rows.append(_row(None, {"direct": found.outside.reshape(shape)}, shape))
    for i in range(len(touched) - 1, -1, -1):
        if touched[i]:
            routes = {name: a.reshape(shape) for name, a in found.routes[i].items()}
            rows.append(_row(i, {name: routes[name] for name in ROUTES if name in routes}, shape))
    return rows


def _row(step: int | None, routes: dict[str, Array], shape: tuple[int, ...]) -> Row:
    term = sum(routes.values(), start=np.zeros(shape))
    return Row(step, term, float(np.linalg.norm(term)), 0.0, 0.0, {}, routes)


@np.errstate(all="ignore")
def with_share(row: Row, total: Array) -> Row:
    """The row with its share of the total, and those of its routes."""
    square = (total * total).sum() or 1.0  # of nothing, every share is 0
    via = {name: float((a * total).sum() / square) for name, a in row.routes.items()}
    return replace(row, share=float((row.term * total).sum() / square), via=via)


def ordered(rows: Sequence[Row], by: str) -> tuple[Row, ...]:
    """The rows in this order, with the running sum of each; what is outside the steps stands first in time."""
    late = float("inf")
    if by == "size":
        rows = sorted(rows, key=lambda r: (-r.norm, -(late if r.step is None else r.step)))
    else:
        rows = sorted(rows, key=lambda r: -(late if r.step is None else r.step))
    out, sum_ = [], np.zeros(())
    for r in rows:
        sum_ = sum_ + r.term
        out.append(replace(r, running=float(sum_.item() if sum_.size == 1 else np.linalg.norm(sum_))))
    return tuple(out)
