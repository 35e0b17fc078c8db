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

from ...domains.blocks import Blocks, Size, size_of
from ...domains.sizes import SIZES, Sized, Undecided
from . import numpyops as ops
from .lets import LETS
from .numpyops import COMPARISONS, LOGIC, UFUNCS, Unsupported

View = tuple[
    Callable[[Sized], Sized], Callable[[Sized, Sized], Sized] | None
]  # read of base; (base, new) -> base


class Symbolic:
    """A mutable numpy-like array over a `Sized` value."""

    __slots__ = ("_base", "_own", "_view", "boolean")
    __array_priority__ = 2000
    __hash__ = None  # type: ignore[assignment]

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
    dtype = property(lambda self: np.dtype(bool if self.boolean else float))
    size = property(lambda self: self.value.size)
    T = property(lambda self: self.transpose())

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
    def __getitem__(self, key: Any) -> Symbolic:
        if _is_mask(key):
            raise Unsupported("the entries that a mask picks, whose number depends on values; use np.where")
        full, new = _full_key(key, self.value)

        def get(x: Sized) -> Sized:
            part = SIZES.index(x, full)
            for at in new:
                part = ops.insert(part, at)
            return part

        def put(x: Sized, part: Sized) -> Sized:
            part = ops.drop(part, set(new))
            return SIZES.place(part, full, x.shape, _blanked(x, full))

        view = self._viewed(get, put)
        return view if view.ndim else Symbolic(view.value, boolean=self.boolean)

    def __setitem__(self, key: Any, item: Any) -> None:
        if _is_mask(key):
            if key.shape != self.shape or raw(item).ndim:
                raise Unsupported("a mask of another shape, or more than one number put where a mask says")
            self.store(SIZES.where(key.value, SIZES.broadcast(raw(item), self.shape, 0), self.value))
            return
        full, new = _full_key(key, self.value)
        part, old = raw(item), SIZES.index(self.value, full)
        if new:
            part = ops.drop(
                part,
                {i - (old.ndim + len(new) - part.ndim) for i in new if i >= old.ndim + len(new) - part.ndim},
            )
        while part.ndim > old.ndim and part.axes[0] == (1,):
            part = ops.drop(part, {0})
        part = SIZES.broadcast(part, old.shape, part.ndim)
        self.store(SIZES.place(part, full, self.shape, _blanked(self.value, full)))

    # ---- numpy's protocols ----
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        name = ufunc.__name__
        called = f"np.{name}{'' if method == '__call__' else '.' + method}"
        if not _plain(options):
            raise Unsupported(f"{called} with {', '.join(options)}")
        if method == "reduce" and name == "add":
            y = Symbolic(ops.sum_(raw(inputs[0]), options.get("axis", 0), options.get("keepdims", False)))
        elif method == "outer" and name == "multiply":
            y = Symbolic(ops.outer(*map(raw, inputs)))
        elif method == "__call__":
            y = apply(name, *inputs)
        else:
            raise Unsupported(f"{called} is not understood here")
        return y if out is None else _into(out[0], y)

    def __array_function__(self, func: Any, types_: Any, args: Any, kwargs: Any) -> Any:
        from .numpyfunctions import call

        return call(func.__name__, args, kwargs)

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
        return Symbolic(ops.dot(raw(self), raw(other)))

    def copy(self, order: Any = None) -> Symbolic:
        """An array of its own, not a view."""
        return Symbolic(self.value, boolean=self.boolean)

    def astype(self, dtype: Any, **_: Any) -> Symbolic:
        """A copy: numbers here are exact. Whole numbers only of truth values."""
        check_dtype(dtype, self.boolean)
        return Symbolic(self.value, boolean=self.boolean and np.dtype(dtype).kind == "b")

    def transpose(self, *axes: Any) -> Symbolic:
        """As numpy's: a view."""
        n = self.ndim
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        order = [a % n for a in order] if order and order != (None,) else list(range(n - 1, -1, -1))
        back = [order.index(i) for i in range(n)] if sorted(order) == list(range(n)) else order
        return self._viewed(lambda x: ops.transpose(x, order), lambda _, new: ops.transpose(new, back))

    def swapaxes(self, a: int, b: int) -> Symbolic:
        """As numpy's: a view."""
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(*order)

    def reshape(self, *shape: Any, order: str = "C") -> Symbolic:
        """As numpy's; a view that can be written into only where axes of size 1 come and go."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if order != "C":
            raise Unsupported(f"reshape with order={order!r}")
        old, new = self.value, ops.reshape(self.value, wanted)
        same = [b for b in old.axes if b != (1,)] == [b for b in new.axes if b != (1,)]
        return self._viewed(
            lambda x: ops.reshape(x, new.shape), (lambda x, y: ops.reshape(y, x.shape)) if same else None
        )

    def squeeze(self, axis: Any = None) -> Symbolic:
        """As numpy's, with the axis named: without, it depends on the sizes."""
        if axis is None:
            raise Unsupported("squeeze() without an axis drops other axes at other sizes; name the axis")
        gone = set(ops.axis_set(self.value, axis))
        ops.drop(self.value, gone)  # raises now, and not when it is read

        def put(_: Sized, new: Sized) -> Sized:
            for i in sorted(gone):
                new = ops.insert(new, i)
            return new

        return self._viewed(lambda x: ops.drop(x, gone), put)

    def broadcast_to(self, shape: Any) -> Symbolic:
        """As np.broadcast_to: a view that cannot be written into."""
        return self._viewed(lambda x: SIZES.broadcast(x, tuple(shape), x.ndim), None)

    def fill(self, c: Any) -> None:
        """As numpy's."""
        self.store(raw(c))


