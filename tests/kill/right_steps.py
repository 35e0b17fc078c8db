"""Right backwards of a single step, as people write them in numpy; none knows minigrad but by its cell."""

import numpy as np
from numpy import tanh
from own_cells import diagonal_rnn, peephole_lstm, projected_lstm, two_speeds

import minigrad as mg
from minigrad.cells import CELLS, affine, cell

RIGHT = {}


def right(c):
    def keep(fn):
        RIGHT[fn.__name__] = (c, fn)
        return fn

    return keep


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_by_tanh(z):
    return 0.5 * (np.tanh(z / 2) + 1)


def sigmoid_from_above(z):
    return np.exp(z) / (1 + np.exp(z))


def stable_sigmoid(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))


def dsigmoid(y):
    return y * (1 - y)


def dtanh(y):
    return 1 - y**2


# ---- RNN ---------------------------------------------------------------------------------------
@right(CELLS["rnn"])
def rnn_stored(dh, h_next, h_prev, i, W, U):
    da = dh * (1 - h_next * h_next)
    return {"i": da @ W.T, "h": da @ U.T, "W": i.T @ da, "U": h_prev.T @ da, "b": da.sum(axis=0)}


@right(CELLS["rnn"])
def rnn_expanded(dh, h, i, W, U, b):
    y = np.tanh(np.dot(i, W) + np.dot(h, U) + b)
    da = dh - dh * y * y
    return np.dot(da, U.T), np.dot(da, W.T), np.dot(i.T, da), np.dot(h.T, da), np.sum(da, axis=0)


@right(CELLS["rnn"])
def rnn_einsum(dh, h_next, h, i, W, U):
    da = np.multiply(dh, 1 - np.square(h_next))
    return dict(
        dh=np.einsum("bj,kj->bk", da, U),
        di=np.einsum("bj,kj->bk", da, W),
        dW=np.einsum("bi,bj->ij", i, da),
        dU=np.einsum("bi,bj->ij", h, da),
        db=np.einsum("bj->j", da),
    )


@right(CELLS["rnn"])
def rnn_tensordot(dh, h_next, h, i, W, U):
    da = dh * (1 - h_next**2)
    return dict(
        h=np.matmul(da, U.T),
        i=np.matmul(da, W.T),
        W=np.tensordot(i, da, axes=(0, 0)),
        U=np.tensordot(h, da, ([0], [0])),
        b=np.ones(da.shape[0]) @ da,
    )


@right(CELLS["rnn"])
def rnn_sech(dh, h, i, W, U, b):
    z = i @ W + h @ U + b
    da = dh / np.cosh(z) ** 2
    return dict(h=da @ U.T, i=da @ W.T, W=i.T @ da, U=h.T @ da, b=da.sum(0))


@right(CELLS["rnn_words"])
def rnn_in_place(ds, s_next, s_prev, x, U, W):
    da = ds.copy()
    da *= 1 - s_next**2
    dU, dW = np.zeros_like(U), np.zeros(W.shape)
    dU += x.T.dot(da)
    np.add(dW, s_prev.T.dot(da), out=dW)
    return dict(ds_prev=da.dot(W.T), dx=da.dot(U.T), dU=dU, dW=dW)


@right(CELLS["torch_rnn_relu"])
def relu_mask(dh, h_next, h, x, weight_ih, weight_hh):
    da = dh * (h_next > 0)
    db = da.sum(axis=0)
    return dict(
        h=da @ weight_hh, x=da @ weight_ih, weight_ih=da.T @ x, weight_hh=da.T @ h, bias_ih=db, bias_hh=db
    )


@right(CELLS["torch_rnn_relu"])
def relu_where(dh, h, x, params):
    z = x @ params.weight_ih.T + params.bias_ih + h @ params.weight_hh.T + params.bias_hh
    da = np.where(z > 0, dh, 0)
    db = da.sum(axis=0)
    return dict(
        h=da @ params.weight_hh,
        x=da @ params.weight_ih,
        weight_ih=da.T @ x,
        weight_hh=da.T @ h,
        bias_ih=db,
        bias_hh=db.copy(),
    )


