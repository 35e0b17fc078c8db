"""A derivation as text, Markdown and LaTeX: the lines that `derive` found, and the prose between them."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from ..._names import COMMANDS, LETTERS
from ...cells.cell import Cell
from .jacobians import Opaque
from .notation import Line
from .rows import LINE, rows, width
from .writing import Text, plain_name, terms, timed_name

WIDTH = 110
KNOWN = set("äëïöüÄËÏÖÜßáéíóúÁÉÍÓÚàèìòùÀÈÌÒÙâêîôûÂÊÎÔÛãñõÃÑÕåÅçÇøØæÆ–—‘’“”…")  # letters of any LaTeX


@dataclass(frozen=True)
class Derived:
    """The derivation of a cell's gradient over time; made by `derive`.

    outputs: the names of outputs that are not states; opaque: factors that are named, not written out.
    """

    cell: Cell
    outputs: tuple[str, ...]
    equations: tuple[Line, ...]
    jacobians: tuple[Line, ...]
    recursion: tuple[Line, ...]
    adjoints: tuple[Line, ...]
    gradients: tuple[Line, ...]
    opaque: tuple[Opaque, ...] = ()

    @property
    def sections(self) -> list[tuple[str, Text, tuple[Line, ...]]]:
        """(title, what is said first, lines)."""
        doc = self.cell.doc.splitlines()[0] if self.cell.doc else ""
        return [
            ("One step", Text(doc, _escaped(doc)), self.equations),
            ("Its Jacobians", _same("By the chain rule, over every path through the step."), self.jacobians),
            ("From the loss back through time", self._start(), self.recursion),
            ("The parameters", A_ROW, self.adjoints + self.gradients),
        ]

    def _start(self) -> Text:
        """What delta and g are, and where the recursion begins."""
        read = (*self.outputs, *self.cell.states)[0]
        symbol, y = ("delta" if self.outputs else "g"), timed_name(read)
        others = [s for s in self.cell.states if s != read] if not self.outputs else []
        zero = f", and that of {' and '.join(others)} is 0" if others else ""
        zero_tex = f", and that of ${'$ and $'.join(map(plain_name, others))}$ is $0$" if others else ""
        tex = rf"\{symbol}" if symbol == "delta" else symbol
        return Text(
            "delta is dL/d(state), a row; g is the part of it that comes from the loss of its own step. "
            f"L = (1/T) sum_t l({y.code}, y[t]), so that {symbol} of {read} is (1/T) dl/d{y.code}{zero}. "
            "After the last step delta is g.",
            r"$\delta_t = \mathrm{d}L/\mathrm{d}(\text{state})$ is a row, and $g_t$ the part of it that "
            rf"comes from the loss of step $t$. $L = \frac{{1}}{{T}}\sum_t l({y.tex}, y_t)$, so "
            rf"that ${tex}$ of ${plain_name(read)}$ is "
            rf"$\frac{{1}}{{T}}\,\partial l/\partial {y.tex}${zero_tex}. "
            r"After the last step $\delta_T = g_T$.",
        )

    # ---- text ----
    def text(self) -> str:
        """Plain text; every formula is numpy (D(v) is diag(v), eye the identity)."""
        lines = [f"{self.cell.name}: backpropagation through time", "", *_filled(CONVENTION.code)]
        for k, (title, prose, body) in enumerate(self.sections, start=1):
            lines += ["", f"{k}. {title}", *_filled(prose.code), ""]
            width = max((len(x.left.code) for x in body), default=0)
            for x in body:
                lines += _code_lines(x, width)
        lines += [
            f"    # {o.text.code} is the derivative of {o.what.code} by {o.by.code}" for o in self.opaque
        ]
        lines += ["", f"{len(self.sections) + 1}. Why this is dL/dw, for every T", ""]
        for name, claim in INDUCTION:
            lines += textwrap.wrap(
                f"{name} {claim.code}", WIDTH - 10, initial_indent="    ", subsequent_indent="        "
            )  # fmt: skip
        return "\n".join(lines) + "\n"

    __str__ = text

    # ---- LaTeX and Markdown ----
    def latex(self) -> str:
        """A LaTeX document, in the standard article class with amsmath."""
        title = rf"Backpropagation through time: \texttt{{{_escaped(self.cell.name)}}}"
        parts = [DOCUMENT, rf"\section*{{{title}}}", CONVENTION.tex]
        for heading, prose, body in self.sections:
            parts += [rf"\subsection*{{{heading}}}", prose.tex, _aligned(body, "align*")]
        parts += [_opaque_tex(o) + r" \par" for o in self.opaque]
        parts += [r"\subsection*{Why this is $\mathrm{d}L/\mathrm{d}w$, for every $T$}"]
        parts += [rf"\paragraph{{{name}}} {claim.tex}" for name, claim in INDUCTION]
        return "\n".join([p for p in parts if p] + [r"\end{document}"]) + "\n"

    def markdown(self) -> str:
        """Markdown with formulas between dollars, as notebooks and most sites render it."""
        parts = [f"## Backpropagation through time: `{self.cell.name}`", CONVENTION.tex]
        for heading, prose, body in self.sections:
            said = prose.tex if prose.has_formulas else re.sub(r"([\\`*_{}\[\]<>$#|~])", r"\\\1", prose.code)
            parts += [f"### {heading}", said, f"$$\n{_aligned(body, 'aligned')}\n$$"]
        parts += [_opaque_tex(o) for o in self.opaque]
        parts += [r"### Why this is $\mathrm{d}L/\mathrm{d}w$, for every $T$"]
        parts += [f"**{name}** {claim.tex}" for name, claim in INDUCTION]
        return "\n\n".join(p for p in parts if p) + "\n"

    _repr_markdown_ = markdown  # a notebook sets it with MathJax, which knows no document


DOCUMENT = r"""\documentclass{article}
\usepackage{amsmath}
\allowdisplaybreaks
\begin{document}"""


# ---- what is the same for every cell -----------------------------------------------------------
CONVENTION = Text(
    "Vectors are rows, as in the code: (dy/dx)[i, j] = dy_i/dx_j, D(v) is the diagonal matrix of v, "
    "* is taken entry by entry and @ is the product of matrices.",
    r"Vectors are rows, as in the code: $(\partial y/\partial x)_{ij} = \partial y_i/\partial x_j$; "
    r"$D[v]$ is the diagonal matrix of $v$, $\odot$ is taken entry by entry, and $W_{[x]}$ is the part of "
    r"$W$ that belongs to $x$.",
)
A_ROW = Text(
    "a is dL/d(what the parameters enter), a row. Over a batch, the sums run over its rows too.",
    r"$a_t$ is $\mathrm{d}L/\mathrm{d}(\text{what the parameters enter})$, a row. Over a batch, the "
    "sums run over its rows too.",
)
INDUCTION = (
    ("Lemma (step).", Text(
        "For every state, input, w and row delta, the vjp of the step F is (delta P_t, delta J_t), with "
        "J_t = dF/ds, P_t = dF/dw: sections 2 and 4 write them out, and minigrad.prove checks it.",
        r"For every $s_{t-1}$, $x_t$, $w$ and row $\delta$: $\mathrm{vjp}_F(\delta) = "
        r"(\delta P_t, \delta J_t)$, with $J_t = \partial F/\partial s_{t-1}$ and "
        r"$P_t = \partial F/\partial w$.",
    )),
    ("Forward.", Text(
        "With S_t = ds_t/dw: S_0 = 0, S_t = P_t + J_t S_{t-1}, so that "
        "S_t = sum_{i=1..t} (J_t J_{t-1} ... J_{i+1}) P_i, the product in descending order.",
        r"With $S_t = \mathrm{d}s_t/\mathrm{d}w$: $S_0 = 0$, $S_t = P_t + J_t S_{t-1}$, so that "
        r"$S_t = \sum_{i=1}^{t} \left(J_t J_{t-1} \cdots J_{i+1}\right) P_i$, the product in descending "
        r"order.",
    )),
    ("Base.", Text("delta_T = g_T, A_T = 0.", r"$\delta_T = g_T$, $A_T = 0$.")),
    ("Step.", Text(
        "A_{t-1} = A_t + delta_t P_t, delta_{t-1} = g_{t-1} + delta_t J_t, with g_0 = 0.",
        r"$A_{t-1} = A_t + \delta_t P_t$, $\delta_{t-1} = g_{t-1} + \delta_t J_t$, with $g_0 = 0$.",
    )),
    ("Invariant.", Text(
        "I_t = A_t + delta_t S_t + sum_{u<t} g_u S_u is the same for every t: I_{t-1} - I_t = delta_t P_t + "
        "(g_{t-1} + delta_t J_t) S_{t-1} - delta_t (P_t + J_t S_{t-1}) - g_{t-1} S_{t-1} = 0.",
        r"$I_t = A_t + \delta_t S_t + \sum_{u<t} g_u S_u$ is the same for every $t$: $I_{t-1} - I_t = "
        r"\delta_t P_t + (g_{t-1} + \delta_t J_t) S_{t-1} - \delta_t (P_t + J_t S_{t-1}) - g_{t-1} S_{t-1} "
        r"= 0$.",
    )),
    ("Conclusion.", Text(
        "A_0 = I_0 = I_T = sum_t g_t S_t, and with the direct part of the read-out's own weights this is "
        "dL/dw, for every T.",
        r"$A_0 = I_0 = I_T = \sum_t g_t S_t$, and with the direct part of the read-out's own weights this is "
        r"$\mathrm{d}L/\mathrm{d}w$, for every $T$.",
    )),
)  # fmt: skip


def _filled(prose: str) -> list[str]:
    return textwrap.wrap(prose, WIDTH - 10)


def _same(prose: str) -> Text:
    return Text(prose, prose)


def _code_lines(x: Line, width: int) -> list[str]:
    """left = right  # note, over several lines where it is long."""
    note = f"    # {x.note}" if x.note else ""
    line = f"    {x.left.code:<{width}} = {x.right.code}{note}"
    parts = terms(x.right.code)
    if len(line) <= WIDTH or (len(parts) == 1 and not note):
        return [line]
    if len(parts) == 1:
        return [note, f"    {x.left.code:<{width}} = {x.right.code}"]
    return [
        *([note] if note else []),
        f"    {x.left.code:<{width}} = (",
        *(f"        {p}" for p in parts),
        "    )",
    ]


def _aligned(body: Sequence[Line], environment: str) -> str:
    room = LINE - max((width(x.left.tex) for x in body), default=0)
    lines = [f"  {row}" for x in body for row in rows(x.left.tex, x.right.tex, room)]
    return f"\\begin{{{environment}}}\n" + " \\\\\n".join(lines) + f"\n\\end{{{environment}}}"


def _opaque_tex(o: Opaque) -> str:
    return rf"${o.text.tex} = \partial\left({o.what.tex}\right)/\partial\left({o.by.tex}\right)$"


def _escaped(text: str) -> str:
    """Text that LaTeX sets as it stands; of letters that it does not know, their number."""
    return "".join(map(_escaped_letter, unicodedata.normalize("NFC", text)))


def _escaped_letter(c: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    if c in LETTERS:
        return rf"\ensuremath{{{COMMANDS[LETTERS[c]]}}}"
    if c in special or c in "&%$#_{}":
        return special.get(c, "\\" + c)
    return c if c.isascii() or c in KNOWN else f"[U+{ord(c):04X}]"
