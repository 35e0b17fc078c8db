"""Work that is the same along a row, done once a row: the rewrites that a layer normalisation's gradient asks for.

A factor with one entry a row leaves a sum along the rows, a sign goes to what is smaller, and what is spread
along a row is not spread before a row of the table does it. All are identities of sums and products.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.core import TABLE
from .values import Graph, Value, pointwise


def narrowed(g: Graph, outputs: list[Value]) -> list[Value]:
    """The outputs, with less of them as wide as a row."""

    def rule(v: Value, args: list[Value]) -> Value:
        if v.dtype is None or v.dtype.kind != "f":
            return g.again(v, args)
        if v.isa("sum") and v.params == {"axis": (-1,), "keepdims": True}:
            return _sum(g, v, args[0])
        if not (v.isa("add", "sub", "mul", "div", "neg") and pointwise(v)):
            return g.again(v, args)
        args = _unspread(v, args)
        if v.isa("neg") and args[0].isa("neg"):
            return args[0].args[0]
        if v.isa("mul", "div"):
            return _product(g, v, *args)
        if v.isa("add", "sub") and args[1].isa("neg"):
            return g.apply("sub" if v.isa("add") else "add", args[0], args[1].args[0])
        if v.isa("add") and args[0] is args[1] and (parts := _column_and_rest(args[0])):
            column, rest = parts
            return g.apply("mul", g.apply("add", column, column), rest)
        return g.again(v, args)

    return g.mapped(outputs, rule)


def _narrow(v: Value, beside: Value) -> bool:
    """Whether v has one entry a row, and the value beside it more."""
    a, b = v.shape, beside.shape
    return len(a) == len(b) > 1 and a[-1] == 1 < b[-1] and a[:-1] == b[:-1]


def _unspread(v: Value, args: Sequence[Value]) -> list[Value]:
    """The arguments, but for what is spread along a row beside one that is as wide."""
    new = list(args)
    for k, a in enumerate(new):
        if a.isa("broadcast") and len(new) == 2 and new[1 - k].shape == v.shape and _narrow(a.args[0], a):
            new[k] = a.args[0]
    return new


def _product(g: Graph, v: Value, a: Value, b: Value) -> Value:
    """a b or a / b, with its sign outside, or at the narrow one."""
    name = "mul" if v.isa("mul") else "div"
    for one, other, again in ((a, b, lambda x, y: (x, y)), (b, a, lambda x, y: (y, x))):
        if one.isa("neg") and not _narrow(one, other):
            if _narrow(other, one):
                return g.apply(name, *again(one.args[0], g.apply("neg", other)))
            return g.apply("neg", g.apply(name, *again(one.args[0], other)))
    return g.again(v, [a, b])


def _sum(g: Graph, v: Value, x: Value) -> Value:
    """The sum along rows of x, times what is the same along them."""
    if x.isa("neg"):
        return g.apply("neg", _sum(g, v, x.args[0]))
    rest, columns = _factors(g, x)
    total = g.raw(TABLE["sum"], (rest,), v.params, v.shape, v.dtype)
    for name, column in columns:
        total = g.apply(name, total, column)
    return total


def _factors(g: Graph, x: Value) -> tuple[Value, list[tuple[str, Value]]]:
    """A product without its narrow factors, and those, with what is done by them."""
    if not x.isa("mul", "div") or not pointwise(x):
        return x, []
    a, b = x.args
    if _narrow(b, x) and a.shape == x.shape:
        rest, columns = _factors(g, a)
        return rest, [*columns, ("mul" if x.isa("mul") else "div", b)]
    if x.isa("mul") and _narrow(a, x) and b.shape == x.shape:
        rest, columns = _factors(g, b)
        return rest, [*columns, ("mul", a)]
    if x.isa("mul") and a.shape == b.shape == x.shape:
        (a, left), (b, right) = _factors(g, a), _factors(g, b)
        return (g.apply("mul", a, b), [*left, *right]) if left or right else (x, [])
    return x, []


def _column_and_rest(x: Value) -> tuple[Value, Value] | None:
    """The narrow factor of a product, and the other."""
    if not x.isa("mul"):
        return None
    a, b = x.args
    return (a, b) if _narrow(a, b) else (b, a) if _narrow(b, a) else None
