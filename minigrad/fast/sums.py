"""Sums over time as one function: of a product they are one product over (time, batch), of a sum the sum of both.

No stack is made of what is only summed: what is linear is applied to the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ..engine.program import Node, Program
from .cut import Cut
from .emit import Rule, variables
from .views import View

INFIX = {"add": " + ", "sub": " - "}
LINEAR = (*INFIX, "neg", "reshape", "transpose", "index", "place", "cast", "concat")


def lazy(program: Program, c: Cut, slot: int) -> list[int]:
    """The slots that must be known to sum this one over time, nothing else of it being needed."""
    first = len(program.inputs) + len(program.consts)
    if slot < first or slot not in c.stacked:
        return [slot]
    n = program.nodes[slot - first]
    if n.op.name in LINEAR and _plain(program, c, n):
        return [x for a in n.args for x in lazy(program, c, a)]
    if n.op.name == "matmul" and all(a in c.stacked for a in n.args):
        return [_under(program, c, a)[0] for a in n.args]
    if n.op.name == "scatter" and all(a in c.stacked for a in n.args):
        return list(n.args)
    if n.op.name == "sum":
        return _rows(program, c, n.args[0]) if _over_rows(program, n) else [n.args[0]]
    return [slot]


def _over_rows(program: Program, n: Node) -> bool:
    """Whether a sum is over the rows of a matrix of floats."""
    x = n.args[0]
    return (
        len(program.shape(x)) == 2 and tuple(n.params["axis"]) == (-2,)
        and np.dtype(program.dtype(x)).kind not in "iub"
    )  # fmt: skip


def _rows(program: Program, c: Cut, slot: int) -> list[int]:
    """The slots whose rows are to be summed, if those of this one are: of columns put together, the parts."""
    parts = _columns(program, c, slot)
    return [x for a in parts for x in _rows(program, c, a)] if parts else [slot]


def _columns(program: Program, c: Cut, slot: int) -> tuple[int, ...]:
    """What a slot is made of, if it is columns of one matrix, or of several side by side."""
    k = slot - len(program.inputs) - len(program.consts)
    if k < 0 or slot in c.inside:
        return ()
    n = program.nodes[k]
    takes = n.op.name == "index" and len(n.params["key"]) == 1 and isinstance(n.params["key"][0], slice)
    joins = n.op.name == "concat" and n.params["axis"] == -1
    fit = all(a in c.stacked and len(program.shape(a)) == 2 for a in n.args)
    return n.args if fit and (takes or joins) else ()


def _plain(program: Program, c: Cut, n: Node) -> bool:
    """Whether the node is linear in its arguments, which all have its own rank or are alone."""
    if len(n.args) == 1:
        return True
    if n.op.name == "concat":
        return all(a in c.stacked for a in n.args)
    return all(a in c.stacked and program.shape(a) == n.shape for a in n.args)


def _under(program: Program, c: Cut, slot: int) -> tuple[int, bool]:
    """(slot, False), or what a slot was before and True, if it is transposed outside the loop."""
    k = slot - len(program.inputs) - len(program.consts)
    n = program.nodes[k] if k >= 0 and slot not in c.inside else None
    if n is not None and n.op.name == "transpose" and n.params["axes"] == (-1, -2):
        return n.args[0], True
    return slot, False


class Sums:
    """The sums over time of slots; known: the slots that are in the environment. `run` gives them in order."""

    def __init__(
        self, program: Program, slots: Sequence[int], c: Cut, known: Collection[int]
    ) -> None:
        self.program, self.cut, self.known = program, c, known
        self.first = len(program.inputs) + len(program.consts)
        self.names = variables(program)
        self.space: dict[str, Any] = {"np": np}
        self.read: list[int] = []
        self.totals: dict[int, str] = {}  # slot: the variable of its sum
        self.rows: dict[int, str] = {}  # slot: the variable of the sum of its rows, too
        self.taken = set(self.names)
        self.lines: list[str] = []
        self.source = self._text(slots) if slots else ""
        if slots:
            exec(compile(self.source, f"<sums over time of {program.name}>", "exec"), self.space)
        self.run: Callable[[dict[int, Any], int], tuple[Any, ...]] = self.space.get("sums", lambda env, T: ())

    def _text(self, slots: Sequence[int]) -> str:
        results = [self._total(k) for k in slots]
        lines = [f"{self.names[k]} = env[{k}]" for k in self.read] + self.lines
        lines.append(f"return ({', '.join(results)},)")
        return "\n".join(
            [f"def sums(env, T):  # over time, of {self.program.name}", *(f"    {x}" for x in lines), ""]
        )

    def _fresh(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _value(self, slot: int) -> str:
        """The variable of a slot as it is in the environment."""
        if slot not in self.read:
            self.read.append(slot)
        return self.names[slot]

    def _total(self, slot: int) -> str:
        """The variable of the sum over time of a slot."""
        if slot not in self.totals:
            text = self._expression(slot)
            self.totals[slot] = name = self._fresh(f"sum_{self.names[slot]}")
            self.lines.append(f"{name} = {text}")
        return self.totals[slot]

    def _expression(self, slot: int) -> str:
        if slot not in self.cut.stacked:
            return f"{self._value(slot)} * T"
        if slot in self.known:
            return f"{self._value(slot)}.sum(axis=0)"
        n = self.program.nodes[slot - self.first]
        if n.op.name == "matmul":
            return self._product(n)
        if n.op.name == "sum":
            return self._flat_sum(n)
        if n.op.name == "scatter":  # time is one more axis of the indices
            return self._call(slot, n, map(self._value, n.args), n.params | {"at": n.params["at"] + 1})
        args = [self._total(a) for a in n.args]
        if n.op.name in ("index", "concat"):
            return self._layout(n, args)
        if n.op.name == "transpose" and n.params["axes"] == (-1, -2):
            return f"{args[0]}.swapaxes(-1, -2)"
        return INFIX[n.op.name].join(args) if n.op.name in INFIX else self._call(slot, n, args, n.params)

    def _call(self, slot: int, n: Node, args: Any, params: dict[str, Any]) -> str:
        name = f"_{n.op.name}_{slot}"
        self.space[name] = Rule(n.op, params)
        return f"{name}({', '.join(args)})"

    def _flat_sum(self, n: Node) -> str:
        """A sum over time and over axes of the step: where it can be, a row of ones times the stack."""
        x, axis, keep = n.args[0], tuple(n.params["axis"]), n.params["keepdims"]
        if _over_rows(self.program, n):
            return self._row_sum(x) + "[None]" * keep
        axes = (0, *(a + len(self.program.shape(x)) + 1 for a in axis))
        return f"{self._value(x)}.sum(axis={axes}, keepdims={keep})" + "[0]" * keep

    def _row_sum(self, slot: int) -> str:
        """The variable of the sum over time and rows of a slot."""
        if slot not in self.rows:
            self.rows[slot] = name = self._fresh(f"rows_{self.names[slot]}")
            parts = [self._row_sum(a) for a in _columns(self.program, self.cut, slot)]
            if not parts:
                (rows, columns), x = self.program.shape(slot), self._value(slot)
                text = f"(np.ones((1, T * {rows}), {x}.dtype) @ {x}.reshape(-1, {columns}))[0]"
            else:
                n = self.program.nodes[slot - self.first]
                text = self._layout(n, parts)
            self.lines.append(f"{name} = {text}")
        return self.rows[slot]

    def _layout(self, n: Node, args: list[str]) -> str:
        """A slice, or a concatenation, of variables."""
        if n.op.name == "index":
            return View("index", (..., *n.params["key"])).text(args[0])
        return f"np.concatenate(({', '.join(args)}), {n.params['axis']})"

    def _product(self, n: Node) -> str:
        """sum_t A_t B_t as one product over (time, inner axis)."""
        (a, flip_a), (b, flip_b) = (_under(self.program, self.cut, x) for x in n.args)
        x, y, p, r = self._value(a), self._value(b), self.program.shape(a), self.program.shape(b)
        if len(p) != 2 or len(r) != 2:
            left, right = (v + ".swapaxes(-1, -2)" * f for v, f in ((x, flip_a), (y, flip_b)))
            return f"np.matmul({left}, {right}).sum(axis=0)"
        left = f"{x}.reshape(-1, {p[1]}).T" if flip_a else f"{x}.transpose(1, 0, 2).reshape({p[0]}, -1)"
        right = f"{y}.transpose(0, 2, 1).reshape(-1, {r[0]})" if flip_b else f"{y}.reshape(-1, {r[1]})"
        return f"np.dot({left}, {right})"
