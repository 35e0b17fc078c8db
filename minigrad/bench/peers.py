"""Whom minigrad's step is timed next to: each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import others, own, torches
from .problem import LAYERS, Step


class Peer(NamedTuple):
    """How a step is made; what is set for the process; whether it is only looked at, once, and not for long."""

    step: Callable[..., Step]
    settings: tuple[tuple[str, str], ...] = ()
    aside: bool = False


PEERS: dict[str, Peer] = {
    "numpy runner": Peer(own.ours, (("MINIGRAD_KERNELS", "0"),)),
    "numba runner": Peer(own.with_numba),
    "torch.nn": Peer(torches.torch_nn),
    "torch loop": Peer(torches.torch_loop),
    "jax.lax.scan": Peer(others.jax_scan),
    "numpy GEMM": Peer(own.numpy_floor),
    "torch GEMM": Peer(own.torch_floor),
    "HIPS autograd": Peer(others.hips_autograd, aside=True),
    "PyTensor scan": Peer(others.pytensor_scan, aside=True),
    "torch.compile": Peer(torches.torch_compile, aside=True),
}
RUNNERS = ("numpy runner", "numba runner")
FLOORS = ("numpy GEMM", "torch GEMM")


def cells_of(peer: str, cells: Sequence[str]) -> list[str]:
    """The cells that a peer is timed with: one that is only looked at, with torch.nn's layers."""
    return [c for c in cells if not PEERS[peer].aside or c in LAYERS]