def raw(x: Any) -> Sized:
    """The value of anything that numpy computes with, subexpressions that have a name under it."""
    if isinstance(x, Symbolic):
        return LETS.short(x.value)
    if isinstance(x, np.ndarray):
        return SIZES.lift(x)
    if isinstance(x, (list, tuple)):
        return ops.stack([raw(v) for v in x])
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
        raise Unsupported(f"np.{name}{kinds} is not understood here")
    return Symbolic(UFUNCS[name](*map(raw, inputs)), boolean=name in COMPARISONS or all(truths))


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


def _is_mask(key: Any) -> bool:
    return isinstance(key, Symbolic) and key.boolean


def _full_key(key: Any, x: Sized) -> tuple[tuple[Any, ...], list[int]]:
    """(a number or a slice for every axis, the places in the result where None adds an axis)."""
    parts = key if isinstance(key, tuple) else (key,)
    used = [k for k in parts if k is not None and k is not Ellipsis]
    if len(used) > x.ndim:
        raise IndexError(f"{len(used)} indices for an array of shape {x.shape}")
    if not any(k is Ellipsis for k in parts):
        parts = (*parts, Ellipsis)
    at = next(i for i, k in enumerate(parts) if k is Ellipsis)
    parts = parts[:at] + (slice(None),) * (x.ndim - len(used)) + parts[at + 1 :]
    full: list[Any] = []
    new, place = [], 0
    for k in parts:
        if k is None:
            new.append(place)
        else:
            full.append(_entry(k, x.axes[len(full)], x))
        place += not isinstance(k, (int, np.integer))
    return tuple(full), new


def _entry(k: Any, axis: Blocks, x: Sized) -> Any:
    """One entry of a key, checked; negative ones counted from the front."""
    n = size_of(axis)
    if isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)):
        if isinstance(n, Size):
            raise Undecided(f"entry {k} of an axis of symbolic size {n}")
        if not -n <= k < n:
            raise IndexError(f"index {k} is out of bounds for axis of size {n}")
        return int(k) % n
    if not isinstance(k, slice):
        raise Unsupported(f"an index of type {type(k).__name__} into an array of shape {x.shape}")
    if not isinstance(n, Size):
        return slice(*_ends(range(n)[k]))
    start, stop, step = n.indices(k)
    return slice(start, stop, step)


def _ends(r: range) -> tuple[int, int | None, int]:
    """A range as the ends of a slice: reversed ones end before 0."""
    return r.start, (r.stop if r.stop >= 0 else None), r.step


def _blanked(x: Sized, key: tuple[Any, ...]) -> Sized:
    """x with zeros at the key."""
    old = SIZES.index(x, key)
    return SIZES.place(-old, key, x.shape, x)


def _operator(name: str, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def op(self: Symbolic, other: Any) -> Any:
        return apply(name, other, self) if reflected else apply(name, self, other)

    return op


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    def op(self: Symbolic, other: Any) -> Any:
        y = apply(name, self, other)
        if not self.ndim:  # a numpy scalar: the name is bound anew
            return y
        if y.ndim > self.ndim:
            raise ValueError(f"a result of shape {y.shape} does not fit in place into shape {self.shape}")
        self.store(y.value)
        return self

    return op


def _compared(self: Symbolic, other: Any) -> Any:
    raise Unsupported("== or != of arrays: the result would hold for some values only")


for _symbol, _name in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "matmul": "matmul",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
}.items():
    setattr(Symbolic, f"__{_symbol}__", _operator(_name))
    setattr(Symbolic, f"__r{_symbol}__", _operator(_name, reflected=True))
    setattr(Symbolic, f"__i{_symbol}__", _in_place(_name))
for _symbol, _name in {"gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal"}.items():
    setattr(Symbolic, f"__{_symbol}__", _operator(_name))
for _symbol, _name in {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}.items():
    setattr(Symbolic, f"__{_symbol}__", lambda self, name=_name: apply(name, self))
for _symbol in ("eq", "ne"):
    setattr(Symbolic, f"__{_symbol}__", _compared)

__all__ = ["Symbolic", "Undecided", "Unsupported"]
