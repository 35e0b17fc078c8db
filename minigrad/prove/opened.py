"""A cell with its formulas open: gates set to numbers, ranges, derivatives, all for every size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..cells import CELLS
from ..domains.blocks import COMPARED
from ..domains.contractions import DELTA, Sum
from ..domains.sizes import ATOMS, SIZES, Blocks, Undecided, fresh
from ..engine.core import Tensor, leaf
from .anysize import Derivative, every_case, opaque_arguments
from .compare.sides import functions, opaque_side, run
from .compare.substitution import Substitution
from .points import difference

ONE = Sum.number(1)
RANGES = {"sigmoid": (0, 1), "tanh": (-1, 1)}  # of these functions: open intervals


class Opened:
    """A cell run on opaque arrays, its gates by the names of its code; lives in one `fresh` block."""

    def __init__(self, name: str, case: Mapping[str, Blocks] | None = None) -> None:
        self.cell = CELLS[name]
        self.values = opaque_arguments(self.cell, case or {})
        self.side = opaque_side(self.cell, self.values)
        self.atoms = {
            self.side.name(a): a for o in self.side.outs for e in o.entries.values() for a in functions(e)
        }

    def __getitem__(self, name: str) -> Sum:
        """An argument (a state is that before the step), or else a gate, in the axes of the code."""
        if name not in self.values:
            return Sum.factor(self.atoms[name], self.side.place[self.atoms[name]])
        (entry,) = self.values[name].entries.values()
        return entry

    def new(self, state: str) -> Sum:
        """A state after the step."""
        (entry,) = self.side.outs[self.cell.states.index(state)].entries.values()
        return entry

    def put(self, e: Sum, **given: int) -> Sum:
        """The formula with gates, states, inputs or parameters set to numbers."""
        return Substitution(
            {k if k in self.values else self.atoms[k]: Sum.number(v) for k, v in given.items()}
        )(e)

    def other(self, name: str, **weights: str) -> Sum:
        """The first new state of another cell, on the same state and input, with this cell's parameters."""
        given = {n: self.values[n] for n in self.cell.states + self.cell.inputs}
        outs, _ = run(CELLS[name], given, {p: leaf(self.values[w]) for p, w in weights.items()})
        (entry,) = outs[0].value.entries.values()
        return entry

    def of(self, fn: Callable[..., Tensor], *names: str) -> Sum:
        """A function of Tensors, of these arguments of the cell."""
        (entry,) = fn(*(leaf(self.values[n]) for n in names)).value.entries.values()
        return entry


@dataclass(frozen=True)
class _Case:
    """Whether some formulas are zero, at the sizes of one case."""

    zero: bool
    conditions: tuple[str, ...]
    asked: frozenset


def zero_everywhere(formulas: Callable[[Mapping[str, Blocks]], Iterable[Sum]]) -> bool:
    """Whether the formulas, made for given sizes, are zero at every size."""

    def prove(case: Mapping[str, Blocks]) -> _Case:
        with fresh():
            zero = all(ATOMS.is_zero(e) for e in formulas(case))
            return _Case(zero, tuple(sorted(SIZES.conditions)), frozenset(COMPARED))

    cases: list[Any] = every_case(prove)  # type: ignore[arg-type]
    return all(case.zero and not case.conditions for case in cases)


def apart(a: Sum, b: Sum, a_name: str, b_name: str) -> str:
    """A certified point at which two formulas of (batch, n) differ, in words; "" if none was found."""
    p = difference(a, b, ("b", "n"), {"n": 2, "d": 2, "b": 1})
    return (
        f"at a rational point, n = d = 2: {a_name} is {p.got:.6g}, {b_name} is {p.true:.6g} (certified)"
        if p
        else ""
    )


def bounds(e: Sum, box: Mapping[str, tuple[int, int]]) -> tuple[Fraction, Fraction]:
    """The open interval in which a formula lies, its tensors lying in open intervals.

    The formula must be affine in each tensor (Undecided otherwise): then its extreme values are at the
    corners, and inside it is strictly between them, unless it is constant.
    """
    factors = sorted({key for fs, _ in e.terms for key, _ in fs})
    if any(dims for _, dims in e.terms) or any(p != 1 for fs, _ in e.terms for _, p in fs):
        raise Undecided(f"the range of {e}, which is not affine in each of its tensors")
    values = []
    for corner in itertools.product(*(box[name] for name, _ in factors)):
        at = dict(zip(factors, corner, strict=True))
        total = Fraction(0)
        for (fs, _), c in e.terms.items():
            term = Fraction(c)
            for key, _ in fs:
                term *= at[key]
            total += term
        values.append(total)
    return min(values), max(values)


def derivative(o: Opened, e: Sum, state: str) -> tuple[Sum, dict[int, int]]:
    """The derivative of a formula by the state at other indices, and which index that is on each axis."""
    (((fs, _), _),) = o[state].terms.items()
    (((name, idx), _),) = fs
    d = Derivative(name, len(idx))
    return d(e), dict(zip(idx, d.at, strict=True))


def equal_indices(pairs: Mapping[int, int]) -> Sum:
    """1 where the indices are equal, else 0."""
    out = ONE
    for i, k in pairs.items():
        out = out * Sum.factor(DELTA, (i, k))
    return out
