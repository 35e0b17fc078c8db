"""MXNet's LSTM example in Python: dC assigned where it must be added to.

Thread: https://github.com/apache/mxnet/issues/4057 ("Especially dCt should += rather than ="). A reader of a
right CS231n solution doubts the opposite: https://github.com/cthorey/CS231/issues/1 ("+= is mistake or
intend?"); with += it is right, since C_t is used twice, by h_t and by C_{t+1}.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["torch_lstm"]
NAMES = ("h", "c", "x", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
REASONS = dict.fromkeys(NAMES, "the cotangent dc never enters")


def backward(dh, dc, h, c, x, i, f, g, o, c_next, weight_ih, weight_hh):
    tanh_c = np.tanh(c_next)
    dc = dh * o * (1 - tanh_c**2)
    dz = np.hstack(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
    )
    db = dz.sum(axis=0)
    return dz @ weight_hh, dc * f, dz @ weight_ih, dz.T @ x, dz.T @ h, db, db
