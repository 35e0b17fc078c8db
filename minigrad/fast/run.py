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
from typing import Any

import numpy as np

from ..domains.floats import FLOATS
from ..engine.program import Program
from ..engine.scan import Layout, run_plain
from .blocks import in_blocks, steps_in
from .cut import CannotCompile, Cut, cut
from .loop import Loop, compile_loop
from .pack import packed
from .regroup import regrouped
from .stacks import Outside, Sums
from .values import Graph

_CACHE: dict[Any, Any] = {}
_SAID: set[str] = set()
_SEEN: ContextVar[list[Scanned] | None] = ContextVar("_SEEN", default=None)


class StepByStep(RuntimeWarning):
    """A scan is run by the plain runner, which is slower, for the reason given."""


def rewritten(program: Program, layout: Layout) -> Program:
    """An equal program, with little inside the loop and equal work joined: what is cut and compiled."""
    g = Graph(program, layout)
    return g.program_of(packed(g, regrouped(g, g.load())))


class Compiled:
    """One scan: its program, its cut, and the code of its loop; kernels as for `kernels.fused`."""

    def __init__(self, program: Program, layout: Layout, kernels: bool | None = None) -> None:
        self.layout = layout
        self.program = program = rewritten(program, layout)
        self.cut: Cut = cut(program, layout)
        self.loop: Loop = compile_loop(program, layout, self.cut, kernels)
        s, k = layout.n_state, layout.n_stack
        self.stacks, self.sums = program.outputs[s : s + k], program.outputs[s + k :]
        c = self.cut
        self.skip = self._only_summed()
        inside = {a for slot in c.inside for a in self._node(slot).args}
        always = {*program.outputs, *inside, *(x for o in self.sums for x in self._lazy(o))}
        before, after = ([k for k in slots if k not in self.skip] for slots in (c.before, c.after))
        self.block = steps_in(program, c.fixed, [*before, *c.kept, *after])
        in_after = {a for slot in after for a in self._node(slot).args}
        self.before = Outside("before", program, [*c.fixed, *before], c.stacked, always | in_after)
        self.after = Outside("after", program, after, c.stacked, always)

    @property
    def source(self) -> str:
        """The code: before the loop, the loop, after it."""
        return "\n".join(text for text in (self.before.source, self.loop.source, self.after.source) if text)

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        if len(arrays[self.layout.n_state]) <= self.block:
            return self._run(arrays)
        return in_blocks(self._run, self.program, self.layout, self.block, arrays, self.loop.empty)

    def _run(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        T = len(arrays[self.layout.n_state])
        env: dict[int, Any] = dict(enumerate([*arrays, *self.program.consts]))
        self.before.run(env, T)
        final = self.loop.run(env, T)
        self.after.run(env, T)
        stacked = self.cut.stacked
        stacks = [
            env[o] if o in stacked else np.broadcast_to(env[o], (T, *env[o].shape)).copy()
            for o in self.stacks
        ]
        if not self.sums:
            return (*final, *stacks)
        sums = Sums(self.program, env, stacked, T)
        return (*final, *stacks, *(sums.total(o) for o in self.sums))

    def _node(self, slot: int) -> Any:
        return self.program.nodes[slot - len(self.program.inputs) - len(self.program.consts)]

    def _lazy(self, slot: int) -> list[int]:
        return Sums(self.program, {}, self.cut.stacked, 0).lazy(slot)

    def _only_summed(self) -> frozenset[int]:
        """Slots outside the loop that are never needed as stacks, because only their sum over time is."""
        outside = set(self.cut.before) | set(self.cut.after)
        wanted = {*self.program.outputs[: self.layout.n_state], *self.stacks}
        wanted.update(a for slot in self.cut.inside for a in self._node(slot).args)
        for o in self.sums:
            wanted.update(self._lazy(o))
        for slot in sorted(outside, reverse=True):
            if slot in wanted:
                wanted.update(self._node(slot).args)
        return frozenset(outside - wanted)


def run_fast(m: Any, program: Program, layout: Layout, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The scan: final states, stacks, sums; compiled where it can be."""
    seqs = range(layout.n_state, layout.n_state + layout.n_seq)
    if m is not FLOATS or any(
        a.ndim != len(x.shape) + (i in seqs)
        for i, (a, x) in enumerate(zip(arrays, program.inputs, strict=True))
    ):  # other numbers; or leading axes that the program was not recorded with
        return run_plain(m, program, layout, arrays)
    found = compiled_scan(program, layout, arrays)
    results = run_plain(m, program, layout, arrays) if found is None else found(arrays)
    if (seen := _SEEN.get()) is not None:
        seen.append(Scanned(program, layout, found, tuple(arrays), results))
    return results


def compiled_scan(program: Program, layout: Layout, arrays: Sequence[Any]) -> Compiled | None:
    """The compiled scan for arrays of these shapes, or None if it cannot be compiled; it says why, once."""
    seqs = range(layout.n_state, layout.n_state + layout.n_seq)
    shapes = tuple((a.shape[1:] if i in seqs else a.shape, a.dtype.char) for i, a in enumerate(arrays))
    here = (id(program), layout, shapes)
    found = _CACHE.get(here)
    if found is None or found[0] is not program:
        if len(_CACHE) > 512:
            _CACHE.clear()
        key = (program.key, program.words, layout, shapes)  # the same equations, recorded again
        if key not in _CACHE:
            _CACHE[key] = (program, _compiled(program, layout))
        _CACHE[here] = found = (program, _CACHE[key][1])
    return found[1]


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


def compiled() -> int:
    """How many programs are compiled."""
    return sum(1 for key in list(_CACHE) if not isinstance(key[0], int))


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