@right(CELLS["torch_rnn_relu"])
def relu_masked_assignment(dh, h_next, h, x, weight_ih, weight_hh):
    da = dh.copy()
    da[h_next <= 0] = 0
    return dict(
        h=da @ weight_hh,
        x=da @ weight_ih,
        weight_ih=(x.T @ da).T,
        weight_hh=(h.T @ da).T,
        bias_ih=da.sum(0),
        bias_hh=np.sum(da, 0),
    )


@right(diagonal_rnn)
def diagonal(dh, h_next, h, x, W, u):
    da = dh * (h_next > 0).astype(float)
    return dict(h=da * u, x=da @ W.T, W=x.T @ da, u=(da * h).sum(0))


@right(CELLS["rnn"].then(affine))
def rnn_with_readout(dy, dh, h_next, h, i, W, U, W_hq):
    dh = dh + dy @ W_hq.T
    da = dh * (1 - h_next**2)
    return dict(
        h=da @ U.T, i=da @ W.T, W=i.T @ da, U=h.T @ da, b=da.sum(0), W_hq=h_next.T @ dy, b_q=dy.sum(0)
    )


# ---- LSTM --------------------------------------------------------------------------------------
@right(CELLS["lstm"])
def lstm_recomputed(dH, dC, H, C, X, params):
    p = params
    i = sigmoid(X @ p["W_xi"] + H @ p["W_hi"] + p["b_i"])
    f = sigmoid(X @ p["W_xf"] + H @ p["W_hf"] + p["b_f"])
    o = sigmoid(X @ p["W_xo"] + H @ p["W_ho"] + p["b_o"])
    g = np.tanh(X @ p["W_xc"] + H @ p["W_hc"] + p["b_c"])
    tc = np.tanh(f * C + i * g)
    dc = dC + dH * o * (1 - tc**2)
    da = {
        "o": dH * tc * o * (1 - o),
        "f": dc * C * f * (1 - f),
        "i": dc * g * i * (1 - i),
        "c": dc * i * (1 - g * g),
    }
    out = {"C": dc * f, "H": 0, "X": 0}
    for k, d in da.items():
        out["W_x" + k] = X.T @ d
        out["W_h" + k] = H.T @ d
        out["b_" + k] = d.sum(axis=0)
        out["H"] = out["H"] + d @ p["W_h" + k].T
        out["X"] = out["X"] + d @ p["W_x" + k].T
    return out


@right(CELLS["lstm"])
def lstm_stored(dH, dC, H, C, X, I, F, O, C_tilda, C_next, W_xi, W_hi, W_xf, W_hf, W_xo, W_ho, W_xc, W_hc):
    tC = tanh(C_next)
    dO = dH * tC
    dC = dC + dH * O * dtanh(tC)
    dF = dC * C
    dI = dC * C_tilda
    dG = dC * I
    ai, af, ao, ag = dI * dsigmoid(I), dF * dsigmoid(F), dO * dsigmoid(O), dG * dtanh(C_tilda)
    dX = ai @ W_xi.T + af @ W_xf.T + ao @ W_xo.T + ag @ W_xc.T
    dH_prev = ai @ W_hi.T + af @ W_hf.T + ao @ W_ho.T + ag @ W_hc.T
    return dict(
        dH_prev=dH_prev,
        dC_prev=dC * F,
        dX=dX,
        dW_xi=X.T @ ai,
        dW_hi=H.T @ ai,
        db_i=ai.sum(0),
        dW_xf=X.T @ af,
        dW_hf=H.T @ af,
        db_f=af.sum(0),
        dW_xo=X.T @ ao,
        dW_ho=H.T @ ao,
        db_o=ao.sum(0),
        dW_xc=X.T @ ag,
        dW_hc=H.T @ ag,
        db_c=ag.sum(0),
    )


