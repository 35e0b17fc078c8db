"""learn_dl, LSTM: the biases of two gates get the forget gate's gradient.

Thread: https://github.com/hanbt/learn_dl/issues/53 ("Error in lstm.py"): bi_grad and bo_grad are both set to
delta_f_list[t]. The example's own gradient check looks at one weight of the forget gate only.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["lstm"]
REASONS = {"b_i": "is the gradient of b_f", "b_o": "is the gradient of b_f"}


def backward(dH, dC, H, C, X, I, F, O, C_tilda, C_next):
    tanh_c = np.tanh(C_next)
    dC = dC + dH * O * (1 - tanh_c * tanh_c)
    delta_o = dH * tanh_c * O * (1 - O)
    delta_f = dC * C * F * (1 - F)
    delta_i = dC * C_tilda * I * (1 - I)
    delta_ct = dC * I * (1 - C_tilda**2)
    return {
        "W_xf": X.T @ delta_f,
        "W_hf": H.T @ delta_f,
        "b_f": delta_f.sum(axis=0),
        "W_xi": X.T @ delta_i,
        "W_hi": H.T @ delta_i,
        "b_i": delta_f.sum(axis=0),
        "W_xo": X.T @ delta_o,
        "W_ho": H.T @ delta_o,
        "b_o": delta_f.sum(axis=0),
        "W_xc": X.T @ delta_ct,
        "W_hc": H.T @ delta_ct,
        "b_c": delta_ct.sum(axis=0),
    }
