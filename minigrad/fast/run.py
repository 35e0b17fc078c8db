"""The fast runner of scan: cut once, compiled once, cached by program and shapes.

It fills the engine's one runner slot. What it cannot compile goes to the plain runner, and it says why,
once. Results equal the plain runner's to rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..domains.floats import FLOATS
from ..engine.bptt import Layout, run_plain
from ..engine.memo import remembered
from ..engine.program import Program
from .blocks import in_blocks, steps_in
from .cut import CannotCompile, Cut, cut, large
from .kernels import wanted
from .loop import Loop, compile_loop
from .pack import TERM, packed
from .regroup import regrouped
from .stacks import Outside
from .sums import Sums, lazy
from .values import Graph
from .written import explain

_CACHE: dict[Any, _Known] = {}  # by equations
_LATEST: dict[Any, _Known] = {}  # by identity: found sooner than an equal one
_SAID: set[str] = set()
_SEEN: ContextVar[list[Scanned] | None] = ContextVar("_SEEN", default=None)


class StepByStep(RuntimeWarning):
    """A scan is run by the plain runner, which is slower, for the reason given."""


def rewritten(program: Program, layout: Layout, kernels: bool = False) -> Program:
    """An equal program, with little inside the loop and equal work joined: what is cut and compiled."""
    g = Graph(program, layout)
    return g.program_of(packed(g, regrouped(g, g.load()), TERM if kernels else 1.0))


class Compiled:
    """One scan: its program, its cut, and the code of its loop.

    kernels: whether the loop is for a compiler; if not said, where numba is, and the loop can be. near: as for
    `cut`; if not said, as the states' sizes say. Of a compiled loop there is one text.
    """

    def __init__(
        self, program: Program, layout: Layout, kernels: bool | None = None, near: bool | None = None
    ) -> None:
        self.layout = layout
        if kernels is None:
            try:
                return self._compile(program, wanted(), near)
            except CannotCompile:
                kernels = False
        self._compile(program, kernels, near)

    def _compile(self, program: Program, kernels: bool, near: bool | None) -> None:
        layout = self.layout
        self.program = program = rewritten(program, layout, kernels)
        self.near = not kernels and (large(program, layout) if near is None else near)
        self.cut: Cut = cut(program, layout, self.near, kernels)
        self.loop: Loop = compile_loop(program, layout, self.cut, kernels)
        s, k = layout.n_state, layout.n_stack
        self.stacks, self.summed = program.outputs[s : s + k], program.outputs[s + k :]
        c = self.cut
        self.skip = self._only_summed()
        inside = {a for slot in c.inside for a in self._node(slot).args}
        always = {*program.outputs, *inside, *(x for o in self.summed for x in lazy(program, c, o))}
        before, after = ([k for k in slots if k not in self.skip] for slots in (c.before, c.after))
        self.block = steps_in(program, c.fixed, [*before, *c.kept, *after])
        in_after = {a for slot in after for a in self._node(slot).args}
        self.before = Outside("before", program, [*c.fixed, *before], c.stacked, always | in_after)
        self.after = Outside("after", program, after, c.stacked, always)
        made = {*c.fixed, *before} & (always | in_after) | {*after} & always  # what these two leave behind
        known = {*range(len(program.inputs) + len(program.consts)), *c.kept, *made}
        self.sums = Sums(program, self.summed, c, known)

    @property
    def source(self) -> str:
        """The code: before the loop, the loop, after it, sums over time."""
        parts = self.before, self.loop, self.after, self.sums
        return "\n".join(part.source for part in parts if part.source)

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        if len(arrays[self.layout.n_state]) <= self.block:
            return self._run(arrays)
        return in_blocks(self._run, self.program, self.layout, self.block, arrays, self.loop.empty)

    def _run(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        T = len(arrays[self.layout.n_state])
        env: dict[int, Any] = dict(enumerate([*arrays, *self.program.consts]))
        try:
            self.before.run(env, T)
            final = self.loop.run(env, T)
            self.after.run(env, T)
        except Exception as e:
            explain(e)
            raise
        stacked = self.cut.stacked
        stacks = [
            env[o] if o in stacked else np.broadcast_to(env[o], (T, *env[o].shape)).copy()
            for o in self.stacks
        ]
        return (*final, *stacks, *self.sums.run(env, T))

    def _node(self, slot: int) -> Any:
        return self.program.nodes[slot - len(self.program.inputs) - len(self.program.consts)]

    def _only_summed(self) -> frozenset[int]:
        """Slots outside the loop that are never needed as stacks, because only their sum over time is."""
        outside = set(self.cut.before) | set(self.cut.after)
        wanted = {*self.program.outputs[: self.layout.n_state], *self.stacks}
        wanted.update(a for slot in self.cut.inside for a in self._node(slot).args)
        for o in self.summed:
            wanted.update(lazy(self.program, self.cut, o))
        for slot in sorted(outside, reverse=True):
            if slot in wanted:
                wanted.update(self._node(slot).args)
        return frozenset(outside - wanted)


def run_fast(m: Any, program: Program, layout: Layout, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The scan: final states, stacks, sums; compiled where it can be.

    Other numbers, or arrays of other shapes than the program was recorded with, go to the plain runner.
    """
    if m is not FLOATS:
        return run_plain(m, program, layout, arrays)
    one = remembered(_LATEST, (program, layout), partial(_known, program, layout))
    if not one.fits(arrays):
        return run_plain(m, program, layout, arrays)
    found = one.compiled
    results = run_plain(m, program, layout, arrays) if found is None else found(arrays)
    if (seen := _SEEN.get()) is not None:
        seen.append(Scanned(program, layout, found, tuple(arrays), results))
    return results


