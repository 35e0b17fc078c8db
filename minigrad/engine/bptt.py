"""The scan's row: a step repeated over time as one primitive, whose vjp IS backpropagation through time.

The rule is a symmetry, and is itself a scan, so that orders nest:

    carry <-> carry, reversed in time     sequence <-> stacked output     constant <-> summed output

`RUNNER` is the one slot through which a faster runner is plugged in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .adjoint import Wish, adjoint, program_from
from .core import STATE, Tensor, define, leaf, node, recording
from .memo import remembered
from .primitives import LOOP, concat, pick, reshape
from .program import Program


@dataclass(frozen=True)
class Layout:
    """How a scan's flat inputs and outputs are grouped.

    Inputs: n_state states, n_seq sequences, constants. Outputs of one step: n_state states,
    n_stack values to stack, sums.
    cut: steps (counted in running order) whose incoming state passes no gradient back.
    fast: whether a faster runner may take the place of the plain one, here and in the gradient.
    """

    n_state: int
    n_seq: int
    n_stack: int
    reverse: bool = False
    cut: frozenset[int] = frozenset()
    fast: bool = True

    def __str__(self) -> str:
        text = f"{self.n_state} state, {self.n_seq} seq" + ", reverse" * self.reverse
        return text + f", cut {sorted(self.cut)}" * bool(self.cut)


def run_plain(m: Any, program: Program, layout: Layout, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The scan, one step after the other: final states, stacks, sums."""
    s, q, k = layout.n_state, layout.n_state + layout.n_seq, layout.n_stack
    state, seqs, consts = list(arrays[:s]), arrays[s:q], arrays[q:]
    rests = [(slice(None),) * len(x.shape) for x in program.inputs[s:q]]  # the axes after that of time
    T = seqs[0].shape[-1 - len(rests[0])]
    axes = [-1 - len(program.shape(i)) for i in program.outputs[s : s + k]]
    stacks: list[Any] = [None] * k
    sums: list[Any] = []
    for t in reversed(range(T)) if layout.reverse else range(T):
        now = [m.index(x, (t, *rest)) for x, rest in zip(seqs, rests, strict=True)]
        out = program.run(m, [*state, *now, *consts])
        state, last = out[:s], out[s + k :]
        stacks = [_put(m, *put, t, T) for put in zip(stacks, out[s : s + k], axes, strict=True)]
        sums = [a + b for a, b in zip(sums, last, strict=True)] if sums else last
    if m.rank:
        stacks = [m.stack(ys, axis) for ys, axis in zip(stacks, axes, strict=True)]
    return (*state, *stacks, *sums)


def _put(m: Any, stack: Any, y: Any, axis: int, t: int, T: int) -> Any:
    """The stack with y at step t; floats go at once to where they stay, which takes half the memory of a list."""
    if m.rank:
        stack = stack or [None] * T
        stack[t] = y
        return stack
    lead = y.ndim + 1 + axis
    if stack is None:
        stack = np.empty((*y.shape[:lead], T, *y.shape[lead:]), y.dtype)
    stack[(slice(None),) * lead + (t,)] = y
    return stack


RUNNER: list[Callable[..., tuple]] = [run_plain]


def _value(m: Any, *arrays: Any, program: Program, layout: Layout) -> tuple:
    return (RUNNER[0] if layout.fast else run_plain)(m, program, layout, arrays)


class _Pull(NamedTuple):
    """How the vjp of a scan is computed: the scan backwards, what it reads of the scan (an input, or an
    output), which cotangents it gives, and the scan that gives what it reads where this one did not."""

    program: Program
    layout: Layout
    stored: tuple[tuple[bool, int], ...]
    wanted: tuple[bool, ...]
    again: _Again | None


_pulls: dict[Any, _Pull] = {}


def _vjp(
    g: list[Tensor | None], y: Tensor, *xs: Tensor, program: Program, layout: Layout
) -> tuple[Tensor | None, ...]:
    """One scan over the time reversed, whose step is the vjp of the step (adjoint.py).

    What that reads of the step was stacked on the way forward (see `_with_residuals`), or is computed again.
    """
    s, q, k = layout.n_state, layout.n_state + layout.n_seq, layout.n_stack
    carry = [leaf(y.m.zeros(v.shape, v)) if c is None else c for c, v in zip(g[:s], y.value, strict=False)]
    gs = [*carry, *g[s:]]
    key = (program, layout, _asked(xs), tuple([c is not None for c in gs]))
    make = partial(_pull, xs, gs, program, layout)
    pull = make() if y.m.rank else remembered(_pulls, key, make)
    if pull.again is not None:
        y = _run_again(xs, y, program, layout, pull.again)
    stored = [xs[j] if given else part(y, j) for given, j in pull.stored]
    keep = keep_sequence(y, len(xs[s].value), layout)
    flows = [x for x in gs[s : s + k] if x is not None]
    sums = [x for x in gs[s + k :] if x is not None]
    parts = run_scan([*carry, *stored, *flows, *keep, *xs[q:], *sums], pull.program, pull.layout)
    rest = iter(parts[s:])
    return (*parts[:s], *[next(rest) if w else None for w in pull.wanted[s:]])


