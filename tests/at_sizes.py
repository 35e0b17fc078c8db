"""Arrays of symbolic size at concrete sizes: an evaluator by numpy's einsum, apart from the prover's own."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.domains.blocks import Size
from minigrad.domains.contractions import DELTA, Sum
from minigrad.domains.merging import Merged, parts
from minigrad.domains.sizes import ATOMS, INDICES, NUMBERS, Blocks, Sized, array, indices

FUNCTIONS = {
    "tanh": np.tanh, "sigmoid": lambda u: 1 / (1 + np.exp(-u)), "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "sin": np.sin, "cos": np.cos, "sign": np.sign, "let": lambda u: u,
}  # fmt: skip


class AtSizes:
    """Numbers for every opaque tensor, at given sizes; `value` gives what a Sized stands for."""

    def __init__(self, sizes: Mapping[str, int], seed: int = 0) -> None:
        self.sizes, self.rng = dict(sizes), np.random.default_rng(seed)
        self.data: dict[str, np.ndarray] = {}  # one entry per block of each opaque tensor
        self.atoms: dict[Any, np.ndarray] = {}

    def n(self, block: Any) -> int:
        """A block as a number."""
        return math.prod(self.sizes[name] for name in parts(block))

    def shape(self, axes: tuple[Blocks, ...]) -> tuple[int, ...]:
        return tuple(sum(map(self.n, axis)) for axis in axes)

    def number(self, x: Any) -> Any:
        """Parameters of a row with their sizes as numbers."""
        if isinstance(x, Size):
            return sum(map(self.n, x.blocks))
        if isinstance(x, slice):
            return slice(self.number(x.start), self.number(x.stop), x.step)
        return tuple(map(self.number, x)) if isinstance(x, tuple) else x

    def draw(
        self, name: str, *axes: Blocks, positive: bool = False, below: Any = None
    ) -> tuple[Sized, np.ndarray]:
        """An opaque tensor and its numbers; whole ones in [0, below) if that is given."""
        shape = self.shape(axes)
        if below is not None:
            values = self.rng.integers(0, self.number(below), shape)
        else:
            values = self.rng.uniform(0.3, 1.7, shape)
            values = values if positive else values * self.rng.choice([-1.0, 1.0], shape)
        x = array(name, *axes, dtype=NUMBERS if below is None else INDICES)
        for choice, e in x.entries.items():
            ((((tag, _), _),),) = [fs for fs, _ in e.terms]
            block = values[self._slices(axes, choice)]
            names = (n for axis, k in zip(axes, choice, strict=True) for n in parts(axis[k]))
            self.data[tag] = block.reshape([self.sizes[n] for n in names])
        return x, values

    def _slices(self, axes: tuple[Blocks, ...], choice: tuple[int, ...]) -> tuple[slice, ...]:
        starts = [sum(map(self.n, axis[:k])) for axis, k in zip(axes, choice, strict=True)]
        return tuple(slice(s, s + self.n(axis[k])) for s, axis, k in zip(starts, axes, choice, strict=True))

    def value(self, x: Sized) -> np.ndarray:
        """The array of numbers that x is at these sizes."""
        out = np.empty(self.shape(x.axes))
        for choice, e in x.entries.items():
            blocks = [axis[k] for axis, k in zip(x.axes, choice, strict=True)]
            free = [i for a, block in enumerate(blocks) for i in indices(a - x.ndim, block)]
            dims = {
                i: self.sizes[n]
                for a, block in enumerate(blocks)
                for i, n in indices(a - x.ndim, block).items()
            }
            v = self.sum(e, dims).transpose([sorted(free).index(i) for i in free])
            at = [self.places(axis)[k] for axis, k in zip(x.axes, choice, strict=True)]
            out[np.ix_(*at)] = v.reshape([len(p) for p in at])
        return out

    def places(self, axis: Blocks) -> list[np.ndarray]:
        """Where the entries of each block lie in the axis, in row-major order."""
        if isinstance(axis, Merged):
            grid = np.arange(sum(map(self.n, axis))).reshape([sum(map(self.n, f)) for f in axis.factors])
            return [grid[np.ix_(*at)].ravel() for at in itertools.product(*map(self.places, axis.factors))]
        return np.split(np.arange(sum(map(self.n, axis))), np.cumsum([self.n(block) for block in axis])[:-1])

    def sum(self, e: Sum, free: dict[int, int]) -> np.ndarray:
        """The values of e over its free indices, of these sizes, the most negative one first."""
        order = sorted(free)
        total = np.zeros([free[i] for i in order])
        for (fs, bound), c in e.terms.items():
            dims = free | {k: self.n(d) for k, d in enumerate(bound)}
            letters = dict(zip(dims, string.ascii_letters, strict=False))
            words, arrays = ["".join(letters[i] for i in dims)], [np.ones(list(dims.values()))]
            for (name, idx), power in fs:
                words.append("".join(letters[i] for i in idx))
                arrays.append(self.factor(name, tuple(dims[i] for i in idx)) ** float(power))
            spec = f"{','.join(words)}->{''.join(letters[i] for i in order)}"
            total = total + float(c) * np.einsum(spec, *arrays)
        return total

    def factor(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The values of one tensor over its indices, of these sizes."""
        if name == DELTA:
            return np.eye(shape[0])
        if name.startswith("#"):
            return np.array(float(self.sizes[name[1:]]))
        if name.startswith("onehot("):
            return np.eye(shape[-1])[self.data[name[7:-1]]]
        if name.startswith("ismax#"):
            return self._is_max(name)
        if name not in ATOMS.definitions:
            return self.data[name]
        if (name, shape) not in self.atoms:
            fn, u = ATOMS.definitions[name]
            inner = self.sum(u, {-1 - k: n for k, n in enumerate(shape)})
            self.atoms[name, shape] = FUNCTIONS[fn](inner).transpose()  # from (..., -2, -1) to -1, -2, ...
        return self.atoms[name, shape]

    def _is_max(self, name: str) -> np.ndarray:
        tag, *choice = name.split(".")
        (key,) = [k for k, v in ATOMS.names.items() if v == tag]
        _, axis, axes, entries = key
        x = self.value(Sized(axes, dict(entries)))
        hits = (x == x.max(axis=axis, keepdims=True)).astype(float)
        at = tuple(map(int, choice)) if choice else (0,) * len(axes)
        ones = tuple(i for i, (a, k) in enumerate(zip(axes, at, strict=True)) if a[k] == 1)
        return hits[self._slices(axes, at)].squeeze(ones)
