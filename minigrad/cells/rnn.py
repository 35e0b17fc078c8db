"""Plain recurrent networks, and the read-outs that turn a state into an output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.functions import relu, softmax, tanh
from .cell import Cell, cell


@cell(h="n", W_hq="n q", b_q="q")
def affine(h, *, W_hq, b_q):
    """Y = H W_hq + b_q: the read-out of article 001's code."""
    Y = h @ W_hq + b_q
    return Y


@cell(s="n", V="n q")
def softmax_readout(s, *, V):
    """o_t = softmax(V s_t): article 002; its loss is `nll`."""
    o = softmax(s @ V)
    return o


def generic(f: Callable[..., Any], g: Callable[..., Any], **shapes: str) -> Cell:
    """h_t = f(i_t, h_{t-1}, w_h), o_t = g(h_t, w_o), for any f and g: article 000.

    shapes: those of h, i, w_h and w_o, by name, such as h="n", i="d", w_h="d+n n", w_o="n q".
    """

    def generic(h, /, i, *, w_h, w_o):
        h = f(i, h, w_h)
        o = g(h, w_o)
        return h, o

    return cell(**shapes)(generic)


@cell(h="n", i="d", W="d n", U="n n", b="n")
def rnn(h, /, i, *, W, U, b):
    """h_t = tanh(i_t W + h_{t-1} U + b): article 000's f, as Elman 1990."""
    h = tanh(i @ W + h @ U + b)
    return h


@cell(s="n", x="d", U="d n", W="n n")
def rnn_words(s, /, x, *, U, W):
    """s_t = tanh(U x_t + W s_{t-1}): article 002, without biases, for one-hot words x."""
    s = tanh(x @ U + s @ W)
    return s


@cell(h="n", x="d", weight_ih="n d", weight_hh="n n", bias_ih="n", bias_hh="n")
def torch_rnn_tanh(h, /, x, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.RNN's step, nonlinearity "tanh" (its documentation's equation)."""
    h = tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)
    return h


@cell(h="n", x="d", weight_ih="n d", weight_hh="n n", bias_ih="n", bias_hh="n")
def torch_rnn_relu(h, /, x, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.RNN's step, nonlinearity "relu"."""
    h = relu(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)
    return h
