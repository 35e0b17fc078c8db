"""Equations as text, in a subset of LaTeX or as plain code, read into expressions.

    f_t = \\sigma(W_f \\cdot [h_{t-1}, x_t] + b_f)        f = sigmoid(W_f @ [h, x] + b_f)

Nothing is evaluated here, and no text is ever run as code. Understood: + - /, products (\\odot \\ast \\circ *
entry by entry, @ of matrices, \\cdot \\times or nothing for either), [a, b] for one vector after the other,
functions, \\frac, accents, fonts, and the subscripts t and t-1. Anything else is an error with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .words import ACCENTS, FONTS, OTHERS, EquationError, Word, words

FUNCTIONS = ("sigmoid", "sigma", "tanh", "relu", "softmax", "softplus", "exp", "log", "sqrt", "sin", "cos")


# ---- expressions -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Number:
    """A number."""

    value: float
    at: int


@dataclass(frozen=True)
class Name:
    """A variable or a parameter; time is 0 for the subscript t, -1 for t-1, None without."""

    text: str
    time: int | None
    at: int

    def __str__(self) -> str:
        return self.text + {None: "", 0: "_t", -1: "_{t-1}"}[self.time]


@dataclass(frozen=True)
class Call:
    """A function of an expression."""

    function: str
    argument: Expression
    at: int


@dataclass(frozen=True)
class Concat:
    """[a, b]: one vector after the other."""

    parts: tuple[Expression, ...]
    at: int


@dataclass(frozen=True)
class Binary:
    """a op b; op is + - / * (entry by entry), @ (of matrices) or · (either)."""

    op: str
    a: Expression
    b: Expression
    at: int


Expression = Number | Name | Call | Concat | Binary


@dataclass(frozen=True)
class Equation:
    """target = value, the label in its \\tag, and its text."""

    target: Name
    value: Expression
    label: str
    text: str


def names(e: Expression) -> Iterator[Name]:
    """The names in an expression, from left to right."""
    if isinstance(e, Name):
        yield e
    elif isinstance(e, Call):
        yield from names(e.argument)
    elif isinstance(e, Concat):
        for part in e.parts:
            yield from names(part)
    elif isinstance(e, Binary):
        yield from names(e.a)
        yield from names(e.b)


# ---- reading -----------------------------------------------------------------------------------
PRODUCTS = {"*", "·", "@", "/"}


class _Reader:
    """Precedence climbing over the symbols of one equation."""

    def __init__(self, text: str, latex: bool, functions: tuple[str, ...]) -> None:
        self.text, self.latex, self.functions = text, latex, functions
        self.words, self.k, self.label = words(text, latex), 0, ""

    @property
    def here(self) -> Word:
        return self.words[self.k]

    def fail(self, expected: str) -> EquationError:
        return EquationError(self.text, self.here.at, f"expected {expected}, found {self.here.text!r}")

    def take(self, kind: str, expected: str = "") -> Word:
        if self.here.kind != kind:
            raise self.fail(expected or repr(kind))
        self.k += 1
        return self.words[self.k - 1]

    def equation(self) -> Equation:
        self.labels()
        target = self.primary()
        if not isinstance(target, Name):
            raise EquationError(self.text, target.at, "expected a variable on the left of =")
        self.take("=", "= after the variable that the equation defines")
        value = self.sum()
        self.labels()
        while self.here.kind in (",", ".", ";"):  # punctuation after a displayed equation
            self.k += 1
        self.labels()
        if self.here.kind != "end":
            raise self.fail("an operator, or the end of the equation")
        return Equation(target, value, self.label, self.text.strip())

    def labels(self) -> None:
        while self.here.kind == "command" and self.here.text in ("tag", "label"):
            what = self.take("command").text
            content = self.group_text()
            if what == "tag":
                self.label = content

    def sum(self) -> Expression:
        left = self.product()
        while self.here.kind in ("+", "-"):
            op = self.take(self.here.kind)
            left = Binary(op.kind, left, self.product(), op.at)
        return left

    def product(self) -> Expression:
        if self.here.kind == "-":
            at = self.take("-").at
            return Binary("*", Number(-1, at), self.product(), at)
        left = self.primary()
        while True:
            at = self.here.at
            if self.here.kind in PRODUCTS:
                op = self.take(self.here.kind).kind
            elif self.starts_primary():
                op = "·"
            else:
                return left
            left = Binary(op, left, self.primary(), at)

    def starts_primary(self) -> bool:
        if self.here.kind == "command":
            return self.here.text not in ("tag", "label", "begin", "end")
        return self.here.kind in ("name", "number", "(", "[", "{")

    def primary(self) -> Expression:
        w = self.here
        if w.kind == "number":
            return Number(float(self.take("number").text), w.at)
        if w.kind in ("(", "{"):
            self.k += 1
            inner = self.sum()
            self.take({"(": ")", "{": "}"}[w.kind])
            return inner
        if w.kind == "[":
            return self.concat()
        if w.kind == "command" and w.text == "frac":
            self.k += 1
            return Binary("/", self.primary(), self.primary(), w.at)
        if w.kind in ("name", "command"):
            return self.symbol()
        raise self.fail("a variable, a number, a function, ( or [")

    def concat(self) -> Expression:
        at = self.take("[").at
        parts = [self.sum()]
        while self.here.kind in (",", ";"):
            self.k += 1
            parts.append(self.sum())
        self.take("]", ", or ] in [a, b]")
        return Concat(tuple(parts), at)

    def symbol(self) -> Expression:
        """A name with its subscript, or a function with its argument."""
        at = self.here.at
        text = self.letters()
        time: int | None = None
        if self.here.kind == "_":
            self.k += 1
            suffix, time = self.subscript()
            text = f"{text}_{suffix}" if suffix else text
        if not self.latex:
            text, time = _plain(text, time)
        if self.here.kind in ("^", "'"):
            raise self.fail("no superscript: write what the symbol stands for as a name, such as W_f")
        if time is None and (text in self.functions or text.lower() in self.functions):
            return Call(text if text in self.functions else text.lower(), self.argument(), at)
        if time is None and self.here.kind == "(" and (text[0].islower() or not self.latex):
            known = ", ".join(self.functions)
            raise EquationError(
                self.text,
                at,
                f"{text} is not a known function ({known}); pass functions={{{text!r}: ...}}",
            )
        return Name(text, time, at)

    def argument(self) -> Expression:
        """What a function is taken of: without parentheses, the one symbol after it."""
        bare = self.here.kind not in ("(", "{", "[")
        found = self.primary()
        if bare and self.starts_primary():
            raise self.fail("parentheses around the argument of the function")
        return found

    def letters(self) -> str:
        """The symbol itself, without accents, fonts and subscripts: C with a tilde is C_tilde."""
        w = self.here
        if w.kind == "name":
            return self.take("name").text
        if w.kind == "{":
            self.k += 1
            text = self.letters()
            self.take("}")
            return text
        if w.kind != "command":
            raise self.fail("a symbol")
        self.k += 1
        if w.text in ACCENTS:
            return f"{self.letters()}_{ACCENTS[w.text]}"
        if w.text in FONTS:
            return self.group_text()
        if w.text in OTHERS or not w.text.isalpha() or w.text in ("sum", "prod", "int", "partial"):
            raise EquationError(self.text, w.at, f"\\{w.text} is not understood here")
        return w.text

    def group_text(self) -> str:
        """The letters and signs of {...}, or of the next symbol."""
        if self.here.kind != "{":
            self.k += 1
            return self.words[self.k - 1].text
        self.k += 1
        out, depth = "", 1
        while True:
            if self.here.kind == "end":
                raise self.fail("}")
            depth += {"{": 1, "}": -1}.get(self.here.kind, 0)
            self.k += 1
            if not depth:
                return out
            if self.words[self.k - 1].kind not in ("{", "}"):
                out += self.words[self.k - 1].text

    def subscript(self) -> tuple[str, int | None]:
        """(the name in the subscript, the time in it)."""
        at = self.here.at
        time, rest = None, []
        for part in self.group_text().replace("−", "-").split(","):
            if part in ("t", "t-1"):
                time = 0 if part == "t" else -1
            elif re.fullmatch(r"\w+", part):
                rest.append(part)
            else:
                raise EquationError(
                    self.text, at, f"expected t, t-1 or a name as the subscript, found {part!r}"
                )
        return "".join(rest), time


def _plain(text: str, time: int | None) -> tuple[str, int | None]:
    """The time in a plain name: h_t, h_prev."""
    for ending, t in (("_t", 0), ("_prev", -1)):
        if text.endswith(ending) and len(text) > len(ending):
            return text.removesuffix(ending), t
    return text, time


def read_equation(text: str, latex: bool = True, functions: tuple[str, ...] = FUNCTIONS) -> Equation:
    """One equation. latex: whether each letter is a symbol of its own. Raises EquationError."""
    return _Reader(text, latex, functions).equation()


def read_equations(text: str, functions: tuple[str, ...] = FUNCTIONS) -> list[Equation]:
    """The equations in a text: those between dollar signs, if it has any, else one in each line.

    Raises EquationError for one that cannot be read, ValueError if there is none.
    """
    latex = "$" in text or "\\" in text
    if "$" in text:
        spans = [m[1] or m[2] for m in re.finditer(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL)]
        parts = [p for span in spans for p in _rows(span)]
    else:
        parts = [
            p for p in (_rows(text) if latex else [re.sub("#.*", "", line) for line in text.splitlines()])
        ]
        parts = [line for p in parts for line in p.splitlines()] if latex else parts
    found = [read_equation(p.strip(), latex, functions) for p in parts if "=" in p]
    if not found:
        raise ValueError(
            "no equation in this text; write one in each line, or between dollar signs: f_t = ..."
        )
    return found


def _rows(text: str) -> list[str]:
    """The rows of an aligned display."""
    text = re.sub(r"\\(?:begin|end)\{[^}]*\}(?:\{[^}]*\})?", "", text)
    return [row for row in re.split(r"\\\\(?:\[[^]]*\])?", text) if row.strip()]
