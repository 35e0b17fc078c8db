"""Whom minigrad's step is timed next to: each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..cells import CELLS, VARIANTS
from . import others, own, torches
from .problem import LAYERS, NO_LAYER, Step


class Peer(NamedTuple):
    """How a step is made, of which cells, with what set for the process; `aside`: looked at once, and not for long."""

    step: Callable[..., Step]
    cells: Sequence[str] = (*LAYERS, *NO_LAYER)
    settings: tuple[tuple[str, str], ...] = ()
    aside: bool = False


OURS = (*LAYERS, *CELLS, *VARIANTS)
PEERS: dict[str, Peer] = {
    "numpy runner": Peer(own.ours, OURS, (("MINIGRAD_KERNELS", "0"),)),
    "numba runner": Peer(own.with_numba, OURS),
    "torch.nn": Peer(torches.torch_nn, tuple(LAYERS)),
    "torch loop": Peer(torches.torch_loop),
    "jax.lax.scan": Peer(others.jax_scan),
    "numpy GEMM": Peer(own.numpy_floor, tuple(LAYERS)),
    "torch GEMM": Peer(own.torch_floor, tuple(LAYERS)),
    "HIPS autograd": Peer(others.hips_autograd, tuple(LAYERS), aside=True),
    "PyTensor scan": Peer(others.pytensor_scan, tuple(LAYERS), aside=True),
    "torch.compile": Peer(torches.torch_compile, tuple(LAYERS), aside=True),
}
RUNNERS = ("numpy runner", "numba runner")
FLOORS = ("numpy GEMM", "torch GEMM")
