"""The code that the fast path runs, judged: its very text, executed on numbers modulo p, against the plain scan.

Every scan of a cell's training step, forward and backward, is compiled as ever. The emitted functions are then
run again from their text, by numpy, on object arrays of field numbers (domains/entries.py): with numpy's own
views, buffers and order of writing, the same glue around them, memory that starts out unwritten, and, if asked,
the kernels' text instead of the lines it takes the place of. What they give must be what the recorded program
gives, one step after the other, for arbitrary arguments: an identity at random points, as in modular.py, exact
at these sizes and numbers of steps up to the error bound that is printed.
"""

from __future__ import annotations

import copy
import itertools
import time
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...domains.entries import ENTRIES, UFUNCS, NeverWritten, memory, to_array, to_field
from ...domains.field import FIELD, Mod, fresh
from ...domains.floats import FLOATS
from ...engine.bptt import Layout, run_plain
from ...engine.program import Program
from ...fast import Compiled, Scanned, scanned
from ...fast.cut import CannotCompile
from ...fast.emit import Rule, exp
from ...fast.nests import largest, total, where
from ..step import Sizes, arguments, default_sizes, random_array
from .modular import CLOSE, SURE

STEPS, TRIALS = (1, 2, 3), 3
Edit = Callable[[str], str]


@dataclass(frozen=True)
class EmittedCheck:
    """Whether emitted code gives what the plain scan gives, and how far that can be trusted.

    verdict: agrees | refuted (it differs modulo p and in floating point, where new memory is NaN) | unknown.
    scans: the names of the programs; steps: the numbers of steps that were run; error: a bound on the
    probability that wrong code agrees; lines: how many lines of text were run; reason: what is wrong, and where.
    """

    verdict: str
    scans: tuple[str, ...]
    steps: tuple[int, ...]
    error: float
    lines: int
    seconds: float
    reason: str = ""

    def __bool__(self) -> bool:
        return self.verdict == "agrees"

    def __str__(self) -> str:
        return (
            self.verdict + f": {self.reason}" * bool(self.reason)
            + f" ({self.lines} lines of {', '.join(self.scans)}, T = {', '.join(map(str, self.steps))}, modulo "
            f"2^61 - 1; wrong code agrees with probability < {self.error:.1e})"
        )  # fmt: skip


def scans_of(
    cell: Cell, sizes: Sizes | None = None, order: int = 1, dtype: str = "float64", **how: Any
) -> list[Scanned]:
    """The scans of one training step of a cell: its value, and the gradient of every argument; each code once.

    sizes: {"n": 3, "d": 2, "batch": 2}, by the names of the declared shapes. order: 0 for the value alone, 2 for
    a Hessian times a vector too. how: truncate, reverse, checkpoint.
    """
    args = arguments(cell, sizes or default_sizes(cell)[0] | {"batch": 2}, random_array)
    values = {k: v.value.astype(dtype) if v.dtype.kind == "f" else v.value for k, v in args.items()}
    # one step, as the code is the same for any number; so many that there is a cut, and a segment
    T = 1 + max([how.get("truncate") or 0, *(2 * how[k] for k in how if k == "checkpoint")])
    xs = tuple(np.repeat(values[k][None], T, 0) for k in cell.inputs)
    state, params = tuple(values[k] for k in cell.states), {k: values[k] for k in cell.params}
    with np.errstate(all="ignore"):
        found = scanned(cell, state, xs, params, order, **how)
    once: dict[Any, Scanned] = {}
    for s in found:
        once.setdefault((s.program.key, s.layout), s)
    return list(once.values())


def check_emitted(
    cell: Cell, sizes: Sizes | None = None, steps: Sequence[int] = STEPS, kernels: bool = False,
    seed: int = 0, **how: Any,
) -> EmittedCheck:  # fmt: skip
    """Whether the code that trains a cell gives what its plain scan gives, forward and backward.

    sizes and how (order and dtype too): as for `scans_of`; kernels: judge the text of the compiled kernels as
    well, which needs no numba. A scan that cannot be compiled runs step by step, so that there is nothing to judge.
    """
    start = time.perf_counter()
    found = [judge(s, steps, kernels, seed) for s in scans_of(cell, sizes, **how) if s.compiled]
    if not found:
        return EmittedCheck("agrees", (), tuple(steps), 0.0, 0, time.perf_counter() - start)
    bad = next((f for f in found for v in ("refuted", "unknown") if f.verdict == v), found[0])
    return replace(
        bad, scans=tuple(s for f in found for s in f.scans), error=max(f.error for f in found),
        lines=sum(f.lines for f in found), seconds=time.perf_counter() - start,
    )  # fmt: skip


