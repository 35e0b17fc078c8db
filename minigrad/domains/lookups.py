"""Look-ups at symbolic sizes: products with a matrix of ones and zeros, opaque for each array of indices."""

from __future__ import annotations

from typing import Any

from .blocks import Undecided, blocks_of
from .contractions import Sum

RANGE = "index arrays hold whole numbers in range"


class LookUps:
    """A domain's look-ups, that follow from its own products and sums."""

    assumed: set[str]
    sum: Any
    _insert: Any

    def one_hot(self, i: Any, n: Any, dtype: str) -> Any:
        """Rows with a 1 at i: an opaque tensor, one per array of indices."""
        rows = self._insert(i, i.ndim)

        def entry(k: tuple[int, ...]) -> Sum:
            e = rows.entries[(*k[:-1], 0)]
            ((fs, dims),) = e.terms if len(e.terms) == 1 else ((None, ()),)
            if dims or not fs or len(fs) > 1 or e != Sum.factor(*fs[0][0]):
                raise Undecided("a look-up with indices that are computed, and not an input")
            (name, idx), _ = fs[0]
            return Sum.factor(f"onehot({name})", (*idx, -1))

        self.assumed.add(RANGE)
        if blocks_of(n) == (1,):
            return i.make((*i.axes, (1,)), lambda k: Sum.number(1))
        if len(blocks_of(n)) != 1 or isinstance(blocks_of(n)[0], tuple):
            raise Undecided(f"one_hot in an axis of {n} entries, which is not one block")
        return i.make((*i.axes, blocks_of(n)), entry)

    def gather(self, x: Any, indices: Any, ndim: int, at: int) -> Any:
        if len(indices) != 1 or x.ndim != ndim or ndim > 2:
            raise Undecided("a look-up other than of the entries of a vector or the rows of a matrix")
        rows = self.one_hot(indices[0], x.shape[0], "")
        if ndim == 1:
            return self.sum(rows * x, -1)
        return self.sum(self._insert(rows, rows.ndim) * x, -2)

    def scatter(self, x: Any, indices: Any, shape: tuple, at: int) -> Any:
        if len(indices) != 1 or len(shape) > 2:
            raise Undecided("a look-up other than of the entries of a vector or the rows of a matrix")
        rows = self.one_hot(indices[0], shape[0], "")
        if len(shape) == 1:
            y = self._insert(x, x.ndim) * rows
        else:
            y = self._insert(x, x.ndim - 1) * self._insert(rows, rows.ndim)
        return self.sum(y, tuple(range(-y.ndim, -len(shape))))
