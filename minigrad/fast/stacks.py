"""Nodes outside the loop, on whole stacks: value(stack) = stack(value).

Every row counts its axes from the right, so running a node on stacks of shape (T, ...) is running it at
every step. Elementwise rows write into arrays that nobody needs any more, and parts of a concatenation into the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..engine.primitives import LAYOUT, POINTWISE
from ..engine.program import Node, Program
from .emit import Rule, variables
from .kernels import multiply
from .memory import empty
from .views import View
from .written import function

UFUNCS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "tanh": "tanh",
}  # fmt: skip


class Outside:
    """The nodes that run before, or after, the loop: one function, which reads and fills an environment."""

    def __init__(
        self,
        name: str,
        program: Program,
        slots: Sequence[int],
        stacked: frozenset[int],
        needed: Collection[int],
    ) -> None:
        self.name, self.program, self.stacked = name, program, stacked
        self.first = len(program.inputs) + len(program.consts)
        self.slots, self.mine, self.names = list(slots), set(slots), variables(program)
        self.last = {a: k for k in self.slots for a in self._node(k).args}
        self.last.update(dict.fromkeys(needed, self.first + len(program.nodes)))
        self.homes = self._homes()
        self.over: set[int] = set()  # what has been written over
        self.space: dict[str, Any] = {"np": np, "empty": empty, "product": _product}
        self.source, self.run = "", _nothing
        if self.slots:
            self.source, notes = self._text(needed)
            title = f"{name} the loop of {program.name}"
            self.run = function(name, self.source, title, self.space, notes)

    def _node(self, slot: int) -> Node:
        return self.program.nodes[slot - self.first]

    def _homes(self) -> dict[int, tuple[int, str]]:
        """Slots that are computed where a concatenation wants them: (its slot, the key of the part)."""
        homes: dict[int, tuple[int, str]] = {}
        for k in self.slots:
            n = self._node(k)
            for a, key in self._parts(n) if n.op.name == "concat" else ():
                alike = (a in self.stacked) == (k in self.stacked) and self.program.dtype(a) == n.dtype
                if a in self.mine and a not in homes and alike and self._node(a).op.name in UFUNCS:
                    homes[a] = k, key
        return homes

    def _parts(self, n: Node) -> list[tuple[int, str]]:
        """The arguments of a concatenation, and where they go."""
        at, parts = 0, []
        for a in n.args:
            width = self.program.shape(a)[n.params["axis"]]
            parts.append((a, f"[..., {at}:{at + width}{', :' * (-n.params['axis'] - 1)}]"))
            at += width
        return parts

    # ---- text ----
    def _text(self, needed: Collection[int]) -> tuple[str, dict[int, Any]]:
        """The function, and which line of the cell each of its lines comes from."""
        read = sorted({a for k in self.slots for a in self._node(k).args} - self.mine)
        begun: set[int] = set()  # concatenations whose memory is there
        lines = [f"def {self.name}(env, T):  # the loop of {self.program.name}"]
        lines += [f"    {self.names[a]} = env[{a}]" for a in read]
        notes: dict[int, Any] = {}
        for k in self.slots:
            mine = self._lines(k, begun)
            notes.update(dict.fromkeys(range(len(lines) + 1, len(lines) + 1 + len(mine)), self._node(k).note))
            lines += [f"    {line}" for line in mine]
        lines += [f"    env[{k}] = {self.names[k]}" for k in self.slots if k in needed]
        return "\n".join([*lines, ""]), notes

    def _lines(self, k: int, begun: set[int]) -> list[str]:
        n, name = self._node(k), self.names[k]
        op, lines = n.op.name, list[str]()
        if op == "concat":
            if k not in begun:
                lines.append(f"{name} = {self._empty(k)}")
            copies = [
                (a, key) for i, (a, key) in enumerate(self._parts(n))
                if self.homes.get(a) != (k, key) or a in n.args[:i]
            ]  # fmt: skip
            return lines + [f"{name}{key} = {self.names[a]}" for a, key in copies]
        args = [self._argument(a, n) for a in n.args]
        if op in UFUNCS:
            self.space[UFUNCS[op]] = getattr(np, UFUNCS[op])
            out = self._out(k, n)
            if k in self.homes and self.homes[k][0] not in begun:
                whole = self.homes[k][0]
                begun.add(whole)
                lines.append(f"{self.names[whole]} = {self._empty(whole)}")
            return [*lines, f"{name} = {UFUNCS[op]}({', '.join(args)}, {out})"]
        if op == "matmul" and k in self.stacked and n.args[1] not in self.stacked and len(n.shape) == 2:
            return [f"{name} = product({args[0]}, {args[1]}, {self._empty(k)})"]
        if op == "index":
            return [f"{name} = {View('index', (..., *n.params['key'])).text(args[0])}"]
        if op == "transpose" and n.params["axes"] == (-1, -2):
            return [f"{name} = {args[0]}.swapaxes(-1, -2)"]
        return [f"{name} = {self._call(k, n)}"]

    def _argument(self, a: int, n: Node) -> str:
        """An argument, lined up with time for an elementwise row."""
        rank, shape = max(len(self.program.shape(b)) for b in n.args), self.program.shape(a)
        if n.op.kind == POINTWISE and a in self.stacked and len(shape) < rank:
            return (
                f"{self.names[a]}.reshape({', '.join(map(str, ['T', *(1,) * (rank - len(shape)), *shape]))})"
            )
        return self.names[a]

    def _empty(self, k: int) -> str:
        dtype = np.dtype(self.program.dtype(k))
        self.space[dtype.name] = dtype
        shape = ", ".join(map(str, ["T"] * (k in self.stacked) + list(self.program.shape(k))))
        return f"empty(({shape}{',' * (',' not in shape and shape != '')}), {dtype.name})"

    def _out(self, k: int, n: Node) -> str:
        """Where an elementwise row writes: into its concatenation, over an argument, or a new array."""
        if k in self.homes:
            whole, key = self.homes[k]
            return self.names[whole] + key
        done = self.slots[: self.slots.index(k)]
        for a in (*n.args, *(a for a in done if self.last.get(a) in done)):
            if self._may_overwrite(a, k, n):
                self.over.add(a)
                return self.names[a]
        return self._empty(k)

    def _may_overwrite(self, a: int, k: int, n: Node) -> bool:
        """Whether the argument, or an earlier value, is an array of its own that nobody reads later."""
        same = self.program.shape(a) == n.shape and self.program.dtype(a) == n.dtype
        own = a in self.mine and self._node(a).op.name in (*UFUNCS, "matmul") and a not in self.homes
        looked_at = (self._node(j) for j in self.slots if self._node(j).op.kind == LAYOUT)
        return (
            same and own and a not in self.over and (a not in n.args or self.last[a] == k)
            and (a in self.stacked) == (k in self.stacked) and not any(a in v.args for v in looked_at)
        )  # fmt: skip

    def _call(self, k: int, n: Node) -> str:
        """The call of a row that has no form of its own here."""
        args = [self._argument(a, n) for a in n.args]
        if n.op.name == "stack" and k in self.stacked:  # the axis of time must be there in all of them
            shapes = (", ".join(map(str, ("T", *self.program.shape(a)))) for a in n.args)
            spread = [f"np.broadcast_to({text}, ({shape}))" for text, shape in zip(args, shapes, strict=True)]
            args = [text if a in self.stacked else s for a, text, s in zip(n.args, args, spread, strict=True)]
        name = f"_{n.op.name}_{k}"
        self.space[name] = Rule(n.op, n.params)
        return f"{name}({', '.join(args)})"


def _nothing(env: dict[int, Any], T: int) -> None:
    """What runs where there is nothing to run."""


def _product(a: Any, b: Any, out: Any) -> Any:
    """a @ b for all steps as one product."""
    multiply(a.reshape(-1, a.shape[-1]), b, out.reshape(-1, b.shape[-1]))
    return out
