"""The right lines for one gradient, as numpy and as LaTeX, in the names of the cell's own code.

They are read off the graph that the engine's rules build for one step, pruned to that gradient: what
the forward pass has is taken as given, and the cotangent of each named value gets a line of its own.
"""

from __future__ import annotations

from ...domains.source import Code
from ...engine.core import Tensor, leaf, recording
from ...engine.grad import sweep
from .problem import Problem
from .styles import NUMPY, TEX, Style, Unwritable

LONGEST = 12  # lines


class RightLines:
    """The engine's gradients of one step as graph, to be written down argument by argument."""

    def __init__(self, problem: Problem) -> None:
        step = problem.steps[0]
        self.after, self.states = step.leaves, problem.cell.states
        named = list({t.name: t for t in step.nodes if t.name}.values())  # of two of one name, the later
        cotangents = [leaf(c, name=f"d{n}") for n, c in zip(problem.out_names, step.cotangents, strict=True)]
        wrt = [*step.leaves.values(), *named]
        with recording("all"):
            found = sweep(step.outs, cotangents, wrt, graph=True)
        of = {self.name(w): g for w, g in zip(wrt, found, strict=True) if g is not None}
        self.of = {n: of.get(n) for n in step.leaves}
        self.given = {t.id: self.name(t) for t in wrt} | {c.id: str(c.name) for c in cotangents}
        self.lets: dict[int, str] = {}
        for who, g in of.items():
            if g.id not in self.given and g.op is not None:
                self.lets.setdefault(g.id, f"d{who}")

    def name(self, t: Tensor) -> str:
        """A value's name; a state after the step, under the name of the state before it, gets _next."""
        return f"{t.name}_next" if t.op is not None and t.name in self.after else str(t.name)

    def __call__(self, argument: str, style: Style) -> tuple[str, ...]:
        """What computes d<argument>, each line after those it uses; nothing where that is not readable."""
        g, name = self.of[argument], f"d{argument}" + "_prev" * (argument in self.states)
        if g is None:
            return (style.line(name, Code("0")),)
        if g.id in self.given:
            return (style.line(name, style.word(self.given[g.id])),)
        needed = [t for t in self._below(g) if t.id in self.lets and t is not g]
        try:
            out = [style.line(self.lets[t.id], self.code(t, style)) for t in needed]
            out.append(style.line(name, self.code(g, style)))
        except Unwritable:
            return ()
        return tuple(out) if len(out) <= LONGEST else ()

    def _below(self, g: Tensor) -> list[Tensor]:
        """What g is computed from, oldest first, down to what is given."""
        seen: dict[int, Tensor] = {}
        stack = [g]
        while stack:
            t = stack.pop()
            if t.id not in seen and t.id not in self.given:
                seen[t.id] = t
                stack.extend(t.inputs)
        return [seen[i] for i in sorted(seen)]

    def code(self, t: Tensor, style: Style) -> Code:
        """The expression of one node, down to what has a name."""
        if t.op is None:
            return style.number(t)
        if (
            t.op.name == "transpose"
            and t.params["axes"] == (-1, -2)
            and t.ndim == 2
            and (inner := self._inner(t)) is not None
        ):
            if inner.op is not None and inner.op.name == "matmul":  # (A B)^T = B^T A^T
                a, b = (self._operand(x, style) for x in inner.inputs)
                return style.product(style.turned(b), style.turned(a))
            return style.turned(self.code(inner, style))
        if t.op.name == "add":
            for x, y in ((t.inputs[1], t.inputs[0]), t.inputs):
                named = y.id in self.given or y.id in self.lets
                if y.op is not None and y.op.name == "neg" and not named:
                    return style.between("sub", self._operand(x, style), self._operand(y.inputs[0], style))
        return style.write(t, [self._operand(x, style) for x in t.inputs])

    def _inner(self, t: Tensor) -> Tensor | None:
        """What is turned, if it has no name of its own."""
        (x,) = t.inputs
        return None if x.id in self.given or x.id in self.lets or x.op is None else x

    def _operand(self, t: Tensor, style: Style) -> Code:
        if t.id in self.given:
            return style.word(self.given[t.id])
        return style.word(self.lets[t.id]) if t.id in self.lets else self.code(t, style)


__all__ = ["NUMPY", "TEX", "RightLines"]
