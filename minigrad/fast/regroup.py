"""Sums and products regrouped, so that what does not depend on the state leaves the loop over time.

Only associativity, commutativity and distributivity are used, on rows of the table; results are the same
to rounding. No cell is known here and nothing is differentiated.

    a_t + h U + b          ->  h U + (a_t + b)            the bias joins what is computed before the loop
    ((d o) i) (1 - i)      ->  d (o i (1 - i))            one product in the loop, the rest before it
    [h, x] W               ->  h W_1 + x W_2              the input's share leaves the loop
    (a W)[:, j]            ->  a W[:, j]                  gates as columns of their own, until `pack`
    a A + b B + ...        ->  [a, b, ...] [A; B; ...]    one matrix product
    sigmoid(z)             ->  (tanh(z / 2) + 1) / 2      the first half goes into the weights, exactly
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .narrow import narrowed
from .values import CARRIED, FIXED, TIMED, Graph, Value, ordered, part_of, pointwise, uses

VIEWS = ("index", "reshape", "transpose", "broadcast")


def regrouped(g: Graph, outputs: list[Value]) -> list[Value]:
    """The outputs, with as little as possible of them inside the loop."""
    for way in (narrowed, _columns, _gates, _chains):
        outputs = way(g, outputs)
    return outputs


# ---- products of concatenations, slices of products --------------------------------------------
def _columns(g: Graph, outputs: list[Value]) -> list[Value]:
    """Matrix products whose operands are whole: no slices of them, no concatenations in them."""
    sliced = _only_sliced(outputs)

    def rule(v: Value, args: list[Value]) -> Value:
        new = g.again(v, args)
        if v.isa("index") and v.args[0].serial in sliced and new.isa("index") and (found := part_of(v)):
            return _pushed(g, args[0], *found[1:])
        return _split_product(g, new) if new.isa("matmul") else new

    return g.mapped(outputs, rule)


def _only_sliced(outputs: Sequence[Value]) -> set[int]:
    """Values of which nothing but slices along the last axis is used, and what can be sliced with them."""
    order = ordered(outputs)
    readers: dict[int, list[Value]] = {o.serial: [o] for o in outputs}  # an output is not only sliced
    for v in order:
        for a in v.args:
            readers.setdefault(a.serial, []).append(v)
    found: set[int] = set()
    for v in reversed(order):
        if v.when and v.op is not None and all(
            (part_of(r) or (0,))[0] == -1 or (r.serial in found and _slices_through(r))
            for r in readers[v.serial]
            if r is not v
        ) and v not in outputs:  # fmt: skip
            found.add(v.serial)
    return found


def _slices_through(v: Value) -> bool:
    return v.isa("add", "sub", "mul", "neg")


def _pushed(g: Graph, v: Value, start: int, stop: int) -> Value:
    """The columns of v from start to stop, with the slice moved to what v is made of."""
    if v.isa("matmul") and len(v.args[1].shape) == 2 and v.args[1].when == FIXED:
        return g.matmul(v.args[0], g.part(v.args[1], start, stop))
    if _slices_through(v) and pointwise(v):
        parts = [a if a.shape[-1:] in ((), (1,)) else _pushed(g, a, start, stop) for a in v.args]
        if all(a.shape[-1:] in ((), (1,), v.shape[-1:]) for a in v.args):
            shape = (*v.shape[:-1], stop - start)
            assert v.op is not None
            return g.raw(v.op, parts, v.params, shape, v.dtype, v)
    return g.part(v, start, stop)


def _split_product(g: Graph, v: Value) -> Value:
    """[a, b] [A; B] as a A + b B, and a [A, B] as [a A, a B], where that lets something leave the loop."""
    a, b = v.args
    if len(a.shape) != 2 or len(b.shape) != 2:
        return v
    if a.isa("concat") and a.params["axis"] == -1 and b.when == FIXED:
        at, terms = 0, []
        for x in a.args:
            terms.append(_split_product(g, g.matmul(x, g.part(b, at, at + x.shape[-1], -2))))
            at += x.shape[-1]
        total = terms[0]
        for t in terms[1:]:
            total = g.apply("add", total, t)
        return total
    if b.isa("concat") and b.params["axis"] == -1 and b.when:
        return g.joined(_split_product(g, g.matmul(a, x)) for x in b.args)
    if a.isa("transpose") and a.args[0].isa("concat") and a.args[0].params["axis"] == -1 and a.when:
        return g.joined(
            (_split_product(g, g.matmul(g.transposed(x, (-1, -2)), b)) for x in a.args[0].args), -2
        )
    return v


# ---- sigmoid -----------------------------------------------------------------------------------
def _gates(g: Graph, outputs: list[Value]) -> list[Value]:
    """Each sigmoid inside the loop by its formula, half of its argument taken by fixed factors."""
    count = uses(outputs)

    def rule(v: Value, args: list[Value]) -> Value:
        if not v.isa("sigmoid") or v.when < CARRIED:
            return g.again(v, args)
        half = g.number(0.5, v)
        z = _halved(g, v.args[0], args[0], half, count)
        t = g.apply("tanh", g.apply("mul", args[0], half) if z is None else z)
        y = g.apply("mul", g.apply("add", t, g.number(1, v)), half)
        y.name, y.note = y.name or v.name, v.note
        return y

    return g.mapped(outputs, rule)


def _halved(g: Graph, old: Value, v: Value, half: Value, count: dict[int, int]) -> Value | None:
    """v / 2 with the factor moved into what is fixed, or None if something in the loop would remain.

    old: the value that v was rebuilt from; only what nobody else reads is replaced.
    """
    if v.when == FIXED:
        return g.scaled(v, half)
    free = count.get(old.serial, 0) == 1 and v.op is not None and len(old.args) == len(v.args)
    if free and v.isa("add", "sub", "neg"):
        parts = [_halved(g, o, a, half, count) for o, a in zip(old.args, v.args, strict=True)]
        if all(p is not None for p in parts):
            assert v.op is not None
            return g.raw(v.op, parts, v.params, v.shape, v.dtype, v)  # type: ignore[arg-type]
    if free and v.isa("matmul", "mul"):
        for k, a in enumerate(v.args):
            if a.when == FIXED:
                args = [*v.args]
                args[k] = g.scaled(a, half)
                assert v.op is not None
                return g.raw(v.op, args, v.params, v.shape, v.dtype, v)
    return g.apply("mul", v, half) if v.when == TIMED else None


# ---- sums and products -------------------------------------------------------------------------
def _chains(g: Graph, outputs: list[Value]) -> list[Value]:
    """Sums and products of many values, those first that are known first."""
    count = uses(outputs)
    inner = {  # a sum inside a sum, a product inside a product, that nobody else reads
        a.serial
        for v in ordered(outputs) for a in v.args
        if count[a.serial] == 1 and ((_is_sum(v) and _is_sum(a)) or (_is_product(v) and _is_product(a)))
    }  # fmt: skip
    inner -= {o.serial for o in outputs}

    def rule(v: Value, args: list[Value]) -> Value:
        if v.serial in inner or not v.when:
            return g.again(v, args)
        if _is_sum(v):
            terms = list(_terms(v, inner, 1))
            return _sum(g, [(s, new(t)) for s, t in terms]) or g.again(v, args)
        if _is_product(v):
            return _product(g, v, [new(f) for f in _factors(v, inner)]) or g.again(v, args)
        return g.again(v, args)

    done: dict[int, Value] = {}

    def new(v: Value) -> Value:
        return done.get(v.serial, v)

    for v in ordered(outputs):
        done[v.serial] = v if v.op is None else rule(v, [new(a) for a in v.args])
    return [new(o) for o in outputs]


def _is_sum(v: Value) -> bool:
    return v.isa("add", "sub", "neg") and pointwise(v) and v.dtype.kind == "f"


def _is_product(v: Value) -> bool:
    return v.isa("mul") and pointwise(v) and v.dtype.kind == "f"


def _terms(v: Value, inner: set[int], sign: int) -> Iterator[tuple[int, Value]]:
    signs = {"add": (1, 1), "sub": (1, -1), "neg": (-1,)}[v.op.name]  # type: ignore[union-attr]
    for s, a in zip(signs, v.args, strict=True):
        if a.serial in inner:
            yield from _terms(a, inner, sign * s)
        else:
            yield sign * s, a


def _factors(v: Value, inner: set[int]) -> Iterator[Value]:
    for a in v.args:
        if a.serial in inner:
            yield from _factors(a, inner)
        else:
            yield a


def _sum(g: Graph, terms: list[tuple[int, Value]]) -> Value:
    """The sum, what is fixed first, then what is known before the loop; products of matrices as one."""
    whole: tuple[int, Value] | None = None
    for when in (FIXED, TIMED, CARRIED):
        level = _one_product(g, [(s, t) for s, t in terms if t.when == when])
        if level:
            level.sort(key=lambda term: (math.prod(term[1].shape), -term[0]))  # small first, then what is added
            total = level[0]
            for term in level[1:]:
                total = _plus(g, total, term)
            whole = total if whole is None else _plus(g, total, whole)
    assert whole is not None
    return whole[1] if whole[0] > 0 else g.apply("neg", whole[1])


def _plus(g: Graph, a: tuple[int, Value], b: tuple[int, Value]) -> tuple[int, Value]:
    """a + b, each with a sign."""
    if a[0] == b[0]:
        return a[0], g.apply("add", a[1], b[1])
    return (1, g.apply("sub", a[1], b[1])) if a[0] > 0 else (1, g.apply("sub", b[1], a[1]))


def _one_product(g: Graph, terms: list[tuple[int, Value]]) -> list[tuple[int, Value]]:
    """Terms a A + b B + ... as [a, b, ...] [A; B; ...], if a, b, ... have no place yet."""
    fit = [
        t for s, t in terms
        if s > 0 and t.isa("matmul") and t.args[1].when == FIXED and {len(a.shape) for a in t.args} == {2}
        and t.args[0].op is not None and not t.args[0].isa(*VIEWS, "concat")
    ]  # fmt: skip
    if len(fit) < 2:
        return terms
    fit.sort(key=lambda t: rank(t.args[0]))
    product = g.matmul(g.joined([t.args[0] for t in fit]), g.joined([t.args[1] for t in fit], -2))
    return [(1, product), *((s, t) for s, t in terms if not (s > 0 and t in fit))]


def rank(v: Value) -> tuple:
    """An order in which values of the same making stand together."""
    if v.isa("index"):
        return (*rank(v.args[0]), str(v.params))
    return (v.op.name if v.op else "", tuple(a.serial for a in v.args if a.when == CARRIED), v.serial)


def _product(g: Graph, v: Value, factors: list[Value]) -> Value | None:
    """The product, what is fixed first, then what is known before the loop; None if that needs more room."""
    whole: Value | None = None
    for when in (FIXED, TIMED, CARRIED):
        level = [f for f in factors if f.when == when]
        if level:
            total = level[0]
            for f in level[1:]:
                total = g.apply("mul", total, f)
            whole = total if whole is None else g.apply("mul", total, whole)
            if when < CARRIED and math.prod(whole.shape) > max(math.prod(f.shape) for f in factors):
                return None
    return whole