def _pull(xs: Sequence[Tensor], gs: Sequence[Any], program: Program, layout: Layout) -> _Pull:
    s, q, k = layout.n_state, layout.n_state + layout.n_seq, layout.n_stack
    wish = _wish(xs, gs, layout)
    back = adjoint(program, wish, xs[0].m, lambda: first_step(xs, layout))
    at = dict(zip(program.outputs[s : s + k], range(s, s + k), strict=True))  # where each stack is
    read, again = tuple(j for j in back.needs if not s <= j < q), None
    if any(j not in at for j in read):  # it was recorded: the scan is run once more, for what is read of it
        again = _again(program, layout, read, len(xs))
        at = {j: i for i, j in enumerate(read, start=again.layout.n_state)}
    stored = tuple((True, j) if s <= j < q else (False, at[j]) for j in back.needs)
    n_seq = len(stored) + sum(wish.given[s : s + k]) + wish.masked
    turned = Layout(s, n_seq, sum(wish.wanted[s:q]), not layout.reverse, fast=layout.fast)
    return _Pull(back.program, turned, stored, wish.wanted, again)


def _asked(xs: Sequence[Tensor]) -> tuple[Any, ...]:
    """What decides, besides the program, which cotangents there will be: part of a key."""
    return xs[0].m, *[x.requires_grad for x in xs]


def _wish(xs: Sequence[Tensor], given: Sequence[Any], layout: Layout) -> Wish:
    """What the vjp of a scan on these inputs is asked for."""
    s = layout.n_state
    wanted = tuple(x.requires_grad if i >= s else x.dtype.kind not in "iub" for i, x in enumerate(xs))
    sizes = (s, layout.n_seq, layout.n_stack)
    return Wish(sizes, wanted, tuple(g is not None for g in given), bool(layout.cut))


def first_step(xs: Sequence[Tensor], layout: Layout) -> list[Tensor]:
    """The inputs of one step, as examples."""
    s, q = layout.n_state, layout.n_state + layout.n_seq
    with recording("off"):
        return [x[0] if s <= i < q else x for i, x in enumerate(xs)]


_extended: dict[Any, tuple[Program, Layout]] = {}


def _with_residuals(xs: Sequence[Tensor], program: Program, layout: Layout) -> tuple[Program, Layout]:
    """The scan with one more stacked output for each value that its vjp will read."""
    s, k = layout.n_state, layout.n_stack
    wish = _wish(xs, program.outputs, layout)
    back = adjoint(program, wish, xs[0].m, lambda: first_step(xs, layout))
    stacked, sums = program.outputs[: s + k], program.outputs[s + k :]
    more = tuple(j for j in back.needs if not s <= j < s + layout.n_seq and j not in stacked[s:])
    return replace(program, outputs=stacked + more + sums), replace(layout, n_stack=k + len(more))


class _Again(NamedTuple):
    """The scan run once more, for the final states of what it carries and some stacks.

    known: states that are stacked already; they enter as sequences and are not carried: an LSTM's products
    then leave the loop.
    """

    program: Program
    layout: Layout
    known: tuple[int, ...]


def _again(program: Program, layout: Layout, slots: tuple[int, ...], n: int) -> _Again:
    """The scan of n inputs that stacks these slots and nothing else."""
    s, q, k = layout.n_state, layout.n_state + layout.n_seq, layout.n_stack
    stacked = program.outputs[s : s + k]
    known = () if layout.cut else tuple(i for i in range(s) if program.outputs[i] in stacked)
    carried = [i for i in range(s) if i not in known]
    outputs = (*(program.outputs[i] for i in carried), *slots)
    inputs = [*carried, *range(s, q), *known, *range(q, n)]
    how = replace(layout, n_state=len(carried), n_seq=q - s + len(known), n_stack=len(slots))
    return _Again(program_from(replace(program, outputs=outputs), inputs), how, known)


def _run_again(xs: Sequence[Tensor], y: Tensor, program: Program, layout: Layout, again: _Again) -> Tensor:
    """The scan y of xs, run once more."""
    s, q, k = layout.n_state, layout.n_state + layout.n_seq, layout.n_stack
    at = {o: i for i, o in enumerate(program.outputs[s : s + k], start=s)}  # where each stack is
    entering = [_entering(xs[i], part(y, at[program.outputs[i]]), layout.reverse) for i in again.known]
    states = [x for i, x in enumerate(xs[:s]) if i not in again.known]
    return scan_row(*states, *xs[s:q], *entering, *xs[q:], program=again.program, layout=again.layout)


def _entering(first: Tensor, leaving: Tensor, reverse: bool) -> Tensor:
    """The states that enter the steps, stacked, from the one before the first step and those that leave."""
    start = reshape(first, shape=(1, *first.shape), ndim=first.ndim)
    return concat(*((leaving[1:], start) if reverse else (start, leaving[:-1])), axis=-leaving.ndim)


def run_scan(xs: Sequence[Tensor], program: Program, layout: Layout) -> list[Tensor]:
    """The outputs of a scan: final states, stacks, sums (without the residuals)."""
    s, k, n = layout.n_state, layout.n_stack, len(program.outputs)
    if STATE.mode == "grad" and any([x.requires_grad for x in xs]):  # what is recorded stores nothing
        key = (program, layout, _asked(xs))
        make = partial(_with_residuals, xs, program, layout)
        program, layout = remembered(_extended, key, make)
    r = scan_row(*xs, program=program, layout=layout)
    more = layout.n_stack - k
    return [part(r, i if i < s + k else i + more) for i in range(n)]


def part(r: Tensor, i: int) -> Tensor:
    """One output of a scan."""
    return node(pick, r.m, r.value[i], (r,), {"i": i})


def keep_sequence(y: Tensor, T: int, layout: Layout) -> list[Tensor]:
    """For a truncated scan: the sequence that is False at the steps whose incoming state is cut."""
    if not layout.cut:
        return []
    keep = np.array([step not in layout.cut for step in range(T)])
    return [leaf(y.m.lift(keep[::-1] if layout.reverse else keep))]


scan_row = define("scan", LOOP, r"\operatorname{{scan}}", _value, _vjp)
