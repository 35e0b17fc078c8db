"""Right backwards of whole sequences, with their own loops over time, as people write them in numpy."""

import numpy as np
from own_cells import peephole_lstm

from minigrad.cells import CELLS, affine

from .right_steps import elman, sigmoid

RIGHT = {}


def right(c):
    def keep(fn):
        RIGHT[fn.__name__] = (c, fn)
        return fn

    return keep


@right(elman)
def rnn_sequence(xs, h0, dhs, W, U, b):
    T, B, d = xs.shape
    n = h0.shape[1]
    hs = np.zeros((T + 1, B, n))
    hs[0] = h0
    for t in range(T):
        hs[t + 1] = np.tanh(xs[t] @ W + hs[t] @ U + b)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dx = np.zeros_like(xs)
    dh = np.zeros((B, n))
    for t in reversed(range(T)):
        dh = dh + dhs[t]
        da = dh * (1 - hs[t + 1] ** 2)
        dW += xs[t].T @ da
        dU += hs[t].T @ da
        db += da.sum(0)
        dx[t] = da @ W.T
        dh = da @ U.T
    return dict(W=dW, U=dU, b=db, xs=dx, h0=dh)


@right(elman)
def rnn_lists(xs, h0, hs, dhs, W, U):
    before = [h0] + list(hs[:-1])
    grads = {"W": 0, "U": 0, "b": 0}
    dx, back = [], 0
    for x, h, y, dh in reversed(list(zip(xs, before, hs, dhs))):
        da = (dh + back) * (1 - y * y)
        grads["W"] = grads["W"] + x.T @ da
        grads["U"] = grads["U"] + h.T @ da
        grads["b"] = grads["b"] + da.sum(axis=0)
        dx.append(da @ W.T)
        back = da @ U.T
    return {**grads, "xs": dx[::-1], "h0": back}


@right(elman)
def rnn_one_product(xs, hs, hs_prev, dhs, W, U):
    T, B, n = hs.shape
    das = np.empty_like(hs)
    back = np.zeros((B, n))
    for t in range(T - 1, -1, -1):
        das[t] = (dhs[t] + back) * (1 - hs[t] ** 2)
        back = das[t] @ U.T
    flat = das.reshape(T * B, n)
    return dict(
        W=xs.reshape(T * B, -1).T @ flat,
        U=np.tensordot(hs_prev, das, axes=([0, 1], [0, 1])),
        b=das.sum(axis=(0, 1)),
        xs=np.einsum("tbj,kj->tbk", das, W),
        h0=back,
    )


@right(elman)
def rnn_batch_first(xs, h0, dhs, W, U, b):
    N, T, D = xs.shape
    h, cache = h0, []
    for t in range(T):
        nxt = np.tanh(xs[:, t].dot(W) + h.dot(U) + b)
        cache.append((xs[:, t], h, nxt))
        h = nxt
    dx, dW, dU, db = np.zeros((N, T, D)), np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dprev = np.zeros_like(h0)
    for t in reversed(range(T)):
        x, before, after = cache[t]
        dz = (dhs[:, t, :] + dprev) * (1 - after**2)
        dx[:, t, :] = dz.dot(W.T)
        dprev = dz.dot(U.T)
        dW += x.T.dot(dz)
        dU += before.T.dot(dz)
        db += np.sum(dz, axis=0)
    return dict(xs=dx, h0=dprev, W=dW, U=dU, b=db)


@right(elman)
def rnn_last_state_only(xs, hs, hs_prev, dhT, W, U):
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), 0
    dh = dhT
    for t in range(len(xs))[::-1]:
        da = dh * (1 - hs[t] ** 2)
        dW += xs[t].T @ da
        dU += hs_prev[t].T @ da
        db = db + da.sum(0)
        dh = da @ U.T
    return dict(W=dW, U=dU, b=db, h0=dh)


@right(elman)
def rnn_closed_form(hs, hs_prev, xs, dhs, W, U):
    T = len(hs)
    dW, dU, db = 0, 0, 0
    for t in range(T):
        delta = dhs[t]
        for k in range(t, -1, -1):
            da = delta * (1 - hs[k] ** 2)
            dW, dU, db = dW + xs[k].T @ da, dU + hs_prev[k].T @ da, db + da.sum(0)
            delta = da @ U.T
    return dict(W=dW, U=dU, b=db)


@right(elman)
def rnn_in_time_order(xs, hs, hs_prev, dhs, W, U):
    T = hs.shape[0]
    deltas = [dhs[T - 1]]
    for t in range(T - 2, -1, -1):
        deltas.insert(0, dhs[t] + (deltas[0] * (1 - hs[t + 1] ** 2)) @ U.T)
    das = [d * (1 - h**2) for d, h in zip(deltas, hs)]
    return dict(
        W=sum(x.T @ a for x, a in zip(xs, das)),
        U=sum(h.T @ a for h, a in zip(hs_prev, das)),
        b=sum(a.sum(0) for a in das),
        xs=np.stack([a @ W.T for a in das]),
        h0=das[0] @ U.T,
    )


