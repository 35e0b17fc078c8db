"""The loss curve as a small SVG: numbers in, markup out; colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 14, 42  # margins that hold the labels


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and those before it, at most `window` in all."""
    sums = [0.0]
    for v in values:
        sums.append(sums[-1] + v)
    return [(sums[k] - sums[max(0, k - window)]) / min(k, window) for k in range(1, len(sums))]


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between low and high, some `about` of them, a step of 1, 2 or 5 apart."""
    step = 10.0 ** math.floor(math.log10((high - low) / about))
    step *= next(k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= about)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def loss_curve(losses: Sequence[float], chance: float) -> str:
    """An SVG of the loss in bits per character at each step, its running mean, and the line of `chance`."""
    n = len(losses)
    mean = smoothed(losses, max(1, n // 20))
    low = math.floor(min(losses))
    high = max(chance, *losses, low + 0.5) * 1.04

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - 1) / max(1, n - 1)

    def y(bits: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - bits) / (high - low)

    def line(values: Sequence[float]) -> str:
        return " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(values, start=1))

    grid = [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" class="grid"/>'
        f'<text x="{LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in ticks(low, high, 6)
    ]
    steps = [
        f'<text x="{x(k):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{k:g}</text>'
        for k in [1, *(k for k in ticks(1, max(n, 2), 6) if k > n / 12 and k == int(k) and k <= n)]
    ]
    return "\n".join([
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Loss in bits per '
        f'character: {losses[0]:.2f} at step 1, {mean[-1]:.2f} at step {n}">',
        *grid, *steps,
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">training step</text>',
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(chance):.1f}" y2="{y(chance):.1f}" class="chance"/>',
        f'<text x="{WIDTH - RIGHT}" y="{y(chance) + 14:.1f}" text-anchor="end">'
        f"guessing: {chance:.2f} bits</text>",
        f'<polyline points="{line(losses)}" class="raw"/>',
        f'<polyline points="{line(mean)}" class="mean"/>',
        f'<circle cx="{x(n):.1f}" cy="{y(mean[-1]):.1f}" r="3.5" class="dot"/>',
        "</svg>",
    ])  # fmt: skip
