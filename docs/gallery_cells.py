"""Cells of the gallery that are not built in: recent papers, and two of the kind that people make up."""

from minigrad import cell, exp, maximum, sigmoid, softmax, softplus, split, tanh


@cell(h="n", x="d", Q="n k", K="k m", V="m n", W="d n", U="n n", b="n")
def memory_rnn(h, /, x, *, Q, K, V, W, U, b):
    """An RNN that reads a learned memory of m slots by attention."""
    a = softmax(h @ Q @ K)
    r = a @ V
    h = tanh(x @ W + r @ U + b)
    return h


@cell(
    h="n", c="n", N="n", m="n", x="d", W_i="d n", R_i="n n", b_i="n", W_f="d n", R_f="n n", b_f="n",
    W_z="d n", R_z="n n", b_z="n", W_o="d n", R_o="n n", b_o="n",
)  # fmt: skip
def slstm(h, c, N, m, /, x, *, W_i, R_i, b_i, W_f, R_f, b_f, W_z, R_z, b_z, W_o, R_o, b_o):
    """sLSTM: exponential gates, a normaliser N and a stabiliser m. Beck et al. 2024, equations 8-17."""
    z = tanh(x @ W_z + h @ R_z + b_z)
    o = sigmoid(x @ W_o + h @ R_o + b_o)
    log_i = x @ W_i + h @ R_i + b_i
    log_f = -softplus(-(x @ W_f + h @ R_f + b_f))
    s = log_f + m
    m = maximum(s, log_i)
    i, f = exp(log_i - m), exp(s - m)
    c = f * c + i * z
    N = f * N + i
    h = o * (c / N)
    return h, c, N, m


@cell(
    g="n", h="n", x="d", W_r="d 2*n", U_r="n 2*n", b_r="2*n", W="d n", U="n n", b="n",
    V_r="n 2*n", H_r="n 2*n", c_r="2*n", V="n n", H="n n", c="n", Y="n q", b_y="q",
)  # fmt: skip
def deep_gru(g, h, /, x, *, W_r, U_r, b_r, W, U, b, V_r, H_r, c_r, V, H, c, Y, b_y):
    """Two GRUs, one above the other, the upper one with a shortcut; and a read-out."""
    r, z = split(sigmoid(x @ W_r + g @ U_r + b_r), 2)
    n = tanh(x @ W + (r * g) @ U + b)
    g = z * g + (1 - z) * n
    s, u = split(sigmoid(g @ V_r + h @ H_r + c_r), 2)
    k = tanh(g @ V + (s * h) @ H + c)
    h = u * h + (1 - u) * k
    y = softmax((g + h) @ Y + b_y)
    return g, h, y
