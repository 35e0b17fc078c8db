"""The parameters: each once at the left, on a rail below the steps, with a tap for each use in a step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .elide import WIDTH as GAP_WIDTH
from .fold import GATELIKE, Drawn, Part
from .names import fit, shape_text, text_width
from .scene import Point
from .stage import Pen, Stage, log_part
from .theme import MARKS, PLAIN_MARK

PITCH = 21.0
TAP_DECADES = 3.0
Group = tuple[int, ...]


def draw_rails(stage: Stage, pen: Pen) -> None:
    """Boxes, rails and taps; a tap is as wide as the logarithm of its step's share of the gradient."""
    first: dict[Group, float] = {}
    for s in stage.kinds:
        for p in s.paths:
            if p.tap is not None:
                g, x = s.drawn.groups[p.tap], p.points[0][0]
                first[g] = min(first.get(g, x), x)
    low = min(s.low for s in stage.kinds) - 12
    right = stage.state_x(stage.first) + (stage.sizes.state[0] / 2 if stage.lines else 0.0) - 12
    for row, g in enumerate(sorted(first, key=first.__getitem__)):
        role, y = _role(stage, g), low - row * PITCH * stage.options.type
        _parameters(stage, pen, row, g, right, y, role)
        _rail(stage, pen, row, g, right, y, role)
    read = {p for g in first for p in g}
    if unread := tuple(p for p in range(len(stage.rec.params)) if p not in read):
        _parameters(stage, pen, len(first), unread, right, low - len(first) * PITCH, "plain", "not read")


def _role(stage: Stage, g: Group) -> str:
    """The colour of the one gate that reads these parameters, else a plain one."""
    readers = {
        stage.role(p) for s in stage.kinds for i, key in s.drawn.taps
        if s.drawn.groups[i] == g and (p := gate_after(s.drawn, key)) is not None
    }  # fmt: skip
    return readers.pop() if len(readers) == 1 else "plain"


def gate_after(drawn: Drawn, key: str) -> Part | None:
    """The box that a part is, or that it leads to through operators with one reader each."""
    while drawn.parts[key].kind not in GATELIKE:
        readers = [k for k, p in drawn.parts.items() if key in p.sources]
        if len(readers) != 1:
            return None
        key = readers[0]
    return drawn.parts[key]


def _parameters(
    stage: Stage, pen: Pen, row: int, g: Group, right: float, y: float, role: str, note: str = ""
) -> None:
    """Names, shapes and the norm of the gradient of the parameters on one rail; or a note instead."""
    names = [stage.rec.param_names[i] for i in g]
    head = fit("  ".join(names), 260, 9.5, True)
    body = fit("  ".join(stage.shape(stage.rec.params[i]) for i in g).strip(), 190, 8)
    cells = [(head, 9.5, True, "on_gate"), *([(body, 8.0, False, "ink")] if body else [])]
    pen = pen.zoomed(stage.options.type, right, y)
    tip = ", ".join(f"{n} {shape_text(stage.rec.params[i])}" for n, i in zip(names, g, strict=True))
    if note:
        cells.append((note, 8.0, False, "ink"))
        tip += f"; {note}"
    elif stage.numbers is not None:
        total = math.sqrt(sum(float((v * v).sum()) for i in g if (v := stage.numbers.total[i]) is not None))
        cells.append((f"‖∇‖ {total:.1e}", 8.0, False, "gradient"))
        tip += f"; norm of the gradient {total:.6g}"
        if stage.options.cuts is not None:
            lost = max(stage.options.cuts.lost[i] for i in g)
            cells.append((f"lost {lost:.0%}", 8.0, False, "gradient"))
            tip += f"; truncation loses up to {lost:.2%} of it"
    widths = [text_width(text, size, bold) + 11 for text, size, bold, _ in cells]
    key, w, x = f"p{row}", sum(widths), right - sum(widths)
    pen.box(key, x + w / 2, y, w, 16.0, "box", "param", role, kind=f"param {role}", tip=tip)
    pen.box(
        f"{key}-head", x + widths[0] / 2, y, widths[0], 16.0, "box", role, role, kind="piece", lies_in=key
    )
    for i, ((text, size, bold, ink), width) in enumerate(zip(cells, widths, strict=True)):
        pen.label(f"{key}-cell{i}", x + width / 2, y, width - 4, text, ink, size, bold, key)
        x += width


def _rail(stage: Stage, pen: Pen, row: int, g: Group, left: float, y: float, role: str) -> None:
    """The rail from dot to dot, and from each dot a tap up to the part that reads the parameters."""
    num = stage.numbers
    names = ", ".join(stage.rec.param_names[i] for i in g)
    peak = max((s for t in range(stage.T) if math.isfinite(s := num.tap([t], g))), default=0.0) if num else 0
    before, x_before = f"p{row}", left
    for sink, points, steps in _taps(stage, row, g):
        points[0] = (x, _) = points[0][0], y
        dot, width, tip, t = f"p{row}-{sink}", 1.1, "", steps[-1]
        shape, w, h = MARKS.get(role, PLAIN_MARK)
        pen.box(dot, x, y, w, h, shape, role, role, kind=f"joint {role}", thick=0.5)
        pen.line(f"{dot}-rail", before, dot, ((x_before, y), (x, y)), role, 1.5, arrow=False, kind="rail")
        if num:
            share = num.tap([t - 1 for t in steps], g)
            width = 0.5 + 2.9 * log_part(share, peak, TAP_DECADES)
            which = f"step {t}" if len(steps) == 1 else f"steps {steps[0]} to {t}"
            tip = f"{which}'s share of dL/d({names}): norm {share:.3e}"
        kind = f"tap t{t}" if sink[0] == "t" else "tap gap"
        pen.line(f"{dot}-tap", dot, sink, points, role, width, radius=5.0, kind=kind, tip=tip)
        before, x_before = dot, x


def _taps(stage: Stage, row: int, g: Group) -> list[tuple[str, list[Point], Sequence[int]]]:
    """(box, path up to it, steps) of each tap of a rail, from left to right; one for each gap."""
    found: list[tuple[str, list[Point], Sequence[int]]] = []
    for t in stage.shown:
        s = stage.steps[t - 1]
        for p in s.paths:
            if p.tap is not None and s.drawn.groups[p.tap] == g:
                found.append((f"t{t}-{p.sink}", [(stage.x[t - 1] + a, b) for a, b in p.points], [t]))
    for gap in stage.gaps:
        x = gap.x + GAP_WIDTH / 2 + 9.0 * (row % 5 - 2)
        found.append((gap.key, [(x, 0.0), (x, stage.edges[0])], gap.steps))
    return sorted(found, key=lambda tap: tap[1][0][0])
