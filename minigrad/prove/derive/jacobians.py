"""Jacobians of a graph as sums over its paths, every factor written from the row it comes from.

Vectors are rows, and (dy/dx)[i, j] = dy_i / dx_j, so that the factor next to dx stands on the right:

    y = f(x), entry by entry    dy/dx = D[f'(x)]      D[v] is the diagonal matrix of v
    y = x W                     dy/dx = W^T
    y = [.., x, ..]             the columns that belong to x; W^T before it: the part of W that x meets
    y = x[a:b]                  the rows a:b of what stands on its right

f' is what the row's own vjp writes for a cotangent of ones. Any other row gives an opaque factor, named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...engine.core import Tensor, leaf, recording
from ...engine.grad import sweep
from .words import Factor, Words, diagonal, join
from .writing import ONE, PRODUCT, SAME, Text, Writer, constant_name, number, transposed

SHORT = 32  # characters of LaTeX that still make a subscript
MOST_WORDS = 6  # of a sum over paths; a longer one gets a name of its own


class Slope(NamedTuple):
    """A derivative entry by entry, and whether it is one number for all entries."""

    text: Text
    one: bool


@dataclass(frozen=True)
class Opaque:
    """A factor that is not written out: the derivative of an operation, as a function of its arguments."""

    text: Text
    what: Text
    by: Text
    arguments: tuple[Text, ...]
    jacobian: Callable[..., Any]


@dataclass
class Paths:
    """The sums over paths from an output down to the nodes of a graph.

    follow: the nodes that depend on the state, or on both parameters and the input; size: a number of
    entries as it is declared, such as n+d.
    """

    writer: Writer
    follow: set[int]
    size: Callable[[int], str]
    opaque: dict[tuple[int, int], Opaque] = field(default_factory=dict)
    named: list[tuple[Text, Words, str]] = field(default_factory=list)  # long sums, their names and sizes

    def down(self, output: Tensor, nodes: Sequence[Tensor], stop: Iterable[int] = ()) -> dict[int, Words]:
        """Node -> d output / d node, for what the output depends on; not past the nodes in `stop`."""
        found: dict[int, Words] = {output.id: {(): 1}}
        ends = set(stop) - {output.id}
        for t in reversed(nodes):
            if t.id in ends or t.op is None or not found.get(t.id):
                continue
            if len(found[t.id]) > MOST_WORDS:
                found[t.id] = {(self._named(found[t.id], self.size(t.value.size)),): 1}
            for k, x in enumerate(t.inputs):
                if x.id in self.follow:
                    into = found.setdefault(x.id, {})
                    for local, c in self.local(t, k).items():
                        for word, d in found[t.id].items():
                            joined = join(word, local)
                            if joined is not None:
                                into[joined] = into.get(joined, 0) + c * d
        return found

    def _named(self, words: Words, size: str) -> Factor:
        k = len(self.named) + 1
        text = Text(f"M{k}[t]", f"M_{{{k},t}}")
        self.named.append((text, words, size))
        return Factor(text)

    # ---- one operation ----
    def local(self, t: Tensor, k: int) -> Words:
        """dy/dx of one operation, by its k-th input."""
        assert t.op is not None
        x, same = t.inputs[k], t.inputs[k].value.size == t.value.size
        if t.op.vjp is None:
            return {}
        if t.op.name in SAME and same:
            return {(): 1}
        if (same or x.value.size == 1) and (slope := self.slope(t, k)) is not None:
            words = self._diagonal(slope, t)
            return words if same else {(*w, self._ones(t, column=True)): c for w, c in words.items()}
        factor = self._matrix(t, k) or Factor(self.written_opaque(t, k))
        return {(factor,): 1}

    def _matrix(self, t: Tensor, k: int) -> Factor | None:
        """The factor of an operation that is a matrix, or a choice of entries; None for any other."""
        assert t.op is not None
        x, name = t.inputs[k], t.op.name
        if name == "sum" and t.value.size == 1:
            return self._ones(x, column=False)
        if name == "matmul" and k == 0 and t.inputs[1].ndim == 2 and x.value.size == len(t.inputs[1]):
            return Factor(transposed(self.writer(t.inputs[1])))
        if name == "concat" and t.params["axis"] == -1 and t.value.size == t.shape[-1]:
            start = sum(i.shape[-1] for i in t.inputs[:k])
            return self._chosen(start, start + x.shape[-1], t.shape[-1], self._label(x, k), places=True)
        if name == "index" and x.value.size == x.shape[-1] and isinstance(key := t.params["key"][-1], slice):
            start, stop, step = key.indices(x.shape[-1])
            if step == 1 and t.value.size == stop - start:
                return self._chosen(start, stop, x.shape[-1], self._label(t, k))
        return None

    def _ones(self, x: Tensor, column: bool) -> Factor:
        """What a sum does to a row, and a column that repeats a number."""
        n = self.size(x.value.size)
        if column:
            return Factor(Text(f"ones(({n}, 1))", r"\mathbf{1}"))
        return Factor(Text(f"ones((1, {n}))", r"\mathbf{1}^{\top}"))

    def slope(self, t: Tensor, k: int, names: dict[int, Text] | None = None) -> Slope | None:
        """The derivative by the k-th input, as the row's vjp writes it; None if not entry by entry."""
        assert t.op is not None
        if t.op.kind != "pointwise" or t.op.vjp is None:
            return None
        one = leaf(np.ones(()))
        with recording("all"):
            found = t.op.vjp(one, t, *t.inputs, **t.params)[k]
        if found is None:
            return Slope(number(0), True)
        text = Writer({**(self.writer.names if names is None else names), one.id: ONE}, self.size)(found)
        return Slope(text, found.value.size == 1) if found.value.size in (1, t.value.size) else None

    def _diagonal(self, slope: Slope, t: Tensor) -> Words:
        if slope.text.number:
            return {(): float(slope.text.code)} if slope.text.code != "0" else {}
        if slope.one:
            code = f"({slope.text.at(PRODUCT).code} * eye({self.size(t.value.size)}))"
            return {(Factor(Text(code, slope.text.at(PRODUCT).tex)),): 1}
        return {(diagonal(slope.text),): 1}

    def _chosen(self, start: int, stop: int, whole: int, label: Text, places: bool = False) -> Factor:
        piece = f"{self.size(start)}:{self.size(stop)}"
        code, tex = f"eye({self.size(whole)})[{piece}]", rf"E_{{{label.tex}}}"
        text = Text(code + ".T", tex + r"^{\top}") if places else Text(code, tex)
        return Factor(text, (start, stop), piece, label.tex, label.code.partition("[")[0], places)

    def _label(self, t: Tensor, k: int) -> Text:
        if t.name:
            return constant_name(t.name)
        text = self.writer(t)
        return Text(str(k + 1), text.tex if len(text.tex) <= SHORT else str(k + 1))

    def written_opaque(self, t: Tensor, k: int) -> Text:
        """The name of the derivative of an operation by its k-th input, over flattened entries."""
        found = self.opaque.get((t.id, k))
        if found is None:
            text = Text(f"L{len(self.opaque) + 1}[t]", f"L_{{{len(self.opaque) + 1},t}}")
            arguments = tuple(self.writer(x) for x in t.inputs)
            self.opaque[t.id, k] = found = Opaque(
                text, self.writer.equation(t), arguments[k], arguments, _jacobian(t, k)
            )
        return found.text


def _jacobian(t: Tensor, k: int) -> Callable[..., Any]:
    """The Jacobian of an operation over flattened entries, as a function of its arguments' values."""
    op, params = t.op, t.params
    assert op is not None

    def at(*values: Any) -> Any:
        xs = [leaf(np.asarray(v, float), True) for v in values]
        with recording("all"):
            y = op(*xs, **params)
        rows = []
        for unit in np.eye(y.value.size):
            (g,) = sweep([y], [leaf(unit.reshape(y.shape))], [xs[k]], graph=False)
            rows.append(np.zeros(xs[k].value.size) if g is None else g.value.reshape(-1))
        return np.stack(rows)

    return at
