"""A proved step as data that a stranger can check: the cell and its backward, in index notation.

The engine runs the cell and its rules on arrays of symbolic size, and the graph that this leaves is written as
a tape: each slot is a tensor with named dimensions, or an operation on earlier slots at indices, of which the
last are summed over. Layout (transposing, joining, cutting, broadcasting) becomes indices and is gone. An
array whose axes have several blocks, as [h, x], becomes a slot for each block. `minigrad/verify.py` checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import version
from typing import Any

from ..cells.cell import Cell
from ..domains.blocks import choices
from ..domains.contractions import DELTA, Sum
from ..domains.sizes import NUMBERS, SIZES, Blocks, Sized, Undecided, array, fresh
from ..domains.symbols import exact
from ..engine.core import Tensor, leaf, recording
from ..engine.grad import reachable, sweep
from .anysize import opaque_arguments, step_outputs, token_inputs

FORMAT = "minigrad certificate 2"
CONSTANT = ("number", "constant", "sign", "greater", "greater_equal", "equal")  # slots without a cotangent
STATEMENT = (
    "For {}: the gradients of {} are the cotangents of the outputs times its partial derivatives, for every size "
    "{}, over the real numbers, where it is defined and differentiable: away from poles, kinks and ties, indices "
    "in range, and the base of a power positive where its exponent is an array."
)
Indices = tuple[int, ...]  # negative: free, counted from the last axis; others: bound
Dims = dict[int, str]  # index -> its dimension
Choice = tuple[int, ...]  # a block of each axis
At = tuple[int, Indices]  # a slot at these indices


def certificate(cell: Cell) -> dict[str, Any]:
    """Statement, tape and claims, in plain JSON types.

    Raises Undecided where the cell cannot be run on symbolic sizes, or not be written in index notation.
    """
    tokens = token_inputs(cell) if any(not cell.sizes[n] for n in cell.inputs) else ()
    with fresh(), recording("all"):
        args = {k: leaf(v, k not in tokens, k) for k, v in opaque_arguments(cell, tokens=tokens).items()}
        outs = step_outputs(cell, args)
        deltas = [leaf(array(f"delta{i}", *o.value.axes)) for i, o in enumerate(outs)]
        forward = [t for t in reachable([*outs, *args.values()]) if t.requires_grad]
        found = sweep(outs, deltas, forward, graph=True)
        tape = Tape()
        for name, t in args.items():
            if name not in tokens:
                tape.leaf(t, "argument", name)
        for i, t in enumerate(deltas):
            tape.leaf(t, "cotangent", f"delta{i}")
        for t in reachable([*outs, *args.values(), *(g for g in found if g is not None)]):
            tape.node(t)
        for t, g in zip(forward, found, strict=True):
            tape.claim(t, g)
        for o, d in zip(outs, deltas, strict=True):
            tape.output(o, d)
        arguments = ", ".join(k for k in args if k not in tokens)
        sizes = ", ".join(sorted({d for slot in tape.slots for d in slot["dims"] + slot["sum"]}))
        return {
            "format": FORMAT,
            "statement": STATEMENT.format(cell.name, arguments, sizes),
            "cell": cell.name,
            "minigrad": version("minigrad"),
            "tape": tape.slots,
            "claims": tape.claims,
        }


class Tape:
    """The slots written so far. An entry of an array is a `Sum` in which the factor @k stands for slot k."""

    def __init__(self) -> None:
        self.slots: list[dict[str, Any]] = []
        self.values: dict[int, Any] = {}  # node -> its array
        self.own: dict[int, list[tuple[int, Choice]]] = {}  # node -> the slots that hold it, or parts of it
        self.leaves: dict[tuple[str, str], int] = {}  # numbers and constants -> slot
        self.claims: dict[str, Any] = {}

    def slot(self, op: str, args: list[At], free: Dims, bound: Dims | None = None, name: str = "") -> At:
        """A new slot, at its free indices."""
        places = {i: k for k, i in enumerate([*free, *(bound or {})])}
        entry: dict[str, Any] = {"op": op, "args": [[k, [places[i] for i in idx]] for k, idx in args]}
        self.slots.append(entry | {"dims": [*free.values()], "sum": [*(bound or {}).values()], "name": name})
        return len(self.slots) - 1, tuple(free)

    def shared(self, op: str, name: str, idx: Indices, free: Dims) -> At:
        """A number, or a constant tensor, that may have been met before."""
        if (op, name) not in self.leaves:
            self.leaves[op, name], _ = self.slot(op, [], {i: free[i] for i in idx}, name=name)
        return self.leaves[op, name], idx

    def array(self, t: Tensor, entry: Callable[[Choice, Dims], At]) -> Sized:
        """The array of a node; the slots that `entry` writes with all indices of the node are its own."""
        entries: dict[Choice, Sum] = {}
        for k in choices(t.value.axes):
            free, first = dims_of(t.value.axes, k), len(self.slots)
            slot, idx = entry(k, free)
            entries[k] = Sum.factor(f"@{slot}", idx)
            new = [i for i in range(first, len(self.slots)) if self.slots[i]["op"] not in CONSTANT]
            self.own.setdefault(t.id, []).extend((i, k) for i in new)
        return Sized(t.value.axes, entries, t.value.dtype)

    def leaf(self, t: Tensor, op: str, name: str) -> None:
        """A slot for each block of an argument or a cotangent."""
        self.values[t.id] = self.array(t, lambda k, free: self.slot(op, [], free, name=name))

    def node(self, t: Tensor) -> None:
        """The slots of a constant or an operation; layout, such as a transpose, writes none."""
        if t.id in self.values:
            return
        if t.op is None:
            self.values[t.id] = SIZES.lift(t.value)
            return
        name, xs = t.op.name, [self.values[x.id] for x in t.inputs]
        if name == "stop_gradient":
            raise Undecided("stop_gradient: the vjp is not meant to be the derivative")
        if name == "logsumexp":
            self.values[t.id] = self.logsumexp(t, xs[0], **t.params)
        elif t.op.kind == "pointwise" and name not in ("alias", "cast"):
            self.values[t.id] = self.array(
                t, lambda k, free: self.pointwise(name, [self.at(x.spread(k), free) for x in xs], free, **t.params)
            )
        else:
            made = t.op.value(SIZES, *xs, **t.params)
            is_layout = isinstance(made, tuple) or made.dtype != NUMBERS
            self.values[t.id] = made if is_layout else self.array(t, lambda k, free: self.at(made.entries[k], free))

    def pointwise(self, name: str, xs: list[At], free: Dims, exponent: Any = None) -> At:
        """A function of entries; those with a kink as a product with where they are not constant."""
        if name == "power":
            return self.slot("pow", [*xs, self.shared("number", str(exact(exponent)), (), {})], free)
        if name in ("relu", "maximum"):
            y = xs[1] if name == "maximum" else self.shared("number", "0", (), {})
            return self.slot("where", [self.slot("greater", [xs[0], y], free), xs[0], y], free)
        if name == "neg":
            return self.slot("mul", [self.shared("number", "-1", (), {}), *xs], free)
        if name == "abs":
            return self.slot("mul", [xs[0], self.slot("sign", xs, free)], free)
        return self.slot(name, xs, free)

    def logsumexp(self, t: Tensor, x: Sized, axis: Indices, keepdims: bool) -> Sized:
        """A slot for each entry, if it is over one axis of one block."""
        (a,) = axis if len(axis) == 1 else (0,)
        if len(axis) != 1 or len(x.axes[a]) != 1 or x.axes[a] == (1,):
            raise Undecided(f"logsumexp over the axes {axis} of {x.shape}, in index notation")
        left = {} if keepdims else {i: i + 1 for i in range(-x.ndim, a)}

        def entry(k: Choice, free: Dims) -> At:
            choice = k if keepdims else (*k[: x.ndim + a], 0, *k[x.ndim + a :])
            slot, idx = self.at(x.entries[choice], dims_of(x.axes, choice))
            return self.slot(
                "logsumexp", [(slot, tuple(0 if i == a else left.get(i, i) for i in idx))], free, {0: x.axes[a][0]}
            )

        return self.array(t, entry)

    def at(self, e: Sum, free: Dims) -> At:
        """The slot and indices of an entry; new slots for a sum or a product."""
        terms = [self.term(fs, dict(enumerate(dims)), c, free) for (fs, dims), c in e.terms.items()]
        while len(terms) > 1:
            terms[:2] = [self.slot("add", terms[:2], free)]
        return terms[0] if terms else self.shared("number", "0", (), {})

    def term(self, fs: Any, bound: Dims, c: Any, free: Dims) -> At:
        """The same for one product, summed over its bound indices."""
        factors = [self.factor(name, idx, free | bound) for (name, idx), power in fs for _ in range(power)]
        if any(power < 0 for _, power in fs):
            raise Undecided("one over a size, in index notation")
        if c != 1 or not factors:
            factors.insert(0, self.shared("number", str(Fraction(c)), (), {}))
        while len(factors) > 2:
            factors[:2] = [self.slot("mul", factors[:2], free | bound)]
        if len(factors) == 1 and bound:
            factors.append(self.shared("number", "1", (), {}))
        return self.slot("mul", factors, free, bound) if len(factors) > 1 else factors[0]

    def factor(self, name: str, idx: Indices, dims: Dims) -> At:
        """One factor: a slot, the number of entries of a dimension, or an opaque tensor of ones and zeros."""
        if name == DELTA or len(set(idx)) < len(idx):
            raise Undecided(f"the entry {name}{list(idx)}, in index notation")
        if name.startswith("@"):
            return int(name[1:]), idx
        return self.shared("constant", name.removeprefix("#"), idx, dims)

    def claim(self, t: Tensor, g: Tensor | None) -> None:
        """That g is the cotangent of t."""
        for slot, k in self.own.get(t.id, []):
            free = dims_of(t.value.axes, k)
            if self.slots[slot]["dims"] == [*free.values()]:
                self.claims[str(slot)] = self.claimed(g, k, free)

    def claimed(self, g: Tensor | None, k: Choice, free: Dims) -> list[Any]:
        """An entry of g (None: 0) as [slot, which of the indices]."""
        slot, idx = self.at(Sum() if g is None else self.values[g.id].entries[k], free)
        return [slot, [list(free).index(i) for i in idx]]

    def output(self, o: Tensor, d: Tensor) -> None:
        """The slots of an output, and that the cotangents of these are given."""
        for k, e in self.values[o.id].entries.items():
            free = dims_of(o.value.axes, k)
            slot, _ = self.slot("output", [self.at(e, free)], free)
            self.claims[str(slot)] = self.claimed(d, k, free)


def dims_of(axes: tuple[Blocks, ...], choice: Choice) -> Dims:
    """The free indices of an entry, from the left, each with its dimension."""
    picked = [axis[k] for axis, k in zip(axes, choice, strict=True)]
    return {i - len(axes): d for i, d in enumerate(picked) if d != 1}