@right(CELLS["lstm_concat"])
def lstm_on_joined(dh, dC, h, C, x, W_f, b_f, W_i, b_i, W_C, b_C, W_o, b_o):
    hx = np.concatenate((h, x), axis=1)
    f, i = sigmoid_by_tanh(hx @ W_f + b_f), sigmoid_by_tanh(hx @ W_i + b_i)
    g, o = np.tanh(hx @ W_C + b_C), sigmoid_by_tanh(hx @ W_o + b_o)
    c = f * C + i * g
    dc = dC + dh * o * (1 - np.tanh(c) ** 2)
    df, di, dg, do = (
        dc * C * f * (1 - f),
        dc * g * i * (1 - i),
        dc * i * (1 - g**2),
        dh * np.tanh(c) * o * (1 - o),
    )
    dhx = df @ W_f.T + di @ W_i.T + dg @ W_C.T + do @ W_o.T
    n = h.shape[1]
    return dict(
        h=dhx[:, :n],
        x=dhx[:, n:],
        C=dc * f,
        W_f=hx.T @ df,
        W_i=hx.T @ di,
        W_C=hx.T @ dg,
        W_o=hx.T @ do,
        b_f=df.sum(0),
        b_i=di.sum(0),
        b_C=dg.sum(0),
        b_o=do.sum(0),
    )


@right(CELLS["lstm_concat"])
def lstm_halves(dh, dC, h, C, x, f, i, C_tilde, o, C_next, params):
    n = h.shape[-1]
    t = np.tanh(C_next)
    dc = dC + dh * o * (1 - t * t)
    grads = {"C": dc * f, "h": np.zeros_like(h), "x": np.zeros_like(x)}
    for k, d in (
        ("f", dc * C * f * (1 - f)),
        ("i", dc * C_tilde * i * (1 - i)),
        ("C", dc * i * (1 - C_tilde**2)),
        ("o", dh * t * o * (1 - o)),
    ):
        grads["dW_" + k] = np.vstack([h.T @ d, x.T @ d])
        grads["db_" + k] = np.add.reduce(d, axis=0)
        grads["h"] += d @ params["W_" + k][:n].T
        grads["x"] += d @ params["W_" + k][n:].T
    return grads


@right(CELLS["torch_lstm"])
def lstm_fused(dh, dc, h, c, x, weight_ih, weight_hh, bias_ih, bias_hh):
    n = h.shape[1]
    z = x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
    i, f, g, o = (
        sigmoid(z[:, :n]),
        sigmoid(z[:, n : 2 * n]),
        np.tanh(z[:, 2 * n : 3 * n]),
        sigmoid(z[:, 3 * n :]),
    )
    ct = np.tanh(f * c + i * g)
    dc = dc + dh * o * (1 - ct**2)
    dz = np.zeros_like(z)
    dz[:, :n] = dc * g * i * (1 - i)
    dz[:, n : 2 * n] = dc * c * f * (1 - f)
    dz[:, 2 * n : 3 * n] = dc * i * (1 - g**2)
    dz[:, 3 * n :] = dh * ct * o * (1 - o)
    return dict(
        h=dz @ weight_hh,
        c=dc * f,
        x=dz @ weight_ih,
        weight_ih=dz.T @ x,
        weight_hh=dz.T @ h,
        bias_ih=dz.sum(0),
        bias_hh=dz.sum(0),
    )


@right(CELLS["torch_lstm"])
def lstm_split_hstack(dh, dc, h, c, x, weight_ih, weight_hh, bias_ih, bias_hh):
    zi, zf, zg, zo = np.split(x @ weight_ih.T + h @ weight_hh.T + (bias_ih + bias_hh), 4, axis=1)
    i, f, g, o = sigmoid_from_above(zi), stable_sigmoid(zf), np.tanh(zg), sigmoid(zo)
    ct = np.tanh(f * c + i * g)
    dc = dc + dh * o * (1 - ct) * (1 + ct)
    dz = np.hstack([dc * g * (i - i**2), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * ct * o * (1 - o)])
    return dz @ weight_hh, dc * f, dz @ weight_ih, dz.T @ x, dz.T @ h, dz.sum(0), dz.sum(0)


