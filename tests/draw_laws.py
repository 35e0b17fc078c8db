"""Laws of a picture as geometry on its Scene, and cells to draw that are not built in."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

import minigrad as mg
from minigrad import Cell, cell, layer_norm, relu, sigmoid, split, tanh
from minigrad.draw.names import text_width
from minigrad.draw.scene import Box, Line, Scene


# ---- cells that are none of the built-in ones ------------------------------------------------------
@cell(
    h="n", c="n", x="d", W_i="d n", U_i="n n", p_i="n", b_i="n", W_f="d n", U_f="n n", p_f="n", b_f="n",
    W_c="d n", U_c="n n", b_c="n", W_o="d n", U_o="n n", p_o="n", b_o="n",
)  # fmt: skip
def peephole_lstm(h, c, /, x, *, W_i, U_i, p_i, b_i, W_f, U_f, p_f, b_f, W_c, U_c, b_c, W_o, U_o, p_o, b_o):
    """Gers & Schmidhuber 2000: the gates see the cell state."""
    i = sigmoid(x @ W_i + h @ U_i + p_i * c + b_i)
    f = sigmoid(x @ W_f + h @ U_f + p_f * c + b_f)
    g = tanh(x @ W_c + h @ U_c + b_c)
    c = f * c + i * g
    o = sigmoid(x @ W_o + h @ U_o + p_o * c + b_o)
    h = o * tanh(c)
    return h, c


@cell(h="n", x="d", W_f="d n", U_f="n n", b_f="n", W_h="d n", U_h="n n", b_h="n")
def minimal_gated(h, /, x, *, W_f, U_f, b_f, W_h, U_h, b_h):
    """Zhou et al. 2016: one gate."""
    f = sigmoid(x @ W_f + h @ U_f + b_f)
    h_hat = tanh(x @ W_h + (f * h) @ U_h + b_h)
    h = (1 - f) * h + f * h_hat
    return h


@cell(h="n", c="n", x="d", W="d 4*n", U="n 4*n", b="4*n", g_x="4*n", g_h="4*n", g_c="n", b_c="n")
def layer_norm_lstm(h, c, /, x, *, W, U, b, g_x, g_h, g_c, b_c):
    """Ba et al. 2016, eqs. 20-22."""
    a = layer_norm(x @ W, g_x) + layer_norm(h @ U, g_h) + b
    i, f, o, g = split(a, 4)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), tanh(g)
    c = f * c + i * g
    h = o * tanh(layer_norm(c, g_c, b_c))
    return h, c


@cell(h="n", x="d", y="e", W="d n", V="e n", U="n n", W_T="d n", U_T="n n", Q="n q")
def multiplicative(h, /, x, y, *, W, V, U, W_T, U_T, Q):
    """Two inputs, a product of products, a highway, and a read-out."""
    s = tanh((x @ W) * (h @ U) + y @ V)
    T = sigmoid(x @ W_T + h @ U_T)
    h = T * s + (1 - T) * h
    return h, mg.softmax(h @ Q)


@cell(h="n", x="d", W="d n", U="n n", A="n n", b="n")
def leaky_deep(h, /, x, *, W, U, A, b):
    """A leaky state after two layers."""
    u = tanh(x @ W + h @ U + b)
    v = relu(u @ A)
    h = 0.9 * h + 0.1 * v
    return h


@cell(h="n", c="n", m="n", x="d", W="d 4*n", U="n 4*n", b="4*n", W_m="d n", U_m="n n")
def three_states(h, c, m, /, x, *, W, U, b, W_m, U_m):
    """An LSTM whose cell state leaks into a slower one."""
    i, f, o, g = split(x @ W + h @ U + b, 4)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), tanh(g)
    k = sigmoid(x @ W_m + h @ U_m)
    m = m * k + c * (1 - k)
    c = f * c + i * g + m
    h = o * tanh(c)
    return h, c, m


STRANGERS: dict[str, Cell] = {
    c.name: c
    for c in (peephole_lstm, minimal_gated, layer_norm_lstm, multiplicative, leaky_deep, three_states)
}


def random_cell(seed: int, size: int) -> Cell:
    """A cell of about `size` operations, drawn at random: products, gates, sums, reused values."""
    rng = np.random.default_rng(seed)
    n_states = int(rng.integers(1, 4))
    kinds = [str(rng.choice(["gate", "mul", "add", "act", "one", "scale"])) for _ in range(size)]
    picks = rng.integers(0, 10**6, (size, 2))
    gates = [i for i, k in enumerate(kinds) if k == "gate"]

    def step(*args, **params):
        known = [*args]
        for i, kind in enumerate(kinds):
            a, b = (known[int(p) % len(known)] for p in picks[i])
            if kind == "gate":
                known.append(sigmoid(a @ params[f"W{i}"] + b @ params[f"U{i}"]))
            elif kind in ("mul", "add"):
                known.append(a * b if kind == "mul" else a + b)
            else:
                known.append({"act": tanh, "one": lambda v: 1 - v, "scale": lambda v: 0.5 * v}[kind](a))
        return tuple(known[-n_states:])

    states, shapes = [f"s{k}" for k in range(n_states)], {}
    params = {f"{w}{i}": "n n" for i in gates for w in "WU"}
    shapes = dict.fromkeys([*states, "x"], "n") | params
    scope: dict = {"step": step}
    args = ", ".join([*states, "/", "x", *(["*", *params] if params else [])])
    given = ", ".join(f"{p}={p}" for p in params)
    exec(f"def made({args}):\n    return step({', '.join([*states, 'x'])}, {given})", scope)
    return cell(**shapes)(scope["made"])


# ---- laws --------------------------------------------------------------------------------------
def overlapping_boxes(scene: Scene) -> list[tuple[str, str]]:
    """Pairs of boxes that overlap and of which neither is a piece of the other."""
    boxes = sorted((b for b in scene.boxes if "joint" not in b.kind), key=lambda b: b.x - b.w / 2)
    found = []
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            if b.x - b.w / 2 >= a.x + a.w / 2 - 0.05:
                break
            if abs(a.y - b.y) < (a.h + b.h) / 2 - 0.05 and a.lies_in != b.key and b.lies_in != a.key:
                found.append((a.key, b.key))
    return found


def text_outside(scene: Scene) -> list[tuple[str, str]]:
    """Texts that are wider than their place, or whose place leaves the box that they are in."""
    boxes = {b.key: b for b in scene.boxes}
    found = []
    for a in scene.labels:
        if text_width(a.text, a.size, a.bold) > a.w + 1.5:
            found.append((a.key, a.text))
        if a.lies_in is not None and not _inside(a.x, a.y, a.w, a.size, boxes[a.lies_in]):
            found.append((a.key, a.text))
    found += [(b.key, b.text) for b in scene.boxes if b.text and text_width(b.text, b.size, b.bold) > b.w]
    found += [
        (s.key, "strip")
        for s in scene.strips
        if s.lies_in and not _inside(s.x, s.y, s.w, s.h, boxes[s.lies_in])
    ]
    return found


def _inside(x: float, y: float, w: float, h: float, b: Box) -> bool:
    return abs(x - b.x) + w / 2 <= b.w / 2 + 0.6 and abs(y - b.y) + h / 2 <= b.h / 2 + 0.6


def loose_ends(scene: Scene) -> list[str]:
    """Lines that do not begin and end on the border (or for a dot, the middle) of their boxes."""
    boxes = {b.key: b for b in scene.boxes}
    return [
        line.key for line in scene.lines
        if not _touches(line.points[0], boxes[line.source]) or not _touches(line.points[-1], boxes[line.sink])
    ]  # fmt: skip


def _touches(p: tuple[float, float], b: Box) -> bool:
    dx, dy = abs(p[0] - b.x) - b.w / 2, abs(p[1] - b.y) - b.h / 2
    if "joint" in b.kind:
        return max(dx, dy) <= 0.05
    return max(dx, dy) <= 0.05 and max(dx, dy) >= -0.05


def _segments(line: Line) -> Iterator[tuple[float, float, float, float]]:
    for (a, b), (c, d) in itertools.pairwise(line.points):
        yield min(a, c), min(b, d), max(a, c), max(b, d)


def through_boxes(scene: Scene) -> list[tuple[str, str]]:
    """Lines that run through a box that is neither of their ends."""
    solid = (b for b in scene.boxes if b.lies_in is None and "joint" not in b.kind and b.h > 0.5)  # no rules
    boxes = sorted(solid, key=lambda b: b.x)
    found = []
    for line in scene.lines:
        for x0, y0, x1, y1 in _segments(line):
            for b in boxes:
                if b.key in (line.source, line.sink):
                    continue
                if (
                    b.x - b.w / 2 + 0.1 < x1 and b.x + b.w / 2 - 0.1 > x0
                    and b.y - b.h / 2 + 0.1 < y1 and b.y + b.h / 2 - 0.1 > y0
                ):  # fmt: skip
                    found.append((line.key, b.key))
    return found


def text_hidden(scene: Scene) -> list[tuple[str, str]]:
    """Free texts that a line runs through, or that a box covers."""
    found = []
    for a in scene.labels:
        if a.lies_in is not None:
            continue
        x0, x1, y0, y1 = a.x - a.w / 2, a.x + a.w / 2, a.y - a.size / 2, a.y + a.size / 2
        for line in scene.lines:
            if any(u0 < x1 and u1 > x0 and v0 < y1 and v1 > y0 for u0, v0, u1, v1 in _segments(line)):
                found.append((a.key, line.key))
        for b in scene.boxes:
            if abs(a.x - b.x) < (a.w + b.w) / 2 and abs(a.y - b.y) < (a.size + b.h) / 2:
                found.append((a.key, b.key))
    return found


def on_one_another(scene: Scene) -> list[tuple[str, str]]:
    """Pairs of lines of different origin that share a stretch."""
    lines = [e for e in scene.lines if "grad" not in e.kind]
    by_level: dict[tuple, list] = defaultdict(list)
    for e in lines:
        for x0, y0, x1, y1 in _segments(e):
            flat = y0 == y1
            by_level[flat, round(y0 if flat else x0, 2)].append((x0, x1, e) if flat else (y0, y1, e))
    found = []
    for spans in by_level.values():
        spans.sort(key=lambda s: s[0])
        for i, (_, end, a) in enumerate(spans):
            for start, stop, b in spans[i + 1 :]:
                if start >= end - 0.05:
                    break
                if a.source != b.source and min(end, stop) - start > 0.05:
                    found.append((a.key, b.key))
    return found


def crossings(scene: Scene, kind: Callable[[Line], bool]) -> int:
    """Points where two lines of a kind and of different origin cross."""
    lines = [(e, s) for e in scene.lines if kind(e) for s in _segments(e)]
    points = set()
    for (a, (x0, y0, x1, y1)), (b, (u0, v0, u1, v1)) in itertools.combinations(lines, 2):
        if a.source != b.source:
            if y0 == y1 and u0 == u1 and x0 < u0 < x1 and v0 < y0 < v1:
                points.add((u0, y0))
            if x0 == x1 and v0 == v1 and u0 < x0 < u1 and y0 < v0 < y1:
                points.add((x0, v0))
    return len(points)


LAWS = {
    "no two boxes overlap": overlapping_boxes,
    "every text is inside its place": text_outside,
    "no free text is hidden": text_hidden,
    "every line ends at its boxes": loose_ends,
    "no line runs through a box": through_boxes,
    "no line runs on another one": on_one_another,
}