class _Known(NamedTuple):
    """What a scan was compiled to, if it was, and the arrays it is for."""

    compiled: Compiled | None
    shapes: list[tuple[int, ...]]
    dtypes: list[Any]
    seqs: slice

    def fits(self, arrays: Sequence[Any]) -> bool:
        """Whether the arrays have the shapes and dtypes that the program was recorded with, for some T."""
        shapes = [a.shape for a in arrays]
        shapes[self.seqs] = [x[1:] for x in shapes[self.seqs]]
        return shapes == self.shapes and [a.dtype for a in arrays] == self.dtypes


def _known(program: Program, layout: Layout) -> _Known:
    key = (program.key, program.words, layout)  # the same equations, recorded again
    seqs = slice(layout.n_state, layout.n_state + layout.n_seq)
    shapes, dtypes = [x.shape for x in program.inputs], [np.dtype(x.dtype) for x in program.inputs]
    return remembered(_CACHE, key, lambda: _Known(_compiled(program, layout), shapes, dtypes, seqs))


@dataclass(frozen=True)
class Scanned:
    """A scan that ran: its program as recorded, what it was compiled to, if it was; of what, and what it gave."""

    program: Program
    layout: Layout
    compiled: Compiled | None
    arrays: tuple[Any, ...]
    results: tuple[Any, ...]

    @property
    def source(self) -> str:
        """The code that ran."""
        return f"# {self.program.name} runs step by step\n" if self.compiled is None else self.compiled.source


@contextmanager
def observed() -> Iterator[list[Scanned]]:
    """A list to which each scan that runs within the block adds itself."""
    seen: list[Scanned] = []
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)


def forget() -> None:
    """Forget what was compiled."""
    _CACHE.clear()
    _LATEST.clear()


def compiled() -> int:
    """How many programs are compiled."""
    return len(_CACHE)


def _compiled(program: Program, layout: Layout) -> Compiled | None:
    try:
        return Compiled(program, layout)
    except CannotCompile as e:
        _say(f"scan of {program.name} runs step by step: {e}")
        return None


def _say(text: str) -> None:
    if text not in _SAID:
        _SAID.add(text)
        warnings.warn(text, StepByStep, stacklevel=2)
