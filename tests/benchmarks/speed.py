"""How long a training step takes, next to others: `python -m tests.benchmarks.speed [--write]`.

One process per peer and cell, one thread, pinned to one core where the system can; processor time, so that
what else runs on the machine counts little; medians of at least five steps, the better of two rounds.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "speed.md"
GRID = [
    (35, 1, 16, 32),
    (35, 32, 32, 32),
    (35, 32, 64, 128),
    (100, 32, 128, 256),
    (64, 64, 256, 512),
    (35, 20, 650, 650),
]
CELLS = ("rnn", "lstm", "gru")
ONE = {k: "1" for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
BARS = {"torch.nn": 1.5, "torch loop": 0.5, "jax.lax.scan": 1.0}  # geometric means, numpy runner


def median_ms(step, seconds: float) -> float:
    """Processor time of one step in ms: the median of at least five, after two that are not counted."""
    step()
    step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2] * 1e3


def worker(peer: str, cell: str, sizes: list[tuple[int, ...]], seconds: float) -> None:
    """Time one peer; prints a line of JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from .peers import PEERS

    try:
        print(json.dumps([median_ms(PEERS[peer](cell, *size), seconds) for size in sizes]))
    except ImportError as e:
        print(json.dumps(str(e)))


def measured(peers: list[str], cells: tuple[str, ...], sizes: list[tuple[int, ...]], seconds: float) -> dict:
    """{(peer, cell): [ms for each size]}, the better of two rounds, of the peers that are installed."""
    best: dict[tuple[str, str], list[float]] = {}
    for _ in range(2):
        for cell in cells:
            for peer in peers:
                task = json.dumps([peer, cell, sizes, seconds])
                done = subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.speed", "--worker", task],
                    cwd=ROOT, env=os.environ | ONE, capture_output=True, text=True, check=True,
                )  # fmt: skip
                found = json.loads(done.stdout.splitlines()[-1])
                if not isinstance(found, str):
                    old = best.get((peer, cell), found)
                    best[peer, cell] = [min(a, b) for a, b in zip(old, found, strict=True)]
    return best


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def ratios(times: dict, peer: str) -> dict[str, list[float]]:
    """{cell: [minigrad's time over the peer's, for each size]}."""
    return {
        cell: [a / b for a, b in zip(times["minigrad", cell], times[peer, cell], strict=True)]
        for cell in CELLS if (peer, cell) in times and ("minigrad", cell) in times
    }  # fmt: skip


def table(times: dict, sizes: list[tuple[int, ...]]) -> str:
    """The times, and under them the ratios, as Markdown."""
    heads = [str(s).replace(" ", "") for s in sizes]
    lines = [f"| ms | {' | '.join(heads)} |", f"|---{'|---' * len(sizes)}|"]
    for (peer, cell), row in sorted(times.items(), key=lambda item: (CELLS.index(item[0][1]), item[0][0])):
        lines.append(f"| {cell.upper()} {peer} | {' | '.join(f'{v:.3g}' for v in row)} |")
    lines += ["", f"| minigrad over | {' | '.join(heads)} | mean |", f"|---{'|---' * (len(sizes) + 1)}|"]
    for peer in sorted({p for p, _ in times} - {"minigrad"}):
        found = ratios(times, peer)
        for cell, row in found.items():
            lines.append(
                f"| {peer}, {cell.upper()} | {' | '.join(f'{v:.2f}' for v in row)} | {mean(row):.2f} |"
            )
        every = [v for row in found.values() for v in row]
        blank = " | ".join("" for _ in sizes)
        lines.append(f"| **{peer}, all three** | {blank} | **{mean(every):.2f}** (worst {max(every):.2f}) |")
    return "\n".join(lines)


def runner() -> str:
    """Which of minigrad's runners was timed, and what with."""
    import numpy

    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.machine(),
    )
    with_numba = f", numba {version('numba')}" if kernels() else ""
    python = f"Python {platform.python_version()}, numpy {numpy.__version__}{with_numba}"
    return f"{datetime.date.today()}; {python}; {cpu}, one thread"


def kernels() -> bool:
    """Whether minigrad's loops are compiled by numba here."""
    return importlib.util.find_spec("numba") is not None


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def write(text: str) -> None:
    """Put the table into docs/speed.md, after the mark of this runner and before the next."""
    begin, end = f"<!-- {'numba' if kernels() else 'numpy'} -->", "<!-- end -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def main() -> None:
    """Measure, print, and perhaps write the page."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--worker", help=argparse.SUPPRESS)
    args.add_argument("--grid", default=",".join(map(str, range(len(GRID)))), help="which sizes, by number")
    args.add_argument("--cells", default=",".join(CELLS))
    args.add_argument("--peers", default="minigrad,torch.nn,torch loop,jax.lax.scan,GEMM floor")
    args.add_argument("--seconds", type=float, default=0.3, help="how long each is timed at least")
    args.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    given = args.parse_args()
    if given.worker:
        peer, cell, sizes, seconds = json.loads(given.worker)
        return worker(peer, cell, [tuple(s) for s in sizes], seconds)
    sizes = [GRID[int(k)] for k in given.grid.split(",")]
    times = measured(given.peers.split(","), tuple(given.cells.split(",")), sizes, given.seconds)
    text = f"{runner()}; sizes are (T, batch, input, hidden).\n\n{table(times, sizes)}"
    print(text)
    if given.write:
        write(text)


if __name__ == "__main__":
    main()
