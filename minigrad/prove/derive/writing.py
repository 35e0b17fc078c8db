"""Formulas as text, in two styles from one graph: numpy code that runs, and LaTeX.

A node of a graph is written from the operation of its row: operators as operators, other rows as calls
(code) or by their `tex` (LaTeX). Only 1 * x = x, x / 1 = x and the square are shortened.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._names import ACCENTS, COMMANDS, LETTERS, name_parts
from ...engine.core import Primitive, Tensor

SUM, PRODUCT, MATRIX, UNARY, ATOM = range(5)  # how tightly the outermost operator of a text binds


@dataclass(frozen=True)
class Text:
    """An expression as code and as LaTeX, and how tightly it binds (in both)."""

    code: str
    tex: str
    level: int = ATOM

    def at(self, level: int, strict: bool = False) -> Text:
        """In brackets, if it binds less tightly than `level` (or not more, if strict)."""
        if self.level > level or (self.level == level and not strict):
            return self
        return Text(f"({self.code})", rf"\left({self.tex}\right)")

    def unbracketed(self) -> Text:
        """Without brackets around all of it."""
        if self.code.startswith("(") and closing(self.code) == len(self.code) - 1:
            return Text(self.code[1:-1], self.tex, SUM)
        return self

    def factor(self, last: bool = False) -> Text:
        """As a factor entry by entry: a matrix product gets brackets, and so does the last product."""
        return self.at(UNARY) if last or self.level == MATRIX else self.at(PRODUCT)

    @property
    def has_formulas(self) -> bool:
        """Whether, as a sentence, it has formulas between dollars."""
        return bool(re.search(r"(?<!\\)\$", self.tex))

    @property
    def number(self) -> bool:
        """Whether it is a plain number."""
        return bool(re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", self.code))


ONE = Text("1", "1")


def closing(text: str) -> int:
    """Where the bracket that text begins with is closed."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth:
            return i
    raise ValueError(f"unbalanced brackets: {text}")


def number(value: float) -> Text:
    """A number as it is usually written: 1 and not 1.0."""
    word = str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
    return Text(word, word, UNARY if value < 0 else ATOM)


def terms(text: str) -> list[str]:
    """The terms of a sum, each after the first with its sign."""
    found, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth and i and text[i : i + 3] in (" + ", " - "):
            found.append(text[start:i].strip())
            start = i
    return [*found, text[start:].strip()]


# ---- names -------------------------------------------------------------------------------------
def plain_name(name: str) -> str:
    """A variable's name as LaTeX: W_xi is W_{xi}, C_tilda has its accent, alpha is Greek."""
    found = name_parts(name)
    base, words = found.base, found.subscript.split("_") if found.subscript else []
    digits = re.fullmatch(r"([A-Za-z])(\d+)", base)
    if digits and not found.accent:
        base, words = digits[1], [digits[2], *words]
    base = base if len(base) == 1 and base.isascii() else COMMANDS.get(base, rf"\mathit{{{base}}}")
    if not base.isascii():
        base = rf"\text{{{unicodedata.normalize('NFC', found.base)}}}"
    if found.accent:
        base = rf"\{ACCENTS[found.accent][0]}{{{base}}}"
    index = ",".join(_index_word(w) for w in words)
    return base + (f"_{{{index}}}" if words else "")


def _index_word(word: str) -> str:
    if word in LETTERS:
        return COMMANDS[LETTERS[word]]
    return word if word.isascii() else rf"\text{{{word}}}"


def timed_name(name: str, back: int = 0) -> Text:
    """A variable at time t (or t-1): h[t-1] in code, h_{t-1} in LaTeX."""
    when = f"t-{back}" if back else "t"
    return Text(f"{name}[{when}]", indexed(plain_name(name), when))


def indexed(tex: str, index: str) -> str:
    """The formula with one more index, beside those that it ends in: a second _ would be an error."""
    start = _last_group(tex)
    if tex[:start].endswith("^"):
        tex, start = rf"\left({tex}\right)", 0
    return f"{tex[:-1]},{index}}}" if tex[:start].endswith("_") else f"{tex}_{{{index}}}"


def raised(tex: str, exponent: str) -> str:
    """The formula with an exponent; one that has an exponent already is put in brackets."""
    base = rf"\left({tex}\right)" if tex[: _last_group(tex)].endswith("^") else tex
    return f"{base}^{{{exponent}}}"


def _last_group(tex: str) -> int:
    """Where the group in braces that ends the formula begins; 0 if it ends in none."""
    depth = 0
    for i in range(len(tex) - 1, -1, -1):
        depth += (tex[i] == "}") - (tex[i] == "{")
        if not depth:
            return i if i < len(tex) - 1 else 0
    return 0


def constant_name(name: str) -> Text:
    """A variable that does not depend on time, such as a parameter."""
    return Text(name, plain_name(name))


# ---- operations --------------------------------------------------------------------------------
def write(op: Primitive, args: Sequence[Text], params: Mapping[str, Any]) -> Text:
    """The operation applied to these texts."""
    special = OPERATORS.get(op.name)
    if special is not None:
        return special(*args)
    if op.name == "power":
        base, e = args[0].at(ATOM), number(params["exponent"]).code
        return args[0] if e == "1" else Text(f"{base.code}**{e}", raised(base.tex, rf"\odot {e}"), UNARY)
    words = [a.code for a in args] + [f"{k}={v}" for k, v in params.items()]
    return Text(f"{op.name}({', '.join(words)})", _by_template(op, args, params))


