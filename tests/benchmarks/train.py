"""A training step of a character LSTM, next to torch.nn's: `python -m tests.benchmarks.train`.

`minigrad train`'s own step (read a chunk, one-hot rows, layers, read-out, loss, BPTT, clipped gradient, Adam), and the
same model in torch.nn with the same weights, the same order of the text and torch's Adam. One process, one thread,
the two in turn; processor time, medians, and the median of the ratios of neighbours, so that what else runs here
counts little.
"""

from __future__ import annotations

import argparse
import cProfile
import datetime
import math
import os
import pstats
import time
from collections.abc import Callable

import numpy as np

from minigrad.bench.own import numpy_floor
from minigrad.cells import CELLS
from minigrad.train import Reader, Settings, Training, default_text

from .eager import median

SIZES = (Settings(), Settings(hidden=128, layers=1, length=32), Settings(hidden=512))


def ours(text: str, settings: Settings, cell: str = "torch_lstm") -> Training:
    """minigrad's training; of the cell that torch has, unless another is named."""
    return Training(text, settings, CELLS[cell])


def torch_peer(training: Training, text: str, dtype: str = "float32") -> Callable[[], float]:
    """One step of the same model in torch.nn, as its documentation writes it: the loss in bits per character."""
    import torch

    s, model, functional = training.settings, training.model, torch.nn.functional
    k, kind = len(model.vocabulary), getattr(torch, dtype)
    layers = torch.nn.LSTM(k, s.hidden, s.layers, dtype=kind)
    readout = torch.nn.Linear(s.hidden, k, dtype=kind)
    with torch.no_grad():
        for name, p in layers.named_parameters():
            p.copy_(torch.tensor(model.params[name].numpy()))
        readout.weight.copy_(torch.tensor(model.params["W_hq"].numpy().T))
        readout.bias.copy_(torch.tensor(model.params["b_q"].numpy()))
    params = [*layers.parameters(), *readout.parameters()]
    adam = torch.optim.Adam(params, s.lr)
    read = Reader(model.encode(text), s.batch, s.length, np.random.default_rng())
    read.state = training.reader.state
    zeros = torch.zeros(s.layers, s.batch, s.hidden, dtype=kind)
    state = [(zeros, zeros)]

    def step() -> float:
        x, y, first = (v if isinstance(v, bool) else torch.tensor(v.astype("int64")) for v in read.read())
        adam.zero_grad()
        h, after = layers(functional.one_hot(x, k).to(kind), (zeros, zeros) if first else state[0])
        loss = functional.cross_entropy(readout(h).reshape(-1, k), y.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, s.clip)
        adam.step()
        state[0] = tuple(v.detach() for v in after)
        return loss.item() / math.log(2)

    return step


def products(training: Training) -> Callable[[], object]:
    """The matrix products of the layers and nothing else, by numpy: what no program with its BLAS can beat."""
    s, k = training.settings, len(training.model.vocabulary)
    layers = [numpy_floor("lstm", s.length, s.batch, s.hidden if i else k, s.hidden) for i in range(s.layers)]
    return lambda: [run() for run in layers]


def measured(settings: Settings, seconds: float, cells: tuple[str, ...]) -> dict[str, list[float]]:
    """Processor time in ms of every step of each, in turn; at least five of each."""
    import torch

    torch.set_num_threads(1)
    text = default_text()
    runs: dict[str, Callable[[], object]] = {f"minigrad {cell}": ours(text, settings, cell).step for cell in cells}
    runs["torch.nn"] = torch_peer(ours(text, settings), text)
    runs["its products, numpy"] = products(ours(text, settings))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(), run()  # warm
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["torch.nn"]) < 5:
        for name, run in runs.items():
            start = time.process_time()
            run()
            times[name].append((time.process_time() - start) * 1e3)
    return times


def table(found: dict[Settings, dict[str, list[float]]]) -> str:
    """Times, characters a second, and ratios, as Markdown."""
    lines = [
        "| hidden, layers, batch, length | training step of | ms | characters a second | over torch.nn's time |",
        "|---|---|---|---|---|",
    ]
    for s, times in found.items():
        for name, ts in times.items():
            ratio = median([a / b for a, b in zip(ts, times["torch.nn"], strict=True)])
            speed = s.batch * s.length / median(ts) * 1e3
            size = f"{s.hidden}, {s.layers}, {s.batch}, {s.length}"
            lines.append(f"| {size} | {name} | {median(ts):.1f} | {speed:,.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def profile(settings: Settings, cell: str, steps: int = 20) -> None:
    """Print where the processor time of some steps goes."""
    training = ours(default_text(), settings, cell)
    for _ in range(2):
        training.step()
    found = cProfile.Profile(time.process_time)
    found.enable()
    for _ in range(steps):
        training.step()
    found.disable()
    pstats.Stats(found).sort_stats("tottime").print_stats(20)


def main() -> None:
    """Measure and print."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--sizes", default="0,1", help="which sizes, by number")
    args.add_argument("--cells", default="torch_lstm,lstm")
    args.add_argument("--seconds", type=float, default=15.0, help="how long each size is timed")
    args.add_argument("--profile", action="store_true", help="where the time goes, of the first size and cell")
    given = args.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sizes, cells = [SIZES[int(k)] for k in given.sizes.split(",")], tuple(given.cells.split(","))
    if given.profile:
        return profile(sizes[0], cells[0])
    print(f"{datetime.date.today()}\n")
    print(table({s: measured(s, given.seconds, cells) for s in sizes}))


if __name__ == "__main__":
    main()
