"""The functions users call: checked doors to the primitives, and what is composed from them.

Names and meanings are numpy's; `cat`, `dim=` and `keepdim=` are understood too, so that code
written for PyTorch runs. No function here has a derivative of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import primitives as p
from .core import STATE, Primitive, Tensor, as_tensor, tensor
from .errors import ShapeError
from .layout import (
    Axis,
    axes_of,
    broadcast_to,
    cat,
    concatenate,
    getitem,
    iterate,
    reshape,
    shape_of,
    split,
    stack,
    swapaxes,
    torch_names,
    transpose,
    unstack,
)  # fmt: skip

__all__ = [
    "abs", "broadcast_to", "cat", "clip", "concatenate", "cos", "cross_entropy", "exp", "layer_norm",
    "log", "log_softmax", "logsumexp", "manual_seed", "matmul", "max", "maximum", "mean", "min",
    "minimum", "mse", "nll", "one_hot", "ones", "pow", "randn", "relu", "reshape", "sigmoid", "sign",
    "sin", "softmax", "softplus", "split", "sqrt", "stack", "stop_gradient", "sum", "swapaxes", "tanh",
    "transpose", "unstack", "var", "where", "zeros",
]  # fmt: skip


# ---- making tensors ----------------------------------------------------------------------------
def zeros(*sizes: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the given shape; float64 unless dtype says otherwise."""
    return tensor(np.zeros(shape_of(sizes)), dtype, requires_grad)


