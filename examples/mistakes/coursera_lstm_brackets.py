"""Sequence Models (deeplearning.ai on Coursera), LSTM backward, equations (8)-(10): brackets.

Thread: https://github.com/jinzishuai/learn2deeplearn/issues/44 ("RNN HW1 Formula for LSTM_Backward is
Wrong"). The assignment gave, with a the hidden state and u the input gate,

    d c~  = dc_next * u  + o (1 - tanh(c_next)^2) * u  * da_next * c~ * (1 - c~^2)      (8)
    d u   = dc_next * c~ + o (1 - tanh(c_next)^2) * c~ * da_next * u (1 - u)            (9)
    d f   = dc_next * c_prev + o (1 - tanh(c_next)^2) * c_prev * da_next * f (1 - f)    (10)

As typed, the derivative of the gate multiplies the second term only; and (8) has a factor c~ too many.
This is (9) and (10) as typed; (8) without its extra factor, so that what is left is the brackets.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["lstm_concat"]
REASONS = {
    f"{w}_{gate}": "multiplies what comes from dh, and not what comes from dC: brackets are missing"
    for gate in ("C", "i", "f")
    for w in "Wb"
}


def backward(dh, dC, h, C, x, C_next, f, i, C_tilde, o):
    hx = np.concatenate([h, x], axis=1)
    inner = o * (1 - np.tanh(C_next) ** 2)
    da = {
        "o": dh * np.tanh(C_next) * o * (1 - o),
        "C": dC * i + inner * i * dh * (1 - C_tilde**2),
        "i": dC * C_tilde + inner * C_tilde * dh * i * (1 - i),
        "f": dC * C + inner * C * dh * f * (1 - f),
    }
    grads = {"C": dC * f + inner * f * dh}
    for gate, d in da.items():
        grads["W_" + gate] = hx.T @ d
        grads["b_" + gate] = d.sum(axis=0)
    return grads
