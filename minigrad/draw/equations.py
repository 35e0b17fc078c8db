"""The equations of a time step, read off its recorded graph: F₁ = σ(X₁ W_xf + H₀ W_hf + b_f).

A node that the code binds to a variable is shown by that name, every other one by its operation; of
two nodes with one name in a step, the later one has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.core import Tensor
from .fold import Part
from .names import SIGNS, clean, pretty
from .steps import Recording, Ref

_SUM, _PRODUCT, _MATMUL, _UNARY, _ATOM = range(5)  # how tightly an operation binds
_INFIX = {
    "add": (_SUM, " + "), "sub": (_SUM, " − "), "mul": (_PRODUCT, " ⊙ "), "div": (_PRODUCT, " ÷ "),
    "matmul": (_MATMUL, " "),
}  # fmt: skip
_SILENT = {"cast", "alias", "broadcast"}  # they change no number
LONGEST = 240  # characters of an equation


class Equations:
    """What the nodes of step t (from 1) of a recording compute, in the names of its code."""

    def __init__(self, rec: Recording, t: int) -> None:
        self.rec, self.t, self.step = rec, t, rec.steps[t - 1]
        self.known: dict[int, tuple[str, int]] = {}
        self.name_of = {i: name for name, i in {n.name: i for i, n in enumerate(self.step.nodes)}.items() if name}
        self.made = {n.id: s for s, step in enumerate(rec.steps[: t - 1], start=1) for n in step.nodes}

    def of_part(self, p: Part) -> list[str]:
        """One line for each variable that is folded into the part, and its own last."""
        needed = self._read_by(p.head) & set(p.members) & set(self.name_of)
        return [self.of_node(i) for i in (*sorted(needed), p.head)]

    def of_node(self, i: int) -> str:
        """The equation of node i: with its name on the left, if it has one."""
        name, right = self.name_of.get(i), self._right(i)[0]
        text = f"{self._named(name, self.t)} = {right}" if name else right
        return clean(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")

    def _read_by(self, i: int) -> set[int]:
        """All nodes before node i in this step."""
        found: set[int] = set()
        stack = [i]
        while stack:
            for kind, j in self.step.refs[stack.pop()]:
                if kind == "node" and j not in found:
                    found.add(j)
                    stack.append(j)
        return found

    def _named(self, name: str, t: int) -> str:
        return pretty(name, t if self.rec.timed else None)

    def _term(self, r: Ref) -> tuple[str, int]:
        """A reference as text, and how tightly it binds."""
        kind, j = r
        if kind == "node":
            name = self.name_of.get(j)
            return (self._named(name, self.t), _ATOM) if name else self._inlined(j)
        if kind == "state":
            tensor = self.rec.carried[self.t - 1][j]
            return self._named(self.rec.states[j], 0 if tensor is None else self.made.get(tensor.id, 0)), _ATOM
        if kind == "input":
            given = self.rec.inputs[j] if j < len(self.rec.inputs) else self.step.inputs[j].name or "x"
            return self._named(given, self.t), _ATOM
        if kind == "param":
            return pretty(self.rec.param_names[j]), _ATOM
        return _number(self.step.consts[j])

    def _inlined(self, i: int) -> tuple[str, int]:
        """The right side of an unnamed node; … for a long one, as what is read twice would grow without end."""
        if i not in self.known:
            text, level = self._right(i)
            self.known[i] = (text, level) if len(text) <= LONGEST else ("…", _ATOM)
        return self.known[i]

    def _right(self, i: int) -> tuple[str, int]:
        n, refs = self.step.nodes[i], self.step.refs[i]
        op, terms = n.op.name, [self._term(r) for r in refs]
        if op in _SILENT or (op == "reshape" and len(terms) == 1):
            return terms[0]
        if op in _INFIX:
            level, sign = _INFIX[op]
            right = level + (op in ("sub", "div"))
            if op == "mul" and any(r[0] == "const" for r in refs):
                sign = " · "
            return f"{_wrapped(*terms[0], level)}{sign}{_wrapped(*terms[1], right)}", level
        if op == "neg":
            return f"−{_wrapped(*terms[0], _UNARY)}", _UNARY
        if op == "transpose":
            return f"{_wrapped(*terms[0], _ATOM)}ᵀ", _ATOM
        if op == "power":
            return f"{_wrapped(*terms[0], _ATOM)}^{n.params['exponent']:.3g}", _UNARY
        if op in ("index", "pick"):
            return f"{_wrapped(*terms[0], _ATOM)}[{_key(n)}]", _ATOM
        inner = ", ".join(text for text, _ in terms)
        if op in ("concat", "stack"):
            return f"[{inner}]", _ATOM
        word = SIGNS.get(op, op)
        return f"|{inner}|" if op == "abs" else f"{word}({inner})", _ATOM


def _wrapped(text: str, level: int, needed: int) -> str:
    return text if level >= needed else f"({text})"


def _number(t: Tensor) -> tuple[str, int]:
    """A constant of the code as it is written, a larger one by its shape."""
    if isinstance(t.value, tuple) or t.value.size != 1:
        return t.name or f"⟨{'×'.join(map(str, t.shape))}⟩", _ATOM
    value = t.value.item()
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text.replace("-", "−"), _UNARY if text.startswith("-") else _ATOM


def _key(n: Tensor) -> str:
    """What an index takes: 0:5 for a slice."""
    key: Sequence = n.params["key"] if "key" in n.params else (n.params["i"],)
    key = key if isinstance(key, tuple) else (key,)
    return ", ".join(
        f"{'' if k.start is None else k.start}:{'' if k.stop is None else k.stop}" if isinstance(k, slice)
        else "…" if k is Ellipsis else str(k)
        for k in key
    )  # fmt: skip
