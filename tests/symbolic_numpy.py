"""Whether numpy code gives the same on symbolic arrays as on numbers, at several sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from at_sizes import AtSizes

from minigrad.domains.blocks import Size
from minigrad.domains.sizes import Sized, array, fresh
from minigrad.prove.backward.numpylike import Symbolic, raw
from minigrad.prove.backward.rebind import rebound

B, N, D, ND, N4, ONE, THREE = ("b",), ("n",), ("d",), ("n", "d"), ("n",) * 4, (1,), (1, 1, 1)
SIZES_TRIED = (
    {"b": 2, "n": 3, "d": 4},
    {"b": 1, "n": 3, "d": 2},
    {"b": 3, "n": 1, "d": 1},
    {"b": 2, "n": 2, "d": 2},
)


def opaque(name: str, *axes: tuple) -> Symbolic:
    """An array of unknown entries."""
    return Symbolic(array(name, *axes))


def agree(fn: Callable[..., Any], *axes: tuple, positive: bool = False) -> None:
    """fn gives the same on symbolic arrays of these axes as on numbers, at several sizes."""
    for k, sizes in enumerate(SIZES_TRIED):
        with fresh():
            point = AtSizes(sizes, seed=k)
            drawn = [point.draw(f"x{i}", *a, positive=positive) for i, a in enumerate(axes)]
            got = rebound(fn)(*(Symbolic(x) for x, _ in drawn))
            expected = fn(*(v.copy() for _, v in drawn))
            compare(point, got, expected)


def compare(point: AtSizes, got: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            compare(point, g, e)
        return
    if isinstance(got, Size):
        assert point.number(got) == expected
        return
    value = raw(got)
    assert isinstance(value, Sized)
    np.testing.assert_allclose(point.value(value), np.asarray(expected, dtype=float), rtol=1e-9, atol=1e-12)
