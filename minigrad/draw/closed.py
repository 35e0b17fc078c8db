"""Level "steps": each step as one box, between the state lines of the step that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .fold import Part
from .layout import Path, Sizes, Spot, StepLayout
from .names import text_width

CELL = "cell"
MARGIN = 16.0  # between the box and the edges of the step
NAME = 16.0  # size of the name in it


def closed(steps: Sequence[StepLayout], name: str, sizes: Sizes) -> list[StepLayout]:
    """The layouts with one box for all parts, read by all wires that enter and written to by all that leave."""
    params = tuple(sorted({i for s in steps for p in s.drawn.parts.values() for i in p.params}))
    inputs = max(len([k for k in s.spots if k[0] == "x"]) for s in steps)
    wide = max(text_width(name, NAME, True) * sizes.op / 19 + 20, inputs * (sizes.input[0] + 8) + 24, 72.0)
    return [_closed(s, name, params, wide, sizes) for s in steps]


def _closed(s: StepLayout, name: str, params: tuple[int, ...], wide: float, sizes: Sizes) -> StepLayout:
    low, high = s.frame[0] + 10, s.frame[1] - 4 - 16.5 * sizes.op / 19  # room for the heading
    left, right = MARGIN, MARGIN + wide
    spots = {CELL: Spot((left + right) / 2, (low + high) / 2, wide, high - low)}
    paths: list[Path] = []
    for k, y in enumerate(s.lines):
        if any(p.source == f"s{k}" for p in s.paths):
            paths.append(Path(f"s{k}", CELL, ((0.0, y), (left, y))))
        if any(p.sink == f"out{k}" for p in s.paths):
            paths.append(Path(CELL, f"out{k}", ((right, y), (right + MARGIN, y))))
    ins, outs = ([k for k in s.spots if k[0] == side] for side in "xy")
    for i, key in enumerate(ins):
        spot = replace(s.spots[key], x=left + 4 + (i + 0.5) * (s.spots[key].w + 8))
        spots[key] = spot
        paths.append(Path(key, CELL, ((spot.x, spot.y + spot.h / 2), (spot.x, low))))
    for i, key in enumerate(outs):
        spot = replace(s.spots[key], x=left + wide * (i + 0.5) / len(outs))
        spots[key] = spot
        paths.append(Path(CELL, key, ((spot.x, high), (spot.x, spot.y - spot.h / 2))))
    part = Part(CELL, CELL, -1, (), name, None, (), params)
    taps: tuple[tuple[int, str], ...] = ()
    if any(p.params for p in s.drawn.parts.values()):
        taps = ((0, CELL),)
        paths.append(Path("p0", CELL, ((right - 9, s.low), (right - 9, low)), 0))
    drawn = replace(s.drawn, parts={CELL: part}, groups=(params,) if params else (), taps=taps)
    return replace(s, drawn=drawn, spots=spots, paths=tuple(paths), width=right + MARGIN, crossings=(0, 0))
