"""The symbols of a derivation, and how they are put together, in code and in LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .words import Words, times, written
from .writing import Text, add, plain_name, timed_name, transposed


@dataclass(frozen=True)
class Line:
    """left = right, and what it is."""

    left: Text
    right: Text
    note: str = ""


def delta(name: str, back: int = 0) -> Text:
    """dL/d(state or output), as a row."""
    when = "t-1" if back else "t"
    return Text(f"delta_{name}[{when}]", rf"\delta^{{{plain_name(name)}}}_{{{when}}}")


def direct(name: str, back: int = 0) -> Text:
    """What the loss of its own step contributes to dL/d(state)."""
    when = "t-1" if back else "t"
    return Text(f"g_{name}[{when}]", rf"g^{{{plain_name(name)}}}_{{{when}}}")


def ratio(o: str, s: str, back: int) -> Text:
    """d o[t] / d s[t-1]."""
    left, right = timed_name(o), timed_name(s, back)
    return Text(f"d{left.code}/d{right.code}", rf"\frac{{\partial {left.tex}}}{{\partial {right.tex}}}")


def jacobian(o: str, s: str, back: int) -> Text:
    """The name of that Jacobian in code, and in LaTeX itself."""
    return Text(f"{'J' if back else 'G'}_{o}_{s}[t]", ratio(o, s, back).tex)


def total(parts: Sequence[Text]) -> Text:
    """The sum of these."""
    out = parts[0] if parts else Text("0", "0")
    for part in parts[1:]:
        out = add(out, part)
    return out


def turned(g: Text) -> Text:
    """The transpose of x^T a, which is a^T x."""
    a, _, b = g.code.partition(" @ ")
    c, _, d = g.tex.partition(r"\,")
    if b and " @ " not in b and a.endswith(".T"):
        return times(transposed(Text(b, d)), transposed(Text(a, c)))
    return transposed(g)


def summed(g: Text) -> Text:
    """The sum over time."""
    inner = g if g.level else Text(f"({g.code})", rf"\left({g.tex}\right)")
    return Text(f"sum({g.code} for t in steps)", rf"\sum_{{t=1}}^{{T}} {inner.tex}")


def cotangent(found: Mapping[str, Words], size: str) -> Text:
    """sum_o delta_o (d o / d it), the factors that all terms end in taken out; size: of an identity."""
    words = [(o, w, c) for o, by in found.items() for w, c in by.items()]
    shared = 0
    while all(len(w) > shared and w[-1 - shared] == words[0][1][-1 - shared] for _, w, _ in words):
        shared += 1
    if len(words) == len(found) > 1 and shared:
        start = total([_pulled(o, {w[:-shared]: c}, size) for o, w, c in words])
        return times(start, written({words[0][1][-shared:]: 1}, size))
    return total([_pulled(o, by, size) for o, by in found.items()])


def _pulled(o: str, words: Words, size: str) -> Text:
    return delta(o) if words == {(): 1} else times(delta(o), written(words, size))
