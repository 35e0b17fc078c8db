"""`ledger`: a gradient through time as the sum of its terms, one row for each step that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.unroll import Unrolled
from ..draw.picture import example_run
from ..engine.core import Tensor
from .factors import Factor, factors
from .graph import Array, Piece, Pieces
from .terms import ROUTES, Terms, terms

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


@dataclass(frozen=True)
class Ledger:
    """d of / d wrt as a sum of rows; `str` is a table.

    total: the sum of the rows; gradient: the engine's, from one sweep over the whole graph;
    difference: the largest |total - gradient|. highway: the state line of the rows' routes, or None.
    """

    pieces: Pieces
    name: str
    wrt: str
    order: str
    rows: tuple[Row, ...]
    total: Array
    gradient: Array
    difference: float
    highway: str | None
    delta: tuple[float, ...]

    @property
    def run(self) -> Unrolled:
        """The run that it is of."""
        return self.pieces.run

    @property
    def at(self) -> int:
        """The step T that the gradient is taken at."""
        return self.pieces.at

    @property
    def of_state(self) -> bool:
        """Whether it is of a state, and not of a loss."""
        return self.name in self.run.cell.states

    def sorted(self, by: str = "time") -> Ledger:
        """The same rows by "time" (latest first) or "size" (largest first), and their running sums."""
        if by not in ORDERS:
            raise ValueError(f"ledger: rows can be sorted by {' or '.join(ORDERS)}, not {by!r}")
        return replace(self, order=by, rows=_ordered(self.rows, by))

    def steps_for(self, part: float = 0.9) -> int:
        """How many steps back hold this part of the gradient.

        The least m such that what the last m' steps leave out is at most 1 - part of the gradient's norm, for
        every m' >= m: the window that BPTT may be truncated to. The initial state is one step more.
        Raises ValueError for a part outside 0..1.
        """
        if not 0 <= part <= 1:
            raise ValueError(f"ledger: steps_for({part}); pass a part of the gradient from 0 to 1")
        bound = (1 - part) * float(np.linalg.norm(self.total)) * (1 + 1e-12)
        left = np.zeros_like(self.total)
        for row in sorted((r for r in self.rows if r.step is not None), key=lambda r: r.step or 0):
            left = left + row.term
            if not np.linalg.norm(left) <= bound:
                return self.at - (row.step or 0) + 1
        return 0

    @cached_property
    def blocks(self) -> dict[int, dict[tuple[int, int], Factor]]:
        """Step j -> (k, m) -> the factor of state line k after the step by line m before it."""
        states = self.run.states
        return {
            j: factors(p, list(states[j]), list(states[j - 1])) for j, p in enumerate(self.pieces.steps) if j
        }

    @cached_property
    def entries(self) -> dict[int, dict[int, Factor]]:
        """Step i -> k -> the factor of state line k after step i by the parameter, the states before held fixed."""
        touched = [i for i, t in enumerate(self.pieces.touched) if t]
        return {i: self._entry(self.pieces.steps[i], self.run.states[i]) for i in touched}

    def _entry(self, piece: Piece, states: Sequence[Tensor]) -> dict[int, Factor]:
        return {k: f for (k, _), f in factors(piece, list(states), [self.pieces.wrt]).items()}

    def __str__(self) -> str:
        from .table import table

        return table(self)

    def __repr__(self) -> str:
        return f"Ledger(d{self.name}/d{self.wrt} at step {self.at}: {len(self.rows)} rows)"


def ledger(
    run: Unrolled | Cell, of: str | Tensor | None = None, wrt: str | None = None, at: int | None = None,
    *, steps: int = 4, seed: int = 0,
) -> Ledger:  # fmt: skip
    """The terms of d of / d wrt through time: y_k = a_k + sum_i (b_k ... b_{i+1}) a_i, with their numbers.

    run: an Unrolled, or a Cell, which is then run on random numbers (`steps`, `seed`). of: the name of a state
    (by default the first), or a single number computed from the run, such as a loss. wrt: the name of a
    parameter (by default the first), or of a state for its initial value. at: the step at which the state
    is taken, by default the last. The terms are kept whole: of.size * wrt.size numbers each.
    Raises TypeError for another `run`; ValueError for unknown names, for a step outside 1..T, for a loss that is
    not a single number of this run, and for more than 20 million numbers.
    """
    if isinstance(run, Cell):
        run = example_run(run, steps, seed)
    if not isinstance(run, Unrolled):
        raise TypeError(
            f"ledger takes an Unrolled or a Cell, not {type(run).__name__}; pass unroll(cell, ...)"
        )
    at = _step(run, at, of)
    target, name = _target(run, of, at)
    wrt, leaf = _parameter(run, wrt)
    pieces = Pieces(run, target, leaf, at)
    if not Piece([leaf], [target]).moved({leaf.id}):
        raise ValueError(f"ledger: {name} at step {at} does not depend on {wrt}; there is no term to add up")
    line = pieces.highway()
    found = terms(pieces, line)
    shape = (*target.shape, *leaf.shape)
    gradient = _engine_gradient(target, leaf).reshape(shape)
    terms_ = _rows(found, shape, pieces.touched)
    total = sum((r.term for r in terms_), start=np.zeros(shape))
    rows = _ordered([_with_shares(r, total) for r in terms_], "time")
    difference = float(np.abs(total - gradient).max(initial=0.0))
    states = run.cell.states
    return Ledger(
        pieces, name, wrt, "time", rows, total, gradient, difference, None if line is None else states[line],
        tuple(found.delta),
    )  # fmt: skip


def _step(run: Unrolled, at: int | None, of: Any) -> int:
    if at is None:
        return run.steps
    if isinstance(of, Tensor):
        raise ValueError("ledger: at=... says where a state is taken; a loss reads the steps that it reads")
    if not hasattr(at, "__index__") or isinstance(at, bool) or not 1 <= at <= run.steps:
        raise ValueError(f"ledger: at={at!r}; pass a step from 1 to {run.steps}")
    return int(at)


def _target(run: Unrolled, of: str | Tensor | None, at: int) -> tuple[Tensor, str]:
    states = run.cell.states
    if isinstance(of, Tensor):
        if of.value.size != 1 or of.dtype.kind != "f":
            raise ValueError(
                f"ledger: of= has shape {of.shape}; pass a single number such as loss.sum(), or a state's name"
            )
        return of, of.name if of.name and of.name not in states else "L"
    of = states[0] if of is None and states else of
    if of not in states:
        raise ValueError(f"ledger: {run.cell.name} has no state {of!r}; its states are {', '.join(states)}")
    return run.states[at][states.index(of)], of


def _parameter(run: Unrolled, wrt: str | None) -> tuple[str, Tensor]:
    cell = run.cell
    wrt = wrt if wrt is not None else next(iter((*cell.params, *cell.states)))
    if wrt in cell.params:
        return wrt, run.params[wrt]
    if wrt in cell.states:
        return wrt, run.states[0][cell.states.index(wrt)]
    raise ValueError(
        f"ledger: {cell.name} has no parameter or state {wrt!r}; it has {', '.join((*cell.params, *cell.states))}"
    )


@np.errstate(all="ignore")
def _engine_gradient(of: Tensor, wrt: Tensor) -> Array:
    """d of / d wrt by one vjp of the whole graph for each entry of `of`."""
    whole = Piece([wrt], [of])
    size = int(of.value.size)
    units = np.eye(size, dtype=of.dtype)
    return np.array([whole({of.id: u.reshape(of.shape)})[wrt.id] for u in units])


def _rows(found: Terms, shape: tuple[int, ...], touched: list[bool]) -> list[Row]:
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
def _with_shares(row: Row, total: Array) -> Row:
    square = (total * total).sum() or 1.0  # of nothing, every share is 0
    via = {name: float((a * total).sum() / square) for name, a in row.routes.items()}
    return replace(row, share=float((row.term * total).sum() / square), via=via)


def _ordered(rows: Sequence[Row], by: str) -> tuple[Row, ...]:
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
