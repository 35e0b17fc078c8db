"""A cell at given numbers: whether it runs, and how far the ways to its gradient differ in floating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cells.cell import Cell, as_tuple
from ..engine.core import Tensor, as_tensor, leaf
from .bptt import Loss, Problem
from .step import Sizes, arguments, random_array
from .witness import WAYS

TOLERANCE = 1e-9  # of the largest gradient entry: far above rounding, far below a wrong term


@dataclass(frozen=True)
class Measured:
    """What was measured, in words, and whether the ways agree to TOLERANCE."""

    notes: tuple[str, ...]
    agree: bool


def random_arguments(cell: Cell, sizes: Sizes, grad: Sequence[str] = ()) -> dict[str, Tensor]:
    """A leaf of numbers for each argument; those named in `grad` require a gradient."""
    args = arguments(cell, sizes, random_array)
    for name, x in args.items():
        x.requires_grad = name in grad
    return args


def measured(
    cell: Cell, state: Any, xs: Any, params: Mapping[str, Any] | None, targets: Any, loss: Loss
) -> Measured:
    """How far the ways to the gradient differ at these numbers; nothing if none are given.

    Raises TypeError if only some of them are given, ValueError for NaN or inf, naming argument and entry.
    """
    given = {"state": state, "xs": xs, "params": params, "targets": targets}
    missing = [k for k, v in given.items() if v is None]
    if len(missing) == len(given):
        return Measured((), True)
    if missing:
        raise TypeError(
            f"prove: numbers for {', '.join(k for k in given if k not in missing)} but not for {missing[0]}"
        )
    states = tuple(map(as_tensor, as_tuple(state)))
    inputs = tuple(map(as_tensor, as_tuple(xs)))
    values = {k: as_tensor(v) for k, v in (params or {}).items()}
    goals = (
        list(as_tensor(targets)) if not isinstance(targets, (list, tuple)) else list(map(as_tensor, targets))
    )
    named = (
        dict(zip(cell.states, states, strict=False)) | dict(zip(cell.inputs, inputs, strict=False)) | values
    )
    for name, v in [*named.items(), *((f"target {t}", y) for t, y in enumerate(goals, start=1))]:
        _finite(name, v.numpy())
    cell.dims(states, [x[0] for x in inputs], values)
    p = Problem(
        cell, tuple(leaf(s.numpy(), True) for s in states), inputs,
        {k: leaf(v.numpy(), True) for k, v in values.items()}, loss, goals,
    )  # fmt: skip
    found = {way: run(p) for way, run in WAYS.items()}
    first, *others = found
    scale = max(float(np.abs(v).max()) for v in found[first].values())
    apart = {w: max(float(np.abs(v - found[first][k]).max()) for k, v in found[w].items()) for w in others}
    notes = [
        f"|{first} - {way}| <= {d:.1e} for T = {p.steps}, the largest gradient entry being {scale:.2g}"
        for way, d in apart.items()
    ]
    return Measured(tuple(notes), all(d <= TOLERANCE * max(1.0, scale) for d in apart.values()))


def _finite(name: str, value: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(value)) if value.dtype.kind == "f" else np.empty((0, 0))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"prove: argument {name} holds {value[at]} at {list(at)} ({len(bad)} such entries); "
            "a gradient there means nothing: pass finite numbers"
        )
