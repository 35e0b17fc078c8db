"""Programs: a recorded computation as plain data, to print, replay on any numbers, or inline.

`trace(fn, *examples)` runs fn once on examples and keeps what it did. A program holds no arrays but
its constants; replayed on raw arrays of any number domain it gives raw arrays, on Tensors it builds
graph. Not recorded: anything fn does besides tensor operations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .core import DOMAINS, STATE, Primitive, Tensor, as_tensor, domain_of, leaf, new_id, recording
from .errors import ShapeError, TraceError
from .grad import reachable
from .tree import flatten, leaves, matched, rebuild
from .watch import Note, Watch


@dataclass(frozen=True, eq=False)
class Node:
    """One equation: slot = op(args), with what the code calls it and where it stands."""

    op: Primitive
    args: tuple[int, ...]
    params: dict[str, Any]
    shape: tuple
    dtype: Any
    name: str | None = None
    note: Note | None = None


@dataclass(frozen=True)
class Input:
    """An input slot: its name, shape and dtype."""

    name: str
    shape: tuple
    dtype: Any


@dataclass(frozen=True, eq=False)
class Program:
    """Slots: the inputs, then the constants, then one per node; outputs name slots.

    in_tree, out_tree: the nesting of the arguments and of the result (slot numbers as leaves).
    """

    inputs: tuple[Input, ...]
    consts: tuple[Any, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    name: str = "program"
    in_tree: Any = field(default=None, repr=False)
    out_tree: Any = field(default=None, repr=False)

    def __call__(self, *args: Any) -> Any:
        """Replay: Tensors in, Tensors out (the graph is inlined); raw arrays in, raw arrays out.

        Raises TraceError if the arguments do not have the form of those it was recorded with, or a
        shape does not fit.
        """
        try:
            values = leaves(args) if self.in_tree is None else matched(self.in_tree, args, self.name)
        except ShapeError as e:
            raise TraceError(str(e)) from None
        if len(values) != len(self.inputs):
            raise TraceError(f"{self.name}: {len(values)} inputs given, {len(self.inputs)} expected")
        if any(isinstance(v, Tensor) for v in values):
            out: list[Any] = self.on_tensors([as_tensor(v) for v in values])
        else:
            out = self.on_values([_raw(v) for v in values])
        return tuple(out) if self.out_tree is None else rebuild(self.out_tree, out)

    def on_values(self, values: Sequence[Any]) -> list[Any]:
        """The outputs as raw arrays, in the most general number domain among the given arrays."""
        m = max((domain_of(v) for v in values), key=lambda d: d.rank) if values else DOMAINS["f"]
        return self.run(m, [m.lift(v) for v in values])

    def shape(self, slot: int) -> tuple:
        """The shape of a slot, as it was recorded."""
        k = slot - len(self.inputs) - len(self.consts)
        if k >= 0:
            return self.nodes[k].shape
        inputs = [x.shape for x in self.inputs]
        return [*inputs, *(c.shape for c in self.consts)][slot]

    def dtype(self, slot: int) -> Any:
        """The dtype of a slot, as it was recorded."""
        k = slot - len(self.inputs) - len(self.consts)
        if k >= 0:
            return self.nodes[k].dtype
        return [*(x.dtype for x in self.inputs), *(c.dtype for c in self.consts)][slot]

    @cached_property
    def key(self) -> tuple:
        """Equal for programs that compute the same, by the same rules, from inputs of the same shapes."""
        inputs = tuple((x.shape, str(x.dtype)) for x in self.inputs)
        consts = tuple(
            (str(c.dtype), c.shape, c.tobytes()) if isinstance(c, np.ndarray) else id(c) for c in self.consts
        )
        nodes = tuple(
            (n.op, n.op.value, n.op.vjp, n.args, hashable(n.params), n.shape, str(n.dtype))
            for n in self.nodes
        )
        return inputs, consts, nodes, self.outputs

    @cached_property
    def words(self) -> tuple:
        """What is not computed but read: its names, and the source lines it comes from."""
        return self.name, tuple(x.name for x in self.inputs), tuple((n.name, n.note) for n in self.nodes)

    def run(self, m: Any, values: Sequence[Any]) -> list[Any]:
        """The outputs for arrays that are all in the number domain m."""
        env = [*values, *(self.consts if m.rank == 0 else map(m.lift, self.consts))]
        kind = m.array_type
        n = None
        try:
            for n in self.nodes:
                y = n.op.value(m, *[env[i] for i in n.args], **n.params)
                env.append(y if y.__class__ is kind else m.asarray(y))
        except Exception as e:
            if n is not None and n.note is not None:
                n.note.explain(e)
            raise
        return [env[i] for i in self.outputs]

    def on_tensors(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs as Tensors whose graph is this program applied to xs."""
        env = [*xs, *(leaf(c) for c in self.consts)]
        for n in self.nodes:
            t = n.op(*[env[i] for i in n.args], **n.params)
            t.name, t.note = n.name, n.note
            env.append(t)
        return [env[i] for i in self.outputs]

    def slot_names(self) -> list[str]:
        """What each slot is called in print: a name of its own, or a constant's value."""
        m, taken = DOMAINS["source"], set[str]()
        names = [_unique(x.name, taken) for x in self.inputs]
        names += [m.literal(c) for c in self.consts]
        return names + [_unique(n.name or f"_{k}", taken) for k, n in enumerate(self.nodes, start=1)]

    def __str__(self) -> str:
        m, names = DOMAINS["source"], self.slot_names()
        env = [m.code(s) for s in names]
        first = len(names) - len(self.nodes)
        inputs = zip(names, self.inputs, strict=False)
        lines = [f"{self.name}({', '.join(f'{name}: {_shape(x.shape)}' for name, x in inputs)})"]
        for name, n in zip(names[first:], self.nodes, strict=True):
            text = f"  {name} = {m.call(n.op, [env[i] for i in n.args], n.params)}"
            lines.append(f"{text:<60} # {_shape(n.shape)}")
        lines.append(f"  return {', '.join(names[i] for i in self.outputs)}")
        steps = dict.fromkeys(v for n in self.nodes for v in n.params.values() if isinstance(v, Program))
        return "\n".join([*lines, *(f"\n{step}" for step in steps)])


