"""The equations of each cell in torch, as one writes a cell of one's own: (states, x, parameters) -> states.

Gates are joined by hand where minigrad's cell joins them, and only there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import cat, sigmoid, tanh
from torch.nn.functional import layer_norm

Equations = Callable[..., list]


def rnn(h: Any, x: Any, *, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> list:
    """torch.nn.RNN."""
    return [tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)]


def lstm(h: Any, c: Any, x: Any, *, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> list:
    """torch.nn.LSTM."""
    i, f, g, o = (x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh).chunk(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return [sigmoid(o) * tanh(c), c]


def gru(h: Any, x: Any, *, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> list:
    """torch.nn.GRU."""
    rx, zx, nx = (x @ weight_ih.T + bias_ih).chunk(3, -1)
    rh, zh, nh = (h @ weight_hh.T + bias_hh).chunk(3, -1)
    r, z = sigmoid(rx + rh), sigmoid(zx + zh)
    new = tanh(nx + r * nh)
    return [(1 - z) * new + z * h]


def lstm_peephole(
    h: Any, C: Any, x: Any, *, W_f: Any, p_f: Any, b_f: Any, W_i: Any, p_i: Any, b_i: Any, W_C: Any, b_C: Any,
    W_o: Any, p_o: Any, b_o: Any,
) -> list:  # fmt: skip
    """As minigrad.cells.variants.lstm_peephole, which names the source; so do the next ones."""
    hx = cat([h, x], -1)
    f = sigmoid(hx @ W_f + p_f * C + b_f)
    i = sigmoid(hx @ W_i + p_i * C + b_i)
    C = f * C + i * tanh(hx @ W_C + b_C)
    o = sigmoid(hx @ W_o + p_o * C + b_o)
    return [o * tanh(C), C]


def mgu(h: Any, x: Any, *, W_f: Any, b_f: Any, W_h: Any, b_h: Any) -> list:
    """As minigrad.cells.variants.mgu."""
    f = sigmoid(cat([h, x], -1) @ W_f + b_f)
    h_tilde = tanh(cat([f * h, x], -1) @ W_h + b_h)
    return [(1 - f) * h + f * h_tilde]


def li_gru(h: Any, x: Any, *, W_z: Any, U_z: Any, b_z: Any, W_h: Any, U_h: Any, b_h: Any) -> list:
    """As minigrad.cells.variants.li_gru."""
    z = sigmoid(x @ W_z + h @ U_z + b_z)
    return [z * h + (1 - z) * torch.relu(x @ W_h + h @ U_h + b_h)]


def min_gru(h: Any, x: Any, *, W_z: Any, b_z: Any, W_h: Any, b_h: Any) -> list:
    """As minigrad.cells.variants.min_gru."""
    z = sigmoid(x @ W_z + b_z)
    return [(1 - z) * h + z * (x @ W_h + b_h)]


def layer_norm_lstm(
    h: Any, c: Any, x: Any, *, W: Any, U: Any, b: Any, g_x: Any, g_h: Any, g_c: Any, b_c: Any
) -> list:
    """As minigrad.cells.variants.layer_norm_lstm."""
    a = layer_norm(x @ W, g_x.shape, g_x) + layer_norm(h @ U, g_h.shape, g_h) + b
    f, i, o, g = a.chunk(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return [sigmoid(o) * tanh(layer_norm(c, g_c.shape, g_c, b_c)), c]


EQUATIONS: dict[str, Equations] = {
    f.__name__: f for f in (rnn, lstm, gru, lstm_peephole, mgu, li_gru, min_gru, layer_norm_lstm)
}
