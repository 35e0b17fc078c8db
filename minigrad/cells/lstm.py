"""Long short-term memory, in the letters of its sources."""

from __future__ import annotations

from ..engine.functions import concatenate, sigmoid, split, tanh
from .cell import cell


@cell(
    h="n", C="n", x="d", W_f="n+d n", b_f="n", W_i="n+d n", b_i="n", W_C="n+d n", b_C="n",
    W_o="n+d n", b_o="n",
)  # fmt: skip
def lstm_concat(h, C, /, x, *, W_f, b_f, W_i, b_i, W_C, b_C, W_o, b_o):
    """LSTM on [h_{t-1}, x_t]: article 001, eqs. (1)-(6).

    Source: Hochreiter & Schmidhuber 1997; the forget gate: Gers et al. 2000.
    """
    hx = concatenate([h, x], axis=-1)
    f = sigmoid(hx @ W_f + b_f)  # (1)
    i = sigmoid(hx @ W_i + b_i)  # (2)
    C_tilde = tanh(hx @ W_C + b_C)  # (3)
    C = f * C + i * C_tilde  # (4)
    o = sigmoid(hx @ W_o + b_o)  # (5)
    h = o * tanh(C)  # (6)
    return h, C


@cell(
    H="n", C="n", X="d", W_xi="d n", W_hi="n n", b_i="n", W_xf="d n", W_hf="n n", b_f="n",
    W_xo="d n", W_ho="n n", b_o="n", W_xc="d n", W_hc="n n", b_c="n",
)  # fmt: skip
def lstm(H, C, /, X, *, W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c):
    """LSTM with split weights: the step of article 001's code block."""
    I = sigmoid((X @ W_xi) + (H @ W_hi) + b_i)
    F = sigmoid((X @ W_xf) + (H @ W_hf) + b_f)
    O = sigmoid((X @ W_xo) + (H @ W_ho) + b_o)
    C_tilda = tanh((X @ W_xc) + (H @ W_hc) + b_c)
    C = F * C + I * C_tilda
    H = O * tanh(C)
    return H, C


@cell(h="n", c="n", x="d", weight_ih="4*n d", weight_hh="4*n n", bias_ih="4*n", bias_hh="4*n")
def torch_lstm(h, c, /, x, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.LSTM's step: gate blocks i, f, g, o, and two biases."""
    i, f, g, o = split(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c
