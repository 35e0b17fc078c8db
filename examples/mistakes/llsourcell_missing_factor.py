"""LSTM_Networks: what flows back to h goes around the derivatives of the gates.

Thread: https://github.com/llSourcell/LSTM_Networks/issues/4 ("Is there something missing in dphs derivation?
... dtangent is missing"). The gradients of the weights have the derivative of each activation, the gradient
of the previous hidden state has none, so that every earlier step is wrong too. (Copies of this code also take
tanh' for the output gate, where sigmoid' is meant; here it is right, so that the missing factors are left.)
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["lstm_concat"]
REASONS = {"h": "terms are missing, and others stand in their place"}


def backward(dh, dC, h, C, x, C_next, f, i, C_tilde, o, params):
    hx = np.concatenate([h, x], axis=1)
    do = dh * np.tanh(C_next)
    dC = dC + dh * o * (1 - np.tanh(C_next) ** 2)
    df, di, dc = dC * C, dC * C_tilde, dC * i
    grads = {"C": dC * f}
    for gate, d, slope in (
        ("o", do, o * (1 - o)), ("C", dc, 1 - C_tilde**2), ("i", di, i * (1 - i)), ("f", df, f * (1 - f)),
    ):  # fmt: skip
        grads["W_" + gate] = hx.T @ (d * slope)
        grads["b_" + gate] = (d * slope).sum(axis=0)
    back = do @ params.W_o.T + dc @ params.W_C.T + di @ params.W_i.T + df @ params.W_f.T
    grads["h"] = back[:, : h.shape[1]]
    return grads
