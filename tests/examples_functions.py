"""What is composed from the table, call by call: ours, and the same in numpy and in torch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg


@dataclass(frozen=True)
class Case:
    """One call: ours, and the same in numpy and in torch (given their modules), on inputs of these shapes."""

    name: str
    ours: Callable[..., Any]
    numpy: Callable[..., Any] | None
    torch: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((4, 3, 5),)
    positive: bool = False

    def values(self, scale: float = 1.0) -> list[np.ndarray]:
        rng = np.random.default_rng(3)
        values = [rng.standard_normal(s) * scale for s in self.shapes]
        return [np.abs(v) + 0.1 for v in values] if self.positive else values

    def __str__(self) -> str:
        return self.name


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def normed(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


T32 = np.array([[0, 2, 1], [1, 1, 4], [3, 0, 0], [2, 4, 3]])  # class indices for (4, 3, 5)
TWO = ((4, 3), (4, 3))

CASES = [
    *(
        Case(
            f"sum axis={a}",
            lambda x, a=a: mg.sum(x, a),
            lambda np, x, a=a: np.sum(x, axis=a),
            lambda t, x, a=a: x.sum() if a is None else t.sum(x, dim=a),
        )
        for a in (None, 0, -1, (0, 2), (-1, 0))
    ),
    *(
        Case(
            f"mean axis={a}",
            lambda x, a=a: x.mean(a),
            lambda np, x, a=a: np.mean(x, axis=a),
            lambda t, x, a=a: x.mean() if a is None else t.mean(x, dim=a),
        )
        for a in (None, 1, (0, 2))
    ),
    *(
        Case(
            f"mean keepdims axis={a}",
            lambda x, a=a: x.mean(dim=a, keepdim=True),
            lambda np, x, a=a: np.mean(x, axis=a, keepdims=True),
            lambda t, x, a=a: t.mean(x, a, True),
        )
        for a in (0, -1)
    ),
    *(
        Case(
            f"var ddof={d}",
            lambda x, d=d: x.var(-1, ddof=d),
            lambda np, x, d=d: np.var(x, axis=-1, ddof=d),
            lambda t, x, d=d: t.var(x, dim=-1, correction=d),
        )
        for d in (0, 1)
    ),
    Case("var of all", lambda x: x.var(), lambda np, x: np.var(x), lambda t, x: t.var(x, correction=0)),
    *(
        Case(
            f"max axis={a}",
            lambda x, a=a: mg.max(x, a),
            lambda np, x, a=a: np.max(x, axis=a),
            lambda t, x, a=a: t.amax(x, () if a is None else a),
        )
        for a in (None, 0, (1, 2))
    ),
    *(
        Case(
            f"min axis={a}",
            lambda x, a=a: mg.min(x, a, keepdims=True),
            lambda np, x, a=a: np.min(x, axis=a, keepdims=True),
            lambda t, x, a=a: t.amin(x, a, True),
        )
        for a in (0, (1, 2))
    ),
    *(
        Case(
            f"logsumexp axis={a}",
            lambda x, a=a: mg.logsumexp(x, a),
            lambda np, x, a=a: np.log(np.exp(x).sum(axis=a)),
            lambda t, x, a=a: t.logsumexp(x, a),
        )
        for a in (0, -1, (0, 1))
    ),
    *(
        Case(
            f"softmax axis={a}",
            lambda x, a=a: mg.softmax(x, dim=a),
            lambda np, x, a=a: softmax(x, a),
            lambda t, x, a=a: t.softmax(x, a),
        )
        for a in (0, -1)
    ),
    Case("log_softmax", mg.log_softmax, lambda np, x: np.log(softmax(x)), lambda t, x: t.log_softmax(x, -1)),
    Case(
        "layer_norm", mg.layer_norm, lambda np, x: normed(x), lambda t, x: t.nn.functional.layer_norm(x, (5,))
    ),
    Case(
        "layer_norm affine",
        mg.layer_norm,
        lambda np, x, w, b: normed(x) * w + b,
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (5,), w, b),
        ((4, 3, 5), (5,), (5,)),
    ),
    Case(
        "cross_entropy of indices",
        lambda x: mg.cross_entropy(x, T32),
        lambda np, x: -np.log(softmax(x))[np.arange(4)[:, None], np.arange(3), T32].mean(),
        lambda t, x: t.nn.functional.cross_entropy(x.reshape(12, 5), t.tensor(T32.reshape(12))),
    ),
    Case(
        "cross_entropy of rows",
        lambda x, y: mg.cross_entropy(x, mg.softmax(y)),
        lambda np, x, y: -(softmax(y) * np.log(softmax(x))).sum(-1).mean(),
        lambda t, x, y: t.nn.functional.cross_entropy(x, t.softmax(y, -1)),
        TWO,
    ),
    Case(
        "nll",
        lambda x: mg.nll(mg.softmax(x), T32),
        lambda np, x: -np.log(softmax(x))[np.arange(4)[:, None], np.arange(3), T32].mean(),
        lambda t, x: t.nn.functional.nll_loss(t.log_softmax(x.reshape(12, 5), -1), t.tensor(T32.reshape(12))),
    ),
    Case(
        "mse",
        mg.mse,
        lambda np, x, y: ((x - y) ** 2).mean(),
        lambda t, x, y: t.nn.functional.mse_loss(x, y),
        TWO,
    ),
    Case("maximum", mg.maximum, lambda np, x, y: np.maximum(x, y), lambda t, x, y: t.maximum(x, y), TWO),
    Case("minimum", mg.minimum, lambda np, x, y: np.minimum(x, y), lambda t, x, y: t.minimum(x, y), TWO),
    Case(
        "minimum with a number",
        lambda x: mg.minimum(0.3, x),
        lambda np, x: np.minimum(0.3, x),
        lambda t, x: t.minimum(t.tensor(0.3, dtype=x.dtype), x),
    ),
    *(
        Case(
            f"clip {lo} {hi}",
            lambda x, lo=lo, hi=hi: mg.clip(x, lo, hi),
            lambda np, x, lo=lo, hi=hi: np.clip(x, lo, hi),
            lambda t, x, lo=lo, hi=hi: t.clip(x, lo, hi),
        )
        for lo, hi in ((-0.5, 0.5), (None, 0.1), (0.1, None))
    ),
    Case(
        "where",
        lambda x, y: mg.where(x > 0, x, y * 2),
        lambda np, x, y: np.where(x > 0, x, y * 2),
        lambda t, x, y: t.where(x > 0, x, y * 2),
        TWO,
    ),
    Case(
        "where with numbers",
        lambda x: mg.where(x > 0, 1.5, x),
        lambda np, x: np.where(x > 0, 1.5, x),
        lambda t, x: t.where(x > 0, 1.5, x),
    ),
    *(
        Case(
            f"{name} of all signs",
            getattr(mg, name),
            lambda np, x, name=name: getattr(np, name)(x),
            lambda t, x, name=name: getattr(t, name)(x),
        )
        for name in ("tanh", "sin", "cos", "exp", "abs")
    ),
    *(
        Case(
            name,
            getattr(mg, name),
            lambda np, x, name=name: getattr(np, name)(x),
            lambda t, x, name=name: getattr(t, name)(x),
            positive=True,
        )
        for name in ("log", "sqrt")
    ),
    Case("sigmoid", mg.sigmoid, lambda np, x: 1 / (1 + np.exp(-x)), lambda t, x: t.sigmoid(x)),
    Case("relu", mg.relu, lambda np, x: np.maximum(x, 0), lambda t, x: t.relu(x)),
    Case(
        "softplus", mg.softplus, lambda np, x: np.log1p(np.exp(x)), lambda t, x: t.nn.functional.softplus(x)
    ),
    Case("pow of tensors", mg.pow, lambda np, x, y: x**y, lambda t, x, y: x**y, TWO, positive=True),
    *(
        Case(
            f"pow {e}", lambda x, e=e: mg.pow(x, e), lambda np, x, e=e: x ** float(e), lambda t, x, e=e: x**e
        )
        for e in (0, 1, 2, 3, -1, -2, np.float64(3))
    ),
    Case("pow 1/2", lambda x: x**0.5, lambda np, x: x**0.5, lambda t, x: x**0.5, positive=True),
    *(
        Case(f"matmul {a} {b}", mg.matmul, lambda np, x, y: x @ y, lambda t, x, y: x @ y, (a, b))
        for a, b in (
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((3,), (3, 2)),
            ((2, 3), (3, 4)),
            ((5, 2, 3), (3, 4)),
            ((5, 2, 3), (3,)),
            ((2, 3), (5, 3, 4)),
            ((3,), (5, 3, 4)),
            ((5, 1, 2, 3), (4, 3, 2)),
            ((0, 3), (3, 2)),
            ((2, 0), (0, 3)),
            ((4, 2, 0), (0, 3)),
        )
    ),
    Case("T", lambda x: x.T, lambda np, x: x.T, lambda t, x: x.permute(2, 1, 0)),
    Case("mT", lambda x: x.mT, lambda np, x: x.swapaxes(-1, -2), lambda t, x: x.mT),
    *(
        Case(
            f"transpose {a}",
            lambda x, a=a: x.transpose(a),
            lambda np, x, a=a: x.transpose(a),
            lambda t, x, a=a: x.permute(a),
        )
        for a in ((2, 0, 1), (-1, 1, 0), (0, 1, 2))
    ),
    *(
        Case(
            f"swapaxes {a}",
            lambda x, a=a: x.swapaxes(*a),
            lambda np, x, a=a: x.swapaxes(*a),
            lambda t, x, a=a: x.swapaxes(*a),
        )
        for a in ((0, 2), (-1, 0), (1, 1))
    ),
    *(
        Case(
            f"reshape {s}",
            lambda x, s=s: x.reshape(s),
            lambda np, x, s=s: x.reshape(s),
            lambda t, x, s=s: x.reshape(s),
        )
        for s in ((12, 5), (-1,), (5, -1, 2), (4, 1, 3, 5))
    ),
    Case("view", lambda x: x.view(3, -1), lambda np, x: x.reshape(3, -1), lambda t, x: x.view(3, -1)),
    Case(
        "broadcast_to",
        lambda x: mg.broadcast_to(x, 2, 4, 3),
        lambda np, x: np.broadcast_to(x, (2, 4, 3)),
        lambda t, x: x.expand(2, 4, 3),
        ((4, 1),),
    ),
    *(
        Case(
            f"concatenate axis={a}",
            lambda x, y, a=a: mg.concatenate([x, y, x], axis=a),
            lambda np, x, y, a=a: np.concatenate([x, y, x], axis=a),
            lambda t, x, y, a=a: t.cat([x, y, x], dim=a),
            TWO,
        )
        for a in (0, 1, -1)
    ),
    Case(
        "cat",
        lambda x, y: mg.cat((x, y), dim=1),
        lambda np, x, y: np.concatenate((x, y), 1),
        lambda t, x, y: t.cat((x, y), dim=1),
        ((2, 3), (2, 1)),
    ),
    *(
        Case(
            f"stack axis={a}",
            lambda x, y, a=a: mg.stack([x, y], a),
            lambda np, x, y, a=a: np.stack([x, y], a),
            lambda t, x, y, a=a: t.stack([x, y], a),
            TWO,
        )
        for a in (0, 1, 2, -1, -3)
    ),
    Case(
        "split in parts",
        lambda x: mg.split(x, 3, axis=1)[1] * mg.split(x, 3, axis=1)[0],
        lambda np, x: np.split(x, 3, 1)[1] * np.split(x, 3, 1)[0],
        lambda t, x: x[:, 1:2] * x[:, 0:1],
    ),
    Case(
        "split in sizes",
        lambda x: mg.concatenate(mg.split(x, [1, 0, 4])[::-1], -1),
        lambda np, x: np.concatenate([x[..., 1:], x[..., :1]], -1),
        lambda t, x: t.cat(t.split(x, [1, 0, 4], -1)[::-1], -1),
    ),
    Case(
        "unstack",
        lambda x: mg.unstack(x, 1)[2] - mg.unstack(x, 1)[0],
        lambda np, x: x[:, 2] - x[:, 0],
        lambda t, x: t.unbind(x, 1)[2] - t.unbind(x, 1)[0],
    ),
    Case(
        "iteration",
        lambda x: sum((k * r for k, r in enumerate(x)), mg.zeros(3, 5)),
        lambda np, x: x[1] + 2 * x[2] + 3 * x[3],
        lambda t, x: x[1] + 2 * x[2] + 3 * x[3],
    ),
    *(
        Case(
            f"operator {op.__name__}",
            op,
            lambda np, x, y, op=op: op(x, y),
            lambda t, x, y, op=op: op(x, y),
            TWO,
            True,
        )
        for op in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow)
    ),
    Case("negative and absolute", lambda x: -x + abs(x), lambda np, x: -x + abs(x), lambda t, x: -x + abs(x)),
]
