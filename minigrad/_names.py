"""How a variable's name in code is read: C_tilda has an accent, alpha is Greek, W_xi has an index.

One table for pictures, formulas and pages, which set the same names in letters, in LaTeX and in MathML.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

ACCENTS = {  # word in a name -> accent in LaTeX, combining character
    "tilde": ("tilde", "\u0303"), "tilda": ("tilde", "\u0303"), "hat": ("hat", "\u0302"),
    "bar": ("bar", "\u0304"), "dot": ("dot", "\u0307"),
}  # fmt: skip
GREEK = dict(
    alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ε", eta="η", theta="θ", kappa="κ", lamda="λ",
    mu="μ", nu="ν", xi="ξ", pi="π", rho="ρ", sigma="σ", tau="τ", phi="φ", chi="χ", psi="ψ", omega="ω",
)  # fmt: skip
SPELLINGS = {"lam": "lamda", "lambd": "lamda"}  # lambda is a word of Python
COMMANDS = {name: rf"\{'lambda' if name == 'lamda' else name}" for name in GREEK}  # in LaTeX
LETTERS = {letter: name for name, letter in GREEK.items()}
MARKS = {mark: word for word, (_, mark) in reversed(ACCENTS.items())}


class NameParts(NamedTuple):
    """base: a letter or word, a Greek letter spelled out; accent: a word of ACCENTS or ""; subscript: the rest."""

    base: str
    accent: str
    subscript: str


def name_parts(name: str) -> NameParts:
    """The parts of a variable's name; Greek letters and accents may be spelled out or typed."""
    base, _, index = unicodedata.normalize("NFD", name).partition("_")
    word, _, rest = index.partition("_")
    accent = ""
    if base and word.lower() in ACCENTS:
        accent, index = word.lower(), rest
    elif len(base) > 1 and base[-1] in MARKS:
        base, accent = base[:-1], MARKS[base[-1]]
    return NameParts(SPELLINGS.get(base, LETTERS.get(base, base)), accent, index)
