"""check_backward: the ways in which people write numpy and return gradients are understood."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from kill.right_steps import elman
from own_cells import token_rnn

from minigrad.cells import CELLS
from minigrad.prove.backward import check_backward
from minigrad.prove.backward.numpyops import Unsupported


# ---- what is returned ----------------------------------------------------------------------------
def gradients(dh, h_next, h, x, W, U):
    da = dh * (1 - h_next**2)
    return {"h": da @ U.T, "x": da @ W.T, "W": x.T @ da, "U": h.T @ da, "b": da.sum(0)}


Grads = namedtuple("Grads", "db dU dW dx dh")  # in an order of its own


@dataclass
class Returned:
    W: Any
    U: Any
    grad_b: Any = None


def as_tuple(dh, h_next, h, x, W, U):
    return tuple(gradients(dh, h_next, h, x, W, U).values())


def as_list(dh, h_next, h, x, W, U):
    return list(gradients(dh, h_next, h, x, W, U).values())


def as_named_tuple(dh, h_next, h, x, W, U):
    g = gradients(dh, h_next, h, x, W, U)
    return Grads(g["b"], g["U"], g["W"], g["x"], g["h"])


def as_dataclass(dh, h_next, h, x, W, U):
    g = gradients(dh, h_next, h, x, W, U)
    return Returned(g["W"], g["U"], grad_b=g["b"])


def as_dict_of_other_names(dh, h_next, h_prev, x, W, U):
    g = gradients(dh, h_next, h_prev, x, W, U)
    return {"dh_prev": g["h"], "grad_x": g["x"], "W_grad": g["W"], "dU": g["U"], "db": None}


# ---- how it is computed ---------------------------------------------------------------------------
def by_einsum(dh, h_next, h, x, W, U):
    da = np.einsum("bj,bj->bj", dh, 1 - np.square(h_next))
    return {
        "h": np.einsum("bj,kj->bk", da, U), "x": np.einsum("...j,kj", da, W), "b": np.einsum("bj->j", da),
        "W": np.einsum("bi,bj->ij", x, da, optimize=True), "U": np.tensordot(h, da, axes=(0, 0)),
    }  # fmt: skip


def by_outer_products(dh, h_next, h, x, W, U):
    da = np.multiply(dh, np.subtract(1, np.power(h_next, 2)))
    return {"W": np.outer(x, da), "U": h[:, np.newaxis] * da[np.newaxis], "h": U.dot(da), "x": np.inner(da, W)}


def into_buffers(dh, h_next, h, x, W, U):
    da, dW = np.empty_like(dh), np.zeros_like(W)
    np.multiply(h_next, h_next, out=da)
    np.subtract(1, da, out=da)
    da *= dh
    np.dot(x.T, da, out=dW)
    dU = np.zeros(U.shape, dtype=np.float64)
    np.add(dU, np.matmul(h.T, da), out=dU)
    return {"W": dW, "U": dU, "b": np.add.reduce(da, axis=0), "h": np.linalg.multi_dot([da, U.T])}


def joined(dh, h_next, h, x, W, U):
    d, da = x.shape[1], dh * (1 - h_next**2)
    dWU = np.c_[x, h].T @ da
    dxh = da @ np.vstack([W, U]).T
    return {"W": dWU[:d], "U": dWU[d:, :], "x": dxh[:, :d], "h": dxh[:, d:], "b": np.ones(len(da)) @ da}


def enumerated(xs, hs, h0, dhs, W, U, T):
    before, back = [h0, *hs[:-1]], np.zeros_like(h0)
    das = [None] * T
    for t, (h, dh) in reversed(list(enumerate(zip(hs, dhs, strict=True)))):
        das[t] = (dh + back) * (1 - h**2)
        back = das[t] @ U.T
    das = np.stack(das)
    return {
        "W": sum(np.dot(x.T, da) for x, da in zip(xs, das, strict=True)),
        "U": np.einsum("tbi,tbj->ij", np.array(before), das),
        "b": np.sum(das, axis=(0, 1)), "xs": [da @ W.T for da in das], "h0": back,
    }  # fmt: skip


def products_of_jacobians(xs, hs, hs_prev, dhT, U, T):
    """What flows back as running sums over time, last step first."""
    flows = [dhT]
    for h in hs[:0:-1]:
        flows.append((flows[-1] * (1 - h * h)) @ U.T)
    das = np.flip(np.stack(flows), axis=0) * (1 - hs**2)
    return {"U": np.cumsum(np.swapaxes(hs_prev, 1, 2) @ das, axis=0)[-1], "b": np.cumsum(das.sum(1), 0)[T - 1]}


@pytest.mark.parametrize(
    "fn",
    [
        as_tuple, as_list, as_named_tuple, as_dataclass, as_dict_of_other_names, by_einsum, by_outer_products,
        into_buffers, joined, enumerated, products_of_jacobians,
    ],
    ids=lambda fn: fn.__name__,
)  # fmt: skip
def test_what_is_usual_is_understood(fn):
    found = check_backward(elman, fn)
    assert found.verdict == "proved", found
    assert "for every size" in found.statement


# ---- relu: masks -----------------------------------------------------------------------------------
def mask_times(dh, h_next, x):
    return {"weight_ih": (dh * (h_next > 0).astype(dh.dtype)).T @ x}


def mask_chosen(dh, h_next, x):
    return {"weight_ih": np.where(h_next > 0, dh, np.zeros_like(dh)).T @ x}


def mask_written(dh, h_next, x):
    da = dh.copy()
    da[h_next <= 0] = 0
    return {"weight_ih": np.dot(da.T, x)}


def mask_picked(dh, h_next, x):
    da, on = np.zeros_like(dh), h_next > 0
    da[on] = dh[on]
    return {"weight_ih": da.T @ x}


def mask_scaled(dh, h_next, x):
    da = np.array(dh)
    da[~(h_next > 0)] *= 0.0
    return {"weight_ih": da.T @ x}


@pytest.mark.parametrize(
    "fn", [mask_times, mask_chosen, mask_written, mask_picked, mask_scaled], ids=lambda fn: fn.__name__
)
def test_masks_are_understood(fn):
    assert check_backward(CELLS["torch_rnn_relu"], fn).verdict == "proved"


# ---- embeddings: inputs that are indices -----------------------------------------------------------
def embedded(dh, h, x, E, U):
    h_next = np.tanh(E[x] + h @ U)
    da = dh * (1 - h_next**2)
    dE = np.zeros_like(E)
    np.add.at(dE, x, da)
    return {"E": dE, "U": h.T @ da, "h": da @ U.T}


def embedded_over_time(xs, hs, hs_prev, dhs, E, U):
    dE, dU, back = np.zeros_like(E), np.zeros_like(U), np.zeros_like(hs[0])
    for t in range(len(xs) - 1, -1, -1):
        da = (dhs[t] + back) * (1 - hs[t] ** 2)
        np.subtract.at(dE, xs[t], -da)
        dU += hs_prev[t].T @ da
        back = da @ U.T
    return back, dE, dU


@pytest.mark.parametrize("fn", [embedded, embedded_over_time])
def test_embeddings_are_scattered_to(fn):
    found = check_backward(token_rnn, fn)
    assert found.verdict == "proved"
    assert "not judged" not in found.statement
    assert found.conditions == ("index arrays hold whole numbers in range",)


def embedded_twice(dh, h_next, x, E):
    dE = np.zeros_like(E)
    np.add.at(dE, x, 2 * dh * (1 - h_next**2))
    return {"E": dE}


def test_a_wrong_embedding_is_refuted():
    (finding,) = check_backward(token_rnn, embedded_twice).findings
    assert finding.reason == "is 2 times the right value"
    assert "onehot(x)[k,i]" in finding.extra


def embedded_once(dh, h_next, x, E):
    dE = np.zeros_like(E)
    dE[x] += dh * (1 - h_next**2)
    return {"E": dE}


def test_an_index_on_the_left_counts_once_and_is_refused_with_its_line():
    text = r"an array of indices on the left: .* use np.add.at\n  in .*test_backward_numpy.py:\d+: dE\[x\] \+="
    with pytest.raises(Unsupported, match=text):
        check_backward(token_rnn, embedded_once)
