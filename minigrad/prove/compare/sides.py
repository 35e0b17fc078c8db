"""A cell run on opaque arrays: its outputs as formulas, and what its code calls the functions in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...cells.cell import Cell
from ...domains.contractions import Names, Sum
from ...domains.sizes import ATOMS, Sized, Undecided, array
from ...engine.core import Tensor, leaf, recording
from ...engine.grad import reachable
from ...engine.watch import Watch
from ..faults import label
from .substitution import slot, tensors
from .weights import parameter_axes, tag_names

MARK = "'"  # in front of the tensors of b's own weights


@dataclass
class Side:
    """One cell run on opaque arrays."""

    cell: Cell
    outs: list[Sized]
    out_names: list[str]
    dims: dict[str, tuple[str, ...]]  # tensor -> the size of each of its indices
    weights: set[str]
    names: Names  # what the code calls each tensor
    place: dict[str, tuple[int, ...]]  # function -> its indices in the array that the code gives it as

    def argument(self, atom: str) -> Sum:
        """What the function is taken of."""
        return ATOMS.definitions[atom][1]

    def name(self, atom: str) -> str:
        """What the code calls a function of something."""
        return self.names.get(atom, (atom.split("#")[0],))[0]

    def is_gate(self, atom: str) -> bool:
        """Whether the function is of a sum in which this cell's weights occur."""
        return atom in ATOMS.definitions and any(t in self.weights for t in tensors(self.argument(atom)))

    def gates(self, e: Sum) -> list[str]:
        """The gates that a sum depends on, each after those that it depends on itself."""
        out: dict[str, None] = {}
        for atom in functions(e):
            if self.is_gate(atom):
                out.setdefault(atom)
        return list(out)


def functions(e: Sum) -> Iterator[str]:
    """The functions in a sum and in their arguments, inner ones first."""
    for t in sorted(set(tensors(e)), key=_age):
        if t in ATOMS.definitions:
            yield from functions(ATOMS.definitions[t][1])
            yield t


def _age(tensor: str) -> tuple[int, str]:
    number = tensor.partition("#")[2]
    return (int(number), "") if number.isdigit() else (-1, tensor)


def opaque_side(cell: Cell, values: Mapping[str, Sized], mark: str = "") -> Side:
    """The cell on these states and inputs, and on opaque weights, with the mark before their names."""
    own = {
        p: values[p] if p in values and not mark else array(mark + p, *parameter_axes(cell, p))
        for p in cell.params
    }
    values = {n: values[n] for n in cell.states + cell.inputs} if not mark else values
    dims: dict[str, tuple[str, ...]] = {}
    for v in {**values, **own}.values():
        for k, e in v.entries.items():
            for fs, _ in e.terms:
                for (name, idx), _ in fs:
                    dims[name] = tuple(v.axes[len(v.axes) + i][k[len(v.axes) + i]] for i in idx)
    outs, nodes = run(cell, values, {p: leaf(v) for p, v in own.items()})
    for node in nodes:
        for e in node.value.entries.values():
            for atom in functions(e):
                if atom not in dims:
                    dims[atom] = _index_dims(atom, dims)
    names, place = _names(cell, nodes)
    names |= {mark + t: name for t, name in tag_names(cell).items()}
    weights = {t for v in own.values() for e in v.entries.values() for t in tensors(e)}
    out_names = [*cell.states, "y"][: len(outs)]
    return Side(cell, [o.value for o in outs], out_names, dims, weights, names, place)


def run(
    cell: Cell, values: Mapping[str, Sized], params: Mapping[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """(new states and output, operations) of one step, the states and inputs being taken in their order."""
    args = [leaf(v, name=n) for n, v in zip(cell.states + cell.inputs, values.values(), strict=True)]
    with recording("all"), Watch():
        new, y = cell.outputs(cell.fn(*args, **params))
    outs = [*new, *([y] if all(y is not s for s in new) else [])]
    for n, o in zip(cell.states, outs, strict=False):
        o.name = o.name or n
    return outs, [t for t in reachable(outs) if t.op is not None and isinstance(t.value, Sized)]


def _index_dims(atom: str, dims: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The size of each index of a function, from what it is of."""
    u = ATOMS.definitions[atom][1]
    found: dict[int, str] = {}
    for fs, _ in u.terms:
        for (name, idx), _ in fs:
            if name not in dims and idx:
                raise Undecided(
                    f"{name}, which is not a function of the cell's arguments that can be compared"
                )
            found |= {i: d for i, d in zip(idx, dims.get(name, ()), strict=False) if i < 0}
    return tuple(found[slot(k)] for k in range(len(found)))


def _names(cell: Cell, nodes: Sequence[Tensor]) -> tuple[Names, dict[str, tuple[int, ...]]]:
    """What the code calls each function, and the axes that its indices stand for there."""
    names: Names = {}
    place: dict[str, tuple[int, ...]] = {}
    for node in nodes:
        for e in node.value.entries.values():
            for fs, _ in e.terms:
                for (t, idx), _ in fs:
                    if t not in ATOMS.definitions or len(set(idx)) < len(idx) or any(i >= 0 for i in idx):
                        continue
                    order = tuple(idx.index(i) for i in sorted(idx))
                    place.setdefault(t, idx)
                    if t not in names and all(rest in ((), (((t, idx), 1),)) for rest, _ in e.terms):
                        names[t] = label(node, 1), order  # the node is this function, but for numbers
    return names, place
