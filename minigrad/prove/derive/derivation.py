"""derive(cell): the derivation of a cell's BPTT gradient, as a person would write it.

Everything is written from the graph of the cell's own code: its equations, in the names of its variables;
the Jacobian of each new state by each old one; the gradient of every parameter. The induction over time
is the same for every cell. In the text form every formula is a line of numpy, which can be run.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence

from ...cells.cell import Cell
from ...engine.core import Tensor, recording
from ...engine.grad import reachable
from ...engine.watch import Watch
from ..measure import random_arguments
from ..purity import check_function
from ..step import size_names
from .derived import Derived
from .jacobians import Paths
from .notation import Line, delta, direct, jacobian, ratio, total
from .parameters import Parameters
from .words import Words, times, written
from .writing import ATOM, SUM, Text, Writer, constant_name, timed_name

PRIMES = (101, 223, 307, 401, 503, 601, 701)  # sizes that tell n+d from 2*n, and so on
MOST = 8  # the largest multiple of a size that is looked for
LONG = 16  # characters: a longer part of an equation, needed more than once, gets a name


def derive(cell: Cell) -> Derived:
    """The derivation of the cell's gradient over time, as .text(), .markdown() and .latex().

    Raises TypeError for what is not a cell; ImpureError for one that is not a function of its arguments (see
    purity.py); TraceError, ShapeError and what the cell itself raises.
    """
    if not isinstance(cell, Cell):
        raise TypeError(
            f"derive: {cell!r} is a {type(cell).__name__}, not a cell; decorate the function with @cell(...)"
        )
    check_function(cell)
    return Graph(cell).derived()


class Graph:
    """One cell's graph, with a name for every node that has a line of its own."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.sizes = dict(zip(size_names(cell), PRIMES, strict=False)) | {"batch": 1}
        self.args, self.outs, self.nodes = traced(cell, self.sizes)
        timely = self.depending(cell.states + cell.inputs)
        self.follow = timely & self.depending(cell.states + cell.params)
        self.writer = Writer(size=self.size)
        self._name_constants()
        self.lets = self._named(timely)
        self.paths = Paths(self.writer, self.follow, self.size)

    def _name_constants(self) -> None:
        """Write a constant that the code made from a size, such as the count of a mean, as that size."""
        others = traced(self.cell, {n: k if n == "batch" else k + 6 for n, k in self.sizes.items()})[2]
        for mine, other in zip(self.nodes, others, strict=True):
            if mine.op is None and mine.value.size == other.value.size == 1 and mine.item() != other.item():
                value = mine.item()
                whole = self.size(int(value)) if float(value).is_integer() else repr(value)
                self.writer.names[mine.id] = Text(whole, whole, ATOM if whole.isidentifier() else SUM)

    def depending(self, names: Sequence[str]) -> set[int]:
        """The nodes that depend on any of these arguments."""
        found = {self.args[n].id for n in names}
        for t in self.nodes:
            if any(x.id in found for x in t.inputs):
                found.add(t.id)
        return found

    def size(self, number: int) -> str:
        """A number of entries in terms of the declared sizes: n, n+d, 2*n; the shortest such."""
        names = [n for n in self.sizes if n != "batch"]
        best: tuple[int, str] | None = None
        for ks in itertools.product(range(MOST + 1), repeat=len(names)):
            rest = number - sum(k * self.sizes[n] for k, n in zip(ks, names, strict=True))
            if 0 <= rest <= MOST:
                called = [f"{n}_size" if n in self.args else n for n in names]
                words = [n if k == 1 else f"{k}*{n}" for k, n in zip(ks, called, strict=True) if k]
                text = "+".join([*words, *([str(rest)] if rest or not words else [])])
                best = min(best or (10**9, ""), (sum(ks) + rest, text))
        return best[1] if best else str(number)

    # ---- names ----
    def _named(self, timely: set[int]) -> list[Tensor]:
        """Give every argument and let-bound node its name; the let-bound nodes, in the order of the code."""
        cell, names = self.cell, self.writer.names
        taken = {*cell.states, *cell.inputs, *cell.params, *self.sizes}
        for name, x in self.args.items():
            back = 1 if name in cell.states else 0
            names[x.id] = constant_name(name) if name in cell.params else timed_name(name, back)
        arguments = set(names)
        own = {t.id: name for name, t in reversed(self.outs.items()) if t.id not in arguments}
        lets: list[Tensor] = []
        for t in reversed(self.nodes):  # of two nodes with one name, the later one keeps it
            if t.id in arguments or t.op is None:
                continue
            wanted = own.get(t.id) or t.name
            if wanted is None:
                continue
            name, k = wanted, 1
            while name in taken and not (t.id in own and name == own[t.id]):
                name, k = f"{wanted}{k}", k + 1
            taken.add(name)
            names[t.id] = timed_name(name) if t.id in timely else constant_name(name)
            t.name = name
            lets.insert(0, t)
        return self._with_long_parts(lets, taken)

    def _with_long_parts(self, lets: list[Tensor], taken: set[str]) -> list[Tensor]:
        """The let-bound nodes, and with them what is long and would have to be repeated."""
        bound = {t.id: t for t in lets}
        uses = collections.Counter(x.id for t in self.nodes for x in {x.id: x for x in t.inputs}.values())
        again = {x.id for t in self.nodes if t.op is not None for x in self._repeated(t)}
        for t in self.nodes:
            if t.id in self.writer.names or t.op is None or t.op.kind == "layout":
                continue
            text = Writer(dict(self.writer.names), self.size).equation(t)
            if len(text.code) > LONG and (uses[t.id] > 1 or t.id in again):
                k = next(k for k in range(1, 10_000) if f"u{k}" not in taken)
                taken.add(f"u{k}")
                self.writer.names[t.id], bound[t.id] = timed_name(f"u{k}"), t
        return sorted(bound.values(), key=lambda t: t.id)

    def _repeated(self, t: Tensor) -> list[Tensor]:
        """Which of an operation's result and inputs are written again in its derivative."""
        marks = {x.id: Text(f"<{x.id}>", "") for x in (t, *t.inputs)}
        paths = Paths(Writer(), self.follow, self.size)
        slopes = [paths.slope(t, k, dict(marks)) for k, x in enumerate(t.inputs) if x.id in self.follow]
        return [x for x in (t, *t.inputs) if any(s and marks[x.id].code in s.text.code for s in slopes)]

    # ---- the sections ----
    def derived(self) -> Derived:
        """Every line of the derivation."""
        states = self.cell.states
        new = {self.outs[s].id for s in states}
        down = {
            o: self.paths.down(t, self.nodes, () if o in states else new) for o, t in self.outs.items()
        }  # fmt: skip
        jacobians = self._jacobians(down)
        adjoints, gradients = Parameters(self, down).lines()
        named = [Line(left, written(words, size)) for left, words, size in self.paths.named]
        return Derived(
            self.cell, tuple(o for o in self.outs if o not in states), tuple(self._equations()),
            tuple(named) + tuple(jacobians), tuple(self._recursion(jacobians)), tuple(adjoints),
            tuple(gradients), tuple(self.paths.opaque.values()),
        )  # fmt: skip

    def _equations(self) -> list[Line]:
        lines = [Line(self.writer(t), self.writer.equation(t)) for t in self.lets]
        written_out = {line.left.code for line in lines}
        return lines + [
            Line(timed_name(s), self.writer(self.outs[s]))
            for s in self.cell.states if timed_name(s).code not in written_out
        ]  # fmt: skip

    def _jacobians(self, down: dict[str, dict[int, Words]]) -> list[Line]:
        """Of the new states and outputs by the old states, and of outputs by the new states."""
        lines = []
        for o, by in self._pairs():
            for s, back in by:
                target = self.args[s] if back else self.outs[s]
                words = down[o].get(target.id, {})
                if words or o in self.cell.states:
                    text = written(words, self.size(target.value.size))
                    lines.append(Line(jacobian(o, s, back), text, ratio(o, s, back).code))
        return lines

    def _pairs(self) -> list[tuple[str, list[tuple[str, int]]]]:
        states = self.cell.states
        old = [(s, 1) for s in states]
        return [(o, old if o in states else [(s, 0) for s in states] + old) for o in self.outs]

    def _recursion(self, jacobians: list[Line]) -> list[Line]:
        """delta of each old state, from those of the new states and of the outputs."""
        lines, there = [], {line.left.code: line for line in jacobians if line.right.code != "0"}
        outputs = [o for o in self.outs if o not in self.cell.states]
        for s in self.cell.states:
            parts = [times(delta(o), jacobian(o, s, 0)) for o in outputs if jacobian(o, s, 0).code in there]
            if outputs:
                none = Text(f"0 * {timed_name(s).code}", "0")
                lines.append(Line(direct(s, 0), total(parts) if parts else none))
            parts = [times(delta(o), jacobian(o, s, 1)) for o in self.outs if jacobian(o, s, 1).code in there]
            lines.append(Line(delta(s, 1), total([direct(s, 1), *parts])))
        return lines


def traced(cell: Cell, sizes: dict[str, int]) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
    """(arguments, outputs, nodes oldest first) of one step of the cell on numbers; nodes have their names."""
    args = random_arguments(cell, sizes, grad=cell.states + cell.params)
    k, last = len(cell.states), len(cell.states) + len(cell.inputs)
    values = list(args.values())
    with recording("all"), Watch():
        new, y = cell.advance(values[:k], values[k:last], dict(zip(cell.params, values[last:], strict=True)))
    outs: dict[str, Tensor] = dict(zip(cell.states, new, strict=True))
    if all(y is not s for s in new):
        outs[y.name or "y"] = y
    return args, outs, reachable([*outs.values()])
