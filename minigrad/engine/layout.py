"""Functions that move entries: reshape, transpose, concatenate, split, index.

Names and meanings are numpy's; `cat`, `dim=` and `keepdim=` are understood too, so that code written
for PyTorch runs.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import index as as_int
from typing import Any

import numpy as np

from . import primitives as p
from .core import STATE, Tensor, as_tensor, leaf
from .errors import ShapeError

Axis = int | Sequence[int] | None


def torch_names(fn: Callable) -> Callable:
    """Let `dim` and `keepdim` stand for `axis` and `keepdims`."""

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        for theirs, ours in (("dim", "axis"), ("keepdim", "keepdims")):
            if theirs in kwargs:
                kwargs[ours] = kwargs.pop(theirs)
        return fn(*args, **kwargs)

    return wrapped


def axes_of(x: Tensor, axis: Axis, who: str) -> tuple[int, ...]:
    """Axes counted from the right, in the given order; all of them for None."""
    if axis is None:
        return tuple(range(-x.ndim, 0))
    if axis.__class__ is int and -x.ndim <= axis < 0:
        return (axis,)
    found = []
    for a in map(as_int, axis if isinstance(axis, (tuple, list)) else (axis,)):  # TypeError for 1.5
        if not -x.ndim <= a < x.ndim:
            raise ShapeError(f"{who}: axis {a} of a tensor of shape {x.shape}; it has {x.ndim} axes")
        found.append(a - x.ndim if a >= 0 else a)
    if len(set(found)) < len(found):
        raise ShapeError(f"{who}: axes {axis} of a tensor of shape {x.shape} name one axis twice")
    return tuple(found)


def shape_of(sizes: tuple) -> tuple[int, ...]:
    """The shape that was given as sizes, or as one tuple or list."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same entries in another shape; one size may be -1."""
    x, sizes = as_tensor(x), shape_of(shape)
    if sizes.count(-1) > 1:
        raise ShapeError(f"reshape: {sizes}: only one size can be -1")
    if -1 in sizes:
        known = 1
        for n in sizes:
            known *= n if n != -1 else 1
        if known == 0 or x.value.size % known:
            raise ShapeError(f"reshape: {x.shape} has {x.value.size} entries, which do not fill {sizes}")
        sizes = tuple(x.value.size // known if n == -1 else n for n in sizes)
    return p.reshape(x, shape=tuple(sizes), ndim=x.ndim)


def transpose(x: Any, axes: Sequence[int] | None = None, *more: int) -> Tensor:
    """The axes in another order; reversed if none is given (numpy). To exchange two: swapaxes."""
    x = as_tensor(x)
    if axes is None:
        return p.transpose(x, axes=tuple(range(-1, -x.ndim - 1, -1)))
    if more or isinstance(axes, int):
        raise TypeError(
            "transpose takes one sequence of all axes; to exchange two axes (torch's transpose), use swapaxes"
        )
    order = axes_of(x, axes, "transpose")
    if len(order) != x.ndim:
        raise ShapeError(f"transpose: axes {axes} are not a permutation of the {x.ndim} axes of {x.shape}")
    return p.transpose(x, axes=order)


def swapaxes(x: Any, a: int, b: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    (i,), (j,) = axes_of(x, a, "swapaxes"), axes_of(x, b, "swapaxes")
    order = list(range(-x.ndim, 0))
    order[i], order[j] = order[j], order[i]
    return p.transpose(x, axes=tuple(order))


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """x repeated to a larger shape, by numpy's rules."""
    x = as_tensor(x)
    return p.broadcast(x, shape=tuple(shape_of(shape)), ndim=x.ndim)


@torch_names
def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """The tensors one after the other along an axis. Raises ShapeError if they do not fit."""
    ts = [as_tensor(x) for x in xs]
    if not ts:
        raise ShapeError("concatenate: no tensors given")
    (a,) = axes_of(ts[0], axis, "concatenate")
    return p.concat(*ts, axis=a)


cat = concatenate


@torch_names
def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape as slices along a new axis."""
    ts = [as_tensor(x) for x in xs]
    if not ts:
        raise ShapeError("stack: no tensors given")
    return p.stack(*ts, axis=axis - ts[0].ndim - 1 if axis >= 0 else axis)


@torch_names
def split(x: Any, parts: int | Sequence[int], axis: int = -1) -> tuple[Tensor, ...]:
    """The pieces along an axis: `parts` equal ones, or pieces of the given sizes."""
    x = as_tensor(x)
    (a,) = axes_of(x, axis, "split")
    n = x.shape[a]
    if isinstance(parts, int) and parts < 1:
        raise ShapeError(f"split: into {parts} parts; at least one is needed")
    sizes = (n // parts,) * parts if isinstance(parts, int) else tuple(parts)
    if sum(sizes) != n:
        raise ShapeError(
            f"split: pieces {list(sizes)} do not add up to the {n} of axis {axis} of {x.shape}"
        )
    return tuple([p.index(x, key=key) for key in _pieces(sizes, a)])


@functools.lru_cache(256)
def _pieces(sizes: tuple[int, ...], axis: int) -> list[tuple[slice, ...]]:
    """The keys of the pieces of these sizes along an axis."""
    ends = [0, *itertools.accumulate(sizes)]
    return [(slice(a, b), *(slice(None),) * (-axis - 1)) for a, b in itertools.pairwise(ends)]


def unstack(x: Any, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, each without it."""
    x = as_tensor(x)
    (a,) = axes_of(x, axis, "unstack")
    parts = p.unstack(x, axis=a)
    return [p.pick(parts, i=i) for i in range(x.shape[a])]


def getitem(x: Tensor, key: Any) -> Tensor:
    """Basic slicing; or integer and boolean arrays on neighbouring axes, with whole axes (:) around them.

    A place that is picked more than once gets the sum of the gradients.
    """
    if key.__class__ is int and x.ndim and all([n.__class__ is int for n in x.shape]):
        n, *rest = x.shape
        if -n <= key < n:  # a time step, most of the time: a third of the time of what follows
            return p.index(x, key=(key % n, *[slice(0, k, 1) for k in rest]))
    keys = list(key) if isinstance(key, tuple) else [key]
    arrays = [isinstance(k, (Tensor, np.ndarray, list)) for k in keys]
    taken = sum(_axes_taken(k) for k in keys if k is not None and k is not Ellipsis)
    if taken > x.ndim:
        raise IndexError(f"{taken} indices for a tensor of shape {x.shape}")
    at = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(at) > 1:
        raise IndexError("an index can have one ... only")
    rest = at[0] if at else len(keys)
    keys[rest : rest + 1] = [slice(None)] * (x.ndim - taken)
    return _gather(x, keys) if any(arrays) else _slice(x, keys)


def _axes_taken(k: Any) -> int:
    """How many axes one part of an index takes: as many as it has, if it is a boolean array."""
    if isinstance(k, (Tensor, np.ndarray, list)):
        k = np.asarray(k.value if isinstance(k, Tensor) else k)
        return k.ndim if k.dtype.kind == "b" else 1
    return 1


def _slice(x: Tensor, keys: list[Any]) -> Tensor:
    full: list[Any] = []
    for k in keys:
        if k is None:
            continue
        n = x.shape[len(full)]
        if isinstance(k, slice):
            start, stop, step = k.indices(n) if isinstance(n, int) else n.indices(k)
            full.append(slice(start, None if step < 0 and stop < 0 else stop, step))
        elif not isinstance(n, int):
            full.append(n.place(_int_index(k)))
        elif -n <= (i := _int_index(k)) < n:
            full.append(i % n)
        else:
            raise IndexError(f"index {i} is outside axis {len(full)} of a tensor of shape {x.shape}")
    y = p.index(x, key=tuple(full))
    if not any(k is None for k in keys):
        return y
    sizes = iter(y.shape)
    return reshape(y, *(1 if k is None else next(sizes) for k in keys if k is None or isinstance(k, slice)))


def _int_index(k: Any) -> int:
    if isinstance(k, (bool, np.bool_)) or not hasattr(k, "__index__"):
        raise IndexError(f"an index is an int, a slice, None, ... or an array of ints or bools, not {k!r}")
    return as_int(k)


def _gather(x: Tensor, keys: list[Any]) -> Tensor:
    whole = [isinstance(k, slice) and k == slice(None) for k in keys]
    first, last = whole.index(False), len(whole) - whole[::-1].index(False)
    arrays: list[Tensor] = []
    for k in keys[first:last]:
        if k is None or isinstance(k, slice):
            raise IndexError("an index of arrays and slices together; index in two steps")
        a = as_tensor(np.asarray(k, np.intp) if isinstance(k, list) and not k else k)
        if a.dtype.kind == "b":
            axis = first + len(arrays)
            if a.shape != x.shape[axis : axis + a.ndim]:
                raise IndexError(f"a mask of shape {a.shape} for axis {axis} of a tensor of shape {x.shape}")
            arrays += [leaf(i) for i in np.nonzero(a.numpy())]
        elif a.dtype.kind in "iuO":
            arrays.append(a)
        else:
            raise TypeError(f"an index array must hold ints or bools, not {a.dtype}")
    at = max(a.ndim for a in arrays)
    if first:  # one axis of their own for each axis before them, so that leading axes stay free
        arrays = [reshape(a, (1,) * (first + at - a.ndim) + a.shape) for a in arrays]
    return p.gather(x, *arrays, ndim=x.ndim - first, at=at)


def iterate(x: Tensor) -> Iterator[Tensor]:
    """Slices over the first axis; while a program is recorded, each one begins a time step."""
    if not x.ndim:
        raise TypeError("iteration over a tensor without axes")
    return _steps(x)


def _steps(x: Tensor) -> Iterator[Tensor]:
    watch = STATE.watch
    outermost = watch is not None and watch.step is None
    try:
        for t, item in enumerate(unstack(x), start=1):
            if outermost:
                watch.step = t
                watch.saw(item, 2)
            yield item
    finally:
        if outermost:
            watch.step = None
