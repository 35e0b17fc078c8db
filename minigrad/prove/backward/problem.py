"""What a hand-written backward is asked: a cell run forward, with a cotangent for all that it gives.

The same problem is posed in exact numbers of symbolic size (the proof), of small fixed sizes (where the
function loops over entries), and in floats (numpy itself: layout, cross-check, search for the mistake).
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.blocks import Blocks
from ...domains.sizes import Sized, array
from ...engine.core import Tensor, domain_of, leaf, node, recording
from ...engine.grad import reachable, sweep
from ...engine.watch import Watch
from ..anysize import blocks
from .lets import LETS

Make = Callable[[str, tuple[Blocks, ...]], Any]  # (name, axes) -> an array of unknown values


@dataclass(frozen=True)
class Reading:
    """How arrays are laid out: with a batch axis or for one example, time first or second."""

    batch: bool = True
    time: int = 0

    def __str__(self) -> str:
        return {
            (True, 0): "",
            (True, 1): ", batch first",
            (False, 0): ", for one example without a batch axis",
        }[self.batch, self.time]


def exact(case: Mapping[str, Blocks]) -> Make:
    """Opaque tensors; the sizes in `case` are what it says, the others any."""
    return lambda name, axes: array(
        name, *(tuple(x for b in axis for x in case.get(b, (b,))) for axis in axes)
    )


def floats(sizes: Mapping[str, int], seed: int = 0) -> Make:
    """Random numbers, of these sizes."""
    rng = np.random.default_rng(seed)
    return lambda name, axes: rng.normal(size=[sum(sizes.get(b, 1) for b in axis) for axis in axes])


@dataclass
class Step:
    """One step of the cell: its leaves, what it gives, and what flows back into that."""

    leaves: dict[str, Tensor]
    outs: list[Tensor]
    cotangents: list[Any]
    nodes: list[Tensor] = field(init=False)  # its operations, in the order of the code

    def __post_init__(self) -> None:
        self.nodes = [t for t in reachable(self.outs) if t.op is not None]

    def vjp(self, cotangents: Sequence[Any]) -> dict[str, Any]:
        """The engine's gradient of every argument of this step."""
        found = sweep(self.outs, [leaf(c) for c in cotangents], list(self.leaves.values()), graph=False)
        return {
            k: zeros(x.value) if g is None else g.value
            for (k, x), g in zip(self.leaves.items(), found, strict=True)
        }


def zeros(x: Any) -> Any:
    """Zeros in the shape and numbers of a raw array."""
    return domain_of(x).zeros(x.shape, x)


def run_step(
    cell: Cell, values: dict[str, Any], make: Make, axes: dict[str, tuple[Blocks, ...]], tag: str = ""
) -> Step:
    """The cell on these values; the cotangents of what it gives are unknown arrays d<name><tag>."""
    args = {k: leaf(v, requires_grad=True, name=k) for k, v in values.items()}
    with recording("all"), Watch():
        result = cell.fn(*(args[k] for k in cell.states + cell.inputs), **{k: args[k] for k in cell.params})
    new, y = cell.outputs(result)
    outs, names = list(new), list(cell.states)
    if all(y is not s for s in new):
        outs, names = [*outs, y], [*names, "y"]
    for n, o in zip(names, outs, strict=True):
        o.name = o.name or n
    cotangents = []
    for n, o in zip(names, outs, strict=True):
        own = (
            o.value.axes
            if isinstance(o.value, Sized)
            else axes.get("" if n == "y" else n, tuple((1,) * k for k in o.shape))
        )
        cotangents.append(make(f"d{n}{tag}", own))
    return Step(args, outs, cotangents)


Edit = Callable[
    [Tensor, tuple[Tensor, ...], Callable[[Any], Tensor]], Tensor
]  # (node, inputs, others) -> in its place


def rebuilt(
    cell: Cell,
    step: Step,
    leaves: dict[str, Tensor],
    t: int | None = None,
    at: int = -1,
    edit: Edit | None = None,
) -> Step:
    """The same operations on other leaves. t: the step whose exact states get names of their own (see lets.py).

    edit: gives the value that node `at` has instead of its own, from any leaf or node before it; its rule stays.
    """
    states = {o.id: f"{s}_{t}" for s, o in zip(cell.states, step.outs, strict=False)} if t is not None else {}
    new = {x.id: leaves[n] for n, x in step.leaves.items()}
    with recording("all"):
        for old in reachable(step.outs):
            if old.op is None:
                new.setdefault(old.id, old)
                continue
            inputs = tuple(new[x.id] for x in old.inputs)
            if edit is not None and old is step.nodes[at]:
                value = edit(old, inputs, lambda x: leaves[x] if x in leaves else new[step.nodes[x].id]).value
            else:
                value = old.op.value(old.m, *(x.value for x in inputs), **old.params)
            if old.id in states and isinstance(value, Sized):
                value = LETS.bind(states[old.id], value)
            new[old.id] = copy = node(old.op, old.m, value, inputs, old.params)
            copy.name, copy.note = old.name, old.note
    return Step(leaves, [new[o.id] for o in step.outs], step.cotangents)