@right(CELLS["torch_lstm"])
def lstm_four_axes(dh, dc, h, c, x, weight_ih, weight_hh, bias_ih, bias_hh):
    B, n = h.shape
    z = (x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh).reshape(B, 4, n)
    i, f, g, o = sigmoid(z[:, 0]), sigmoid(z[:, 1]), np.tanh(z[:, 2]), sigmoid(z[:, 3])
    ct = np.tanh(f * c + i * g)
    dc = dc + dh * o * (1 - ct**2)
    dz = np.stack(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * ct * o * (1 - o)], axis=1
    )
    dz = dz.reshape(B, 4 * n)
    return dz @ weight_hh, dc * f, dz @ weight_ih, dz.T @ x, dz.T @ h, dz.sum(0), dz.sum(0)


@right(peephole_lstm)
def peephole(dh, dc, h, c, x, W, b, p):
    n = h.shape[1]
    hx = np.concatenate([h, x], axis=1)
    z = hx @ W + b
    p_i, p_f, p_o = p[:n], p[n : 2 * n], p[2 * n :]
    i, f = sigmoid(z[:, :n] + p_i * c), sigmoid(z[:, n : 2 * n] + p_f * c)
    g = np.tanh(z[:, 2 * n : 3 * n])
    c_next = f * c + i * g
    o = sigmoid(z[:, 3 * n :] + p_o * c_next)
    t = np.tanh(c_next)
    do = dh * t * o * (1 - o)
    dc_next = dc + dh * o * (1 - t**2) + do * p_o
    df = dc_next * c * f * (1 - f)
    di = dc_next * g * i * (1 - i)
    dg = dc_next * i * (1 - g**2)
    dz = np.concatenate([di, df, dg, do], axis=1)
    dhx = dz @ W.T
    return dict(
        h=dhx[:, :n],
        x=dhx[:, n:],
        c=dc_next * f + di * p_i + df * p_f,
        W=hx.T @ dz,
        b=dz.sum(0),
        p=np.concatenate([(di * c).sum(0), (df * c).sum(0), (do * c_next).sum(0)]),
    )


@right(projected_lstm)
def projection(dh, dc, h, c, x, W, R):
    n, k = c.shape[1], h.shape[1]
    hx = np.concatenate([h, x], axis=-1)
    z = hx @ W
    i, f, g, o = (
        sigmoid(z[:, :n]),
        sigmoid(z[:, n : 2 * n]),
        np.tanh(z[:, 2 * n : 3 * n]),
        sigmoid(z[:, 3 * n :]),
    )
    t = np.tanh(f * c + i * g)
    dy = dh @ R.T
    dc = dc + dy * o * (1 - t**2)
    dz = np.concatenate(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dy * t * o * (1 - o)], axis=1
    )
    dhx = dz @ W.T
    return dict(h=dhx[:, :k], x=dhx[:, k:], c=dc * f, W=hx.T @ dz, R=(o * t).T @ dh)


# ---- GRU ---------------------------------------------------------------------------------------
@right(CELLS["gru"])
def gru_before(dH, H, X, Z, R, H_tilda, W_xz, W_hz, W_xr, W_hr, W_xh, W_hh):
    dz = dH * (H - H_tilda) * Z * (1 - Z)
    dg = dH * (1 - Z) * (1 - H_tilda**2)
    dRH = dg @ W_hh.T
    dr = dRH * H * R * (1 - R)
    return dict(
        H=dH * Z + dRH * R + dz @ W_hz.T + dr @ W_hr.T,
        X=dz @ W_xz.T + dr @ W_xr.T + dg @ W_xh.T,
        W_xz=X.T @ dz,
        W_hz=H.T @ dz,
        b_z=dz.sum(0),
        W_xr=X.T @ dr,
        W_hr=H.T @ dr,
        b_r=dr.sum(0),
        W_xh=X.T @ dg,
        W_hh=(R * H).T @ dg,
        b_h=dg.sum(0),
    )


@right(CELLS["gru_concat"])
def gru_on_joined(dh, h, x, W_z, b_z, W_r, b_r, W):
    n = h.shape[1]
    hx = np.hstack((h, x))
    z, r = sigmoid(hx @ W_z + b_z), sigmoid(hx @ W_r + b_r)
    rhx = np.hstack((r * h, x))
    g = np.tanh(rhx @ W)
    dz, dg = dh * (h - g) * z * (1 - z), dh * (1 - z) * (1 - g**2)
    drhx = dg @ W.T
    dr = drhx[:, :n] * h * r * (1 - r)
    dhx = dz @ W_z.T + dr @ W_r.T
    return dict(
        h=dh * z + drhx[:, :n] * r + dhx[:, :n],
        x=drhx[:, n:] + dhx[:, n:],
        W_z=hx.T @ dz,
        W_r=hx.T @ dr,
        W=rhx.T @ dg,
        b_z=dz.sum(0),
        b_r=dr.sum(0),
    )


