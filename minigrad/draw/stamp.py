"""One time step, stamped: its frame, gates, operators, inputs and wires; and the states between steps."""

from __future__ import annotations

import numpy as np

from ..engine.core import Tensor
from .closed import CELL, NAME
from .fold import GATELIKE, Part
from .layout import Path, Spot, StepLayout
from .names import fit, shape_text, text_width
from .scene import Frame
from .stage import Pen, Stage
from .symbols import PITCH as SYMBOLS_PITCH
from .symbols import SIZE as SYMBOLS_SIZE


def draw_step(stage: Stage, pen: Pen, t: int) -> None:
    """Everything inside step t, and its inputs and outputs."""
    s, x0 = stage.steps[t - 1], stage.x[t - 1]
    low, high = s.frame
    tip, other = f"time step {t}" if stage.rec.timed else "", stage.unlike.get(t)
    tip += f", unlike the others: {other}" if other else ""
    pen.scene.frames.append(Frame(f"step-{t}", x0, low, x0 + s.width, high, tip, other is not None))
    if stage.rec.timed:
        text = stage.heading(t)
        k, ink = stage.options.type, "ink" if other else "soft"
        w = text_width(text, 11 * k) + 4
        up = [
            p.points[-1][0] for p in s.paths if p.sink[0] == "y"
        ]  # wires to the outputs, which cross the edge
        places = (s.width - w / 2 - 8, w / 2 + 8, *(x + side * (w / 2 + 6) for x in up for side in (1, -1)))
        free = [
            x for x in places if w / 2 <= x <= s.width - w / 2 and all(abs(x - u) > w / 2 + 3 for u in up)
        ]
        pen.label(f"step-{t}-label", x0 + (free or places)[0], high - 11 * k, w, text, ink, 11 * k)
    for key, spot in s.spots.items():
        if key[0] in "xy":
            _end(stage, pen, t, key, spot)
        elif (p := s.drawn.parts[key]).kind == "joint":
            pen.box(f"t{t}-{key}", x0 + spot.x, spot.y, 4.5, 4.5, "ellipse", "ink", "ink", kind="joint")
        elif p.kind == CELL:
            _cell(stage, pen, t, p, spot)
        elif p.kind in GATELIKE:
            _gate(stage, pen, t, p, spot)
        else:
            _operator(stage, pen, t, p, spot)
    for path in s.paths:
        if path.tap is None:
            _wire(stage, pen, t, s, path)


def _end(stage: Stage, pen: Pen, t: int, key: str, spot: Spot) -> None:
    """An input below the step, or an output above it."""
    s, step, k = stage.steps[t - 1], stage.rec.steps[t - 1], int(key[1:])
    tensor: Tensor | None
    if key[0] == "x":
        kind, tensor = "input", step.inputs[k]
        name = stage.rec.inputs[k] if k < len(stage.rec.inputs) else tensor.name or "x"
    else:
        source = s.drawn.outputs[k]
        kind, tensor = "output", step.nodes[int(source[1:])] if source[0] == "n" else None
        name = (tensor.name if tensor is not None else None) or ("o" if stage.lines else "out")
    at = (stage.x[t - 1] + spot.x, spot.y)
    pen.zoomed(stage.options.type, *at).titled(
        f"t{t}-{key}",
        *at,
        stage.sizes.input,
        stage.name(name, t),
        tensor,
        f"{kind} t{t}",
        stage.options,
    )


def _cell(stage: Stage, pen: Pen, t: int, p: Part, spot: Spot) -> None:
    """A whole step as one box."""
    x, k = stage.x[t - 1] + spot.x, stage.options.type
    key, names = f"t{t}-{p.key}", [n.name for n in stage.rec.steps[t - 1].nodes if n.name]
    tip = ", ".join(dict.fromkeys(names))
    pen.box(key, x, spot.y, spot.w, spot.h, "rounded", kind=f"cell t{t}", tip=tip, thick=1.4)
    pen.zoomed(k, x, spot.y).label(f"{key}-name", x, spot.y, spot.w / k - 8, p.label, "ink", NAME, True, key)


def _operator(stage: Stage, pen: Pen, t: int, p: Part, spot: Spot) -> None:
    word, k = len(p.text or p.label) > 1, stage.options.type
    shape, size = "rounded" if len(p.text or p.label) > 5 else "ellipse", 9.0 if word else 13.0
    text = p.label if stage.symbols is None else fit(stage.symbols.lines(t, p)[-1], spot.w / k - 6, size)
    pen.box(
        f"t{t}-{p.key}", stage.x[t - 1] + spot.x, spot.y, spot.w, spot.h, shape, "op", "op_edge", text,
        size=k * size, kind=f"op t{t}", tip=_tip(stage, t, p),
    )  # fmt: skip


