"""The numpy functions that understand `Symbolic` arrays, and the module that stands in for numpy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ...domains.blocks import Size
from ...domains.sizes import ATOMS, SIZES, array
from . import numpyops as ops
from . import products
from .numpylike import Symbolic, apply, check_dtype, raw
from .numpyops import INSTEAD, Unsupported
from .ufuncs import UFUNCS

UNWRITTEN = "unwritten"  # what the entries of np.empty are called, followed by a number


def _of(fn: Callable[..., Any]) -> Callable[..., Symbolic]:
    """A function of Sized arrays as one of anything numpy computes with; its other arguments are plain."""

    def on_symbolic(x: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        check_dtype(kwargs.pop("dtype", None))
        y = Symbolic(fn(raw(x), *args, **kwargs))
        if out is None:
            return y
        out.store(y.value)
        return out

    return on_symbolic


def _two(fn: Callable[..., Any]) -> Callable[..., Symbolic]:
    return lambda a, b, **kwargs: Symbolic(fn(raw(a), raw(b), **kwargs))


def _join(fn: Callable[..., Any]) -> Callable[..., Symbolic]:
    return lambda xs, axis=0: Symbolic(fn([raw(x) for x in xs], axis))


def _split(x: Symbolic, parts: Any, axis: int = 0) -> list[Symbolic]:
    n = x.shape[axis]
    edges = [n // parts * k for k in range(1, parts)] if isinstance(parts, int) else list(parts)
    pieces = []
    for lo, hi in zip([0, *edges], [*edges, n], strict=True):
        key: list[Any] = [slice(None)] * x.ndim
        key[axis] = slice(lo, hi)
        pieces.append(x[tuple(key)])
    return pieces


def _where(c: Any, *cases: Any) -> Symbolic:
    if len(cases) != 2 or getattr(c, "dtype", None) != np.bool_:
        raise Unsupported("np.where other than of a comparison and two arrays")
    return Symbolic(SIZES.where(*map(raw, (c, *cases))))


def _clip(x: Any, lo: Any = None, hi: Any = None, out: Any = None) -> Any:
    y = x if lo is None else apply("maximum", x, lo)
    y = y if hi is None else apply("minimum", y, hi)
    if out is None:
        return y
    out.store(y.value)
    return out


def _expand_dims(x: Symbolic, axis: int) -> Symbolic:
    key: list[Any] = [slice(None)] * x.ndim
    key.insert(axis % (x.ndim + 1), None)
    return x[tuple(key)]


def _flip(x: Symbolic, axis: Any = None) -> Any:
    gone = ops.axis_set(raw(x), axis)
    return x[tuple(slice(None, None, -1) if i in gone else slice(None) for i in range(x.ndim))]


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    y = Symbolic(products.dot(raw(a), raw(b)))
    if out is None:
        return y
    out.store(y.value)
    return out


def _multi_dot(xs: Any) -> Symbolic:
    return Symbolic(functools.reduce(products.dot, map(raw, xs)))


def _columns(xs: Any) -> Symbolic:
    columns = [raw(x) for x in xs]
    return Symbolic(ops.concatenate([ops.insert(x, 1) if x.ndim == 1 else x for x in columns], 1))


def _vstack(xs: Any) -> Symbolic:
    rows = [raw(x) for x in xs]
    return Symbolic(ops.concatenate([ops.insert(x, 0) if x.ndim == 1 else x for x in rows], 0))


def _filled(c: Any) -> Callable[..., Symbolic]:
    def make(shape: Any, dtype: Any = None, order: Any = None) -> Symbolic:
        check_dtype(dtype)
        return Symbolic(ops.full(shape, c))

    return make


def _empty(shape: Any, dtype: Any = None, order: Any = None) -> Symbolic:
    """Whatever is there: a tensor of its own, so that reading it before it is written is seen."""
    check_dtype(dtype)
    name = ATOMS.names.setdefault(("empty", len(ATOMS.names)), f"{UNWRITTEN}{len(ATOMS.names)}")
    return Symbolic(array(name, *ops.full(shape, 0).axes))


def _like(make: Callable[..., Symbolic]) -> Callable[..., Symbolic]:
    return lambda x, dtype=None, **_: make(raw(x).shape, dtype)


def _array(x: Any, dtype: Any = None, copy: Any = True, **_: Any) -> Any:
    check_dtype(dtype)
    if isinstance(x, Symbolic):
        return x.copy() if copy else x
    return Symbolic(raw(x)) if symbolic(x) else np.array(x)


def _view_of(method: str) -> Callable[..., Symbolic]:
    return lambda x, *args, **kwargs: getattr(x if isinstance(x, Symbolic) else Symbolic(raw(x)), method)(
        *args, **kwargs
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _of(ops.sum_),
    "mean": _of(ops.mean),
    "cumsum": _of(ops.cumsum),
    "dot": _dot,
    "inner": _two(lambda a, b: products.tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))),
    "vdot": _two(lambda a, b: ops.sum_(a * b)),
    "linalg.multi_dot": _multi_dot,
    "outer": _two(products.outer),
    "diag": _of(ops.diag),
    "tensordot": lambda a, b, axes=2: Symbolic(products.tensordot(raw(a), raw(b), axes)),
    "einsum": lambda spec, *xs, optimize=False: Symbolic(products.einsum(spec, *map(raw, xs))),
    "concatenate": _join(ops.concatenate),
    "stack": _join(ops.stack),
    "split": _split,
    "array_split": _split,
    "hstack": lambda xs: _join(ops.concatenate)(xs, 1 if raw(xs[0]).ndim > 1 else 0),
    "vstack": _vstack,
    "column_stack": _columns,
    "append": lambda a, b, axis: _join(ops.concatenate)([a, b], axis),
    "hsplit": lambda x, parts: _split(x, parts, 1 if x.ndim > 1 else 0),
    "vsplit": _split,
    "flip": _flip,
    "moveaxis": _of(ops.moveaxis),
    "tile": _of(ops.tile),
    "ravel": _view_of("ravel"),
    "broadcast_to": _view_of("broadcast_to"),
    "transpose": _view_of("transpose"),
    "swapaxes": _view_of("swapaxes"),
    "reshape": _view_of("reshape"),
    "squeeze": _view_of("squeeze"),
    "copy": _view_of("copy"),
    "expand_dims": _expand_dims,
    "where": _where,
    "clip": _clip,
    "zeros_like": _like(_filled(0)),
    "ones_like": _like(_filled(1)),
    "empty_like": _like(_empty),
    "full_like": lambda x, c, dtype=None: Symbolic(ops.full(raw(x).shape, 0) + raw(c)),
    "shape": lambda x: raw(x).shape,
    "ndim": lambda x: raw(x).ndim,
}
MAKERS: dict[str, Callable[..., Any]] = {  # of sizes, which numpy itself can only take as whole numbers
    "zeros": _filled(0),
    "ones": _filled(1),
    "empty": _empty,
    "array": _array,
    "asarray": lambda x, dtype=None: _array(x, dtype, False),
    "full": lambda shape, c, dtype=None: Symbolic(ops.full(shape, 0) + raw(c)),
    "ascontiguousarray": _array,
    "eye": lambda n, m=None: Symbolic(ops.eye(n, m)),
    "identity": lambda n: Symbolic(ops.eye(n)),
}


def call(name: str, args: Any, kwargs: Any) -> Any:
    """A numpy function, by name, on symbolic arguments."""
    if name in UFUNCS and name not in FUNCTIONS:
        return apply(name, *args, **kwargs)
    if name not in FUNCTIONS:
        raise Unsupported(f"np.{name} is not understood here; {INSTEAD}")
    try:
        return FUNCTIONS[name](*args, **kwargs)
    except TypeError as e:
        if isinstance(e, Unsupported) or "argument" not in str(e):
            raise
        raise Unsupported(f"np.{name}: {str(e).rpartition('() ')[2]}") from None


def symbolic(x: Any) -> bool:
    """Whether there is a symbolic array or size in it."""
    if isinstance(x, (list, tuple)):
        return any(map(symbolic, x))
    return isinstance(x, (Symbolic, Size))
