"""What every peer computes: a layer of one cell, its numbers, one step of it.

A training step is forward, the mean of the squared outputs, and the gradients of all parameters and of the
input; it returns the mean and the gradients, in that order. Without `train` it is forward alone, and returns
the outputs, stacked over time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS, VARIANTS
from ..cells.cell import Cell

Step = Callable[[], tuple]
LAYERS = {"rnn": "torch_rnn_tanh", "lstm": "torch_lstm", "gru": "torch_gru"}  # torch.nn's -> our cell
NO_LAYER = ("lstm_peephole", "mgu", "li_gru", "min_gru", "layer_norm_lstm")  # nowhere fused
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Size(NamedTuple):
    """T steps, a batch of B, d inputs, n hidden units."""

    T: int
    B: int
    d: int
    n: int

    def __str__(self) -> str:
        return f"({self.T},{self.B},{self.d},{self.n})"


GRID = [
    Size(35, 1, 16, 32),
    Size(35, 32, 32, 32),
    Size(35, 32, 64, 128),
    Size(100, 32, 128, 256),
    Size(64, 64, 256, 512),
    Size(35, 20, 650, 650),
    Size(1000, 8, 64, 128),
]


class NoPeer(LookupError):
    """The peer cannot be timed here; the message says why."""


def the_cell(cell: str) -> Cell:
    """minigrad's cell for one of torch.nn's layers, or the built-in cell of that name."""
    return (CELLS | VARIANTS)[LAYERS.get(cell, cell)]


def numbers(cell: str, T: int, B: int, d: int, n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters of `the_cell`, and an input (T, B, d): float32, the same at each call."""
    rng, k, one = np.random.default_rng(0), 1 / np.sqrt(n), the_cell(cell)
    shapes = {name: one.shape(name, {"n": n, "d": d}) for name in one.params}
    params = {name: rng.uniform(-k, k, shape).astype("float32") for name, shape in shapes.items()}
    return params, rng.standard_normal((T, B, d)).astype("float32")


def needs(library: str, peer: str, cell: str, cells: Any) -> Any:
    """The library, imported. Raises NoPeer if the peer has no such cell, or the library is not there."""
    if cell not in cells:
        raise NoPeer(f"{peer} has no {cell}")
    try:
        return import_module(library)
    except ImportError as e:
        raise NoPeer(f"{peer}: {library} is not installed") from e
