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
from .values import other_values, rule_of


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
        for text, make in [*other_values(problem, k), *_brackets(problem, k)]:
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
        for text, make in [*made, *other_values(problem, k)]:
            said = f"in what is carried back: {describe(text, t)}"
            for last in (True, False):
                loop = OnlyCarried(lambda p, k=k, make=make: planted([s.nodes[k] for s in p.steps], make(p)), last)
                yield Mistake(said, lambda problem, loop=loop: problem.gradients(loop))


def _alike(problem: Problem) -> Iterator[tuple[str, list[int]]]:
    """Operations that code writes once for all gates: one function, or a loop over the weights of one argument."""
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


# ---- another cotangent in its place ------------------------------------------------------------
def _brackets(problem: Problem, k: int) -> Iterator[tuple[str, Callable[[Problem], Rule]]]:
    """Of two sums of cotangents that reach a gate, only one is multiplied by the gate's derivative."""
    t, names = problem.steps[0].nodes[k], problem.out_names
    if t.op is None or t.op.name not in ("tanh", "sigmoid") or len(problem.steps) > 1 or len(names) < 2:
        return
    for j, n in enumerate(names):
        others = " and ".join(f"d{m}" for m in names if m != n)
        text = f"{t.op.name}' of {{y}} multiplies what comes from {others}, and not what comes from d{n}"
        yield f"{text}: brackets are missing", _given_brackets(k, j)


def _given_brackets(k: int, j: int) -> Callable[[Problem], Rule]:
    def make(problem: Problem) -> Rule:
        (step,) = problem.steps
        true, seeds = rule_of(problem, k), [leaf(c if i == j else zeros(c)) for i, c in enumerate(step.cotangents)]
        (part,) = sweep(step.outs, seeds, [step.nodes[k]], graph=False)

        def rule(g: Any, y: Tensor, x: Tensor) -> Sequence[Any]:
            return (part + true(g - part, y, x)[0] if part is not None else true(g, y, x)[0],)

        return rule

    return make


def _other_cotangents(problem: Problem, wrong: set[str], judged: set[str]) -> Iterator[Mistake]:
    """What flows back into another node, taken for what flows back into this one, on the way to one of its inputs."""
    step = problem.steps[0]
    inner = [
        k
        for k, t in enumerate(step.nodes)
        if t.op is not None and t.op.name in ("mul", "matmul", "add", "tanh", "sigmoid", "relu")
    ]
    for k in inner:
        t = step.nodes[k]
        for i, x in enumerate(t.inputs):
            if _spoiled(problem, x) & judged != wrong:
                continue
            for j in inner:
                if j != k and step.nodes[j].shape == t.shape:
                    text = f"what flows back into {label(step.nodes[j])} where what flows back into {{y}} is meant"
                    yield Mistake(describe(f"{text} (to {{{i}}})", t), _planted_at([k], _given_cotangent(k, i, j)))


def _given_cotangent(k: int, i: int, j: int) -> Callable[[Problem], Rule]:
    def make(problem: Problem) -> Rule:
        (step,) = problem.steps
        true = rule_of(problem, k)
        (other,) = sweep(step.outs, [leaf(c) for c in step.cotangents], [step.nodes[j]], graph=False)

        def rule(g: Any, y: Tensor, *xs: Tensor, **params: Any) -> Sequence[Any]:
            wrong = true(other, y, *xs, **params)
            return tuple(
                w if n == i else d
                for n, (w, d) in enumerate(zip(wrong, true(g, y, *xs, **params), strict=True))
            )

        return rule

    return make
