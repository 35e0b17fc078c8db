"""The uses of an argument: its gradient is the sum of what flows back along each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...engine.core import Tensor, leaf
from ...engine.grad import pull, sweep
from ...engine.primitives import LAYOUT
from ..faults import label
from .problem import Problem, with_carry
from .steps import Step, zeros


@dataclass(frozen=True)
class Path:
    """One use of an argument: by which node, in which step, and what flows back to the argument along it."""

    node: str
    step: int
    gradient: Any


def paths(problem: Problem, argument: str) -> list[Path]:
    """Every use of an argument; the gradients add up to the true one."""
    found: list[Path] = []
    carry: list[Any] = [None] * len(problem.cell.states)
    for t in range(len(problem.steps) - 1, -1, -1):
        step = problem.steps[t]
        x = step.leaves[argument]
        seeds = [leaf(c) for c in with_carry(step.cotangents, carry)]
        states = [step.leaves[s] for s in problem.cell.states]
        nodes = [*step.nodes, *states]
        found_flows = sweep(step.outs, seeds, nodes, graph=False)
        flows = {n.id: g for n, g in zip(nodes, found_flows, strict=True)}
        if argument not in problem.cell.states or t == 0:
            for use, gx in _uses(step, x, flows):
                found.append(Path(use, t + 1, _in_place(problem, argument, t, gx.value)))
        back = [zeros(s.value) if (g := flows[s.id]) is None else g.value for s in states]
        carry = [problem._named(t, k, c) for k, c in enumerate(back)]
    return found


def _uses(step: Step, x: Tensor, flows: dict[int, Tensor | None]) -> Iterator[tuple[str, Tensor]]:
    """What flows back to x along each of its uses; a use that only lays it out anew stands for its own."""
    for n in step.nodes:
        flow = flows[n.id]
        if flow is None or isinstance(n.value, tuple) or not any(i is x for i in n.inputs):
            continue
        parts = [(label(n), flow)]
        if n.op is not None and n.op.kind == LAYOUT and all(n is not o for o in step.outs):
            parts = list(_uses(step, n, flows))
        for name, g in parts:
            given = zip(n.inputs, pull(n, g), strict=True)
            yield from ((name, b) for i, b in given if i is x and b is not None)


def _in_place(problem: Problem, argument: str, t: int, g: Any) -> Any:
    """A gradient of an input at its step of the whole sequence."""
    if not problem.whole or argument not in problem.cell.inputs:
        return g
    return problem.stacked([g if s == t else zeros(g) for s in range(len(problem.steps))])
