"""Gated recurrent units: in all of these z keeps the old state; they differ in biases and reset.

Article 001's equation (9) has no bias, and its equations (7)-(8) have one; its code block has a bias in
all three. Both are here: `gru_concat` is the equations, `gru` the code. In both the reset gate acts
before the recurrent product; in torch's it acts after, which is another function.
"""

from __future__ import annotations

from ..engine.functions import concatenate, sigmoid, split, tanh
from .cell import cell


@cell(h="n", x="d", W_z="n+d n", b_z="n", W_r="n+d n", b_r="n", W="n+d n")
def gru_concat(h, /, x, *, W_z, b_z, W_r, b_r, W):
    """GRU on [h_{t-1}, x_t], its candidate without a bias: article 001, eqs. (7)-(10) (Cho et al. 2014)."""
    hx = concatenate([h, x], axis=-1)
    z = sigmoid(hx @ W_z + b_z)  # (7)
    r = sigmoid(hx @ W_r + b_r)  # (8)
    h_tilde = tanh(concatenate([r * h, x], axis=-1) @ W)  # (9)
    h = z * h + (1 - z) * h_tilde  # (10)
    return h


@cell(
    H="n", X="d", W_xz="d n", W_hz="n n", b_z="n", W_xr="d n", W_hr="n n", b_r="n",
    W_xh="d n", W_hh="n n", b_h="n",
)  # fmt: skip
def gru(H, /, X, *, W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h):
    """GRU with split weights and three biases: the step of article 001's code block."""
    Z = sigmoid((X @ W_xz) + (H @ W_hz) + b_z)
    R = sigmoid((X @ W_xr) + (H @ W_hr) + b_r)
    H_tilda = tanh((X @ W_xh) + ((R * H) @ W_hh) + b_h)
    H = Z * H + (1 - Z) * H_tilda
    return H


@cell(h="n", x="d", weight_ih="3*n d", weight_hh="3*n n", bias_ih="3*n", bias_hh="3*n")
def torch_gru(h, /, x, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.GRU's step: blocks r, z, n; the reset gate acts after the recurrent product."""
    r_x, z_x, n_x = split(x @ weight_ih.T + bias_ih, 3)
    r_h, z_h, n_h = split(h @ weight_hh.T + bias_hh, 3)
    r = sigmoid(r_x + r_h)
    z = sigmoid(z_x + z_h)
    n = tanh(n_x + r * n_h)
    h = (1 - z) * n + z * h
    return h
