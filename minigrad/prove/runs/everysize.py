"""The code that the fast path emits, for every size, batch and number of steps.

The compiler works on whole numbers, so it is run once at sizes that can be told apart: each number in what it
makes is then one sum of sizes, such as n+d or 4*n, and is read as that sum. What is so read is run on arrays of
symbolic size:

- the rewritten program and the emitted text (textrun.py) give what the recorded program gives, for one step of a
  sequence whose length is a symbol, from any state, with any stored values, and with anything in memory: so it
  holds for each step of every sequence;
- the forward text gives the cell, and the backward text, fed with what the forward one stored, its derivative
  (emittedstep.py).

Proved are the texts for which the numbers stand: for small states and, where it is another, for large ones. That
the compiler emits one of them at other sizes is checked where it is asked (`same_text`), and not proved.
"""

from __future__ import annotations

import ast
import itertools
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.blocks import Blocks, Size, size_of
from ...domains.sizes import ATOMS, SIZES, Undecided, fresh
from ...engine.program import Input, Program
from ...fast import Compiled, Scanned
from ..step import size_names
from .emitted import Edit, outputs, scans_of, texts, written
from .emittedstep import emitted_step
from .rows import Rows, check_entries
from .textrun import TIME, arguments, at_time, run_text, summed

LEAST, MOST = 17, 8  # sizes are at least 17, smaller numbers are themselves; at most 8 sizes make one axis
APART = (37, 23, 53, 71, 89, 107)
BATCH = 33