def hashable(params: Any) -> Any:
    """Parameters of a node in a form that can be compared and hashed."""
    if isinstance(params, dict):
        return tuple((k, hashable(v)) for k, v in params.items())
    if isinstance(params, (tuple, list)):
        return tuple(map(hashable, params))
    if isinstance(params, slice):
        return ("slice", params.start, params.stop, params.step)
    return params.key if isinstance(params, Program) else params


def _raw(v: Any) -> Any:
    """A replay's plain argument as an array of some number domain."""
    return np.asarray(v) if isinstance(v, (bool, int, float, complex, np.generic)) else v


def _unique(name: str, taken: set[str]) -> str:
    """The name, or the name with the first number that makes it new; it is taken from now on."""
    new, k = name, 1
    while new in taken:
        k += 1
        new = f"{name}{k}"
    taken.add(new)
    return new


def _shape(shape: tuple) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def record(
    fn: Callable, examples: Any, names: Sequence[str | None] | None = None, watch: bool = True
) -> tuple[Program, list[Tensor]]:
    """The program of fn(*examples) and the outer Tensors it captured, which become its last inputs.

    names: of the inputs; those that are None, or not given, are called what fn calls them.
    watch: whether nodes learn their names and lines from fn's code, which takes longer.
    Raises TraceError if fn returns what is not a tensor, or branches on a tensor's value.
    """
    found = flatten(tuple(examples))
    values = [as_tensor(x) for _, x in found]
    names = names or [None] * len(found)
    before, since = STATE.since, new_id()
    STATE.since = min(before, since)  # an outer recording must not be read from either
    try:
        inputs = [leaf(v.value, v.dtype.kind not in "iub", n) for v, n in zip(values, names, strict=True)]
        with recording("all"), Watch() if watch else nullcontext():
            out = fn(*rebuild(tuple(examples), inputs))
        outs = leaves(out)
        for o in outs:
            if not isinstance(o, (Tensor, int, float)):
                raise TraceError(
                    f"{_name_of(fn)} returned a {type(o).__name__} where a tensor is meant; "
                    "only tensor operations can be recorded"
                )
        program, captured = _assemble(inputs, [as_tensor(o) for o in outs], since)
    finally:
        STATE.since = before
    form = rebuild(tuple(examples), range(len(inputs)))
    return replace(program, name=_name_of(fn), in_tree=form, out_tree=rebuild(out, program.outputs)), captured


def _name_of(fn: Callable) -> str:
    return getattr(fn, "__name__", "program")


def _assemble(inputs: list[Tensor], outs: list[Tensor], since: int) -> tuple[Program, list[Tensor]]:
    """The program from inputs to outs, and what it uses that is older than the recording."""
    used = reachable(outs, since)
    own = {t.id for t in inputs}
    captured = [t for t in used if t.id < since]
    consts = [t for t in used if t.id > since and t.op is None and t.id not in own]
    computed = [t for t in used if t.id > since and t.op is not None]
    arguments = [*inputs, *captured]
    slot = {t.id: i for i, t in enumerate([*arguments, *consts, *computed])}
    nodes = []
    for t in computed:
        shape, dtype = (t.shape, t.dtype) if not isinstance(t.value, tuple) else ((), None)
        args = tuple(slot[x.id] for x in t.inputs)
        assert t.op is not None
        nodes.append(Node(t.op, args, t.params, shape, dtype, t.name, t.note))
    program = Program(
        tuple(Input(t.name or f"in{i}", t.shape, t.dtype) for i, t in enumerate(arguments)),
        tuple(t.value for t in consts), tuple(nodes), tuple(slot[o.id] for o in outs),
    )  # fmt: skip
    return program, captured


def trace(fn: Callable, *examples: Any) -> Program:
    """The program that fn runs on examples of the given shapes (nested tuples and dicts allowed).

    Outer tensors that fn uses become constants. Raises TraceError where fn cannot be recorded.
    """
    program, captured = record(fn, examples, _argument_names(fn, examples))
    if not captured:
        return program
    n = len(program.inputs) - len(captured)
    constants = tuple(t.value for t in captured)
    return replace(program, inputs=program.inputs[:n], consts=constants + program.consts)


def _argument_names(fn: Callable, examples: Any) -> list[str] | None:
    """The parameter names of fn for plain examples; paths below them for nested ones."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return None
    if len(parameters) < len(examples) or any(q.kind == q.VAR_POSITIONAL for q in parameters):
        return None
    named = {q.name: x for q, x in zip(parameters, examples, strict=False)}
    return [path.replace(".", "_") for path, _ in flatten(named)]


__all__ = ["Input", "Node", "Program", "reachable", "record", "trace"]
