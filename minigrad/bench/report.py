"""What `minigrad bench` prints: the tables that were asked for, each with its machine and date."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..cells import CELLS, VARIANTS
from . import first, length, profile
from .measure import Ask, Say, measured, timed_peers
from .peers import PEERS, RUNNERS
from .problem import GRID, LAYERS, NO_LAYER
from .process import Setting, results
from .tables import bars_table, ratios_table, times_table

LIBRARIES = ("numpy", "numba", "torch", "jax", "autograd", "pytensor")


def training(ask: Ask, say: Say) -> str:
    """A training step: times, ratios, bars."""
    return _steps(ask, say, "One training step: forward, mean of squares, gradients of all parameters and the input.")


def inference(ask: Ask, say: Say) -> str:
    """Forward alone, under the same bars."""
    text = "Inference alone: forward, no gradients. The bars are those of a training step."
    return _steps(ask._replace(train=False), say, text)


def compiling(ask: Ask, say: Say) -> str:
    """What the first call costs."""
    text = (
        f"The first call of a cell of one's own ({first.CELL}; batch 8, input 32, hidden 64), a training step: time "
        "on the wall.\nStopped after the time with a >. Caches on disk are empty unless it says warm."
    )
    return f"{text}\n\n{first.table(ask.how, ask.limit, say)}"


def growing(ask: Ask, say: Say) -> str:
    """How cost grows with T."""
    text = "One training step of the LSTM, batch 1, input 16, hidden 32, as T grows; calls of functions made only once."
    return f"{text}\n\n{length.table(ask.how, say)}"


def profiled(ask: Ask, say: Say) -> str:
    """Where the time goes."""
    text = "Where the time of one training step of the LSTM goes, by Python's profiler."
    return f"{text}\n\n{profile.table(ask, say, 'lstm')}"


TABLES: dict[str, Callable[[Ask, Say], str]] = {
    "training": training, "inference": inference, "compile": compiling, "length": growing, "profile": profiled,
}  # fmt: skip


def _steps(ask: Ask, say: Say, what: str) -> str:
    times = measured(ask, say)
    clock = "processor time" if ask.how.one else "time on the wall"
    rounds = f"middle of {ask.rounds} rounds; (lowest-highest)" if ask.rounds > 1 else "one round"
    head = f"{what}\nms of {clock}, {rounds}; sizes are (T, batch, input, hidden)."
    tables = [times_table(times, ask.cells, ask.sizes)]
    tables += [ratios_table(times, r, ask.cells, ask.sizes) for r in RUNNERS if r in timed_peers(times)]
    return "\n\n".join([head, *tables, bars_table(times, ask.cells, ask.sizes)])


def machine(how: Setting) -> str:
    """Date, versions, processor, threads."""
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "")
    threads = "one thread on one core" if how.one else f"all {os.cpu_count()} cores"
    found = dict(versions())
    for python in sorted({path for _, path in how.pythons}):
        found = dict(results("report:versions", [], how, python, 60)) | found
    text = ", ".join(f"{name} {v}" for name, v in found.items())
    return f"{datetime.date.today()}; {cpu or platform.machine()}, {threads}; {text}."


def versions() -> Iterator[tuple[str, str]]:
    """What is installed here: names and versions."""
    yield "Python", platform.python_version()
    with suppress(ImportError):
        import threadpoolctl

        for pool in threadpoolctl.threadpool_info():
            if pool["internal_api"] == "openblas":
                yield "OpenBLAS", f"{pool['version']} ({pool['architecture']})"
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def around(page: Path, mark: str) -> tuple[str, str]:
    """What is in a page up to the line `<!-- mark -->`, and from the next `<!-- end -->` on.

    Raises ValueError where the page has no such lines.
    """
    begin, end, whole = f"<!-- {mark} -->", "<!-- end -->", page.read_text(encoding="utf-8")
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page}: no line {begin} to put the table after; write it, and {end} under it")
    return before + begin, end + after


def asked(
    cells: str, peers: str, grid: str, seconds: float, rounds: int, limit: float, threads: str, pythons: Sequence[str]
) -> Ask:
    """The options of the command, read. Raises ValueError for a cell, peer or size that there is not."""
    names = [*LAYERS, *NO_LAYER] if cells == "all" else cells.split(",")
    for name in names:
        chosen(LAYERS.get(name, name), [*CELLS, *VARIANTS], "cell")
    whom = list(PEERS) if peers == "all" else chosen(peers, list(PEERS), "peer")
    which = chosen(grid, [str(k) for k in range(len(GRID))], "size")
    found = [(text.partition("=")[0], text.partition("=")[2]) for text in pythons]
    for peer, path in found:
        chosen(peer, list(PEERS), "peer")
        if not Path(path).is_file():
            raise ValueError(f"--python {peer}={path}: there is no such file; give the path of a Python")
    how = Setting(threads == "one", tuple(found))
    return Ask(whom, names, [GRID[int(k)] for k in which], True, seconds, rounds, limit, how)


def report(tables: Sequence[str], ask: Ask, page: Path | None, say: Say, show: Say) -> None:
    """Measure the tables that are asked for, show each as it is there, and put it into the page.

    Raises ValueError for a page without a table's mark, before anything is measured.
    """
    marks = {name: name + ("" if ask.how.one else ", all cores") for name in tables}
    if page:
        for mark in marks.values():
            around(page, mark)
    for name, mark in marks.items():
        text = f"{machine(ask.how)}\n{TABLES[name](ask, say)}"
        show(f"{text}\n")
        if page:
            before, after = around(page, mark)
            page.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def chosen(text: str, known: Sequence[str], what: str) -> list[str]:
    """The names in a text with commas. Raises ValueError for one that is not known."""
    names = text.split(",")
    for name in names:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}; choose among {', '.join(known)}")
    return names
