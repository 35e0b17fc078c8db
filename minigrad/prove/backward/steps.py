"""One step of a cell as a graph: run on values of any kind, and run again on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...cells.cell import Cell
from ...domains.blocks import Blocks
from ...domains.sizes import Sized
from ...engine.core import Tensor, domain_of, leaf, node, recording
from ...engine.grad import reachable, sweep
from ...engine.watch import Watch
from .lets import LETS

Make = Callable[..., Any]  # (name, axes, indices=False) -> an array of unknown values, or of unknown indices


@dataclass
class Step:
    """One step of the cell: its leaves, what it gives, and what flows back into that."""

    leaves: dict[str, Tensor]
    outs: list[Tensor]
    cotangents: list[Any]
    nodes: list[Tensor] = field(init=False)  # its operations, in the order of the code

    def __post_init__(self) -> None:
        self.nodes = [t for t in reachable(self.outs) if t.op is not None]

    def vjp(self, cotangents: Sequence[Any]) -> dict[str, Any]:
        """The engine's gradient of every argument of this step."""
        found = sweep(self.outs, [leaf(c) for c in cotangents], list(self.leaves.values()), graph=False)
        return {
            k: zeros(x.value) if g is None else g.value
            for (k, x), g in zip(self.leaves.items(), found, strict=True)
        }


def zeros(x: Any) -> Any:
    """Zeros in the shape and numbers of a raw array."""
    return domain_of(x).zeros(x.shape, x)


def run_step(
    cell: Cell, values: dict[str, Any], make: Make, axes: dict[str, tuple[Blocks, ...]], tag: str = ""
) -> Step:
    """The cell on these values; the cotangents of what it gives are unknown arrays d<name><tag>."""
    args = {k: leaf(v, requires_grad=v.dtype.kind != "i", name=k) for k, v in values.items()}
    with recording("all"), Watch():
        result = cell.fn(*(args[k] for k in cell.states + cell.inputs), **{k: args[k] for k in cell.params})
    new, y = cell.outputs(result)
    outs, names = list(new), list(cell.states)
    if all(y is not s for s in new):
        outs, names = [*outs, y], [*names, "y"]
    for n, o in zip(names, outs, strict=True):
        o.name = o.name or n
    cotangents = []
    for n, o in zip(names, outs, strict=True):
        own = (
            o.value.axes
            if isinstance(o.value, Sized)
            else axes.get("" if n == "y" else n, tuple((1,) * k for k in o.shape))
        )
        cotangents.append(make(f"d{n}{tag}", own))
    return Step(args, outs, cotangents)


Edit = Callable[
    [Tensor, tuple[Tensor, ...], Callable[[Any], Tensor]], Tensor
]  # (node, inputs, others) -> in its place


def rebuilt(
    cell: Cell,
    step: Step,
    leaves: dict[str, Tensor],
    t: int | None = None,
    at: int = -1,
    edit: Edit | None = None,
) -> Step:
    """The same operations on other leaves. t: the step whose exact states get names of their own (see lets.py).

    edit: gives the value that node `at` has instead of its own, from any leaf or node before it; its rule stays.
    """
    states = {o.id: f"{s}_{t}" for s, o in zip(cell.states, step.outs, strict=False)} if t is not None else {}
    new = {x.id: leaves[n] for n, x in step.leaves.items()}
    with recording("all"):
        for old in reachable(step.outs):
            if old.op is None:
                new.setdefault(old.id, old)
                continue
            inputs = tuple(new[x.id] for x in old.inputs)
            if edit is not None and old is step.nodes[at]:
                value = edit(old, inputs, lambda x: leaves[x] if x in leaves else new[step.nodes[x].id]).value
            else:
                value = old.op.value(old.m, *(x.value for x in inputs), **old.params)
            if old.id in states and isinstance(value, Sized):
                value = LETS.bind(states[old.id], value)
            new[old.id] = copy = node(old.op, old.m, value, inputs, old.params)
            copy.name, copy.note = old.name, old.note
    return Step(leaves, [new[o.id] for o in step.outs], step.cotangents)
