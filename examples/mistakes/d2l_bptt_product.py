"""Dive into Deep Learning, formula (8.7.4) of its first edition: one Jacobian too many.

Thread: https://github.com/d2l-ai/d2l-en/pull/431 ("The formula in (8.7.4) is wrong. You can check it out
with i = t."). The page had, for h_t = f(x_t, h_{t-1}, w),

    dh_t/dw = sum_{i=t..1} ( prod_{j=t..i} df/dh(x_j, h_{j-1}) ) df/dw(x_i, h_{i-1}),

whose product must end at j = i + 1: for i = t it is empty. Written here as code, for f = tanh.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["rnn"]
REASONS = {name: "one factor J = d(new state)/d(state) too many" for name in ("W", "U", "b")}


def backward(is_, hs, hs_prev, dhs, W, U):
    T = len(hs)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), 0
    for t in range(T):
        flow = dhs[t]
        for i in range(t, -1, -1):
            flow = (flow * (1 - hs[i] ** 2)) @ U.T  # the factor df/dh at j = i
            da = flow * (1 - hs[i] ** 2)
            dW += is_[i].T @ da
            dU += hs_prev[i].T @ da
            db = db + da.sum(axis=0)
    return {"W": dW, "U": dU, "b": db}
