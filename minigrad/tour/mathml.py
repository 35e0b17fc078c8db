"""The LaTeX that minigrad writes, as MathML, which browsers set by themselves: no script, no font to load.

Known: letters, numbers, groups, sub- and superscripts, fractions, roots, accents, \\left ... \\right, words,
and the symbols below. Anything else is shown as it is written, and never lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from .._names import COMMANDS, GREEK

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
LETTERS = {COMMANDS[name]: letter for name, letter in GREEK.items()} | {
    r"\Phi": "Φ", r"\partial": "∂", r"\ell": "ℓ", r"\top": "⊤",
}  # fmt: skip
OPERATORS = {
    r"\odot": "⊙", r"\cdot": "⋅", r"\cdots": "⋯", r"\ldots": "…", r"\le": "≤", r"\ge": "≥", r"\times": "×",
    r"\sum": "∑", r"\langle": "⟨", r"\rangle": "⟩", r"\{": "{", r"\}": "}", "-": "−", "*": "∗", "'": "′",
}  # fmt: skip
FUNCTIONS = {rf"\{f}" for f in "tanh exp log sin cos max min".split()}
ACCENTS = {r"\tilde": "~", r"\hat": "^", r"\bar": "¯", r"\dot": "˙"}
WORDS = {
    r"\mathrm": '<mi mathvariant="normal">{}</mi>',
    r"\mathit": '<mi class="word">{}</mi>',
    r"\operatorname": "<mi>{}</mi>",
    r"\text": "<mtext>{}</mtext>",
}
SKIPPED = {"", r"\textstyle"}
SCRIPTS = {"_": "msub", "^": "msup", "_^": "msubsup"}
SCRIPTS_OF_SUM = {"_": "munder", "^": "mover", "_^": "munderover"}
CLOSE = r"\right"
SPACES = {r"\,": "0.17em", r"\;": "0.28em", r"\ ": "0.3em", r"\quad": "1em"}


def math(tex: str) -> Markup:
    """A formula as a <math> element, for a line of text."""
    return Markup(f"<math>{_Reader(tex).row()}</math>")


def equations(lines: Iterable[tuple[str, Sequence[str]]]) -> Markup:
    """Equations one below the other, their equal signs aligned: (left side, terms of the right side).

    A right side of several terms is set in as many rows.
    """
    rows = []
    for left, (first, *others) in lines:
        rows.append((_Reader(left).row(), "<mo>=</mo>" + _Reader(first).row()))
        for term in others:  # begins with its sign
            sign, rest = symbol(term[0]).replace("<mo", '<mo form="infix"'), _Reader(term[1:]).row()
            rows.append(("", f'<mspace width="2em"/>{sign}{rest}'))
    body = "".join(
        f'<mtr><mtd class="left">{left}</mtd><mtd class="right">{right}</mtd></mtr>' for left, right in rows
    )
    return Markup(f'<math display="block"><mtable displaystyle="true">{body}</mtable></math>')


def prose(text: str) -> Markup:
    """A text with formulas between dollars: the formulas set, the rest escaped."""
    parts = re.split(r"\$(.+?)\$", text)
    return Markup("").join(math(p) if i % 2 else escape(p) for i, p in enumerate(parts))


class _Reader:
    """Reads LaTeX from left to right; each method returns MathML for what it has read."""

    def __init__(self, tex: str) -> None:
        self.tokens = TOKEN.findall(tex)
        self.i = 0

    @property
    def here(self) -> str:
        """The next token that is not space; empty at the end."""
        while self.i < len(self.tokens) and self.tokens[self.i].isspace():
            self.i += 1
        return self.tokens[self.i] if self.i < len(self.tokens) else ""

    def taken(self) -> str:
        """The next token, which is passed."""
        token = self.here
        self.i += 1
        return token

    def row(self, end: str = "") -> str:
        """Everything up to `end`, which is passed, as one element."""
        items = []
        while self.here not in ("", end):
            items.append(self.scripted())
        self.i += 1
        return items[0] if len(items) == 1 else f"<mrow>{''.join(items)}</mrow>"

    def scripted(self) -> str:
        """One item with its subscript and superscript."""
        names = SCRIPTS_OF_SUM if self.here == r"\sum" else SCRIPTS
        base, scripts = self.item(), {}
        while self.here in ("_", "^") and self.here not in scripts:
            mark = self.taken()
            scripts[mark] = self.item()
        marks = "".join(m for m in "_^" if m in scripts)
        return (
            f"<{names[marks]}>{base}{''.join(scripts[m] for m in marks)}</{names[marks]}>" if marks else base
        )

    def item(self) -> str:
        """One symbol, group or command with its arguments."""
        t = self.taken()
        if t == "{":
            return self.row("}")
        if t == r"\frac":
            return f"<mfrac>{self.item()}{self.item()}</mfrac>"
        if t == r"\sqrt":
            return f"<msqrt>{self.item()}</msqrt>"
        if t == r"\left":
            return f"<mrow>{self.bracket()}{self.row(CLOSE)}{self.bracket()}</mrow>"
        if t in ACCENTS:
            return f'<mover accent="true">{self.item()}<mo stretchy="false">{ACCENTS[t]}</mo></mover>'
        if t in WORDS:
            return self.word(WORDS[t])
        return symbol(t)

    def word(self, element: str) -> str:
        """The text of a group, spaces and all, as one name."""
        self.taken()
        first = self.i
        while self.i < len(self.tokens) and self.tokens[self.i] != "}":
            self.i += 1
        self.i += 1
        return element.format(escape("".join(self.tokens[first : self.i - 1])))

    def bracket(self) -> str:
        """A bracket that grows; a dot is none."""
        t = self.taken()
        return "" if t == "." else f'<mo stretchy="true">{escape(OPERATORS.get(t, t))}</mo>'


def symbol(t: str) -> str:
    """A token that stands for itself."""
    if t in SKIPPED:
        return "<mrow></mrow>"
    if t in SPACES:
        return f'<mspace width="{SPACES[t]}"/>'
    if t in FUNCTIONS:
        return f"<mi>{t[1:]}</mi>"
    if t in LETTERS or t.isalpha():
        return f"<mi>{LETTERS.get(t, t)}</mi>"
    if t[0].isdigit():
        return f"<mn>{t}</mn>"
    if len(t) > 1 and t not in OPERATORS:
        return f"<mtext>{escape(t)}</mtext>"
    return f'<mo stretchy="false">{escape(OPERATORS.get(t, t))}</mo>'
