"""A graph in parts: cut where few values cross, and nodes run again on other values.

The values that cross a cut are opaque in what comes after it, so that what holds there holds for any of
them; by the chain rule, the derivative of the whole is that of its parts, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..domains.sizes import SIZES, array
from ..engine.core import Tensor, leaf, node
from ..engine.grad import reachable

STOPPED = "dL/dw takes what stop_gradient holds as a constant"


def operations(outs: Sequence[Tensor]) -> list[Tensor]:
    """The nodes with a row that the outputs depend on, oldest first."""
    return [t for t in reachable(outs) if t.op is not None]


def _run(t: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """The node again, on other inputs; what a stop_gradient holds stays as it is."""
    assert t.op is not None
    if t.op.name == "stop_gradient":
        return node(t.op, SIZES, t.value, inputs, t.params)
    return t.op(*inputs, **t.params)


def again(nodes: Sequence[Tensor], new: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The nodes by id, run again where something before them was put into `new`."""
    known = dict(new)
    for t in nodes:
        if t.id not in known and any(i.id in known for i in t.inputs):
            known[t.id] = _run(t, tuple(known.get(i.id, i) for i in t.inputs))
    return known


def stopped(outs: list[Tensor]) -> list[Tensor]:
    """The outputs, with an opaque value for whatever a stop_gradient holds; its node stays in the graph."""
    known: dict[int, Tensor] = {}
    for t in operations(outs):
        if t.op is not None and t.op.name == "stop_gradient":
            SIZES.assumed.add(STOPPED)
            value = array(f"stopped{len(known)}", *t.value.axes, dtype=t.value.dtype)
            known[t.id] = node(t.op, SIZES, value, tuple(known.get(i.id, i) for i in t.inputs), t.params)
        else:
            known |= again([t], known)
    return [known.get(o.id, o) for o in outs]


def crossing(nodes: Sequence[Tensor], outs: Sequence[Tensor], at: int) -> list[Tensor]:
    """The values of nodes[:at] that nodes[at:] or the outputs use."""
    used = {i.id for t in nodes[at:] for i in t.inputs} | {o.id for o in outs}
    return [t for t in nodes[:at] if t.id in used]


def cut(nodes: Sequence[Tensor], outs: Sequence[Tensor]) -> int | None:
    """Where to cut near the middle, so that few values cross, and none that is a tuple; None if nowhere."""
    n, places = len(nodes), []
    for at in range(max(1, n // 3), n - n // 3):
        found = crossing(nodes, outs, at)
        if not any(isinstance(t.value, tuple) for t in found):
            places.append((len(found), abs(2 * at - n), at))
    return min(places)[2] if places else None


def opened(
    nodes: Sequence[Tensor], outs: Sequence[Tensor], at: int
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """(the outputs after the cut, the opaque values that cross it, by name)."""
    names = {t.id: f"{t.op}_{t.id - nodes[0].id}" for t in crossing(nodes, outs, at)}
    new = {
        t.id: leaf(array(names[t.id], *t.value.axes, dtype=t.value.dtype), t.requires_grad, names[t.id])
        for t in crossing(nodes, outs, at)
    }
    known = again(nodes[at:], new)
    return [known.get(o.id, o) for o in outs], {t.name or "": t for t in new.values()}
