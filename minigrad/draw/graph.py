"""The time steps of a plain recorded graph: its states, inputs and parameters, found by who reads what.

A state line is the set of places in the code that read the same older value, step after step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..engine.core import Tensor
from ..engine.grad import reachable
from .steps import Recording, Shared, build, is_constant, read_by

MAX_LINES = 12


def of_tensors(outputs: Sequence[Tensor]) -> Recording:
    """The steps found in the graph of any tensors; a graph without time steps is one step."""
    graph = _Graph(outputs)
    params = Shared([], [])
    if graph.timed or any(not x.requires_grad for x in graph.leaves()):
        params.add_used(graph.steps, graph.not_shared)
    xs = [graph.entering(t, params) for t in range(len(graph.steps))]
    built = build(graph.steps, graph.carried, xs, params, graph.leaving_up(), graph.same)
    names = max((tuple(x.name or "x" for x in row) for row in xs), key=len, default=())
    loss = outputs[-1] if _is_number(outputs[-1]) and outputs[-1].id not in graph.time else None
    return Recording(
        graph.state_names, tuple(graph.carried), names, tuple(params.tensors), tuple(params.names), built,
        loss, graph.timed, read_by(loss, graph.steps),
    )  # fmt: skip


def _is_number(t: Tensor) -> bool:
    return not isinstance(t.value, tuple) and t.value.size == 1 and t.dtype.kind == "f"


class _Graph:
    """Time steps of a plain recorded graph, and the state lines between them."""

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        order = [n for n in reachable(outputs) if n.op is not None]
        self.outputs = list(outputs)
        when = {n.id: n.note.step for n in order if n.note is not None and n.note.step}
        self.timed = bool(when)
        if not when:
            when = {n.id: 1 for n in order}
        picks = {n.id for n in order if n.op.name == "pick" and n.inputs[0].id not in when}
        self.place = {s: k for k, s in enumerate(sorted(set(when.values())))}
        self.time = {n.id: self.place[when[n.id]] for n in order if n.id in when and n.id not in picks}
        self.same = _looked_through(picks, order)
        self.steps: list[list[Tensor]] = [[] for _ in self.place]
        for n in order:
            if n.id in self.time:
                self.steps[self.time[n.id]].append(n)
        self.after = self._after()
        self.key: dict[int, Any] = {}
        self.at: list[dict[Any, Tensor]] = []
        for step in self.steps:
            self.at.append(self._keys(step))
        self._find_states()

    def _after(self) -> list[Tensor]:
        """The nodes between the steps and the outputs, such as those of a loss."""
        found: dict[int, Tensor] = {}
        stack = [o for o in self.outputs if o.id not in self.time]
        while stack:
            n = stack.pop()
            if n.id not in found:
                found[n.id] = n
                stack += [x for x in n.inputs if x.id not in self.time]
        return list(found.values())

    def read(self, n: Tensor) -> list[Tensor]:
        """What a node reads, seen through a stack that was taken apart again."""
        return [self.same.get(x.id, x) for x in n.inputs]

    def _keys(self, step: list[Tensor]) -> dict[Any, Tensor]:
        """Nodes of a step by their place in the code: file, line, operation, and which one of these."""
        count: Counter = Counter()
        found = {}
        for n in step:
            place = (n.note and n.note.file, n.note and n.note.line, n.op.name)
            self.key[n.id] = key = (*place, count[place])
            count[place] += 1
            found[key] = n
        return found

    def _find_states(self) -> None:
        """A state line: the places in the code that read the same older value, step after step."""
        reads: dict[tuple[Any, int], list[Tensor | None]] = {}
        for t, step in enumerate(self.steps):
            for n in step:
                for j, x in enumerate(self.read(n)):
                    reads.setdefault((self.key[n.id], j), [None] * len(self.steps))[t] = x
        self.lines: list[list[Tensor | None]] = []  # per line: what each step reads from it
        for row in reads.values():
            if any(x is not None and self.time.get(x.id, t) < t for t, x in enumerate(row)):
                _merge(self.lines, row)
        if len(self.lines) > MAX_LINES:
            raise ValueError(
                f"draw: {len(self.lines)} values pass from step to step, each of them a line; at most "
                f"{MAX_LINES} can be drawn. Draw fewer steps, or a cell that carries less."
            )
        T = len(self.steps)
        self.carried: list[tuple[Tensor | None, ...]] = []
        for t in range(T):
            self.carried.append(tuple(self._on_line(row, t) for row in self.lines))
        self.carried.append(tuple(self._at_the_end(k) for k in range(len(self.lines))))
        self.state_names = tuple(self._line_name(k) for k in range(len(self.lines)))
        self.not_shared = {s.id for row in self.carried for s in row if s is not None}

    def _on_line(self, row: list[Tensor | None], t: int) -> Tensor | None:
        """What a line carries into step t (from 0): what is read then, or later and is already there."""
        x = next((x for x in row[t:] if x is not None), None)
        return x if x is not None and self.time.get(x.id, -1) < t else None

    def _at_the_end(self, k: int) -> Tensor | None:
        """What line k carries out of the last step: the same value as after the step before."""
        T = len(self.steps)
        last = self.carried[T - 1][k] if T > 1 else None
        if last is None:
            return None
        if self.time.get(last.id, -1) == T - 2:
            return self.at[T - 1].get(self.key[last.id])
        for j, other in enumerate(self.carried[T - 2]):  # a value that another line held a step before
            if other is last:
                return self.carried[T - 1][j]
        return None

    def _line_name(self, k: int) -> str:
        return next(
            (s.name for row in self.carried[::-1] if (s := row[k]) is not None and s.name), f"s{k + 1}"
        )

    def entering(self, t: int, params: Shared) -> list[Tensor]:
        """The tensors that step t alone takes from outside, or from a step that is drawn later."""
        known = {s.id for s in self.carried[t] if s is not None} | set(params.place)
        found = {x.id: x for n in self.steps[t] for x in self.read(n) if self.time.get(x.id, t + 1) > t}
        return [x for i, x in found.items() if i not in known and not is_constant(x)]

    def leaves(self) -> list[Tensor]:
        """What the steps read from outside, but for constants."""
        return [
            x
            for step in self.steps
            for n in step
            for x in n.inputs
            if x.id not in self.time and not is_constant(x)
        ]

    def leaving_up(self) -> list[list[Tensor]]:
        """Per step, what nodes outside the steps (a loss, a list of outputs) take from it."""
        read = {x.id for n in self.after for x in n.inputs} | {o.id for o in self.outputs}
        found = [[n for n in step if n.id in read] for step in self.steps]
        early = {self.key[n.id] for row in found[:-1] for n in row}
        final = {s.id for s in self.carried[-1] if s is not None}
        if found:  # the last state, returned or read by a loss, leaves on its own line
            found[-1] = [n for n in found[-1] if n.id not in final or self.key[n.id] in early]
        return found


def _looked_through(picks: set[int], order: Sequence[Tensor]) -> dict[int, Tensor]:
    """Pieces of a stack that is taken apart along the same axis: each is the tensor that was stacked."""
    return {n.id: x for n in order if n.id in picks and (x := piece_of_stack(n)) is not None}


def piece_of_stack(n: Tensor) -> Tensor | None:
    """The tensor that this one is, if it was stacked with others and picked out again."""
    unstack = n.inputs[0] if n.op is not None and n.op.name == "pick" else None
    if unstack is None or unstack.op is None or unstack.op.name != "unstack":
        return None
    whole, axis = unstack.inputs[0], unstack.params["axis"]
    if whole.op is None or whole.op.name != "stack" or whole.params["axis"] != axis:
        return None
    return whole.inputs[n.params["i"]]


def _merge(lines: list[list[Tensor | None]], row: list[Tensor | None]) -> None:
    """Add what a place reads to the line that it reads, or as a line of its own."""
    for line in lines:
        both = [(a, b) for a, b in zip(line, row, strict=True) if a is not None and b is not None]
        if both and all(a is b for a, b in both):
            line[:] = [a if a is not None else b for a, b in zip(line, row, strict=True)]
            return
    lines.append(list(row))
