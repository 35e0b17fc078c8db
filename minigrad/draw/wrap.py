"""A long picture in rows: each row begins with the states that the row before ended with.

For paper, and for PNG and PDF, whose width is limited. Parameters stand at the left of every row; a state
at the end of a row leads to a box that names the row that goes on, and comes from one there.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from .compose import staged
from .flow import back_width
from .names import text_width
from .ribbon import draw_ribbon
from .scene import Scene
from .stage import Pen, Stage
from .words import describe

APART = 30.0  # between rows
TURN = (38.0, 30.0)  # the box that names a row
OUT = 16.0  # from a state to it
SHAPE = 1.5  # width by height of a picture whose width is free


def wrapped(stage: Stage, scene: Scene, width: float) -> Scene:
    """The scene in rows no wider than `width` points, but for one that is one step; one row is as it was.

    scene: the same stage in one row.
    """
    x0, _, x1, _ = scene.bounds()
    margin = x1 - x0 - (stage.state_x(stage.last) - stage.state_x(stage.first))
    rows = [stage.part(*ends) for ends in rows_of(stage, width - margin)]
    if len(rows) == 1:
        return scene
    scenes = [staged(row, scene.title, ribbon=False) for row in rows]
    for i, (row, one) in enumerate(zip(rows, scenes, strict=True), start=1):
        draw_turns(row, Pen(one), i)
    whole = stacked(scenes)
    if stage.gaps:
        right = max(row.state_x(row.last) for row in rows) + stage.sizes.state[0] / 2
        draw_ribbon(stage, Pen(whole), right)
    whole.description = f"{describe(stage)} Drawn in {len(rows)} rows."
    return whole


def rows_of(stage: Stage, width: float) -> list[tuple[int, int]]:
    """(first state, last state) of each row that is no wider than `width`, of at least one step."""
    found, start = [], stage.first
    for a, b in zip(stage.stops, stage.stops[1:], strict=False):
        if a > start and stage.state_x(b) - stage.state_x(start) > width:
            found.append((start, a))
            start = a
    return [*found, (start, stage.last)]


def draw_turns(stage: Stage, pen: Pen, row: int) -> None:
    """The boxes that name the row before and after this one; the states and the gradient pass through."""
    for state, side, other in ((stage.first, -1, row - 1), (stage.last, 1, row + 1)):
        if 0 < state < stage.T:
            for k in range(len(stage.lines)):
                if stage.rec.carried[state][k] is not None:
                    _turn(stage, pen, state, k, side, other)


def _turn(stage: Stage, pen: Pen, state: int, k: int, side: int, row: int) -> None:
    x, y, text = stage.state_x(state) + side * stage.sizes.state[0] / 2, stage.lines[k], f"row {row}"
    w = max(TURN[0], text_width(text, 9.0) + 6)
    key, s, outer = f"turn-s{k}-{state}", f"s{k}-{state}", x + side * OUT
    where = "goes on in" if side > 0 else "comes from"
    pen.box(
        key, outer + side * w / 2, y, w, TURN[1], "rounded", "frame", "frame_edge", text, "soft", 9.0,
        kind=f"turn state{k}", tip=f"{stage.state_name(state, k)} {where} {text}",
    )  # fmt: skip
    near, far = (x, y), (outer, y)
    ends = (s, key, (near, far)) if side > 0 else (key, s, (far, near))
    pen.line(f"{key}-wire", *ends, "ink", 2.4, kind="wire carry")
    norm = stage.norm(stage.rec.carried[state][k])
    if norm is not None:
        lane = y + (12.0 if stage.kinds[0].on_top[k] else -12.0)
        near, far = (x, lane), (outer, lane)
        ends = (key, s, (far, near)) if side > 0 else (s, key, (near, far))
        pen.line(
            f"{key}-grad", *ends, "gradient", back_width(stage, norm), alpha=0.65, kind=f"grad state{k}",
            tip=f"norm of dL/d{stage.state_name(state, k)}: {norm:.3e}",
        )  # fmt: skip


def stacked(scenes: list[Scene]) -> Scene:
    """The scenes one below the other; what is in several of them is renamed from the second on: s0-4@2."""
    whole, top = Scene(scenes[0].title, scenes[0].description), 0.0
    used: set[str] = set()
    for row, scene in enumerate(scenes, start=1):
        _, y0, _, y1 = scene.bounds()
        down = top - y1 if row > 1 else 0.0
        top = y0 + down - APART
        keys = {p.key for part in _parts(scene) for p in part}
        names = {key: f"{key}@{row}" for key in keys & used}
        used |= keys
        for ours, theirs in zip(_parts(whole), _parts(scene), strict=True):
            ours += [_moved(p, down, names) for p in theirs]
    return whole


def _parts(scene: Scene) -> list[list[Any]]:
    return [scene.frames, scene.lines, scene.boxes, scene.strips, scene.labels]


def _moved(part: Any, dy: float, names: dict[str, str]) -> Any:
    changed: dict[str, Any] = {"key": names.get(part.key, part.key)}
    for place in ("y", "y0", "y1"):
        if hasattr(part, place):
            changed[place] = getattr(part, place) + dy
    for ref in ("source", "sink", "lies_in"):
        if hasattr(part, ref):
            changed[ref] = names.get(getattr(part, ref), getattr(part, ref))
    if hasattr(part, "points"):
        changed["points"] = tuple((x, y + dy) for x, y in part.points)
    return replace(part, **changed)


def comfortable(width: float, height: float) -> float:
    """The width of rows with which a picture of one long row is half as wide again as it is high."""
    return width / max(round(math.sqrt(width / (height * SHAPE))), 2)
