"""zero_to_gpt: the hidden state after the first step where the one before it is meant.

Thread: https://github.com/VikParuchuri/zero_to_gpt/issues/9 ("hidden state index at t=1 during backprop"; a
reader's doubt, unanswered). At the later steps the weight of h gets the state before the step, at the first
the state after it. The reader is right.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["rnn"]
REASONS = {"U": "h after the step where h is meant (in h @ U)"}


def backward(is_, hs, h0, dhs, W, U):
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros(W.shape[1])
    dh = np.zeros_like(h0)
    for t in reversed(range(len(hs))):
        da = (dh + dhs[t]) * (1 - hs[t] ** 2)
        dW += is_[t].T @ da
        dU += hs[max(t - 1, 0)].T @ da
        db += da.sum(axis=0)
        dh = da @ U.T
    return {"W": dW, "U": dU, "b": db, "h": dh}
