"""Equal work side by side: gates that are computed alike become columns of one array.

`h U_i, h U_f, ...` is one product with [U_i, U_f, ...]; what follows is done once for all of them, as long
as it is the same. Which values to join is found by trying: a join stays if it makes the program cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence

from .regroup import VIEWS, rank
from .values import CARRIED, FIXED, Graph, Value, ordered, pointwise

INSIDE, OUTSIDE, ONCE = 1.0, 0.1, 0.01  # the cost of a call at each step, on whole stacks, on what is fixed
TERM = 0.0  # an elementwise row in a compiled loop, next to one that is a call: joining them gains nothing
COPY = 2.5  # a copy that nothing else would need, next to a call that computes


def packed(g: Graph, outputs: list[Value], term: float = 1.0) -> list[Value]:
    """The outputs, with equal work joined; term: the cost of an elementwise call next to that of another."""
    best = _cost(g, outputs, term)
    tried: set[tuple[int, ...]] = set()
    again = True
    while again:
        again = False
        for members in _groups(g, outputs):
            key = tuple(v.serial for v in members)
            if key in tried:
                continue
            tried.add(key)
            joined = _joined(g, outputs, members)
            if joined is not None and (cost := _cost(g, joined, term)) < best - 1e-9:
                outputs, best, again = joined, cost, True
                break
    return outputs


def _groups(g: Graph, outputs: list[Value]) -> list[list[Value]]:
    """Values that may be computed together, the last ones first."""
    kept = {o.serial for o in outputs}
    level: dict[int, int] = {}
    classes: dict[tuple, list[Value]] = {}
    for v in ordered(outputs):
        level[v.serial] = 1 + max((level[a.serial] for a in v.args), default=0)
        if len(v.shape) < 2 or not v.when or not (pointwise(v) or v.isa("matmul")):
            continue
        assert v.op is not None
        first = v.args[0].serial if v.isa("matmul") else level[v.serial]
        key = (v.op.name, v.shape[:-1], v.shape[-1] == 1, v.dtype, v.when, v.serial in kept, first)
        classes.setdefault(key, []).append(v)
        fine = tuple((a.when, a.op.name if a.op else "") for a in v.args)
        classes.setdefault((*key, fine), []).append(v)
    found = [vs for vs in classes.values() if len(vs) > 1]
    found.sort(key=lambda vs: (-max(level[v.serial] for v in vs), -len(vs)))
    return [sorted(vs, key=lambda v: rank(v.args[-1] if v.isa("matmul") else v)) for vs in found]


def _joined(g: Graph, outputs: list[Value], members: list[Value]) -> list[Value] | None:
    """The outputs with these values computed as one, or None if they cannot be."""
    ids = {v.serial for v in members}
    if any(ids & {u.serial for a in v.args for u in ordered([a])} for v in members if v.isa("matmul")):
        return None  # one depends on another
    one = _pack(g, members)
    if one is None:
        return None
    at, place = 0, {}
    for v in members:
        place[v.serial] = g.part(one, at, at + v.shape[-1])
        at += v.shape[-1]
    return g.mapped(outputs, lambda v, args: place[v.serial] if v.serial in place else g.again(v, args))


def _pack(g: Graph, vs: Sequence[Value]) -> Value | None:
    """The values side by side, computed by one row of the table."""
    v = vs[0]
    assert v.op is not None
    if v.isa("matmul"):
        b = _side_by_side(g, [u.args[1] for u in vs])
        return None if b is None else g.matmul(v.args[0], b)
    args = []
    for column in zip(*(u.args for u in vs), strict=True):
        a = column[0]
        if all(c is a for c in column) and a.shape[-1:] in ((), (1,)):
            args.append(a)
        elif all(c.shape[-1:] == u.shape[-1:] for c, u in zip(column, vs, strict=True)):
            b = _side_by_side(g, column)
            if b is None:
                return None
            args.append(b)
        else:
            return None
    if len({str(u.params) for u in vs}) > 1:
        return None
    wide = sum(u.shape[-1] for u in vs)
    one = g.raw(v.op, args, v.params, (*v.shape[:-1], wide), v.dtype)
    if one.name is None and all(u.name for u in vs):
        one.name = "_".join(str(u.name) for u in vs)
    return one


def _side_by_side(g: Graph, vs: Sequence[Value]) -> Value | None:
    if any(u.shape[:-1] != vs[0].shape[:-1] for u in vs):
        return None
    return g.joined(vs)


def _cost(g: Graph, outputs: list[Value], term: float) -> float:
    """An estimate of the time, in calls at each step."""
    order = ordered(outputs)
    inside = {v.serial for v in outputs[: g.layout.n_state]}
    for v in reversed(order):
        if v.serial in inside:
            inside.update(a.serial for a in v.args)
    held: set[int] = set()  # what is already written into some concatenation

    def price(v: Value) -> float:
        if v.when == FIXED:
            return ONCE
        return INSIDE if v.when == CARRIED and v.serial in inside else OUTSIDE

    total = sum(
        price(o) for o in outputs[: g.layout.n_state] if o.isa(*VIEWS)
    )  # a state has a place of its own
    for v in order:
        if v.op is None or v.isa(*VIEWS):
            continue
        if v.isa("concat"):
            for a in v.args:
                if a.op is None or a.isa(*VIEWS, "matmul") or a.serial in held:
                    total += COPY * price(v)
                held.add(a.serial)
        else:
            total += price(v) * (2 if v.isa("matmul") else term if v.when and pointwise(v) else 1)
    return total
