"""Times peers next to each other: one process per peer and round, round after round.

With one thread it is processor time, on one core, so that what else runs on the machine counts little; with all
cores it is time on the wall. In a process a step is run once, then at least three times: the median counts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .peers import FLOORS, PEERS, RUNNERS
from .problem import NoPeer, Size, Step
from .process import Failed, Setting, python_of, results

FLOOR = "GEMM floor"
HOUR = 3600.0  # seconds, for a peer that bars speak of
LEAST = 3  # steps that are timed, however slow
Times = dict[tuple[str, str, Size], dict[int, float]]  # (peer, cell, size) -> {round: ms of a step}
Say = Callable[[str], None]


class Ask(NamedTuple):
    """What is timed, how often, and for how many seconds; those that are only looked at end after `limit`."""

    peers: Sequence[str]
    cells: Sequence[str]
    sizes: Sequence[Size]
    train: bool = True
    seconds: float = 0.1
    rounds: int = 2
    limit: float = 60.0
    how: Setting = Setting()


def median_ms(step: Step, seconds: float, clock: Callable[[], float]) -> float:
    """Time of one step in ms: the median of `LEAST` or more, after one that is not counted."""
    step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < end:
        start = clock()
        step()
        times.append(clock() - start)
    return statistics.median(times) * 1e3


def steps(
    peer: str, cells: Sequence[str], sizes: Sequence[Sequence[int]], train: bool, seconds: float, clock: str
) -> Iterator[list]:
    """In the process of a peer: [cell, which size, ms, or why there are none]; small sizes first."""
    for k, size in enumerate(sizes):
        for cell in cells:
            try:
                step = PEERS[peer].step(cell, *size, train)
                yield [cell, k, median_ms(step, seconds, getattr(time, clock))]
            except NoPeer as e:
                yield [cell, k, str(e)]
            except Exception as e:  # another library's failure is told, ours is not to be hidden
                if peer in RUNNERS:
                    raise
                yield [cell, k, f"{peer} fails with {cell}: {str(e).strip().splitlines()[:1]}"]


def measured(ask: Ask, say: Say) -> Times:
    """The times of the peers that are there, and of the floor; says which are skipped, and why."""
    times: Times = {}
    said: set[str] = set()
    with tempfile.TemporaryDirectory() as cache:
        jax = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        for round_ in range(ask.rounds):
            for peer in ask.peers:
                one = PEERS[peer]
                if one.aside and (round_ or not ask.train):
                    continue
                cells = [c for c in ask.cells if c in one.cells]
                if not round_ and len(cells) < len(ask.cells):
                    say(f"skipped: {peer} with {', '.join(c for c in ask.cells if c not in cells)}")
                if not cells:
                    continue
                start, missing, done = time.perf_counter(), len(cells) * len(ask.sizes), False
                for cell, k, found in _asked(peer, cells, ask, jax | dict(one.settings)):
                    missing -= 1
                    if isinstance(found, str):
                        if found not in said:
                            say(f"skipped: {found}")
                        said.add(found)
                    else:
                        times.setdefault((peer, cell, ask.sizes[k]), {})[round_] = found
                        done = True
                if done or missing:
                    stopped = f"; stopped, {missing} not measured" if missing else ""
                    say(f"round {round_ + 1} of {ask.rounds}: {peer}, {time.perf_counter() - start:.0f} s{stopped}")
    return times | floor(times)


def _asked(peer: str, cells: Sequence[str], ask: Ask, env: dict[str, str]) -> Iterator[list]:
    """What `steps` finds in a process of the peer's own."""
    clock = "process_time" if ask.how.one else "perf_counter"
    arguments = [peer, cells, ask.sizes, ask.train, ask.seconds, clock]
    limit = ask.limit if PEERS[peer].aside else HOUR
    try:
        yield from results("measure:steps", arguments, ask.how, python_of(peer, ask.how), limit, **env)
    except Failed as e:
        if peer in RUNNERS:
            raise
        yield ["", 0, f"{peer} fails: {e.last}"]


def floor(times: Times) -> Times:
    """The best of the BLAS at hand, in each round."""
    found: Times = {}
    for (peer, cell, size), by_round in times.items():
        if peer in FLOORS:
            best = found.setdefault((FLOOR, cell, size), {})
            for k, ms in by_round.items():
                best[k] = min(ms, best.get(k, ms))
    return found


def ratios(times: Times, runner: str, peer: str, cell: str, size: Size) -> dict[int, float]:
    """{round: the runner's time over the peer's}; empty if one of them was not measured."""
    ours, theirs = (times.get((whose, cell, size), {}) for whose in (runner, peer))
    return {k: ours[k] / theirs[k] for k in sorted(ours.keys() & theirs.keys())}


class Mean(NamedTuple):
    """A geometric mean over cells and sizes, of the middle round, lowest, highest; the worst ratio; how many."""

    value: float
    low: float
    high: float
    worst: float
    parts: int


def mean(found: Sequence[dict[int, float]]) -> Mean | None:
    """Of the ratios of several cells and sizes; None if there are none."""
    found = [row for row in found if row]
    if not found:
        return None
    rounds = sorted(set.intersection(*(set(row) for row in found)))
    each = [statistics.geometric_mean([row[k] for row in found]) for k in rounds]
    middle = [statistics.median(row.values()) for row in found]
    return Mean(statistics.median(each), min(each), max(each), max(middle), len(found))


def several(times: Times, runner: str, peer: str, cells: Sequence[str], sizes: Sequence[Size]) -> Mean | None:
    """The mean of a runner's ratios to a peer."""
    return mean([ratios(times, runner, peer, c, s) for c in cells for s in sizes])


def timed_peers(times: Times) -> list[str]:
    """The peers in the table, runners first, the floor last."""
    order: list[Any] = [*PEERS, FLOOR]
    return sorted({peer for peer, _, _ in times}, key=order.index)
