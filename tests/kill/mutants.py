"""Wrong backwards out of right ones: one slip of the pen each, made in the source."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
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


def mutants(fn: Callable[..., Any]) -> Iterator[Mutant]:
    """Every function that differs from fn by one slip, in the order of its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(fn)))
    tree.body[0].decorator_list = []
    gradients = _names(tree)
    for path, node in _walk(tree.body[0], ()):
        for kind, new in _slips(node, gradients):
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


def _names(tree: ast.AST) -> dict[str, int]:
    """Local variables with the number of times that each is read."""
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    stored |= {a.arg for a in tree.body[0].args.args}
    read: dict[str, int] = {}
    for n in ast.walk(tree):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in stored:
            read[n.id] = read.get(n.id, 0) + 1
    return read


EXCHANGED = {"sigmoid": "tanh", "dsigmoid": "dtanh", "dtanh": "dsigmoid"}


def _slips(node: Any, names: dict[str, int]) -> Iterator[tuple[str, Any]]:
    match node:
        case ast.BinOp(left, op, right):
            yield from _of_operators(node, left, op, right)
        case ast.Attribute(value, "T", ast.Load()):
            yield "transpose forgotten", value
        case ast.AugAssign(target, ast.Add(), value):
            yield "= for +=", ast.copy_location(ast.Assign([target], value), node)
            yield "statement left out", None
        case ast.Assign([ast.Name(name)], value) if any(
            isinstance(n, ast.Name) and n.id == name for n in ast.walk(value)
        ):
            yield "statement left out", None
        case ast.Constant(1):
            yield "constant", ast.copy_location(ast.Constant(2), node)
        case ast.Call(ast.Name("range"), [stop]):
            yield "off by one", _call("range", ast.Constant(1), stop)
            yield "off by one", _call("range", ast.BinOp(stop, ast.Sub(), ast.Constant(1)))
        case ast.Call(ast.Name("reversed"), [ast.Call(ast.Name("range"))]):
            yield "order of time", node.args[0]
        case ast.Call(ast.Name(fn), [x]) if fn in EXCHANGED and EXCHANGED[fn] != "tanh":
            yield "derivative of the other", _call(EXCHANGED[fn], x)
            yield "factor left out", ast.Constant(1)
        case ast.Call(ast.Attribute(_, "dot" | "matmul"), [a, b]):
            yield "product reversed", ast.copy_location(ast.Call(node.func, [b, a], []), node)
        case ast.Call(ast.Attribute(value, "sum"), args, keywords):
            yield (
                "mean for sum",
                ast.copy_location(ast.Call(ast.Attribute(value, "mean", ast.Load()), args, keywords), node),
            )
        case ast.Subscript(value, ast.Tuple([_, ast.Slice(lo, hi)]) | ast.Slice(lo, hi), ast.Load()) if (
            hi and not lo
        ):
            other = ast.Slice(hi, None)
            part = (
                ast.Tuple([node.slice.elts[0], other], ast.Load())
                if isinstance(node.slice, ast.Tuple)
                else other
            )
            yield "other half", ast.copy_location(ast.Subscript(value, part, ast.Load()), node)
        case ast.Subscript(value, index, ast.Load()):
            yield from _of_time(node, value, index)
        case ast.Name(name, ast.Load()) if name in names and len(name) < 4:
            for other in sorted(names):
                if (
                    other != name
                    and len(other) == len(name)
                    and other[0] == name[0] * (len(name) > 1) + other[0] * (len(name) == 1)
                ):
                    yield "another variable", ast.copy_location(ast.Name(other, ast.Load()), node)


def _of_operators(node: Any, left: Any, op: Any, right: Any) -> Iterator[tuple[str, Any]]:
    def with_op(new: Any) -> Any:
        return ast.copy_location(ast.BinOp(left, new, right), node)

    match op:
        case ast.Add():
            yield "term left out", left
            yield "term left out", right
            yield "sign", with_op(ast.Sub())
        case ast.Sub():
            yield "sign", with_op(ast.Add())
            if not isinstance(left, ast.Constant):
                yield "term left out", left
        case ast.Mult():
            yield "factor left out", left
            yield "factor left out", right
        case ast.MatMult():
            yield "product reversed", ast.copy_location(ast.BinOp(right, op, left), node)
        case ast.Pow() if isinstance(right, ast.Constant):
            yield "power", left


def _of_time(node: Any, value: Any, index: Any) -> Iterator[tuple[str, Any]]:
    """hs[t] for hs[t - 1] and the like, where the index is made of t."""
    first = index.elts[-1] if isinstance(index, ast.Tuple) and isinstance(index.elts[0], ast.Slice) else index
    if isinstance(first, ast.Name) and first.id == "t":
        shifted = [ast.BinOp(first, ast.Sub(), ast.Constant(1)), ast.BinOp(first, ast.Add(), ast.Constant(1))]
    elif isinstance(first, ast.BinOp) and isinstance(first.left, ast.Name) and first.left.id == "t":
        shifted = [first.left]
    else:
        return
    for s in shifted:
        part = ast.Tuple([*index.elts[:-1], s], ast.Load()) if first is not index else s
        yield "time index", ast.copy_location(ast.Subscript(value, part, ast.Load()), node)


def _call(name: str, *args: Any) -> Any:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])
