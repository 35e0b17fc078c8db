"""Faults planted in emitted code, line by line: what a wrong emitter would write."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

import minigrad as mg
from minigrad.cells import cell


@cell(h="n", x="d", W="d n", u="n")
def overlapping(h, /, x, *, W, u):
    """Overlapping parts of the state: their cotangents are added into one array inside the loop."""
    scale = mg.sum(h[..., :2], -1, keepdims=True) * mg.sum(h[..., 1:], -1, keepdims=True)
    return mg.tanh(x @ W + u * h) * scale


OTHER = {"add": "subtract", "subtract": "add", "multiply": "add", "tanh": "negative"}
ORDERED = ("subtract", "divide", "dot", "matmul", "product")


def faults(text: str) -> Iterator[tuple[str, str]]:
    """(kind, wrong text) of one emitted text; each has one fault."""
    tree = ast.parse(text)
    for at, node in enumerate(ast.walk(tree)):
        for kind, change in CHANGES.items():
            if kind in KINDS.get(type(node), ()):
                wrong = copy.deepcopy(tree)
                if change(list(ast.walk(wrong))[at], wrong):
                    yield kind, ast.unparse(wrong)


def _operands(node: ast.Call, tree: ast.AST) -> bool:
    name = _name(node) or getattr(node.func, "attr", "")
    if name not in ORDERED or ast.dump(node.args[0]) == ast.dump(node.args[1]):
        return False
    node.args[:2] = node.args[1::-1]
    return True


def _operation(node: ast.Call, tree: ast.AST) -> bool:
    if _name(node) not in OTHER:
        return False
    node.func = ast.Name(OTHER[_name(node)])
    return True


def _buffer(node: ast.Call, tree: ast.AST) -> bool:
    """The result goes where another line's goes."""
    if not node.args or not isinstance(node.args[-1], ast.Name) or isinstance(node.func, ast.Attribute):
        return False
    own = node.args[-1].id
    places = {c.args[-1].id for c in ast.walk(tree) if _writes(c) and isinstance(c.args[-1], ast.Name)}
    later = sorted(p for p in places if p != own)
    if own not in places or not later:
        return False
    node.args[-1] = ast.Name(next((p for p in later if p > own), later[0]))
    return True


def _stale(node: ast.For, tree: ast.AST) -> bool:
    """The state of another step."""
    where = node if _counts(node) else node.iter
    reads = [a for a in ast.walk(where) if isinstance(a, ast.Name) and a.id.endswith("_in")]
    if not reads:
        return False
    reads[0].id = reads[0].id.removesuffix("_in") + "_out"
    return True


def _reversed(node: ast.For, tree: ast.AST) -> bool:
    """One sequence from its end, or all of them."""
    if _counts(node):
        if node.target.id != "t":
            return False
        backwards = ast.parse("range(T - 1, -1, -1)").body[0].value
        node.iter = ast.parse("range(T)").body[0].value if len(node.iter.args) > 1 else backwards
        return True
    read = node.iter.args[-1]
    node.iter.args[-1] = ast.Subscript(read, ast.Slice(step=ast.UnaryOp(ast.USub(), ast.Constant(1))))
    return True


def _added(node: ast.AugAssign, tree: ast.AST) -> bool:
    """Overwritten where it is to be added."""
    for block in (n.body for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.For))):
        if node in block:
            block[block.index(node)] = ast.Assign([node.target], node.value, lineno=node.lineno)
            return True
    return False


def _shifted(node: ast.Slice, tree: ast.AST) -> bool:
    """One column too far to the left."""
    if (
        not isinstance(node.lower, ast.Constant)
        or not isinstance(node.upper, ast.Constant)
        or not node.lower.value
    ):
        return False
    node.lower, node.upper = ast.Constant(node.lower.value - 1), ast.Constant(node.upper.value - 1)
    return True


def _dropped(node: ast.Expr | ast.Assign, tree: ast.AST) -> bool:
    if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Subscript):
        return False
    node.value = ast.Constant(None) if isinstance(node, ast.Expr) else node.targets[0]
    return True


def _argument(node: ast.Assign, tree: ast.AST) -> bool:
    """Another argument than the one that is meant."""
    read = [n for n in ast.walk(tree) if isinstance(n, ast.Assign) and _is_env(n.value)]
    if not _is_env(node.value) or len(read) < 2:
        return False
    node.value = read[read.index(node) - 1].value
    return True


def _kernel(node: ast.BinOp, tree: ast.AST) -> bool:
    """Another operator in a compiled loop."""
    node.op = ast.Sub() if isinstance(node.op, (ast.Add, ast.Mult)) else ast.Add()
    return True


def _column(node: ast.Subscript, tree: ast.AST) -> bool:
    """In a compiled loop, the first step, row or column where the current one is meant."""
    for n in ast.walk(node.slice):
        if isinstance(n, ast.Name) and n.id in ("t", "row", "column"):
            n.id = "0"
            return True
    return False


def _counts(node: ast.For) -> bool:
    """Whether it is a loop of a compiled text, over numbers."""
    return _name(node.iter) == "range" and isinstance(node.target, ast.Name)


def _axis(node: ast.keyword, tree: ast.AST) -> bool:
    """The sum over the next axis, and not over time."""
    if node.arg != "axis" or not isinstance(node.value, ast.Constant):
        return False
    node.value = ast.Constant(node.value.value + 1)
    return True


def _is_env(value: ast.AST) -> bool:
    return isinstance(value, ast.Subscript) and getattr(value.value, "id", "") == "env"


def _name(node: ast.Call) -> str:
    return getattr(node.func, "id", "")


def _writes(c: ast.AST) -> bool:
    return isinstance(c, ast.Call) and bool(c.args) and _name(c) not in ("", "zip", "range")


CHANGES = {
    "operands exchanged": _operands, "another operation": _operation, "another buffer": _buffer,
    "stale state": _stale, "reversed sequence": _reversed, "overwritten, not added": _added,
    "shifted slice": _shifted, "dropped line": _dropped, "another argument": _argument,
    "another operator": _kernel, "another row": _column, "another axis": _axis,
}  # fmt: skip
KINDS = {
    ast.Call: ("operands exchanged", "another operation", "another buffer"),
    ast.For: ("stale state", "reversed sequence"),
    ast.AugAssign: ("overwritten, not added",),
    ast.Slice: ("shifted slice",),
    ast.Expr: ("dropped line",),
    ast.Assign: ("another argument", "dropped line"),
    ast.BinOp: ("another operator",),
    ast.Subscript: ("another row",),
    ast.keyword: ("another axis",),
}
