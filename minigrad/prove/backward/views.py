"""The methods of an array that lay it out anew: as in numpy, views of its entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...domains.sizes import SIZES, Sized
from . import numpyops as ops
from .numpyops import Unsupported
from .operators import Operators


class Views(Operators):
    """An array with a `value`, of which `_viewed` makes views: (read of the value, (value, new) -> value)."""

    __slots__ = ()
    value: Any

    def _viewed(self, get: Callable[[Sized], Sized], put: Callable[[Sized, Sized], Sized] | None) -> Any:
        raise NotImplementedError

    T = property(lambda self: self.transpose())

    def transpose(self, *axes: Any) -> Any:
        """As numpy's: a view."""
        n = self.value.ndim
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        order = [a % n for a in order] if order and order != (None,) else list(range(n - 1, -1, -1))
        back = [order.index(i) for i in range(n)] if sorted(order) == list(range(n)) else order
        return self._viewed(lambda x: ops.transpose(x, order), lambda _, new: ops.transpose(new, back))

    def swapaxes(self, a: int, b: int) -> Any:
        """As numpy's: a view."""
        order = list(range(self.value.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(*order)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """As numpy's; a view that can be written into only where axes of size 1 come and go."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if order != "C":
            raise Unsupported(f"reshape with order={order!r}")
        old, new = self.value, ops.reshape(self.value, wanted)
        same = [b for b in old.axes if b != (1,)] == [b for b in new.axes if b != (1,)]
        return self._viewed(
            lambda x: ops.reshape(x, new.shape), (lambda x, y: ops.reshape(y, x.shape)) if same else None
        )

    def squeeze(self, axis: Any = None) -> Any:
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

    def broadcast_to(self, shape: Any) -> Any:
        """As np.broadcast_to: a view that cannot be written into."""
        return self._viewed(lambda x: SIZES.broadcast(x, tuple(shape), x.ndim), None)

    def flatten(self, order: str = "C") -> Any:
        """As numpy's: a copy."""
        return self.reshape(-1, order=order).copy()

    def ravel(self, order: str = "C") -> Any:
        """As numpy's: a view."""
        return self.reshape(-1, order=order)
