"""A cell run forward for one step or many, the gradients of its arguments, and the loop that gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.sizes import Sized
from ...engine.core import domain_of
from .lets import LETS
from .steps import Step, zeros


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

    @property
    def wanted(self) -> list[str]:
        """The arguments that have a gradient: all but inputs that are indices."""
        leaves = self.steps[0].leaves
        names = [*self.cell.states, *self.cell.inputs, *self.cell.params]
        return [n for n in names if leaves[n].requires_grad or n in self.cell.states]

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


def close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    """Whether two arrays of floats are the same numbers but for rounding."""
    if a.shape != b.shape:
        return False
    scale = max(float(np.max(np.abs(b), initial=0)), 1e-12)
    return bool(math.isfinite(scale) and np.max(np.abs(a - b), initial=0) <= tolerance * scale)
