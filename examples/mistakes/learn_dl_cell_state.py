"""learn_dl, LSTM, what its thread does not mention: nothing flows back along the cell state.

The same file as learn_dl_bias.py, https://github.com/hanbt/learn_dl (lstm.py, calc_delta_k and
calc_gradient): the errors of step k are made from delta_h alone, so the path c_k -> c_{k-1} is missing, the
very path that an LSTM is for; and the weights of x get the last step's share only. With a zero c_0 and one
step both are invisible.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["lstm"]
CARRIED = "dC carried back from the next step is dropped"
REASONS = {
    **dict.fromkeys([f"{w}{g}" for w in ("W_h", "b_") for g in "ifc"], CARRIED),
    **dict.fromkeys(
        [f"W_x{g}" for g in "ifco"], "only step T = 2 contributes: the others are never added up"
    ),
}


def backward(Xs, Hs_prev, Cs_prev, Cs, Is, Fs, Os, C_tildas, dHT, params):
    delta_h = dHT
    grads = {name: np.zeros_like(w) for name, w in params.items()}
    for k in range(len(Cs) - 1, -1, -1):
        tanh_c = np.tanh(Cs[k])
        inner = delta_h * Os[k] * (1 - tanh_c * tanh_c)
        delta = {
            "o": delta_h * tanh_c * Os[k] * (1 - Os[k]),
            "f": inner * Cs_prev[k] * Fs[k] * (1 - Fs[k]),
            "i": inner * C_tildas[k] * Is[k] * (1 - Is[k]),
            "c": inner * Is[k] * (1 - C_tildas[k] ** 2),
        }
        for gate, d in delta.items():
            grads["W_h" + gate] += Hs_prev[k].T @ d
            grads["b_" + gate] += d.sum(axis=0)
            if k == len(Cs) - 1:
                grads["W_x" + gate] = Xs[k].T @ d
        delta_h = sum(d @ params["W_h" + gate].T for gate, d in delta.items())
    return grads