@right(elman.then(affine))
def rnn_readout_sequence(xs, h0, hs, dys, W, U, W_hq):
    T = len(xs)
    before = np.concatenate([h0[None], hs[:-1]])
    g = {"W": np.zeros_like(W), "U": np.zeros_like(U), "b": np.zeros(W.shape[1]), "W_hq": np.zeros_like(W_hq)}
    g["b_q"] = np.zeros(W_hq.shape[1])
    dh = np.zeros_like(h0)
    for t in reversed(range(T)):
        dh = dh + dys[t] @ W_hq.T
        g["W_hq"] += hs[t].T @ dys[t]
        g["b_q"] += dys[t].sum(0)
        da = dh * (1 - hs[t] ** 2)
        g["W"] += xs[t].T @ da
        g["U"] += before[t].T @ da
        g["b"] += da.sum(0)
        dh = da @ U.T
    g["h0"] = dh
    return g


def one_lstm_step(dh, dc, x, h, c, c_next, i, f, o, g, p):
    tc = np.tanh(c_next)
    dc = dc + dh * o * (1 - tc**2)
    gates = {
        "o": dh * tc * o * (1 - o),
        "f": dc * c * f * (1 - f),
        "i": dc * g * i * (1 - i),
        "c": dc * i * (1 - g * g),
    }
    dh_prev = sum(d @ p["W_h" + k].T for k, d in gates.items())
    dx = sum(d @ p["W_x" + k].T for k, d in gates.items())
    return gates, dh_prev, dc * f, dx


@right(CELLS["lstm"])
def lstm_sequence(Xs, H0, C0, dHs, dCs, params):
    p, T = params, len(Xs)
    Hs, Cs, cache = [H0], [C0], []
    for t in range(T):
        X, H, C = Xs[t], Hs[-1], Cs[-1]
        i = sigmoid(X @ p["W_xi"] + H @ p["W_hi"] + p["b_i"])
        f = sigmoid(X @ p["W_xf"] + H @ p["W_hf"] + p["b_f"])
        o = sigmoid(X @ p["W_xo"] + H @ p["W_ho"] + p["b_o"])
        g = np.tanh(X @ p["W_xc"] + H @ p["W_hc"] + p["b_c"])
        c = f * C + i * g
        Hs.append(o * np.tanh(c))
        Cs.append(c)
        cache.append((i, f, o, g))
    grads = {k: np.zeros_like(v) for k, v in p.items()}
    grads["Xs"] = np.zeros_like(Xs)
    dh, dc = np.zeros_like(H0), np.zeros_like(C0)
    for t in reversed(range(T)):
        i, f, o, g = cache[t]
        gates, dh, dc, grads["Xs"][t] = one_lstm_step(
            dh + dHs[t], dc + dCs[t], Xs[t], Hs[t], Cs[t], Cs[t + 1], i, f, o, g, p
        )
        for k, d in gates.items():
            grads["W_x" + k] += Xs[t].T @ d
            grads["W_h" + k] += Hs[t].T @ d
            grads["b_" + k] += d.sum(axis=0)
    grads["H0"], grads["C0"] = dh, dc
    return grads


@right(CELLS["torch_lstm"])
def lstm_fused_loop(xs, h0, c0, dhs, weight_ih, weight_hh, bias_ih, bias_hh):
    T, B, _ = xs.shape
    n = h0.shape[1]
    h, c = np.zeros((T + 1, B, n)), np.zeros((T + 1, B, n))
    h[0], c[0] = h0, c0
    gates, tanh_c = np.zeros((T, B, 4 * n)), np.zeros((T, B, n))
    for t in range(T):
        z = xs[t] @ weight_ih.T + h[t] @ weight_hh.T + bias_ih + bias_hh
        gates[t, :, : 2 * n] = sigmoid(z[:, : 2 * n])
        gates[t, :, 2 * n : 3 * n] = np.tanh(z[:, 2 * n : 3 * n])
        gates[t, :, 3 * n :] = sigmoid(z[:, 3 * n :])
        i, f, g, o = np.split(gates[t], 4, axis=1)
        c[t + 1] = f * c[t] + i * g
        tanh_c[t] = np.tanh(c[t + 1])
        h[t + 1] = o * tanh_c[t]
    dz = np.empty((T, B, 4 * n))
    dh, dc = np.zeros((B, n)), np.zeros((B, n))
    for t in range(T - 1, -1, -1):
        i, f, g, o = np.split(gates[t], 4, axis=-1)
        dh = dh + dhs[t]
        dc += dh * o * (1 - tanh_c[t] ** 2)
        dz[t, :, :n] = dc * g * i * (1 - i)
        dz[t, :, n : 2 * n] = dc * c[t] * f * (1 - f)
        dz[t, :, 2 * n : 3 * n] = dc * i * (1 - g**2)
        dz[t, :, 3 * n :] = dh * tanh_c[t] * o * (1 - o)
        dc = dc * f
        dh = dz[t] @ weight_hh
    flat = dz.reshape(-1, 4 * n)
    db = flat.sum(0)
    return dict(
        xs=dz @ weight_ih,
        h0=dh,
        c0=dc,
        weight_ih=flat.T @ xs.reshape(-1, xs.shape[2]),
        weight_hh=flat.T @ h[:-1].reshape(-1, n),
        bias_ih=db,
        bias_hh=db,
    )


