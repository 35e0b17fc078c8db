"""Wrong rules and wrong sweeps, to be refused by whatever checks a gradient."""

from __future__ import annotations

from contextlib import contextmanager

import minigrad as mg
from minigrad.engine.grad import reachable
from minigrad.engine.primitives import swap

CLASSICS = {
    "tanh": {"1 + y^2": lambda g, y, x: (g * (1 + y * y),), "at x": lambda g, y, x: (g * (1 - x * x),)},
    "sigmoid": {"y(1 + y)": lambda g, y, x: (g * y * (1 + y),), "no y": lambda g, y, x: (g * (1 - y),)},
    "mul": {"exchanged": lambda g, o, x, y: (g * x, g * y)},
    "sub": {"no minus": lambda g, o, x, y: (g, g)},
    "div": {"no square": lambda g, o, x, y: (g / y, -g * x / y)},
    "relu": {"no step": lambda g, y, x: (g,)},
    "matmul": {"not transposed": lambda g, y, a, b: (g @ b, swap(a) @ g)},
    "transpose": {"not undone": lambda g, y, x, axes: (g,)},
}


def wrong_rules(row):
    """Name -> a wrong vjp of the row: what any rule may get wrong, and its own classics."""
    right = row.vjp

    def change(f):
        return lambda g, y, *xs, **params: f(list(right(g, y, *xs, **params)))

    rules = {
        "sign": change(lambda gs: [g if g is None else g * -1 for g in gs]),
        "factor": change(lambda gs: [g if g is None else g * 2 for g in gs]),
        "none": change(lambda gs: [None, *gs[1:]]),
        "last none": change(lambda gs: [*gs[:-1], None]),
    }
    return rules | CLASSICS.get(row.name, {})


@contextmanager
def planted(row, rule):
    right = row.vjp
    object.__setattr__(row, "vjp", rule)
    try:
        yield
    finally:
        object.__setattr__(row, "vjp", right)


def plain_sweep(overwrite):
    """A reverse sweep of a few lines, for graphs without slices, that may overwrite where it should add."""

    def sweep(outputs, cotangents, wrt, graph):
        found = {}

        def give(x, g):
            if g is None or not x.requires_grad:
                return
            lead = tuple(range(-g.ndim, -x.ndim))
            g = mg.sum(g, axis=lead) if lead else g
            found[x.id] = found[x.id] + g if x.id in found and not overwrite else g

        for t, g in zip(outputs, cotangents, strict=True):
            give(t, g)
        for t in reversed(reachable(outputs)):
            if t.op is not None and t.op.vjp is not None and t.id in found:
                for x, g in zip(t.inputs, t.op.vjp(found[t.id], t, *t.inputs, **t.params), strict=True):
                    give(x, g)
        return [found.get(w.id) for w in wrt]

    return sweep
