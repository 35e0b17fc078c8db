"""The recorded graph cut at its states: each step, and what reads the steps, as a program of its own.

A cut piece is replayed on fresh leaves and differentiated by the engine's own vjp; nothing here knows a
derivative. Cotangents go from piece to piece by the id of the tensor that they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..cells.unroll import Unrolled
from ..engine.core import Tensor, leaf
from ..engine.grad import reachable, vjp
from ..engine.program import Input, Node, Program

Array = np.ndarray
Cots = dict[int, Array]  # cotangents by the id of the tensor they belong to


def between(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Program:
    """The recorded graph from `inputs` to `outputs` as a program; all else that it reads is constant."""
    cut = {t.id for t in inputs}
    found: dict[int, Tensor] = {}
    todo = list(outputs)
    while todo:
        t = todo.pop()
        if t.id not in found and t.id not in cut:
            found[t.id] = t
            todo.extend(t.inputs)
    moving = set(cut)  # what depends on the inputs
    for i in sorted(found):
        if any(x.id in moving for x in found[i].inputs):
            moving.add(i)
    nodes = [found[i] for i in sorted(found) if i in moving]
    read = {x.id: x for n in nodes for x in n.inputs} | {o.id: o for o in outputs}
    consts = [x for i, x in read.items() if i not in moving]
    slot = {t.id: k for k, t in enumerate([*inputs, *consts, *nodes])}

    def written(n: Tensor) -> Node:
        assert n.op is not None
        shape, dtype = ((), None) if isinstance(n.value, tuple) else (n.shape, n.dtype)
        return Node(n.op, tuple(slot[x.id] for x in n.inputs), n.params, shape, dtype, n.name, n.note)

    return Program(
        tuple(Input(t.name or f"in{k}", t.shape, t.dtype) for k, t in enumerate(inputs)),
        tuple(t.value for t in consts), tuple(map(written, nodes)), tuple(slot[o.id] for o in outputs),
    )  # fmt: skip


class Piece:
    """A part of the graph that maps cotangents of its outputs to those of its inputs."""

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.inputs = list({t.id: t for t in inputs}.values())
        self.outputs = list({t.id: t for t in outputs}.values())
        self.at = [t.id for t in self.inputs]
        self.program = between(self.inputs, self.outputs)
        self._pull: Callable | None = None

    def __call__(self, cots: Cots) -> Cots:
        """The cotangents of the inputs, given those of some outputs; none given, none come back."""
        mine = [cots.get(o.id) for o in self.outputs]
        if all(c is None for c in mine) or not self.inputs:
            return {}
        if self._pull is None:
            _, self._pull = vjp(lambda *xs: self.program.on_tensors(xs), *self.inputs)
        seeds = [leaf(np.zeros(o.shape, o.dtype) if c is None else c)
                 for o, c in zip(self.outputs, mine, strict=True)]  # fmt: skip
        return {x.id: g.value for x, g in zip(self.inputs, self._pull(seeds), strict=True)}

    def moved(self, inputs: set[int], through: Callable[[Node], bool] = lambda n: True) -> set[int]:
        """The ids of the outputs that depend on some of these inputs, by what reads what."""
        p = self.program
        moving = {k for k, x in enumerate(self.inputs) if x.id in inputs}
        for k, n in enumerate(p.nodes, start=len(p.inputs) + len(p.consts)):
            if through(n) and moving.intersection(n.args):
                moving.add(k)
        return {o.id for o, k in zip(self.outputs, p.outputs, strict=True) if k in moving}

    def passes(self, source: Tensor, sink: Tensor) -> bool:
        """Whether `sink` takes `source` over without a product of matrices, as f * C + i * g takes C."""
        return sink.id in self.moved({source.id}, lambda n: n.op.kind != "contract")


class Pieces:
    """An unrolled cell cut at its states: `tail` is what `of` makes of the run, `steps[j]` is step j.

    steps[0] makes the initial states. extra[j]: what `of` reads of step j, be it a state or not; besides[j]:
    whether that reaches the step by another way than through the states after it.
    """

    def __init__(self, run: Unrolled, of: Tensor, wrt: Tensor, at: int) -> None:
        self.run, self.of, self.wrt, self.at = run, of, wrt, at
        everything = reachable([*run.outputs, *(s for row in run.states for s in row)])
        made = {n.id: n.note.step for n in everything if n.op is not None and n.note and n.note.step}
        first = {s.id for s in run.states[0]}
        own = [] if wrt.id in first else [wrt]
        read = [t for t in _boundary(of, set(made) | first | {wrt.id}) if t.id not in {x.id for x in own}]
        self.extra: list[list[Tensor]] = [[] for _ in range(at + 1)]
        for t in read:
            self.extra[made.get(t.id, 0)].append(t)
        self.tail = Piece([*read, *own], [of])
        self.outside = bool(self.tail.moved({t.id for t in own}))  # a weight decay, or another layer
        self.steps = [Piece([wrt], [*run.states[0], *self.extra[0]])]
        self.steps += [
            Piece([*run.states[j - 1], *own], [*run.states[j], *self.extra[j]]) for j in range(1, at + 1)
        ]
        self.touched = [
            bool(p.moved({t.id for t in ([wrt] if j == 0 else own)})) for j, p in enumerate(self.steps)
        ]
        self.readouts = [Piece([], [])] + [self._readout(j, own) for j in range(1, at + 1)]
        self.besides = [bool(p.moved(set(p.at) - set(self.states(j)))) for j, p in enumerate(self.readouts)]

    def _readout(self, j: int, own: list[Tensor]) -> Piece:
        """From the states after step j to what else `of` reads of the step, such as an output."""
        after, states = self.run.states[j], set(self.states(j))
        read = [t for t in self.extra[j] if t.id not in states]
        return Piece([*after, *self.run.states[j - 1], *own] if read else [], read)

    def states(self, j: int) -> list[int]:
        """The ids of the states after step j."""
        return [s.id for s in self.run.states[j]]

    def highway(self) -> int | None:
        """The first of several state lines that a step takes over without a product of matrices."""
        lines = range(len(self.run.cell.states)) if len(self.run.cell.states) > 1 else ()
        before, after = self.run.states[0], self.run.states[1]
        return next((k for k in lines if self.steps[1].passes(before[k], after[k])), None)


def _boundary(of: Tensor, inside: set[int]) -> list[Tensor]:
    """The tensors of the run that the graph of `of` reads first, going back from it."""
    seen: dict[int, Tensor] = {}
    todo = [of]
    while todo:
        t = todo.pop()
        if t.id not in seen:
            seen[t.id] = t
            todo += [] if t.id in inside else t.inputs
    return [t for i, t in sorted(seen.items()) if i in inside]
