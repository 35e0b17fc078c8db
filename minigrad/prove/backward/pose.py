"""What a hand-written backward is asked: a cell run forward, with a cotangent for all that it gives.

The same problem is posed in exact numbers of symbolic size (the proof), of small fixed sizes (where the
function loops over entries), and in floats (numpy itself: layout, cross-check, search for the mistake).
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.blocks import Blocks
from ...domains.sizes import INDICES, NUMBERS, array
from ..anysize import blocks, token_inputs
from .lets import LETS
from .problem import Problem, Reading
from .steps import Make, Step, rebuilt, run_step


def exact(case: Mapping[str, Blocks]) -> Make:
    """Opaque tensors; the sizes in `case` are what it says, the others any."""
    return lambda name, axes, indices=False: array(
        name,
        *(tuple(x for b in axis for x in case.get(b, (b,))) for axis in axes),
        dtype=INDICES if indices else NUMBERS,
    )


def floats(sizes: Mapping[str, int], seed: int = 0) -> Make:
    """Random numbers, of these sizes."""
    rng = np.random.default_rng(seed)

    def make(name: str, axes: tuple[Blocks, ...], indices: bool = False) -> np.ndarray:
        shape = [sum(sizes.get(b, 1) for b in axis) for axis in axes]
        return rng.integers(0, 2, shape) if indices else rng.normal(size=shape)

    return make


def pose(
    cell: Cell, make: Make, T: int | None, reading: Reading, y: tuple[Blocks, ...] | None = None
) -> Problem:
    """One step (T is None) or T of them from an unknown state, all cotangents unknown.

    y: the axes of the output, where they cannot be seen.
    """
    axes = {
        name: ((("b",),) if reading.batch and name not in cell.params else ())
        + tuple(blocks(s, {}) for s in cell.sizes[name])
        for name in cell.states + cell.inputs + cell.params
    }
    axes |= {"": y} if y is not None else {}
    return _one_step(cell, make, axes, reading) if T is None else _sequence(cell, make, axes, reading, T)


def _one_step(cell: Cell, make: Make, axes: dict[str, tuple[Blocks, ...]], reading: Reading) -> Problem:
    tokens = token_inputs(cell)
    values = {name: make(name, a, name in tokens) for name, a in axes.items() if name in cell.sizes}
    step = run_step(cell, values, make, axes)
    offered: dict[str, Any] = {t.name: t.value for t in step.nodes if t.name and t.name not in values}
    problem = Problem(cell, [step], reading, False, offered)
    for n, o, d in zip(problem.out_names, step.outs, step.cotangents, strict=True):
        offered |= {f"{n}_next": o.value, f"{n}_new": o.value, f"d{n}": d, f"d{n}_next": d, f"d{n}_new": d}
    offered |= {f"{s}_prev": values[s] for s in cell.states} | values
    return problem


def _sequence(
    cell: Cell, make: Make, axes: dict[str, tuple[Blocks, ...]], reading: Reading, T: int
) -> Problem:
    params = {p: make(p, axes[p]) for p in cell.params}
    states = [{s: make(f"{s}0", axes[s]) for s in cell.states}]
    tokens = token_inputs(cell)
    xs = [{x: make(f"{x}{t}", axes[x], x in tokens) for x in cell.inputs} for t in range(1, T + 1)]
    steps: list[Step] = []
    for t, x in enumerate(xs, start=1):
        plain = run_step(cell, states[-1] | x | params, make, axes, tag=str(t))
        steps.append(rebuilt(cell, plain, plain.leaves, t))
        states.append({s: o.value for s, o in zip(cell.states, steps[-1].outs, strict=False)})
    problem = Problem(cell, steps, reading, True, dict(params))
    offered = problem.offered
    for column in zip(*(s.nodes for s in steps), strict=True):
        if column[0].name:
            offered[f"{column[0].name}s"] = problem.stacked([t.value for t in column])
    for k, n in enumerate(problem.out_names):
        offered[f"d{n}s"] = problem.stacked([s.cotangents[k] for s in steps])
        offered[f"d{n}T"] = steps[-1].cotangents[k]
        if n == "y":
            offered["ys"] = problem.stacked([s.outs[k].value for s in steps])
    for s in cell.states:
        offered |= {f"{s}s": problem.stacked([v[s] for v in states[1:]]), f"{s}0": states[0][s]}
        offered[f"{s}s_prev"] = problem.stacked([v[s] for v in states[:-1]])
    offered |= {f"{x}s": problem.stacked([v[x] for v in xs]) for x in cell.inputs} | {"T": T}
    offered |= {f"{name}_": v for name, v in offered.items() if keyword.iskeyword(name)}
    problem.names = dict(LETS.known)
    return problem


def sizes_of(cell: Cell, first: int = 5) -> dict[str, int]:
    """A different number for every size of the cell and the batch, so that no two shapes agree by chance."""
    names = sorted({n for axes in cell.sizes.values() for s in axes for n in s if n})
    order = sorted(
        names, key=lambda n: n not in {m for s in cell.states for size in cell.sizes[s] for m in size}
    )
    numbers = [first, 2, 7, 11, 13, 17, 19, 23]
    return {n: numbers[min(k, 7)] + max(0, k - 7) for k, n in enumerate(order)} | {"b": 4}
