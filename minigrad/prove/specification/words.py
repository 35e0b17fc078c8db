"""The symbols of an equation's text, LaTeX or plain, with their places."""

from __future__ import annotations

import re
from typing import NamedTuple


class EquationError(ValueError):
    """A text that cannot be read as an equation; the message shows the place and what was expected."""

    def __init__(self, text: str, at: int, why: str) -> None:
        start = text.rfind("\n", 0, at) + 1
        line = text[start:].split("\n", 1)[0]
        super().__init__(f"column {at - start + 1}: {why}\n    {line}\n    {' ' * (at - start)}^")


class Word(NamedTuple):
    """One symbol of the text and where it stands; kind is name, number, command, a sign itself, or end."""

    kind: str
    text: str
    at: int


SKIPPED = {
    "left", "right", "bigl", "bigr", "Bigl", "Bigr", "big", "Big", ",", ";", "!", ":", " ", "quad", "qquad",
    "displaystyle", "nonumber", "limits",
}  # fmt: skip
SIGNS = {
    "odot": "*", "ast": "*", "circ": "*", "cdot": "·", "times": "·", "_": "_", "lbrack": "[", "rbrack": "]",
    "⊙": "*", "∗": "*", "∘": "*", "·": "·", "×": "·", "−": "-", "σ": "σ",
}  # fmt: skip
ACCENTS = {
    "tilde": "tilde",
    "widetilde": "tilde",
    "hat": "hat",
    "widehat": "hat",
    "bar": "bar",
    "overline": "bar",
}
FONTS = {
    "mathbf",
    "mathrm",
    "mathit",
    "mathsf",
    "boldsymbol",
    "bm",
    "text",
    "textrm",
    "operatorname",
    "mathcal",
}
OTHERS = {"tag", "label", "begin", "end", "frac"}
_SYMBOL = re.compile(
    r"\s+|%[^\n]*|(?P<command>\\(?:[A-Za-z]+|.))|(?P<number>\d+\.?\d*|\.\d+)"
    r"|(?P<name>[A-Za-z](?:\w*[^\W_])?|[α-ωΑ-Ω])|(?P<sign>[-+*/@=()\[\]{},;._^&<>|⊙∗∘·×−'!])"
)


def words(text: str, latex: bool) -> list[Word]:
    """The symbols of a text. Raises EquationError for one that is not known."""
    out: list[Word] = []
    at = 0
    while at < len(text):
        m = _SYMBOL.match(text, at)
        if m is None:
            raise EquationError(text, at, f"{text[at]!r} is not understood")
        kind, found = m.lastgroup, m[0]
        if kind == "name" and latex:  # there each letter is a symbol
            found = found[0]
        if kind == "command":
            name = found[1:]
            if name in SIGNS:
                out.append(Word(SIGNS[name], found, at))
            elif name not in SKIPPED:
                out.append(Word("command", name, at))
        elif kind == "name" and found == "σ":
            out.append(Word("command", "sigma", at))
        elif kind == "sign":
            out.append(Word(SIGNS.get(found, found), found, at))
        elif kind is not None and found != "&":
            out.append(Word(kind, found, at))
        at += len(found)
    return [w for w in out if w.kind != "&"] + [Word("end", "the end", len(text))]
