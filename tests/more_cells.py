"""Many small cells: every row of the table and every composed function, in the forms that users write."""

from __future__ import annotations

import math

import numpy as np

import minigrad as mg
from minigrad.cells import cell

MORE = {}
FIXED = np.array([0.5, -1.0, 2.0])


def add(**shapes):
    """A cell for the table, under its function's name."""

    def wrap(fn):
        MORE[fn.__name__] = cell(**shapes)(fn)
        return fn

    return wrap


# ---- reductions: axes, keepdims ------------------------------------------------------------------
@add(h="n", x="d", W="d n")
def softmax_over_rows(h, /, x, *, W):
    return mg.softmax(x @ W + h, axis=0) + mg.log_softmax(h)


@add(h="n m", W="n m")
def matrix_state(h, /, *, W):
    """Softmax, mean, variance and sums over either axis of a state that is a matrix."""
    z = h * W
    row, col = mg.mean(z, axis=-1, keepdims=True), mg.sum(z, axis=-2, keepdims=True)
    return mg.softmax(z, axis=-2) * row + mg.var(z, axis=-2, keepdims=True) * col


@add(h="n m", W="n m")
def flat_reductions(h, /, *, W):
    """Reductions that drop their axes, and come back by indexing with None."""
    z = mg.tanh(h * W)
    a = mg.logsumexp(z, axis=-1)[..., None] + mg.mean(z, axis=(-1, -2))[..., None, None]
    return a * z + mg.sum(z * z, axis=-2)[..., None, :]


@add(h="n", x="d", W="d n")
def over_everything(h, /, x, *, W):
    return h * mg.mean(W) + mg.tanh(x @ W) * mg.sum(h) / h.shape[0] + mg.var(x)


@add(h="n", x="n", g="n")
def unbiased(h, /, x, *, g):
    d = x - mg.mean(x, axis=-1, keepdims=True)
    return h + g * d / mg.sqrt(mg.mean(d * d, axis=-1, keepdims=True) + 1e-5)


@add(h="n", x="d", W="d n", g="n", s="n")
def rms_normed(h, /, x, *, W, g, s):
    z = x @ W + h
    return mg.tanh(z / mg.sqrt(mg.mean(z**2, axis=-1, keepdims=True) + 1e-6) * g + s)


@add(h="n m", g="n m")
def normed_over_two_axes(h, /, *, g):
    return mg.layer_norm(h, g, axis=(-1, -2))


@add(h="n", x="d", W="d 4*n", g="4*n", s="4*n")
def normed_gates(h, /, x, *, W, g, s):
    """Layer normalisation over all four gates at once (Ba et al. 2016, eq. 20)."""
    i, f, o, c = mg.split(mg.layer_norm(x @ W, g, s), 4)
    return mg.sigmoid(f) * h + mg.sigmoid(i) * mg.tanh(c) * mg.sigmoid(o)


@add(h="n", x="n")
def extremes(h, /, x):
    return h * mg.max(x, axis=-1, keepdims=True) - mg.min(h, axis=-1)[..., None] + mg.max(h) * x


# ---- layout --------------------------------------------------------------------------------------
@add(h="n", x="d", W="d 3*n")
def sliced_three(h, /, x, *, W):
    n, z = h.shape[-1], x @ W
    r, u = mg.sigmoid(z[..., :n]), mg.sigmoid(z[..., n : 2 * n])
    return u * h + (1 - u) * mg.tanh(r * z[..., 2 * n :] + z[..., -n:])


@add(h="n", x="d", W="d 4*n")
def gates_by_reshape(h, /, x, *, W):
    b, n = h.shape
    z = mg.reshape(x @ W, b, 4, n)
    return mg.sigmoid(z[:, 0]) * h + mg.sigmoid(z[:, 1]) * mg.tanh(z[:, 2] - z[:, -1])


@add(h="n", x="d", W="d 4*n")
def gates_by_view(h, /, x, *, W):
    i, f, g, o = (x @ W).view(*h.shape[:-1], 4, -1).unstack(-2)
    return mg.sigmoid(f) * h + mg.sigmoid(i) * mg.tanh(g) * o


@add(h="n", x="n", W="n n")
def stacked(h, /, x, *, W):
    s = mg.stack([h, x, h * x], axis=1)
    return mg.sum(s @ W, axis=1) + mg.stack([x, h], axis=-1)[..., 0] - mg.mean(s, axis=-2)


@add(h="n", x="d", y="m", W="n+d+m n", b="n")
def three_joined(h, /, x, y, *, W, b):
    return mg.tanh(mg.cat([h, x, y], dim=-1) @ W + b)


