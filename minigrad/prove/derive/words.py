"""Sums of products of matrices, as a person writes them: what is common is taken out of the sum.

A word is a product of factors that do not commute, from the output's side to the input's.
"""

from __future__ import annotations

from dataclasses import dataclass

from .writing import ATOM, MATRIX, PRODUCT, Text, add, indexed, neg, number, raised, transposed


@dataclass(frozen=True)
class Factor:
    """A matrix, or the choice of some entries (rows of the identity), or its transpose."""

    text: Text
    span: tuple[int, int] | None = None  # the entries chosen, from and to
    slice: str = ""  # the same as it is written: n:2*n
    label: str = ""  # what the chosen entries are called, in LaTeX
    name: str = ""  # and in code
    places: bool = False  # the transpose: they are put in place
    entries: Text | None = None  # of a diagonal matrix

    @property
    def picks(self) -> bool:
        """Whether it chooses entries of what stands on its right."""
        return self.span is not None and not self.places


Word = tuple[Factor, ...]  # from the output's side to the input's
Words = dict[Word, float]  # a sum of words with coefficients


def diagonal(entries: Text) -> Factor:
    """The diagonal matrix of these entries."""
    inside = entries.unbracketed()
    return Factor(Text(f"D({inside.code})", rf"D\left[{inside.tex}\right]"), entries=inside)


def join(left: Word, right: Word) -> Word | None:
    """The product of two words, a choice of entries taken into the matrix beside it; None if it is 0."""
    if not left or not right:
        return left + right
    a, b = left[-1], right[0]
    if a.picks and b.places:
        if a.span == b.span:
            return left[:-1] + right[1:]
        assert a.span is not None
        assert b.span is not None
        if a.span[1] <= b.span[0] or b.span[1] <= a.span[0]:
            return None
    elif a.picks and not b.span:
        return (*left[:-1], Factor(_part(b.text, a, rows=True)), *right[1:])
    elif b.places and not a.span:
        return (*left[:-1], Factor(_part(a.text, b, rows=False)), *right[1:])
    return left + right


def _part(m: Text, chosen: Factor, rows: bool) -> Text:
    """The chosen rows or columns of a matrix."""
    piece = chosen.slice
    turned = m.code.endswith(".T")
    base = transposed(m) if turned else m.at(ATOM)
    code = base.code + (f"[{piece}]" if rows != turned else f"[:, {piece}]")
    tex = indexed(base.tex, f"[{chosen.label}]")
    return Text(code + ".T", raised(tex, r"\top")) if turned else Text(code, tex)


def written(words: Words, size: str) -> Text:
    """The sum of words as text, common first factors taken out; size: of the identity, where it is a term."""
    groups: dict[Factor | None, Words] = {}
    for word, c in diagonals_joined(words).items():
        if c:
            groups.setdefault(word[0] if word else None, {})[word[1:]] = c
    total: Text | None = None
    for first, rest in groups.items():
        term = _group(first, rest, size)
        total = term if total is None else add(total, term)
    return total or number(0)


def diagonals_joined(words: Words) -> Words:
    """The same sum, D[a] M + D[b] M written as D[a + b] M; what is subtracted comes last."""
    tails: dict[Word, Words] = {}
    for word, c in words.items():
        if c in (1, -1) and len(word) > 1 and word[0].entries is not None:
            tails.setdefault(word[1:], {})[word] = c
    out = dict(words)
    for tail, same in tails.items():
        if len(same) < 2 or 1 not in same.values():
            continue
        entries: Text | None = None
        for word, c in sorted(same.items(), key=lambda item: -item[1]):
            own = word[0].entries
            assert own is not None
            own = own if c == 1 else neg(own)
            entries = own if entries is None else add(entries, own)
        assert entries is not None
        first = next(iter(same))
        joined = {(diagonal(entries), *tail): 1.0}
        out = {
            k: v
            for word, c in out.items()
            for k, v in (joined.items() if word == first else [] if word in same else [(word, c)])
        }
    return out


def _group(first: Factor | None, rest: Words, size: str) -> Text:
    """first @ (the sum of rest)."""
    if first is None or set(rest) == {()}:
        text = Text(f"eye({size})", r"\mathrm{Id}") if first is None else first.text
        return _scaled(text, rest[()])
    if len(rest) == 1:
        ((word, c),) = rest.items()
        inner = written({word: 1}, size)
        return _scaled(times(first.text, inner), c)
    return times(first.text, written(rest, size))


def _scaled(a: Text, c: float) -> Text:
    if c in (1, -1):
        return a if c == 1 else neg(a)
    n, a = number(c).at(PRODUCT), a.at(MATRIX)
    return Text(f"{n.code} * {a.code}", rf"{n.tex}\,{a.tex}", PRODUCT)


def times(a: Text, b: Text) -> Text:
    """The product of two matrices, which needs no brackets around products."""
    a, b = a.at(MATRIX), b.at(MATRIX)
    return Text(f"{a.code} @ {b.code}", rf"{a.tex}\,{b.tex}", MATRIX)
