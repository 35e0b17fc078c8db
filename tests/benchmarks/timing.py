"""The best of several runs of something, its verdict, and a table of many: next to the bar that was set.

Processor time, child processes included, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ENOUGH = 2.0  # seconds of runs, after which no other is begun
MOST = 5


class Row(NamedTuple):
    """What is timed: run() gives the verdict, which is to be `right`; bar in seconds, None where none was set."""

    layer: str
    case: str
    bar: float | None
    run: Callable[[], str]
    right: str = "proved"


@dataclass(frozen=True)
class Timed:
    """A row's best processor time and wall time in seconds, and its verdict; not what ran, which may be large."""

    layer: str
    case: str
    bar: float | None
    right: str
    seconds: float
    wall: float
    verdict: str


def clock() -> float:
    """Processor time of this process and of its children that have ended."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def timed(row: Row) -> Timed:
    """The best of at most five runs; the first, which is cold, counts only where it is the only one."""
    found: list[tuple[float, float]] = []
    begin = time.perf_counter()
    while len(found) <= MOST and (not found or time.perf_counter() - begin < ENOUGH):
        start, wall = clock(), time.perf_counter()
        verdict = row.run()
        found.append((clock() - start, time.perf_counter() - wall))
    warm = found[1:] or found
    return Timed(
        row.layer, row.case, row.bar, row.right, min(s for s, _ in warm), min(w for _, w in warm), verdict
    )


def bar_table(found: Sequence[Timed]) -> str:
    """Layer, case, verdict, bar, what was measured, and whether it is met."""
    lines = [
        "| layer | case | verdict | bar, s | measured, s | wall, s | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for t in found:
        met = "" if t.bar is None else "yes" if t.seconds < t.bar else "NO"
        bar = "" if t.bar is None else f"{t.bar:g}"
        cells = (t.layer, t.case, t.verdict, bar, f"{t.seconds:.3g}", f"{t.wall:.3g}", met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