@right(CELLS["gru"])
def gru_sequence(Xs, Hs_prev, Zs, Rs, H_tildas, dHs, params):
    p = params
    grads = {k: np.zeros_like(v) for k, v in p.items()}
    grads["Xs"] = np.zeros_like(Xs)
    dh_next = np.zeros_like(Hs_prev[0])
    for t in reversed(range(len(Xs))):
        x, h, z, r, g = Xs[t], Hs_prev[t], Zs[t], Rs[t], H_tildas[t]
        dh = dHs[t] + dh_next
        dz = dh * (h - g) * z * (1 - z)
        dg = dh * (1 - z) * (1 - g**2)
        drh = dg @ p.W_hh.T
        dr = drh * h * r * (1 - r)
        for k, d, left in (("z", dz, h), ("r", dr, h), ("h", dg, r * h)):
            grads["W_x" + k] += x.T @ d
            grads["W_h" + k] += left.T @ d
            grads["b_" + k] += d.sum(0)
            grads["Xs"][t] += d @ p["W_x" + k].T
        dh_next = dh * z + drh * r + dz @ p.W_hz.T + dr @ p.W_hr.T
    grads["H0"] = dh_next
    return grads


@right(CELLS["torch_gru"])
def gru_after_sequence(xs, h0, dhs, weight_ih, weight_hh, bias_ih, bias_hh):
    n, h, cache = h0.shape[1], h0, []
    for x in xs:
        a, b = x @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
        r, z = sigmoid(a[:, :n] + b[:, :n]), sigmoid(a[:, n : 2 * n] + b[:, n : 2 * n])
        q = b[:, 2 * n :]
        g = np.tanh(a[:, 2 * n :] + r * q)
        cache.append((x, h, r, z, q, g))
        h = (1 - z) * g + z * h
    wi, wh, bi, bh = (np.zeros_like(w) for w in (weight_ih, weight_hh, bias_ih, bias_hh))
    dx, dh = [], np.zeros_like(h0)
    for (x, h, r, z, q, g), direct in zip(cache[::-1], dhs[::-1]):
        dh = dh + direct
        dz = dh * (h - g) * z * (1 - z)
        dg = dh * (1 - z) * (1 - g**2)
        dr = dg * q * r * (1 - r)
        da, db = np.concatenate([dr, dz, dg], axis=1), np.concatenate([dr, dz, dg * r], axis=1)
        wi += da.T @ x
        wh += db.T @ h
        bi += da.sum(0)
        bh += db.sum(0)
        dx.append(da @ weight_ih)
        dh = dh * z + db @ weight_hh
    return dict(xs=np.array(dx[::-1]), h0=dh, weight_ih=wi, weight_hh=wh, bias_ih=bi, bias_hh=bh)


@right(peephole_lstm)
def peephole_sequence(xs, h0, c0, dhs, dcs, W, b, p):
    n, T = h0.shape[1], len(xs)
    p_i, p_f, p_o = p[:n], p[n : 2 * n], p[2 * n :]
    h, c, cache = h0, c0, []
    for t in range(T):
        hx = np.hstack([h, xs[t]])
        z = hx @ W + b
        i, f = sigmoid(z[:, :n] + p_i * c), sigmoid(z[:, n : 2 * n] + p_f * c)
        g = np.tanh(z[:, 2 * n : 3 * n])
        new = f * c + i * g
        o = sigmoid(z[:, 3 * n :] + p_o * new)
        cache.append((hx, c, new, i, f, g, o))
        h, c = o * np.tanh(new), new
    dW, db, dp = np.zeros_like(W), np.zeros_like(b), np.zeros_like(p)
    dx, dh, dc = np.zeros_like(xs), np.zeros_like(h0), np.zeros_like(c0)
    for t in reversed(range(T)):
        hx, c, new, i, f, g, o = cache[t]
        dh, dc = dh + dhs[t], dc + dcs[t]
        tc = np.tanh(new)
        do = dh * tc * o * (1 - o)
        dc = dc + dh * o * (1 - tc**2) + do * p_o
        df, di, dg = dc * c * f * (1 - f), dc * g * i * (1 - i), dc * i * (1 - g**2)
        dz = np.concatenate([di, df, dg, do], axis=1)
        dW += hx.T @ dz
        db += dz.sum(0)
        dp[:n] += (di * c).sum(0)
        dp[n : 2 * n] += (df * c).sum(0)
        dp[2 * n :] += (do * new).sum(0)
        dhx = dz @ W.T
        dh, dx[t] = dhx[:, :n], dhx[:, n:]
        dc = dc * f + di * p_i + df * p_f
    return dict(W=dW, b=db, p=dp, xs=dx, h0=dh, c0=dc)
