"""The equations of each cell once, for every peer that runs equations: in the functions of a library m.

As one writes a cell of one's own: gates are joined by hand where minigrad's cell joins them, and only there. What
does not see the state is apart, so that a peer that gains by it computes it before its loop. m needs tanh,
sigmoid, relu, cat(parts), split(z, k) and layer_norm(z, gain, bias or None), all along the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Equations(NamedTuple):
    """before(m, x, **params) -> what the step needs of x; step(m, state, those, **params) -> the new state."""

    before: Callable[..., tuple]
    step: Callable[..., tuple]

    def __call__(self, m: Any, state: tuple, x: Any, params: dict[str, Any]) -> tuple:
        """The new state: one whole step of the cell."""
        return self.step(m, state, self.before(m, x, **params), **params)


def _projected(m: Any, x: Any, *, weight_ih: Any, bias_ih: Any, **_: Any) -> tuple:
    return (x @ weight_ih.T + bias_ih,)


def _itself(m: Any, x: Any, **_: Any) -> tuple:
    return (x,)


def _rnn(m: Any, state: tuple, z: tuple, *, weight_hh: Any, bias_hh: Any, **_: Any) -> tuple:
    """torch.nn.RNN."""
    return (m.tanh(z[0] + (state[0] @ weight_hh.T + bias_hh)),)


def _lstm(m: Any, state: tuple, z: tuple, *, weight_hh: Any, bias_hh: Any, **_: Any) -> tuple:
    """torch.nn.LSTM."""
    h, c = state
    i, f, g, o = m.split(z[0] + (h @ weight_hh.T + bias_hh), 4)
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    return m.sigmoid(o) * m.tanh(c), c


def _gru(m: Any, state: tuple, z: tuple, *, weight_hh: Any, bias_hh: Any, **_: Any) -> tuple:
    """torch.nn.GRU."""
    (h,) = state
    rx, zx, nx = m.split(z[0], 3)
    rh, zh, nh = m.split(h @ weight_hh.T + bias_hh, 3)
    r, u = m.sigmoid(rx + rh), m.sigmoid(zx + zh)
    return ((1 - u) * m.tanh(nx + r * nh) + u * h,)


def _lstm_peephole(
    m: Any, state: tuple, z: tuple, *, W_f: Any, p_f: Any, b_f: Any, W_i: Any, p_i: Any, b_i: Any, W_C: Any,
    b_C: Any, W_o: Any, p_o: Any, b_o: Any,
) -> tuple:  # fmt: skip
    """As minigrad.cells.variants.lstm_peephole, which names the source; so do the next ones."""
    h, C = state
    hx = m.cat([h, *z])
    f = m.sigmoid(hx @ W_f + p_f * C + b_f)
    i = m.sigmoid(hx @ W_i + p_i * C + b_i)
    C = f * C + i * m.tanh(hx @ W_C + b_C)
    o = m.sigmoid(hx @ W_o + p_o * C + b_o)
    return o * m.tanh(C), C


def _mgu(m: Any, state: tuple, z: tuple, *, W_f: Any, b_f: Any, W_h: Any, b_h: Any) -> tuple:
    (h,) = state
    f = m.sigmoid(m.cat([h, *z]) @ W_f + b_f)
    h_tilde = m.tanh(m.cat([f * h, *z]) @ W_h + b_h)
    return ((1 - f) * h + f * h_tilde,)


def _two_products(m: Any, x: Any, *, W_z: Any, b_z: Any, W_h: Any, b_h: Any, **_: Any) -> tuple:
    return x @ W_z + b_z, x @ W_h + b_h


def _li_gru(m: Any, state: tuple, z: tuple, *, U_z: Any, U_h: Any, **_: Any) -> tuple:
    (h,) = state
    u = m.sigmoid(z[0] + h @ U_z)
    return (u * h + (1 - u) * m.relu(z[1] + h @ U_h),)


def _min_gru(m: Any, state: tuple, z: tuple, **_: Any) -> tuple:
    u = m.sigmoid(z[0])
    return ((1 - u) * state[0] + u * z[1],)


def _normalised(m: Any, x: Any, *, W: Any, g_x: Any, b: Any, **_: Any) -> tuple:
    return (m.layer_norm(x @ W, g_x, b),)


def _layer_norm_lstm(m: Any, state: tuple, z: tuple, *, U: Any, g_h: Any, g_c: Any, b_c: Any, **_: Any) -> tuple:
    h, c = state
    f, i, o, g = m.split(z[0] + m.layer_norm(h @ U, g_h, None), 4)
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    return m.sigmoid(o) * m.tanh(m.layer_norm(c, g_c, b_c)), c


EQUATIONS: dict[str, Equations] = {
    "rnn": Equations(_projected, _rnn),
    "lstm": Equations(_projected, _lstm),
    "gru": Equations(_projected, _gru),
    "lstm_peephole": Equations(_itself, _lstm_peephole),
    "mgu": Equations(_itself, _mgu),
    "li_gru": Equations(_two_products, _li_gru),
    "min_gru": Equations(_two_products, _min_gru),
    "layer_norm_lstm": Equations(_normalised, _layer_norm_lstm),
}
