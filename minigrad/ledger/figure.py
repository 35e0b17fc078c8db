"""A ledger as a scene: up to six steps, a graph for each row; more, one graph and a line for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..draw.scene import Scene
from ..draw.stage import Pen
from .axis import on_axis
from .caption import described, title
from .panel import Panel, numbers
from .paths import Graph
from .words import heading

if TYPE_CHECKING:
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
