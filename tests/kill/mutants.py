"""Wrong backwards out of right ones: one slip of the pen each, made in the source."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A function with one slip: of which kind, on which line, and what stood there before."""

    kind: str
    before: str
    after: str
    line: int
    fn: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.fn.__name__}:{self.line} {self.kind}: {self.before} -> {self.after}"


def mutants(fn: Callable[..., Any], params: Collection[str] = ()) -> Iterator[Mutant]:
    """Every function that differs from fn by one slip, in the order of its source. params: the cell's."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(fn)))
    tree.body[0].decorator_list = []
    ast.increment_lineno(tree, fn.__code__.co_firstlineno - 1)
    names = {n for n in _names(tree) if n not in {*params, *NUMBERS}}
    for path, node in _walk(tree.body[0], ()):
        for kind, new in _slips(node, names):
            changed = copy.deepcopy(tree)
            _put(changed.body[0], path, new)
            ast.fix_missing_locations(changed)
            space = dict(fn.__globals__)
            try:
                exec(compile(changed, fn.__code__.co_filename, "exec"), space)
            except SyntaxError:
                continue
            yield Mutant(
                kind,
                ast.unparse(node),
                ast.unparse(new) if new else "(gone)",
                node.lineno,
                space[fn.__name__],
            )


def _walk(node: ast.AST, path: tuple) -> Iterator[tuple[tuple, Any]]:
    """Every node below with the way to it: fields and places in lists."""
    for name, value in ast.iter_fields(node):
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for i, x in items:
            if isinstance(x, ast.AST):
                here = (*path, (name, i))
                if hasattr(x, "lineno"):
                    yield here, x
                yield from _walk(x, here)


def _put(root: ast.AST, path: tuple, new: ast.AST | None) -> None:
    node: Any = root
    for name, i in path[:-1]:
        node = getattr(node, name) if i is None else getattr(node, name)[i]
    name, i = path[-1]
    if i is None:
        setattr(node, name, new)
    else:
        getattr(node, name)[i] = new if new is not None else ast.Pass()


def _names(tree: ast.AST) -> set[str]:
    """Local variables."""
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {a.arg for a in tree.body[0].args.args}


OTHER = {"dsigmoid": "dtanh", "dtanh": "dsigmoid"}
NUMBERS = ("n", "d", "k", "m", "t", "B", "T", "N", "D")  # what code calls its sizes and its counters
AFTER = ("_next", "_new", "_prev", "s_prev")


def _slips(node: Any, names: set[str]) -> Iterator[tuple[str, Any]]:
    """(kind of slip, what to put in the node's place, None for nothing)."""
    match node:
        case ast.BinOp(left, op, right):
            yield from _of_operators(node, left, op, right)
        case ast.Attribute(value, "T", ast.Load()):
            yield "transposed matrix", value
        case ast.AugAssign(target, ast.Add(), value):
            yield "overwritten (= for +=)", _at(node, ast.Assign([target], value))
            yield "dropped term", None
        case ast.Assign([ast.Name(name)], value) if _reads(value, name):
            yield "dropped term", None
        case ast.Constant(1):
            yield "wrong constant", _at(node, ast.Constant(2))
        case ast.Call(ast.Name("range"), [stop]):
            yield "dropped term", _call("range", ast.Constant(1), stop)
            yield "dropped term", _call("range", ast.BinOp(stop, ast.Sub(), ast.Constant(1)))
        case ast.Call(ast.Name("reversed"), [ast.Call(ast.Name("range"))]):
            yield "wrong time index", node.args[0]
        case ast.Call(ast.Name(fn), [x]) if fn in OTHER:
            yield "swapped gate", _call(OTHER[fn], x)
            yield "missing factor", ast.Constant(1)
        case ast.Call(ast.Attribute(_, "dot" | "matmul"), [a, b]):
            yield "reversed product", _at(node, ast.Call(node.func, [b, a], []))
        case ast.Call(ast.Attribute(value, "sum"), args, keywords):
            mean = ast.Call(ast.Attribute(value, "mean", ast.Load()), args, keywords)
            yield "1/T, 1/batch", _at(node, mean)
        case ast.Subscript(value, ast.Slice(lo, hi), ast.Load()) if hi and not lo:
            yield "swapped gate", _at(node, ast.Subscript(value, ast.Slice(hi, None), ast.Load()))
        case ast.Subscript(value, ast.Tuple([first, ast.Slice(lo, hi)]), ast.Load()) if hi and not lo:
            other = ast.Tuple([first, ast.Slice(hi, None)], ast.Load())
            yield "swapped gate", _at(node, ast.Subscript(value, other, ast.Load()))
        case ast.Subscript(value, index, ast.Load()):
            yield from _of_time(node, value, index)
        case ast.Name(name, ast.Load()) if name in names:
            for other in sorted(names):
                if kind := _confused(name, other):
                    yield kind, _at(node, ast.Name(other, ast.Load()))


def _confused(name: str, other: str) -> str:
    """How two names are taken for each other: a gate for another, a state for the one before or after."""
    if any(name + end == other or other + end == name for end in AFTER):
        return "stale state"
    short = len(name) == len(other) < 4 and name != other
    return "swapped gate" if short and (len(name) == 1 or name[0] == other[0]) else ""


def _reads(value: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(value))


def _at(node: Any, new: Any) -> Any:
    return ast.copy_location(new, node)


def _of_operators(node: Any, left: Any, op: Any, right: Any) -> Iterator[tuple[str, Any]]:
    match op:
        case ast.Add():
            yield "dropped term", left
            yield "dropped term", right
            yield "sign", _at(node, ast.BinOp(left, ast.Sub(), right))
        case ast.Sub():
            yield "sign", _at(node, ast.BinOp(left, ast.Add(), right))
            if not isinstance(left, ast.Constant):
                yield "dropped term", left
        case ast.Mult():
            yield "missing factor", left
            if not (
                isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult)
            ):  # a * b * c -> c drops two
                yield "missing factor", right
        case ast.MatMult():
            yield "reversed product", _at(node, ast.BinOp(right, op, left))
        case ast.Pow() if isinstance(right, ast.Constant):
            yield "missing factor", left


def _of_time(node: Any, value: Any, index: Any) -> Iterator[tuple[str, Any]]:
    """hs[t] for hs[t - 1] and the like, where the index is made of t; dhs[t] / T, where it is a cotangent."""
    first = index.elts[-1] if isinstance(index, ast.Tuple) and isinstance(index.elts[0], ast.Slice) else index
    if isinstance(first, ast.Name) and first.id == "t":
        shifted = [ast.BinOp(first, sign, ast.Constant(1)) for sign in (ast.Sub(), ast.Add())]
    elif isinstance(first, ast.BinOp) and isinstance(first.left, ast.Name) and first.left.id == "t":
        shifted = [first.left]
    else:
        return
    name = ast.unparse(value)
    given = name.lower().startswith(("x", "i", "d"))
    for s in shifted:
        part = ast.Tuple([*index.elts[:-1], s], ast.Load()) if first is not index else s
        other = ast.Subscript(value, part, ast.Load())
        yield "wrong time index" if given else "stale state", _at(node, other)
    if name.startswith("d") and name.endswith("s"):
        yield "1/T, 1/batch", _at(node, ast.BinOp(node, ast.Div(), _call("len", value)))


def _call(name: str, *args: Any) -> Any:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])