@right(CELLS["torch_gru"])
def gru_after(dh, h, x, weight_ih, weight_hh, bias_ih, bias_hh):
    n = h.shape[1]
    a, b = x @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
    r, z = sigmoid(a[:, :n] + b[:, :n]), sigmoid(a[:, n : 2 * n] + b[:, n : 2 * n])
    q = b[:, 2 * n :]
    g = np.tanh(a[:, 2 * n :] + r * q)
    dz = dh * (h - g) * z * (1 - z)
    dg = dh * (1 - z) * (1 - g**2)
    dr = dg * q * r * (1 - r)
    da = np.concatenate([dr, dz, dg], axis=1)
    db = np.concatenate([dr, dz, dg * r], axis=1)
    return dict(
        h=dh * z + db @ weight_hh,
        x=da @ weight_ih,
        weight_ih=da.T @ x,
        weight_hh=db.T @ h,
        bias_ih=da.sum(0),
        bias_hh=db.sum(0),
    )


# ---- others ------------------------------------------------------------------------------------
@right(two_speeds)
def two_states(dh, ds, dy, h_next, s_next, h, s, x, W, U, V):
    dslow = ds + dy @ U
    dfast = dh + dy @ V.T + dslow / 8
    da = dfast * (1 - h_next**2)
    return dict(
        h=da @ U.T,
        s=da @ V.T + dslow * 7 / 8,
        x=da @ W.T,
        W=x.T @ da,
        U=h.T @ da + dy.T @ s_next,
        V=s.T @ da + h_next.T @ dy,
    )


@cell(h="n", x="d", W="d n", U="n n", b="n")
def elman(h, /, x, *, W, U, b):
    return mg.tanh(x @ W + h @ U + b)


@right(elman)
def one_example(dh, h, x, W, U, b):
    y = np.tanh(x @ W + h @ U + b)
    da = (1 - y**2) * dh
    return dict(h=U @ da, x=W @ da, W=np.outer(x, da), U=np.outer(h, da), b=da)


@right(elman)
def one_example_jacobian(dh, h, x, W, U, b):
    y = np.tanh(x @ W + h @ U + b)
    J = np.diag(1 - y**2)
    da = J @ dh
    return dict(h=U @ da, x=W @ da, W=x[:, None] * da[None, :], U=h.reshape(-1, 1) @ da.reshape(1, -1), b=da)


@cell(a="n m", x="d m", Wax="n d", Waa="n n", ba="n 1")
def columns(a, /, x, *, Wax, Waa, ba):
    return mg.tanh(Wax @ x + Waa @ a + ba)


@right(columns)
def column_vectors(da, a_next, a, x, Wax, Waa):
    dz = da * (1 - a_next**2)
    return dict(
        a=Waa.T @ dz,
        x=Wax.T @ dz,
        Wax=np.dot(dz, x.T),
        Waa=np.dot(dz, a.T),
        ba=np.sum(dz, axis=1, keepdims=True),
    )


@right(CELLS["rnn"])
def entry_by_entry(dh, h_next, h, i, W, U):
    B, n = h.shape
    d = i.shape[1]
    dW, dU, db = np.zeros((d, n)), np.zeros((n, n)), np.zeros(n)
    di, dh_prev = np.zeros((B, d)), np.zeros((B, n))
    for b in range(B):
        for j in range(n):
            da = dh[b, j] * (1 - h_next[b, j] ** 2)
            db[j] += da
            for k in range(d):
                dW[k, j] += i[b, k] * da
                di[b, k] += W[k, j] * da
            for k in range(n):
                dU[k, j] += h[b, k] * da
                dh_prev[b, k] += U[k, j] * da
    return dict(h=dh_prev, i=di, W=dW, U=dU, b=db)