class Reading:
    """Sizes of a cell that can be told apart, and what each whole number in its compiled code is a sum of."""

    def __init__(self, cell: Cell, ones: Collection[str] = ()) -> None:
        """ones: the sizes that are 1, "batch" included."""
        names = size_names(cell)
        if len(names) > len(APART):
            raise Undecided(f"{len(names)} sizes; at most {len(APART)} can be told apart here")
        self.values = dict(zip(names, APART, strict=False)) | {"batch": BATCH} | dict.fromkeys(ones, 1)
        value: dict[Any, int] = {n: self.values[n] for n in names if n not in ones}
        value |= {1: 1} if len(value) < len(names) else {}
        declared = [
            tuple(1 if n in ones else n for n, k in s.items() for _ in range(k))
            for axes in cell.sizes.values() for s in axes
        ]  # fmt: skip
        self.blocks: dict[int, Blocks] = {self.values["batch"]: ("b",)}
        for length in range(1, MOST + 1):
            for parts in itertools.combinations_with_replacement(value, length):
                total, mine = sum(value[p] for p in parts), sorted(parts, key=str)
                order = next((d for d in declared if sorted(d, key=str) == mine), parts)
                self.blocks[total] = () if total in self.blocks else order  # (): in more than one way

    def of(self, x: Any) -> Any:
        """A number as the size that it is; anything else with the numbers in it so read.

        Raises Undecided for a number that is no sum of sizes, or more than one.
        """
        if isinstance(x, (tuple, list)):
            return type(x)(map(self.of, x))
        if isinstance(x, slice):
            return slice(self.of(x.start), self.of(x.stop), x.step)
        if isinstance(x, dict):
            return {k: self.of(v) for k, v in x.items()}
        if isinstance(x, bool) or not isinstance(x, int) or x < LEAST:
            return x
        if not self.blocks.get(x):
            raise Undecided(f"the number {x} is not one sum of the sizes {self.values}")
        return size_of(self.blocks[x])

    def constant(self, c: Any) -> Any:
        """A constant, which may be a size or a product of two, such as the number that a mean divides by."""
        if c.dtype == np.float32 and not c.ndim:
            c = np.asarray(float(str(c)))  # the number that is written in the cell: 1e-5, not the float32 next to it
        if c.ndim or c.dtype.kind not in "fiu" or c != np.floor(c) or c < LEAST:
            return c
        for x in self.values.values():
            if c % x == 0 and c // x in self.values.values():
                return SIZES.number(self.of(x)) * SIZES.number(self.of(int(c // x)))
        return SIZES.number(self.of(int(c)))

    def program(self, p: Program) -> Program:
        """The program with its numbers read as sizes."""
        inputs = tuple(Input(x.name, self.of(x.shape), x.dtype) for x in p.inputs)
        nodes = tuple(replace(n, params=self.of(n.params), shape=self.of(n.shape)) for n in p.nodes)
        return replace(p, inputs=inputs, nodes=nodes, consts=tuple(map(self.constant, p.consts)))

    def text(self, text: str) -> tuple[str, dict[str, Any]]:
        """Emitted text with its numbers read as sizes, and the names that now stand for them."""
        names: dict[str, Any] = {}
        reading = self

        class Read(ast.NodeTransformer):
            def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
                slots = isinstance(node.value, ast.Name) and node.value.id == "env"
                return node if slots else self.generic_visit(node)

            def visit_Constant(self, node: ast.Constant) -> ast.AST:
                size = reading.of(node.value)
                if not isinstance(size, Size):
                    return node
                name = f"size_{node.value!r}"
                names[name] = size
                return ast.Name(name, ast.Load())

        tree = ast.parse(text)
        check_entries(tree)
        tree = Rows().visit(Read().visit(tree))
        return ast.unparse(ast.fix_missing_locations(tree)), names


@dataclass(frozen=True)
class EverySize:
    """Whether the code of a cell's scans was shown right for every size.

    verdict: proved | unknown. compared: identities; conditions: what was assumed of sizes and entries;
    reason: what is not shown, and why.
    """

    verdict: str
    compared: int
    conditions: tuple[str, ...]
    seconds: float
    reason: str = ""

    def __bool__(self) -> bool:
        return self.verdict == "proved"


def check_every_size(
    cell: Cell, edit: Edit = lambda text: text, ones: Collection[str] = (), kernels: bool = False, **how: Any
) -> EverySize:
    """The rewritten programs and the emitted text of a cell's scans, forward and backward, for every size.

    edit: as for `emitted.judge`; ones: the sizes that are 1, for which the text may be another; kernels: the
    text that numba compiles (but for the bounds of its loops over rows); how: as for `scans_of`. Only of
    training are the scans compared with the cell and its derivative as well, and only without cuts and segments.
    """
    start, compared, reason = time.perf_counter(), 0, ""
    with fresh() as sizes:
        try:
            reading = Reading(cell, ones)
            scans = scans_of(cell, reading.values, **how)
            versions = [written(s, kernels) if s.compiled else [] for s in scans]
            for scan, several in zip(scans, versions, strict=True):
                for compiled in several:
                    found, wrong = _one_text(reading, scan, compiled, edit)
                    compared += found
                    reason = reason or wrong
            training = len(scans) == 2 and how.keys() <= {"reverse", "dtype"} and all(versions)
            if training and not reason:  # one text of each scan: the other gives what the program gives, too
                forward, backward = (replace(s, compiled=v[0]) for s, v in zip(scans, versions, strict=True))
                found, parts = emitted_step(cell, reading, forward, backward, edit)
                compared += found
                reason = f"the emitted step is not the cell and its derivative: {', '.join(parts)}" * bool(
                    parts
                )
        except Exception as e:
            reason = f"{type(e).__name__}: {e}"
        conditions = tuple(sorted(sizes.conditions))
    return EverySize(
        "unknown" if reason else "proved", compared, conditions, time.perf_counter() - start, reason
    )


def _one_text(reading: Reading, scan: Scanned, compiled: Compiled, edit: Edit) -> tuple[int, str]:
    """(how many identities, what is not shown to be one)."""
    meant, layout = reading.program(scan.program), scan.layout
    stacks = arguments(meant, layout, TIME.blocks)
    one_step = [at_time(x) if i < layout.n_state + layout.n_seq else x for i, x in enumerate(stacks)]

    def run(program: Program) -> list[Any]:
        """What one step of a program gives; what it sums, summed over time."""
        found, k = program.run(SIZES, one_step), layout.n_state + layout.n_stack
        return [*found[:k], *(summed(x, TIME.blocks) for x in found[k:])]

    ways: dict[str, Callable[[], list[Any]]] = {
        "the rewritten program": lambda: run(reading.program(compiled.program)),
        "the emitted text": lambda: run_text(compiled, reading, stacks, edit),
    }
    true, wrong, compared = run(meant), list[str](), 0
    for way, give in ways.items():
        for what, a, b in zip(outputs(scan.program, layout), give(), true, strict=True):
            if a.axes != b.axes:
                raise Undecided(f"{way}: {what} has its blocks in another order")
            compared += len(a.entries)
            if any(e != b.entries[k] and not ATOMS.is_zero(e - b.entries[k]) for k, e in a.entries.items()):
                wrong.append(what)
        if wrong:
            return compared, f"{way} of {scan.program.name}: {', '.join(wrong)}"
    return compared, ""


def same_text(cell: Cell, sizes: dict[str, int], **how: Any) -> bool:
    """Whether the text emitted at these sizes is one of those that are proved, with the sizes put in."""
    reading = Reading(cell)
    by_name = {"b" if k == "batch" else k: v for k, v in sizes.items()}

    def put_in(text: str) -> str:
        read, names = reading.text(text)
        for name, size in names.items():
            total = sum(1 if b == 1 else by_name[b] for b in size.blocks)
            read = re.sub(rf"\b{name}\b", str(total), read)
        return re.sub(r"\bc_(\d+)\b", lambda m: f"c_{constant(int(m[1]))}", read)

    def constant(c: int) -> int:
        """The value at these sizes of a constant that the text has in its name."""
        names = {reading.values[k]: n for k, n in sizes.items()}
        pairs = {x * y: names[x] * names[y] for x in names for y in names}
        return pairs.get(c, names.get(c, c))

    there, here = scans_of(cell, reading.values, **how), scans_of(cell, sizes, **how)
    for a, b in zip(there, here, strict=True):
        if not a.compiled or not b.compiled:
            return not a.compiled and not b.compiled
        which = -1 if b.compiled.near else 0
        proved, emitted = (texts(written(x, False)[which]) for x in (a, b))
        if [put_in(t) for t in proved] != [ast.unparse(ast.parse(t)) for t in emitted]:
            return False
    return True
