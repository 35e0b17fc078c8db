"""fast = plain = unrolled, as a law over any cell: what a run gives, and every derivative of it.

A way to run a cell is a function of its arguments that hold floats: {name: tensor} -> [results].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.cells import Cell
from minigrad.engine.core import leaf
from minigrad.prove.step import whole_inputs

SIZES = {"n": 3, "m": 4, "d": 2, "q": 5, "p": 2, "k": 6}
Values = dict[str, mg.Tensor]
Way = Callable[[Values], list[mg.Tensor]]


def arguments(c: Cell, T: int = 3, dtype: str = "float64", lead: tuple = (2,), seed: int = 0) -> Values:
    """Random numbers for every argument; whole ones that any table can be indexed by where those are meant."""
    rng, whole = np.random.default_rng(seed), whole_inputs(c)
    out = {}
    for name in c.states + c.inputs + c.params:
        front = () if name in c.params else (T,) * (name in c.inputs) + lead
        shape = front + c.shape(name, SIZES)
        values = rng.integers(2, size=shape) if name in whole else rng.uniform(-0.9, 0.9, shape)
        out[name] = leaf(values if name in whole else values.astype(dtype), name=name)
    return out


def by_scan(c: Cell, values: Values, **how: Any) -> Way:
    """The results of scan: final states, stacked outputs."""

    def run(floats: Values) -> list[mg.Tensor]:
        v = values | floats
        state, xs = (tuple(v[k] for k in names) for names in (c.states, c.inputs))
        final, ys = mg.scan(c, state, xs, {k: v[k] for k in c.params}, **how)
        return [*final, ys]

    return run


def by_hand(c: Cell, values: Values) -> Way:
    """The same by a loop over the cell's own code."""

    def run(floats: Values) -> list[mg.Tensor]:
        v, ys = values | floats, []
        states, params = [v[k] for k in c.states], {k: v[k] for k in c.params}
        for t in range(len(v[c.inputs[0]].value)):
            states, y = c.advance(states, [v[k][t] for k in c.inputs], params)
            ys.append(y)
        return [*states, mg.stack(ys)]

    return run


def floats(values: Values) -> Values:
    """The arguments that have a derivative."""
    return {k: v for k, v in values.items() if v.dtype.kind == "f"}


def drawn(like: Any, seed: int) -> Any:
    """Random weights of the same shapes and dtypes."""
    rng = np.random.default_rng(seed)
    return [leaf(rng.uniform(-1, 1, v.shape).astype(v.dtype)) for v in like]


def weighed(results: list[mg.Tensor]) -> mg.Tensor:
    """A number to which each entry contributes with a weight of its own."""
    parts = [(r * w).sum() for r, w in zip(results, drawn(results, 7), strict=True)]
    return sum(parts[1:], parts[0])


def first_order(way: Way, values: Values) -> dict[str, np.ndarray]:
    """The results, and the gradient of each argument."""
    args = floats(values)
    found = {f"result {k}": r.numpy() for k, r in enumerate(way(args))}
    grads = mg.grad(lambda v: weighed(way(v)))(args)
    return found | {f"d {k}": g.numpy() for k, g in grads.items()}


def second_order(way: Way, values: Values) -> dict[str, np.ndarray]:
    """The derivative along a direction (forward mode), and the Hessian times it."""
    args = floats(values)
    along = dict(zip(args, drawn(args.values(), 8), strict=True))
    _, moved = mg.jvp(way, (args,), (along,))
    curved = mg.hvp(lambda v: weighed(way(v)), args, along)
    found = {f"jvp {k}": t.numpy() for k, t in enumerate(moved)}
    return found | {f"hvp {k}": t.numpy() for k, t in curved.items()}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float = 1e-10) -> None:
    """Equal shapes and dtypes, and numbers to rounding of the largest."""
    assert found.keys() == expected.keys()
    for k, b in expected.items():
        assert (found[k].shape, found[k].dtype) == (b.shape, b.dtype), k
        top = tolerance * max(1, np.abs(b[np.isfinite(b)]).max(initial=0))
        np.testing.assert_allclose(found[k], b, rtol=tolerance, atol=top, err_msg=k)


def as_good(found: dict, plain: dict, exact: dict) -> None:
    """In single precision: no further from the result in double precision than the plain runner is, give or
    take its own rounding (a factor of 4 on its largest error, and 8 units in the last place)."""
    for k, true in exact.items():
        assert found[k].dtype == plain[k].dtype == np.float32
        assert (np.isfinite(found[k]) == np.isfinite(plain[k])).all(), k
        if not np.isfinite(plain[k]).all():
            continue
        scale = max(1.0, np.abs(true).max(initial=0)) * np.finfo("float32").eps
        gone, allowed = (np.abs(v[k] - true).max(initial=0) for v in (found, plain))
        assert gone <= 4 * allowed + 8 * scale, k
