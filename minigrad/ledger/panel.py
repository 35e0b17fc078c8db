"""The right side of a ledger's figure: a line for each term, with its product, bar, share and running sum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..draw.names import fit, text_width
from ..draw.scene import Label
from ..draw.stage import Pen
from .factors import percent, short, together
from .paths import INKS
from .words import held, product, routes

if TYPE_CHECKING:
    from .book import Ledger
    from .rows import Row

VALUE, BAR, SHARE, RUNNING, SUM = 64.0, 160.0, 46.0, 70.0, 62.0  # widths of the columns
GAP = 12.0


class Panel:
    """Draws the columns from x on."""

    def __init__(self, pen: Pen, book: Ledger, x: float, bar: float) -> None:
        self.pen, self.book, self.height = pen, book, bar
        self.top = max((r.norm for r in book.rows if np.isfinite(r.norm)), default=0.0)
        sums = [abs(r.running) for r in book.rows if np.isfinite(r.running)]
        self.most = max(sums, default=0.0)
        term = max(text_width(product(book, r) + " =", 11) for r in book.rows) + 2
        self.at, self.wide = {}, dict(term=term, value=VALUE, bar=BAR, share=SHARE, sum=SUM, running=RUNNING)
        for name, w in self.wide.items():
            self.at[name] = x
            x += w + GAP
        self.right = x - GAP

    def text(
        self, key: str, column: str, y: float, text: str, ink: str = "ink", size: float = 11.0, bold: bool = False,
        side: str = "l", wide: float | None = None,
    ) -> None:  # fmt: skip
        """A text at the left or right side of a column."""
        w = wide or self.wide[column]
        self.pen.scene.labels.append(
            Label(
                key,
                self.at[column] + w / 2,
                y,
                w,
                fit(text, w, size, bold),
                ink,
                size,
                bold,
                "cell",
                side=side,
            )
        )

    def heads(self, y: float) -> None:
        """What the columns are, and the colours of the routes."""
        one = self.book.total.size == 1
        heads = dict(term="term", value="product" if one else "norm", share="share")
        for name, text in heads.items():
            self.text(f"head-{name}", name, y, text, "soft", 10, side="l" if name == "term" else "r")
        self.text("head-sum", "sum", y, "sum so far", "soft", 10, side="r")
        x, y = self.at["bar"], y + 18
        used = {name for r in self.book.rows for name, a in r.routes.items() if a.any()}
        for name, text in ((name, text) for name, text in routes(self.book).items() if name in used):
            w = text_width(f"■ {text}", 9, True) + 2
            self.pen.scene.labels.append(
                Label(f"key-{name}", x + w / 2, y, w, f"■ {text}", INKS[name], 9, True, side="l")
            )
            x += w + 6

    def row(self, key: str, y: float, row: Row, note: str = "") -> None:
        """One term. note: a second line below it."""
        self.text(f"{key}-term", "term", y, product(self.book, row) + (" =" if row.term.size == 1 else ""))
        if note:
            self.text(f"{key}-note", "term", y - 16, note, "soft", 9, wide=self.at["share"] - self.at["term"])
        ink = "negative" if (row.value or 0) < 0 else "gradient"
        self.text(f"{key}-value", "value", y, short(row.product, 4), ink, 12, True, "r")
        self._bar(key, y, row, ink)
        self.text(f"{key}-share", "share", y, percent(row.share), "ink", 10, side="r")
        self.running(key, y, row.running)

    def running(self, key: str, y: float, value: float) -> None:
        """The sum of this row and all above it."""
        self.text(f"{key}-sum", "sum", y, short(value, 4), "ink", 10, side="r")
        w = RUNNING * part(abs(value), self.most)
        if w > 0.5:
            place = (self.at["running"] + w / 2, y, w, 0.6 * self.height)
            self.pen.box(
                f"{key}-running", *place, fill="param", edge="state_edge", thick=0.8, kind="bar running"
            )

    def _bar(self, key: str, y: float, row: Row, ink: str) -> None:
        """As long as the term is large, cut into its routes by their shares."""
        length = BAR * part(row.norm, self.top)
        x, tip = self.at["bar"], f"{product(self.book, row)}: {row.product:.6g}, {percent(row.share)}"
        for name, w, colour in segments(self.book, row, length, ink):
            if w > 0.4:
                self.pen.box(
                    f"{key}-bar-{name}", x + w / 2, y, w, self.height, fill=colour, edge=colour, thick=0.4,
                    kind=f"bar {name}", tip=tip if self.book.highway is None else f"{name}: {percent(row.via[name])}",
                )  # fmt: skip
            x += w

    def foot(self, y: float) -> None:
        """The sum, the engine's gradient, and how far back it reaches."""
        book, bar = self.book, "" if self.book.total.size == 1 else "‖"
        whole = f" {bar}·{bar}" if bar else ""
        total, engine = (f"{_size(a):.6g}".replace("-", "−") for a in (book.total, book.gradient))
        lines = [
            (f"{bar}Σ{bar} = {total}", "ink", 14.0, True),
            (f"the engine's gradient{whole} = {engine}", "ink", 11.0, False),
            (f"largest difference {book.difference:.1e}", "soft", 10.0, False),
        ]
        if text := held(book):
            lines.append((text, "ink", 11.0, False))
        wide = self.right - self.at["term"]
        for k, (text, ink, size, bold) in enumerate(lines):
            self.text(f"foot-{k}", "term", y - 17 * k, text, ink, size, bold, wide=wide)


def segments(book: Ledger, row: Row, length: float, ink: str) -> Iterator[tuple[str, float, str]]:
    """(route, length, colour) of the pieces of a bar."""
    sizes = {name: abs(v) for name, v in row.via.items()}
    whole = sum(sizes.values())
    if book.highway is None or not whole > 0:
        yield "whole", length, ink
        return
    for name, v in sizes.items():
        yield name, length * v / whole, INKS[name]


def part(value: float, most: float) -> float:
    """value / most, between 0 and 1; 1 for what is not finite."""
    if not np.isfinite(value):
        return 1.0
    return min(1.0, value / most) if most > 0 else 0.0


def numbers(book: Ledger, row: Row) -> str:
    """The product in numbers: its factors, the shares of its routes, or the norm of all but a."""
    if row.step is None:
        return ""
    if book.highway is not None:
        named = routes(book)
        return ", ".join(f"{named[n]} {percent(v)}" for n, v in row.via.items() if row.routes[n].any())
    if row.term.size != 1 or not book.of_state or len(book.run.cell.states) > 1:
        chain = product(book, row).rpartition("·")[0]
        return f"‖{chain}‖ = {short(book.delta[row.step])}" if chain else ""
    found = [together(book.blocks[j].values()) for j in range(book.at, row.step, -1)]
    own = [together(book.entries[row.step].values())] if book.wrt in book.run.params else []
    return " · ".join(short(v) for v in [*found, *own])


def _size(a: np.ndarray) -> float:
    return float(a.item()) if a.size == 1 else float(np.linalg.norm(a))
