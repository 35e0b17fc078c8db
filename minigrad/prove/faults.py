"""The mistakes people make in a hand-written backward, as wrong vjps of single operations.

Used twice: to explain a wrong backward (which of these mistakes, at which gate, gives exactly what was
returned?), and to test the provers (each of these must be refused).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..engine import primitives as p
from ..engine.core import Primitive, Tensor

Rule = Callable[..., Sequence[Any]]
assert p.concat.vjp is not None
CONCAT: Rule = p.concat.vjp  # the right one, whatever is planted in the table


@dataclass(frozen=True)
class Fault:
    """A wrong vjp: what is wrong with it in words ({y}: the node, {0}, {1}: its inputs), and the rule."""

    text: str
    rule: Rule


def _swap_last(x: Tensor) -> Tensor:
    return p.swap(x) if x.ndim >= 2 else x


SPECIFIC: dict[str, list[Fault]] = {
    "tanh": [
        Fault("what flows back into {y} is missing beside tanh' = 1 - {y}^2", lambda g, y, x: (1 - y * y,)),
        Fault("2 - {y}^2 where 1 - {y}^2 is meant", lambda g, y, x: (g * (2 - y * y),)),
        Fault(
            "1 - tanh({y})^2 where 1 - {y}^2 is meant: {y} is a tanh already",
            lambda g, y, x: (g * (1 - p.tanh(y) ** 2),),
        ),
        Fault("tanh({y}) where 1 - {y}^2 is meant", lambda g, y, x: (g * p.tanh(y),)),
        Fault("the factor 1 - {y}^2 of tanh' is missing", lambda g, y, x: (g,)),
        Fault("1 + {y}^2 where 1 - {y}^2 is meant", lambda g, y, x: (g * (1 + y * y),)),
        Fault("1 - {y} where 1 - {y}^2 is meant", lambda g, y, x: (g * (1 - y),)),
        Fault("sigmoid's {y}(1 - {y}) where tanh' = 1 - {y}^2 is meant", lambda g, y, x: (g * y * (1 - y),)),
        Fault("tanh' at the input: 1 - {0}^2 where 1 - {y}^2 is meant", lambda g, y, x: (g * (1 - x * x),)),
    ],
    "sigmoid": [
        Fault("what flows back into {y} is missing beside {y}(1 - {y})", lambda g, y, x: (y * (1 - y),)),
        Fault("{y}(2 - {y}) where {y}(1 - {y}) is meant", lambda g, y, x: (g * y * (2 - y),)),
        Fault(
            "the derivative of sigmoid at {y} where {y}(1 - {y}) is meant: {y} is a sigmoid already",
            lambda g, y, x: (g * p.sigmoid(y) * (1 - p.sigmoid(y)),),
        ),
        Fault("sigmoid({y}) where {y}(1 - {y}) is meant", lambda g, y, x: (g * p.sigmoid(y),)),
        Fault("the factor {y}(1 - {y}) of sigmoid' is missing", lambda g, y, x: (g,)),
        Fault("{y} where {y}(1 - {y}) is meant", lambda g, y, x: (g * y,)),
        Fault("1 - {y} where {y}(1 - {y}) is meant", lambda g, y, x: (g * (1 - y),)),
        Fault("{y}(1 + {y}) where {y}(1 - {y}) is meant", lambda g, y, x: (g * y * (1 + y),)),
        Fault("tanh's 1 - {y}^2 where sigmoid' = {y}(1 - {y}) is meant", lambda g, y, x: (g * (1 - y * y),)),
        Fault("sigmoid' taken at the input: {0}(1 - {0})", lambda g, y, x: (g * x * (1 - x),)),
    ],
    "relu": [
        Fault("the condition {0} > 0 of relu' is missing", lambda g, y, x: (g,)),
        Fault("what flows back into {y} is missing beside relu'", lambda g, y, x: (x > 0,)),
        Fault("the value of relu where its derivative is meant", lambda g, y, x: (g * y,)),
    ],
    "exp": [Fault("the factor {y} of exp' is missing", lambda g, y, x: (g,))],
    "mul": [
        Fault("in {0} * {1} the factors are exchanged", lambda g, y, a, b: (g * a, g * b)),
        Fault("in {0} * {1} the factor {1} is missing", lambda g, y, a, b: (g, g * a)),
        Fault("in {0} * {1} the factor {0} is missing", lambda g, y, a, b: (g * b, g)),
        Fault("what flows back into {y} is missing from the gradient of {0}", lambda g, y, a, b: (b, g * a)),
        Fault("what flows back into {y} is missing from the gradient of {1}", lambda g, y, a, b: (g * b, a)),
    ],
    "sub": [Fault("in {0} - {1} the minus is forgotten", lambda g, y, a, b: (g, g))],
    "div": [
        Fault("the divisor {1} is forgotten", lambda g, y, a, b: (g, -g * a / (b * b))),
        Fault("{0} / {1} is multiplied by {1}", lambda g, y, a, b: (g * b, -g * a / (b * b))),
    ],
    "neg": [Fault("the minus is forgotten", lambda g, y, x: (g,))],
    "matmul": [
        Fault("{1} where its transpose is meant", lambda g, y, a, b: (g @ b, p.swap(a) @ g)),
        Fault("{0} where its transpose is meant", lambda g, y, a, b: (g @ p.swap(b), a @ g)),
        Fault("the gradient of {1} is transposed", lambda g, y, a, b: (g @ p.swap(b), p.swap(p.swap(a) @ g))),
    ],
    "concat": [
        Fault(
            "the parts of [{0}, {1}] are exchanged",
            lambda g, y, *xs, axis: tuple(reversed(CONCAT(g, y, *reversed(xs), axis=axis))),
        )
    ],
}


def _times(rule: Rule, c: int, only: int | None = None) -> Rule:
    """The rule with what it gives, to one input or to all, taken c times; 0 times is nothing."""

    def wrong(g: Any, y: Any, *xs: Any, **params: Any) -> Sequence[Any]:
        gs = rule(g, y, *xs, **params)
        return tuple(_product(d, c) if only is None or i == only else d for i, d in enumerate(gs))

    return wrong


def _product(d: Any, c: int) -> Any:
    if d is None or not c:
        return None
    return d._replace(g=d.g * c) if isinstance(d, p.Part) else d * c


def faults(op: Primitive, n_inputs: int) -> Iterator[Fault]:
    """Every wrong vjp of a row: its own, and those that any row can have."""
    if op.vjp is None or op.name in ("pick", "unstack", "scan"):
        return
    yield from SPECIFIC.get(op.name, [])
    if op.name != "neg":
        yield Fault("the sign of what flows back through {y} is wrong", _times(op.vjp, -1))
    yield Fault("what flows back through {y} is doubled", _times(op.vjp, 2))
    for k in range(n_inputs):
        yield Fault(f"nothing flows back from {{y}} to {{{k}}}", _times(op.vjp, 0, k))
        if n_inputs > 1:
            yield Fault(f"the sign of what flows back from {{y}} to {{{k}}} is wrong", _times(op.vjp, -1, k))


@contextmanager
def planted(nodes: Sequence[Tensor], rule: Rule) -> Iterator[None]:
    """Within the block, these nodes of a graph have the given vjp."""
    ops = [t.op for t in nodes]
    for t, op in zip(nodes, ops, strict=True):
        assert op is not None
        t.op = replace(op, vjp=rule)
    try:
        yield
    finally:
        for t, op in zip(nodes, ops, strict=True):
            t.op = op


def label(t: Tensor, depth: int = 2) -> str:
    """What to call a node: its name in the code, else its operation on what it takes."""
    if t.name:
        return t.name
    if t.op is None:
        return str(t.value) if getattr(t.value, "ndim", 1) == 0 else "a constant"
    if depth == 0:
        return "..."
    words = [label(x, depth - 1) for x in t.inputs]
    infix = {"add": " + ", "sub": " - ", "mul": " * ", "matmul": " @ ", "div": " / "}.get(t.op.name)
    return infix.join(words) if infix else f"{t.op.name}({', '.join(words)})"


def describe(text: str, t: Tensor) -> str:
    """A fault's text with the names of the code: {y} is the node, {0}, {1} are its inputs."""
    return text.format(*(words(x) for x in t.inputs), y=words(t))


def words(t: Tensor) -> str:
    """A node's label in as much detail as stays readable."""
    return next((w for depth in (6, 5, 4, 3) if len(w := label(t, depth)) <= 48), label(t))
