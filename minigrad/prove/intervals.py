"""The functions of the table in interval arithmetic: what every search for a counterexample evaluates with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpmath import iv


def _positive(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(u: Any) -> Any:
        if not u.a > 0:
            raise ValueError("a function of numbers above 0")
        return fn(u)

    return checked


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda u: 1 - 2 / (iv.exp(2 * u) + 1),
    "sigmoid": lambda u: 1 / (1 + iv.exp(-u)),
    "exp": iv.exp,
    "log": _positive(iv.log),
    "sqrt": _positive(iv.sqrt),
    "sin": iv.sin,
    "cos": iv.cos,
}
