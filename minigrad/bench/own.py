"""minigrad's own step, and the floor under every step: nothing but its matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg

from .problem import GATES, NoPeer, Step, needs, numbers, the_cell


def ours(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """minigrad's cell of ten lines, through scan, by the runner of this process."""
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


def with_numba(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """The same where numba is installed."""
    needs("numba", "numba runner", cell, (cell,))
    return ours(cell, T, B, d, n, train)


def numpy_floor(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """The products by numpy's BLAS."""

    def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
        np.dot(a, b, out)

    return _products("numpy GEMM", cell, (T, B, d, n), train, product, lambda a: a)


def torch_floor(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """The products by torch's BLAS."""
    torch = needs("torch", "torch GEMM", cell, GATES)

    def product(a: Any, b: Any, out: Any) -> None:
        torch.mm(a, b, out=out)

    return _products("torch GEMM", cell, (T, B, d, n), train, product, torch.from_numpy)


def _products(peer: str, cell: str, size: tuple[int, ...], train: bool, product: Any, made: Any) -> Step:
    """One product with all inputs, one at each step; and for the gradients one at each step and three over time.

    Fixed matrices are in row order, results go where there is memory already.
    """
    if cell not in GATES:
        raise NoPeer(f"{peer} has no {cell}")
    T, B, d, n = size
    g, rng = GATES[cell] * n, np.random.default_rng(1)

    def matrix(*shape: int) -> Any:
        return made(rng.standard_normal(shape).astype("float32"))

    x, h, D, W, U = (matrix(*s) for s in ((T * B, d), (T * B, n), (T * B, g), (d, g), (n, g)))
    UT, z, dh, zs, dx, dU, dW = (
        matrix(*s) for s in ((g, n), (B, g), (B, n), (T * B, g), (T * B, d), (n, g), (d, g))
    )
    hs, Ds = ([a[t * B : (t + 1) * B] for t in range(T)] for a in (h, D))

    def run() -> tuple:
        product(x, W, zs)
        for h_t in hs:
            product(h_t, U, z)
        if train:
            for D_t in Ds:
                product(D_t, UT, dh)
            product(h.T, D, dU)
            product(x.T, D, dW)
            product(D, W.T, dx)
        return ()

    return run
