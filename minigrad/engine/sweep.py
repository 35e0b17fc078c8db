"""The reverse sweep: all there is to differentiation besides the rows of the table.

`sweep` visits the nodes once, newest first, and adds up cotangents; it knows no derivative (those
are the rows of the table) and is the one place where broadcasting is undone. It is not recursive.
A rule only builds more graph, so any order of differentiation is this same sweep again. Where no graph
is kept, the same rules run on arrays, and no nodes are made: 0.6 of the time (2026-11-21).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from .core import DOMAINS, STATE, TABLE, Primitive, Tensor, leaf, recording
from .errors import ShapeError
from .primitives import CONTRACT, Part, cast, parts_of, sum_

Rule = Callable[..., Sequence[Any]]


def reachable(outputs: Sequence[Tensor], since: int = 0) -> list[Tensor]:
    """Every node the outputs depend on, oldest first; those older than `since` are not looked into."""
    seen: dict[int, Tensor] = {}
    todo = list(outputs)
    while todo:
        t = todo.pop()
        if t.id not in seen:
            seen[t.id] = t
            if t.id > since:
                todo.extend(t.inputs)
    return [seen[i] for i in sorted(seen)]


def fit(g: Any, x: Any) -> Any:
    """The cotangent g in the shape and dtype of x: summed over the axes along which x was broadcast."""
    if g.__class__ is np.ndarray and g.size == x.size and g.shape[g.ndim - x.ndim :] == x.shape:
        g = g.reshape(x.shape)  # the axes before have size 1: there is nothing to sum
    if g.ndim > x.ndim:
        g = sum_(g, axis=tuple(range(-g.ndim, -x.ndim)), keepdims=False)
    if g.shape != x.shape:
        ones = tuple(a for a in range(-x.ndim, 0) if x.shape[a] == 1 and g.shape[a] != 1)
        g = sum_(g, axis=ones, keepdims=True)
        if g.shape != x.shape:
            raise ShapeError(f"a cotangent of shape {g.shape} for a value of shape {x.shape}")
    if g.dtype != x.dtype and (g.__class__ is not Tensor or g.m is x.m):
        g = cast(g, dtype=str(x.dtype))
    return g


class _Flow:
    """What flows back into each node: nodes wait, newest first, until all of it has arrived.

    oldest: nothing wanted has a smaller id, and an older node depends on nothing wanted.
    bare: cotangents are arrays, and not Tensors.
    """

    __slots__ = ("bare", "nodes", "oldest", "parts", "summed", "waiting", "whole")

    def __init__(self, oldest: int, bare: bool) -> None:
        self.oldest, self.bare = oldest, bare
        self.waiting: list[int] = []  # a heap of -id
        self.nodes: dict[int, Tensor] = {}
        self.whole: dict[int, Any] = {}  # id -> cotangent; a list of them for a tuple-valued node
        self.summed: set[int] = set()  # where it is a sum that was made here, and that nobody else holds
        self.parts: dict[int, list[Part]] = {}

    def give(self, xs: Sequence[Tensor], gs: Sequence[Any]) -> None:
        """Add each g to what has flowed into its x."""
        nodes, whole, summed = self.nodes, self.whole, self.summed
        for x, g in zip(xs, gs):  # noqa: B905  as many of the one as of the other
            if g is None or not x.requires_grad or (k := x.id) < self.oldest:
                continue
            if k not in nodes:
                nodes[k] = x
                heappush(self.waiting, -k)
            if g.__class__ is Part:
                self._give_part(x, g)
                continue
            if g.__class__ is Tensor and self.bare:  # from a rule that calls minigrad's functions
                g = g.value
            value = x.value
            if g.shape != value.shape or g.dtype is not value.dtype:
                g = fit(g, value if self.bare else x)
            old = whole.get(k)
            if old is None:
                whole[k] = g
            elif k in summed:
                whole[k] += g  # an array: in place
            else:
                whole[k] = old + g
                summed.add(k)

    def _give_part(self, x: Tensor, part: Part) -> None:
        if x.value.__class__ is not tuple:
            self.parts.setdefault(x.id, []).append(part)
            return
        parts = self.whole.setdefault(x.id, [None] * len(x.value))
        old = parts[part.key]
        parts[part.key] = part.g if old is None else old + part.g

    def take(self) -> tuple[Tensor, Any]:
        """The newest node that waits, and all that has flowed into it."""
        k = -heappop(self.waiting)
        t = self.nodes[k]
        if k in self.parts:
            self.give((t,), (parts_of(t.value if self.bare else t, self.parts.pop(k)),))
        return t, self.whole.pop(k)


def collect(
    outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], wanted: Container[int] | None, graph: bool,
    oldest: int = 0,
) -> list[tuple[Tensor, Any]]:  # fmt: skip
    """(node, all that flows back into it) for the nodes with the wanted ids, newest first; None: all leaves.

    graph: whether the result can itself be differentiated. If it need not, rules run on arrays, not on nodes.
    oldest: the smallest wanted id, if it is known.
    """
    plain = DOMAINS["f"]
    bare = not graph and all([t is None or t.m is plain for t in (*outputs, *cotangents)])
    flow, pull_back, found = _Flow(oldest, bare), _on_arrays if bare else _on_nodes, []
    give, take, waiting = flow.give, flow.take, flow.waiting
    with recording(STATE.mode if graph else "off"):
        given = [g.value if bare and g is not None else g for _, g in zip(outputs, cotangents, strict=True)]
        give(outputs, given)
        while waiting:
            t, g = take()
            op = t.op
            if op is None if wanted is None else t.id in wanted:
                found.append((t, _node(g) if bare else g))
            if op is None or op.vjp is None:
                continue
            xs, gs = t.inputs, pull_back(t, op, op.vjp, g)
            if len(gs) != len(xs):
                raise ShapeError(f"the vjp of {op} gave {len(gs)} cotangents for {len(xs)} inputs")
            give(xs, gs)
    return found


def _on_nodes(t: Tensor, op: Primitive, rule: Rule, g: Any) -> Sequence[Any]:
    """What g gives to the inputs of t by its rule, which builds more graph where one is kept."""
    return rule(g, t, *t.inputs, **t.params)


def _on_arrays(t: Tensor, op: Primitive, rule: Rule, g: Any) -> Sequence[Any]:
    """The same on arrays: a rule of the table is a formula in operators and rows, and both take arrays too.

    On Tensors where a rule looks at more than values: at a tuple, at which input is data, at its node.
    """
    xs = t.inputs
    if g.__class__ is list or op is not TABLE.get(op.name) or (op.kind == CONTRACT and _data_among(xs)):
        return [_array(gx) for gx in rule(_node(g), t, *xs, **t.params)]
    if len(xs) == 1:  # written out: the last line takes 0.1 us more, at every node (2026-11-21)
        return rule(g, t.value, xs[0].value, **t.params)
    if len(xs) == 2:
        return rule(g, t.value, xs[0].value, xs[1].value, **t.params)
    return rule(g, t.value, *[x.value for x in xs], **t.params)


def _data_among(xs: Sequence[Tensor]) -> bool:
    return not all([x.requires_grad for x in xs])


def _node(g: Any) -> Any:
    """Arrays as Tensors."""
    if g.__class__ is list:
        return [_node(c) for c in g]
    return g if g is None else leaf(np.asarray(g))


def _array(g: Any) -> Any:
    """Tensors as arrays."""
    if g.__class__ is Part:
        return Part(g.key, _array(g.g))
    return g.value if g.__class__ is Tensor else g


def sweep(
    outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], wrt: Sequence[Tensor], graph: bool
) -> list[Tensor | None]:
    """Cotangent of each tensor in `wrt`, given those of the outputs.

    None where nothing flows, and for what does not require a gradient.
    graph: whether the result can itself be differentiated.
    """
    ids = {w.id for w in wrt}
    found = {t.id: g for t, g in collect(outputs, cotangents, ids, graph, min(ids, default=0))}
    return [found.get(w.id) for w in wrt]


def pull(t: Tensor, g: Tensor) -> list[Any]:
    """What a cotangent g of the node t gives to each of its inputs (None: nothing), by its row's rule.

    In each input's shape; of a tuple-valued input it is a Part.
    """
    if t.op is None or t.op.vjp is None:
        return [None] * len(t.inputs)

    def whole(x: Tensor, gx: Any) -> Any:
        if gx is None or isinstance(x.value, tuple):
            return gx
        return fit(parts_of(x, [gx]) if isinstance(gx, Part) else gx, x)

    return [whole(x, gx) for x, gx in zip(t.inputs, t.op.vjp(g, t, *t.inputs, **t.params), strict=True)]


def zeros_like(x: Tensor) -> Tensor:
    """Zeros in the shape, dtype and number domain of x."""
    return leaf(x.m.zeros(x.shape, x.value))


def ones_like(x: Tensor) -> Tensor:
    """Ones in the shape, dtype and number domain of x."""
    with recording("off"):
        return zeros_like(x) + 1
