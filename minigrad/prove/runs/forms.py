"""The form of a computation: what it does, down to the roles of its inputs, with sizes as numbers.

Equal computations have one form, whether they were recorded as a graph, as a program, or on arrays of
symbolic size. Forms are numbered as they are met, and compared by their numbers: nothing can collide.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ...domains.blocks import Size
from ...domains.merging import parts
from ...domains.sizes import Sized
from ...engine.core import Tensor
from ...engine.program import Program

Form = tuple[int, ...]  # numbers of the forms of what a step gives
Dims = Mapping[str, int]


class Forms:
    """A number for each form met, and a node that has it."""

    def __init__(self, dims: Dims) -> None:
        self.dims = dims
        self.numbers: dict[tuple, int] = {}
        self.keys: list[tuple] = []
        self.names: dict[int, Any] = {}  # form -> a node that has it, for messages

    def number(self, key: tuple, node: Any = None) -> int:
        """The number of a form."""
        found = self.numbers.get(key)
        if found is None:
            self.numbers[key] = found = len(self.keys)
            self.keys.append(key)
            self.names[found] = node
        return found

    def of_graph(self, outs: Sequence[Tensor], role: Callable[[Tensor], tuple | None]) -> Form:
        """The forms of nodes, down to those that have a role."""
        known: dict[int, int] = {}
        todo = list(outs)
        while todo:
            t = todo[-1]
            if t.id in known:
                todo.pop()
                continue
            key = role(t)
            if key is None:
                if waiting := [x for x in t.inputs if x.id not in known]:
                    todo.extend(waiting)
                    continue
                key = self.key(t.op, t.params, [known[x.id] for x in t.inputs], t.value)
            known[t.id] = self.number(key, t)
            todo.pop()
        return tuple(known[t.id] for t in outs)

    def of_program(self, program: Program, roles: Sequence[tuple], outputs: Iterable[int]) -> Form:
        """The forms of a program's outputs, its inputs having these roles."""
        env = [self.number(r) for r in roles]
        env += [self.number(self.key(None, {}, (), c)) for c in program.consts]
        for n in program.nodes:
            env.append(self.number(self.key(n.op, n.params, [env[i] for i in n.args], None), n))
        return tuple(env[i] for i in outputs)

    def key(self, op: Any, params: Mapping[str, Any], inputs: Sequence[int], value: Any) -> tuple:
        """What makes a form: an operation with its parameters and inputs, or the value of a constant."""
        if op is None:
            return "constant", _constant(value, self.dims)
        return op.name, self._plain(params) if params else (), tuple(inputs)

    def _plain(self, x: Any) -> Any:
        """Parameters as something that is equal for equal computations, sizes as numbers."""
        if isinstance(x, Size):
            return evaluated(x, self.dims)
        if isinstance(x, Mapping):
            return tuple((k, self._plain(v)) for k, v in sorted(x.items()))
        if isinstance(x, (tuple, list)):
            return tuple(map(self._plain, x))
        if isinstance(x, slice):
            return "slice", self._plain(x.start), self._plain(x.stop), x.step or 1
        if isinstance(x, Program):
            roles = [("argument", k) for k in range(len(x.inputs))]
            return "program", self.of_program(x, roles, x.outputs)
        return x if isinstance(x, (int, str, type(None))) else str(x)

    def text(self, form: Form) -> str:
        """The forms of a step as equations, one per line, numbered in their own order."""
        order: dict[int, int] = {}
        lines: list[str] = []
        todo = list(reversed(form))
        while todo:
            k = todo[-1]
            name, *rest = self.keys[k]
            inputs = rest[1] if len(rest) == 2 and isinstance(rest[1], tuple) and name not in ROLES else ()
            if k in order:
                todo.pop()
            elif waiting := [i for i in inputs if i not in order]:
                todo.extend(reversed(waiting))
            else:
                order[k] = len(order)
                words = [f"_{order[i]}" for i in inputs] if inputs else list(map(str, rest))
                extra = f" {rest[0]}" if inputs and rest[0] else ""
                lines.append(f"_{order[k]} = {name}({', '.join(words)}){extra}")
                todo.pop()
        return "\n".join([*lines, "return " + ", ".join(f"_{order[k]}" for k in form)])

    def digest(self, form: Form) -> str:
        """A short name for a form, the same in every run."""
        return hashlib.sha256(self.text(form).encode()).hexdigest()[:16]

    def difference(self, got: Form, meant: Form) -> tuple[int, int]:
        """The first pair of forms, from the outputs inwards, that differ in themselves."""
        todo, seen = list(zip(got, meant, strict=True)), set()
        while todo:
            pair = todo.pop(0)
            if pair[0] == pair[1] or pair in seen:
                continue
            seen.add(pair)
            a, b = (self.keys[k] for k in pair)
            same = a[0] == b[0] and a[0] not in ROLES and a[1] == b[1] and len(a) == len(b) == 3
            if not same or len(a[2]) != len(b[2]):
                return pair
            todo.extend(zip(a[2], b[2], strict=True))
        return got[0], meant[0]

    def words(self, k: int) -> str:
        """A form in words."""
        key, node = self.keys[k], self.names[k]
        if key[0] in ROLES:
            return self._brief(k)
        note, name = getattr(node, "note", None), getattr(node, "name", None)
        where = f" (line {note.line})" if note is not None and note.line else ""
        return f"{name} = " * bool(name) + f"{key[0]}({', '.join(map(self._brief, key[2]))})" + where

    def _brief(self, k: int) -> str:
        """A form in a few words: its role, its name, or its operation."""
        key, node = self.keys[k], self.names[k]
        if key[0] == "back":
            op = getattr(node, "op", None)
            return (node.name or f"{op}(...)") + f" of {key[1]} step(s) before" * bool(key[1])
        if key[0] in ROLES:
            return ROLES[key[0]](*key[1:])
        return getattr(node, "name", None) or f"{key[0]}(...)"

    def fits(self, outs: Sequence[Tensor], form: Form, roles: Callable[[Tensor], Sequence[tuple]]) -> bool:
        """Whether nodes have this form for some choice among the roles that each has."""
        todo, seen = list(zip(outs, form, strict=True)), set()
        while todo:
            t, k = todo.pop()
            if (t.id, k) in seen:
                continue
            seen.add((t.id, k))
            key, mine = self.keys[k], roles(t)
            if key in mine:
                continue
            inputs = key[2] if len(key) == 3 and key[0] not in ROLES else ()
            if mine or len(inputs) != len(t.inputs) or self.key(t.op, t.params, inputs, t.value) != key:
                return False
            todo.extend(zip(t.inputs, inputs, strict=True))
        return True


