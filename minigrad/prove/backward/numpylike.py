"""Somebody's plain numpy code, run on arrays of symbolic size.

`Symbolic` answers numpy's own protocols (ufuncs, functions, operators, slices, in-place updates), so
a hand-written backward runs on it unchanged and its result is exact for every size. As in numpy,
slices and transposes are views, and what is written into them is written into their base; an array
without axes is a number, and never written into. What is not understood raises `Unsupported` with
the function's name: never a wrong answer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...domains.sizes import INDICES, SIZES, Sized, Undecided
from . import numpyops as ops
from . import products
from .keys import blanked, full_key
from .lets import LETS
from .numpyops import INSTEAD, Unsupported
from .operators import Picked
from .ufuncs import COMPARISONS, LOGIC, UFUNCS
from .views import Views

View = tuple[
    Callable[[Sized], Sized], Callable[[Sized, Sized], Sized] | None
]  # read of base; (base, new) -> base


class Symbolic(Views):
    """A mutable numpy-like array over a `Sized` value."""

    __slots__ = ("_base", "_own", "_view", "boolean")

    def __init__(
        self,
        value: Sized | None,
        base: Symbolic | None = None,
        view: View | None = None,
        boolean: bool = False,
    ):
        self._own, self._base, self._view, self.boolean = value, base, view, boolean

    @property
    def value(self) -> Sized:
        """The entries now; a view reads its base."""
        if self._base is None or self._view is None:
            assert self._own is not None
            return self._own
        return LETS.short(self._view[0](self._base.value))

    def store(self, value: Sized) -> None:
        """Overwrite all entries, in the base too if this is a view."""
        shape = self.shape
        if not shape:
            raise Unsupported("an array without axes is written into; numpy's scalars cannot be")
        while value.ndim > len(shape) and value.axes[0] == (1,):
            value = ops.drop(value, {0})
        value = SIZES.broadcast(value, shape, value.ndim)
        if self._base is None or self._view is None:
            self._own = value
        elif self._view[1] is None:
            raise Unsupported(
                "a reshaped or broadcast array is written into; whether its base changes is not known"
            )
        else:
            self._base.store(self._view[1](self._base.value, value))

    def _viewed(self, get: Callable[[Sized], Sized], put: Callable[[Sized, Sized], Sized] | None) -> Symbolic:
        return Symbolic(None, self, (get, put), self.boolean)

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: np.dtype(bool if self.boolean else int if is_index(self) else float))
    size = property(lambda self: self.value.size)

    def __getattr__(self, name: str) -> Any:
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            raise Unsupported(f"the array's method .{name}() is not understood here")
        raise AttributeError(f"an array has no attribute {name!r}")

    def __len__(self) -> Any:
        if not self.ndim:
            raise TypeError("len() of a number")
        return operator.index(self.shape[0])

    def __iter__(self) -> Any:
        return (self[t] for t in range(len(self)))

    # ---- indexing ----
    def __getitem__(self, key: Any) -> Any:
        if is_mask(key):
            return Picked(self.copy(), self._fitting(key))
        if is_index(key):
            return Symbolic(SIZES.gather(self.value, (key.value,), self.ndim, 0))
        full, new = full_key(key, self.value)

        def get(x: Sized) -> Sized:
            part = SIZES.index(x, full)
            for at in new:
                part = ops.insert(part, at)
            return part

        def put(x: Sized, part: Sized) -> Sized:
            part = ops.drop(part, set(new))
            return SIZES.place(part, full, x.shape, blanked(x, full))

        view = self._viewed(get, put)
        return view if view.ndim else Symbolic(view.value, boolean=self.boolean)

    def __setitem__(self, key: Any, item: Any) -> None:
        if is_mask(key):
            picked = raw(item.at(key) if isinstance(item, Picked) else item)
            if picked.ndim and not isinstance(item, Picked):
                raise Unsupported("an array put where a mask says; use np.where")
            mask = self._fitting(key).value
            self.store(SIZES.where(mask, SIZES.broadcast(picked, self.shape, picked.ndim), self.value))
            return
        if is_index(key):
            raise Unsupported(
                "an array of indices on the left: of an index that occurs twice only one counts; use np.add.at"
            )
        full, new = full_key(key, self.value)
        part, old = raw(item), SIZES.index(self.value, full)
        if new:
            part = ops.drop(
                part,
                {i - (old.ndim + len(new) - part.ndim) for i in new if i >= old.ndim + len(new) - part.ndim},
            )
        while part.ndim > old.ndim and part.axes[0] == (1,):
            part = ops.drop(part, {0})
        part = SIZES.broadcast(part, old.shape, part.ndim)
        self.store(SIZES.place(part, full, self.shape, blanked(self.value, full)))

    def _fitting(self, mask: Symbolic) -> Symbolic:
        if mask.shape != self.shape:
            raise Unsupported(
                f"a mask of shape {mask.shape} into an array of shape {self.shape}; use np.where"
            )
        return mask

    # ---- numpy's protocols ----
    def _apply(self, name: str, *inputs: Any) -> Any:
        picked = next((x for x in inputs if isinstance(x, Picked)), None)
        return apply(name, *inputs) if picked is None else picked._apply(name, *inputs)

    def _update(self, name: str, other: Any) -> Any:
        y = self._apply(name, self, other)
        if not self.ndim:  # a numpy scalar: the name is bound anew
            return y
        if y.ndim > self.ndim:
            raise ValueError(f"a result of shape {y.shape} does not fit in place into shape {self.shape}")
        self.store(y.value)
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        name = ufunc.__name__
        called = f"np.{name}{'' if method == '__call__' else '.' + method}"
        if not _plain(options):
            raise Unsupported(f"{called} with {', '.join(options)}")
        if any(isinstance(x, Picked) for x in inputs):
            return self._apply(name, *inputs)
        if method == "reduce" and name == "add":
            y = Symbolic(ops.sum_(raw(inputs[0]), options.get("axis", 0), options.get("keepdims", False)))
        elif method == "outer" and name == "multiply":
            y = Symbolic(products.outer(*map(raw, inputs)))
        elif method == "at" and name in ("add", "subtract") and is_index(inputs[1]):
            return _scattered(name, *inputs)
        elif method == "__call__":
            y = apply(name, *inputs)
        else:
            raise Unsupported(f"{called} is not understood here")
        return y if out is None else _into(out[0], y)

    def __array_function__(self, func: Any, types_: Any, args: Any, kwargs: Any) -> Any:
        from .numpyfunctions import call

        where = func.__module__.removeprefix("numpy").lstrip(".")
        return call(f"{where}.{func.__name__}" if where in ("linalg", "fft") else func.__name__, args, kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unsupported(
            "a symbolic array was given to code that wants plain numbers; use numpy's functions"
        )

    def __bool__(self) -> bool:
        raise Unsupported("a branch on the value of an array: the result would hold for some values only")

    def __float__(self) -> float:
        raise Unsupported(
            "a plain number was wanted (by math.tanh, float() or the like); use numpy's functions"
        )

    __int__ = __float__

    # ---- methods ----
    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Symbolic:
        """As numpy's."""
        return Symbolic(ops.sum_(raw(self), axis, keepdims))

    def mean(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Symbolic:
        """As numpy's."""
        return Symbolic(ops.mean(raw(self), axis, keepdims))

    def dot(self, other: Any) -> Symbolic:
        """As numpy's."""
        return Symbolic(products.dot(raw(self), raw(other)))

    def copy(self, order: Any = None) -> Symbolic:
        """An array of its own, not a view."""
        return Symbolic(self.value, boolean=self.boolean)

    def astype(self, dtype: Any, **_: Any) -> Symbolic:
        """A copy: numbers here are exact. Whole numbers only of truth values."""
        check_dtype(dtype, self.boolean)
        return Symbolic(self.value, boolean=self.boolean and np.dtype(dtype).kind == "b")

    def clip(self, lo: Any = None, hi: Any = None) -> Symbolic:
        """As numpy's."""
        y = self if lo is None else apply("maximum", self, lo)
        return y if hi is None else apply("minimum", y, hi)

    def fill(self, c: Any) -> None:
        """As numpy's."""
        self.store(raw(c))


def is_index(key: Any) -> bool:
    """Whether a key is an array of whole numbers."""
    return isinstance(key, Symbolic) and key.value.dtype == INDICES


def is_mask(key: Any) -> bool:
    """Whether a key is an array of truth values."""
    return isinstance(key, Symbolic) and key.boolean


def raw(x: Any) -> Sized:
    """The value of anything that numpy computes with, subexpressions that have a name under it."""
    if isinstance(x, Symbolic):
        return LETS.short(x.value)
    if isinstance(x, Picked):
        raise Unsupported("the entries that a mask picks, whose number depends on values; use np.where")
    if isinstance(x, np.ndarray):
        return SIZES.lift(x)
    if isinstance(x, (list, tuple)):
        return ops.stack([raw(v) for v in x]) if x else Sized(((),), {})
    return SIZES.number(x)


def apply(name: str, *inputs: Any) -> Symbolic:
    """A ufunc, by name, on symbolic and plain arguments."""
    truths = [isinstance(x, (bool, np.bool_)) or getattr(x, "dtype", None) == np.bool_ for x in inputs]
    if name in ("invert", "bitwise_and", "bitwise_or") and all(truths):
        name = {"invert": "logical_not", "bitwise_and": "logical_and", "bitwise_or": "logical_or"}[name]
    if (
        name not in UFUNCS
        or (all(truths) and name not in LOGIC and name != "multiply")
        or (name in LOGIC and not all(truths))
    ):
        kinds = " on truth values" if all(truths) else ""
        raise Unsupported(f"np.{name}{kinds} is not understood here; {INSTEAD}")
    return Symbolic(UFUNCS[name](*map(raw, inputs)), boolean=name in COMPARISONS or all(truths))


def _scattered(name: str, target: Symbolic, index: Symbolic, part: Any) -> None:
    """np.add.at(target, index, part)."""
    rows = SIZES.broadcast(raw(part), (*index.shape, *target.shape[1:]), raw(part).ndim)
    target.store(raw(apply(name, target, Symbolic(SIZES.scatter(rows, (index.value,), target.shape, 0)))))


def _into(target: Any, y: Symbolic) -> Any:
    if not isinstance(target, Symbolic):
        raise Unsupported(
            "a symbolic result is written into a plain numpy array, made where np could not be replaced"
        )
    if target.shape != y.shape:
        raise ValueError(f"an output of shape {target.shape} for a result of shape {y.shape}")
    target.store(y.value)
    return target


def check_dtype(dtype: Any, boolean: bool = False) -> None:
    """Raises Unsupported for a dtype that would change values: here all numbers are exact."""
    if dtype is not None and np.dtype(dtype).kind not in ("fOiub" if boolean else "fO"):
        raise Unsupported(f"dtype {np.dtype(dtype)}: only floats are understood here")


def _plain(options: dict[str, Any]) -> bool:
    check_dtype(options.get("dtype"))
    return (
        not set(options)
        - {"axis", "keepdims", "dtype", "casting", "order", "subok"}
        - ({"where"} if options.get("where", True) is True else set())
    )


__all__ = ["Symbolic", "Undecided", "Unsupported"]
