"""How a training step's cost grows with T, and that tracing, cutting and emitting do not grow.

What is done only once is counted: the calls of Python and C functions in the first step that are not in the
second. A count is the same on every machine, busy or not. Time is processor time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .measure import LEAST, Say
from .peers import PEERS, RUNNERS
from .problem import NoPeer, Size, Step
from .process import Setting, python_of, results
from .tables import markdown, short

CELL = "lstm"
LENGTHS = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
LARGE = 100  # from here on the second exponent


def counted(step: Step) -> int:
    """How many functions a step calls, of Python or C."""
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(before)
    return calls


def once(step: Step) -> int:
    """Calls that the first step makes and the second does not."""
    first = counted(step)
    return first - counted(step)


def costs(runner: str, T: int) -> Iterator[list | str]:
    """In a process: calls made only once; seconds of a step, the median of `LEAST` or more."""
    try:
        step = PEERS[runner].step(CELL, *Size(T, 1, 16, 32), True)
    except NoPeer as e:
        yield str(e)
        return
    only_once = once(step)
    times: list[float] = []
    end = time.perf_counter() + 0.3
    while len(times) < LEAST or time.perf_counter() < end:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    yield [only_once, statistics.median(times)]


def exponent(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """p of the fit seconds = c T^p, by least squares of the logarithms."""
    return float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0])


def table(how: Setting, say: Say, lengths: Sequence[int] = LENGTHS) -> str:
    """For each runner that is there: ms at each T, exponents, and what is done only once."""
    rows = []
    for runner in RUNNERS:
        start, found = time.perf_counter(), []
        env = dict(PEERS[runner].settings)
        for T in (lengths[0], *lengths):  # the first is not counted: it fills numba's cache on disk
            (one,) = results("length:costs", [runner, T], how, python_of(runner, how), 600, **env)
            if isinstance(one, str):
                say(f"skipped: {one}")
                break
            found.append(one)
        else:
            say(f"length: {runner}, {time.perf_counter() - start:.0f} s")
            calls, seconds = zip(*found[1:], strict=True)
            long = [(T, s) for T, s in zip(lengths, seconds, strict=True) if T >= LARGE]
            powers = [exponent(lengths, seconds)] + [exponent(*zip(*long, strict=True))] * (len(long) > 1)
            shown = " and ".join(f"{p:.2f}" for p in powers)
            rows.append([f"{runner}, ms", *(short(s * 1e3) for s in seconds), shown])
            rows.append([f"{runner}, calls made once", *map(str, calls), ""])
    return markdown(["T", *map(str, lengths), f"exponent, all and T ≥ {LARGE}"], rows)
