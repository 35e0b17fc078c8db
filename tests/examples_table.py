"""One example, or a few, for each row of the table: what the laws of test_table.py loop over.

A row without an example fails the law of completeness; adding a primitive is one row and one example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from minigrad.engine.bptt import Layout
from minigrad.engine.core import TABLE, Tensor, leaf
from minigrad.engine.primitives import pick
from minigrad.engine.program import record
from minigrad.engine.scan import scan

Args = tuple[Tensor, ...]


@dataclass(frozen=True)
class Real:
    """An input of real numbers, of a shape; only positive ones if the row needs that."""

    shape: tuple[int, ...]
    positive: bool = False

    def floats(self, rng: np.random.Generator) -> np.ndarray:
        x = rng.uniform(0.3, 2.0, self.shape)
        return x if self.positive else x * rng.choice([-1.0, 1.0], self.shape)

    def whole(self, rng: np.random.Generator) -> np.ndarray:
        x = rng.integers(1, 9, self.shape)
        return x if self.positive else x * rng.choice([-1, 1], self.shape)

    def symbols(self, name: str) -> np.ndarray:
        out = np.empty(self.shape, dtype=object)
        for i in np.ndindex(*self.shape):
            kind = {"positive": True} if self.positive else {"real": True}
            out[i] = sp.Symbol("_".join([name, *map(str, i)]), **kind)
        return out


@dataclass(frozen=True)
class Fixed:
    """An input of indices or conditions: it has no derivative and is the same in every domain."""

    values: Any

    def floats(self, rng: np.random.Generator) -> np.ndarray:
        return np.array(self.values)

    whole = floats

    def symbols(self, name: str) -> np.ndarray:
        return np.array(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        return np.array(self.values).shape


@dataclass(frozen=True)
class Example:
    """A row applied to inputs: `run(*xs)` gives its outputs, one Tensor each."""

    row: str
    inputs: tuple[Real | Fixed, ...]
    params: dict[str, Any] = field(default_factory=dict)
    apply: Callable[..., Sequence[Tensor]] | None = None

    def run(self, *xs: Tensor) -> list[Tensor]:
        if self.apply is not None:
            return list(self.apply(*xs))
        y = TABLE[self.row](*xs, **self.params)
        return [pick(y, i=i) for i in range(len(y.value))] if isinstance(y.value, tuple) else [y]

    @property
    def smooth(self) -> list[bool]:
        """Which inputs have a derivative."""
        return [isinstance(x, Real) for x in self.inputs]

    def leaves(self, values: Sequence[Any]) -> Args:
        return tuple(leaf(v, requires_grad=s) for v, s in zip(values, self.smooth, strict=True))

    def floats(self, seed: int = 0) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [np.asarray(x.floats(rng)) for x in self.inputs]

    def whole(self, seed: int = 0) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [np.asarray(x.whole(rng)) for x in self.inputs]

    def symbols(self) -> list[np.ndarray]:
        return [x.symbols(name) for x, name in zip(self.inputs, "xyzuvw", strict=False)]

    def __str__(self) -> str:
        shapes = ",".join("x".join(map(str, x.shape)) or "scalar" for x in self.inputs)
        return f"{self.row}({shapes})" + "".join(f"-{v}" for v in self.params.values() if not callable(v))


def real(*shape: int, positive: bool = False) -> Real:
    return Real(shape, positive)


def _pointwise(row: str, n: int = 1, positive: bool = False, **params: Any) -> list[Example]:
    """A row of n inputs, with the forms of broadcasting."""
    if n == 1:
        return [Example(row, (real(*s, positive=positive),), params) for s in ((), (2, 3))]
    forms = [((), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((2, 1, 2), (3, 1))]
    return [Example(row, tuple(real(*s, positive=positive) for s in form), params) for form in forms]


def _scan_example(reverse: bool) -> Example:
    """s' = w x + u s², o = s' s, over two steps: with each, sympy's formulas grow threefold."""

    def step(s: Tensor, x: Tensor, p: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        new = p[0] * x + p[1] * s * s
        return new, new * s

    def flat(s: Tensor, x: Tensor, w: Tensor, u: Tensor) -> list[Tensor]:
        new, y = step(s, x, (w, u))
        return [new, s, y]

    program, captured = record(flat, [leaf(np.full(3, 0.5)) for _ in range(4)])
    assert not captured
    params = {"program": program, "layout": Layout(1, 1, 2, reverse)}  # of the row
    apply = lambda s, xs, w, u: scan(step, s, xs, (w, u), reverse=reverse)  # noqa: E731
    return Example("scan", (real(3), real(2, 3), real(3), real(3)), params, apply)


def _rows() -> list[Example]:
    two, rows = real(2, 3), []
    for name in ("add", "sub", "mul", "maximum", "greater", "greater_equal", "equal"):
        rows += _pointwise(name, 2)
    rows += [*_pointwise("div", 2, positive=True), *_pointwise("pow", 2, positive=True)]
    for name in ("neg", "tanh", "sigmoid", "softplus", "exp", "sin", "cos", "sign", "abs", "relu"):
        rows += _pointwise(name)
    rows += [*_pointwise("log", positive=True), *_pointwise("sqrt", positive=True)]
    rows += [*_pointwise("alias"), *_pointwise("stop_gradient"), *_pointwise("cast", dtype="float64")]
    for exponent in (0, 1, 2, 3, -1, -2):
        rows += _pointwise("power", exponent=exponent)
    rows += _pointwise("power", positive=True, exponent=0.5)
    mask = Fixed([[True, False, True], [False, False, True]])
    rows += [Example("where", (mask, two, two)), Example("where", (Fixed([True, False, True]), two, real()))]
    rows += [Example("one_hot", (Fixed([[0, 2], [1, 1]]),), {"n": 3, "dtype": "float64"})]
    for a, b in (((2, 3), (3, 2)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 1, 2, 2), (3, 2, 1))):
        rows.append(Example("matmul", (real(*a), real(*b))))
    for name in ("sum", "max", "logsumexp"):
        for axis, keep in (((-1,), False), ((-2,), True), ((-2, -1), False), ((-1, -2), True)):
            rows.append(Example(name, (two,), {"axis": axis, "keepdims": keep}))
    rows += [Example("sum", (real(2, 1, 2),), {"axis": (-3, -1), "keepdims": False})]
    rows += [Example("sum", (real(),), {"axis": (), "keepdims": False})]
    rows += [Example("is_max", (two,), {"axis": axis}) for axis in ((-1,), (-2,), (-2, -1))]
    rows += [Example("reshape", (two,), {"shape": (3, 2), "ndim": 2})]
    rows += [Example("reshape", (real(),), {"shape": (1, 1), "ndim": 0})]
    rows += [Example("broadcast", (real(3),), {"shape": (2, 3), "ndim": 1})]
    rows += [Example("broadcast", (real(2, 1),), {"shape": (2, 2, 3), "ndim": 2})]
    rows += [Example("transpose", (real(2, 3, 2),), {"axes": a}) for a in ((-1, -3, -2), (-3, -1, -2))]
    rows += [Example("transpose", (two,), {"axes": (-1, -2)})]
    rows += [Example("concat", (two, real(2, 1), two), {"axis": -1})]
    rows += [Example("concat", (real(1, 2), real(3, 2)), {"axis": -2})]
    rows += [Example("stack", (two, two), {"axis": axis}) for axis in (-1, -2, -3)]
    rows += [Example("unstack", (two,), {"axis": axis}) for axis in (-1, -2)]
    rows += [Example("pick", (two,), {"i": i}, _picked(i)) for i in (0, 1)]
    for key in ((slice(0, 1), slice(None)), (1, slice(0, 3, 2)), (slice(None, None, -1), 2), (0, 0)):
        rows.append(Example("index", (two,), {"key": key}))
    rows += [Example("place", (real(1, 3),), {"keys": ((slice(1, 2), slice(None)),), "shape": (2, 3)})]
    overlap = ((slice(0, 2), 1), (slice(1, 3), 0), (slice(0, 2), 1))
    rows += [Example("place", (real(2), real(2), real(2)), {"keys": overlap, "shape": (3, 2)})]
    repeated, pair = Fixed([[0, 2], [2, 2]]), (Fixed([0, 1, 1]), Fixed([1, 0, 0]))
    rows += [Example("gather", (real(3, 2), repeated), {"ndim": 2, "at": 2})]
    rows += [Example("gather", (real(2, 2), *pair), {"ndim": 2, "at": 1})]
    rows += [Example("gather", (real(2, 3), Fixed([[2, 0, 2]])), {"ndim": 1, "at": 1})]
    rows += [Example("scatter", (real(2, 2, 2), repeated), {"shape": (3, 2), "at": 2})]
    rows += [Example("scatter", (real(3), *pair), {"shape": (2, 2), "at": 1})]
    rows += [Example("scatter", (real(2, 3), Fixed([[2, 0, 2]])), {"shape": (3,), "at": 1})]
    return [*rows, _scan_example(False), _scan_example(True)]


def _picked(i: int) -> Callable[[Tensor], list[Tensor]]:
    return lambda x: [pick(TABLE["unstack"](x, axis=-2), i=i)]


EXAMPLES = _rows()