def _lag(what: str, name: str, lag: int) -> str:
    when = {True: f" of {lag} step(s) before its own", False: f" of {-lag} step(s) after its own"}[lag > 0]
    return f"{what} {name}" + when * bool(lag)


ROLES: dict[str, Callable[..., str]] = {
    "state": lambda name, lag: _lag("the state", name, lag),
    "input": lambda name, lag: _lag("the input", name, lag),
    "parameter": lambda name: f"the parameter {name}",
    "constant": lambda value: f"the constant {value[0] if isinstance(value, tuple) else value}",
    "argument": lambda k: f"argument {k}",
    "leaf": lambda k: "a leaf",
    "element": lambda lag, k: _lag("the element", "of a sequence", -lag - 1),
    "back": lambda lag, k: f"node {k} of {lag} step(s) before",
    "node": lambda op, lag: f"the {op} of {lag} step(s) before",
}


def _constant(value: Any, dims: Dims) -> Any:
    """A constant's value: exactly, so that 1 in floats is 1 on symbolic sizes."""
    if isinstance(value, Sized) and not value.axes:
        total = Fraction(0)
        for (fs, _), c in value.entries[()].terms.items():
            for (name, _), power in fs:
                c = c * Fraction(dims[name.removeprefix("#")]) ** power
            total += c
        return total
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiub":
        return Fraction(str(value[()])) if value.dtype.kind == "f" and np.isfinite(value) else value.item()
    if isinstance(value, np.ndarray):
        content = value.tobytes() if value.dtype.kind != "O" else repr(value.tolist()).encode()
        return f"array {value.shape} {value.dtype.kind}", hashlib.sha256(content).hexdigest()
    return repr(value)


def evaluated(x: Any, dims: Dims) -> int:
    """A symbolic size as a number."""
    return x if isinstance(x, int) else sum(math.prod(dims[n] for n in parts(b)) for b in x.blocks)
