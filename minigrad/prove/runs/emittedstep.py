"""The emitted backward, fed with what the emitted forward stored, is the derivative of the cell, for every size.

The texts are run for one step on arrays of symbolic size, at any state, input, parameters and cotangents. What
they are compared with is the cell's own code and the derivative of <delta, new states> + <g, output>, taken term
by term (derivative.py): nothing of the engine's rules, recordings or scans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.contractions import Sum
from ...domains.sizes import ATOMS, Sized, Undecided
from ...engine.core import leaf, recording
from ...fast import Scanned
from ..derivative import gradient, inner
from .textrun import arguments, at_time, over_time, run_text

ONE_STEP = (1,)


def emitted_step(
    cell: Cell, reading: Any, forward: Scanned, backward: Scanned, edit: Callable[[str], str]
) -> tuple[int, list[str]]:
    """(how many identities, what is not shown to be one). Raises Undecided where it cannot say."""
    assert forward.compiled is not None
    assert backward.compiled is not None
    layout, names = forward.layout, [*cell.states, *cell.inputs, *cell.params]
    s, moving = layout.n_state, layout.n_state + layout.n_seq
    if len(forward.program.inputs) != len(names):
        raise Undecided("the scan has other arguments than the cell")
    stacks = arguments(reading.program(forward.program), layout, ONE_STEP)
    found = run_text(forward.compiled, reading, stacks, edit)
    one = {k: at_time(v) if i < moving else v for i, (k, v) in enumerate(zip(names, stacks, strict=True))}
    new, y = _cell(cell, one)
    compared, wrong = 0, []

    def compare(what: str, a: Sized, entries: Sequence[tuple[tuple[int, ...], Sum]]) -> None:
        nonlocal compared
        compared += len(entries)
        if any(a.entries[k] != e and not ATOMS.is_zero(a.entries[k] - e) for k, e in entries):
            wrong.append(what)

    for k, (a, b) in enumerate(zip([*found[:s], found[s]], [*new, y], strict=True)):
        compare(f"the new {cell.states[k]}" if k < s else "the output", a, list(b.entries.items()))
    given, cotangents = _backward_arguments(reading, forward, backward, stacks, found)
    if len(cotangents) != s + 1:
        raise Undecided(f"{len(cotangents)} cotangents for {s} states and one output")
    got = run_text(backward.compiled, reading, given, edit)
    phi = sum((inner(at_time(d), v) for d, v in zip(cotangents, [*new, y], strict=True)), Sum())
    wanted = [n for n, x in zip(names, forward.program.inputs, strict=True) if np.dtype(x.dtype).kind == "f"]
    for n, a in zip(wanted, got, strict=True):
        compare(f"d {n}", a, list(gradient(phi, one[n])))
    return compared, wrong


def _cell(cell: Cell, values: dict[str, Sized]) -> tuple[list[Sized], Sized]:
    """(new states, output) of the cell's own code."""
    with recording("off"):
        args = {k: leaf(v) for k, v in values.items()}
        states, xs = ([args[k] for k in names] for names in (cell.states, cell.inputs))
        new, y = cell.advance(states, xs, {k: args[k] for k in cell.params})
    return [t.value for t in new], y.value


def _backward_arguments(
    reading: Any, forward: Scanned, backward: Scanned, stacks: Sequence[Sized], found: Sequence[Sized]
) -> tuple[list[Sized], list[Sized]]:
    """(the arguments of the backward scan, those of them that are cotangents).

    What the forward scan read and stored is known by the arrays of the run: they are the very same.
    """
    read = {id(a): x for a, x in zip(forward.arrays, stacks, strict=True)}
    for a, x in zip(forward.results, found, strict=True):
        read.setdefault(id(a), over_time(x, ONE_STEP))
    own = arguments(reading.program(backward.program), backward.layout, ONE_STEP, "delta")
    given = [read.get(id(a), x) for a, x in zip(backward.arrays, own, strict=True)]
    return given, [x for a, x in zip(backward.arrays, own, strict=True) if id(a) not in read]