def ones(*sizes: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the given shape; float64 unless dtype says otherwise."""
    return tensor(np.ones(shape_of(sizes)), dtype, requires_grad)


_rng: np.random.Generator | None = None


def manual_seed(seed: int) -> None:
    """Make the following `randn` calls and initial layer weights repeatable."""
    global _rng
    _rng = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The source of random numbers that `manual_seed` seeds."""
    global _rng
    STATE.looked += 1
    if _rng is None:  # numpy.random takes 10 ms to import, so not before it is used
        _rng = np.random.default_rng()
    return _rng


def randn(*sizes: Any, dtype: Any = None, requires_grad: bool = False, seed: int | None = None) -> Tensor:
    """Standard normal numbers of the given shape; with a seed, always the same ones."""
    rng = generator() if seed is None else np.random.default_rng(seed)
    return tensor(rng.standard_normal(shape_of(sizes)), dtype, requires_grad)


def one_hot(index: Any, n: int, dtype: str = "float64") -> Tensor:
    """Rows of the identity: index: (...) ints in [0, n) → (..., n). Raises IndexError outside."""
    index = as_tensor(index)
    if index.dtype.kind not in "iu":
        raise TypeError(f"one_hot: indices must be integers, not {index.dtype}")
    if index.value.size and (index.value.min() < 0 or index.value.max() >= n):
        low, high = index.value.min(), index.value.max()
        raise IndexError(f"one_hot: indices run from {low} to {high}, outside [0, {n})")
    return p.one_hot(index, n=n, dtype=dtype)


# ---- elementwise -------------------------------------------------------------------------------
def _unary(row: Primitive, doc: str) -> Callable[[Any], Tensor]:
    def fn(x: Any) -> Tensor:
        return row(x if x.__class__ is Tensor else as_tensor(x))

    fn.__name__ = fn.__qualname__ = row.name
    fn.__doc__ = doc
    return fn


tanh = _unary(p.tanh, "Hyperbolic tangent, elementwise.")
sigmoid = _unary(
    p.sigmoid,
    "Logistic function 1 / (1 + exp(-x)), elementwise, as (tanh(x/2) + 1) / 2: never overflows.\n\n"
    "Its relative precision fades below x = -20 (and is lost at -40, where it gives 0): enough for a\n"
    "gate; for log-probabilities use softplus, logsumexp, log_softmax or cross_entropy.",
)
relu = _unary(p.relu, "max(x, 0), elementwise; derivative 0 at 0.")
softplus = _unary(p.softplus, "log(1 + exp(x)), elementwise, without overflow.")
exp = _unary(p.exp, "Exponential, elementwise.")
log = _unary(p.log, "Natural logarithm, elementwise.")
sqrt = _unary(p.sqrt, "Square root, elementwise.")
sin = _unary(p.sin, "Sine, elementwise.")
cos = _unary(p.cos, "Cosine, elementwise.")
abs = _unary(p.abs_, "Absolute value, elementwise; derivative 0 at 0.")
sign = _unary(p.sign, "-1, 0 or 1, elementwise; passes no gradient.")
stop_gradient = _unary(p.stop_gradient, "The same value, through which no gradient flows.")


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(x, Tensor) and isinstance(y, Tensor):
        return as_tensor(x, y), y
    x = as_tensor(x)
    return x, as_tensor(y, x)


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of x and y, elementwise; equal entries share the gradient in halves."""
    return p.maximum(*_pair(x, y))


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of x and y, elementwise; equal entries share the gradient in halves."""
    x, y = _pair(x, y)
    return -p.maximum(-x, -y)


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """x where the condition holds, else y. Raises TypeError if the condition does not hold bools."""
    condition = as_tensor(condition)
    if condition.dtype.kind in "fiu" and condition.m.rank == 0:
        raise TypeError(f"where: the condition holds {condition.dtype}; pass bools, such as x > 0")
    return p.where(condition, *_pair(x, y))


def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """x limited to [low, high]; no gradient outside, half of it exactly at a limit."""
    x = as_tensor(x)
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def pow(x: Any, y: Any) -> Tensor:
    """x to the power y, elementwise; a Python number as exponent is exact and needs no x > 0."""
    if isinstance(y, (int, float, np.integer, np.floating)) and not isinstance(y, bool):
        return p.power(as_tensor(x), exponent=y.item() if isinstance(y, np.generic) else y)
    return p.pow_(*_pair(x, y))


# ---- products and reductions -------------------------------------------------------------------
def matmul(a: Any, b: Any) -> Tensor:
    """Matrix product over the last axes, batched over the others, as numpy's @.

    a: (..., m, k) or (k,)   b: (..., k, n) or (k,). Raises ShapeError if the k differ.
    """
    a, b = as_tensor(a), as_tensor(b)
    left, right = a.value.shape, b.value.shape
    if not left or not right:
        raise ShapeError(f"matmul: {left} @ {right}: needs at least one axis each; use * for scaling")
    row, col = len(left) == 1, len(right) == 1
    inner = right[-1 if col else -2]
    if left[-1] != inner:
        raise ShapeError(
            f"matmul: {left} @ {right}: inner sizes {left[-1]} and {inner} "
            "differ. If the right side holds one output per row, pass its .T"
        )
    if not row and not col:
        return p.matmul.of_two(a, b)
    y = p.matmul(reshape(a, (1, *left)) if row else a, reshape(b, (*right, 1)) if col else b)
    return reshape(y, y.shape[: -2] + (() if row else y.shape[-2:-1]) + (() if col else y.shape[-1:]))


@torch_names
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over the given axes, or all."""
    x = as_tensor(x)
    return p.sum_(x, axis=axes_of(x, axis, "sum"), keepdims=keepdims)


def _count(x: Tensor, axis: Axis, who: str) -> int:
    n = 1
    for a in axes_of(x, axis, who):
        n *= x.shape[a]
    if n == 0:
        raise ShapeError(f"{who}: no entries along axis {axis} of shape {x.shape}")
    return n


@torch_names
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over the given axes, or all."""
    x = as_tensor(x)
    n = _count(x, axis, "mean")
    return sum(x, axis, keepdims) / n


@torch_names
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Variance over the given axes, or all; divisor n - ddof (numpy's default 0, torch's is 1)."""
    x = as_tensor(x)
    n = _count(x, axis, "var")
    if n <= ddof:
        raise ShapeError(f"var: {n} entries along axis {axis} of shape {x.shape}, but ddof is {ddof}")
    d = x - mean(x, axis, keepdims=True)
    return sum(d * d, axis, keepdims) / (n - ddof)


@torch_names
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest entry over the given axes, or all; equal largest entries share the gradient evenly."""
    x = as_tensor(x)
    _count(x, axis, "max")
    return p.max_(x, axis=axes_of(x, axis, "max"), keepdims=keepdims)


@torch_names
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest entry over the given axes, or all; equal smallest entries share the gradient evenly."""
    return -max(-as_tensor(x), axis, keepdims)


@torch_names
def logsumexp(x: Any, axis: Axis = -1, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over the given axes, without overflow."""
    x = as_tensor(x)
    return p.logsumexp(x, axis=axes_of(x, axis, "logsumexp"), keepdims=keepdims)


@torch_names
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Logarithm of the softmax, without overflow."""
    x = as_tensor(x)
    return x - logsumexp(x, axis, keepdims=True)


@torch_names
def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along one axis, without overflow."""
    return exp(log_softmax(x, axis))


@torch_names
def layer_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, axis: Axis = -1) -> Tensor:
    """(x - mean) / sqrt(var + eps) along the last axis, times weight, plus bias (Ba et al. 2016, eq. 4)."""
    x = as_tensor(x)
    y = (x - mean(x, axis, keepdims=True)) / sqrt(var(x, axis, keepdims=True) + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


# ---- losses ------------------------------------------------------------------------------------
def mse(prediction: Any, target: Any) -> Tensor:
    """Mean of the squared differences. Raises ShapeError if the shapes differ."""
    prediction, target = _pair(prediction, target)
    if prediction.shape != target.shape:
        raise ShapeError(f"mse: prediction {prediction.shape} and target {target.shape} differ in shape")
    d = prediction - target
    return mean(d * d)


def cross_entropy(logits: Any, target: Any) -> Tensor:
    """Mean of -log softmax(logits)[target] over all leading axes.

    logits: (..., k)   target: (...) class indices, or (..., k) probabilities such as one-hot rows.
    """
    logits = as_tensor(logits)
    return -mean(sum(_class_rows(logits, target, "cross_entropy: logits") * log_softmax(logits), axis=-1))


def nll(probabilities: Any, target: Any) -> Tensor:
    """Mean of -log probabilities[target] over all leading axes: the loss of article 002's softmax output.

    probabilities: (..., k)   target: as for cross_entropy, which is the same of logits and cannot overflow.
    """
    o = as_tensor(probabilities)
    return -mean(sum(_class_rows(o, target, "nll: probabilities") * log(o), axis=-1))


def _class_rows(x: Tensor, target: Any, who: str) -> Tensor:
    """A target of class indices as one-hot rows in the dtype of x; rows as they are."""
    target = as_tensor(target)
    if target.dtype.kind in "iu" and target.shape == x.shape[:-1]:
        target = one_hot(target, x.shape[-1], str(x.dtype) if x.dtype.kind == "f" else "int64")
    if target.shape != x.shape:
        raise ShapeError(
            f"{who} {x.shape} need a target of class indices {x.shape[:-1]} "
            f"or of probabilities {x.shape}, not {target.shape}"
        )
    return target


for _fn in (
    tanh, sigmoid, relu, softplus, exp, log, sqrt, sin, cos, abs, sum, mean, var, max, min, clip,
    reshape, transpose, swapaxes, split, softmax, log_softmax, logsumexp, matmul, broadcast_to, unstack,
):  # fmt: skip
    setattr(Tensor, _fn.__name__, _fn)
Tensor.view = Tensor.reshape  # type: ignore[attr-defined]
Tensor.T = property(transpose, doc="The axes in reverse order.")  # type: ignore[assignment]
Tensor.mT = property(p.swap, doc="The last two axes exchanged.")  # type: ignore[assignment]
Tensor.__matmul__ = matmul  # type: ignore[method-assign]
Tensor.__rmatmul__ = lambda a, b: matmul(b, a)  # type: ignore[method-assign]
Tensor.__pow__ = pow  # type: ignore[method-assign]
Tensor.__rpow__ = lambda a, b: pow(as_tensor(b, a), a)  # type: ignore[method-assign]
Tensor.__abs__ = abs  # type: ignore[method-assign]
Tensor.__getitem__ = getitem  # type: ignore[method-assign]
Tensor.__iter__ = iterate  # type: ignore[method-assign]
