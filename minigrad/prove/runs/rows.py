"""The text of compiled loops, read for whole arrays: what is done at each row and column, done at all of them.

An inner statement reads and writes entries whose index is made of the loops' variables, and what it writes it reads
at the same index, or in columns of their own (`check_entries`): so done at all entries at once it is the same.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from ...domains.sizes import SIZES, Sized, Undecided
from ..backward.numpylike import Symbolic

Index = Sequence[tuple[str, Any, Any]]  # for each axis (a loop's variable or nothing, from, how many or all)


def check_entries(tree: ast.AST) -> None:
    """Raises Undecided if a statement of a loop reads what it writes elsewhere, at another index."""
    for loop in (n for n in ast.walk(tree) if isinstance(n, ast.For)):
        for line in (n for n in loop.body if isinstance(n, ast.Assign)):
            target, bound = line.targets[0], getattr(loop.iter, "args", [None])[0]
            for read in (n for n in ast.walk(line.value) if isinstance(n, ast.Subscript)):
                if isinstance(target, ast.Subscript) and ast.dump(read.value) == ast.dump(target.value):
                    if not _apart(target.slice, read.slice, bound):
                        raise Undecided(f"{ast.unparse(line)} reads other entries than it writes")


def _apart(a: ast.expr, b: ast.expr, bound: Any) -> bool:
    """Whether two indices are the same, or only their columns differ, by whole widths of the loop."""
    if ast.unparse(a) == ast.unparse(b):
        return True
    if not isinstance(a, ast.Tuple) or not isinstance(b, ast.Tuple) or not isinstance(bound, ast.Constant):
        return False
    gap = _start(a.elts[-1]) - _start(b.elts[-1])
    rows = [[*map(ast.unparse, i.elts[:-1])] for i in (a, b)]
    return rows[0] == rows[1] and gap % int(str(bound.value)) == 0


def _start(part: ast.expr) -> int:
    right = part.right if isinstance(part, ast.BinOp) else None
    return int(str(right.value)) if isinstance(right, ast.Constant) else 0


class Rows(ast.NodeTransformer):
    """Loops over rows and columns, and the one over time, replaced by what they do at each entry."""

    def __init__(self) -> None:
        self.loops: dict[str, ast.expr] = {}

    def visit_For(self, node: ast.For) -> Any:
        """The body of a loop over steps, rows or columns; other loops stay."""
        name = node.target.id if isinstance(node.target, ast.Name) else ""
        if not (name == "t" or name == "column" or name.startswith("row")):
            return self.generic_visit(node)
        assert isinstance(node.iter, ast.Call)
        self.loops[name] = node.iter.args[0]
        body = [self.visit(line) for line in node.body]
        del self.loops[name]
        return [line for part in body for line in (part if isinstance(part, list) else [part])]

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """A statement for each entry as one for all."""
        target = node.targets[0]
        if not self.loops or not isinstance(target, ast.Subscript):
            return self.generic_visit(node)
        call = ast.Call(ast.Name("_put", ast.Load()), [target.value, self._index(target), self.visit(node.value)], [])
        return ast.Expr(call)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Entries read, as an array with the loops' axes; `x[t]` is x at this step."""
        if isinstance(node.slice, ast.Name) and node.slice.id == "t":
            return node.value
        if set(self.loops) <= {"t"} and not self._of_one(node):
            return self.generic_visit(node)
        return ast.Call(ast.Name("_at", ast.Load()), [node.value, self._index(node)], [])

    def _of_one(self, node: ast.Subscript) -> bool:
        """Whether it is an entry of a step, without loops around it."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return bool(self.loops) and not any(isinstance(p, ast.Slice) for p in parts)

    def _index(self, node: ast.Subscript) -> ast.expr:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found = [self._axis(p) for p in parts if not (isinstance(p, ast.Name) and p.id == "t")]
        return ast.Tuple(found, ast.Load())

    def _axis(self, part: ast.expr) -> ast.expr:
        """(variable, from, how many) as text."""
        start: ast.expr = ast.Constant(0)
        if isinstance(part, ast.BinOp):
            start, part = part.right, part.left
        if isinstance(part, ast.Slice):  # a row that a function takes as a whole
            assert part.lower is not None
            assert part.upper is not None
            width = part.upper if _zero(part.lower) else ast.BinOp(part.upper, ast.Sub(), part.lower)
            return ast.Tuple([ast.Constant("column"), part.lower, width], ast.Load())
        if isinstance(part, ast.Name) and part.id in self.loops:
            bound = self.loops[part.id]
            many = ast.Constant(None) if isinstance(bound, ast.Subscript) else bound
            return ast.Tuple([ast.Constant(part.id), start, many], ast.Load())
        return ast.Tuple([ast.Constant(""), part, ast.Constant(1)], ast.Load())


def _zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def entries_at(x: Any, index: Index) -> Any:
    """The entries of an array at these indices, with the axes (row, column); nothing for an axis of one entry."""
    found, axes = x[_key(index)] if index else x, [v for v, _, _ in index if v]
    if axes == ["row"]:
        value = _value(found)
        return Symbolic(SIZES.reshape(value, (*value.shape, 1), 1))
    if axes in ([], ["column"], ["row", "column"]):
        return found
    raise Undecided(f"entries with the axes {axes}")


def entries_put(x: Any, index: Index, y: Any) -> None:
    """Write entries with the axes (row, column) at these indices."""
    axes, value = [v for v, _, _ in index if v], _value(y)
    if axes not in ([], ["row"], ["column"], ["row", "column"]):
        raise Undecided(f"entries with the axes {axes}")
    if axes == ["row"] and value.ndim == 2:
        value = SIZES.reshape(value, value.shape[:1], 2)
    while value.ndim > len(axes) and value.shape[0] == 1:
        value = SIZES.reshape(value, value.shape[1:], value.ndim)
    x[_key(index) if index else ...] = Symbolic(value)


def _key(index: Index) -> Any:
    """The slices."""
    return tuple(
        start if not v else slice(None) if many is None else slice(start, start + many)
        for v, start, many in index
    )  # fmt: skip


def _value(x: Any) -> Sized:
    if isinstance(x, Symbolic):
        return x.value
    return x if isinstance(x, Sized) else SIZES.number(x)
