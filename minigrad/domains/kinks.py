"""Functions with kinks, made of sign and equality: for domains in which sign is opaque.

What holds for every value of sign holds for the real one, so nothing here decides where an argument lies.
"""

from __future__ import annotations

from typing import Any


class Kinks:
    """A domain's functions that follow from its own sign, equal, sum and is_max."""

    sign: Any
    equal: Any
    sum: Any
    is_max: Any

    def abs(self, x: Any) -> Any:
        return x * self.sign(x)

    def maximum(self, x: Any, y: Any) -> Any:
        d = x - y
        return (x + y + d * self.sign(d)) / 2

    def greater(self, x: Any, y: Any) -> Any:
        return (self.sign(x - y) + 1 - self.equal(x, y)) / 2

    def greater_equal(self, x: Any, y: Any) -> Any:
        return (self.sign(x - y) + 1 + self.equal(x, y)) / 2

    def where(self, c: Any, x: Any, y: Any) -> Any:
        return c * x + (1 - c) * y

    def max(self, x: Any, axis: Any, keepdims: bool) -> Any:
        return self.sum(x * self.is_max(x, axis), axis, keepdims)

    def cast(self, x: Any, dtype: str) -> Any:
        return x

    def asarray(self, x: Any) -> Any:
        return tuple(map(self.asarray, x)) if isinstance(x, tuple) else x
