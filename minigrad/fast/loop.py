"""The loop over time as one Python function: its text, and how it is called.

Numpy runs it line by line: views of buffers are made once, views of stacks for all steps at once, so that the
body is nothing but calls that compute (`calls` below). Where numba is, the whole loop is compiled (nests.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.bptt import Layout
from ..engine.program import Program
from .cut import CannotCompile, Cut
from .emit import Emitter, Handle, variables
from .kernels import compiled
from .memory import empty
from .nests import Nests
from .storage import Line, Storage
from .views import View
from .written import function

_WORDS = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Loop:
    """The compiled loop: its source, and how to call it."""

    source: str
    space: dict[str, Any]  # what the names in the source stand for
    function: Callable[..., None]
    state: list[tuple[tuple[int, ...], Any]]  # shapes and dtypes of the states
    reverse: bool
    outside: tuple[int, ...]  # slots whose stacks it reads
    fixed: tuple[int, ...]  # slots that it reads as they are
    kept: dict[int, tuple[int | str, tuple[View, ...]]]  # slot: the stack it is a view of
    stacks: dict[str, tuple[tuple[int, ...], Any]]  # stacks that it writes
    buffers: list[tuple[tuple[int, ...], Any]] | None = None  # its buffers, if it is compiled by numba
    solid: list[bool] = field(default_factory=list)  # of its fixed arguments: whether they may have no gaps
    empty: Callable[..., Any] = empty  # makes the stacks

    @property
    def kernels(self) -> bool:
        """Whether its text is for a compiler."""
        return self.buffers is not None

    def run(self, env: dict[int, Any], T: int) -> tuple[Any, ...]:
        """Run all steps: fills env with the stacks that are needed outside, returns the final states."""
        first, last = (T, 0) if self.reverse else (0, T)
        paths = []
        for i, (shape, dtype) in enumerate(self.state):
            path = self.empty((T + 1, *shape), dtype)  # the states that enter, and the last that leaves
            path[first] = env[i]
            paths.append(path)
        stacks = {name: self.empty((T, *shape), dtype) for name, (shape, dtype) in self.stacks.items()}
        enter = [p[1:] if self.reverse else p[:-1] for p in paths]
        leave = [p[:-1] if self.reverse else p[1:] for p in paths]
        moving = [*enter, *leave, *(env[k] for k in self.outside), *stacks.values()]
        fixed = [env[k] for k in self.fixed]
        arguments = self._of_steps if self.buffers is None else self._whole
        self.function(T, *arguments(moving, fixed, T))
        whole: dict[Any, Any] = {
            **{("in", i): p for i, p in enumerate(enter)},
            **{("out", i): p for i, p in enumerate(leave)},
            **stacks,
        }
        for k, (name, views) in self.kept.items():
            stack = whole[name]
            for v in views:
                stack = v.of_stack(stack)
            env[k] = stack
        return tuple(p[last].copy() for p in paths)

    def _of_steps(self, moving: list[Any], fixed: list[Any], T: int) -> list[Any]:
        """The arguments of the loop that numpy runs."""
        if self.reverse:
            moving = [m[::-1] for m in moving]
        # an entry of a vector must be an array too, so that it can be written into
        moving = [m if m.ndim > 1 else [m[t, ...] for t in range(T)] for m in moving]
        return [*moving, *(_for_products(x, T) for x in fixed)]

    def _whole(self, moving: list[Any], fixed: list[Any], T: int) -> list[Any]:
        """The arguments of the loop that is compiled: whole arrays, without gaps where its text has indices."""
        assert self.buffers is not None
        buffers = (self.empty(shape, dtype) for shape, dtype in self.buffers)
        matrices = (_solid(x) if solid else x for x, solid in zip(fixed, self.solid, strict=True))
        return [*map(_solid, moving), *matrices, *buffers]


def _for_products(x: Any, T: int) -> Any:
    """A matrix in the order of its rows: products with it at each step then take 0.6 to 0.9 of the time."""
    return np.ascontiguousarray(x) if x.ndim == 2 and T > 8 else x


def _solid(x: Any) -> Any:
    """The array, or a copy of it without gaps."""
    return x if x.flags.c_contiguous and x.flags.aligned else x.copy()


def compile_loop(program: Program, layout: Layout, c: Cut, kernels: bool = False) -> Loop:
    """The loop of a cut program, for numpy or for numba. Raises CannotCompile if a rule inside has no form there."""
    e = Emitter()
    s, first = layout.n_state, len(program.inputs) + len(program.consts)
    names = variables(program)
    env: dict[int, Any] = {}
    outside: list[int] = []
    fixed: list[int] = []

    def get(k: int) -> Any:
        if k not in env:
            value = program.consts[k - len(program.inputs)] if len(program.inputs) <= k < first else None
            if value is not None and value.ndim == 0 and value.dtype.kind in "fiu":
                env[k] = value.item()
            else:
                (outside if k in c.stacked else fixed).append(k)
                env[k] = Handle(names[k], program.shape(k), np.dtype(program.dtype(k)), e)
        return env[k]

    states = [Handle(f"{names[i]}_in", program.shape(i), np.dtype(program.dtype(i)), e) for i in range(s)]
    env.update(enumerate(states))
    for k in c.inside:
        n = program.nodes[k - first]
        args, e.note = [get(a) for a in n.args], n.note
        if not any(isinstance(a, Handle) for a in args):
            raise CannotCompile(f"{n.op.name} of constants inside the loop")
        env[k] = n.op.value(e, *args, **n.params)
        if not isinstance(env[k], Handle):
            raise CannotCompile(f"{n.op.name} inside the loop")
        if n.name and env[k].name.startswith("t") and env[k].name[1:].isdigit():
            env[k].name = names[k]
    leaving = [f"{names[i]}_out" for i in range(s)]
    for o in program.outputs[:s]:
        if not isinstance(get(o), Handle):  # a state that leaves the step as a number
            fixed.append(o)
            env[o] = Handle(names[o], program.shape(o), np.dtype(program.dtype(o)), e)
    after = [get(o) for o in program.outputs[:s]]
    store = Storage(e, states, {env[k] for k in outside}, {*leaving, *(env[k].name for k in fixed)})
    for i, h in enumerate(after):
        store.target(h, leaving[i], ("out", i))
    code = store.find_homes()
    kept: dict[int, Any] = {}
    for k in c.kept:
        kept[k] = (("in", k), ()) if k < s else store.keep(env[k])
    moving = [*states, *(Handle(n, h.shape, h.dtype, e) for n, h in zip(leaving, states, strict=True))]
    moving += [env[k] for k in outside]
    moving += [Handle(n, shape, dtype, e) for n, (shape, dtype) in store.stacks.items()]
    write = nest if kernels else calls
    source, given, run = write(program.name, store, code, moving, [env[k] for k in fixed], layout.reverse)
    shapes = [(h.shape, h.dtype) for h in states]
    return Loop(
        source, store.e.space, run, shapes, layout.reverse, tuple(outside), tuple(fixed), kept, store.stacks, *given
    )


Written = tuple[str, tuple[list[tuple[tuple[int, ...], Any]] | None, list[bool]], Callable[..., None]]


def nest(
    name: str, store: Storage, code: Sequence[Any], moving: list[Handle], fixed: list[Handle], reverse: bool
) -> Written:
    """The loop for a compiler: (text, (buffers, `Loop.solid`), the function)."""
    if any(0 in h.shape for h in (*moving, *fixed)):
        raise CannotCompile("an array without entries has no form in a compiled loop")
    nests = Nests(store)
    lines = nests.lines(code)
    buffers = [Handle(b, shape, dtype, store.e) for b, shape, dtype in store.buffers]
    names = [h.name for h in (*moving, *fixed, *buffers)]
    steps = "T - 1, -1, -1" if reverse else "T"
    text = [f"def loop({', '.join(['T', *names])}):  # {name}"]
    text += [f"    {new} = panels({matrix})" for matrix, new in nests.laid_out.items()]
    text += [f"    for t in range({steps}):"]
    text += [f"        {line.text}" for line in lines or [Line("pass")]]
    solid = lambda h: h.ndim != 2 or h.name in nests.indexed  # noqa: E731
    kinds = [(h.ndim + 1, h.dtype, h.name not in nests.made, True) for h in moving]
    kinds += [(h.ndim, h.dtype, True, solid(h)) for h in fixed]
    kinds += [(h.ndim, h.dtype, False, True) for h in buffers]
    source = "\n".join([*text, ""])
    function = compiled("loop", source, store.e.space, kinds)
    return source, ([(h.shape, h.dtype) for h in buffers], [*map(solid, fixed)]), function


def calls(
    name: str, store: Storage, code: Sequence[Any], moving: list[Handle], fixed: list[Handle], reverse: bool
) -> Written:
    """The loop of numpy's calls: as `nest`. Buffers and views first, then one pass over time."""
    lines = store.lines(list(code))
    text = [f"def loop({', '.join(['T', *(h.name for h in (*moving, *fixed))])}):  # {name}"]
    text += [f"    {b} = np.empty({shape}, dtypes[{b!r}])" for b, shape, _ in store.buffers]
    text += [f"    {line}" for line in store.heads]
    text += [f"    {v} = {how}" for v, how in store.extra]
    body = "\n".join(line.text for line in lines)
    read = [v for v in [*(h.name for h in moving), *(v for v, _ in store.extra)] if v in set(_WORDS.findall(body))]
    text.append(
        f"    for {', '.join(read)}, in zip({', '.join(read)}):" if read else "    for _ in range(T):"
    )
    notes = {len(text) + at: line.note for at, line in enumerate(lines, start=1)}
    text += [f"        {line.text}" for line in lines or [Line("pass")]]
    source = "\n".join([*text, ""])
    store.e.space["dtypes"] = {name: d for name, _, d in store.buffers}
    return source, (None, []), function("loop", source, f"loop of {name}", dict(store.e.space), notes)
