"""The step lemma as data that a stranger can check: the program, and each gradient as a formula.

`minigrad/verify.py` checks it with its own interpreter, its own derivatives and sympy's polynomials, at
sizes that suffice: two sums of products of indexed tensors that agree as polynomials at sizes no smaller
than the number of indices any term has of each dimension are the same sum, so they agree at every size.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..cells.cell import Cell
from ..domains.contractions import Sum
from ..domains.sizes import ATOMS, SIZES, Size, Sized, array, fresh
from ..engine.core import leaf, recording
from ..engine.grad import sweep
from ..engine.program import record
from .anysize import opaque_arguments


def certificate(cell: Cell) -> dict[str, Any]:
    """Statement, program, gradients and sufficient sizes, in plain JSON types.

    Raises Undecided where the cell cannot be run on symbolic sizes.
    """
    with fresh() as domain:
        values = opaque_arguments(cell, frozenset())
        names, k = list(values), len(cell.states) + len(cell.inputs)

        def step(*args: Any) -> tuple:
            new, y = cell.outputs(cell.fn(*args[:k], **dict(zip(names[k:], args[k:], strict=True))))
            return new if any(y is s for s in new) else (*new, y)

        program, _ = record(step, [leaf(v) for v in values.values()], names)
        args = [leaf(v, requires_grad=True) for v in values.values()]
        with recording("grad"):
            outs = program.on_tensors(args)
        deltas = [array(f"delta{i}", *o.value.axes) for i, o in enumerate(outs)]
        found = sweep(outs, [leaf(d) for d in deltas], args, graph=False)
        gradients = {
            n: SIZES.zeros(v.shape, None) if g is None else g.value
            for (n, v), g in zip(values.items(), found, strict=True)
        }
        entries = [e for g in gradients.values() for e in g.entries.values()]
        return {
            "format": "minigrad step lemma 1",
            "statement": f"The vjp of {cell.name} is (P^T delta, J^T delta) for every size and batch.",
            "conditions": sorted(domain.conditions),
            "sizes": _sufficient([*entries, *(u for _, u in ATOMS.definitions.values())], values, deltas),
            "inputs": [_leaf(n, v) for n, v in values.items()],
            "constants": [_sum(SIZES.lift(c).entries[()]) for c in program.consts],
            "nodes": [
                {"op": n.op.name, "args": list(n.args), "params": _plain(n.params)} for n in program.nodes
            ],
            "outputs": list(program.outputs),
            "cotangents": [_leaf(f"delta{i}", d) for i, d in enumerate(deltas)],
            "gradients": {n: _entries(g) for n, g in gradients.items()},
            "atoms": {name: [fn, _sum(u)] for name, (fn, u) in ATOMS.definitions.items()},
        }


def _leaf(name: str, x: Sized) -> dict[str, Any]:
    return {"name": name, "axes": [list(axis) for axis in x.axes], "entries": _entries(x)}


def _sufficient(sums: list[Sum], values: dict[str, Sized], deltas: list[Sized]) -> dict[str, int]:
    """For each dimension, the largest number of indices that any term has of it, and at least 2."""
    ranges: dict[str, list[Any]] = {}  # tensor -> the dimension of each of its indices
    for v in [*values.values(), *deltas]:
        for choice, e in v.entries.items():
            (((((name, _), _),), _),) = e.terms
            ranges[name] = [b for b in (axis[k] for axis, k in zip(v.axes, choice, strict=True)) if b != 1]
    need = {b: 2 for r in ranges.values() for b in r}

    def of(name: str) -> list[Any]:
        if name not in ranges:
            _, u = ATOMS.definitions[name]
            found = {i: d for fs, _ in u.terms for (n, idx), _ in fs if n in ranges or n in ATOMS.definitions
                     for i, d in zip(idx, of(n), strict=True) if i < 0}  # fmt: skip
            ranges[name] = [found[-1 - k] for k in range(len(found))]
        return ranges[name]

    for e in sums:
        for fs, dims in e.terms:
            seen = dict(enumerate(dims))
            for (name, idx), _ in fs:
                if name in ranges or name in ATOMS.definitions:
                    seen |= dict(zip(idx, of(name), strict=True))
            for d in seen.values():
                need[d] = max(need.get(d, 2), list(seen.values()).count(d))
    return dict(sorted(need.items()))


def _entries(x: Sized) -> list[Any]:
    return [[list(k), _sum(e)] for k, e in x.entries.items()]


def _sum(e: Sum) -> list[Any]:
    return [
        [str(Fraction(c)), [[name, list(idx), power] for (name, idx), power in fs], list(dims)]
        for (fs, dims), c in e.terms.items()
    ]


def _plain(x: Any) -> Any:
    if isinstance(x, Size):
        return {"size": list(x.blocks)}
    if isinstance(x, slice):
        return {"slice": [_plain(x.start), _plain(x.stop)]}
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return [_plain(v) for v in x] if isinstance(x, (tuple, list)) else x
