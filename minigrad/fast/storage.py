"""Where each value of a loop is stored: in a stack, in a part of another value, or in a buffer.

A value that is needed outside the loop is written straight into its stack, a part of a concatenation
straight into the whole; other buffers are used again as soon as nobody needs what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .emit import Emitter, Handle, Instruction
from .views import View, shares


@dataclass
class Line:
    """A line of a loop, and what line of the cell it comes from."""

    text: str
    note: Any = None


class Storage:
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
        root, views = self.found(h)
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

    def found(self, h: Handle) -> tuple[Handle, tuple[View, ...]]:
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
        if root in self.goal or root in self.home or root not in self.made or root is self.owner(whole):
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

    def owner(self, h: Handle) -> Handle:
        """What holds the entries of a value."""
        return self.found(h)[0]

    # ---- memory ----
    def allocate(
        self,
        code: list[Instruction],
        read: Callable[[Instruction], Sequence[Handle]],
        over: Callable[[Instruction, Handle], bool],
    ) -> None:
        """Give each value that is made its variable.

        read: what an instruction reads; over: whether it may write over the memory of what it reads last.
        """
        last: dict[Handle, int] = {}
        for at, ins in enumerate(code):
            for h in (ins.out, *read(ins)):
                last[self.owner(h)] = at
        for _, h in self.copies:
            last[self.owner(h)] = len(code)
        free: dict[tuple, list[str]] = {}
        for at, ins in enumerate(code):
            owners = dict.fromkeys(map(self.owner, read(ins)))  # in order, so that the text is always the same
            done = [o for o in owners if last[o] == at and o in self.place and o not in self.goal]
            early = [o for o in done if over(ins, o)]
            owner = self.owner(ins.out)
            self._release(early, free)
            if owner not in self.place and owner in self.made:
                self._allocate(owner, free)
            self._release([o for o in done if o is not owner and o not in early], free)

    def lines(self, code: list[Instruction]) -> list[Line]:
        """The body of a loop of numpy's calls."""
        self.allocate(
            code, lambda ins: [a for a in ins.args if isinstance(a, Handle)], lambda ins, _: ins.aligned
        )
        out = []
        for ins in code:
            if ins.text:
                words = (self.word(a) if isinstance(a, Handle) else str(a) for a in ins.args)
                result = self.word(ins.out) if ins.part is None else self._part(ins.out, ins.part)
                out.append(Line(ins.text.format(*words, o=result), ins.note))
        return out + [Line(f"{name}[...] = {self.word(h)}") for name, h in self.copies]

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
        return self._variable(*self.found(self.e.seen(whole, whole.shape, "index", key)))

    def word(self, h: Handle) -> str:
        """The variable that holds a value, whose views are made where that is cheapest."""
        return self._variable(*self.found(h))

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
            return chain(base, views)
        if (root in self.goal or not moving) and inside and not shares(root.shape, views, moving):
            return chain(base, views)
        if moving and any(v.how == "broadcast" for v in views):
            return chain(base, views)
        name = self.named[key] = self.fresh_name(f"{base}_{len(self.named)}")
        if moving:
            self.extra.append((name, chain(base, views, stacked=True)))
        else:
            self.heads.append(f"{name} = {chain(base, views)}")
        return name


def chain(text: str, views: tuple[View, ...], stacked: bool = False) -> str:
    """The views of what a text stands for, as text."""
    for v in views:
        text = v.text(text, stacked)
    return text
