"""Cells that differ from a built-in one, on purpose or by convention, to be compared with it."""

from __future__ import annotations

from ..engine.functions import concatenate, layer_norm, relu, sigmoid, split, tanh
from .cell import cell


@cell(h="n", C="n", x="d", W_f="n+d n", b_f="d", W_C="n+d n", b_C="n", W_o="n+d n", b_o="n")
def lstm_misprint(h, C, /, x, *, W_f, b_f, W_C, b_C, W_o, b_o):
    """Article 002's LSTM as it is printed there, which is not an LSTM: compare `lstm_concat`.

    Misprinted: f_t has its bias inside the bracket, W_f [h_{t-1}, x_t + b_f], so b_f is added to the input;
    i_t is made with W_C and b_C, the candidate's own weights, so the input gate has none.
    Its gradient is right all the same: a gradient check cannot see a wrong equation.
    """
    hx = concatenate([h, x], axis=-1)
    f = sigmoid(concatenate([h, x + b_f], axis=-1) @ W_f)
    i = sigmoid(hx @ W_C + b_C)
    C_hat = tanh(hx @ W_C + b_C)
    o = sigmoid(hx @ W_o + b_o)
    C = f * C + i * C_hat
    h = o * tanh(C)
    return h, C


@cell(h="n", x="d", W_z="d n", U_z="n n", b_z="n", W_r="d n", U_r="n n", b_r="n", W="d n", U="n n", b="n")
def gru_writes(h, /, x, *, W_z, U_z, b_z, W_r, U_r, b_r, W, U, b):
    """GRU whose z writes the candidate, not keeps the old state: Chung et al. 2014, Haiku, Chainer."""
    z = sigmoid(x @ W_z + h @ U_z + b_z)
    r = sigmoid(x @ W_r + h @ U_r + b_r)
    h_tilde = tanh(x @ W + (r * h) @ U + b)
    h = (1 - z) * h + z * h_tilde
    return h


@cell(h="n", x="d", W_f="n+d n", b_f="n", W_h="n+d n", b_h="n")
def mgu(h, /, x, *, W_f, b_f, W_h, b_h):
    """Minimal gated unit, one gate f for both of the GRU's: Zhou et al. 2016."""
    f = sigmoid(concatenate([h, x], axis=-1) @ W_f + b_f)
    h_tilde = tanh(concatenate([f * h, x], axis=-1) @ W_h + b_h)
    h = (1 - f) * h + f * h_tilde
    return h


@cell(
    h="n", C="n", x="d", W_f="n+d n", p_f="n", b_f="n", W_i="n+d n", p_i="n", b_i="n", W_C="n+d n", b_C="n",
    W_o="n+d n", p_o="n", b_o="n",
)  # fmt: skip
def lstm_peephole(h, C, /, x, *, W_f, p_f, b_f, W_i, p_i, b_i, W_C, b_C, W_o, p_o, b_o):
    """LSTM whose gates see the cell state: Gers & Schmidhuber 2000; as in ONNX, o sees the new one."""
    hx = concatenate([h, x], axis=-1)
    f = sigmoid(hx @ W_f + p_f * C + b_f)
    i = sigmoid(hx @ W_i + p_i * C + b_i)
    C = f * C + i * tanh(hx @ W_C + b_C)
    o = sigmoid(hx @ W_o + p_o * C + b_o)
    h = o * tanh(C)
    return h, C


@cell(h="n", C="n", x="d", W_f="n+d n", b_f="n", W_C="n+d n", b_C="n", W_o="n+d n", b_o="n")
def lstm_coupled(h, C, /, x, *, W_f, b_f, W_C, b_C, W_o, b_o):
    """LSTM with i = 1 - f (Greff et al. 2017, CIFG; ONNX's input_forget)."""
    hx = concatenate([h, x], axis=-1)
    f = sigmoid(hx @ W_f + b_f)
    C = f * C + (1 - f) * tanh(hx @ W_C + b_C)
    h = sigmoid(hx @ W_o + b_o) * tanh(C)
    return h, C


@cell(h="n", c="n", x="d", w="d+n 4*n", b="4*n")
def haiku_lstm(h, c, /, x, *, w, b):
    """Haiku's LSTM: blocks i, g, f, o of [x, h], and 1 added inside the forget gate."""
    i, g, f, o = split(concatenate([x, h], axis=-1) @ w + b, 4)
    f = sigmoid(f + 1)
    c = f * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, c


@cell(h="n", x="d", W_z="d n", U_z="n n", b_z="n", W_h="d n", U_h="n n", b_h="n")
def li_gru(h, /, x, *, W_z, U_z, b_z, W_h, U_h, b_h):
    """LiGRU, a GRU without reset gate and with ReLU: Ravanelli et al. 2018.

    There the products with x are batch-normalised; here b is what is left of that when the norm is fixed.
    """
    z = sigmoid(x @ W_z + h @ U_z + b_z)
    h_tilde = relu(x @ W_h + h @ U_h + b_h)
    h = z * h + (1 - z) * h_tilde
    return h


@cell(h="n", x="d", W_z="d n", b_z="n", W_h="d n", b_h="n")
def min_gru(h, /, x, *, W_z, b_z, W_h, b_h):
    """minGRU: gate and candidate do not see the state. Feng et al. 2024."""
    z = sigmoid(x @ W_z + b_z)
    h_tilde = x @ W_h + b_h
    h = (1 - z) * h + z * h_tilde
    return h


@cell(h="n", c="n", x="d", W="d 4*n", U="n 4*n", b="4*n", g_x="4*n", g_h="4*n", g_c="n", b_c="n")
def layer_norm_lstm(h, c, /, x, *, W, U, b, g_x, g_h, g_c, b_c):
    """LSTM with layer normalisation. Ba et al. 2016, equations 20-22."""
    a = layer_norm(x @ W, g_x) + layer_norm(h @ U, g_h) + b
    f, i, o, g = split(a, 4)
    f, i, o, g = sigmoid(f), sigmoid(i), sigmoid(o), tanh(g)
    c = f * c + i * g
    h = o * tanh(layer_norm(c, g_c, b_c))
    return h, c
