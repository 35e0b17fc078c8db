"""The cut of a step program: before | inside | after the loop over time.

A node that does not depend on the carry runs before the loop, on whole stacks (or inside, if it is cheap and
states are large); one that the next carry needs runs inside; the rest runs after the loop, on whole stacks. The same
passes over the program serve forward and backward, and any cell; no pattern is matched, and nothing is
differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..engine.bptt import Layout
from ..engine.primitives import LAYOUT, LOOP, POINTWISE
from ..engine.program import Program

ALONE = {"gather", "scatter", "scan"}  # rows whose rule is not free in leading axes for every argument
# Of this many entries of a state on, arithmetic known before the loop is done in it, where its operands are in the
# cache: an LSTM's training step at (100,32,128,256) takes 0.97 of the time (2026-11-21; at 4096 entries, 1.00).
MANY = 8192
NEAR = ("add", "sub", "mul", "div", "neg", "index", "concat")


class CannotCompile(ValueError):
    """A program that the fast path leaves to the plain runner; the message says why."""


@dataclass(frozen=True)
class Cut:
    """Slots of nodes by when they run, and what is a stack over time outside the loop.

    fixed: once, before; before: on stacks, before; inside: at each step; after: on stacks, after.
    kept: slots computed inside (or entering states) whose stacks are needed outside.
    """

    fixed: tuple[int, ...]
    before: tuple[int, ...]
    inside: tuple[int, ...]
    after: tuple[int, ...]
    kept: tuple[int, ...]
    stacked: frozenset[int]


def large(program: Program, layout: Layout) -> bool:
    """Whether a state is so large that the cut is another: of this alone, and of axes of size 1, a text depends."""
    return any(prod(x.shape) >= MANY for x in program.inputs[: layout.n_state])


def cut(program: Program, layout: Layout, near: bool = False, compiled: bool = False) -> Cut:
    """The cut of a scan's step program. Raises CannotCompile if there is a scan inside the loop.

    near: as for a large state; compiled: elementwise work runs inside, where a compiled loop does it while its row
    is in the cache.
    """
    s, q = layout.n_state, layout.n_state + layout.n_seq
    first = len(program.inputs) + len(program.consts)
    carried, timed = set(range(s)), set(range(s, q))
    for k, n in enumerate(program.nodes, start=first):
        if carried.intersection(n.args):
            carried.add(k)
        if timed.intersection(n.args):
            timed.add(k)
    sums = program.outputs[s + layout.n_stack :]
    needed = set(program.outputs[:s])
    for k in range(first + len(program.nodes) - 1, first - 1, -1):
        n = program.nodes[k - first]
        if n.op.name in ALONE and k in carried | timed and not _free(program, k, n, carried | timed, sums, s):
            needed.add(k)  # it cannot run on stacks
        if k in needed:
            needed.update(n.args)
    used = set(program.outputs)
    for k in range(first + len(program.nodes) - 1, first - 1, -1):
        if k in used:
            used.update(program.nodes[k - first].args)
    slots = [k for k in range(first, first + len(program.nodes)) if k in used]
    alone = {k for k in slots if program.nodes[k - first].op.name in ALONE and k in needed and k in timed}
    for k in slots:  # what follows from a node that must run inside runs inside or after
        if alone.intersection(program.nodes[k - first].args):
            alone.add(k)
    carried |= alone
    if near:
        joined = _near(program, slots, carried & needed, carried | timed)
        carried |= joined
        needed |= joined
    fixed = tuple(k for k in slots if k not in carried and k not in timed)
    before = tuple(k for k in slots if k not in carried and k in timed)
    inside = tuple(k for k in slots if k in carried and k in needed)
    after = tuple(k for k in slots if k in carried and k not in needed)
    if any(program.nodes[k - first].op.kind == LOOP for k in inside):
        raise CannotCompile("there is a scan inside the step, which is compiled by itself")
    if compiled and inside:
        joined = _joining(program, {*before, *after}, set(inside), first)
        inside = tuple(sorted({*inside, *joined}))
        before = tuple(k for k in before if k not in joined)
        after = tuple(k for k in after if k not in joined)
    looped = set(inside) | set(range(s))
    outside = (*before, *after)
    wanted = set(program.outputs[s:]) | {a for k in outside for a in program.nodes[k - first].args}
    kept = tuple(sorted(looped & wanted))
    return Cut(fixed, before, inside, after, kept, frozenset(timed | carried))


def _near(program: Program, slots: list[int], inside: set[int], moving: set[int]) -> set[int]:
    """Slots known before the loop that are computed inside all the same: those that nothing else reads."""
    first = len(program.inputs) + len(program.consts)
    read: dict[int, set[int]] = {o: {-1} for o in program.outputs}
    for k in slots:
        for a in program.nodes[k - first].args:
            read.setdefault(a, set()).add(k)
    near: set[int] = set()
    for k in reversed(slots):
        n = program.nodes[k - first]
        if k in moving and k not in inside and n.op.name in NEAR and read[k] <= inside | near:
            near.add(k)
    return near


def _joining(program: Program, outside: set[int], inside: set[int], first: int) -> set[int]:
    """Slots outside the loop that join it: elementwise ones which only the loop reads, or which read only what
    the loop has."""
    readers: dict[int, set[int]] = {o: {-1} for o in program.outputs}
    for k in (*outside, *inside):
        for a in program.nodes[k - first].args:
            readers.setdefault(a, set()).add(k)
    joined: set[int] = set()
    for k in sorted(outside, reverse=True):
        kind = program.nodes[k - first].op.kind
        if kind in (POINTWISE, LAYOUT) and readers.get(k, {-1}) <= inside | joined:
            joined.add(k)
    for k in sorted(outside - joined):
        n = program.nodes[k - first]
        if n.op.kind == POINTWISE and n.dtype.kind == "f" and inside.union(joined).intersection(n.args) and not (
            outside.difference(joined).intersection(n.args)
        ):
            joined.add(k)
    return joined


def _free(program: Program, k: int, n: object, moving: set[int], sums: tuple[int, ...], s: int) -> bool:
    """Whether a look-up can run on stacks: a fixed table, or a sum over time of its transpose."""
    name, args = n.op.name, n.args  # type: ignore[attr-defined]
    if name == "gather":
        return args[0] not in moving
    return name == "scatter" and k in sums
