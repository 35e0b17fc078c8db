"""A scan that stores the states at the borders of segments only, and computes the rest again when asked.

It is a scan over segments whose step is a scan. The rule is the engine's own: what a step computes by a
scan is not stored but computed again (adjoint.py), so nothing is differentiated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

from .primitives import concat, stop_gradient
from .tree import tree_map


@dataclass(frozen=True)
class Segments:
    """The segments of `scan(..., checkpoint=k, truncate=truncate)` over T steps, in running order.

    `count` segments of `k` steps, then `rest` steps. k = True: about the square root of T, with no rest if
    T has such a divisor between half of it and its double.
    Raises ValueError if k is not a number of steps of at least 1, or if neither of k and truncate is a
    multiple of the other: then the cuts would fall differently in each segment.
    """

    T: int
    k: int
    truncate: int | None = None

    def __post_init__(self) -> None:
        k, cut = self.k, self.truncate
        if k is True:
            object.__setattr__(self, "k", _about_the_root(self.T, cut or 1))
        elif not hasattr(k, "__index__") or k is False or k < 1:
            raise ValueError(f"scan: checkpoint={k!r}; pass a number of steps of at least 1, True, or None")
        elif cut is not None and k < self.T and k % cut and cut % k:
            raise ValueError(
                f"scan: checkpoint={k} with truncate={cut}; make one a multiple of the other, or pass "
                "checkpoint=True"
            )

    @property
    def count(self) -> int:
        """How many whole segments there are."""
        return self.T // self.k

    @property
    def rest(self) -> int:
        """How many steps follow the last whole segment."""
        return self.T % self.k


def _about_the_root(T: int, unit: int) -> int:
    """A multiple of the unit near the square root of T; if there is one there, a divisor of T."""
    root = isqrt(T - 1) + 1
    near = unit * max(1, root // unit)
    fits = [k for k in range(unit, 2 * root + 1, unit) if T % k == 0 and 2 * k >= root]
    return min(fits, key=lambda k: abs(k - root), default=near)


def scan_segments(
    scan: Callable, step: Callable, state: Any, xs: Any, params: Any, segments: Segments, **how: Any
) -> tuple[Any, Any]:
    """What scan(step, state, xs, params, **how) gives, run segment by segment. how: reverse and fast.

    The whole segments run first, and the rest is an ordinary scan: it stores less than one segment does.
    """
    n, k, cut, reverse = segments.count, segments.k, segments.truncate, how["reverse"]
    whole = slice(segments.rest, None) if reverse else slice(None, n * k)
    last = slice(None, segments.rest) if reverse else slice(n * k, None)

    def segment(s: Any, x: Any, p: Any) -> tuple[Any, Any]:
        return scan(step, s, x, p, truncate=cut, **how)

    segment.__name__ = getattr(step, "name", getattr(step, "__name__", "step"))
    folded = tree_map(lambda x: x[whole].reshape(n, k, *x.shape[1:]), xs)
    outer = None if cut is None else max(1, cut // k)
    # the loop over segments is short, and its step is not code that the fast runner compiles
    state, ys = scan(segment, state, folded, params, truncate=outer, reverse=reverse, fast=False)
    ys = tree_map(lambda y: y.reshape(n * k, *y.shape[2:]), ys)
    if not segments.rest:
        return state, ys
    if cut is not None and n * k % cut == 0:
        state = tree_map(stop_gradient, state)
    state, more = scan(step, state, tree_map(lambda x: x[last], xs), params, truncate=cut, **how)
    return state, tree_map(lambda a, b: concat(*((b, a) if reverse else (a, b)), axis=-a.ndim), ys, more)
