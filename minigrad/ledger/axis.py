"""A ledger of many steps: one graph, or above 24 steps a strip, and below it a line for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..draw.names import pretty, text_width
from ..draw.scene import Label, Strip
from ..draw.stage import Pen, log_part
from .caption import title
from .factors import percent, together
from .panel import Panel
from .paths import Graph

if TYPE_CHECKING:
    from .book import Ledger
    from .rows import Row

MOST = 24  # rows that are drawn, one more if it is the last, and steps whose states are
WIDE = 52.0  # points between two steps
WHOLE = 840.0  # points for all steps, where they are more
CELLS = 180  # of a strip
ROW = 19.0


def on_axis(pen: Pen, book: Ledger) -> None:
    """All rows on one axis of time: a line from the step that a term comes from to the last."""
    many = book.at > MOST
    graph = Graph(pen, book, WHOLE / book.at if many else WIDE, 26.0, 8.5)
    rows, rest = shown(book)
    panel = Panel(pen, book, max(graph.right, graph.x(book.at) + 8) + 34, bar=9.0)
    if many:
        low, top = _strips(pen, book, graph), 30.0
    else:
        graph.draw("g", 0.0, None, "all")
        low, top = (graph.rail - 14 if graph.has_rail else -graph.height / 2 - 12), graph.top + 16
    title(pen, book, graph.left, top + 24)
    y = low - 18
    panel.heads(y)
    for n, row in enumerate(rows):
        y -= ROW
        _line(pen, book, graph, f"r{n}", y, row)
        panel.row(f"r{n}", y, row)
    if rest:
        y -= ROW
        _rest(pen, graph, panel, y, rest)
    panel.foot(y - 28)


def shown(book: Ledger) -> tuple[list[Row], list[Row]]:
    """The rows that have a line of their own, and those that share one."""
    if len(book.rows) <= MOST + 1:
        return list(book.rows), []
    return list(book.rows[:MOST]), list(book.rows[MOST:])


def _line(pen: Pen, book: Ledger, graph: Graph, key: str, y: float, row: Row) -> None:
    """From the step of the term, past every step whose factor it is multiplied with, to the last."""
    if row.step is None:
        return
    peak = max((r.norm for r in book.rows), default=0.0)
    first, last = graph.x(row.step), graph.x(book.at)
    size = 9.0 if book.at <= MOST else 6.0
    look = dict(fill="gradient", edge="gradient", thick=0.5)
    pen.box(f"{key}-i", first, y, size, size, "ellipse", kind=f"source t{row.step}", **look)
    name = str(row.step)
    w = text_width(name, 9, True) + 2
    pen.scene.labels.append(
        Label(f"{key}-n", first - size / 2 - 3 - w / 2, y, w, name, "gradient", 9, True, side="r")
    )
    if last - first < size / 2 + 3:  # no room for a line
        return
    pen.box(f"{key}-T", last, y, 4, 4, "ellipse", kind="end", **look)
    pen.line(
        f"{key}-path", f"{key}-i", f"{key}-T", ((first + size / 2, y), (last - 2, y)), "gradient",
        0.6 + 3.4 * log_part(row.norm, peak), arrow=False, alpha=0.75, kind=f"path t{row.step} lit",
        tip=f"from step {row.step}: {row.product:.6g}",
    )  # fmt: skip


def _rest(pen: Pen, graph: Graph, panel: Panel, y: float, rest: list[Row]) -> None:
    """The rows without a line of their own, as one, over the steps that they come from."""
    steps = [r.step for r in rest if r.step is not None]
    first, last = min(steps), max(steps)
    pen.box("rest-first", graph.x(first), y, 4, 4, "ellipse", fill="soft", edge="soft", thick=0.5, kind="end")
    if graph.x(last) - graph.x(first) > 5:
        pen.box(
            "rest-last", graph.x(last), y, 4, 4, "ellipse", fill="soft", edge="soft", thick=0.5, kind="end"
        )
        ends = ((graph.x(first) + 2, y), (graph.x(last) - 2, y))
        pen.line("rest-path", "rest-first", "rest-last", ends, "soft", 1.0, arrow=False, kind="rest")
    text = f"… {len(rest)} more, of steps {first} to {last}"
    panel.text("rest-term", "term", y, text, "soft", 10, wide=panel.at["share"] - panel.at["term"])
    panel.text("rest-share", "share", y, percent(sum(r.share for r in rest)), "ink", 10, side="r")
    panel.running("rest", y, rest[-1].running)


def _strips(pen: Pen, book: Ledger, graph: Graph) -> float:
    """The sizes of b_j, and of a_i, as cells on the axis, with a scale of steps below."""
    T, wide = book.at, graph.x(book.at)
    b = np.array([max((f.size for f in book.blocks[j].values()), default=0.0) for j in range(1, T + 1)])
    rows = [("b", b)]
    if len(book.entries) >= T:
        rows.append(("a", np.array([abs(together(book.entries[j].values())) for j in range(1, T + 1)])))
    for n, (name, sizes) in enumerate(rows):
        y, peak = -18.0 * n, float(np.nanmax(sizes)) or 1.0
        cells = sizes if T <= CELLS else np.array([c.mean() for c in np.array_split(sizes, CELLS)])
        tip = f"sizes of {name}, from {sizes.min():.3g} to {sizes.max():.3g}; 4 decades"
        place = (f"strip-{name}", graph.pitch / 2 + wide / 2, y, wide, 12.0)
        pen.scene.strips.append(
            Strip(*place, tuple(map(float, cells / peak)), "log", "gradient", "factors", tip)
        )
        text = f"|{name}| up to {peak:.2g}"
        w = text_width(text, 9) + 2
        pen.label(f"strip-{name}-n", graph.pitch / 2 - 8 - w / 2, y, w, text, "soft", 9)
    low = -18.0 * len(rows) - 2
    every = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000) if T / s <= 20)
    for t in range(0, T + 1, every):
        name = pretty(book.run.cell.states[0], t)
        pen.label(f"tick-{t}", graph.x(t), low, text_width(name, 9) + 2, name, "soft", 9)
    return low - 6
