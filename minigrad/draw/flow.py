"""Where the gradient comes from and how it flows: the loss, arrows against the data, and their profile."""

from __future__ import annotations

from .closed import CELL
from .elide import WIDTH as GAP_WIDTH
from .limits import draw_limits
from .names import pretty, text_width
from .scene import Point
from .stage import DECADES, Pen, Stage, log_part

WIDEST = 5.0
TALLEST = 34.0


def draw_gradients(stage: Stage, pen: Pen) -> None:
    """Per state line, an arrow back over each step, as wide as the log of its norm, and a bar per state."""
    if all(stage.norm(s) is None for row in stage.rec.carried for s in row):
        return
    peak, n_lines = stage.peak, len(stage.lines)
    floor = max(max(s.frame[1] + 20, s.high + 12) for s in stage.kinds)
    beside = stage.sizes.op / 2 + 2.5  # clear of the operators on the line
    left, right = stage.state_x(stage.first) - 20, stage.state_x(stage.last) + 20
    pen.box(
        "profile",
        (left + right) / 2,
        floor - 1,
        right - left,
        0.5,
        "box",
        "gradient",
        "gradient",
        thick=0.0,
        kind="grad",
    )
    for k, y in enumerate(stage.lines):
        for t in stage.stops:
            norm = stage.norm(stage.rec.carried[t][k])
            if norm is None:
                continue
            tip = f"norm of dL/d{stage.state_name(t, k)}: {norm:.3e}"
            part = log_part(norm, peak)
            if t < stage.last and not (stage.options.cuts and t + 1 in stage.options.cuts.steps):
                _arrow(stage, pen, k, t, y + (beside if stage.kinds[0].on_top[k] else -beside), part, tip)
            h, x = 1 + TALLEST * part, stage.state_x(t) + 13 * (k - (n_lines - 1) / 2)
            fill = "gradient" if k == n_lines - 1 else "state"
            pen.box(
                f"bar-s{k}-{t}",
                x,
                floor + h / 2,
                11,
                h,
                "box",
                fill,
                "gradient",
                kind=f"bar grad state{k}",
                tip=tip,
            )
    draw_limits(stage, pen, floor, TALLEST, peak)
    _scale(stage, pen, floor)


def _arrow(stage: Stage, pen: Pen, k: int, t: int, y: float, part: float, tip: str) -> None:
    """From the next state that is drawn back to state t, or out of the gap between them."""
    half, after = stage.sizes.state[0] / 2, stage.stops[stage.stops.index(t) + 1]
    source, start = f"s{k}-{after}", stage.state_x(after) - half
    for gap in stage.gaps:
        if gap.after == t:
            norm = stage.norm(stage.rec.carried[gap.before][k])
            if norm is not None:
                pen.line(
                    f"grad-{gap.key}-{k}", source, gap.key, ((start, y), (gap.x + GAP_WIDTH, y)), "gradient",
                    back_width(stage, norm), alpha=0.65, kind=f"grad state{k} t{after}",
                    tip=f"norm of dL/d{stage.state_name(after, k)}: {norm:.3e}",
                )  # fmt: skip
            source, start = gap.key, gap.x
    if CELL in (box := stage.steps[t].spots) and source[0] == "s":  # into the box that is the step, and out
        norm, spot, key = stage.norm(stage.rec.carried[after][k]), box[CELL], f"t{after}-{CELL}"
        middle = stage.x[after - 1] + spot.x
        if norm is not None:
            pen.line(
                f"grad-s{k}-{after}-in", source, key, ((start, y), (middle + spot.w / 2, y)), "gradient",
                back_width(stage, norm), alpha=0.65, kind=f"grad state{k} t{after}",
            )  # fmt: skip
        source, start = key, middle - spot.w / 2
    pen.line(
        f"grad-s{k}-{t + 1}", source, f"s{k}-{t}", ((start, y), (stage.state_x(t) + half, y)), "gradient",
        0.5 + WIDEST * part, alpha=0.65, kind=f"grad state{k} t{t + 1}", tip=tip,
    )  # fmt: skip


