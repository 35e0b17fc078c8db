"""What an arrangement of parts costs, estimated from wires drawn as a few straight lines each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

Line = tuple[int, float, float, float, float]  # wire, and the two ends


def path(net: int, *points: tuple[float, float]) -> list[Line]:
    """The lines of a wire through these points."""
    return [(net, *p, *q) for p, q in pairwise(points) if p != q]


def sketched(columns: list[dict[int, str]], wires: list[list[list]]) -> float:
    """Cost of the wires, each drawn the way that is cheapest beside those that have no choice."""
    cells = [(c, r) for c, column in enumerate(columns) for r, key in column.items() if key[0] != "j"]
    fixed = [line for ways in wires if len(ways) == 1 for line in ways[0]]
    loose = [(i, way) for i, ways in enumerate(wires) if len(ways) > 1 for way in ways]
    lines = np.array([line for _, way in loose for line in way] + fixed, dtype=float).reshape(-1, 5)
    own, cross = _own(lines, np.array(cells, dtype=float).reshape(-1, 2)), _crossings(lines)
    n = len(lines) - len(fixed)
    each = own + 10 * cross[:, n:].sum(axis=1)
    chosen = list(range(n, len(lines)))
    best: dict[int, tuple[float, range]] = {}
    start = 0
    for i, way in loose:
        mine = range(start, start := start + len(way))
        cost = float(each[mine.start : mine.stop].sum())
        if i not in best or cost < best[i][0]:
            best[i] = (cost, mine)
    chosen += [k for _, mine in best.values() for k in mine]
    return float(own[chosen].sum() + 5 * cross[np.ix_(chosen, chosen)].sum())


def _own(lines: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Per line: 30 for each part that it crosses; its length; a little for itself."""
    low, high = _sorted(lines)
    x, y = cells[None, :, 0], cells[None, :, 1]
    inside = (
        (low[:, None, 0] <= x) & (x <= high[:, None, 0]) & (low[:, None, 1] <= y) & (y <= high[:, None, 1])
    )
    ends = ((lines[:, None, 1] == x) & (lines[:, None, 2] == y)) | (
        (lines[:, None, 3] == x) & (lines[:, None, 4] == y)
    )
    return 30.0 * (inside & ~ends).sum(axis=1) + 0.15 * (high - low).sum(axis=1) + 0.05


def _sorted(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = lines[:, 1:3], lines[:, 3:5]
    return np.minimum(a, b), np.maximum(a, b)


def _crossings(lines: np.ndarray) -> np.ndarray:
    """Pairs of lines of different wires: 1 where they cross, 0.7 where they lie on one another."""
    low, high = _sorted(lines)
    (x0, y0), (x1, y1) = low.T, high.T
    flat = y0 == y1
    other = lines[:, None, 0] != lines[None, :, 0]
    y_within = (y0[:, None] > y0[None]) & (y0[:, None] < y1[None])  # a flat line's y within an upright one
    x_within = (x0[None] > x0[:, None]) & (x0[None] < x1[:, None])
    cross = flat[:, None] & ~flat[None] & y_within & x_within
    over_x = np.minimum(x1[:, None], x1[None]) - np.maximum(x0[:, None], x0[None])
    over_y = np.minimum(y1[:, None], y1[None]) - np.maximum(y0[:, None], y0[None])
    both_flat, both_up = flat[:, None] & flat[None], ~flat[:, None] & ~flat[None]
    along = (both_flat & (over_y == 0) & (over_x > 0)) | (both_up & (over_x == 0) & (over_y > 0))
    return (other & (cross | cross.T)) + 0.7 * (other & along)
