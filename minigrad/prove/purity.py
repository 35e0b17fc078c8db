"""A cell must be a function of its arguments; one that is not is refused, with its file and line.

What is proved is the program that one run of the cell records. So nothing may be claimed of a cell whose next
run would do something else, or whose run does more than compute its result. The cell is run on numbers before
anything is claimed: twice on the same ones, all positive, then on negative ones and on both.

Seen: a program that differs between these runs (a constant, an operation, their number); a change of the
random number generators of `random`, numpy and minigrad, of an argument, or of what the code reads by name
(globals, variables closed over, defaults, attributes of modules, and what is inside them); calls of print,
input and open, of a file's methods, of the clock, and of `random`.
Not seen: a dependence on values that does not show at these numbers (it must read `.value`, as every other
way to look at a value is refused); state that C code or an object without attributes keeps to itself; what
another process or thread does.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType

import numpy as np

from ..cells.cell import Cell
from ..engine.core import Tensor
from ..engine.program import Program, hashable, record
from .effects import ALONE, ARGUMENT, ImpureError, definition, fingerprint, is_users, line, without_effects
from .step import default_sizes, indices, whole_inputs

RANGES = [(0.1, 0.9), (0.1, 0.9), (-0.9, -0.1), (-0.9, 0.9)]


def check_function(cell: Cell) -> None:
    """Run the cell on numbers and see that it is a function of its arguments alone.

    Raises ImpureError, with file and line, for an effect, randomness, or a result that hangs on more than the
    arguments; TraceError, TypeError and ShapeError, with file and line too, for what cannot be recorded.
    """
    if inspect.isgeneratorfunction(cell.fn):
        raise ImpureError(
            f"{cell.name} is a generator: return the new state, do not yield it {definition(cell.fn)}"
        )
    with _placed(cell), np.errstate(all="ignore"):
        whole = whole_inputs(cell)
        first, again, *others = (
            _observed(cell, _numbers(cell, whole, *bounds), watch=k == 0) for k, bounds in enumerate(RANGES)
        )
    why = f"computes something else when it runs again on the same numbers; {ARGUMENT}"
    for other in (again, *others):
        if first.key != other.key:
            raise ImpureError(f"{cell.name} {why} {_first_difference(cell, first, other)}")
        why = "keeps numbers of the run that is recorded; compute with tensors, not with their .value"


def _numbers(cell: Cell, whole: frozenset[str], low: float, high: float) -> dict[str, np.ndarray]:
    """Arguments of a batch of 2, no two sizes equal, of numbers in a range; always the same ones."""
    sizes = default_sizes(cell)[0] | {"batch": 2}
    rng, out = np.random.default_rng(0), {}
    for name in cell.states + cell.inputs + cell.params:
        shape = (() if name in cell.params else (2,)) + cell.shape(name, sizes)
        out[name] = indices(shape, sizes) if name in whole else rng.uniform(low, high, shape)
    return out


def _observed(cell: Cell, values: dict[str, np.ndarray], watch: bool) -> Program:
    """The program of one run. Raises ImpureError for what the run does besides."""

    def run(watch: bool) -> Program:
        return record(partial(_step, cell), [v.copy() for v in values.values()], list(values), watch)[0]

    with without_effects(cell.name, cell, lambda: run(False)):
        program = run(watch)
    return program


def _step(cell: Cell, *xs: Tensor) -> tuple[Tensor, ...]:
    k, last = len(cell.states), len(cell.states) + len(cell.inputs)
    before = [fingerprint(x.value) for x in xs]
    new, y = cell.advance(xs[:k], xs[k:last], dict(zip(cell.params, xs[last:], strict=True)))
    for name, x, was in zip(cell.states + cell.inputs + cell.params, xs, before, strict=True):
        if fingerprint(x.value) != was:
            raise ImpureError(
                f"{cell.name} changes its argument {name} in place; {ALONE} {definition(cell.fn)}"
            )
    return (*new, y)


def _first_difference(cell: Cell, a: Program, b: Program) -> str:
    """Where the code computes the first thing that two programs have not in common."""
    for n, o in zip(a.nodes, b.nodes, strict=False):
        same = (n.op, n.args, hashable(n.params)) == (o.op, o.args, hashable(o.params))
        consts = [k for i in n.args if 0 <= (k := i - len(a.inputs)) < len(a.consts)]
        if not same or any(not np.array_equal(a.consts[k], b.consts[k], equal_nan=True) for k in consts):
            if n.note is not None and n.note.file is not None and n.note.line is not None:
                return line(n.note.file, n.note.line)
            break
    return definition(cell.fn)


# ---- errors of the cell's own code ---------------------------------------------------------------
@contextmanager
def _placed(cell: Cell) -> Iterator[None]:
    """Adds to an error the line of the user's code that led to it."""
    try:
        yield
    except Exception as e:
        own = itertools.dropwhile(lambda f: f[0] is not cell.fn.__code__, _frames(e))
        lines = [line(code.co_filename, k) for code, k in own if is_users(code)]
        place = lines[-1] if lines else definition(cell.fn)
        text = e.args[0] if len(e.args) == 1 and isinstance(e.args[0], str) else None
        if text is None or isinstance(e, KeyError):
            e.add_note(place)
        elif "(in " not in text:
            e.args = (f"{text} {place}",)
        raise


def _frames(e: Exception) -> Iterator[tuple[CodeType, int]]:
    tb = e.__traceback__
    while tb is not None:
        yield tb.tb_frame.f_code, tb.tb_lineno
        tb = tb.tb_next


__all__ = ["ImpureError", "check_function"]
