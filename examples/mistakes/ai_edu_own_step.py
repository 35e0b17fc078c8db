"""ai-edu, deep recurrent network, equation (17): the error of the state's own step is forgotten.

Threads: https://github.com/microsoft/ai-edu/pull/550 and https://github.com/microsoft/ai-edu/pull/554: of
dh1_t "only what comes back from the later step, h1_{t+1}, was computed, not what comes from this time step".
Here as one layer, whose every step enters the loss. With a loss of the last step alone it would be right.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["rnn"]
REASONS = dict.fromkeys(("h", "W", "U", "b"), "only the last step's cotangent enters; those of earlier steps are never added")


def backward(is_, hs, hs_prev, dhs, W, U):
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros(W.shape[1])
    dh = dhs[-1]
    for t in reversed(range(len(hs))):
        da = dh * (1 - hs[t] ** 2)
        dW += is_[t].T @ da
        dU += hs_prev[t].T @ da
        db += da.sum(axis=0)
        dh = da @ U.T
    return {"W": dW, "U": dU, "b": db, "h": dh}
