"""The reverse sweep: all there is to differentiation besides the rows of the table.

`sweep` visits the nodes once, newest first, and adds up cotangents; it knows no derivative (those
are the rows of the table) and is the one place where broadcasting is undone. It is not recursive.
A rule only builds more graph, so any order of differentiation is this same sweep again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any

from .core import STATE, Tensor, leaf, recording
from .errors import ShapeError
from .primitives import Part, cast, parts_of, sum_


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


def fit(g: Tensor, x: Tensor) -> Tensor:
    """The cotangent g in the shape and dtype of x: summed over the axes along which x was broadcast."""
    if g.ndim > x.ndim:
        g = sum_(g, axis=tuple(range(-g.ndim, -x.ndim)), keepdims=False)
    if g.shape != x.shape:
        ones = tuple(a for a in range(-x.ndim, 0) if x.shape[a] == 1 and g.shape[a] != 1)
        g = sum_(g, axis=ones, keepdims=True)
        if g.shape != x.shape:
            raise ShapeError(f"a cotangent of shape {g.shape} for a value of shape {x.shape}")
    if g.dtype != x.dtype and g.m is x.m:
        g = cast(g, dtype=str(x.dtype))
    return g


class _Flow:
    """What flows back into each node: nodes wait, newest first, until all of it has arrived."""

    __slots__ = ("nodes", "oldest", "parts", "waiting", "whole")

    def __init__(self, oldest: int) -> None:
        self.oldest = oldest  # nothing wanted is older, and an older node depends on nothing wanted
        self.waiting: list[int] = []  # a heap of -id
        self.nodes: dict[int, Tensor] = {}
        self.whole: dict[int, Any] = {}  # id -> cotangent; a list of them for a tuple-valued node
        self.parts: dict[int, list[Part]] = {}

    def give(self, x: Tensor, g: Any) -> None:
        """Add g to what has flowed into x."""
        if g is None or not x.requires_grad or (k := x.id) < self.oldest:
            return
        if k not in self.nodes:
            self.nodes[k] = x
            heappush(self.waiting, -k)
        value = x.value
        if g.__class__ is Part:
            if value.__class__ is tuple:
                parts = self.whole.setdefault(k, [None] * len(value))
                old = parts[g.key]
                parts[g.key] = g.g if old is None else old + g.g
            else:
                self.parts.setdefault(k, []).append(g)
            return
        if g.value.shape != value.shape or g.value.dtype is not value.dtype:
            g = fit(g, x)
        old = self.whole.get(k)
        self.whole[k] = g if old is None else old + g

    def take(self) -> tuple[Tensor, Any]:
        """The newest node that waits, and all that has flowed into it."""
        k = -heappop(self.waiting)
        t = self.nodes[k]
        if k in self.parts:
            self.give(t, parts_of(t, self.parts.pop(k)))
        return t, self.whole.pop(k)


def flows(
    outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], oldest: int = 0
) -> Iterator[tuple[Tensor, Any]]:
    """(node, all that flows back into it) for each node that something flows into, newest first.

    Nodes older than `oldest` are left out.
    """
    flow = _Flow(oldest)
    give, take, waiting = flow.give, flow.take, flow.waiting
    for t, g in zip(outputs, cotangents, strict=True):
        give(t, g)
    while waiting:
        t, g = take()
        yield t, g
        op = t.op
        if op is None or op.vjp is None:
            continue
        xs, params = t.inputs, t.params
        gs = op.vjp(g, t, *xs, **params) if params else op.vjp(g, t, *xs)
        if len(gs) != len(xs):
            raise ShapeError(f"the vjp of {op} gave {len(gs)} cotangents for {len(xs)} inputs")
        for x, gx in zip(xs, gs):  # noqa: B905  as many of the one as of the other
            if gx is not None and x.requires_grad:
                give(x, gx)


def sweep(
    outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], wrt: Sequence[Tensor], graph: bool
) -> list[Tensor | None]:
    """Cotangent of each tensor in `wrt`, given those of the outputs.

    None where nothing flows, and for what does not require a gradient.
    graph: whether the result can itself be differentiated.
    """
    found: dict[int, Any] = dict.fromkeys(w.id for w in wrt)
    with recording(STATE.mode if graph else "off"):
        for t, g in flows(outputs, cotangents, min(found, default=0)):
            if t.id in found:
                found[t.id] = g
    return [found[w.id] for w in wrt]


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
