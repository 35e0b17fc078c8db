"""The vjp of a scan's step as a program of its own, and which values of the step it needs.

`adjoint` records the pullback of a step once. What it would compute again of the step itself is found by
value numbering and turned into inputs: the forward scan stacks those values, the backward scan reads them.
What sums, products and moved entries make of those is not stacked but computed again.
Nothing is differentiated here; the pullback is the sweep's. Results are cached by the step's equations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any

import numpy as np

from .core import Tensor, as_tensor, leaf
from .grad import sweep, zeros_like
from .memo import remembered
from .primitives import LAYOUT, where
from .program import Input, Node, Program, record

CHEAP = ("add", "sub", "mul", "div", "neg", "greater", "greater_equal", "equal", "where", "cast")


@dataclass(frozen=True, eq=False)
class Adjoint:
    """A step's vjp. Inputs: cotangents of the new states; as sequences the values of the step in `needs`
    (slots of its program), the given cotangents of stacked outputs, the mask of a truncated scan; as
    constants those of the step and the given cotangents of sums. Outputs: cotangents of the states, of the
    wanted sequences (stacked) and of the wanted constants (summed).
    """

    program: Program
    needs: tuple[int, ...]


@dataclass(frozen=True)
class Wish:
    """What an adjoint is asked for: (states, sequences, stacked outputs) of the step; per input whether its
    cotangent is wanted; per output whether one is given (always for states); whether there is a mask."""

    sizes: tuple[int, int, int]
    wanted: tuple[bool, ...]
    given: tuple[bool, ...]
    masked: bool


_known: dict[Any, Adjoint] = {}


def adjoint(program: Program, wish: Wish, m: Any, examples: Callable[[], Sequence[Tensor]]) -> Adjoint:
    """The vjp of a step program. m: the number domain; examples(): a value of each input, of one step.

    Raises TraceError if a rule cannot be recorded.
    """
    if m.rank:
        return _record(program, wish, examples())
    key = (program.key, program.words, wish, m)
    return remembered(_known, key, lambda: _record(program, wish, examples()))


def _record(program: Program, wish: Wish, values: Sequence[Tensor]) -> Adjoint:
    (s, _, k), given, wanted = wish.sizes, wish.given, wish.wanted
    n = len(values)
    stacks, sums = sum(given[s : s + k]), sum(given[s + k :])

    def back(*args: Tensor) -> list[Tensor]:
        it = iter(args)
        counts = (s, n, stacks, wish.masked, sums)
        g_state, every, g_stack, kept, g_sum = [list(islice(it, count)) for count in counts]
        flows = iter([*g_stack, *g_sum])
        cotangents = [*g_state, *(next(flows) if g else None for g in given[s:])]
        found = iter(sweep(program.on_tensors(every), cotangents, list(compress(every, wanted)), graph=True))
        flowed = [_or_zeros(next(found) if w else None, v) for v, w in zip(every, wanted, strict=True)]
        if kept:
            flowed[:s] = [where(kept[0], f, as_tensor(0, f)) for f in flowed[:s]]
        return [*flowed[:s], *compress(flowed[s:], wanted[s:])]

    m = max((v.m for v in values), key=lambda d: d.rank)
    outputs = compress(program.outputs, given)
    flows = [leaf(m.zeros(program.shape(o), np.empty(0, program.dtype(o)))) for o in outputs]
    mask = [leaf(m.lift(np.array(True)))] * wish.masked
    values = [v.detach() for v in values]
    examples = [*flows[:s], *values, *flows[s : s + stacks], *mask, *flows[s + stacks :]]
    names = [None] * s + [x.name for x in program.inputs] + [None] * (len(examples) - s - n)
    recorded, captured = record(back, examples, names, watch=False)
    assert not captured, captured
    return _without_the_step(recorded, program, wish.sizes, stacks + wish.masked)


def _or_zeros(g: Tensor | None, x: Tensor) -> Tensor:
    return zeros_like(x) if g is None else g


def _without_the_step(back: Program, step: Program, sizes: tuple[int, int, int], n_seq: int) -> Adjoint:
    """The recorded pullback, with what it repeats of the step turned into inputs."""
    s, q, _ = sizes
    same = _step_slots(back, step, s)
    first, n = len(back.inputs) + len(back.consts), len(step.inputs)
    moving = set(range(s + q))  # slots of the step that differ from step to step
    for k, node in enumerate(step.nodes, start=n + len(step.consts)):
        if moving.intersection(node.args):
            moving.add(k)
    for k, node in enumerate(back.nodes, start=first):
        if node.dtype is None:  # a tuple, such as a scan inside the step, cannot be stacked: computed again
            same.pop(k, None)
    stacked = {i for i in range(s) if step.outputs[i] in step.outputs[s : s + sizes[2]]}
    needs = _read(back, same, moving - _cheap(back, same, moving, stacked | set(range(s, s + q))))
    if not needs and not n_seq:
        needs = [s]  # a scan is as long as its sequences: the entering state, though nothing reads it
    fixed, flows = range(s + s + q, s + n), range(s + n, len(back.inputs))
    slots = [*range(s), *needs, *flows[:n_seq], *fixed, *flows[n_seq:]]
    return Adjoint(program_from(back, slots), tuple(same[k] for k in needs))


def _read(back: Program, same: dict[int, int], given: set[int]) -> list[int]:
    """The slots that the pullback reads, if those that compute a given slot of the step are not computed."""
    live, first = set(back.outputs), len(back.inputs) + len(back.consts)
    for k in range(first + len(back.nodes) - 1, first - 1, -1):
        if k in live and same.get(k) not in given:
            live.update(back.nodes[k - first].args)
    return [k for k in sorted(live) if same.get(k) in given]


def _cheap(back: Program, same: dict[int, int], moving: set[int], given: set[int]) -> set[int]:
    """Slots of the step that sums, products and moved entries make of what is given or read anyway."""
    first, needs = len(back.inputs) + len(back.consts), _read(back, same, moving)
    have, cheap = given | {same[k] for k in needs}, set[int]()

    def made(k: int) -> set[int] | None:
        """What is computed on the way to slot k from what there is; None if something else must be read."""
        node = back.nodes[k - first] if k >= first else None
        if node is None or not (node.op.kind == LAYOUT or node.op.name in CHEAP):
            return None
        if not same.keys() >= {*node.args}:  # a part of a scan inside the step
            return None
        way = {same[k]}
        for a in node.args:
            if same[a] in moving and same[a] not in have | way:
                more = made(a)
                if more is None:
                    return None
                way |= more
        return way

    for k in reversed(needs):
        if same[k] not in given:
            have.discard(same[k])
            way = made(k)
            have.update({same[k]} if way is None else ())
            cheap.update(way or ())
    return cheap


def _step_slots(back: Program, step: Program, s: int) -> dict[int, int]:
    """For each slot of the pullback that computes a value of the step: the step's slot."""
    numbers: dict[Any, int] = {}

    def number(key: Any) -> int:
        return numbers.setdefault(key, len(numbers))

    def walk(program: Program, leaves: list[Any]) -> list[int]:
        out = [number(x) for x in leaves]
        for c in program.consts:
            plain = hasattr(c, "tobytes")
            out.append(number(("const", c.shape, c.dtype.str, c.tobytes()) if plain else id(c)))
        for node in program.nodes:
            out.append(number((node.op, tuple(out[a] for a in node.args), repr(node.params))))
        return out

    of_step: dict[int, int] = {}
    for k, v in enumerate(walk(step, [("in", i) for i in range(len(step.inputs))])):
        of_step.setdefault(v, k)
    inputs = [("in", i - s) if s <= i < s + len(step.inputs) else ("g", i) for i in range(len(back.inputs))]
    return {k: of_step[v] for k, v in enumerate(walk(back, inputs)) if v in of_step}


def program_from(program: Program, slots: Sequence[int]) -> Program:
    """The program from these slots (inputs or nodes) to its outputs, without what is then dead."""
    first, live, stop = len(program.inputs) + len(program.consts), set(program.outputs), set(slots)
    for k in range(first + len(program.nodes) - 1, first - 1, -1):
        if k in live and k not in stop:
            live.update(program.nodes[k - first].args)
    consts = [k for k in range(len(program.inputs), first) if k in live]
    nodes = [k for k in range(first, first + len(program.nodes)) if k in live and k not in stop]
    place = {old: new for new, old in enumerate([*slots, *consts, *nodes])}

    def as_input(k: int) -> Input:
        if k < len(program.inputs):
            return program.inputs[k]
        node = program.nodes[k - first]
        return Input(node.name or f"v{k}", node.shape, node.dtype)

    moved = []
    for k in nodes:
        node = program.nodes[k - first]
        args = tuple(place[a] for a in node.args)
        moved.append(Node(node.op, args, node.params, node.shape, node.dtype, node.name, node.note))
    return Program(
        tuple(map(as_input, slots)), tuple(program.consts[k - len(program.inputs)] for k in consts),
        tuple(moved), tuple(place[o] for o in program.outputs), program.name,
    )  # fmt: skip
