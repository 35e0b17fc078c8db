"""Scene to DOT: every node and every spline has its position, so Graphviz draws and lays out nothing.

Plain shapes only, one node for each box, strip and label: the WebAssembly build has no HTML-like
labels. `layout=nop2` is in the file, so `dot -Tsvg file.dot` draws it as it is. All text is escaped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from .names import clean
from .scene import HIGH, LOW, Box, Frame, Label, Line, Point, Scene, Strip
from .theme import DASHES, FONTS, HELVETICA, Palette, theme

DECADES = 4.0
NAME = "\\N"  # Graphviz's own word for the name of a node
TEXT = dict(shape="plaintext", style="", fontsize="8")  # of labels
MANY = 20  # cells of a strip; more have no outlines


def to_dot(scene: Scene, theme_name: str = "light", palette: Palette | None = None) -> str:
    """DOT text of a scene. palette: other colours than the theme's. Raises ValueError for an unknown theme."""
    w = _Writer(theme_name, palette or Palette(theme(theme_name)))
    head = [
        "digraph minigrad {",
        "  graph " + _attributes(
            layout="nop2", outputorder="edgesfirst", splines="true", bgcolor=w.colour["paper"], pad="0.2",
            fontname=w.font, tooltip=scene.title,
        ) + ";",
        "  node " + _attributes(**w.node, fixedsize="true", margin="0") + ";",
        "  edge " + _attributes(**w.edge) + ";",
    ]  # fmt: skip
    body = [w.frame(i, f) for i, f in enumerate(scene.frames)]
    body += [w.box(b) for b in scene.boxes] + [w.strip(s) for s in scene.strips]
    if scene.labels:
        w.node |= TEXT
        body += ["  {", "  node " + _attributes(**TEXT) + ";", *[w.label(a) for a in scene.labels], "  }"]
    body += [w.line(e) for e in scene.lines]
    return "\n".join([*head, *body, "}", ""])


class _Writer:
    def __init__(self, theme_name: str, colours: Palette) -> None:
        self.colour = colours
        self.font, self.bold = FONTS.get(theme_name, HELVETICA)
        self.dashes = DASHES.get(theme_name, {})
        ink = colours["ink"]  # what most nodes and edges have is said once
        self.node = dict(
            id=NAME, fontname=self.font, fontsize="12", fontcolor=ink, color=ink, style="filled",
            penwidth="1.1", shape="box", label="",
        )  # fmt: skip
        self.edge = dict(color=ink, arrowsize="0.7", penwidth="1.60")

    def frame(self, i: int, f: Frame) -> str:
        a = _attributes(
            id=f.key, **{"class": "step"}, bb=",".join(map(_n, (f.x0, f.y0, f.x1, f.y1))),
            style="rounded,filled" + ",dashed" * f.marked, fillcolor=self.colour["frame"],
            color=self.colour["ink" if f.marked else "frame_edge"], penwidth="1.2", label="",
            **({"tooltip": f.tip} if f.tip else {}),
        )  # fmt: skip
        return f"  subgraph cluster_{i} {{ graph {a}; }}"

    def box(self, b: Box) -> str:
        style = "rounded,filled" if b.shape == "rounded" else "filled"
        extra = {"shape": b.shape} if b.shape not in ("box", "rounded") else {}
        text = dict(label=b.text, fontsize=_n(b.size), fontcolor=self.colour[b.ink]) if b.text else {}
        if b.text and b.bold:
            text["fontname"] = self.bold
        return self._node(
            b.key, b.x, b.y, b.w, b.h, b.kind, b.tip, style=style, fillcolor=self.colour[b.fill],
            color=self.colour[b.edge], penwidth=_n(b.thick), **extra, **text,
        )  # fmt: skip

    def strip(self, s: Strip) -> str:
        colours = self.stripes(s) if s.hatched else [self.cell(v, s) for v in s.values]
        many = len(colours) > 1
        return self._node(
            s.key, s.x, s.y, s.w, s.h, s.kind, s.tip, style="striped" if many else "filled",
            fillcolor=":".join(colours), penwidth="0.6",
            color="transparent" if len(colours) > MANY else self.colour["soft" if s.scale != "log" else s.hue],
        )  # fmt: skip

    def label(self, a: Label) -> str:
        font = {"fontname": self.bold} if a.bold else {}
        node = self._node(
            a.key, a.x, a.y, a.w, a.size * 1.2, a.kind, a.tip, shape="plaintext", style="", label=a.text,
            fontsize=_n(a.size), fontcolor=self.colour[a.ink], penwidth="1.1", **font,
        )  # fmt: skip
        text = _quote(a.text)
        return node.replace(f"label={text}", f'label={text[:-1]}\\{a.side}"', 1) if a.side else node

    def line(self, e: Line) -> str:
        colour = self.colour[e.ink] + (f"{round(255 * e.alpha):02X}" if e.alpha < 1 else "")
        size, dash = 0.7 if e.width < 2.2 else 0.6, "dashed" if e.dashed else self.dashes.get(e.ink)
        a = dict(
            id=e.key, **({"class": e.kind} if e.kind else {}),
            pos=spline(e.points, e.radius, 6 * size + 1 if e.arrow else 0.0),
            color=colour, penwidth=f"{e.width:.2f}", **({} if e.arrow else {"arrowhead": "none"}),
            **({"style": dash} if dash else {}), **({"arrowsize": "0.6"} if e.arrow and size != 0.7 else {}),
            **({"tooltip": e.tip} if e.tip else {}),
        )  # fmt: skip
        return f"  {_quote(e.source)} -> {_quote(e.sink)} {_attributes(**_unlike(a, self.edge))};"

    def stripes(self, s: Strip) -> list[str]:
        """Colours of a strip whose cells below LOW and above HIGH are hatched, with their shares of its width."""
        if all(LOW <= v <= HIGH for v in s.values):
            return [self.cell(v, s) for v in s.values]
        found: list[str] = []
        n = 2 * max(1, round(s.w / len(s.values) / 4.5)) + 1
        for v in s.values:
            if LOW <= v <= HIGH or not math.isfinite(v):
                found.append(f"{self.cell(v, s)};{1 / len(s.values):.5f}")
            else:
                pair = self.cell(v, s), self.colour[s.hue if v < LOW else "gate_inside"]
                found += [f"{pair[i % 2]};{1 / len(s.values) / n:.5f}" for i in range(n)]
        return [*found[:-1], found[-1].partition(";")[0]]

    def cell(self, v: float, s: Strip) -> str:
        """Colour of one number; the colour of ink for what is not finite."""
        if not math.isfinite(v):
            return self.colour["ink"]
        if s.scale == "signed":
            v = max(-1.0, min(1.0, v))
            return self.colour.mix("zero", "positive" if v > 0 else "negative", abs(v))
        if s.scale == "log":
            v = 1 + math.log10(abs(v)) / DECADES if v else 0.0
        return self.colour.mix("paper", s.hue, max(0.0, min(1.0, v)))

    def _node(
        self, key: str, x: float, y: float, w: float, h: float, kind: str, tip: str, **more: str
    ) -> str:
        a = _unlike(more, self.node)
        own = dict(pos=f"{_n(x)},{_n(y)}", width=_inches(w), height=_inches(h))
        said = _attributes(
            **({"class": kind} if kind else {}), **own, **a, **({"tooltip": tip} if tip else {})
        )
        return f"  {_quote(key)} {said};"


