"""Measures the peers and writes the table.

One process per peer and cell, one thread, pinned to one core where the system can; processor time, so that
what else runs on the machine counts little; medians of at least five steps, the better of two rounds.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from ..cells import CELLS, VARIANTS
from .peers import PEERS, TORCH, NoPeer, Step

Size = tuple[int, int, int, int]
Times = dict[tuple[str, str], list[float]]  # (peer, cell) -> ms for each size
ROOT = Path(__file__).resolve().parents[2]
GRID: list[Size] = [  # T, batch, input, hidden
    (35, 1, 16, 32),
    (35, 32, 32, 32),
    (35, 32, 64, 128),
    (100, 32, 128, 256),
    (64, 64, 256, 512),
    (35, 20, 650, 650),
    (1000, 8, 64, 128),
]
LAYERS = ("rnn", "lstm", "gru")
NO_LAYER = ("lstm_peephole", "mgu", "li_gru", "min_gru", "layer_norm_lstm")  # nowhere fused
ONE = {k: "1" for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
BARS = {"torch.nn": 1.5, "torch loop": 0.5, "jax.lax.scan": 1.0}  # geometric means, numpy runner


def median_ms(step: Step, seconds: float) -> float:
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


def worker(peer: str, cell: str, sizes: Sequence[Size], seconds: float, train: bool) -> list[float] | str:
    """A peer's ms for each size, timed in this process on one core; or why it cannot be timed."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        return [median_ms(PEERS[peer](cell, *size, train), seconds) for size in sizes]
    except NoPeer as e:
        return str(e)


def measured(
    peers: Sequence[str],
    cells: Sequence[str],
    sizes: Sequence[Size],
    seconds: float,
    train: bool = True,
    say: Callable[[str], None] = print,
) -> Times:
    """The better of two rounds, of the peers that are there; says which are skipped, and why."""
    best: Times = {}
    skipped: dict[str, None] = {}
    for _ in range(2):
        for cell in cells:
            for peer in peers:
                task = json.dumps([peer, cell, sizes, seconds, train])
                done = subprocess.run(
                    [sys.executable, "-m", "minigrad.bench", task],
                    cwd=ROOT, env=os.environ | ONE, stdout=subprocess.PIPE, text=True, check=True,
                )  # fmt: skip
                found = json.loads(done.stdout.splitlines()[-1])
                if isinstance(found, str):
                    skipped[found] = None
                else:
                    old = best.get((peer, cell), found)
                    best[peer, cell] = [min(a, b) for a, b in zip(old, found, strict=True)]
    for why in skipped:
        say(f"skipped: {why}")
    return best


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def ratios(times: Times, peer: str) -> dict[str, list[float]]:
    """{cell: [minigrad's time over the peer's, for each size]}."""
    return {
        cell: [a / b for a, b in zip(mine, times[peer, cell], strict=True)]
        for (whose, cell), mine in times.items() if whose == "minigrad" and (peer, cell) in times
    }  # fmt: skip


def table(times: Times, sizes: Sequence[Size]) -> str:
    """The times, and under them the ratios, as Markdown."""
    heads = [str(s).replace(" ", "") for s in sizes]
    cells = list(dict.fromkeys(cell for _, cell in times))
    lines = [f"| ms | {' | '.join(heads)} |", f"|---{'|---' * len(sizes)}|"]
    for (peer, cell), row in sorted(times.items(), key=lambda item: (cells.index(item[0][1]), item[0][0])):
        lines.append(f"| {label(cell)} {peer} | {' | '.join(f'{v:.3g}' for v in row)} |")
    lines += ["", f"| minigrad over | {' | '.join(heads)} | mean |", f"|---{'|---' * (len(sizes) + 1)}|"]
    for peer in sorted({p for p, _ in times} - {"minigrad"}):
        found = ratios(times, peer)
        if not found:
            continue
        for cell, row in found.items():
            lines.append(
                f"| {peer}, {label(cell)} | {' | '.join(f'{v:.2f}' for v in row)} | {mean(row):.2f} |"
            )
        every = [v for row in found.values() for v in row]
        blank = " | ".join("" for _ in sizes)
        lines.append(f"| **{peer}, all** | {blank} | **{mean(every):.2f}** (worst {max(every):.2f}) |")
    return "\n".join(lines)


def label(cell: str) -> str:
    """A layer in capitals, as torch.nn has it; another cell by its name."""
    return cell.upper() if cell in LAYERS else cell


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


def put(page: Path, mark: str, text: str) -> None:
    """Put a table into a page, between the line `<!-- mark -->` and the next `<!-- end -->`.

    Raises ValueError where the page has no such line.
    """
    begin, end, whole = f"<!-- {mark} -->", "<!-- end -->", page.read_text(encoding="utf-8")
    if begin not in whole:
        raise ValueError(f"{page}: no line {begin} to put the table after; write it, and {end} under it")
    before, rest = whole.split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def report(
    cells: str, peers: str, grid: str, seconds: float, inference: bool, page: str | None, say: Callable[[str], None]
) -> str:
    """What the command prints: its options, as text, are those of `minigrad bench`.

    Raises ValueError for a cell, peer or size that there is not, or a page without the table's mark.
    """
    names = NO_LAYER if cells == "unfused" else tuple(cells.split(","))
    sizes = [GRID[int(k)] for k in chosen(grid, [str(k) for k in range(len(GRID))], "size")]
    whom = chosen(peers, list(PEERS), "peer")
    for name in names:
        chosen(TORCH.get(name, name), [*CELLS, *VARIANTS], "cell")
    times = measured(whom, names, sizes, seconds, not inference, say)
    what = "inference alone" if inference else "one training step"
    text = f"{runner()}; {what}; sizes are (T, batch, input, hidden).\n\n{table(times, sizes)}"
    if page:
        unfused = " unfused" if names == NO_LAYER else ""
        mark = f"{'numba' if kernels() else 'numpy'}{unfused}{' inference' if inference else ''}"
        put(Path(page), mark, text)
    return text


def chosen(text: str, known: Sequence[str], what: str) -> list[str]:
    """The names in a text with commas. Raises ValueError for one that is not known."""
    names = text.split(",")
    for name in names:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}; choose among {', '.join(known)}")
    return names
