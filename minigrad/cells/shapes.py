"""Shapes by name: "n+d 4*n" is two axes, of sizes n + d and 4 n."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..engine.errors import ShapeError

Size = dict[str, int]  # n + 2 d  ->  {"n": 1, "d": 2}; a plain number has the key ""
Axes = tuple[Size, ...]


def parse_sizes(text: str) -> Axes:
    """The axes of "n+d 4*n": one sum of named sizes each. Raises ValueError for anything else."""
    axes = []
    for word in text.split():
        size: Size = {}
        for term in word.split("+"):
            m = re.fullmatch(r"(?:(\d+)\*?)?([A-Za-z_]\w*)?", term)
            if not term or m is None:
                raise ValueError(f"shape {text!r}: cannot read {word!r}; write names such as n, n+d or 4*n")
            name = m[2] or ""
            size[name] = size.get(name, 0) + int(m[1] or 1)
        axes.append(size)
    return tuple(axes)


def size_text(size: Size) -> str:
    """A size as it is written: n+d, 4*n."""
    return "+".join(str(k) if not name else name if k == 1 else f"{k}*{name}" for name, k in size.items())


def shape_text(axes: Axes) -> str:
    """A shape as it is declared: (n+d, 4*n)."""
    return "(" + ", ".join(map(size_text, axes)) + ("," if len(axes) == 1 else "") + ")"


def evaluate(size: Size, dims: Mapping[str, Any]) -> Any:
    """The size under given dimensions. Raises KeyError for an unknown name."""
    total: Any = 0
    for name, k in size.items():
        total = total + (k if not name else k * dims[name])
    return total


def read_sizes(declared: Mapping[str, Axes], shapes: Mapping[str, tuple]) -> dict[str, Any]:
    """The sizes {"n": 4, "d": 2} under which the last axes of these shapes are as declared.

    Where arguments disagree about a size, most of them are right, or else the first.
    Raises ShapeError naming the argument that disagrees, and one that its size was read from.
    """
    found = [
        (arg, size, n)
        for arg, shape in shapes.items()
        for size, n in zip(declared[arg], shape[len(shape) - len(declared[arg]) :], strict=True)
    ]
    votes: dict[str, list[Any]] = {}
    for _, size, n in found:
        if list(size.values()) == [1] and (name := next(iter(size))):
            votes.setdefault(name, []).append(n)
    dims = {name: Counter(ns).most_common(1)[0][0] for name, ns in votes.items()}
    for arg, size, n in found:
        if any(name and name not in dims for name in size):
            raise ShapeError(f"size {size_text(size)} of argument {arg} cannot be read off any argument")
        if evaluate(size, dims) != n:
            source = {k: next(a for a, s, m in found if s == {k: 1} and m == dims[k]) for k in size if k}
            why = [f"{k} = {dims[k]} from {a} of shape {shapes[a]}" for k, a in source.items()]
            raise ShapeError(
                f"argument {arg}: shape {shapes[arg]}, expected {shape_text(declared[arg])}"
                + (f" with {', '.join(why)}" if why else "")
            )
    return dims
