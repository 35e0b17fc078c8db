"""One step right, many steps wrong: the parameters' gradients are those of one step.

In the style of https://github.com/Element-Research/rnn/issues/31 ("I can get one step to give the correct
gradient, but as soon as I have multiple steps weird stuff starts happening"): a gradient that each step
overwrites passes every check with one step.
"""

import numpy as np

from minigrad.cells import CELLS

cell = CELLS["gru"]
GATES = [f"{w}{g}" for g in "zrh" for w in ("W_x", "W_h", "b_")]
REASONS = dict.fromkeys(
    GATES, "overwritten at every step (=) where it must be added up (+=): only step 1 is left"
)


def backward(Xs, Hs_prev, Zs, Rs, H_tildas, dHs, params):
    grads, dH = {}, np.zeros_like(Hs_prev[0])
    for t in reversed(range(len(Xs))):
        x, h, z, r, g = Xs[t], Hs_prev[t], Zs[t], Rs[t], H_tildas[t]
        dH = dH + dHs[t]
        dg = dH * (1 - z) * (1 - g**2)
        drh = dg @ params.W_hh.T
        delta = {"z": (dH * (h - g) * z * (1 - z), h), "r": (drh * h * r * (1 - r), h), "h": (dg, r * h)}
        dH = dH * z + drh * r
        for gate, (d, left) in delta.items():
            grads |= {"W_x" + gate: x.T @ d, "W_h" + gate: left.T @ d, "b_" + gate: d.sum(axis=0)}
            dH = dH + (d @ params["W_h" + gate].T if gate != "h" else 0)
    return grads | {"H": dH}
