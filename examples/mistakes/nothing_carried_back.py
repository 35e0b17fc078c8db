"""RNN and LSTM in numpy: what flows back is never handed to the step before.

Threads: https://github.com/CaptainE/RNN-LSTM-in-numpy/issues/1 (issue 2 in it: dh_prev and dC_prev are
computed, and dh_next and dC_next stay zero) and https://github.com/qixianbiao/RNN/issues/2 ("the gradient
of h is not passed on"). Every single step is right; two steps show it.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["rnn"]
REASONS = dict.fromkeys(("h", "i", "W", "U", "b"), "dh carried back from the next step is dropped")


def backward(is_, hs, hs_prev, dhs, W, U):
    dW, dU, db, di = np.zeros_like(W), np.zeros_like(U), np.zeros(W.shape[1]), np.zeros_like(is_)
    dh_next = np.zeros_like(hs_prev[0])
    for t in reversed(range(len(hs))):
        dh = dhs[t] + dh_next
        da = dh * (1 - hs[t] ** 2)
        dW += is_[t].T @ da
        dU += hs_prev[t].T @ da
        db += da.sum(axis=0)
        di[t] = da @ W.T
        dh_prev = da @ U.T
    return {"W": dW, "U": dU, "b": db, "i": di, "h": dh_prev}
