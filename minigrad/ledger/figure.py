"""A ledger as a scene: up to six steps, a graph for each row; more, one graph and a line for each row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..draw.scene import Box, Line, Scene
from ..draw.stage import Pen
from .axis import on_axis
from .caption import described, title
from .panel import Panel, numbers
from .paths import Graph
from .words import heading, product

if TYPE_CHECKING:
    from ..draw.page import Highlight
    from .book import Ledger

FEW = 6  # steps that are drawn anew for each row


def figure(book: Ledger) -> Scene:
    """The scene of a ledger."""
    scene = Scene(f"{heading(book)} of {book.run.cell.name}, term by term", described(book))
    (graphs if book.at <= FEW else on_axis)(Pen(scene), book)
    return scene


def graphs(pen: Pen, book: Ledger) -> None:
    """Each row a graph of its own, its path lit and its factors beside the edges."""
    graph = Graph(pen, book, pitch=96.0, size=34.0, font=10.5)
    panel = Panel(pen, book, graph.right + (62 if book.of_state else 34), bar=13.0)
    low = graph.rail - 14 if graph.has_rail else -graph.height / 2 - 12
    step = graph.top - low + 18
    top = graph.top + 16
    panel.heads(top)
    title(pen, book, graph.left, top + 24)
    for n, row in enumerate(book.rows):
        y = -n * step
        graph.draw(f"r{n}", y, row.step)
        panel.row(f"r{n}", y, row, numbers(book, row))
    panel.foot(-(len(book.rows) - 1) * step + low - 14)


def highlights(book: Ledger, scene: Scene) -> list[Highlight]:
    """What a click on a term of the HTML page lights: its path, in the row's own graph or in the common one."""
    from ..draw.page import Highlight

    parts: list[Box | Line] = [*scene.boxes, *scene.lines]
    found = []
    for n, row in enumerate(book.rows):
        mine = re.compile(rf"r{n}-(i|path|T|w|running|bar-\w+)$")
        own = [
            p.key
            for p in parts
            if mine.match(p.key) or (p.key.startswith(f"r{n}-") and p.kind.endswith(" lit"))
        ]
        own += [a.key for a in scene.labels if a.key.startswith(f"r{n}-") and a.lies_in is None]
        if own:
            common = [] if row.step is None else [p.key for p in parts if _on_path(p.key, row.step, book)]
            found.append(Highlight(product(book, row), (*own, *common), f"{row.product:.6g}"))
    return found


def _on_path(key: str, step: int, book: Ledger) -> bool:
    """Whether a part of the common graph belongs to the path from a step to the last."""
    if not (m := re.match(r"g-([sbawjLg])(\d+)(?:-(\d+))?", key)):
        return key == "g-w"
    kind, j = m[1], int(m[2])
    if kind == "b":
        last = j == book.at and book.of_state
        return j > step and (not last or book.run.cell.states[int(m[3])] == book.name)
    return j <= step if kind in "wj" else j == step if kind == "a" else j >= step
