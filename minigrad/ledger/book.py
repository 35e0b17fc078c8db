"""`ledger`: a gradient through time as the sum of its terms, one row for each step that it comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .._output import whole_file
from ..cells.cell import Cell
from ..cells.unroll import Unrolled
from ..draw.picture import Picture, example_run
from ..engine.core import Tensor
from .factors import Factor, factors
from .graph import Array, Piece, Pieces
from .rows import ORDERS, Row, ordered, rows_of, with_share
from .terms import terms


@dataclass(frozen=True)
class Ledger:
    """d of / d wrt as a sum of rows; `str` is a table, `picture` a figure, notebooks show the latter.

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
        return replace(self, order=by, rows=ordered(self.rows, by))

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
    def _factors(self) -> list[dict[tuple[int, int], Factor]]:
        """Per step, (k, m) -> the factor of state line k by line m before it; m = -1: by the parameter."""
        states, own = self.run.states, self.pieces.wrt
        found = [factors(self.pieces.steps[0], states[0], {-1: own})] if self.pieces.touched[0] else [{}]
        for j, piece in enumerate(self.pieces.steps[1:], start=1):
            before = dict(enumerate(states[j - 1]))
            found.append(factors(piece, states[j], before | {-1: own} if self.pieces.touched[j] else before))
        return found

    @cached_property
    def blocks(self) -> dict[int, dict[tuple[int, int], Factor]]:
        """Step j -> (k, m) -> the factor of state line k after the step by line m before it."""
        return {
            j: {(k, m): f for (k, m), f in found.items() if m >= 0}
            for j, found in enumerate(self._factors)
            if j
        }

    @cached_property
    def entries(self) -> dict[int, dict[int, Factor]]:
        """Step i -> k -> the factor of state line k after step i by the parameter, the states before held fixed."""
        entered = (
            (i, {k: f for (k, m), f in found.items() if m < 0}) for i, found in enumerate(self._factors)
        )
        return {i: found for i, found in entered if found}

    def picture(self, theme: str = "light") -> Picture:
        """The figure: each path in the unrolled graph, its factors, its product as a bar, and the sum."""
        from .figure import figure

        return Picture(figure(self), theme)

    def html(self, theme: str = "light") -> str:
        """The figure as a page by itself, in which a click on a term lights its path."""
        from .figure import highlights

        picture = self.picture(theme)
        return picture.html(highlights(self, picture.scene))

    def save(self, path: str | os.PathLike[str], theme: str = "light") -> Path:
        """Write the figure as .svg, .png, .pdf, .html or .dot; see Picture.save."""
        if Path(path).suffix.lower() != ".html":
            return self.picture(theme).save(path)
        with whole_file(path) as part:
            part.write_text(self.html(theme), encoding="utf-8")
        return Path(path)

    def __str__(self) -> str:
        from .table import table

        return table(self)

    def __repr__(self) -> str:
        return f"Ledger(d{self.name}/d{self.wrt} at step {self.at}: {len(self.rows)} rows)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.picture().svg(), "text/plain": str(self)}


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
    terms_ = rows_of(found, shape, pieces.touched)
    total = sum((r.term for r in terms_), start=np.zeros(shape))
    rows = ordered([with_share(r, total) for r in terms_], "time")
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
        if of.op is None:
            raise ValueError(
                "ledger: of= has no graph; compute it from a run whose parameters require a gradient, as those "
                "of cell.init do, or by run.loss(...)"
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