@dataclass
class Problem:
    """A cell run forward for one step or T of them, and what a backward may ask for, by name."""

    cell: Cell
    steps: list[Step]
    reading: Reading
    whole: bool  # a sequence, or one step
    offered: dict[str, Any]
    names: dict[Any, Any] = field(default_factory=dict)  # of the states after each step (see lets.py)

    @property
    def T(self) -> int | None:
        """The number of steps of a sequence, None for a single step."""
        return len(self.steps) if self.whole else None

    @property
    def out_names(self) -> list[str]:
        """What each output of a step is called: the states, then y."""
        return [*self.cell.states, "y"][: len(self.steps[0].outs)]

    def stacked(self, values: Sequence[Any]) -> Any:
        """One array for all steps."""
        at = min(self.reading.time, values[0].ndim)
        return domain_of(values[0]).stack(list(values), at - 1 - values[0].ndim)

    def mute(self, asked: set[str]) -> set[str]:
        """Cotangents that the function did not ask for count as zero; the names of what they belong to."""
        unread = set()
        for k, n in enumerate(self.out_names):
            if asked & {"cache", f"d{n}", f"d{n}_next", f"d{n}_new", f"d{n}s"}:
                continue
            last = f"d{n}T" in asked and self.whole
            unread |= {f"{n}_1..{n}_T-1" if last else n}
            for step in self.steps[:-1] if last else self.steps:
                step.cotangents[k] = zeros(step.cotangents[k])
        return unread

    def gradients(self, loop: Loop | None = None) -> dict[str, Any]:
        """The gradient of every argument by the adjoint recursion; loop: with what is different in it."""
        cell, loop = self.cell, loop or Loop()
        parts: list[dict[str, Any]] = [{} for _ in self.steps]
        carry: list[Any] = [None] * len(cell.states)
        for t in loop.order(len(self.steps)):
            into = loop.seeds(self, t, carry)
            g = loop.vjp(self, t, into)
            back = loop.carried(self, t, into, [g[s] for s in cell.states])
            carry = [self._named(t, k, c) for k, c in enumerate(back)]
            parts[t] = loop.used(self, t, into, g)
        sums = {p: sum_of([g[p] for g in loop.kept(parts)]) for p in cell.params}
        inputs = {
            x: self.stacked([g[x] for g in loop.ordered(parts)]) if self.whole else parts[0][x]
            for x in cell.inputs
        }
        return dict(zip(cell.states, carry, strict=True)) | inputs | sums

    def _named(self, t: int, k: int, carried: Any) -> Any:
        """The cotangent carried into step t, under a name of its own."""
        if not isinstance(carried, Sized) or not self.whole:
            return carried
        short = LETS.bind(f"carried_d{self.cell.states[k]}{t}", carried)
        direct = self.steps[(t - 1) % len(self.steps)].cotangents[k]
        LETS.also(carried + direct, short + direct)
        return short


