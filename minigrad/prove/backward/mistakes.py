"""Known mistakes in a backward, each with the gradients that it gives; `reasons` looks for the one that was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...engine.core import Tensor, leaf
from ...engine.grad import reachable, sweep
from ..faults import Rule, describe, faults, label, planted
from .loops import Gradients, Mistake, OnlyCarried
from .problem import Problem
from .steps import zeros


def known_mistakes(
    problem: Problem, wrong: set[str], judged: set[str], all_of_them: bool
) -> Iterator[Mistake]:
    """Mistakes of one step that spoil some of the wrong gradients, and none of those judged right.

    all_of_them: whether only those that can spoil all of the wrong ones.
    """
    nodes = problem.steps[0].nodes
    for k, t in enumerate(nodes):
        assert t.op is not None
        narrow = [_spoiled(problem, x) & judged for x in t.inputs]
        if not any(n and n <= wrong for n in narrow) or (wrong <= _spoiled(problem, t)) != all_of_them:
            continue
        for fault in faults(t.op, len(t.inputs)):
            yield Mistake(describe(fault.text, t), _planted_at([k], lambda _, fault=fault: fault.rule))
        for text, make in [*_other_values(problem, k), *_brackets(problem, k)]:
            yield Mistake(describe(text, t), _planted_at([k], make))
    if not all_of_them:
        return
    if len(problem.steps) > 1:
        yield from _only_carried(problem)
    for who, ks in _alike(problem):
        op = nodes[ks[0]].op
        assert op is not None
        for fault in faults(op, 2 if who else 1):
            y = f"{who} @ the weight" if who else "its output"
            text = fault.text.format(who or "its input", "the weight", y=y)
            yield Mistake(f"for every {op}: {text}", _planted_at(ks, lambda _, fault=fault: fault.rule))
    if len(problem.steps) == 1:
        yield from _other_cotangents(problem, wrong, judged)


def _only_carried(problem: Problem) -> Iterator[Mistake]:
    """Mistakes in what is carried back alone, where the parameters' gradients are computed apart from it."""
    for k, t in enumerate(problem.steps[0].nodes):
        assert t.op is not None
        made = [(f.text, lambda _, f=f: f.rule) for f in faults(t.op, len(t.inputs))]
        for text, make in [*made, *_other_values(problem, k)]:
            said = f"in what is carried back: {describe(text, t)}"
            for last in (True, False):
                loop = OnlyCarried(lambda p, k=k, make=make: planted([s.nodes[k] for s in p.steps], make(p)), last)
                yield Mistake(said, lambda problem, loop=loop: problem.gradients(loop))


def _alike(problem: Problem) -> Iterator[tuple[str, list[int]]]:
    """Operations that code writes once for all gates: one function for all, or a loop over the weights of one argument."""
    nodes, leaves = problem.steps[0].nodes, problem.steps[0].leaves
    groups = [
        ("", [k for k, t in enumerate(nodes) if t.op is not None and t.op.name == name])
        for name in ("tanh", "sigmoid")
    ]
    for n, x in leaves.items():
        groups.append(
            (
                n,
                [
                    k
                    for k, t in enumerate(nodes)
                    if t.op is not None and t.op.name == "matmul" and t.inputs[0] is x
                ],
            )
        )
    return ((who, ks) for who, ks in groups if len(ks) > 1)


def _spoiled(problem: Problem, t: Tensor) -> set[str]:
    """The arguments whose gradients depend on what flows back into a node: those it is made of, in any step."""
    names = {x.name for x in reachable([t]) if x.op is None and x.name in problem.steps[0].leaves}
    while len(problem.steps) > 1:
        states = [o for s, o in zip(problem.cell.states, problem.steps[0].outs, strict=False) if s in names]
        more = {
            str(x.name) for x in reachable(states) if x.op is None and x.name in problem.steps[0].leaves
        } - names
        if not more:
            break
        names |= more
    return {str(n) for n in names}


def _planted_at(ks: Sequence[int], make: Callable[[Problem], Rule]) -> Callable[[Problem], Gradients]:
    """The gradients with a wrong rule at these nodes of every step."""

    def gradients(problem: Problem) -> Gradients:
        with planted([s.nodes[k] for s in problem.steps for k in ks], make(problem)):
            return problem.gradients()

    return gradients


