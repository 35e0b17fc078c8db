"""PyTorch: its own layer in C++, a cell of one's own in a Python loop, and that loop under torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .equations import EQUATIONS
from .problem import LAYERS, Step, needs, numbers, the_cell


def functions(torch: Any) -> Any:
    """What the equations are written in; layer normalisation is one call, as everybody writes it."""
    return SimpleNamespace(
        tanh=torch.tanh, sigmoid=torch.sigmoid, relu=torch.relu,
        cat=lambda parts: torch.cat(parts, -1), split=lambda z, k: z.chunk(k, -1),
        layer_norm=lambda z, gain, bias: torch.nn.functional.layer_norm(z, gain.shape, gain, bias),
    )  # fmt: skip


def torch_nn(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """torch.nn's own layer."""
    torch = needs("torch", "torch.nn", cell, LAYERS)
    params, x = numbers(cell, T, B, d, n)
    layer = getattr(torch.nn, cell.upper())(d, n)
    with torch.no_grad():
        for name, value in params.items():
            getattr(layer, f"{name}_l0").copy_(torch.tensor(value))
    return _step(torch, [getattr(layer, f"{k}_l0") for k in params], x, lambda x: layer(x)[0], train)


def torch_loop(
    cell: str, T: int, B: int, d: int, n: int, train: bool = True, compiled: bool = False
) -> Step:
    """The cell's equations in a Python loop, as one writes a cell of one's own."""
    torch = needs("torch", "torch.compile" if compiled else "torch loop", cell, EQUATIONS)
    params, x = numbers(cell, T, B, d, n)
    p = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    m, one, states = functions(torch), EQUATIONS[cell], len(the_cell(cell).states)

    def outputs(x: Any) -> Any:
        state, out = (torch.zeros(B, n),) * states, []
        for t in range(T):
            state = one(m, state, x[t], p)
            out.append(state[0])
        return torch.stack(out)

    run = torch.compile(outputs, dynamic=False) if compiled else outputs
    return _step(torch, list(p.values()), x, run, train)


def torch_compile(cell: str, T: int, B: int, d: int, n: int, train: bool = True) -> Step:
    """The same loop under torch.compile, which unrolls it."""
    return torch_loop(cell, T, B, d, n, train, compiled=True)


def _step(torch: Any, params: list, x: np.ndarray, outputs: Callable[[Any], Any], train: bool) -> Step:
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
