"""Calling somebody's backward: what it is given, what it returns, and where it went wrong if it raised."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.blocks import Remembered
from ...domains.sizes import Sized, Undecided
from ..effects import definition, without_effects
from .numpylike import Symbolic, raw
from .numpyops import Unsupported
from .pose import floats, pose, sizes_of
from .problem import Problem, Reading
from .rebind import rebound

RETURN = "return a dict of arrays, the gradients by argument"
READINGS = (Reading(), Reading(time=1), Reading(batch=False))


class Named(dict):
    """A dict whose entries are attributes too: p["W"] and p.W."""

    __getattr__ = dict.__getitem__


def arguments(
    backward: Callable[..., Any], problem: Problem, wrap: Callable[[Any], Any]
) -> tuple[list[Any], dict[str, Any]]:
    """What the function asks for: (positional arguments, keyword arguments).

    Raises TypeError if it asks for what is not known.
    """
    offered, given = problem.offered, {}
    parameters = inspect.signature(backward).parameters
    for name, q in parameters.items():
        if name == "params" and name not in offered:
            given[name] = Named((k, wrap(offered[k])) for k in problem.cell.params)
        elif name == "cache" and name not in offered:
            given[name] = Named((k, wrap(v)) for k, v in offered.items())
        elif name in offered:
            given[name] = wrap(offered[name])
        elif q.default is q.empty and q.kind not in (q.VAR_POSITIONAL, q.VAR_KEYWORD):
            raise TypeError(
                f"{backward.__name__} asks for {name!r}, which is not known; it may ask for "
                f"{', '.join(sorted(offered))}, params, cache"
            )
    positional = [given.pop(n) for n, q in parameters.items() if q.kind == q.POSITIONAL_ONLY and n in given]
    return positional, given


def call_floats(backward: Callable[..., Any], problem: Problem) -> dict[str, np.ndarray]:
    """What numpy gives: gradients by argument of the cell."""
    positional, named = arguments(backward, problem, lambda v: v.copy() if isinstance(v, np.ndarray) else v)
    with located(backward), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = backward(*positional, **named)
        if result is None or inspect.isgenerator(result):
            what = "nothing" if result is None else "a generator"
            raise ValueError(f"{backward.__name__} returned {what}; {RETURN} {definition(backward)}")
        values = by_argument(result, problem, backward.__name__)
        for k, v in values.items():
            if np.asarray(v).dtype.kind not in "fiubc":
                what = f"a {type(v).__name__} as the gradient of {k}"
                raise ValueError(f"{backward.__name__} returned {what}; {RETURN} {definition(backward)}")
        return {k: np.asarray(v, dtype=float) for k, v in values.items()}


def call_exact(backward: Callable[..., Any], problem: Problem) -> dict[str, Sized]:
    """What the function gives on arrays of symbolic size: exact gradients by argument of the cell."""
    positional, named = arguments(backward, problem, lambda v: Symbolic(v) if isinstance(v, Sized) else v)
    with located(backward):
        Remembered.last = None
        result = rebound(backward)(*positional, **named)
        if Remembered.last is not None:  # and somebody's `except` hid it: numbers take another path there
            raise Remembered.last
    return {k: raw(v) for k, v in by_argument(result, problem, backward.__name__).items()}


def by_argument(result: Any, problem: Problem, who: str) -> dict[str, Any]:
    """A function's result as a dict by argument; what is None was not returned.

    Raises ValueError for names that are no argument's, or a wrong number of gradients.
    """
    names = problem.wanted
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    elif isinstance(result, tuple) and hasattr(result, "_asdict"):  # by its names, whatever their order
        result = result._asdict()
    if isinstance(result, dict):
        out: dict[str, Any] = {}
        for key, v in result.items():
            name = next((n for n in names if key == n), None) or next(
                (n for n in names if key in _spellings(n, problem)), None
            )
            if name is None:
                raise ValueError(
                    f"{who} returned a gradient named {key!r}; the arguments are {', '.join(names)}"
                )
            out[name] = v
    else:
        values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        if len(values) != len(names):
            raise ValueError(
                f"{who} returned {len(values)} gradients; return a dict by argument, or one for each of "
                f"{', '.join(names)}, in this order"
            )
        out = dict(zip(names, values, strict=True))
    out = {k: v for k, v in out.items() if v is not None}
    if not out:
        raise ValueError(f"{who} returned no gradient; return a dict by argument: {', '.join(names)}")
    return out


def _spellings(name: str, problem: Problem) -> set[str]:
    base = {name, f"{name}_prev", f"{name}_grad"}
    if problem.whole:
        base |= (
            {f"{name}0"}
            if name in problem.cell.states
            else {f"{name}s"}
            if name in problem.cell.inputs
            else set()
        )
    return base | {f"d{b}" for b in base} | {f"grad_{b}" for b in base}


@contextmanager
def located(backward: Any) -> Iterator[None]:
    """Errors in the function say in which of its lines."""
    try:
        yield
    except Exception as e:
        own = getattr(backward, "__func__", backward).__code__.co_filename
        lines = [f for f in traceback.extract_tb(e.__traceback__) if f.filename == own]
        if lines and "\n  in " not in str(e):
            text = f"{e}\n  in {own}:{lines[-1].lineno}: {lines[-1].line}"
            new = type(e)(text) if type(e) in _PLAIN else RuntimeError(f"{type(e).__name__}: {text}")
            told = isinstance(e, (Unsupported, Undecided))  # what is the matter; the rest keeps its traceback
            raise (new if told else new.with_traceback(e.__traceback__)) from None
        raise


_PLAIN = {
    Unsupported,
    Undecided,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    NameError,
    ZeroDivisionError,
}


# ---- which layout ------------------------------------------------------------------------------
@dataclass
class Numbers:
    """One run by numpy itself."""

    problem: Problem
    got: dict[str, np.ndarray]
    unread: set[str]
    pure: bool = True  # whether a second call gave the same

    def misshapen(self) -> dict[str, tuple[int, ...]]:
        """The gradients that have another shape than their argument."""
        true = self.problem.gradients()
        return {k: g.shape for k, g in self.got.items() if g.shape != true[k].shape}


def run_numbers(
    cell: Cell, backward: Callable[..., Any], T: int | None, reading: Reading, make: Any = None, y: Any = None
) -> Numbers:
    """The function run by numpy, on random numbers unless `make` says otherwise. y: as of `pose`."""
    problem = pose(cell, make or floats(sizes_of(cell)), T, reading, y)
    unread = problem.mute(set(inspect.signature(backward).parameters))
    return Numbers(problem, call_floats(backward, problem), unread)


def choose_reading(cell: Cell, backward: Callable[..., Any], T: int | None) -> Numbers:
    """The first layout of the arrays in which numpy runs the function and every gradient has its shape.

    Failing that, the one in which most have. Raises what the function raises if it runs in none.
    """
    errors: list[Exception] = []
    ran: list[Numbers] = []
    for reading in READINGS if T else READINGS[::2]:
        try:
            run = run_numbers(cell, backward, T, reading)
        except (TypeError, ValueError, IndexError, AttributeError, RuntimeError) as e:
            errors.append(e)
            continue
        with without_effects(backward.__name__, backward, partial(call_floats, backward, run.problem)):
            again = call_floats(backward, run.problem)
        run.pure = all(np.array_equal(g, again[k], equal_nan=True) for k, g in run.got.items())
        ran.append(run)
        if not run.misshapen():
            return run
    if not ran:
        raise errors[0]
    return min(ran, key=lambda run: len(run.misshapen()))
