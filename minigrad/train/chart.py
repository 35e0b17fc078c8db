"""The loss curve as a small SVG: numbers in, markup out; in a page, the colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 14, 42  # margins that hold the labels
POINTS = 1000  # of a line at most: two for each unit of width
STYLE = """
svg { --paper: #fbfbf9; --soft: #5d6873; --line: #e1e4e6; --accent: #1769aa; background: var(--paper); }
@media (prefers-color-scheme: dark) {
  svg { --paper: #11161b; --soft: #9aa6b1; --line: #2b343d; --accent: #6cb6f0; }
}
text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: var(--soft); }
.grid { stroke: var(--line); } .chance { stroke: var(--soft); stroke-dasharray: 4 4; }
polyline { fill: none; stroke: var(--accent); stroke-linejoin: round; }
.raw { stroke-width: 1; opacity: .35; } .mean { stroke-width: 2.5; } .dot { fill: var(--accent); }
"""


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


def thinned(values: Sequence[float], most: int) -> list[tuple[float, float]]:
    """(step, value) from step 1 on; of more than `most`, means of neighbours at their mean step."""
    k = -(-len(values) // most)
    parts = [(i, values[i : i + k]) for i in range(0, len(values), k)]
    return [(i + (len(part) + 1) / 2, sum(part) / len(part)) for i, part in parts]


def curve_picture(losses: Sequence[float], chance: float) -> str:
    """The same SVG as a file of its own, light or dark as its reader's browser is."""
    head, body = loss_curve(losses, chance).split("\n", 1)
    head = head.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" ')
    return f"{head}\n<style>{STYLE}</style>\n{body}\n"


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
        return " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in thinned(values, POINTS))

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
        f'<text x="{LEFT}" y="{HEIGHT - 6}">bits per character, and their running mean</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">training step</text>',
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(chance):.1f}" y2="{y(chance):.1f}" class="chance"/>',
        f'<text x="{WIDTH - RIGHT}" y="{y(chance) + 14:.1f}" text-anchor="end">'
        f"guessing: {chance:.2f} bits</text>",
        f'<polyline points="{line(losses)}" class="raw"/>',
        f'<polyline points="{line(mean)}" class="mean"/>',
        f'<circle cx="{x(n):.1f}" cy="{y(mean[-1]):.1f}" r="3.5" class="dot"/>',
        "</svg>",
    ])  # fmt: skip