def back_width(stage: Stage, norm: float) -> float:
    """Width of an arrow along which a gradient of this norm flows back."""
    return 0.5 + WIDEST * log_part(norm, stage.peak)


def _scale(stage: Stage, pen: Pen, floor: float) -> None:
    """What the bars mean, at their left."""
    n = len(stage.lines)
    words = [f"{'■' if k == n - 1 else '□'} ‖∂L/∂{pretty(name)}‖" for k, name in enumerate(stage.rec.states)]
    words.append(f"log scale, {DECADES:.0f} decades")
    for i, text in enumerate(reversed(words)):
        size = 9 * stage.options.type
        w, x, y = text_width(text, size) + 2, stage.state_x(stage.first) - 28, floor + (5 + 12 * i) * size / 9
        pen.label(f"scale-{i}", x - w / 2, y, w, text, "gradient", size)


def draw_loss(stage: Stage, pen: Pen) -> None:
    """The loss at the right of what it reads last; at earlier steps that it reads, a small L."""
    loss, T = stage.rec.loss, stage.T
    if loss is None or not stage.lines:
        return
    for t in stage.shown:
        for key in _read_at(stage, t) if t < T else []:
            (x, y), (w, h) = _center(stage, key, t), _size(stage, key)
            a = (x + w / 2, y) if key[0] == "y" else (x, y - h / 2)
            b = (a[0] + 16, y) if key[0] == "y" else (x, a[1] - 16)
            _box(stage, pen, f"loss-{key}-{t}", _box_key(key, t), a, b, (15.0, 15.0), "L", 9)
    if stage.last < T:
        return
    text, k = f"L = {float(loss.value):.4g}", stage.options.type
    read = [key for key in _read_at(stage, T) if key[0] == "s" or T in stage.shown]
    last = (read or ["s0"])[0]
    (x, y), (w, _) = _center(stage, last, T), _size(stage, last)
    right = stage.state_x(T) + stage.sizes.state[0] / 2 + 26
    _box(
        stage,
        pen,
        "loss",
        _box_key(last, T),
        (x + w / 2, y),
        (right, y),
        (text_width(text, 12 * k, True) + 18, 24.0 * k),
        text,
        12 * k,
    )


def _read_at(stage: Stage, t: int) -> list[str]:
    """Output boxes (y0) of step t that the loss reads; if none, its state lines (s0)."""
    step, read = stage.rec.steps[t - 1], stage.rec.read_by_loss
    drawn = [r for r in step.outputs if r[0] in ("node", "state", "input")]
    found = [f"y{i}" for i, (kind, j) in enumerate(drawn) if kind == "node" and step.nodes[j].id in read]
    carried = stage.rec.carried[t]
    return found or [f"s{k}" for k, c in enumerate(carried) if c is not None and c.id in read]


def _box_key(key: str, t: int) -> str:
    return f"{key}-{t}" if key[0] == "s" else f"t{t}-{key}"


def _size(stage: Stage, key: str) -> Point:
    return stage.sizes.state if key[0] == "s" else stage.sizes.input


def _center(stage: Stage, key: str, t: int) -> Point:
    if key[0] == "s":
        return stage.state_x(t), stage.lines[int(key[1:])]
    spot = stage.steps[t - 1].spots[key]
    return stage.x[t - 1] + spot.x, spot.y


def _box(
    stage: Stage, pen: Pen, key: str, source: str, a: Point, b: Point, size: Point, text: str, font: float
) -> None:
    """A box with the loss, which the wire from a to b enters."""
    w, h = size
    dx, dy = (w / 2, 0.0) if a[1] == b[1] else (0.0, -h / 2)
    assert stage.rec.loss is not None
    tip = f"the loss: {float(stage.rec.loss.value):.8g}"
    pen.box(
        key,
        b[0] + dx,
        b[1] + dy,
        w,
        h,
        "rounded",
        "gradient",
        "gradient",
        text,
        "on_gate",
        font,
        True,
        kind="loss",
        tip=tip,
    )
    pen.line(f"to-{key}", source, key, (a, b), "ink", 1.4, kind="wire")
