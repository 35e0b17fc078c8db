"""Where the time of a training step goes: in the loops over time, before and after them, in the engine around them.

By Python's own profiler, which makes the engine's many small calls look dearer than they are: for shares, not for ms.
"""

from __future__ import annotations

import cProfile
import pstats
import re
import time
from collections.abc import Iterator, Sequence

from .measure import LEAST, Ask, Say, median_ms
from .own import numpy_floor
from .peers import PEERS, RUNNERS
from .problem import NoPeer, Size
from .process import python_of, results
from .tables import markdown, short

PARTS = {  # what the time goes to -> file:function of the code; the first that is found there, else the rest
    "loops over time": r"<loop|/kernels/.*:loop$|fast/(loop|native)\.py",
    "before and after the loops": r"<(before|after|sums)|/kernels/|minigrad/fast/",
    "engine around them, loss": r"minigrad/(engine|domains|cells)/",
}
REST = "the rest"


def part(file: str, function: str) -> str:
    """What a function of a file belongs to."""
    text = f"{file}:{function}".replace("\\", "/")
    return next((name for name, pattern in PARTS.items() if re.search(pattern, text)), REST)


def shares(peer: str, cell: str, size: Sequence[int], seconds: float) -> Iterator[list[float] | str]:
    """In the process of a runner: ms of a step, the same of its products alone, and the share of each part."""
    try:
        step = PEERS[peer].step(cell, *size, True)
    except NoPeer as e:
        yield str(e)
        return
    ms = [median_ms(run, seconds, time.process_time) for run in (step, numpy_floor(cell, *Size(*size)))]
    profile = cProfile.Profile()
    for _ in range(max(LEAST, int(seconds * 1e3 / ms[0]))):
        profile.runcall(step)
    spent = dict.fromkeys((*PARTS, REST), 0.0)
    for (file, _, name), (_, _, own, _, callers) in _entries(profile):
        if file == "~" and callers:  # built in: part of what called it, each caller its share
            for (whose, _, caller), (_, _, theirs, _) in callers.items():
                spent[part(whose, caller)] += theirs
        else:
            spent[part(file, name)] += own
    whole = sum(spent.values())
    yield [*ms, *(s / whole for s in spent.values())]


def _entries(profile: cProfile.Profile) -> list:
    """((file, line, name), (calls, calls, own seconds, seconds with callees, callers)) of each function."""
    return list(pstats.Stats(profile).stats.items())  # type: ignore[attr-defined]


def table(ask: Ask, say: Say, cell: str) -> str:
    """For each runner that is there and each size: ms of a step, of its products, and the shares."""
    rows = []
    for runner in RUNNERS:
        env = dict(PEERS[runner].settings)
        for size in ask.sizes:
            asked = [runner, cell, size, ask.seconds]
            (found,) = results("profile:shares", asked, ask.how, python_of(runner, ask.how), 600, **env)
            if isinstance(found, str):
                say(f"skipped: {found}")
                break
            ms, products, *parts = found
            rows.append([runner, str(size), short(ms), short(products), *(f"{100 * s:.0f} %" for s in parts)])
    return markdown(["runner", "size", "ms", "products alone, ms", *PARTS, REST], rows)
