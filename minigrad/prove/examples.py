"""What every row of the table is proved on: small arrays of symbols in all the forms the row takes.

An example is a function of a few tensors whose graph uses the row; the shapes are those of the tensors.
A new row needs an entry here, or `lemmas` ends in `unknown` and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..domains import polynomial
from ..engine import functions as f
from ..engine import primitives as p
from ..engine.core import Primitive, Tensor
from ..engine.grad import vjp, zeros_like
from ..engine.scan import scan

Shape = tuple[int, ...]


class Example(NamedTuple):
    """A function of tensors of these shapes; positive: whether their entries are taken to be > 0."""

    fn: Callable[..., Any]
    shapes: tuple[Shape, ...]
    positive: bool = False


def _each(fn: Callable[..., Any], *shapes: Any, positive: bool = False) -> list[Example]:
    """One example per entry of `shapes`, which is a shape or a tuple of shapes."""
    return [Example(fn, s if s and isinstance(s[0], tuple) else (s,), positive) for s in shapes]


PAIRS = (  # the forms of broadcasting: none, a missing axis, axes of size 1 on either side, a scalar
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((), (2,)), ((2, 1, 2), (3, 1)),
)  # fmt: skip
ROWS, MASK = np.array([2, 0, 2]), np.array([[True, False, True], [False, False, True]])


def undefined(name: str, n: int) -> Primitive:
    """An undefined function of n numbers, elementwise; its partial derivatives are undefined too."""

    def value(name: str) -> Callable[..., Any]:
        return lambda m, *a: np.frompyfunc(lambda *u: polynomial.atom(name, *u), n, 1)(*a)

    partials = [Primitive(f"{name}.{i}", p.POINTWISE, name, value(f"{name}.{i}")) for i in range(n)]
    return Primitive(
        name, p.POINTWISE, name, value(name), lambda g, y, *xs: tuple(g * d(*xs) for d in partials)
    )


F, G = undefined("F", 3), undefined("G", 3)


def _scan(step: Callable[..., Any], **options: Any) -> Callable[..., list[Tensor]]:
    """A scan of a step(s, c, x, w) -> (s, c, y) over three steps: its final states and its outputs."""

    def run(s: Tensor, c: Tensor, xs: Tensor, w: Tensor) -> list[Tensor]:
        def one(state: Any, x: Tensor, w: Tensor) -> Any:
            s, c, y = step(*state, x, w)
            return (s, c), y

        (s, c), ys = scan(one, (s, c), xs, w, **options)
        return [s, c, ys]

    return run


def _concrete(s: Tensor, c: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    """A step whose states mix, so that order and transposition are seen, and which has values."""
    return w * c + x, s * c, x * s


def _undefined_step(s: Tensor, c: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    new = F(s + c, x, w)
    return new, G(new, c, w), new * c


def _lookup(x: Tensor) -> Tensor:
    return x[ROWS]


EXAMPLES: dict[str, list[Example]] = {
    "add": _each(lambda x, y: x + y, *PAIRS),
    "sub": _each(lambda x, y: x - y, *PAIRS),
    "mul": _each(lambda x, y: x * y, *PAIRS) + _each(lambda x: x * x, (2,)),
    "div": _each(lambda x, y: x / y, *PAIRS) + _each(lambda x: x / x, (2,)),
    "neg": _each(lambda x: -x, (2,), ()),
    "power": [
        *(e for k in (3, 2, 1, 0, -1, -2) for e in _each(lambda x, k=k: f.pow(x, k), (2,))),
        *_each(lambda x: x**0.5, (2,), positive=True), *_each(lambda x: x**-1.5, (2,), positive=True),
    ],
    "pow": _each(lambda x, y: f.pow(x, y), *PAIRS[:4], positive=True),
    "tanh": _each(f.tanh, (2, 2), ()),
    "sigmoid": _each(f.sigmoid, (2, 2), ()),
    "softplus": _each(f.softplus, (2,), ()),
    "exp": _each(f.exp, (2, 2), ()),
    "log": _each(f.log, (2, 2), (), positive=True),
    "sqrt": _each(f.sqrt, (2, 2), (), positive=True),
    "sin": _each(f.sin, (2, 2), ()),
    "cos": _each(f.cos, (2, 2), ()),
    "sign": _each(f.sign, (2, 2), ()),
    "abs": _each(f.abs, (2, 2), ()),
    "relu": _each(f.relu, (2, 2), ()),
    "maximum": _each(f.maximum, *PAIRS),
    "greater": _each(lambda x, y: x > y, *PAIRS),
    "greater_equal": _each(lambda x, y: x >= y, *PAIRS),
    "equal": _each(lambda x, y: x == y, *PAIRS),
    "where": [
        *_each(lambda x, y: f.where(MASK, x, y), ((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2, 3))),
        *_each(lambda c, x, y: f.where(c > 0, x, y), ((2,), (2,), (2,)), ((3,), (2, 1), ())),
    ],
    "cast": _each(lambda x: p.cast(x, dtype="float32"), (2,)),
    "alias": _each(lambda x: p.alias(x), (2,)),
    "stop_gradient": _each(f.stop_gradient, (2,)),
    "one_hot": _each(lambda x: x * f.one_hot(ROWS, 3), (3,)),
    "matmul": [
        *_each(lambda x, y: p.matmul(x, y), ((2, 3), (3, 2)), ((2, 2), (2, 2)), ((1, 3), (3, 1))),
        *_each(lambda x, y: p.matmul(x, y), ((2, 2, 3), (3, 2)), ((2, 1, 2), (2, 2, 2)), ((2, 2), (2, 2, 2))),
        *_each(lambda x: x @ x, (2, 2)),
    ],
    "sum": _each(lambda x: [f.sum(x), f.sum(x, 0), f.sum(x, -1, keepdims=True), f.sum(x, (0, 2))], (2, 3, 2)),
    "logsumexp": _each(
        lambda x: [f.logsumexp(x), f.logsumexp(x, 0, keepdims=True), f.logsumexp(x, (0, 1))], (2, 3)
    ),
    "is_max": _each(lambda x: [p.is_max(x, axis=(-1,)), p.is_max(x, axis=(-2, -1))], (2, 2)),
    "max": _each(lambda x: [f.max(x), f.max(x, 0), f.max(x, -1, keepdims=True)], (2, 3)),
    "reshape": _each(lambda x: f.reshape(x, 3, 2), (2, 3)) + _each(lambda x: f.reshape(x, 1, -1), (2, 2)),
    "broadcast": _each(lambda x: f.broadcast_to(x, 2, 3), (3,), (2, 1), (1, 1), ()),
    "transpose": _each(lambda x: x.T, (2, 3)) + _each(lambda x: f.transpose(x, (1, 2, 0)), (2, 3, 2)),
    "concat": [
        *_each(lambda x, y: f.concatenate([x, y], -1), ((2, 1), (2, 3))),
        *_each(lambda x, y: f.concatenate([x, y, x], 0), ((2, 2), (1, 2))),
    ],
    "stack": _each(lambda x, y: [f.stack([x, y], k) for k in (0, 1, -1)], ((2, 2), (2, 2))),
    "unstack": _each(lambda x: f.unstack(x, 1), (2, 3)) + _each(lambda x: f.unstack(x)[1], (3,)),
    "pick": _each(lambda x: [f.unstack(x)[1], f.unstack(x, -1)[0]], (2, 2)),
    "index": _each(
        lambda x: [x[1], x[:, 1:], x[0, ::-1], x[..., -1], x[::2, 0:2], x[1:, None]], (3, 3)
    ),
    "place": _each(lambda g: _pulled(lambda x: x[1:, 0], g, (3, 2)), (2,)),
    "gather": _each(_lookup, (3, 2)) + _each(lambda x: x[ROWS, np.array([0, 1, 0])], (3, 2)),
    "scatter": _each(lambda g: _pulled(_lookup, g, (3, 2)), (3, 2)),
    "scan": [
        Example(_scan(step, **options), ((1,), (1,), (3, 1), (1,)))
        for step in (_concrete, _undefined_step) for options in ({}, {"reverse": True})
    ],
}  # fmt: skip


def _pulled(fn: Callable[[Tensor], Tensor], g: Tensor, shape: Shape) -> Tensor:
    """The pullback of fn at zeros: the rows that a layout row's own vjp is made of."""
    zeros = f.zeros(shape) if g.m.rank == 0 else zeros_like(f.broadcast_to(f.reshape(g, -1)[0], shape))
    return vjp(fn, zeros)[1](g)[0]
