"""Derivatives carried forward: `jvp`. A scan carries its tangents along with its states, and stores nothing.

No rule is written here: a row's vjp is linear in its cotangent, so its own vjp maps the tangents of the row's
inputs to that of its output. A scan's rule is the scan of its step's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np

from .bptt import Layout, first_step, keep_sequence, run_scan, scan_row
from .core import STATE, Tensor, as_tensor, leaf, recording
from .grad import directions, final, run_on_fresh
from .primitives import pick, where
from .program import Program, record
from .sweep import pull, reachable, sweep, zeros_like
from .tree import leaves, rebuild, tree_map


def jvp(fn: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(fn(*primals), its directional derivative along the tangents), in one pass forward.

    What a scan inside fn needs besides its arguments and results does not grow with its number of steps.
    Raises ShapeError if the tangents do not have the primals' form and shapes.
    """
    vs = directions(tuple(primals), tuple(tangents), "jvp")
    y, nodes, outer = run_on_fresh(fn, tuple(primals), "jvp", "all")
    outs = leaves(y)
    with recording(STATE.mode if outer else "off"):
        found = pushed(outs, nodes, vs)
    along = [zeros_like(o) if v is None else v for o, v in zip(outs, found, strict=True)]
    return tree_map(lambda t: final(t, outer), y), rebuild(y, along)


def pushed(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> list[Tensor | None]:
    """The tangent of each output, given those of the inputs; None where it does not depend on them."""
    found: dict[int, Any] = {x.id: v for x, v in zip(inputs, tangents, strict=True)}
    for t in reachable(outputs, min(found, default=0) - 1):
        if t.id not in found and t.op is not None:
            vs = [found.get(x.id) for x in t.inputs]
            if any(v is not None for v in vs):
                found[t.id] = _along(t, vs)
    return [found.get(o.id) for o in outputs]


def _along(t: Tensor, vs: list[Any]) -> Any:
    """The tangent of a node, given those of its inputs; of a tuple of values, a list of them."""
    if t.op is scan_row:
        return _along_scan(t, vs, **t.params)
    if t.op is pick:
        return vs[0][t.params["i"]]
    many = isinstance(t.value, tuple)
    with recording("all" if STATE.mode == "all" else "grad"):
        us = [leaf(t.m.zeros(y.shape, y), requires_grad=True) for y in (t.value if many else (t.value,))]
        gs: Any = us if many else us[0]
        pairs = [(g, v) for g, v in zip(pull(t, gs), vs, strict=True) if g is not None and v is not None]
    found = sweep([g for g, _ in pairs], [v for _, v in pairs], us, graph=True)
    return found if many else found[0]


_steps: dict[Any, tuple[Program, Program]] = {}


def _along_scan(t: Tensor, vs: list[Any], program: Program, layout: Layout) -> list[Any]:
    """The tangents of a scan's final states, stacks and sums: the scan of its step and of the step's tangents."""
    xs, s, q = t.inputs, layout.n_state, layout.n_state + layout.n_seq
    moves = [x.dtype.kind not in "iub" and (i < s or vs[i] is not None) for i, x in enumerate(xs)]
    dxs = [zeros_like(x) if v is None else v for x, v, m in zip(xs, vs, moves, strict=True) if m]
    own, seqs = sum(moves[:s]), sum(moves[s:q])
    keep = keep_sequence(t, len(xs[s].value), layout)
    key = (id(program), layout, tuple(moves))
    if key not in _steps or _steps[key][0] is not program or xs[0].m.rank:
        if len(_steps) > 256:
            _steps.clear()
        _steps[key] = program, _step(program, layout, moves, first_step(xs, layout))
    parts = [*xs[:s], *dxs[:own], *xs[s:q], *dxs[own : own + seqs], *keep, *xs[q:], *dxs[own + seqs :]]
    how = Layout(s + own, q - s + seqs + len(keep), layout.n_stack, layout.reverse, fast=layout.fast)
    found = iter(run_scan(parts, _steps[key][1], how)[s:])
    carried = [next(found) if m else None for m in moves[:s]]
    return [*carried, *(None if _whole(program, o) else v for o, v in zip(program.outputs[s:], found, strict=True))]


def _whole(program: Program, slot: int) -> bool:
    """Whether a slot holds whole numbers, which have no tangent."""
    return np.dtype(program.dtype(slot)).kind in "iub"


def _step(program: Program, layout: Layout, moves: Sequence[bool], values: Sequence[Tensor]) -> Program:
    """(states, their tangents; sequences, theirs, what is kept; constants, theirs) -> the same of the next step."""
    s, q = layout.n_state, layout.n_state + layout.n_seq

    def step(states: Any, d_states: Any, seqs: Any, d_seqs: Any, keep: Any, consts: Any, d_consts: Any) -> list[Any]:
        if keep:
            d_states = [where(keep[0], v, as_tensor(0, v)) for v in d_states]
        every = [*states, *seqs, *consts]
        outs = program.on_tensors(every)
        found = pushed(outs, list(compress(every, moves)), [*d_states, *d_seqs, *d_consts])
        full = [zeros_like(o) if v is None else v for o, v in zip(outs, found, strict=True)]
        return [*outs[:s], *compress(full, moves[:s]), *full[s:]]

    parts = []
    for a, b in ((0, s), (s, q), (q, len(values))):
        parts += [values[a:b], [v.detach() for v in compress(values[a:b], moves[a:b])]]
    mask = [leaf(values[0].m.lift(np.array(True)))] * bool(layout.cut)
    recorded, captured = record(step, [*parts[:4], mask, *parts[4:]], watch=False)
    assert not captured, captured
    return recorded
