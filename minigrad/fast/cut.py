"""The cut of a step program: before | inside | after the loop over time.

A node that does not depend on the carry runs before the loop, on whole stacks; one that the next carry
needs runs inside; the rest runs after the loop, on whole stacks. The same two passes over the program
serve forward and backward, and any cell; no pattern is matched, and nothing is differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.primitives import LOOP
from ..engine.program import Program
from ..engine.scan import Layout

ALONE = {"gather", "scatter", "scan"}  # rows whose rule is not free in leading axes for every argument


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


def cut(program: Program, layout: Layout) -> Cut:
    """The cut of a scan's step program. Raises CannotCompile if there is a scan inside the loop."""
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
    fixed = tuple(k for k in slots if k not in carried and k not in timed)
    before = tuple(k for k in slots if k not in carried and k in timed)
    inside = tuple(k for k in slots if k in carried and k in needed)
    after = tuple(k for k in slots if k in carried and k not in needed)
    if any(program.nodes[k - first].op.kind == LOOP for k in inside):
        raise CannotCompile("there is a scan inside the step, which is compiled by itself")
    looped = set(inside) | set(range(s))
    wanted = set(program.outputs[s:]) | {a for k in after for a in program.nodes[k - first].args}
    kept = tuple(sorted(looped & wanted))
    return Cut(fixed, before, inside, after, kept, frozenset(timed | carried))


def _free(program: Program, k: int, n: object, moving: set[int], sums: tuple[int, ...], s: int) -> bool:
    """Whether a look-up can run on stacks: a fixed table, or a sum over time of its transpose."""
    name, args = n.op.name, n.args  # type: ignore[attr-defined]
    if name == "gather":
        return args[0] not in moving
    return name == "scatter" and k in sums
