"""Two right backwards that readers doubted: proved.

Threads: https://github.com/oreilly-japan/deep-learning-from-scratch-2/issues/26 ("dt = dh_next * (1 - h_next
** 2) is not correct, it is dt = 1 / (1 - h_next ** 2)"): it is correct. And
https://github.com/cthorey/CS231/issues/1 ("+= is mistake or intend?", of dnext_c): intended, and right.
`proposed` is what the first reader asks for.
"""

import numpy as np

from minigrad.cells import CELLS

cell, lstm = CELLS["rnn"], CELLS["torch_lstm"]
REASONS: dict[str, str] = {}


def backward(dh_next, h_next, h_prev, i, W, U):
    dt = dh_next * (1 - h_next**2)
    return {"b": dt.sum(axis=0), "U": h_prev.T @ dt, "h": dt @ U.T, "W": i.T @ dt, "i": dt @ W.T}


def proposed(dh_next, h_next, h_prev, i, W, U):
    dt = dh_next / (1 - h_next**2)
    return {"b": dt.sum(axis=0), "U": h_prev.T @ dt, "h": dt @ U.T, "W": i.T @ dt, "i": dt @ W.T}


def lstm_backward(dh_next, dc_next, h, c, x, i, f, g, o, c_next, weight_ih, weight_hh):
    dc_next = dc_next + o * (1 - np.tanh(c_next) ** 2) * dh_next
    da = [dc_next * g * i * (1 - i), dc_next * c * f * (1 - f), dc_next * i * (1 - g**2)]
    da = np.concatenate([*da, dh_next * np.tanh(c_next) * o * (1 - o)], axis=1)
    return da @ weight_hh, f * dc_next, da @ weight_ih, da.T @ x, da.T @ h, da.sum(0), da.sum(0)


CHECKED = ((cell, backward), (lstm, lstm_backward), (cell, proposed))
