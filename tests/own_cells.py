"""Cells that a user might write: forms of equations that no built-in cell has."""

from __future__ import annotations

import minigrad as mg
from minigrad.cells import cell


@cell(h="n", c="n", x="d", W="n+d 4*n", b="4*n", p="3*n")
def peephole_lstm(h, c, /, x, *, W, b, p):
    """LSTM whose gates see the cell state (Gers & Schmidhuber 2000)."""
    i, f, g, o = mg.split(mg.concatenate([h, x], axis=-1) @ W + b, 4)
    p_i, p_f, p_o = mg.split(p, 3)
    i, f = mg.sigmoid(i + p_i * c), mg.sigmoid(f + p_f * c)
    c = f * c + i * mg.tanh(g)
    o = mg.sigmoid(o + p_o * c)
    return o * mg.tanh(c), c


@cell(h="p", c="n", x="d", W="p+d 4*n", R="n p")
def projected_lstm(h, c, /, x, *, W, R):
    """LSTM whose h is a projection of its output, smaller than c."""
    i, f, g, o = mg.split(mg.concatenate([h, x], axis=-1) @ W, 4)
    c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    return (mg.sigmoid(o) * mg.tanh(c)) @ R, c


@cell(h="n", x="d", W="d n", U="n n", b="n", gain="n", shift="n")
def normed_rnn(h, /, x, *, W, U, b, gain, shift):
    """RNN with layer normalisation (Ba et al. 2016)."""
    return mg.tanh(mg.layer_norm(x @ W + h @ U + b, gain, shift))


@cell(h="n", x="d", W="d n", u="n")
def diagonal_rnn(h, /, x, *, W, u):
    """h' = relu(x W + u * h): one recurrent weight per unit (Li et al. 2018)."""
    return mg.relu(x @ W + u * h)


@cell(h="n", x="", E="k n", U="n n")
def token_rnn(h, /, x, *, E, U):
    """RNN that looks its input up in a table of embeddings; x holds whole numbers."""
    return mg.tanh(E[x] + h @ U)


@cell(h="n", x="d", W="d 2*n", u="n")
def sliced_gate(h, /, x, *, W, u):
    """A gate and a candidate cut out of one product, by slices at the symbolic n."""
    z, n = x @ W, h.shape[-1]
    return mg.tanh(z[..., :n]) * mg.sigmoid(z[..., n:]) + u * h**2 / (1 + h**2) ** 0.5


@cell(h="n", x="d", W="d n", u="n")
def kinks(h, /, x, *, W, u):
    """Piecewise linear pieces, and a maximum over the units."""
    top = mg.max(h, axis=-1, keepdims=True)
    return mg.maximum(x @ W, u * h) - top + mg.where(h > 0, h, 2 * h) + mg.clip(h, -1, 1) + mg.minimum(h, u)


@cell(h="n", x="d", W="d n", u="n")
def smooth_mixture(h, /, x, *, W, u):
    """Every smooth function of the table, once."""
    y = mg.softplus(x @ W + u * h) * mg.exp(-h) / (1 + mg.exp(u)) + mg.softmax(h)
    y = y + mg.sqrt(h * h + 1) + mg.log(1 + h * h) + mg.sin(h) * mg.cos(u) + abs(h)
    return y + mg.pow(mg.exp(h), u) + mg.pow(x @ W, 3) + mg.mean(h) * mg.var(h, axis=-1, keepdims=True)


@cell(h="n", s="n", x="d", W="d n", U="n n", V="n n")
def two_speeds(h, s, /, x, *, W, U, V):
    """A fast and a slow state that feed each other, with shared weights and an output of its own."""
    fast = mg.tanh(x @ W + h @ U + s @ V)
    slow = s + (fast - s) / 8
    return fast, slow, fast @ V + slow @ U.T


@cell(h="n", x="d", W="d n")
def attention_like(h, /, x, *, W):
    """Softmax weights over the units, and a sum under them."""
    a = mg.softmax(x @ W, axis=-1)
    return mg.tanh(a * mg.sum(a * h, axis=-1, keepdims=True))


OWN = {
    c.name: c
    for c in (
        peephole_lstm, projected_lstm, normed_rnn, diagonal_rnn, token_rnn, sliced_gate, kinks,
        smooth_mixture, two_speeds, attention_like,
    )
}  # fmt: skip