def judge(
    scan: Scanned, steps: Sequence[int] = STEPS, kernels: bool = False, seed: int = 0,
    edit: Edit = lambda text: text,
) -> EmittedCheck:  # fmt: skip
    """Whether the code of one scan gives what the plain runner gives, in each way that it is written.

    edit: what is done to each text before it is run, which is how tests plant faults.
    """
    start, error, reason, verdict = time.perf_counter(), 0.0, "", "agrees"
    versions = written(scan, kernels)
    for T, compiled in itertools.product(steps, versions):
        bound, trial = 1.0, 0
        while bound > SURE and trial < TRIALS and not reason:
            reason, once = _at_one_point(compiled, scan, T, (seed, T, trial), edit)
            bound, trial = bound * once, trial + 1
        error = max(error, bound)
        if reason:
            certain = differs_in_floats(compiled, scan, T, seed, edit)
            verdict, reason = "refuted" if certain else "unknown", f"{scan.program.name}, T = {T}: {reason}"
            break
    if verdict == "agrees" and error > SURE:
        verdict, reason = "unknown", "the error bound says nothing"
    lines = sum(len(text.splitlines()) for compiled in versions for text in texts(compiled))
    return EmittedCheck(
        verdict, (scan.program.name,), tuple(steps), error, lines, time.perf_counter() - start, reason
    )


def written(scan: Scanned, kernels: bool) -> list[Compiled]:
    """The compiled scan with the text that numba compiles, where it has such a form, or with numpy's calls: as they
    are written for small states, and as for large ones where that is another text."""

    def version(near: bool) -> Compiled:
        ran = scan.compiled
        if ran is not None and ran.near == near and kernels == ran.loop.kernels:
            return ran
        try:
            return Compiled(scan.program, scan.layout, kernels, near)
        except CannotCompile:
            return Compiled(scan.program, scan.layout, False, near)

    small = version(False)
    if small.loop.kernels:
        return [small]
    large = version(True)
    return [small] if texts(small) == texts(large) else [small, large]


def texts(compiled: Compiled) -> list[str]:
    """The emitted functions: before, loop, after, sums; those that there are."""
    parts = compiled.before, compiled.loop, compiled.after, compiled.sums
    return [part.source for part in parts if part.source]


# ---- the text run again --------------------------------------------------------------------------
def rerun(
    compiled: Compiled, make: Callable[..., Any], name: Callable[[Any], Any], np_: Any, edit: Edit
) -> Compiled:
    """The compiled scan with its functions made anew from their text, and the names in it replaced.

    make(shape, dtype): new arrays; name(x): what stands for a function of numpy or a value rule; np_: numpy.
    """

    def function(text: str, space: dict[str, Any], which: str) -> Callable[..., Any]:
        new = {k: name(v) for k, v in space.items() if not k.startswith("__")}
        new |= {"np": np_, "empty": make}
        exec(compile(edit(text), f"<{which}>", "exec"), new)
        return new[which]

    twin = copy.copy(compiled)
    for part in ("before", "after", "sums"):
        outside = copy.copy(getattr(compiled, part))
        if outside.source:
            outside.run = function(outside.source, outside.space, part)
        setattr(twin, part, outside)
    loop = compiled.loop
    twin.loop = replace(loop, function=function(loop.source, loop.space, "loop"), empty=make)
    return twin


class _Numpy(types.SimpleNamespace):
    """numpy, but for some of its functions."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _copyto(out: Any, x: Any, where: Any = None) -> None:
    out[...] = x if where is None else where * x + (1 - where) * out


def _where(c: Any, x: Any, y: Any) -> Any:
    return c * x + (1 - c) * y


STAND_INS: dict[Any, Any] = {
    exp: np.exp,
    where: _where,
    total: lambda x: np.add.reduce(np.asarray(x)),
    largest: lambda x: ENTRIES.max(np.asarray(x), (-1,), False).item(),
}


def _exact(x: Any) -> Any:
    """What stands for something of the text's names, on numbers modulo p."""
    if isinstance(x, types.FunctionType):
        return STAND_INS.get(x, x)
    if isinstance(x, Rule):
        return lambda *xs: x.op.value(ENTRIES, *xs, **x.params)
    return UFUNCS.get(x, x) if isinstance(x, np.ufunc) else x


def on_field(compiled: Compiled, edit: Edit = lambda text: text) -> Callable[[Sequence[Any]], list[Any]]:
    """The compiled scan as a function of arrays of entries."""
    twin = rerun(compiled, memory, _exact, _Numpy(empty=memory, copyto=_copyto), edit)
    consts = (c if c.dtype.kind in "iu" else to_array(FIELD.lift(c)) for c in twin.program.consts)
    twin.program = replace(twin.program, consts=tuple(consts))
    return lambda arrays: list(twin(arrays))


