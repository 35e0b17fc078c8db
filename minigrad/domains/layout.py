"""The layout of arrays of symbolic size: entries and axes change places, none changes its value."""

from __future__ import annotations

from typing import Any

from .blocks import Blocks, Undecided, blocks_of, broadcast_axes, choices, size_of, told_apart, without_common
from .contractions import Sum
from .merging import Merged, places, regroup


class Layout:
    """A domain's reshapes, joins and cuts. x: an array with `axes` of blocks and `entries`."""

    def reshape(self, x: Any, shape: tuple, ndim: int) -> Any:
        lead = x.ndim - ndim
        target = x.axes[:lead] + regroup(x.axes[lead:], tuple(map(blocks_of, shape)))
        entries = {}
        for old, new in zip(choices(x.axes), choices(target), strict=True):  # both in row-major order
            names = zip(places(x.axes, old), places(target, new), strict=True)
            entries[new] = x.entries[old].rename(dict(names))
        return type(x)(target, entries, x.dtype)

    def broadcast(self, x: Any, shape: tuple, ndim: int) -> Any:
        target = x.axes[: x.ndim - ndim] + tuple(map(blocks_of, shape))
        if broadcast_axes(x.axes, target) != target:
            raise ValueError(f"broadcast of {x.shape} to {shape}")
        return x.make(target, x.spread, x.dtype)

    def transpose(self, x: Any, axes: tuple) -> Any:
        order = [*range(-x.ndim, -len(axes)), *axes]
        y = x.renamed({a: i - x.ndim for i, a in enumerate(order)})
        return type(x)(
            tuple(x.axes[a] for a in order),
            {tuple(k[a] for a in order): e for k, e in y.entries.items()}, x.dtype,
        )  # fmt: skip

    def concat(self, xs: Any, axis: int) -> Any:
        at = xs[0].ndim + axis
        rest = xs[0].axes[:at], xs[0].axes[at + 1 :]
        entries, joined = {}, ()
        for x in xs:
            if (x.axes[:at], x.axes[at + 1 :]) != rest:
                raise ValueError(f"concat: shapes {[y.shape for y in xs]} differ outside axis {axis}")
            for k, e in x.entries.items():
                entries[(*k[:at], k[at] + len(joined), *k[at + 1 :])] = e
            joined += x.axes[at]
        return type(xs[0])((*rest[0], joined, *rest[1]), entries, xs[0].dtype)

    def stack(self, xs: Any, axis: int) -> Any:
        at = xs[0].ndim + 1 + axis
        return self.concat([self._insert(x, at) for x in xs], axis)

    def _insert(self, x: Any, at: int) -> Any:
        """An axis of size 1 put before axis `at`."""
        y = x.renamed({i - x.ndim: i - x.ndim - 1 for i in range(at)})
        return type(x)(
            (*x.axes[:at], (1,), *x.axes[at:]),
            {(*k[:at], 0, *k[at:]): e for k, e in y.entries.items()}, x.dtype,
        )  # fmt: skip

    def _span(self, axis: Blocks, k: Any) -> range:
        """The blocks that an index or a slice takes; it must begin and end at blocks."""
        whole = range(len(axis))
        if isinstance(axis, Merged):
            if k in (slice(None), slice(0, size_of(axis), 1)):
                return whole
            raise Undecided(f"a slice of an axis that was merged from {list(axis.factors)}")
        if size_of(axis).__class__ is int:
            return whole[k] if isinstance(k, slice) else range(whole[k], whole[k] + 1)
        if not isinstance(k, slice):
            k = slice(k, k + 1)
        if k.step not in (None, 1):
            raise Undecided(f"a slice with step {k.step} of an axis of blocks {axis}")
        ends = []
        for edge in (0 if k.start is None else k.start, size_of(axis) if k.stop is None else k.stop):
            at = next((i for i in range(len(axis) + 1) if size_of(axis[:i]) == edge), None)
            if at is None:
                rest, more = without_common(axis, blocks_of(edge))
                if isinstance(edge, int):
                    told_apart(axis, edge)
                elif {*rest} == {1} and not more:
                    told_apart(axis, len(rest), back=True)
                raise Undecided(f"a slice at {edge} of an axis of blocks {axis}, which is inside a block")
            ends.append(at)
        return range(*ends)

    def index(self, x: Any, key: tuple) -> Any:
        lead = x.ndim - len(key)
        spans = [range(len(b)) for b in x.axes[:lead]]
        spans += [self._span(b, k) for b, k in zip(x.axes[lead:], key, strict=True)]
        axes = tuple(tuple(b[i] for i in s) for b, s in zip(x.axes, spans, strict=True))

        def entry(k: tuple[int, ...]) -> Sum:
            return x.entries[tuple(s[c] for c, s in zip(k, spans, strict=True))]

        part = x.make(axes, entry, x.dtype)
        return self._drop(part, {lead + i for i, k in enumerate(key) if not isinstance(k, slice)})

    def place(self, x: Any, key: tuple, shape: tuple, onto: Any = None) -> Any:
        ints = [i for i, k in enumerate(key) if not isinstance(k, slice)]
        lead = x.ndim - (len(key) - len(ints))
        for i in ints:
            x = self._insert(x, lead + i)
        axes = x.axes[:lead] + tuple(map(blocks_of, shape))
        spans = [range(len(b)) for b in axes[:lead]]
        spans += [self._span(b, k) for b, k in zip(axes[lead:], key, strict=True)]
        entries = {k: Sum() for k in choices(axes)} if onto is None else dict(onto.entries)
        for k, e in x.entries.items():
            at = tuple(s[c] for c, s in zip(k, spans, strict=True))
            entries[at] = entries[at] + e
        return type(x)(axes, entries, x.dtype)

    def _drop(self, x: Any, gone: set[int]) -> Any:
        """Axes of size 1 (counted from the left) taken away."""
        left = [i for i in range(x.ndim) if i not in gone]
        names = {i - x.ndim: j - len(left) for j, i in enumerate(left)}
        y = x.renamed(names)
        return type(x)(
            tuple(x.axes[i] for i in left),
            {tuple(k[i] for i in left): e for k, e in y.entries.items()},
            x.dtype,
        )