@add(h="2*n", x="d", W="d n", U="n n")
def halves(h, /, x, *, W, U):
    a, b = mg.split(h, 2)
    return mg.concatenate([mg.tanh(b @ U), mg.tanh(a @ U + x @ W)], axis=-1)


@add(h="n m", x="m", W="m n")
def transposes(h, /, x, *, W):
    return h.mT.mT * W.T + mg.swapaxes(mg.transpose(h, (0, 2, 1)), -1, -2) * x[:, None, :]


@add(h="n", x="d", W="d n")
def broadcasts(h, /, x, *, W):
    return mg.broadcast_to(mg.sum(x, axis=-1, keepdims=True), h.shape) * h + x @ W


@add(h="n", x="1", W="1 n", b="1")
def scalar_input(h, /, x, *, W, b):
    return mg.tanh(x @ W + x * h + b)


@add(h="n", x="3", W="3 n")
def plain_number_of_inputs(h, /, x, *, W):
    """x has three entries: by integers and slices, and with a constant array."""
    return mg.tanh((x * FIXED) @ W + x[..., 0:1] * h - x[:, 1][:, None]) + (FIXED @ x.T)[:, None] * h


# ---- products ------------------------------------------------------------------------------------
@add(h="k n", x="k d", W="d n", U="n n")
def many_heads(h, /, x, *, W, U):
    """The same weights for every head."""
    return mg.tanh(x @ W + h @ U)


@add(h="k n", x="d", W="k d n", U="k n n")
def own_heads(h, /, x, *, W, U):
    """A matrix of its own for every head: a batched product, as einsum('bkn,knm->bkm') is."""
    return mg.tanh((h[..., None, :] @ U)[..., 0, :] + (x[:, None, None, :] @ W)[:, :, 0])


@add(h="m n", q="n", K="n n")
def attention(h, /, q, *, K):
    """Attention of one query over the m rows of the state, scaled by 1/sqrt(n)."""
    scores = mg.sum(h * (q @ K)[:, None, :], axis=-1) / h.shape[-1] ** 0.5
    a = mg.softmax(scores, axis=-1)
    return h * 0.5 + mg.sum(a[..., None] * h, axis=-2, keepdims=True)


@add(h="m n", Q="n k", K="n k", V="n n")
def self_attention(h, /, *, Q, K, V):
    """softmax(q k^T / sqrt k) v over the rows of the state."""
    q, k = h @ Q, h @ K
    return mg.softmax(q @ mg.swapaxes(k, -1, -2) / k.shape[-1] ** 0.5) @ (h @ V)


@add(h="n n", k="n", v="n", q="n", g="n")
def fast_weights(h, /, k, v, q, *, g):
    """A matrix state with outer-product updates (Schmidhuber 1992), read by a query."""
    h = mg.sigmoid(g)[:, None] * h + k[..., :, None] * v[..., None, :]
    return h, (q[..., None, :] @ h)[..., 0, :]


@add(h="n", x="d", W="d n", U="n n")
def tied(h, /, x, *, W, U):
    """Weights used twice, and once transposed."""
    a = mg.tanh(h @ U + x @ W)
    return mg.tanh(a @ U + x @ W) + (a @ W.T) @ W + a @ U.T


@add(h="n", x="d", W="d n", u="n", v="n")
def low_rank(h, /, x, *, W, u, v):
    return mg.tanh(x @ W + mg.sum(h * u, axis=-1, keepdims=True) * v + mg.matmul(h, u)[..., None])


@add(h="n", c="m", s="1", x="d", W="d n", U="n m", V="m n")
def three_states(h, c, s, /, x, *, W, U, V):
    a = mg.tanh(h @ U + c)
    return mg.tanh(x @ W + a @ V) * s, a * s + c, s + mg.mean(h, axis=-1, keepdims=True)


# ---- elementwise, kinks, constants ---------------------------------------------------------------
@add(h="n", x="n", a="n")
def powers(h, /, x, *, a):
    y = x**2 + x**3 - h**-2 + (h * h + 2) ** -0.5 + (1 + x * x) ** 1.5 + h**1 + h**0
    return y + 2**a - math.pi * x / 3 + 1 / (1 + mg.exp(a)) - (-x) + 1e-3 + mg.pow(mg.exp(x), a)


