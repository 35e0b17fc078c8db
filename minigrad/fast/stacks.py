"""Nodes outside the loop, on whole stacks: value(stack) = stack(value); sums over time become products.

Every row counts its axes from the right, so running a node on stacks of shape (T, ...) is running it at
every step. A sum over time that ends in a matrix product becomes one product over (time, batch).
Elementwise rows write into arrays that nobody needs any more, and parts of a concatenation into the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ..domains.floats import FLOATS
from ..engine.primitives import LAYOUT, POINTWISE
from ..engine.program import Node, Program
from .emit import Rule, variables
from .kernels import multiply
from .memory import empty
from .views import View

UFUNCS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "tanh": "tanh",
}  # fmt: skip
LINEAR = ("add", "sub", "neg", "reshape", "transpose", "index", "place", "cast", "concat")


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
        self.space: dict[str, Any] = {"np": np, "empty": empty, "product": _product}
        self.source = self._text(needed) if self.slots else ""
        if self.slots:
            exec(compile(self.source, f"<{name} the loop of {program.name}>", "exec"), self.space)
        self.run: Callable[[dict[int, Any], int], None] = self.space.get(name, lambda env, T: None)

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
    def _text(self, needed: Collection[int]) -> str:
        read = sorted({a for k in self.slots for a in self._node(k).args} - self.mine)
        begun: set[int] = set()  # concatenations whose memory is there
        lines = [f"{self.names[a]} = env[{a}]" for a in read]
        for k in self.slots:
            lines += self._lines(k, begun)
        lines += [f"env[{k}] = {self.names[k]}" for k in self.slots if k in needed]
        return "\n".join(
            [f"def {self.name}(env, T):  # the loop of {self.program.name}", *(f"    {x}" for x in lines), ""]
        )

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
        dtype = np.dtype(self.program.dtype(k)).name
        shape = ", ".join(map(str, ["T"] * (k in self.stacked) + list(self.program.shape(k))))
        return f"empty(({shape}{',' * (',' not in shape and shape != '')}), {dtype!r})"

    def _out(self, k: int, n: Node) -> str:
        """Where an elementwise row writes: into its concatenation, over an argument, or a new array."""
        if k in self.homes:
            whole, key = self.homes[k]
            return self.names[whole] + key
        over = next((a for a in n.args if self._may_overwrite(a, k, n)), None)
        return self._empty(k) if over is None else self.names[over]

    def _may_overwrite(self, a: int, k: int, n: Node) -> bool:
        """Whether the argument is an array of its own that nobody reads later."""
        same = self.program.shape(a) == n.shape and self.program.dtype(a) == n.dtype
        own = a in self.mine and self._node(a).op.name in (*UFUNCS, "matmul") and a not in self.homes
        looked_at = (self._node(j) for j in self.slots if self._node(j).op.kind == LAYOUT)
        return (
            same and own and self.last[a] == k and (a in self.stacked) == (k in self.stacked)
            and not any(a in v.args for v in looked_at)
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


def _product(a: Any, b: Any, out: Any) -> Any:
    """a @ b for all steps as one product."""
    multiply(a.reshape(-1, a.shape[-1]), b, out.reshape(-1, b.shape[-1]))
    return out


class Sums:
    """Sums over time of slots, computed without the stack where the node allows it."""

    def __init__(self, program: Program, env: dict[int, Any], stacked: frozenset[int], T: int) -> None:
        self.program, self.env, self.stacked, self.T = program, env, stacked, T
        self.first = len(program.inputs) + len(program.consts)
        self.known: dict[int, Any] = {}

    def lazy(self, slot: int) -> list[int]:
        """The slots that must be known to sum this one, nothing else of it being needed."""
        if slot < self.first or slot not in self.stacked:
            return [slot]
        n = self.program.nodes[slot - self.first]
        if n.op.name in LINEAR and self._plain(n):
            return [x for a in n.args for x in self.lazy(a)]
        if n.op.name in ("matmul", "scatter") and all(a in self.stacked for a in n.args):
            return [self._under(a)[0] for a in n.args]
        return [n.args[0]] if n.op.name == "sum" else [slot]

    def _plain(self, n: Node) -> bool:
        """Whether the node is linear in its arguments, which all have its own rank or are alone."""
        if len(n.args) == 1:
            return True
        if n.op.name == "concat":
            return all(a in self.stacked for a in n.args)
        return all(a in self.stacked and self.program.shape(a) == n.shape for a in n.args)

    def _under(self, slot: int) -> tuple[int, bool]:
        """(slot, False), or what a transposed slot was before and True."""
        if slot >= self.first:
            n = self.program.nodes[slot - self.first]
            if n.op.name == "transpose" and n.params["axes"] == (-1, -2):
                return n.args[0], True
        return slot, False

    def total(self, slot: int) -> Any:
        """The sum over time of a slot."""
        if slot not in self.known:
            self.known[slot] = self._total(slot)
        return self.known[slot]

    def _total(self, slot: int) -> Any:
        if slot not in self.stacked:
            return self.env[slot] * self.T
        if slot in self.env or slot < self.first:
            return self.env[slot].sum(axis=0)
        n = self.program.nodes[slot - self.first]
        if n.op.name == "matmul":
            return self._product(n)
        if n.op.name == "sum":
            return self._flat_sum(n)
        if n.op.name == "scatter":
            flat = n.params | {"at": n.params["at"] + 1}  # time is one more axis of the indices
            return n.op.value(FLOATS, *[self.env[a] for a in n.args], **flat)
        return np.asarray(n.op.value(FLOATS, *[self.total(a) for a in n.args], **n.params))

    def _flat_sum(self, n: Node) -> Any:
        """A sum over time and over axes of the step: where it can be, a row of ones times the stack."""
        x, axis, keep = self.env[n.args[0]], n.params["axis"], n.params["keepdims"]
        if x.ndim == 3 and tuple(axis) == (-2,) and x.dtype.kind not in "iub":
            y = np.ones((1, x.shape[0] * x.shape[1]), x.dtype) @ x.reshape(-1, x.shape[2])
            return y if keep else y[0]
        total = x.sum(axis=(0, *(a + x.ndim for a in axis)), keepdims=keep)
        return total[0] if keep else total

    def _product(self, n: Node) -> Any:
        """sum_t A_t B_t as one product over (time, inner axis)."""
        (a, flip_a), (b, flip_b) = (self._under(x) for x in n.args)
        x, y = self.env[a], self.env[b]
        if x.ndim != 3 or y.ndim != 3:
            p, r = (np.swapaxes(v, -1, -2) if f else v for v, f in ((x, flip_a), (y, flip_b)))
            return np.matmul(p, r).sum(axis=0)
        left = x.reshape(-1, x.shape[-1]).T if flip_a else x.transpose(1, 0, 2).reshape(x.shape[1], -1)
        right = y.transpose(0, 2, 1).reshape(-1, y.shape[1]) if flip_b else y.reshape(-1, y.shape[-1])
        return multiply(left, right, np.empty((left.shape[0], right.shape[1]), np.result_type(left, right)))
