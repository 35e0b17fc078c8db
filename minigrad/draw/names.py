"""Names as the textbook sets them (C_tilda at step 2 is C̃₂), signs of operators, and widths of text."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from .._names import ACCENTS, GREEK, name_parts

if TYPE_CHECKING:
    from ..engine.core import Tensor
    from .steps import Step

SUBSCRIPT = str.maketrans("0123456789-+", "₀₁₂₃₄₅₆₇₈₉₋₊")
SIGNS = dict(
    add="+", sub="−", mul="×", div="÷", neg="−", matmul="@", sigmoid="σ", sqrt="√", sum="Σ", power="^",
    pow="^", abs="|·|", concat="[ , ]", stack="[ , ]", transpose="ᵀ", greater=">", greater_equal="≥",
    equal="=", maximum="max",    logsumexp="lse", stop_gradient="stop",
)  # fmt: skip


def pretty(name: str, t: int | None = None) -> str:
    """A variable's name with its accent or Greek letter, and the time step as a subscript."""
    base, accent, index = name_parts(name)
    if base in GREEK and not (accent or index):
        name = GREEK[base]
    elif accent and len(base) == 1:
        name = "_".join([base + ACCENTS[accent][1], *([index] if index else [])])
    return name + subscript(t)


def subscript(t: int | None) -> str:
    """The step number in subscript digits."""
    return "" if t is None else str(t).translate(SUBSCRIPT)


def operator_sign(step: Step, i: int) -> str:
    """The sign of operation i of a step: × for a product, 1− for a difference from a constant."""
    n = step.nodes[i]
    sign = SIGNS.get(n.op.name, n.op.name)
    values = [_constant(step, r) for r in step.refs[i]]
    if n.op.name == "exp" and _is_softmax(step, i):
        return "softmax"
    if n.op.name == "index":
        return _slice(n.params["key"])
    if n.op.name == "power":
        return "x" + {2: "²", 3: "³", -1: "⁻¹"}.get(n.params["exponent"], f"^{n.params['exponent']:.3g}")
    if n.op.name in ("add", "sub", "mul", "div") and len(values) == 2:
        if values[0] is not None and values[1] is None:
            return f"{values[0]}{sign}" if n.op.name in ("sub", "div") else f"{sign}{values[0]}"
        if values[1] is not None:
            return f"{sign}{values[1]}"
    return sign


def _slice(key: tuple) -> str:
    """What is taken of the last axis: 5:10 of x[..., 5:10]."""
    last = key[-1] if key else None
    if isinstance(last, slice) and last.step in (None, 1) and last.stop is not None:
        return f"{last.start or 0}:{last.stop}"
    return str(last) if isinstance(last, int) else "[…]"


def _constant(step: Step, ref: tuple[str, int]) -> str | None:
    """A scalar constant as it is written, else None."""
    if ref[0] != "const" or (value := step.consts[ref[1]].value).size != 1:
        return None
    return f"{value.item():.3g}".replace("-", "−")


def _is_softmax(step: Step, i: int) -> bool:
    ((kind, j),) = step.refs[i]
    if kind != "node" or step.nodes[j].op.name != "sub":
        return False
    kind2, k = step.refs[j][1]
    return kind2 == "node" and step.nodes[k].op.name == "logsumexp"


def shape_text(t: Tensor | None) -> str:
    """A tensor's shape as it is written in a picture: 4×5; nothing for several tensors in one."""
    if t is None or isinstance(t.value, tuple):
        return ""
    shape = t.shape
    return "×".join(map(str, shape)) if len(shape) else "scalar"


# Width of a character in ems. These are on the wide side (DejaVu Sans), so that text fits with any of
# the fonts named in a picture.
_NARROW, _WIDE = set("ijlftr.,:;'|!()[]I-‖ "), set("mwMW@%—…×÷∂∇")
_WIDTH = dict.fromkeys(_NARROW, 0.40) | dict.fromkeys(_WIDE, 0.98)


def char_width(c: str) -> float:
    """Estimated width of one character, in ems."""
    if unicodedata.combining(c):
        return 0.0
    if c in _WIDTH:
        return _WIDTH[c]
    if c in "₀₁₂₃₄₅₆₇₈₉₋₊ᵀ²³⁻¹":
        return 0.42
    if unicodedata.east_asian_width(c) in "WF":
        return 1.05
    return 0.74 if c.isupper() else 0.64


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Estimated width of a line of text, in points."""
    return size * sum(map(char_width, text)) * (1.08 if bold else 1.0)


def fit(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text, or as much of it as fits the width, ending in an ellipsis; one line, printable."""
    text = clean(text)
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text + "…"


def clean(text: str) -> str:
    """Text without line breaks and control characters, which XML cannot hold or which reorder it."""
    text = re.sub(r"[\r\n\t\v\f\u2028\u2029]+", " ", str(text))
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") or c in _BIDI else c for c in text
    )


_BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
