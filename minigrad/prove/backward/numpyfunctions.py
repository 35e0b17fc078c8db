"""The numpy functions that understand `Symbolic` arrays, and the module that stands in for numpy."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...domains.blocks import Size
from ...domains.sizes import ATOMS, SIZES, array
from . import numpyops as ops
from .numpylike import Symbolic, apply, check_dtype, raw
from .numpyops import UFUNCS, Unsupported

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
    return Symbolic(raw(x)) if _symbolic(x) else np.array(x)


def _view_of(method: str) -> Callable[..., Symbolic]:
    return lambda x, *args, **kwargs: getattr(x if isinstance(x, Symbolic) else Symbolic(raw(x)), method)(
        *args, **kwargs
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _of(ops.sum_),
    "mean": _of(ops.mean),
    "dot": _two(ops.dot),
    "outer": _two(ops.outer),
    "diag": _of(ops.diag),
    "tensordot": lambda a, b, axes=2: Symbolic(ops.tensordot(raw(a), raw(b), axes)),
    "einsum": lambda spec, *xs, optimize=False: Symbolic(ops.einsum(spec, *map(raw, xs))),
    "concatenate": _join(ops.concatenate),
    "stack": _join(ops.stack),
    "split": _split,
    "array_split": _split,
    "hstack": lambda xs: _join(ops.concatenate)(xs, 1 if raw(xs[0]).ndim > 1 else 0),
    "vstack": _vstack,
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
        raise Unsupported(f"np.{name} is not understood here")
    try:
        return FUNCTIONS[name](*args, **kwargs)
    except TypeError as e:
        if isinstance(e, Unsupported) or "argument" not in str(e):
            raise
        raise Unsupported(f"np.{name}: {str(e).rpartition('() ')[2]}") from None


def _symbolic(x: Any) -> bool:
    """Whether there is a symbolic array or size in it."""
    if isinstance(x, (list, tuple)):
        return any(map(_symbolic, x))
    return isinstance(x, (Symbolic, Size))


class _Arrays(type):
    """Symbolic arrays are instances of the stand-in's `ndarray`, as numpy's own are."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, (Symbolic, np.ndarray))


class _NdArray(metaclass=_Arrays):
    pass


class StandIn(types.ModuleType):
    """What `np` is while somebody's code runs on symbolic arrays."""

    ndarray = _NdArray

    def __getattr__(self, name: str) -> Any:
        if name in MAKERS:
            return MAKERS[name]
        if name == "random":
            raise Unsupported("np.random: a gradient is not random; it must be the same at every call")
        if name in FUNCTIONS:
            return _either(name)
        return getattr(np, name)


def _either(name: str) -> Callable[..., Any]:
    """numpy's own function for plain arguments, ours where a symbolic array is among them."""

    def function(*args: Any, **kwargs: Any) -> Any:
        if any(map(_symbolic, args)) or any(map(_symbolic, kwargs.values())):
            return call(name, args, kwargs)
        return getattr(np, name)(*args, **kwargs)

    return function


NUMPY = StandIn("numpy")


class StandInMath(types.ModuleType):
    """What `math` is: its functions take one number, and a symbolic one has entries as numpy's have."""

    def __getattr__(self, name: str) -> Any:
        fn = getattr(math, name)
        if name not in ("tanh", "exp", "log", "sqrt", "sin", "cos", "sinh", "cosh", "log1p", "expm1", "pow"):
            return fn
        return lambda *xs: apply({"pow": "power"}.get(name, name), *xs) if _scalars(name, xs) else fn(*xs)


def _scalars(name: str, xs: Iterator[Any] | tuple[Any, ...]) -> bool:
    found = [x for x in xs if isinstance(x, Symbolic)]
    for x in found:
        if x.ndim:
            raise Unsupported(
                f"math.{name} takes one number, and not an array of shape {x.shape}; use np.{name}"
            )
    return bool(found)


MATH = StandInMath("math")
