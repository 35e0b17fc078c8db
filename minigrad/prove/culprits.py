"""Which operations of a step leave the lemma for every size undecided, and on which line they stand."""

from __future__ import annotations

import linecache
from collections.abc import Mapping

from ..cells.cell import Cell
from ..domains.sizes import Blocks, Sized, array, fresh
from ..engine.core import Tensor, leaf, recording
from ..engine.grad import reachable
from ..engine.watch import Watch
from .anysize import lemma, opaque_arguments, step_outputs, token_inputs
from .step import size_names


def culprits(cell: Cell) -> tuple[str, ...]:
    """The operations whose vjp fails in the step, or is not proved by itself: name, file, line and code.

    At sizes in general, else where one size is 1. None may be found: then they are decided one by one, and
    not together.
    """
    cases: list[dict[str, Blocks]] = [{}, *({n: (1,)} for n in ["b", *size_names(cell)])]
    for case in cases:
        if found := [t for t in _operations(cell, case) if not (_runs(t) and _proved(t, case))]:
            return tuple(dict.fromkeys(map(_place, found)))
    return ()


def _operations(cell: Cell, case: Mapping[str, Blocks]) -> list[Tensor]:
    """The nodes of the step that an operation made, each knowing its line; none if the step does not run."""
    try:
        with fresh(), recording("all"), Watch(1):
            values = opaque_arguments(cell, case, tokens=token_inputs(cell))
            outs = step_outputs(cell, {k: leaf(v, name=k) for k, v in values.items()})
    except Exception:
        return []
    nodes = reachable(outs)
    return [t for t in nodes if t.op is not None and t.op.vjp is not None and isinstance(t.value, Sized)]


def _runs(t: Tensor) -> bool:
    """Whether the vjp of a node can be computed where it stands."""
    try:
        with recording("off"):
            t.op.vjp(leaf(array("g", *t.value.axes)), t, *t.inputs, **t.params)
    except Exception:
        return False
    return True


def _proved(t: Tensor, case: Mapping[str, Blocks]) -> bool:
    """Whether the vjp of a node is proved, for any values of its inputs."""
    shapes = {f"x{k}": x.value for k, x in enumerate(t.inputs)}
    if not all(isinstance(v, Sized) for v in shapes.values()):
        return True
    try:
        with fresh():
            values = {k: array(k, *v.axes, dtype=v.dtype) for k, v in shapes.items()}
            found = lemma(lambda args: [t.op(*args.values(), **t.params)], values, case)
    except Exception:  # its inputs are not any values: nothing is said of it alone
        return True
    return found.verdict == "proved"


def _place(t: Tensor) -> str:
    """An operation and its line."""
    if t.note is None or t.note.file is None:
        return t.op.name
    code = linecache.getline(t.note.file, t.note.line or 0).strip()
    return f"{t.op.name} (in {t.note.file}:{t.note.line}: {code})"
