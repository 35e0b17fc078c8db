"""Strings of source code as numbers: a primitive's value rule, run on them, writes itself down."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.core import Primitive, register


class Code(str):
    """An expression; operators give larger expressions, with brackets only where they are needed.

    level: how tightly its outermost operator binds (0 sum, 1 product, 2 unary, 3 atom). Operators of one
    level are joined from the left, so a right side of the same level needs brackets, but not after +.
    """

    level: float = 3

    def _join(self, op: str, other: Any, level: int, flip: bool = False) -> Code:
        a, b = (as_code(other), self) if flip else (self, as_code(other))
        left = a if a.level >= level else f"({a})"
        right = b if b.level > level or (b.level == level and op == "+") else f"({b})"
        return Code.at(f"{left} {op} {right}", level)

    @staticmethod
    def at(text: str, level: float) -> Code:
        """The expression `text` whose outermost operator binds as `level` says."""
        code = Code(text)
        code.level = level
        return code

    def __add__(self, other: Any) -> Code:
        return self._join("+", other, 0)

    def __radd__(self, other: Any) -> Code:
        return self._join("+", other, 0, flip=True)

    def __sub__(self, other: Any) -> Code:
        return self._join("-", other, 0)

    def __rsub__(self, other: Any) -> Code:
        return self._join("-", other, 0, flip=True)

    def __mul__(self, other: Any) -> Code:
        return self._join("*", other, 1)

    def __rmul__(self, other: Any) -> Code:
        return self._join("*", other, 1, flip=True)

    def __truediv__(self, other: Any) -> Code:
        return self._join("/", other, 1)

    def __rtruediv__(self, other: Any) -> Code:
        return self._join("/", other, 1, flip=True)

    def __matmul__(self, other: Any) -> Code:
        return self._join("@", other, 1)

    def __rmatmul__(self, other: Any) -> Code:
        return self._join("@", other, 1, flip=True)

    def __neg__(self) -> Code:
        return Code.at(f"-{self if self.level >= 2 else f'({self})'}", 2)

    __hash__ = str.__hash__


def as_code(x: Any) -> Code:
    """x as an expression."""
    return x if isinstance(x, Code) else Code(x)


class Source:
    """The domain of expressions: every function `m.f` writes a call of f."""

    name, rank, array_type = "source", 9, Code

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **params: self.write(name, args, params)

    def write(self, name: str, args: Any, params: dict) -> Code:
        """A call: name(args, key=value)."""
        words = [str(a) for a in args] + [f"{k}={_text(v)}" for k, v in params.items()]
        return Code(f"{name}({', '.join(words)})")

    def call(self, op: Primitive, args: list[Code], params: dict) -> Code:
        """One equation's right side: the operator itself where the row is one, else a call by name."""
        if op.name in ("add", "sub", "mul", "div", "neg"):
            return op.value(self, *args)
        if op.name == "matmul":
            return args[0] @ args[1]
        return self.write(op.name, args, params)

    def code(self, text: str) -> Code:
        """A name or literal as an expression."""
        return Code.at(text, 2) if text.startswith("-") else Code(text)

    def literal(self, value: Any) -> str:
        """A constant as text: the number itself, or the shape of an array."""
        if isinstance(value, np.ndarray) and value.ndim:
            return f"array{value.shape}"
        return str(value)

    def asarray(self, x: Any) -> Any:
        return x

    def lift(self, x: Any) -> Code:
        return as_code(self.literal(x))


def _text(v: Any) -> str:
    if isinstance(v, slice):
        start, stop = ("" if k is None else k for k in (v.start, v.stop))
        return f"{start}:{stop}" if v.step in (None, 1) else f"{start}:{stop}:{v.step}"
    if isinstance(v, tuple):
        return "(" + ", ".join(map(_text, v)) + ("," if len(v) == 1 else "") + ")"
    return getattr(v, "name", None) or str(v)


SOURCE = Source()
register(Code, SOURCE)
register("source", SOURCE)
