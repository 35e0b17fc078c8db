"""unroll: a cell applied step by step, the whole graph kept, every node knowing where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.core import Tensor, as_tensor, recording
from ..engine.errors import ShapeError
from ..engine.grad import reachable
from ..engine.primitives import pick
from ..engine.primitives import unstack as unstack_row
from ..engine.watch import Note, Watch
from .cell import Cell, as_tuple


@dataclass(frozen=True)
class Unrolled:
    """T steps of a cell: states[t] are the states after step t (states[0] enter step 1)."""

    cell: Cell
    xs: tuple[tuple[Tensor, ...], ...]
    states: tuple[tuple[Tensor, ...], ...]
    outputs: tuple[Tensor, ...]
    params: dict[str, Tensor]

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return len(self.outputs)

    @property
    def nodes(self) -> list[Tensor]:
        """Every node of the graph, oldest first; each has .name, .op, .inputs, .note (step, file, line)."""
        return reachable([*self.outputs, *self.states[-1]])

    def loss(self, l: Callable[[Tensor, Any], Tensor], targets: Sequence[Any]) -> Tensor:
        """L = (1/T) sum_t l(o_t, y_t), the averaged loss of article 000."""
        if len(targets) != self.steps:
            raise ShapeError(f"loss: {len(targets)} targets for {self.steps} outputs")
        with recording("all"):
            total = l(self.outputs[0], targets[0])
            for o, y in zip(self.outputs[1:], targets[1:], strict=True):
                total = total + l(o, y)
            return total / self.steps


def unroll(cell: Cell, state: Any, xs: Any, params: Mapping[str, Any]) -> Unrolled:
    """The full graph of a cell over a sequence.

    state: a tensor, or a tuple with one per state; xs: (T, ..., d), or a tuple of sequences, one per
    input of the cell; params: by name. Every node knows its time step, the variable it is bound to in
    the cell's code, and its source line.
    Raises ShapeError naming the argument and step, TypeError for missing or unknown arguments.
    """
    states, seqs = tuple(map(as_tensor, as_tuple(state))), tuple(map(as_tensor, as_tuple(xs)))
    params = {k: as_tensor(v) for k, v in params.items()}
    T = _length(cell, seqs)
    with recording("off"):
        cell.dims(states, [x[0] for x in seqs], params)
    with recording("all"):
        rows = [unstack_row(x, axis=-x.ndim) for x in seqs]
        columns, entering, outputs = [], [states], []
        for t in range(1, T + 1):
            x = tuple(pick(r, i=t - 1) for r in rows)
            for name, xi in zip(cell.inputs, x, strict=True):
                xi.name, xi.note = name, Note(t, None, None)
            with Watch(t):
                new, y = cell.advance(entering[-1], x, params, where=f" at step {t}")
            for name, s in zip(cell.states, new, strict=True):
                s.name = s.name or name
            columns.append(x)
            entering.append(new)
            outputs.append(y)
    return Unrolled(cell, tuple(columns), tuple(entering), tuple(outputs), params)


def _length(cell: Cell, seqs: Sequence[Tensor]) -> int:
    """The number of steps. Raises ShapeError if the sequences differ in length or are empty."""
    if len(seqs) != len(cell.inputs):
        raise TypeError(f"{cell.name}: {len(seqs)} sequence(s) given; it takes {cell.signature}")
    if not seqs:
        raise ShapeError(
            f"{cell.name} takes no input, so nothing says how many steps; give it one, such as x"
        )
    lengths = {n: x.shape[0] if x.ndim else None for n, x in zip(cell.inputs, seqs, strict=True)}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise ShapeError(
            f"{cell.name}: the sequences differ in length: {lengths}; the first axis of each is time"
        )
    T = next(iter(lengths.values()), None)
    if not T:
        raise ShapeError(f"{cell.name}: the sequence has T = 0 steps; at least one is needed")
    return T