@add(h="n", x="n", a="n")
def gates_of_other_kinds(h, /, x, *, a):
    """Hard sigmoid, hard tanh, leaky relu, elu, silu, softsign, mish, gelu's tanh form."""
    hard = mg.clip(0.2 * x + 0.5, 0, 1) * mg.clip(h, -1.0, 1.0)
    leaky = mg.where(x > 0, x, 0.01 * x) + mg.maximum(a * h, h)
    elu = mg.where(h >= 0, h, mg.exp(mg.minimum(h, 0)) - 1)
    gelu = 0.5 * x * (1 + mg.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return hard + leaky + elu + x * mg.sigmoid(x) + h / (1 + abs(h)) + h * mg.tanh(mg.softplus(h)) + gelu


@add(h="n", x="d", m="", W="d n")
def masked_by_an_input(h, /, x, m, *, W):
    """Where m is 0 the state is kept, as for padded sequences."""
    return mg.where(m[:, None] > 0.5, mg.tanh(x @ W + h), h) * 1.0


@add(h="n", x="n", m="n")
def dropped(h, /, x, m):
    """A mask of ones and zeros as a factor."""
    return mg.tanh(h * m + x) * (m > 0) + h * (1 - m)


@add(h="n", x="n", y="n")
def comparisons(h, /, x, y):
    c = mg.where(x < y, h, -h) + mg.where(x <= h, x, y) + mg.relu(x - y) * (x != 2) + y * (x == 0)
    return c + mg.where(x != y, 2.0, h) + mg.sign(x) * h + mg.maximum(x, y) + mg.maximum(h, 0)


@add(h="n", x="n", w="n")
def waves(h, /, x, *, w):
    """Rotations, oscillators."""
    return h * mg.cos(w) + x * mg.sin(w) + mg.sqrt(1 + mg.cos(x) ** 2) + mg.log(2 + mg.sin(h))


@add(h="n", x="n", a="n", d="n")
def diagonal_ssm(h, /, x, *, a, d):
    """exp(-exp(a) dt) with dt = softplus of an input-dependent step (Gu & Dao 2023)."""
    dt = mg.softplus(x + d)
    return mg.exp(-mg.exp(a) * dt) * h + dt * x


@add(h="n", x="n", a="n")
def gated_linear_unit(h, /, x, *, a):
    """A diagonal recurrence with sqrt(1 - a^2) on the input (De et al. 2024)."""
    a = mg.exp(-8 * mg.softplus(a) * mg.sigmoid(x))
    return a * h + mg.sqrt(1 - a * a) * x


@add(h="n", x="d", W="d n", b="")
def scalar_parameter(h, /, x, *, W, b):
    return mg.tanh(x @ W) * b + h * mg.sigmoid(b) + np.float64(0.25) * h * np.float32(2)


# ---- look-ups ------------------------------------------------------------------------------------
@add(h="n", x="", E="k n", c="n")
def one_hot_tokens(h, /, x, *, E, c):
    return mg.tanh(mg.one_hot(x, E.shape[0]) @ E + h) * c


@add(h="n", x="", y="", E="k n", F="m n", b="k")
def two_tables(h, /, x, y, *, E, F, b):
    return mg.tanh(E[x] * F[y] + h) + b[x][:, None]


@add(h="n", x="2", E="k n")
def two_tokens_in_a_row(h, /, x, *, E):
    """An input of two indices."""
    return mg.tanh(h + mg.sum(E[x], axis=-2))


# ---- what passes no gradient ---------------------------------------------------------------------
@add(h="n", x="d", W="d n")
def detached(h, /, x, *, W):
    a = mg.tanh(x @ W + mg.sigmoid(h))
    return a * mg.sigmoid(h.detach()) + mg.stop_gradient(a) * h


@add(h="n", x="n")
def straight_through(h, /, x):
    """The sign forward, the slope of tanh backward."""
    soft = mg.tanh(x + h)
    return soft + mg.stop_gradient(mg.sign(x + h) - soft)


# ---- entries of symbolic axes --------------------------------------------------------------------
@add(h="n", x="d", W="d n")
def one_unit(h, /, x, *, W):
    return mg.tanh(x @ W) * h[:, 0][:, None] + h[..., -1:] * x[:, :1]


@add(h="n", W="n n")
def shifted(h, /, *, W):
    """A shift register: entries move up by one, the first comes from a product."""
    return mg.concatenate([(h @ W)[..., :1], h[..., :-1]], axis=-1)


# ---- large ---------------------------------------------------------------------------------------
@add(h="n", c="n", x="d", W="d n", U="n n", b="n")
def sixty_nodes(h, c, /, x, *, W, U, b):
    """Three layers of gates on gates."""
    for _ in range(3):
        z = x @ W + h @ U + b
        f, i = mg.sigmoid(z * c), mg.sigmoid(z - c)
        c = f * c + i * mg.tanh(z + h)
        h = mg.tanh(c) * mg.sigmoid(h * c + b)
    return h, c
