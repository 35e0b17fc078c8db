"""Mistakes in which a rule is given another value than its own: another gate, another step, 1 + z for 1 - z."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...engine.core import Primitive, Tensor, leaf
from ..faults import Rule, label
from .problem import Problem

Value = Callable[[Problem, int], Any]  # (problem, step) -> a raw array


def other_values(problem: Problem, k: int) -> Iterator[tuple[str, Callable[[Problem], Rule]]]:
    """Faults of node k in which its rule is given another value of the same shape."""
    t = problem.steps[0].nodes[k]
    assert t.op is not None
    if t.op.name in ("tanh", "sigmoid"):
        for name, value in _values(problem, t):
            yield f"{t.op.name}' taken at {name} where {{y}} is meant", _given(k, None, None, value)
        for name, value in _values(problem, t.inputs[0]):
            text = f"{t.op.name}' taken at {t.op.name}({name}) where {{y}} is meant"
            yield text, _given(k, None, None, _applied(t.op, value))
    elif t.op.name == "relu":
        for name, value in _values(problem, t.inputs[0]):
            yield f"relu' taken at {name} where {{0}} is meant", _given(k, 0, 0, value)
    elif t.op.name in ("mul", "matmul"):
        for i in (0, 1):
            for name, value in _values(problem, t.inputs[1 - i]):
                yield f"{name} where {{{1 - i}}} is meant (in {{y}})", _given(k, i, 1 - i, value)
            for text, value in _near_complements(problem, k, 1 - i):
                yield f"{text} where {{{1 - i}}} is meant (in {{y}})", _given(k, i, 1 - i, value)


def _applied(op: Primitive, value: Value) -> Value:
    return lambda p, t: op(leaf(value(p, t))).value


def _near_complements(problem: Problem, k: int, j: int) -> Iterator[tuple[str, Value]]:
    """For a factor 1 - z: 1 + z, 2 - z and z."""
    x = problem.steps[0].nodes[k].inputs[j]
    if x.op is None or x.op.name != "sub" or x.inputs[0].op is not None or x.inputs[0].ndim:
        return
    name = label(x.inputs[1])
    forms: list[tuple[str, Callable[[Any], Any]]] = [
        (f"1 + {name}", lambda z: z + 1),
        (f"2 - {name}", lambda z: -z + 2),
        (name, lambda z: z),
    ]
    for text, form in forms:
        yield text, lambda p, t, form=form: form(p.steps[t].nodes[k].inputs[j].inputs[1].value)


def _values(problem: Problem, true: Tensor) -> Iterator[tuple[str, Value]]:
    """The named values of a step in this one's shape: of the step itself, then of its neighbours in time."""
    step = problem.steps[0]
    for name, x in step.leaves.items():
        if x.shape == true.shape and x is not true:
            yield name, lambda p, t, name=name: p.steps[t].leaves[name].value
    for j, x in enumerate(step.nodes):
        if x.name and x.shape == true.shape and x is not true:
            after = " after the step" if x.name in step.leaves else ""
            yield x.name + after, lambda p, t, j=j: p.steps[t].nodes[j].value
    if not problem.whole or len(problem.steps) == 1:
        return
    named = next((n for n, x in step.leaves.items() if x is true and n not in problem.cell.params), None)
    at = next((j for j, x in enumerate(step.nodes) if x is true and x.name), None)
    for shift in (-1, 1):  # around the end, as Python's negative indices are
        if named is not None:
            yield (
                f"{named} of step t{shift:+d}",
                lambda p, t, s=shift: p.steps[(t + s) % p.T].leaves[named].value,
            )
        elif at is not None:
            yield (
                f"{true.name} of step t{shift:+d}",
                lambda p, t, s=shift: p.steps[(t + s) % p.T].nodes[at].value,
            )


def _given(k: int, i: int | None, j: int | None, value: Value) -> Callable[[Problem], Rule]:
    """The rule of node k with another value: for its output (j is None), or for input j in the gradient of input i."""

    def make(problem: Problem) -> Rule:
        true, step_of = rule_of(problem, k), {s.nodes[k].id: t for t, s in enumerate(problem.steps)}

        def rule(g: Any, y: Tensor, *xs: Tensor, **params: Any) -> Sequence[Any]:
            other = leaf(value(problem, step_of[y.id]))
            if j is None:
                return true(g, other, *xs, **params)
            wrong = true(g, y, *(other if n == j else x for n, x in enumerate(xs)), **params)
            return tuple(
                w if n == i else d
                for n, (w, d) in enumerate(zip(wrong, true(g, y, *xs, **params), strict=True))
            )

        return rule

    return make


def rule_of(problem: Problem, k: int) -> Rule:
    """The right vjp of node k."""
    op = problem.steps[0].nodes[k].op
    assert op is not None
    assert op.vjp is not None
    return op.vjp
