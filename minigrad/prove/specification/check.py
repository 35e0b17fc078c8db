"""check_specification: equations as text against the code of a cell, proved for every size or refuted.

A gradient check cannot see a wrong forward equation, as its gradient is consistently wrong. So the equations
are read (equations.py), made into a cell of their own (reading.py), and compared (compare.py) with the code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cells.cell import Cell, as_tuple
from ...domains.sizes import ATOMS, SIZES, Sized, fresh
from ...engine import functions as fns
from ...engine.core import Tensor, leaf, recording
from ..anysize import opaque_arguments
from ..compare.comparison import Comparison, compare
from ..compare.sides import run
from ..compare.weights import WeightMap
from ..faults import label
from .equations import FUNCTIONS, read_equations
from .reading import Reading

NAMED = {n: getattr(fns, "sigmoid" if n == "sigma" else n) for n in FUNCTIONS}


@dataclass(frozen=True)
class EquationCheck:
    """One equation: proved (what the code calls it), refuted (in what it differs), or unknown."""

    verdict: str
    label: str
    text: str
    variable: str
    code: str
    why: str

    def __str__(self) -> str:
        label = f"({self.label}) " if self.label else ""
        return (
            f"{self.verdict}: {label}{self.text.replace('&=', '=')}"
            + (f"   [{self.code}]" if self.code else "")
            + (f"\n    {self.why}" if self.why else "")
        )


@dataclass(frozen=True)
class SpecificationCheck:
    """The verdict on a cell and its equations, equation by equation, and the comparison it rests on."""

    verdict: str
    statement: str
    equations: tuple[EquationCheck, ...]
    comparison: Comparison
    seconds: float

    def __bool__(self) -> bool:
        return self.verdict == "proved"

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.statement}", *map(str, self.equations)]
        if self and self.comparison.weights is not None:
            lines += [
                "where, in the weights of the code,",
                *(f"  {w}" for w in str(self.comparison.weights).splitlines()),
            ]
        return "\n  ".join(lines)


def check_specification(
    cell: Cell, text: str, functions: Mapping[str, str | Callable[..., Any]] | None = None
) -> SpecificationCheck:
    """Whether the code of a cell computes the equations in `text`, for every size, up to a map of weights.

    text: LaTeX (between dollar signs, or a line for each equation) or plain code; a state of the step before
    is h_{t-1}, or in plain code a name used before it is defined. functions: what letters such as f stand
    for, by the name of a known function or as a function of a Tensor.
    Raises EquationError, with the place, for what cannot be read; ValueError if there are no equations.
    """
    start = time.perf_counter()
    known: dict[str, Callable[..., Any]] = dict(NAMED)
    for name, f in (functions or {}).items():
        if isinstance(f, str) and f not in NAMED:
            raise ValueError(
                f"functions: {name} is {f!r}; pass one of {', '.join(NAMED)}, or a function of a Tensor"
            )
        known[name] = NAMED[f] if isinstance(f, str) else f
    reading = Reading(read_equations(text, tuple(known)), cell, known)
    spec = reading.cell(_has_output(cell))
    comparison = compare(cell, spec)
    checks = tuple(_each(reading, cell, comparison))
    verdict = "proved" if comparison else "unknown" if comparison.verdict == "unknown" else "refuted"
    statement = (
        f"{cell.name} {'computes' if comparison else 'against'} these equations, for every size and batch"
    )
    return SpecificationCheck(verdict, statement, checks, comparison, time.perf_counter() - start)


def _has_output(cell: Cell) -> bool:
    with fresh(), recording("off"):
        values = opaque_arguments(cell)
        args = [leaf(values[n]) for n in cell.states + cell.inputs]
        return len(as_tuple(cell.fn(*args, **{p: leaf(values[p]) for p in cell.params}))) > len(cell.states)


def _each(reading: Reading, cell: Cell, comparison: Comparison) -> Iterator[EquationCheck]:
    """The verdict on each equation; one whose own terms are right is proved, whatever it uses."""
    wrong = _wrong(comparison)
    same = _counterparts(reading, cell, comparison, {v: there for v, (there, _) in wrong.items()})
    unused = reading.outputs()
    for e in reading.equations:
        v = e.target.text
        if v in wrong:
            yield EquationCheck("refuted", e.label, e.text, v, *wrong[v])
        elif v in same or (comparison and v not in unused):
            yield EquationCheck("proved", e.label, e.text, v, same.get(v, ""), "")
        else:
            why = "nothing in the cell uses it" if v in unused else "no variable of the code equals it"
            yield EquationCheck("unknown", e.label, e.text, v, "", why)


def _wrong(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """variable of the equations -> (what the code calls it, how it differs)."""
    d = comparison.failing
    if d is None or comparison:
        return {}
    if d is comparison.forward:
        return {m.b: (m.a, m.text(d.source, d.target)) for m in d.mismatches}
    return {m.a: (m.b, m.text(d.source, d.target)) for m in d.mismatches}


def _counterparts(
    reading: Reading, cell: Cell, comparison: Comparison, wrong: Mapping[str, str]
) -> dict[str, str]:
    """variable of the equations -> that of the code which equals it, wrong ones being taken from the code."""
    weights = comparison.forward.weights if comparison.forward is not None else None
    if not isinstance(weights, WeightMap):
        return {}
    with fresh():
        values = opaque_arguments(cell)
        given = {n: values[n] for n in cell.states + cell.inputs}
        params = {p: leaf(values[p], name=p) for p in cell.params}
        outs, nodes = run(cell, given, params)
        ours = dict(zip(weights.target.states + weights.target.inputs, given.values(), strict=True))
        by_name = {n.name: n for n in [*nodes, *outs] if n.name}
        put = {v: by_name[there] for v, there in wrong.items() if there in by_name}
        args = [leaf(ours[n], name=n) for n in reading.states + reading.inputs]
        wanted = [n for n in reading.defined if n not in reading.outputs() or len(outs) > len(cell.states)]
        found = reading.values(wanted, args, weights(params), put)
        there = {v: _called(t.value, [*outs, *nodes]) for v, t in found.items() if v not in wrong}
        return {v: name for v, name in there.items() if name}


def _called(value: Any, nodes: Sequence[Tensor]) -> str:
    """What the code calls this value, or one minus what it calls it."""
    named = [n for n in nodes if n.name]
    one = SIZES.number(1)
    for words, of, values in (("{}", named, value), ("1 - {}", named, one - value), ("{}", nodes, value)):
        for node in of:
            if isinstance(node.value, Sized) and _equal(node.value, values):
                return words.format(label(node, 1))
    return ""


def _equal(a: Sized, b: Sized) -> bool:
    return a.axes == b.axes and all(ATOMS.is_zero(e - b.entries[k]) for k, e in a.entries.items())
