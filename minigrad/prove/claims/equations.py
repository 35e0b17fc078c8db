"""The articles' equations, as they stand there, against their code."""

from __future__ import annotations

from collections.abc import Iterator

from ...cells import CELLS, lstm_misprint
from ..compare.comparison import compare
from ..specification.check import check_specification
from .statement import Statement, corrected, proved

LSTM = r"""f_t = \sigma(W_f \cdot [h_{t-1}, x_t] + b_f) \tag{1}
i_t = \sigma(W_i \cdot [h_{t-1}, x_t] + b_i) \tag{2}
\tilde C_t = \tanh(W_C \cdot [h_{t-1}, x_t] + b_C) \tag{3}
C_t = f_t \ast C_{t-1} + i_t \ast \tilde C_t \tag{4}
o_t = \sigma(W_o \cdot [h_{t-1}, x_t] + b_o) \tag{5}
h_t = o_t \ast \tanh(C_t) \tag{6}"""
GRU = r"""z_t = \sigma(W_z \cdot [h_{t-1}, x_t] + b_z) \tag{7}
r_t = \sigma(W_r \cdot [h_{t-1}, x_t] + b_r) \tag{8}
\tilde h_t = \tanh(W \cdot [r_t \ast h_{t-1}, x_t]) \tag{9}
h_t = z_t \odot h_{t-1} + (1 - z_t) \odot \tilde h_t \tag{10}"""
MISPRINTED = r"""f_t = \sigma(W_f \times [h_{t-1}, x_t + b_f]) \tag{1}
i_t = \sigma(W_C \times [h_{t-1}, x_t] + b_C) \tag{2}
\hat C_t = \tanh(W_C \times [h_{t-1}, x_t] + b_C) \tag{3}
o_t = \sigma(W_o \times [h_{t-1}, x_t] + b_o) \tag{4}
C_t = f_t \times C_{t-1} + i_t \times \hat C_t \tag{5}
h_t = o_t \times \tanh(C_t) \tag{6}"""


def code_and_equations() -> Iterator[Statement]:
    """Article 001's code blocks against its equations."""
    yield proved(bool(check_specification(CELLS["lstm"], LSTM)), "lstm: the code computes equations (1)-(6)")
    found = check_specification(CELLS["gru"], GRU)
    wrong = [e for e in found.equations if e.verdict == "refuted"]
    where = found.comparison.failing
    right = (
        found.verdict == "refuted"
        and [e.label for e in wrong] == ["9"]
        and where is not None
        and where.proved
    )
    yield corrected(
        f"({wrong[0].label}): {wrong[0].why}" if right else "",
        "gru: the code computes (7), (8) and (10), but not (9), which has no bias; equal where "
        + (where.requires if where else ""),
    )


def misprint() -> Iterator[Statement]:
    """Article 002's LSTM equations."""
    found = check_specification(CELLS["lstm"], MISPRINTED)
    wrong = [e for e in found.equations if e.verdict == "refuted"]
    right = found.verdict == "refuted" and [e.variable for e in wrong] == ["f", "i"]
    yield corrected(
        "; ".join(e.why for e in wrong) if right else "", "its equations for f_t and i_t are not an LSTM's"
    )
    back = compare(lstm_misprint, CELLS["lstm_concat"]).weights
    words = ", ".join(f"{p} = {back.text(p)}" for p in back.changed()) if back else ""
    yield proved(bool(back), f"what they define is the LSTM whose weights are tied: {words}")
