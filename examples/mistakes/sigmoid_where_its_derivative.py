"""RNN and LSTM in numpy, forget gate: the sigmoid where its derivative is meant.

Threads: https://github.com/CaptainE/RNN-LSTM-in-numpy/issues/1 (issue 1 in it) and
https://github.com/nicklashansen/rnn_lstm_from_scratch/issues/1 ("does not pass gradient check"). Both have
df = sigmoid(f[t]) * df, and derivative=True for every other gate; f[t] is the gate itself.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["lstm_concat"]
REASONS = dict.fromkeys(("h", "x", "W_f", "b_f"), "sigmoid(f) where f(1 - f) is meant")


def sigmoid(y, derivative=False):
    return y * (1 - y) if derivative else 1 / (1 + np.exp(-y))


def backward(dh, dC, h, C, x, C_next, f, i, C_tilde, o, params):
    z = np.concatenate([h, x], axis=1)
    do = sigmoid(o, derivative=True) * dh * np.tanh(C_next)
    dC = dC + dh * o * (1 - np.tanh(C_next) ** 2)
    dg = (1 - C_tilde**2) * dC * i
    di = sigmoid(i, derivative=True) * dC * C_tilde
    df = sigmoid(f) * dC * C
    dz = df @ params.W_f.T + di @ params.W_i.T + dg @ params.W_C.T + do @ params.W_o.T
    n = h.shape[1]
    return {
        "h": dz[:, :n],
        "x": dz[:, n:],
        "C": f * dC,
        "W_f": z.T @ df,
        "b_f": df.sum(0),
        "W_i": z.T @ di,
        "b_i": di.sum(0),
        "W_C": z.T @ dg,
        "b_C": dg.sum(0),
        "W_o": z.T @ do,
        "b_o": do.sum(0),
    }
