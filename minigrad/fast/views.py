"""Views: parts of an array that are the array's own memory, for one step and for all steps at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class View:
    """One way of looking at an array: how = index | reshape | transpose | broadcast."""

    how: str
    what: tuple

    def of(self, x: Any) -> Any:
        """The view of an array of one step."""
        if self.how == "index":
            return x[self.what]
        if self.how == "broadcast":
            return np.broadcast_to(x, self.what)
        return x.reshape(self.what) if self.how == "reshape" else x.transpose(self.what)

    def of_stack(self, x: Any) -> Any:
        """The same view of every step of a stack, whose first axis is time."""
        if self.how == "index":
            return x[(slice(None), *self.what)]
        if self.how == "broadcast":
            ones = (1,) * (len(self.what) - x.ndim + 1)
            return np.broadcast_to(x.reshape(len(x), *ones, *x.shape[1:]), (len(x), *self.what))
        if self.how == "reshape":
            return x.reshape(len(x), *self.what)
        return x.transpose(0, *(a + 1 for a in self.what))

    def text(self, x: str, stacked: bool = False) -> str:
        """The view as code."""
        if self.how == "index":
            words = [":"] * stacked + [_word(k) for k in self.what]
            return f"{x}[{', '.join(words)}]"
        if self.how == "broadcast":
            return f"np.broadcast_to({x}, {self.what})"
        if self.how == "reshape":
            return f"{x}.reshape({', '.join(map(str, ('T',) * stacked + self.what)) or '()'})"
        order = (0, *(a + 1 for a in self.what)) if stacked else self.what
        return f"{x}.T" if order == (1, 0) else f"{x}.transpose({', '.join(map(str, order))})"


def shares(shape: tuple[int, ...], views: tuple[View, ...], stacked: bool) -> bool:
    """Whether the views of a fresh array of this shape are its own memory, not a copy."""
    sizes = tuple(max(n, 1) for n in shape)
    if sizes != tuple(shape) or any(v.how == "broadcast" for v in views):
        return False
    whole = np.empty((2, *shape) if stacked else shape, np.bool_)
    x = whole
    for v in views:
        x = v.of_stack(x) if stacked else v.of(x)
    return np.may_share_memory(x, whole)


def _word(k: Any) -> str:
    if not isinstance(k, slice):
        return "..." if k is ... else str(k)
    ends = ":".join("" if v is None else str(v) for v in (k.start, k.stop))
    return ends + (f":{k.step}" if k.step not in (None, 1) else "")