def on_floats(compiled: Compiled, edit: Edit = lambda text: text) -> Callable[[Sequence[Any]], list[Any]]:
    """The compiled scan as a function of arrays of floats; new memory holds NaN."""

    def nothing(shape: Any, dtype: Any = None) -> np.ndarray:
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)

    twin = rerun(compiled, nothing, lambda x: x, _Numpy(empty=nothing), edit)
    return lambda arrays: list(twin(arrays))


# ---- the comparison ------------------------------------------------------------------------------
def _at_one_point(
    compiled: Compiled, scan: Scanned, T: int, seed: tuple[int, int, int], edit: Edit
) -> tuple[str, float]:
    """(what is wrong, or nothing; the error bound), for T steps at one random point."""
    program, layout = scan.program, scan.layout
    with fresh(hash(seed)) as field:
        values = [_drawn(*x) for x in _inputs(program, layout, T)]
        plain = run_plain(field, program, layout, [field.lift(v) for v in values])
        arrays = [to_array(v) if isinstance(v, Mod) else v for v in values]
        before = [a.copy() for a in arrays]
        try:
            found = on_field(compiled, edit)(arrays)
        except Exception as e:
            return f"cannot be run: {type(e).__name__}: {e}", 1.0
        names = [x.name for x in program.inputs]
        wrong = [
            f"argument {n} is written into"
            for n, a, b in zip(names, arrays, before, strict=True)
            if any(v is not w for v, w in zip(a.flat, b.flat, strict=True)) and (a != b).any()
        ]
        degree, unwritten = 0, []
        for what, a, b in zip(outputs(program, layout), found, plain, strict=True):
            try:
                gap = to_field(a) - b if a.shape == b.shape else None
            except NeverWritten:
                unwritten.append(what)
                continue
            except TypeError:  # numpy puts an array into an entry of an object array; of floats it would refuse
                wrong.append(f"{what} has an entry that is no number")
                continue
            if gap is None or gap.a.any():
                wrong.append(f"{what} differs" if gap is not None else f"{what} has the shape {a.shape}")
            degree = max(degree, gap.degree if gap is not None else 0)
        if unwritten:
            wrong.append(f"memory that was never written is read, for {', '.join(unwritten)}")
        return ", ".join(wrong), field.error(degree)


def differs_in_floats(
    compiled: Compiled, scan: Scanned, T: int, seed: int = 0, edit: Edit = lambda text: text
) -> bool:
    """Whether the code does not give what the plain runner gives in float64, or does not run there."""
    rng = np.random.default_rng(seed)
    values = [
        rng.uniform(-1, 1, shape).astype(dtype)
        if dtype.kind == "f"
        else rng.integers(0, 2, shape).astype(dtype)
        for shape, dtype in _inputs(scan.program, scan.layout, T)
    ]
    with np.errstate(all="ignore"):
        plain = run_plain(FLOATS, scan.program, scan.layout, [v.copy() for v in values])
        arrays = [v.copy() for v in values]
        try:
            found = on_floats(compiled, edit)(arrays)
        except Exception:
            return True
    touched = any((a != b).any() for a, b in zip(arrays, values, strict=True))
    return touched or not all(
        a.shape == b.shape and np.allclose(a, b, CLOSE, CLOSE * max(1.0, np.abs(b).max(initial=0)))
        for a, b in zip(found, plain, strict=True)
    )


def _inputs(program: Program, layout: Layout, T: int) -> Iterable[tuple[tuple[int, ...], Any]]:
    """The shape and dtype of each argument of a scan over T steps."""
    seqs = range(layout.n_state, layout.n_state + layout.n_seq)
    for i, x in enumerate(program.inputs):
        yield ((T, *x.shape) if i in seqs else x.shape), np.dtype(x.dtype)


def _drawn(shape: tuple[int, ...], dtype: Any) -> Any:
    """Random numbers modulo p; whole numbers that every axis of size 2 can be indexed by; truth values."""
    if dtype.kind == "f":
        return FIELD.random(*shape)
    n = int(np.prod(shape))
    whole = np.array([FIELD.draw.randrange(2) for _ in range(n)], int).reshape(shape)
    return FIELD.lift(whole) if dtype.kind == "b" else whole.astype(dtype)


def outputs(program: Program, layout: Layout) -> list[str]:
    """What each output of a scan is called in messages."""
    s, k = layout.n_state, layout.n_stack
    names = program.slot_names()
    kinds = ["final state"] * s + ["stack"] * k + ["sum"] * (len(program.outputs) - s - k)
    return [f"{kind} {names[o]}" for kind, o in zip(kinds, program.outputs, strict=True)]