def _gate(stage: Stage, pen: Pen, t: int, p: Part, spot: Spot) -> None:
    """A box with a coloured head that holds name and activation; below, values and shape."""
    role, key = stage.role(p), f"t{t}-{p.key}"
    k, x, y = stage.options.type, stage.x[t - 1] + spot.x, spot.y
    pen, w, h = pen.zoomed(k, x, y), spot.w / k, spot.h / k
    node = stage.rec.steps[t - 1].nodes[p.head]
    kind = f"{p.kind} {role} t{t}"
    solid, top = p.kind == "gate", 18.0
    head = y + h / 2 - top / 2
    pen.box(key, x, y, w, h, "box", "gate_inside", role, kind=kind, tip=_tip(stage, t, p), thick=1.3)
    if solid:
        pen.box(f"{key}-head", x, head, w, top, "box", role, role, kind="piece", lies_in=key)
    ink, room = "on_gate" if solid else role, w - 8
    wn, wa = stage.header(p, t)
    if wn + wa > room:
        wn = (max(room - wa, room / 2) if wa else room) if wn else 0.0
        wa = room - wn if wa else 0.0
    left = x - (wn + wa) / 2
    if wn:
        pen.label(f"{key}-name", left + wn / 2, head, wn, stage.name(p.name or "", t), ink, 12.5, True, key)
    if wa:
        pen.label(f"{key}-act", left + wn + wa / 2, head, wa, p.label, ink, 10.5, False, key)
    shape = stage.shape(node) if stage.symbols is None else ""
    lines = [] if stage.symbols is None else stage.symbols.lines(t, p)[::-1]
    for i, line in enumerate(lines):
        at = y - h / 2 + 7 + SYMBOLS_PITCH * i
        pen.label(f"{key}-equation{i}", x, at, w - 4, line, "ink", SYMBOLS_SIZE, False, key)
    pen.label(f"{key}-shape", x, y - h / 2 + 7, w - 4, shape, "soft", 8, False, key)
    if stage.options.values:
        squashed, at = p.label == "σ", y - h / 2 + (18 if shape else 8 + SYMBOLS_PITCH * len(lines))
        pen.strip(
            f"{key}-value", (x, at, w - 12, 9), node, "unit" if squashed else "signed", role, kind, "values", key,
            squashed and stage.options.saturated,
        )  # fmt: skip


def _tip(stage: Stage, t: int, p: Part) -> str:
    node = stage.rec.steps[t - 1].nodes[p.head]
    line = f", line {node.note.line}" if node.note is not None and node.note.line else ""
    name = f"{stage.name(p.name, t)}, " if p.name else ""
    return f"{name}{node.op.name if node.op else ''}, shape {shape_text(node)}{line}"


def _wire(stage: Stage, pen: Pen, t: int, s: StepLayout, p: Path) -> None:
    """A wire of step t; at the edges of the step it goes on to the state boxes."""
    points = [(stage.x[t - 1] + x, y) for x, y in p.points]
    source, sink, half = f"t{t}-{p.source}", f"t{t}-{p.sink}", stage.sizes.state[0] / 2
    if p.source[0] == "s":
        source, points[0] = f"{p.source}-{t - 1}", (stage.state_x(t - 1) + half, points[0][1])
    if p.sink.startswith("out"):
        sink, points[-1] = f"s{p.sink[3:]}-{t}", (stage.state_x(t) - half, points[-1][1])
    part, target = s.drawn.parts.get(p.source), s.drawn.parts.get(p.sink)
    ink = stage.role(part) if part is not None and part.kind in GATELIKE else "ink"
    carries = points[0][1] in s.lines and all(y == points[0][1] for _, y in points)
    pen.line(
        f"t{t}-{p.source}-{p.sink}", source, sink, points, ink, 2.4 if carries else 1.6,
        arrow=target is None or target.kind != "joint", kind=f"wire{' carry' * carries} t{t}",
    )  # fmt: skip


def draw_state(stage: Stage, pen: Pen, t: int, k: int) -> None:
    """State k after step t: name and shape, values, gradient and its norm."""
    tensor, (w, h) = stage.rec.carried[t][k], stage.sizes.state
    if tensor is None:  # nothing enters the first step, or leaves the last one, on this line
        return
    x, y, key, text = stage.state_x(t), stage.lines[k], f"s{k}-{t}", stage.state_name(t, k)
    kind = f"state state{k} t{t}"
    shape, full = stage.shape(tensor), shape_text(tensor)
    pen, w, h = pen.zoomed(stage.options.type, x, y), w / stage.options.type, h / stage.options.type
    pen.box(key, x, y, w, h, "rounded", kind=kind, tip=f"{text}, shape {full}" if full else text, thick=1.2)
    if not stage.options.values and stage.numbers is None:
        pen.label(f"{key}-name", x, y + (5 if shape else 0), w - 6, text, "ink", 14, True, key)
        pen.label(f"{key}-shape", x, y - 9, w - 6, shape, "soft", 8, False, key)
        return
    ws = text_width(shape, 8)
    wn = min(text_width(text, 13.5, True) + 1, w - 12 - ws)
    left, at = x - (wn + ws + 4) / 2, y + h / 2 - 26
    pen.label(f"{key}-name", left + wn / 2, at + 15, wn, text, "ink", 13.5, True, key)
    pen.label(f"{key}-shape", left + wn + 4 + ws / 2, at + 14, ws, shape, "soft", 8, False, key)
    if stage.options.values and tensor is not None:
        pen.strip(f"{key}-value", (x, at, w - 14, 9), tensor, "signed", "gradient", kind, "values", key)
        at -= 12
    norm = stage.norm(tensor)
    if norm is not None and stage.numbers is not None and tensor is not None:
        g, peak = stage.numbers.gradient[tensor.id], stage.numbers.peak
        scaled = np.abs(g) / peak if peak else g
        pen.strip(
            f"{key}-grad",
            (x, at, w - 14, 7),
            scaled,
            "log",
            "gradient",
            kind + " grad",
            f"dL/d{text}, of {peak:.3g}",
            key,
        )
        pen.label(f"{key}-norm", x, at - 10, w - 4, f"‖∂L‖ {norm:.1e}", "gradient", 8, False, key)