def spline(points: tuple[Point, ...], radius: float, arrow: float) -> str:
    """A polyline with rounded corners as Graphviz's Bezier points; `arrow` points are left for the tip."""
    path, head = list(points), ""
    if arrow:
        (x0, y0), (x1, y1) = path[-2], path[-1]
        d = math.dist(path[-2], path[-1]) or 1.0
        cut = min(arrow, d - 0.1)
        path[-1] = (x1 - (x1 - x0) / d * cut, y1 - (y1 - y0) / d * cut)
        head = f"e,{_n(x1)},{_n(y1)} "
    return head + " ".join(f"{_n(x)},{_n(y)}" for x, y in _bezier(path, radius))


def _bezier(path: list[Point], radius: float) -> Iterable[Point]:
    out = [path[0]]
    for a, b, c in zip(path, path[1:], path[2:], strict=False):
        r = min(radius, math.dist(a, b) / 2, math.dist(b, c) / 2)
        p, q = _towards(b, a, r), _towards(b, c, r)
        out += [*_straight(out[-1], p), _towards(p, b, 0.55 * r), _towards(q, b, 0.55 * r), q]
    return out + _straight(out[-1], path[-1])


def _towards(a: Point, b: Point, length: float) -> Point:
    d = math.dist(a, b) or 1.0
    return (a[0] + (b[0] - a[0]) * length / d, a[1] + (b[1] - a[1]) * length / d)


def _straight(a: Point, b: Point) -> list[Point]:
    return [(a[0] + (b[0] - a[0]) * u, a[1] + (b[1] - a[1]) * u) for u in (1 / 3, 2 / 3)] + [b]


def _n(x: float) -> str:
    text = f"{x:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


_SPECIAL = re.compile(r'[&"\\]')


def _quote(text: str) -> str:
    """A DOT string that stands for exactly this text: no escape sequence, entity or markup in it."""
    if text == NAME:
        return f'"{text}"'
    if text.isprintable() and not _SPECIAL.search(text):
        return f'"{text}"'
    lines = [clean(line) for line in str(text).split("\n")]
    safe = [line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(safe) + '"'


def _attributes(**values: str) -> str:
    return "[" + ", ".join(f"{k}={_quote(v)}" for k, v in values.items()) + "]"


def _inches(points: float) -> str:
    return f"{points / 72:.4f}".rstrip("0").rstrip(".")


def _unlike(values: dict[str, str], usual: dict[str, str]) -> dict[str, str]:
    """The attributes that are not as usual."""
    return {k: v for k, v in values.items() if usual.get(k) != v}
