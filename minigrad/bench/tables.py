"""The tables of `minigrad bench`, as Markdown: times, ratios with their spread, bars met or not."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from .measure import FLOOR, Mean, Times, ratios, several, timed_peers
from .peers import FLOORS, RUNNERS
from .problem import GRID, LAYERS, NO_LAYER, Size

BLANK = "–"


class Bar(NamedTuple):
    """Geometric means that minigrad's time over a peer's is to stay below, {runner: (mean, worst or None)}."""

    what: str
    cells: Sequence[str]
    peer: str
    numpy: tuple[float, float | None]
    numba: tuple[float, float | None]
    hidden: int = 0  # the least, of the sizes that count

    def of(self, runner: str) -> tuple[float, float | None]:
        """The bar of a runner."""
        return self.numba if runner == "numba runner" else self.numpy


THREE = "RNN, LSTM, GRU"
BARS = (
    Bar(THREE, tuple(LAYERS), "torch.nn", (1.5, 3), (0.8, 1.15)),
    Bar(THREE, tuple(LAYERS), "torch loop", (0.5, 1), (0.35, None)),
    Bar(THREE, tuple(LAYERS), "jax.lax.scan", (1.0, None), (0.7, None)),
    Bar("five unfused cells", NO_LAYER, "torch loop", (0.5, None), (0.2, None)),
    Bar(f"{THREE}, hidden 256 and more", tuple(LAYERS), FLOOR, (1.25, None), (1.1, None), hidden=256),
)


def label(cell: str) -> str:
    """A layer in capitals, as torch.nn has it; another cell by its name."""
    return cell.upper() if cell in LAYERS else cell


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its columns under each other."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(c.ljust(w) for c, w in zip(cells, widths, strict=True))} |"

    return "\n".join([line(heads), f"|{'|'.join('-' * (w + 2) for w in widths)}|", *map(line, rows)])


def short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def spread(low: float, high: float) -> str:
    """The lowest and the highest round."""
    return f"{low:.2f}-{high:.2f}"


def times_table(times: Times, cells: Sequence[str], sizes: Sequence[Size]) -> str:
    """Milliseconds of a step: of each peer the middle round."""
    rows = []
    for cell in cells:
        for peer in timed_peers(times):
            found = [times.get((peer, cell, size)) for size in sizes]
            if any(found):
                ms = (short(statistics.median(f.values())) if f else BLANK for f in found)
                rows.append([f"{label(cell)} {peer}", *ms])
    return markdown(["ms", *map(str, sizes)], rows)


def ratios_table(times: Times, runner: str, cells: Sequence[str], sizes: Sequence[Size]) -> str:
    """The runner's time over each peer's, with the lowest and highest round, and the geometric means."""
    rows = []
    for peer in timed_peers(times):
        if peer == runner or peer in FLOORS:
            continue
        for cell in cells:
            found = [ratios(times, runner, peer, cell, size) for size in sizes]
            if any(found):
                each = (f"{statistics.median(f.values()):.2f} {_of(f)}".strip() if f else BLANK for f in found)
                rows.append([f"{peer}, {label(cell)}", *each, written(several(times, runner, peer, [cell], sizes))])
    return markdown([f"{runner} over", *map(str, sizes), "mean"], rows)


def _of(rounds: dict[int, float]) -> str:
    return f"({spread(min(rounds.values()), max(rounds.values()))})" if len(rounds) > 1 else ""


def written(found: Mean | None) -> str:
    """A mean, its spread, and the worst."""
    if found is None:
        return BLANK
    between = "" if found.low == found.high else f" ({spread(found.low, found.high)})"
    return f"{found.value:.2f}{between}, worst {found.worst:.2f}"


def bars_table(times: Times, cells: Sequence[str], sizes: Sequence[Size]) -> str:
    """Each bar, and whether it is met; "not measured" where something it speaks of was not."""
    rows = []
    for runner in RUNNERS:
        for bar in BARS:
            most, each = bar.of(runner)
            text = f"≤ {most:g}" + ("" if each is None else f", none above {each:g}")
            whose = [c for c in bar.cells if c in cells]
            which = [s for s in sizes if s.n >= bar.hidden]
            found = several(times, runner, bar.peer, whose, which)
            whole = len(bar.cells) * sum(s.n >= bar.hidden for s in GRID)
            rows.append([runner, bar.what, bar.peer, text, written(found), _verdict(found, most, each, whole)])
    return markdown(["runner", "cells", "against", "bar", "measured, geometric mean", ""], rows)


def _verdict(found: Mean | None, most: float, each: float | None, whole: int) -> str:
    if found is None:
        return "not measured"
    met = "met" if found.value <= most and (each is None or found.worst <= each) else "NOT met"
    return met if found.parts == whole else f"{met} so far: {found.parts} of {whole}"
