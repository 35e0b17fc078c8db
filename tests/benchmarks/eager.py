"""What one operation costs, next to others: `python -m tests.benchmarks.eager`.

One training step of a cell in a Python loop: forward, the mean of the squared outputs, all gradients. The
same equations everywhere, in one process and on one thread, the peers in turn; processor time, and of each
peer the median, and the median of the ratios of neighbours, so that what else runs here counts little.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from minigrad.bench.equations import EQUATIONS
from minigrad.bench.others import hips_autograd
from minigrad.bench.problem import LAYERS, NoPeer, Step, numbers, the_cell
from minigrad.bench.process import ONE
from minigrad.bench.torches import torch_loop

SIZES = ((35, 1, 32, 32), (35, 32, 32, 32), (35, 4, 8, 8), (35, 32, 64, 64))  # (T, batch, input, hidden)
FIRST = SIZES[:2]  # the sizes of the bars
BARS = {"torch loop": 1.0, "HIPS autograd": 1 / 3}  # minigrad's time over theirs


def _looped(m: Any, cell: str, zeros: Any, T: int) -> Callable[[Any, Any], Any]:
    """loss(params, x): the cell in a Python loop, in the functions of m."""

    def loss(params: Any, x: Any) -> Any:
        state, out = (zeros,) * len(the_cell(cell).states), []
        for t in range(T):
            state = EQUATIONS[cell](m, state, x[t], params)
            out.append(state[0])
        y = m.stack(out)
        return (y * y).mean()

    return loss


def minigrad_loop(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """The equations in a Python loop and `backward()`."""
    import minigrad as mg

    params, x = numbers(cell, T, B, d, n)
    p = {k: mg.tensor(v, requires_grad=True) for k, v in params.items()}
    xt = mg.tensor(x, requires_grad=True)
    loss = _looped(mg, cell, mg.zeros(B, n, dtype="float32"), T)
    return _stepped(lambda: loss(p, xt), (*p.values(), xt))


def minigrad_unroll(cell: str, T: int, B: int, d: int, n: int) -> Step:
    """The library's cell through `unroll`: every node knows its step, its name and its source line."""
    import minigrad as mg

    one = the_cell(cell)
    params, x = numbers(cell, T, B, d, n)
    p = {k: mg.tensor(v, requires_grad=True) for k, v in params.items()}
    xt, state = mg.tensor(x, requires_grad=True), one.zero_state(B, n=n, dtype="float32")

    def loss() -> Any:
        y = mg.stack(mg.unroll(one, state, xt, p).outputs)
        return (y * y).mean()

    return _stepped(loss, (*p.values(), xt))


def _stepped(loss: Callable[[], Any], leaves: Sequence[Any]) -> Step:
    def run() -> Any:
        for v in leaves:
            v.grad = None
        value = loss()
        value.backward()
        return value.item(), *(v.grad.numpy() for v in leaves)

    return run


PEERS: dict[str, Callable[..., Step]] = {
    "minigrad loop": minigrad_loop, "minigrad unroll": minigrad_unroll, "torch loop": torch_loop,
    "HIPS autograd": hips_autograd,
}  # fmt: skip


def steps(cell: str, size: tuple[int, ...]) -> dict[str, Step]:
    """A step of each peer that is installed."""
    found = {}
    for name, peer in PEERS.items():
        try:
            found[name] = peer(cell, *size)
        except NoPeer:
            continue
    return found


def measured(cell: str, size: tuple[int, ...], seconds: float) -> dict[str, list[float]]:
    """Processor time in ms of every step of each peer, in turn; as many of each, at least seven."""
    runs = steps(cell, size)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(2):  # warm
        for run in runs.values():
            run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["minigrad loop"]) < 7:
        for name, run in runs.items():
            start = time.process_time()
            run()
            times[name].append((time.process_time() - start) * 1e3)
    return times


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]


def ratio(times: dict[str, list[float]], ours: str, peer: str) -> float:
    """The median of our time over the peer's, round by round."""
    return median([a / b for a, b in zip(times[ours], times[peer], strict=True)])


def table(found: dict[tuple[str, tuple[int, ...]], dict[str, list[float]]]) -> str:
    """Times and ratios as Markdown."""
    names = [n for n in PEERS if all(n in times for times in found.values())]
    pairs = [(o, p) for p in BARS if p in names for o in ("minigrad loop", "minigrad unroll")]
    heads = [*(f"{n}, ms" for n in names), *(f"{o} / {p}" for o, p in pairs)]
    lines = [f"| cell, (T, batch, input, hidden) | {' | '.join(heads)} |", f"|---{'|---' * len(heads)}|"]
    for (cell, size), times in found.items():
        row = [f"{median(times[n]):.3g}" for n in names] + [f"{ratio(times, o, p):.2f}" for o, p in pairs]
        lines.append(f"| {cell.upper()} {str(size).replace(' ', '')} | {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--cells", default=",".join(LAYERS))
    args.add_argument("--sizes", default="0,1,2,3", help="which sizes, by number")
    args.add_argument("--seconds", type=float, default=3.0, help="how long each cell and size is timed")
    given = args.parse_args()
    if not ONE.items() <= os.environ.items():  # read by the libraries as they are loaded, so: begin again
        os.execve(sys.executable, sys.orig_argv, os.environ | ONE)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sizes = [SIZES[int(k)] for k in given.sizes.split(",")]
    cells = given.cells.split(",")
    print(f"{datetime.date.today()}\n")
    print(table({(c, s): measured(c, s, given.seconds) for s in sizes for c in cells}))


if __name__ == "__main__":
    main()
