"""A lab on RNNs: the gradient of the read-out is not added up over time.

Thread: https://github.com/slds-lmu/lecture_i2dl/issues/10 ("correct backward_v (currently not accumulating
the gradient)"). In the style of: the lab's own code was not at hand, the read-out's V is.
"""

import numpy as np

from minigrad.cells import CELLS, affine

cell = CELLS["rnn"].then(affine)
OVERWRITTEN = "overwritten at every step (=) where it must be added up (+=): only step 1 is left"
REASONS = {"W_hq": OVERWRITTEN, "b_q": OVERWRITTEN}


def backward(is_, hs, hs_prev, dys, W, U, W_hq):
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros(W.shape[1])
    dh = np.zeros_like(hs[0])
    for t in reversed(range(len(hs))):
        dW_hq, db_q = hs[t].T @ dys[t], dys[t].sum(axis=0)
        da = (dh + dys[t] @ W_hq.T) * (1 - hs[t] ** 2)
        dW += is_[t].T @ da
        dU += hs_prev[t].T @ da
        db += da.sum(axis=0)
        dh = da @ U.T
    return {"W": dW, "U": dU, "b": db, "W_hq": dW_hq, "b_q": db_q, "h": dh}
