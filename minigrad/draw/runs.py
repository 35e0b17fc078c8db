"""Several runs in one picture: which they are, and which of them reads what another one made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.unroll import Unrolled, unroll
from ..engine.core import Tensor, recording, tensor
from ..engine.functions import mean, stack
from ..nn.recurrent import Recurrent
from .graph import piece_of_stack
from .steps import Recording, of_unrolled, read_by

Drawable = (
    Cell | Unrolled | Recurrent | Tensor | Sequence[Tensor] | Sequence[Cell | Unrolled] | Mapping[str, Cell | Unrolled]
)


@dataclass(frozen=True)
class Read:
    """Input k of row `sink` at step t is what row `source` made in step `after`.

    made: that value's box there, s0 a state or y0 an output. t is 0 for the initial state k.
    """

    source: int
    after: int
    made: str
    sink: int
    t: int
    k: int


def as_runs(what: Any, example: Callable[[Cell], Unrolled], steps: int, seed: int) -> dict[str, Unrolled] | None:
    """Rows by caption: of a list or dict of cells and runs, or of a layer; None for anything else."""
    if isinstance(what, Recurrent):
        return of_layer(what, steps, seed)
    if not isinstance(what, (list, tuple, Mapping)) or not what:
        return None
    runs = list(what.values() if isinstance(what, Mapping) else what)
    if not all(isinstance(r, (Cell, Unrolled)) for r in runs):
        return None
    found = [example(r) if isinstance(r, Cell) else r for r in runs]
    names = list(map(str, what)) if isinstance(what, Mapping) else [u.cell.name for u in found]
    again = [f" ({i + 1})" if names.count(n) > 1 else "" for i, n in enumerate(names)]
    return {n + a: u for n, a, u in zip(names, again, found, strict=True)}


def of_layer(layer: Recurrent, steps: int, seed: int) -> dict[str, Unrolled]:
    """The layers of an RNN, LSTM or GRU on random inputs, one after the other, batch 1, from zeros."""
    y: Tensor = tensor(np.random.default_rng(seed).standard_normal((steps, 1, layer.input_size)), dtype=layer.dtype)
    found = {}
    for i in range(layer.num_layers):
        zero = layer.cell.zero_state(1, n=layer.hidden_size)
        start = tuple(tensor(s.numpy(), dtype=layer.dtype, requires_grad=True, name=s.name) for s in zero)
        run = unroll(layer.cell, start, y, layer.of_cell(layer.params, i))
        found[f"{layer.name}, layer {i + 1}"] = run
        with recording("all"):
            y = stack(run.outputs)
    return found


def reads(runs: Sequence[Unrolled]) -> tuple[list[Read], list[tuple[int, int]]]:
    """What each run takes from the runs before it, as it is; seen through a stack of steps.

    Also (source, sink) of the runs that another one reads through further operations alone.
    """
    made: dict[int, tuple[int, int, str]] = {}
    found, other = [], set()
    for row, u in enumerate(runs):
        entering = [(0, k, s) for k, s in enumerate(u.states[0])]
        entering += [(t, k, x) for t, xs in enumerate(u.xs, start=1) for k, x in enumerate(xs)]
        rest = []
        for t, k, x in entering:
            origin = made.get(x.id) or made.get(getattr(piece_of_stack(x), "id", -1))
            if origin:
                found.append(Read(*origin, row, t, k))
            else:
                rest.append(x)
        other |= {(source, row) for source in _sources(rest, made)}
        for t, (states, y) in enumerate(zip(u.states[1:], u.outputs, strict=True), start=1):
            made[y.id] = row, t, "y0"
            made |= {s.id: (row, t, f"s{k}") for k, s in enumerate(states)}
    return found, sorted(other - {(r.source, r.sink) for r in found})


def _sources(tensors: Sequence[Tensor], made: Mapping[int, tuple[int, int, str]]) -> set[int]:
    """The rows whose values these tensors are computed from, but for what goes through another row."""
    seen: set[int] = set()
    rows, stack = set(), list(tensors)
    while stack:
        t = stack.pop()
        if t.id in made:
            rows.add(made[t.id][0])
        elif t.id not in seen:
            seen.add(t.id)
            stack += t.inputs
    return rows


def of_runs(runs: Sequence[Unrolled], loss: Tensor | None, network: bool, wanted: bool) -> list[Recording]:
    """A recording for each run. For a network there is one loss, else one for each run, if wanted.

    By default the mean square of the last output (of a network: of the last run).
    """
    losses = [loss] * len(runs)
    if loss is None and wanted:
        with recording("all"):
            losses = [mean(u.outputs[-1] * u.outputs[-1]) for u in runs]
        losses = losses[-1:] * len(runs) if network else losses
    recs = [of_unrolled(u, one) for u, one in zip(runs, losses, strict=True)]
    if network:  # a run is read by the loss only where no other run is in between
        direct = read_by(losses[-1], [s.nodes for rec in recs for s in rec.steps])
        own = [{n.id for s in rec.steps for n in s.nodes} for rec in recs]
        recs = [replace(rec, read_by_loss=direct & ids) for rec, ids in zip(recs, own, strict=True)]
    return recs
