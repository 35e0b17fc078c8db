"""Mistakes in the forward pass that a backward runs again: right rules, on the values of another cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...engine.core import TABLE, Tensor, leaf
from ...engine.grad import zeros_like
from ...engine.primitives import swap
from ..faults import describe
from .loops import Gradients, Mistake
from .problem import Problem
from .steps import Edit, Step, rebuilt

OTHER = {"add": "sub", "sub": "add", "tanh": "sigmoid", "sigmoid": "tanh"}


def wrong_forwards(problem: Problem) -> Iterator[Mistake]:
    """The true backward on the values of every cell that differs from the right one by one slip."""
    step = problem.steps[0]
    for k, t in enumerate(step.nodes):
        assert t.op is not None
        for text, edit in _edits(problem, t):
            said = "its own forward pass is wrong: " + describe(text, t)
            yield Mistake(said, _gradients_with(k, edit))


def _edits(problem: Problem, t: Tensor) -> Iterator[tuple[str, Edit]]:
    """What can be put in the place of one operation, in words and as graph."""
    assert t.op is not None
    if t.op.kind == "pointwise" and len(t.inputs) == 1:
        yield f"{t.op.name} is missing from {{y}}", lambda old, inputs, value: inputs[0]
    if t.op.kind == "pointwise" and len(t.inputs) == 2:
        for i in (0, 1):  # in the shape of both
            yield (
                f"{{{1 - i}}} is missing from {{y}}",
                lambda old, xs, value, i=i: TABLE["add"](xs[i], zeros_like(xs[1 - i])),
            )
    if t.op.name in OTHER:
        other = OTHER[t.op.name]
        yield f"{other} where {t.op.name} is meant in {{y}}", lambda old, inputs, value: TABLE[other](*inputs)
    if t.op.name not in ("mul", "matmul", "tanh", "sigmoid"):
        return
    if t.op.name == "matmul" and t.inputs[1].ndim == 2 and len(set(t.inputs[1].shape)) == 1:
        turned = lambda old, xs, value: TABLE["matmul"](xs[0], swap(xs[1]))  # noqa: E731
        yield "{1} where its transpose is meant in {y}", turned
    step = problem.steps[0]
    others: list[tuple[str, Any, Tensor]] = [(n, n, x) for n, x in step.leaves.items()]
    others += [(x.name, j, x) for j, x in enumerate(step.nodes) if x.name and x.name not in step.leaves]
    for i, x in enumerate(t.inputs):
        for name, place, y in others:
            if y is not x and y.id < t.id and y.shape == x.shape:
                text = f"{name} where {{{i}}} is meant in {{y}}"
                yield (
                    text,
                    lambda old, inputs, value, i=i, place=place: _with_input(old, inputs, i, value(place)),
                )


def _with_input(old: Tensor, inputs: tuple[Tensor, ...], i: int, x: Tensor) -> Tensor:
    assert old.op is not None
    return old.op(*(x if j == i else y for j, y in enumerate(inputs)), **old.params)


def _gradients_with(k: int, edit: Edit) -> Callable[[Problem], Gradients]:
    """The gradients where node k has another value."""

    def gradients(problem: Problem) -> Gradients:
        return edited(problem, k, edit).gradients()

    return gradients


def edited(problem: Problem, k: int, edit: Edit) -> Problem:
    """The problem with another value at node k, on the same leaves and cotangents."""
    steps: list[Step] = []
    states: dict[str, Tensor] = {}
    for t, step in enumerate(problem.steps, start=1):
        steps.append(rebuilt(problem.cell, step, step.leaves | states, t if problem.whole else None, k, edit))
        outs = zip(problem.cell.states, steps[-1].outs, strict=False)
        states = {s: leaf(o.value, requires_grad=True, name=s) for s, o in outs}
    return Problem(problem.cell, steps, problem.reading, problem.whole, problem.offered)
