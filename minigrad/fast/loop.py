"""The loop over time as one Python function: where each value is stored, and the text that computes it.

A value that is needed outside the loop is written straight into its stack, a part of a concatenation
straight into the whole; other buffers are used again as soon as nobody needs what is in them. Views of
buffers are made once, views of stacks are made for all steps at once, so that the body of the loop is
nothing but calls that compute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.program import Program
from ..engine.scan import Layout
from .cut import CannotCompile, Cut
from .emit import Emitter, Handle, Instruction, variables
from .kernels import Line, fused
from .memory import empty
from .views import View, shares
from .written import function

_WORDS = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Loop:
    """The compiled loop: its source, and how to call it."""

    source: str
    function: Callable[..., None]
    state: list[tuple[tuple[int, ...], Any]]  # shapes and dtypes of the states
    reverse: bool
    outside: tuple[int, ...]  # slots whose stacks it reads
    fixed: tuple[int, ...]  # slots that it reads as they are
    kept: dict[int, tuple[int | str, tuple[View, ...]]]  # slot: the stack it is a view of
    stacks: dict[str, tuple[tuple[int, ...], Any]]  # stacks that it writes
    empty: Callable[..., Any] = empty  # makes the stacks

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
        if self.reverse:
            moving = [m[::-1] for m in moving]
        # an entry of a vector must be an array too, so that it can be written into
        moving = [m if m.ndim > 1 else [m[t, ...] for t in range(T)] for m in moving]
        self.function(T, *moving, *(_for_products(env[k], T) for k in self.fixed))
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


def _for_products(x: Any, T: int) -> Any:
    """A matrix in the order of its rows: products with it at each step then take 0.6 to 0.9 of the time."""
    return np.ascontiguousarray(x) if x.ndim == 2 and T > 8 else x


def compile_loop(program: Program, layout: Layout, c: Cut, kernels: bool | None = None) -> Loop:
    """The loop of a cut program; kernels as for `fused`. Raises CannotCompile if a rule inside has no form here."""
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
    store = _Storage(e, states, {env[k] for k in outside}, {*leaving, *(env[k].name for k in fixed)})
    for i, h in enumerate(after):
        store.target(h, leaving[i], ("out", i))
    code = store.find_homes()
    kept: dict[int, Any] = {}
    for k in c.kept:
        kept[k] = (("in", k), ()) if k < s else store.keep(env[k])
    lines, texts = fused(store.lines(code), e.space, kernels)
    moving = [*(h.name for h in states), *leaving, *(env[k].name for k in outside), *store.stacks]
    fixed_names = [env[k].name for k in fixed]
    source, notes = _text(program.name, store, moving, fixed_names, lines)
    text = f"{texts}\n{source}" if texts else source
    space = dict(e.space)
    space["dtypes"] = {name: d for name, _, d in store.buffers}
    run = function("loop", source, f"loop of {program.name}", space, notes)
    shapes = [(h.shape, h.dtype) for h in states]
    return Loop(text, run, shapes, layout.reverse, tuple(outside), tuple(fixed), kept, store.stacks)


class _Storage:
    """Where the values of a loop are: in a stack, in a part of another value, or in a buffer."""

    def __init__(self, e: Emitter, states: list[Handle], moving: set[Handle], taken: set[str]) -> None:
        self.e, self.states = e, states
        self.moving = moving | set(states)  # arguments that differ from step to step
        self.made = {ins.out for ins in e.code}  # what is computed in the loop
        self.goal: dict[Handle, tuple[str, Any]] = {}  # root: the moving array that holds it
        self.copies: list[tuple[str, Handle]] = []  # further moving arrays that it is copied to
        self.stacks: dict[str, tuple[tuple[int, ...], Any]] = {}
        self.home: dict[Handle, tuple[Handle, tuple[View, ...]]] = {}  # root: part of another root
        self.buffers: list[tuple[str, tuple[int, ...], Any]] = []
        self.place: dict[Handle, str] = {}  # root: its variable
        self.heads: list[str] = []  # lines before the loop
        self.extra: list[tuple[str, str]] = []  # views of moving arrays: (variable, text for all steps)
        self.named: dict[Any, str] = {}
        self.taken = taken | {h.name for h in self.moving} | {"T", *e.space}

    # ---- what is needed after the step ----
    def target(self, h: Handle, name: str, key: Any) -> None:
        """The value must be in this moving array at the end of the step."""
        if h.base is None and h in self.made and h not in self.goal and not h.made.fresh:  # type: ignore[union-attr]
            self.goal[h] = (name, key)
        else:
            self.copies.append((name, h))

    def keep(self, h: Handle) -> tuple[Any, tuple[View, ...]]:
        """The stack that the value will be found in after the loop, and how to look at it there."""
        root, views = self._found(h)
        if root in self.states:
            return ("in", self.states.index(root)), views
        if root not in self.goal:
            name = self.fresh_name(f"{root.name}_s")
            self.stacks[name] = (root.shape, root.dtype)
            if root in self.made and not root.made.fresh:  # type: ignore[union-attr]
                self.goal[root] = (name, name)
            else:
                self.copies.append((name, root))
                return name, views
        return self.goal[root][1], views

    def _found(self, h: Handle) -> tuple[Handle, tuple[View, ...]]:
        """What holds the entries of a value, and how to look at it there."""
        root, views = h.root, h.views
        while root in self.home:
            whole, inner = self.home[root]
            root, views = whole.root, (*whole.views, *inner, *views)
        return root, views

    def fresh_name(self, name: str) -> str:
        """The name, or one like it that is not taken."""
        new, k = name, 1
        while new in self.taken:
            k += 1
            new = f"{name}{k}"
        self.taken.add(new)
        return new

    # ---- parts of concatenations are computed in place ----
    def find_homes(self) -> list[Instruction]:
        """The code without the copies that are not needed."""
        code = []
        for ins in self.e.code:
            if ins.part is not None and self._at_home(ins.args[0], ins.out, ins.part):
                continue
            code.append(ins)
        return code

    def _at_home(self, x: Handle, whole: Handle, key: tuple) -> bool:
        """Give the value a home in the whole, if it can be computed there."""
        root = x.root
        if root in self.goal or root in self.home or root not in self.made or root is self._owner(whole):
            return False
        made = root.made
        if made is None or made.fresh or made.whole or any(v.how != "reshape" for v in x.views):
            return False
        if root.dtype != whole.dtype or any(i.part is not None for i in self.e.code if i.out is root):
            return False
        views = (View("index", key), *((View("reshape", root.shape),) if x is not root else ()))
        if not (shares(whole.shape, views, False) and shares(whole.shape, views, True)):
            return False
        self.home[root] = (whole, views)
        return True

    def _owner(self, h: Handle) -> Handle:
        return self._found(h)[0]

    # ---- lines ----
    def lines(self, code: list[Instruction]) -> list[Line]:
        """The body of the loop."""
        last: dict[Handle, int] = {}
        for at, ins in enumerate(code):
            for h in (ins.out, *(a for a in ins.args if isinstance(a, Handle))):
                last[self._owner(h)] = at
        for _, h in self.copies:
            last[self._owner(h)] = len(code)
        free: dict[tuple, list[str]] = {}
        out: list[Line] = []
        for at, ins in enumerate(code):
            args = [a for a in ins.args if isinstance(a, Handle)]
            owners = dict.fromkeys(map(self._owner, args))  # in order, so that the text is always the same
            done = [o for o in owners if last[o] == at and o in self.place and o not in self.goal]
            owner = self._owner(ins.out)
            if ins.aligned:
                self._release(done, free)
            if owner not in self.place and owner in self.made:
                self._allocate(owner, free)
            if ins.text:
                words = tuple(self.word(a) if isinstance(a, Handle) else str(a) for a in ins.args)
                result = self.word(ins.out) if ins.part is None else self._part(ins.out, ins.part)
                out.append(Line(ins.text.format(*words, o=result), ins.note, ins, words, result))
            if not ins.aligned:
                self._release([o for o in done if o is not owner], free)
        for name, h in self.copies:
            out.append(Line(f"{name}[...] = {self.word(h)}"))
        return out

    def _release(self, done: list[Handle], free: dict[tuple, list[str]]) -> None:
        for o in done:
            if not (o.made and o.made.fresh):
                free.setdefault((o.shape, o.dtype), []).append(self.place[o])

    def _allocate(self, owner: Handle, free: dict[tuple, list[str]]) -> None:
        if owner.made and owner.made.fresh:
            self.place[owner] = self.fresh_name(owner.name)
        elif owner in self.goal:
            self.place[owner] = self.goal[owner][0]
        elif pool := free.get((owner.shape, owner.dtype)):
            self.place[owner] = pool.pop()
        else:
            self.place[owner] = self.fresh_name(f"b{len(self.buffers)}")
            self.buffers.append((self.place[owner], owner.shape, owner.dtype))

    def _part(self, whole: Handle, key: tuple) -> str:
        return self._variable(*self._found(self.e.seen(whole, whole.shape, "index", key)))

    def word(self, h: Handle) -> str:
        """The variable that holds a value, whose views are made where that is cheapest."""
        return self._variable(*self._found(h))

    def _variable(self, root: Handle, views: tuple[View, ...]) -> str:
        base = self.place.get(root, root.name)
        if not views:
            return base
        key = (base, str(views))
        if key in self.named:
            return self.named[key]
        inside = root in self.made
        moving = root in self.goal or root in self.moving
        if inside and root.made.fresh:  # type: ignore[union-attr]
            return _chain(base, views)
        if (root in self.goal or not moving) and inside and not shares(root.shape, views, moving):
            return _chain(base, views)
        if moving and any(v.how == "broadcast" for v in views):
            return _chain(base, views)
        name = self.named[key] = self.fresh_name(f"{base}_{len(self.named)}")
        if moving:
            self.extra.append((name, _chain(base, views, stacked=True)))
        else:
            self.heads.append(f"{name} = {_chain(base, views)}")
        return name


def _chain(text: str, views: tuple[View, ...], stacked: bool = False) -> str:
    for v in views:
        text = v.text(text, stacked)
    return text


def _text(
    name: str, store: _Storage, moving: list[str], fixed: list[str], lines: list[Line]
) -> tuple[str, dict[int, Any]]:
    """The function: buffers and views first, then one pass over time. Also what each line comes from."""
    text = [f"def loop({', '.join(['T', *moving, *fixed])}):  # {name}"]
    text += [f"    {b} = np.empty({shape}, dtypes[{b!r}])" for b, shape, _ in store.buffers]
    text += [f"    {line}" for line in store.heads]
    text += [f"    {v} = {how}" for v, how in store.extra]
    body = "\n".join(line.text for line in lines)
    read = [v for v in [*moving, *(v for v, _ in store.extra)] if v in set(_WORDS.findall(body))]
    text.append(
        f"    for {', '.join(read)}, in zip({', '.join(read)}):" if read else "    for _ in range(T):"
    )
    notes = {}
    for line in lines or [Line("pass")]:
        text.append(f"        {line.text}")
        notes[len(text)] = line.note
    return "\n".join([*text, ""]), notes