def _by_template(op: Primitive, args: Sequence[Text], params: Mapping[str, Any]) -> str:
    """The row's own LaTeX; arguments that it does not enclose itself are put in brackets where needed."""
    template = op.tex.replace("{*}", ", ".join(f"{{{i}}}" for i in range(len(args))))
    enclosed = set(re.findall(r"[(\[|{,]\s*\{(\d)\}\s*[)\]|},]", template))
    words = [a.tex if str(i) in enclosed else a.at(ATOM).tex for i, a in enumerate(args)]
    return template.format(*words, **{k: _parameter(v) for k, v in params.items()})


def _parameter(v: Any) -> str:
    if isinstance(v, tuple):
        return ", ".join(map(_parameter, v))
    if isinstance(v, slice):
        return f"{'' if v.start is None else v.start}:{'' if v.stop is None else v.stop}"
    return str(v)


def add(a: Text, b: Text) -> Text:
    """a + b."""
    b = b.at(SUM)
    if b.code.startswith("-") and b.tex.startswith("-"):
        return Text(f"{a.code} - {b.code[1:]}", f"{a.tex} - {b.tex[1:]}", SUM)
    return Text(f"{a.code} + {b.code}", f"{a.tex} + {b.tex}", SUM)


def sub(a: Text, b: Text) -> Text:
    """a - b."""
    b = b.at(SUM, strict=True)
    return Text(f"{a.code} - {b.code}", f"{a.tex} - {b.tex}", SUM)


def mul(a: Text, b: Text) -> Text:
    """a times b, entry by entry."""
    if a == ONE or b == ONE:
        return b if a == ONE else a
    if a.code == "-1" or b.code == "-1":
        return neg(b if a.code == "-1" else a)
    if a == b and not a.number:
        base = a.at(ATOM)
        return Text(f"{base.code}**2", raised(base.tex, r"\odot 2"), UNARY)
    a, b = a.factor(), b.factor(last=True)
    dot = r"\," if a.number or b.number else r" \odot "
    return Text(f"{a.code} * {b.code}", a.tex + dot + b.tex, PRODUCT)


def div(a: Text, b: Text) -> Text:
    """a over b, entry by entry."""
    if b == ONE:
        return a
    left, right = a.factor(), b.factor(last=True)
    return Text(f"{left.code} / {right.code}", rf"\frac{{{a.tex}}}{{{b.tex}}}", PRODUCT)


def neg(a: Text) -> Text:
    """-a."""
    inner = a.at(PRODUCT)
    return Text(f"-{inner.code}", f"-{inner.tex}", SUM)


def matmul(a: Text, b: Text) -> Text:
    """The product of matrices."""
    a, b = a.at(MATRIX), b.at(UNARY)
    return Text(f"{a.code} @ {b.code}", rf"{a.tex}\,{b.tex}", MATRIX)


def transposed(a: Text) -> Text:
    """The transpose; of a transpose, the matrix itself."""
    a = a.at(ATOM)
    if a.code.endswith(".T"):
        return Text(a.code.removesuffix(".T"), a.tex.removesuffix(r"^{\top}"))
    return Text(f"{a.code}.T", raised(a.tex, r"\top"))


def compared(sign: str, tex: str) -> Callable[[Text, Text], Text]:
    """A comparison, 1 where it holds and 0 elsewhere."""
    return lambda a, b: Text(f"({a.code} {sign} {b.code})", f"[{a.tex} {tex} {b.tex}]")


OPERATORS: dict[str, Callable[..., Text]] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "neg": neg, "matmul": matmul,
    "greater": compared(">", ">"), "greater_equal": compared(">=", r"\ge"), "equal": compared("==", "="),
}  # fmt: skip


class Writer:
    """Writes nodes of a graph; those with a name by it, the others as the operation they are."""

    def __init__(self, names: dict[int, Text] | None = None, size: Callable[[int], str] = str) -> None:
        self.names = {} if names is None else names
        self.size = size  # a number of entries as it is declared, such as n+d

    def __call__(self, t: Tensor) -> Text:
        """The text of a node."""
        found = self.names.get(t.id)
        if found is None:
            found = self.names[t.id] = self.equation(t)
        return found

    def equation(self, t: Tensor) -> Text:
        """What a node is computed as, whether or not it has a name."""
        if t.op is None:
            return number(t.item()) if t.value.size == 1 else constant_name(t.name or f"K{t.id}")
        if t.op.name == "transpose" and t.params["axes"] == (-1, -2):
            return transposed(self(t.inputs[0]))
        if t.op.name in SAME:
            return self(t.inputs[0])
        if t.op.name == "index":
            return self._piece(t)
        if t.op.name == "concat":
            words = [self(x) for x in t.inputs]
            code = ", ".join(w.code for w in words)
            return Text(f"concat([{code}], {t.params['axis']})", f"[{', '.join(w.tex for w in words)}]")
        return write(t.op, [self(x) for x in t.inputs], t.params)

    def _piece(self, t: Tensor) -> Text:
        """A part of an array; axes that are kept whole in front are not written."""
        x, words = self(t.inputs[0]).at(ATOM), [self._range(k) for k in t.params["key"]]
        while len(words) > 1 and words[0] in (":", "0:1"):
            words.pop(0)
        inside = ", ".join(words)
        return Text(f"{x.code}[..., {inside}]", indexed(x.tex, f"[{inside.replace('*', '')}]"))

    def _range(self, k: Any) -> str:
        if not isinstance(k, slice):
            return str(k)
        ends = ["" if e is None else self.size(e) for e in (k.start, k.stop)]
        return ":".join([*ends, *([] if k.step in (None, 1) else [str(k.step)])])


SAME = {"alias", "broadcast", "reshape", "cast"}  # rows that only lay out the same entries