# ---- another value in a factor's place ---------------------------------------------------------
Value = Callable[[Problem, int], Any]  # (problem, step) -> a raw array


def _other_values(problem: Problem, k: int) -> Iterator[tuple[str, Callable[[Problem], Rule]]]:
    """Faults of node k in which its rule is given another value of the same shape."""
    t = problem.steps[0].nodes[k]
    assert t.op is not None
    if t.op.name in ("tanh", "sigmoid"):
        for name, value in _values(problem, t):
            yield f"{t.op.name}' taken at {name} where {{y}} is meant", _given(k, None, None, value)
    elif t.op.name in ("mul", "matmul"):
        for i in (0, 1):
            for name, value in _values(problem, t.inputs[1 - i]):
                yield f"{name} where {{{1 - i}}} is meant (in {{y}})", _given(k, i, 1 - i, value)
            for text, value in _near_complements(problem, k, 1 - i):
                yield f"{text} where {{{1 - i}}} is meant (in {{y}})", _given(k, i, 1 - i, value)


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
        op = problem.steps[0].nodes[k].op
        assert op is not None and op.vjp is not None
        true, step_of = op.vjp, {s.nodes[k].id: t for t, s in enumerate(problem.steps)}

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


def _brackets(problem: Problem, k: int) -> Iterator[tuple[str, Callable[[Problem], Rule]]]:
    """Of two sums of cotangents that reach a gate, only one is multiplied by the gate's derivative."""
    t, names = problem.steps[0].nodes[k], problem.out_names
    if t.op is None or t.op.name not in ("tanh", "sigmoid") or len(problem.steps) > 1 or len(names) < 2:
        return
    for j, n in enumerate(names):
        others = " and ".join(f"d{m}" for m in names if m != n)
        text = f"{t.op.name}' of {{y}} multiplies what comes from {others}, and not what comes from d{n}: brackets are missing"
        yield text, _given_brackets(k, j)


def _given_brackets(k: int, j: int) -> Callable[[Problem], Rule]:
    def make(problem: Problem) -> Rule:
        (step,) = problem.steps
        op = step.nodes[k].op
        assert op is not None and op.vjp is not None
        true, seeds = op.vjp, [leaf(c if i == j else zeros(c)) for i, c in enumerate(step.cotangents)]
        (part,) = sweep(step.outs, seeds, [step.nodes[k]], graph=False)

        def rule(g: Any, y: Tensor, x: Tensor) -> Sequence[Any]:
            return (part + true(g - part, y, x)[0] if part is not None else true(g, y, x)[0],)

        return rule

    return make


# ---- another node's cotangent in its place -----------------------------------------------------
def _other_cotangents(problem: Problem, wrong: set[str], judged: set[str]) -> Iterator[Mistake]:
    """What flows back into another node, taken for what flows back into this one, on the way to one of its inputs."""
    step = problem.steps[0]
    inner = [
        k
        for k, t in enumerate(step.nodes)
        if t.op is not None and t.op.name in ("mul", "matmul", "add", "tanh", "sigmoid")
    ]
    for k in inner:
        t = step.nodes[k]
        for i, x in enumerate(t.inputs):
            if _spoiled(problem, x) & judged != wrong:
                continue
            for j in inner:
                if j != k and step.nodes[j].shape == t.shape:
                    text = f"what flows back into {label(step.nodes[j])} where what flows back into {{y}} is meant (to {{{i}}})"
                    yield Mistake(describe(text, t), _planted_at([k], _given_cotangent(k, i, j)))


def _given_cotangent(k: int, i: int, j: int) -> Callable[[Problem], Rule]:
    def make(problem: Problem) -> Rule:
        (step,) = problem.steps
        op = step.nodes[k].op
        assert op is not None and op.vjp is not None
        true = op.vjp
        (other,) = sweep(step.outs, [leaf(c) for c in step.cotangents], [step.nodes[j]], graph=False)

        def rule(g: Any, y: Tensor, *xs: Tensor, **params: Any) -> Sequence[Any]:
            wrong = true(other, y, *xs, **params)
            return tuple(
                w if n == i else d
                for n, (w, d) in enumerate(zip(wrong, true(g, y, *xs, **params), strict=True))
            )

        return rule

    return make
