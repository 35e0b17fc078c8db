"""A step program as a graph of values to rebuild: equal values are one, layout is in normal form.

Rewrites (`regroup`, `pack`) make values from the rows of the table and nothing else, so what they give is a
program like any other: it can be printed, run on any numbers, and compared with the one it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.bptt import Layout
from ..engine.core import TABLE, Primitive
from ..engine.primitives import POINTWISE
from ..engine.program import Node, Program, hashable

FIXED, TIMED, CARRIED = 0, 1, 2  # the same at all steps; known before the loop; depends on the state
ALL = slice(None)


@dataclass(eq=False)
class Value:
    """An input, a constant (in `data`), or a row of the table applied to values."""

    op: Primitive | None
    args: tuple[Value, ...]
    params: dict[str, Any]
    shape: tuple[int, ...]
    dtype: Any
    when: int
    serial: int
    name: str | None = None
    note: Any = None
    data: Any = None  # of a constant

    def isa(self, *names: str) -> bool:
        """Whether it is one of these rows of the table."""
        return self.op is not None and self.op.name in names


class Graph:
    """The values of one program; `make` gives the one value of an expression."""

    def __init__(self, program: Program, layout: Layout) -> None:
        s, q = layout.n_state, layout.n_state + layout.n_seq
        self.program, self.layout = program, layout
        self.known: dict[Any, Value] = {}
        self.count = 0
        kinds = [CARRIED] * s + [TIMED] * (q - s) + [FIXED] * (len(program.inputs) - q)
        self.inputs = [
            self._new(None, (), {}, x.shape, x.dtype, when, x.name)
            for x, when in zip(program.inputs, kinds, strict=True)
        ]

    def _new(
        self, op: Any, args: Any, params: Any, shape: Any, dtype: Any, when: int, name: Any = None
    ) -> Value:
        self.count += 1
        return Value(op, tuple(args), params, tuple(shape), dtype, when, self.count, name)

    def const(self, data: Any) -> Value:
        """The constant of this array."""
        key = (
            ("const", data.shape, data.dtype.str, data.tobytes())
            if isinstance(data, np.ndarray)
            else id(data)
        )
        if key not in self.known:
            self.known[key] = self._new(None, (), {}, data.shape, data.dtype, FIXED)
            self.known[key].data = data
        return self.known[key]

    def number(self, c: float, like: Value) -> Value:
        """A number as a constant of the dtype of `like`."""
        return self.const(np.asarray(c, like.dtype))

    def raw(
        self, op: Primitive, args: Sequence[Value], params: dict, shape: Any, dtype: Any, of: Any = None
    ) -> Value:
        """The value of op(args), which is of this shape and dtype, as it stands."""
        key = (op.name, tuple(a.serial for a in args), hashable(params))
        if key not in self.known:
            when = max((a.when for a in args), default=FIXED)
            self.known[key] = self._new(op, args, params, shape, dtype, when)
        v = self.known[key]
        if of is not None and v.name is None:
            v.name, v.note = of.name, of.note
        return v

    # ---- expressions, in normal form ----
    def apply(self, name: str, *args: Value) -> Value:
        """An elementwise row."""
        shape = np.broadcast_shapes(*(a.shape for a in args))
        return self.raw(TABLE[name], args, {}, shape, args[0].dtype)

    def scaled(self, v: Value, c: Value) -> Value:
        """v times a number, under a transpose if there is one."""
        if v.isa("transpose"):
            return self.transposed(self.scaled(v.args[0], c), v.params["axes"])
        return self.apply("mul", v, c)

    def matmul(self, a: Value, b: Value) -> Value:
        """A matrix product."""
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        return self.raw(TABLE["matmul"], (a, b), {}, shape, a.dtype)

    def transposed(self, v: Value, axes: tuple) -> Value:
        """v with axes exchanged; twice is not at all."""
        if v.isa("transpose") and v.params["axes"] == axes == (-1, -2):
            return v.args[0]
        order = (*range(len(v.shape) - len(axes)), *(a + len(v.shape) for a in axes))
        return self.raw(TABLE["transpose"], (v,), {"axes": axes}, (v.shape[i] for i in order), v.dtype)

    def part(self, v: Value, start: int, stop: int, axis: int = -1) -> Value:
        """v[start:stop] along an axis counted from the right."""
        if (start, stop) == (0, v.shape[axis]):
            return v
        if (inner := part_of(v)) and inner[0] == axis:
            return self.part(v.args[0], inner[1] + start, inner[1] + stop, axis)
        if v.isa("transpose") and v.params["axes"] == (-1, -2) and axis in (-1, -2):
            return self.transposed(self.part(v.args[0], start, stop, -3 - axis), (-1, -2))
        if v.isa("concat") and v.params["axis"] == axis:
            found = self._part_of_concat(v, start, stop, axis)
            if found is not None:
                return found
        shape = list(v.shape)
        shape[axis] = stop - start
        key = (slice(start, stop),) + (ALL,) * (-axis - 1)
        return self.raw(TABLE["index"], (v,), {"key": key}, shape, v.dtype)

    def _part_of_concat(self, v: Value, start: int, stop: int, axis: int) -> Value | None:
        """The parts from start to stop, if those are whole parts or within one."""
        at, found = 0, []
        for x in v.args:
            end = at + x.shape[axis]
            if at <= start and stop <= end:
                return self.part(x, start - at, stop - at, axis)
            if start <= at and end <= stop:
                found.append(x)
            at = end
        return self.joined(found, axis) if sum(x.shape[axis] for x in found) == stop - start else None

    def joined(self, xs: Iterable[Value], axis: int = -1) -> Value:
        """The concatenation; adjacent slices of one value are one slice, of all of it the value itself."""
        parts: list[Value] = []
        for x in xs:
            for y in x.args if x.isa("concat") and x.params["axis"] == axis else (x,):
                both = _adjacent(parts[-1], y, axis) if parts else None
                if both is None:
                    parts.append(y)
                else:
                    parts[-1] = self.part(*both, axis)
        if len(parts) == 1:
            return parts[0]
        if axis in (-1, -2) and all(p.isa("transpose") and p.params["axes"] == (-1, -2) for p in parts):
            return self.transposed(self.joined([p.args[0] for p in parts], -3 - axis), (-1, -2))
        shape = list(parts[0].shape)
        shape[axis] = sum(p.shape[axis] for p in parts)
        return self.raw(TABLE["concat"], parts, {"axis": axis}, shape, parts[0].dtype)

    def again(self, v: Value, args: Sequence[Value]) -> Value:
        """v with other arguments (equal ones, computed otherwise)."""
        assert v.op is not None
        if v.isa("alias", "stop_gradient"):
            return args[0]
        if v.isa("index") and (found := part_of(v)):
            return self.part(args[0], *found[1:], found[0])
        if v.isa("concat"):
            return self.joined(args, v.params["axis"])
        if v.isa("transpose"):
            return self.transposed(args[0], v.params["axes"])
        if v.isa("pick") and args[0].isa("unstack"):
            key = (v.params["i"], *(ALL,) * (-args[0].params["axis"] - 1))
            return self.raw(TABLE["index"], args[0].args, {"key": key}, v.shape, v.dtype, v)
        if v.isa("place") and (ends := _tiles(v)):
            return self.joined(a for _, a in sorted(zip(ends, args, strict=True), key=lambda pair: pair[0]))
        return self.raw(v.op, args, v.params, v.shape, v.dtype, v)

    # ---- from a program and back ----
    def load(self) -> list[Value]:
        """The outputs of the program, as values."""
        env = [*self.inputs, *map(self.const, self.program.consts)]
        for n in self.program.nodes:
            v = Value(n.op, (), n.params, n.shape, n.dtype, 0, 0, n.name, n.note)
            v.args = tuple(env[a] for a in n.args)
            env.append(self.again(v, v.args))
        return [env[o] for o in self.program.outputs]

    def program_of(self, outputs: Sequence[Value]) -> Program:
        """The program with these outputs; its inputs are those of the one it came from."""
        order = ordered(outputs)
        consts = [v for v in order if v.data is not None]
        nodes = [v for v in order if v.op is not None]
        slot = {v.serial: k for k, v in enumerate([*self.inputs, *consts, *nodes])}
        made = (
            Node(v.op, tuple(slot[a.serial] for a in v.args), v.params, v.shape, v.dtype, v.name, v.note)
            for v in nodes if v.op is not None
        )  # fmt: skip
        places = tuple(slot[o.serial] for o in outputs)
        return Program(
            self.program.inputs, tuple(v.data for v in consts), tuple(made), places, self.program.name
        )

    def mapped(self, outputs: Sequence[Value], rule: Callable[[Value, list[Value]], Value]) -> list[Value]:
        """The outputs rebuilt: rule(value, its new arguments), arguments first."""
        new: dict[int, Value] = {}
        for v in ordered(outputs):
            new[v.serial] = v if v.op is None else rule(v, [new[a.serial] for a in v.args])
        return [new[o.serial] for o in outputs]


def ordered(outputs: Iterable[Value]) -> list[Value]:
    """Every value that the outputs are made of, after its arguments, else in the order of writing."""
    seen: dict[int, Value] = {}
    done: dict[int, Value] = {}
    todo = list(outputs)
    while todo:
        v = todo.pop()
        if v.serial not in seen:
            seen[v.serial] = v
            todo.extend(v.args)
    for start in sorted(seen):
        stack = [seen[start]]
        while stack:
            v = stack[-1]
            waiting = [a for a in v.args if a.serial not in done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                done.setdefault(stack.pop().serial, v)
    return list(done.values())


def uses(outputs: Sequence[Value]) -> dict[int, int]:
    """By serial number: how many values and outputs read a value."""
    count: dict[int, int] = {}
    for v in [*outputs, *(a for reader in ordered(outputs) for a in reader.args)]:
        count[v.serial] = count.get(v.serial, 0) + 1
    return count


def pointwise(v: Value) -> bool:
    """Whether the value is an elementwise row of floats, all of one dtype."""
    return v.op is not None and v.op.kind == POINTWISE and all(a.dtype == v.dtype for a in v.args)


def part_of(v: Value) -> tuple[int, int, int] | None:
    """(axis, start, stop) of a value that is a slice along one of the last two axes."""
    if not v.isa("index"):
        return None
    key, x = v.params["key"], v.args[0]
    if len(key) not in (1, 2) or len(x.shape) < len(key):
        return None
    first, rest = key[0], key[1:]
    if not isinstance(first, slice) or first.step not in (None, 1) or any(k != ALL for k in rest):
        return None
    return -len(key), *first.indices(x.shape[-len(key)])[:2]


def _adjacent(a: Value, b: Value, axis: int) -> tuple[Value, int, int] | None:
    """(value, start, stop) if a and b are neighbouring slices of it."""
    x, y = part_of(a), part_of(b)
    if x and y and a.args[0] is b.args[0] and x[0] == y[0] == axis and x[2] == y[1]:
        return a.args[0], x[1], y[2]
    return None


def _tiles(v: Value) -> list[int] | None:
    """Where each part begins, if a `place` is a concatenation along the last axis."""
    keys, shape = v.params["keys"], v.params["shape"]
    if len(shape) != 1 or any(
        len(k) != 1 or not isinstance(k[0], slice) or k[0].step not in (None, 1) for k in keys
    ):
        return None
    ends = [k[0].indices(shape[0])[:2] for k in keys]
    at = 0
    for a, b in sorted(ends):
        if a != at:
            return None
        at = b
    return [a for a, _ in ends] if at == shape[0] else None
