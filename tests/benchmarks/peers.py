"""One training step of a recurrent layer: peer(cell, T, batch, input, hidden) -> step.

A step is forward, the mean of the squared outputs, and the gradients of all parameters and of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], Any]
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def numbers(cell: str, T: int, B: int, d: int, n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters in torch's layout and names, and an input: float32."""
    rng, k, g = np.random.default_rng(0), 1 / np.sqrt(n), GATES[cell]
    shapes = {"weight_ih": (g * n, d), "weight_hh": (g * n, n), "bias_ih": (g * n,), "bias_hh": (g * n,)}
    params = {name: rng.uniform(-k, k, shape).astype("float32") for name, shape in shapes.items()}
    return params, rng.standard_normal((T, B, d)).astype("float32")


def minigrad(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """minigrad's cell of ten lines, through scan."""
    import minigrad as mg
    from minigrad.cells import CELLS

    one = CELLS["torch_rnn_tanh" if cell == "rnn" else f"torch_{cell}"]
    params, x = numbers(cell, T, B, d, n)
    state = one.zero_state(B, n=n, dtype="float32")

    def loss(params: Any, x: Any) -> Any:
        _, y = mg.scan(one, state, x, params)
        return (y * y).mean()

    step = mg.value_and_grad(loss, (0, 1))
    arguments = {k: mg.tensor(v) for k, v in params.items()}, mg.tensor(x)

    def run() -> Any:
        value, (grads, dx) = step(*arguments)
        return value.item(), *(grads[k].numpy() for k in params), dx.numpy()

    return run


def torch_nn(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """torch.nn's own layer, in C++."""
    import torch

    torch.set_num_threads(1)
    params, x = numbers(cell, T, B, d, n)
    layer = getattr(torch.nn, cell.upper())(d, n)
    with torch.no_grad():
        for name, value in params.items():
            getattr(layer, f"{name}_l0").copy_(torch.tensor(value))
    xt = torch.tensor(x, requires_grad=True)

    def run() -> Any:
        layer.zero_grad()
        xt.grad = None
        value = (layer(xt)[0] ** 2).mean()
        value.backward()
        return value.item(), *(getattr(layer, f"{k}_l0").grad.numpy() for k in params), xt.grad.numpy()

    return run


def torch_loop(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """The cell's equations in torch, in a Python loop, as one writes a cell of one's own."""
    import torch

    torch.set_num_threads(1)
    params, x = numbers(cell, T, B, d, n)
    p = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    xt = torch.tensor(x, requires_grad=True)
    equations = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}[cell]

    def run() -> Any:
        for v in (*p.values(), xt):
            v.grad = None
        state, out = [torch.zeros(B, n)] * (2 if cell == "lstm" else 1), []
        for t in range(T):
            state = equations(torch, *state, xt[t], **p)
            out.append(state[0])
        value = (torch.stack(out) ** 2).mean()
        value.backward()
        return value.item(), *(v.grad.numpy() for v in p.values()), xt.grad.numpy()

    return run


def _rnn(m: Any, h: Any, x: Any, *, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> list:
    return [m.tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)]


def _lstm(
    m: Any, h: Any, c: Any, x: Any, *, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any
) -> list:
    i, f, g, o = (x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh).chunk(4, -1)
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    return [m.sigmoid(o) * m.tanh(c), c]


def _gru(m: Any, h: Any, x: Any, *, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> list:
    rx, zx, nx = (x @ weight_ih.T + bias_ih).chunk(3, -1)
    rh, zh, nh = (h @ weight_hh.T + bias_hh).chunk(3, -1)
    r, z = m.sigmoid(rx + rh), m.sigmoid(zx + zh)
    new = m.tanh(nx + r * nh)
    return [(1 - z) * new + z * h]


def jax_scan(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """The same equations under jax.jit and jax.lax.scan, the input's product before the loop."""
    import jax
    import jax.numpy as jnp

    params, x = numbers(cell, T, B, d, n)

    class Functions:
        tanh, sigmoid = jnp.tanh, jax.nn.sigmoid

    def split(z: Any, k: int) -> Any:
        return jnp.split(z, k, -1)

    def step(state: Any, zx: Any, U: Any, b: Any) -> Any:
        m, h = Functions, state[0]
        if cell == "rnn":
            return (m.tanh(zx + h @ U.T + b),)
        if cell == "lstm":
            i, f, g, o = split(zx + h @ U.T + b, 4)
            c = m.sigmoid(f) * state[1] + m.sigmoid(i) * m.tanh(g)
            return m.sigmoid(o) * m.tanh(c), c
        (rx, zx, nx), (rh, zh, nh) = split(zx, 3), split(h @ U.T + b, 3)
        r, z = m.sigmoid(rx + rh), m.sigmoid(zx + zh)
        return ((1 - z) * m.tanh(nx + r * nh) + z * h,)

    def loss(p: Any, x: Any) -> Any:
        zx = x @ p["weight_ih"].T + p["bias_ih"]

        def body(state: Any, z: Any) -> Any:
            state = step(state, z, p["weight_hh"], p["bias_hh"])
            return state, state[0]

        _, y = jax.lax.scan(body, (jnp.zeros((B, n)),) * (2 if cell == "lstm" else 1), zx)
        return (y * y).mean()

    both = jax.jit(jax.value_and_grad(loss, (0, 1)))

    def run() -> Any:
        value, (grads, dx) = jax.block_until_ready(both(params, x))
        return float(value), *(np.asarray(grads[k]) for k in params), np.asarray(dx)

    return run


def floor(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """Nothing but the matrix products of the step, in numpy: what no program with this BLAS can beat."""
    g, rng = GATES[cell] * n, np.random.default_rng(1)
    W, U, x, h, D = (
        rng.standard_normal(s).astype("float32") for s in ((d, g), (n, g), (T * B, d), (T * B, n), (T * B, g))
    )
    z, dh, UT = np.empty((B, g), "float32"), np.empty((B, n), "float32"), np.ascontiguousarray(U.T)

    def run() -> None:
        x @ W
        for t in range(T):
            np.dot(h[t * B : (t + 1) * B], U, z)
        for t in range(T):
            np.dot(D[t * B : (t + 1) * B], UT, dh)
        h.T @ D
        x.T @ D
        D @ W.T

    return run


PEERS: dict[str, Callable[..., Step]] = {
    "minigrad": minigrad, "torch.nn": torch_nn, "torch loop": torch_loop, "jax.lax.scan": jax_scan,
    "GEMM floor": floor,
}  # fmt: skip
