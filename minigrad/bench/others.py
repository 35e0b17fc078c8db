"""JAX, HIPS autograd and PyTensor: the same equations, in the form that each of them is quick in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .equations import EQUATIONS
from .problem import Step, needs, numbers, the_cell

EPSILON = 1e-5  # of layer normalisation, as in torch and minigrad


def _normaliser(sqrt: Callable[[Any], Any]) -> Callable[..., Any]:
    """Layer normalisation by its formula, where a library has no such call."""

    def layer_norm(z: Any, gain: Any, bias: Any) -> Any:
        z = z - z.mean(-1, keepdims=True)
        z = z / sqrt((z * z).mean(-1, keepdims=True) + EPSILON) * gain
        return z if bias is None else z + bias

    return layer_norm


def jax_scan(cell: str, T: int, B: int, d: int, n: int, train: bool = True, unrolled: bool = False) -> Step:
    """jax.jit of jax.lax.scan, what does not see the state before the loop; or of a Python loop, `unrolled`."""
    jax = needs("jax", "jax unrolled" if unrolled else "jax.lax.scan", cell, EQUATIONS)
    jnp = jax.numpy
    m = SimpleNamespace(
        tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, relu=jax.nn.relu, cat=lambda parts: jnp.concatenate(parts, -1),
        split=lambda z, k: jnp.split(z, k, -1), layer_norm=_normaliser(jnp.sqrt),
    )  # fmt: skip
    params, x = numbers(cell, T, B, d, n)
    one, zeros = EQUATIONS[cell], (np.zeros((B, n), "float32"),) * len(the_cell(cell).states)

    def scanned(p: Any, x: Any) -> Any:
        def body(state: Any, z: Any) -> Any:
            state = one.step(m, state, z, **p)
            return state, state[0]

        return jax.lax.scan(body, zeros, one.before(m, x, **p))[1]

    def looped(p: Any, x: Any) -> Any:
        return jnp.stack(_looped(m, cell, zeros, (p, x), T))

    outputs = looped if unrolled else scanned

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


def jax_unrolled(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """jax.jit of the cell in a Python loop."""
    return jax_scan(cell, T, B, d, n, train, unrolled=True)


def _looped(m: Any, cell: str, state: tuple, args: tuple, T: int) -> list:
    """The outputs of T steps in a Python loop, of (parameters, input)."""
    (p, x), out = args, []
    for t in range(T):
        state = EQUATIONS[cell](m, state, x[t], p)
        out.append(state[0])
    return out


def hips_autograd(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """HIPS autograd in a Python loop; the logistic function as in its own LSTM example."""
    autograd = needs("autograd", "HIPS autograd", cell, EQUATIONS)
    anp = needs("autograd.numpy", "HIPS autograd", cell, EQUATIONS)
    m = SimpleNamespace(
        tanh=anp.tanh, sigmoid=lambda z: 0.5 * (anp.tanh(z / 2) + 1), relu=lambda z: anp.maximum(z, 0),
        cat=lambda parts: anp.concatenate(parts, -1), split=lambda z, k: anp.split(z, k, -1),
        layer_norm=_normaliser(anp.sqrt),
    )  # fmt: skip
    params, x = numbers(cell, T, B, d, n)
    zeros = (np.zeros((B, n), "float32"),) * len(the_cell(cell).states)

    def loss(args: Any) -> Any:
        y = anp.stack(_looped(m, cell, zeros, args, T))
        return (y * y).mean()

    both = autograd.value_and_grad(loss)

    def run() -> tuple:
        if not train:
            return (np.stack(_looped(m, cell, zeros, (params, x), T)),)
        value, (grads, dx) = both((params, x))
        return value, *(grads[k] for k in params), dx

    return run


def pytensor_scan(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """pytensor.scan, compiled as it does by itself; what does not see the state before the loop."""
    pytensor = needs("pytensor", "PyTensor scan", cell, EQUATIONS)
    params, x = numbers(cell, T, B, d, n)
    zeros = [np.zeros((B, n), "float32")] * len(the_cell(cell).states)
    compiled = _pytensor(pytensor, cell, train)

    def run() -> tuple:
        value, *grads = compiled(x, *zeros, *params.values())
        return (float(value), *grads) if train else (value,)

    return run


@functools.cache
def _pytensor(pytensor: Any, cell: str, train: bool) -> Any:
    """The compiled function of an input, the first state and the parameters: of any size."""
    with pytensor.config.change_flags(floatX="float32"):  # or a number in the equations makes all float64
        y, x, first, params = _pytensor_graph(pytensor, cell)
        loss = (y * y).mean()
        results = [loss, *pytensor.grad(loss, [*params, x])] if train else [y]
        return pytensor.function([x, *first, *params], results, on_unused_input="ignore")


def _pytensor_graph(pytensor: Any, cell: str) -> tuple[Any, Any, list, list]:
    """The outputs, as a graph on an input, a first state and parameters."""
    pt, one, ours = pytensor.tensor, EQUATIONS[cell], the_cell(cell)

    def split(z: Any, k: int) -> list:
        n = z.shape[-1] // k
        return [z[..., i * n : (i + 1) * n] for i in range(k)]

    m = SimpleNamespace(
        tanh=pt.tanh, sigmoid=pt.sigmoid, relu=lambda z: pt.maximum(z, 0), split=split,
        cat=lambda parts: pt.concatenate(parts, -1), layer_norm=_normaliser(pt.sqrt),
    )  # fmt: skip
    ranks = {k: len(ours.shape(k, {"n": 1, "d": 1})) for k in ours.params}
    params = {k: pt.tensor(k, dtype="float32", shape=(None,) * rank) for k, rank in ranks.items()}
    x, first = pt.tensor3("x", dtype="float32"), [pt.matrix(s, dtype="float32") for s in ours.states]
    rows = one.before(m, x.reshape((-1, x.shape[2])), **params)  # one product, not one for each step
    inputs = [z.reshape((x.shape[0], x.shape[1], -1)) for z in rows]

    def step(*values: Any) -> list:
        rest = iter(values)
        z, state = [next(rest) for _ in inputs], [next(rest) for _ in first]
        return list(one.step(m, state, z, **dict(zip(params, rest, strict=True))))

    found = pytensor.scan(
        step, inputs, first, list(params.values()), strict=True, return_updates=False, return_list=True
    )
    return found[0], x, first, list(params.values())
