"""One step of a recurrent layer: peer(cell, T, batch, input, hidden, train) -> step.

A training step is forward, the mean of the squared outputs, and the gradients of all parameters and of the
input; it returns the mean and the gradients. Without `train` it is forward alone, and returns the outputs.
Raises NoPeer where the peer is not installed or has no such layer.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

import minigrad as mg

from ..cells import CELLS, VARIANTS
from ..cells.cell import Cell

Step = Callable[[], tuple]
TORCH = {"rnn": "torch_rnn_tanh", "lstm": "torch_lstm", "gru": "torch_gru"}  # layer -> minigrad's cell of it
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class NoPeer(LookupError):
    """The peer cannot be timed here; the message says why."""


def _needs(library: str, peer: str, cell: str, cells: Any = None) -> Any:
    """The library, imported."""
    if cells is not None and cell not in cells:
        raise NoPeer(f"{peer} has no {cell}")
    try:
        return import_module(library)
    except ImportError as e:
        raise NoPeer(f"{peer}: {library} is not installed") from e


def the_cell(cell: str) -> Cell:
    """minigrad's cell for one of torch.nn's layers, or the built-in cell of that name."""
    return (CELLS | VARIANTS)[TORCH.get(cell, cell)]


def numbers(cell: str, T: int, B: int, d: int, n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters of `the_cell`, and an input: float32."""
    rng, k, one = np.random.default_rng(0), 1 / np.sqrt(n), the_cell(cell)
    shapes = {name: one.shape(name, {"n": n, "d": d}) for name in one.params}
    params = {name: rng.uniform(-k, k, shape).astype("float32") for name, shape in shapes.items()}
    return params, rng.standard_normal((T, B, d)).astype("float32")


def minigrad(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """minigrad's cell of ten lines, through scan."""
    one = the_cell(cell)
    params, x = numbers(cell, T, B, d, n)
    state = one.zero_state(B, n=n, dtype="float32")

    def outputs(params: Any, x: Any) -> Any:
        return mg.scan(one, state, x, params)[1]

    def loss(params: Any, x: Any) -> Any:
        y = outputs(params, x)
        return (y * y).mean()

    step = mg.value_and_grad(loss, (0, 1))
    arguments = {k: mg.tensor(v) for k, v in params.items()}, mg.tensor(x)

    def run() -> tuple:
        if not train:
            return (outputs(*arguments).numpy(),)
        value, (grads, dx) = step(*arguments)
        return value.item(), *(grads[k].numpy() for k in params), dx.numpy()

    return run


def torch_nn(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """torch.nn's own layer, in C++."""
    torch = _needs("torch", "torch.nn", cell, TORCH)
    params, x = numbers(cell, T, B, d, n)
    layer = getattr(torch.nn, cell.upper())(d, n)
    with torch.no_grad():
        for name, value in params.items():
            getattr(layer, f"{name}_l0").copy_(torch.tensor(value))
    return _torch_step(torch, [getattr(layer, f"{k}_l0") for k in params], x, lambda x: layer(x)[0], train)


def torch_loop(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """The cell's equations in torch, in a Python loop, as one writes a cell of one's own."""
    torch = _needs("torch", "torch loop", cell)
    from .equations import EQUATIONS

    if cell not in EQUATIONS:
        raise NoPeer(f"torch loop has no {cell}")
    params, x = numbers(cell, T, B, d, n)
    p = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    states = len(the_cell(cell).states)

    def outputs(x: Any) -> Any:
        state, out = [torch.zeros(B, n)] * states, []
        for t in range(T):
            state = EQUATIONS[cell](*state, x[t], **p)
            out.append(state[0])
        return torch.stack(out)

    return _torch_step(torch, list(p.values()), x, outputs, train)


def _torch_step(torch: Any, params: list, x: np.ndarray, outputs: Callable[[Any], Any], train: bool) -> Step:
    torch.set_num_threads(1)
    xt = torch.tensor(x, requires_grad=train)

    def run() -> tuple:
        if not train:
            with torch.inference_mode():
                return (outputs(xt).numpy(),)
        for v in (*params, xt):
            v.grad = None
        value = (outputs(xt) ** 2).mean()
        value.backward()
        return value.item(), *(v.grad.numpy() for v in params), xt.grad.numpy()

    return run


def jax_scan(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """The same equations under jax.jit and jax.lax.scan, the input's product before the loop."""
    jax = _needs("jax", "jax.lax.scan", cell, TORCH)
    jnp = jax.numpy
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

    def outputs(p: Any, x: Any) -> Any:
        zx = x @ p["weight_ih"].T + p["bias_ih"]

        def body(state: Any, z: Any) -> Any:
            state = step(state, z, p["weight_hh"], p["bias_hh"])
            return state, state[0]

        _, y = jax.lax.scan(body, (jnp.zeros((B, n)),) * (2 if cell == "lstm" else 1), zx)
        return y

    def loss(p: Any, x: Any) -> Any:
        y = outputs(p, x)
        return (y * y).mean()

    forward, both = jax.jit(outputs), jax.jit(jax.value_and_grad(loss, (0, 1)))

    def run() -> tuple:
        if not train:
            return (np.asarray(jax.block_until_ready(forward(params, x))),)
        value, (grads, dx) = jax.block_until_ready(both(params, x))
        return float(value), *(np.asarray(grads[k]) for k in params), np.asarray(dx)

    return run


def floor(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """Nothing but the matrix products of the step, in numpy: what no program with this BLAS can beat."""
    if cell not in GATES:
        raise NoPeer(f"GEMM floor has no {cell}")
    g, rng = GATES[cell] * n, np.random.default_rng(1)
    W, U, x, h, D = (
        rng.standard_normal(s).astype("float32") for s in ((d, g), (n, g), (T * B, d), (T * B, n), (T * B, g))
    )
    z, dh, UT = np.empty((B, g), "float32"), np.empty((B, n), "float32"), np.ascontiguousarray(U.T)

    def run() -> tuple:
        x @ W
        for t in range(T):
            np.dot(h[t * B : (t + 1) * B], U, z)
        if not train:
            return ()
        for t in range(T):
            np.dot(D[t * B : (t + 1) * B], UT, dh)
        h.T @ D
        x.T @ D
        D @ W.T
        return ()

    return run


PEERS: dict[str, Callable[..., Step]] = {
    "minigrad": minigrad, "torch.nn": torch_nn, "torch loop": torch_loop, "jax.lax.scan": jax_scan,
    "GEMM floor": floor,
}  # fmt: skip
