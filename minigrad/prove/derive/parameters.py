"""The gradient of each parameter: cotangents of what the parameters enter, and sums over time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...engine.core import Tensor
from .notation import Line, cotangent, summed, total, turned
from .words import Factor, Words, times
from .writing import Text, Writer, mul, neg, plain_name, transposed

if TYPE_CHECKING:
    from .derivation import Graph


class Parameters:
    """The lines about parameters of a cell's graph, from d o / d node of every output o (`down`)."""

    def __init__(self, of: Graph, down: dict[str, dict[int, Words]]) -> None:
        self.of, self.down = of, down
        self.rows: dict[str, Line] = {}  # the text of a cotangent -> its line, so that equal ones share it
        self.params = {of.args[p].id: p for p in of.cell.params}
        self.weights = of.depending(of.cell.params) - of.depending(of.cell.states + of.cell.inputs)

    def lines(self) -> tuple[list[Line], list[Line]]:
        """The cotangents of what the parameters enter, and the gradient of each parameter."""
        terms: dict[str, list[Text]] = {p: [] for p in self.of.cell.params}
        for t in self.of.nodes:
            for k, w in enumerate(t.inputs):
                if w.id in self.weights and t.id not in self.weights and self._reached(t):
                    for p, text in self._pulled(w, self._share(t, k, self._row(t))):
                        terms[p].append(text)
        lines = [
            Line(Text(f"dL/d{p}", rf"\frac{{\partial L}}{{\partial {plain_name(p)}}}"), summed(total(found)))
            for p, found in terms.items()
        ]  # fmt: skip
        return list(self.rows.values()), lines

    def _reached(self, t: Tensor) -> dict[str, Words]:
        """d o / d t for every output o that depends on t."""
        return {o: by[t.id] for o, by in self.down.items() if by.get(t.id)}

    def _row(self, t: Tensor) -> Text:
        """The name of dL/dt as a row; of a t that is split, that of its parts one after the other."""
        found = self._reached(t)
        of = Writer({k: v for k, v in self.of.writer.names.items() if k != t.id}, self.of.size).equation(t)
        words = [w for by in found.values() for w in by]
        pieces = sorted({w[-1].span: w[-1] for w in words if w and w[-1].picks}.items())
        ends = [0, *(span[1] for span, _ in pieces if span)]
        if (
            all(w and w[-1].picks for w in words)
            and [span[0] for span, _ in pieces if span] == ends[:-1]
            and ends[-1] == t.value.size
        ):
            parts = [self._named(self._part(found, f), f.name, f"dL/d{f.name}") for _, f in pieces]
            code, tex = ", ".join(x.code for x in parts), ", ".join(x.tex for x in parts)
            text = Text(f"concat([{code}], -1)", f"[{tex}]")
        else:
            text = cotangent(found, self.of.size(t.value.size))
        return self._named(text, self._owner(t), f"dL/d({of.code})")

    def _part(self, found: dict[str, Words], piece: Factor) -> Text:
        """The cotangent of the chosen entries alone."""
        own = {o: {w[:-1]: c for w, c in by.items() if w[-1] == piece} for o, by in found.items()}
        return cotangent({o: by for o, by in own.items() if by}, piece.slice)

    def _named(self, text: Text, name: str, note: str) -> Text:
        """The name that this row goes by; a new one gets a line."""
        if text.code not in self.rows:
            taken = {line.left.code for line in self.rows.values()}
            k = next(k for k in range(10_000) if f"a_{name}{k or ''}[t]" not in taken)
            tex = rf"a^{{({k})}}_{{{plain_name(name)},t}}" if k else rf"a_{{{plain_name(name)},t}}"
            self.rows[text.code] = Line(Text(f"a_{name}{k or ''}[t]", tex), text)
        self.rows[text.code] = replace(self.rows[text.code], note=note)  # of several, the last says most
        return self.rows[text.code].left

    def _owner(self, t: Tensor) -> str:
        """The variable of the code that t is a part of."""
        lets = {t.id for t in self.of.lets}
        while t.id not in lets:
            t = next(u for u in self.of.nodes if any(x is t for x in u.inputs))
        return t.name or self.of.writer(t).code.partition("[")[0]

    def _share(self, t: Tensor, k: int, row: Text) -> Text:
        """The gradient of the k-th input of t, a weight, from the cotangent of t."""
        assert t.op is not None
        if t.op.name == "matmul" and k == 1:
            return times(transposed(self.of.writer(t.inputs[0])), row)
        return self._through(t, k, row)

    def _through(self, t: Tensor, k: int, g: Text) -> Text:
        """The cotangent g of an operation, pulled back to its k-th input, entry by entry."""
        slope, size = self.of.paths.slope(t, k), t.inputs[k].value.size
        if slope is not None and size == 1 != t.value.size:
            every = mul(g, slope.text)
            return Text(f"({every.code}).sum()", rf"\textstyle\sum\left({every.tex}\right)")
        if slope is None or size != t.value.size:
            flat = Text(f"flat({g.code})", g.tex)
            return times(flat, self.of.paths.written_opaque(t, k))
        return neg(g) if slope.text.code == "-1" else mul(g, slope.text)

    def _pulled(self, w: Tensor, g: Text) -> list[tuple[str, Text]]:
        """(parameter, gradient) for each parameter that the weight w is made of; g is the cotangent of w."""
        if w.id in self.params:
            return [(self.params[w.id], g)]
        if w.op is None:
            return []
        if w.op.name == "transpose" and w.params["axes"] == (-1, -2):
            return self._pulled(w.inputs[0], turned(g))
        return [
            found for k, x in enumerate(w.inputs)
            if x.requires_grad for found in self._pulled(x, self._through(w, k, g))
        ]  # fmt: skip