class Loop:
    """What the loop over time does with a step's gradients; the mistakes of a loop are its subclasses."""

    def order(self, T: int) -> Iterable[int]:
        """The steps in the order in which they are visited."""
        return range(T - 1, -1, -1)

    def seeds(self, problem: Problem, t: int, carry: Sequence[Any]) -> list[Any]:
        """The cotangents of step t: those of its own outputs, and those carried back into its states."""
        return with_carry(problem.steps[t].cotangents, carry)

    def vjp(self, problem: Problem, t: int, into: Sequence[Any]) -> dict[str, Any]:
        """What flows back out of step t."""
        return problem.steps[t].vjp(into)

    def carried(self, problem: Problem, t: int, into: Sequence[Any], back: Sequence[Any]) -> list[Any]:
        """What goes on to the step before: of what flows back, that of the states."""
        return list(back)

    def used(self, problem: Problem, t: int, into: Sequence[Any], g: dict[str, Any]) -> dict[str, Any]:
        """What step t gives to the parameters and inputs; g: what flows back out of it."""
        return g

    def kept(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The steps whose parameter gradients are added up."""
        return parts

    def ordered(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The steps in the order in which the gradients of the inputs are stacked."""
        return parts


def with_carry(direct: Sequence[Any], carry: Sequence[Any]) -> list[Any]:
    """Cotangents of outputs plus those carried into the first of them, the states."""
    return [
        d if c is None else d + c
        for d, c in zip(direct, [*carry, *[None] * (len(direct) - len(carry))], strict=True)
    ]


def sum_of(xs: Sequence[Any]) -> Any:
    """The sum, the last first: as a loop backward in time adds up."""
    total = xs[-1]
    for x in reversed(xs[:-1]):
        total = total + x
    return total


# ---- posing the problem ------------------------------------------------------------------------
def pose(
    cell: Cell, make: Make, T: int | None, reading: Reading, y: tuple[Blocks, ...] | None = None
) -> Problem:
    """One step (T is None) or T of them from an unknown state, all cotangents unknown.

    y: the axes of the output, where they cannot be seen.
    """
    axes = {
        name: ((("b",),) if reading.batch and name not in cell.params else ())
        + tuple(blocks(s, {}) for s in cell.sizes[name])
        for name in cell.states + cell.inputs + cell.params
    }
    axes |= {"": y} if y is not None else {}
    return _one_step(cell, make, axes, reading) if T is None else _sequence(cell, make, axes, reading, T)


def _one_step(cell: Cell, make: Make, axes: dict[str, tuple[Blocks, ...]], reading: Reading) -> Problem:
    values = {name: make(name, a) for name, a in axes.items() if name in cell.sizes}
    step = run_step(cell, values, make, axes)
    offered: dict[str, Any] = {t.name: t.value for t in step.nodes if t.name and t.name not in values}
    problem = Problem(cell, [step], reading, False, offered)
    for n, o, d in zip(problem.out_names, step.outs, step.cotangents, strict=True):
        offered |= {f"{n}_next": o.value, f"{n}_new": o.value, f"d{n}": d, f"d{n}_next": d, f"d{n}_new": d}
    offered |= {f"{s}_prev": values[s] for s in cell.states} | values
    return problem


def _sequence(
    cell: Cell, make: Make, axes: dict[str, tuple[Blocks, ...]], reading: Reading, T: int
) -> Problem:
    params = {p: make(p, axes[p]) for p in cell.params}
    states = [{s: make(f"{s}0", axes[s]) for s in cell.states}]
    xs = [{x: make(f"{x}{t}", axes[x]) for x in cell.inputs} for t in range(1, T + 1)]
    steps: list[Step] = []
    for t, x in enumerate(xs, start=1):
        plain = run_step(cell, states[-1] | x | params, make, axes, tag=str(t))
        steps.append(rebuilt(cell, plain, plain.leaves, t))
        states.append({s: o.value for s, o in zip(cell.states, steps[-1].outs, strict=False)})
    problem = Problem(cell, steps, reading, True, dict(params))
    offered = problem.offered
    for column in zip(*(s.nodes for s in steps), strict=True):
        if column[0].name:
            offered[f"{column[0].name}s"] = problem.stacked([t.value for t in column])
    for k, n in enumerate(problem.out_names):
        offered[f"d{n}s"] = problem.stacked([s.cotangents[k] for s in steps])
        offered[f"d{n}T"] = steps[-1].cotangents[k]
        if n == "y":
            offered["ys"] = problem.stacked([s.outs[k].value for s in steps])
    for s in cell.states:
        offered |= {f"{s}s": problem.stacked([v[s] for v in states[1:]]), f"{s}0": states[0][s]}
        offered[f"{s}s_prev"] = problem.stacked([v[s] for v in states[:-1]])
    offered |= {f"{x}s": problem.stacked([v[x] for v in xs]) for x in cell.inputs} | {"T": T}
    offered |= {f"{name}_": v for name, v in offered.items() if keyword.iskeyword(name)}
    problem.names = dict(LETS.known)
    return problem


def sizes_of(cell: Cell, first: int = 5) -> dict[str, int]:
    """A different number for every size of the cell and the batch, so that no two shapes agree by chance."""
    names = sorted({n for axes in cell.sizes.values() for s in axes for n in s if n})
    order = sorted(
        names, key=lambda n: n not in {m for s in cell.states for size in cell.sizes[s] for m in size}
    )
    numbers = [first, 2, 7, 11, 13, 17, 19, 23]
    return {n: numbers[min(k, 7)] + max(0, k - 7) for k, n in enumerate(order)} | {"b": 4}


def close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    """Whether two arrays of floats are the same numbers but for rounding."""
    if a.shape != b.shape:
        return False
    scale = max(float(np.max(np.abs(b), initial=0)), 1e-12)
    return bool(math.isfinite(scale) and np.max(np.abs(a - b), initial=0) <= tolerance * scale)
