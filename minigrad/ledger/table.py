"""A ledger as a table to read."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from .factors import percent, short, together
from .words import held, identity, jacobians, letters, product, reads_last_only, routes

if TYPE_CHECKING:
    from .book import Ledger
    from .rows import Row

BAR = 20  # characters
WIDTH = 110
EIGHTHS = " ▏▎▍▌▋▊▉█"


def table(book: Ledger) -> str:
    """The ledger as text: a row for each term, the sum, and the engine's gradient."""
    ways = routes(book)
    numbers = book.total.size == 1
    chain, size = "b···b" if reads_last_only(book) else "δ", "product" if numbers else "norm"
    head = ["step", "term", "aᵢ", chain, size, "share", *ways.values(), "running", ""]
    top = max((r.norm for r in book.rows), default=0.0)
    cells = [head, *(_cells(book, r, list(ways), top) for r in book.rows)]
    if not any(book.entries):
        cells = [row[:2] + row[3:] for row in cells]
    wide = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    body = ["  ".join(_aligned(row, wide)).rstrip() for row in cells]
    cell = book.run.cell
    lines = [f"{cell.name}, {book.at} steps: {identity(book)}", *letters(book), "", *body, ""]
    of = "" if numbers else "norm "
    lines.append(
        f"sum {of}{_exact(book.total)}, the engine's gradient {of}{_exact(book.gradient)}, "
        f"largest difference {book.difference:.1e}"
    )
    if text := held(book):
        lines.append(text)
    if found := jacobians(book):
        lines += ["", "b, from the cell's code (D(v): the diagonal matrix of v):"]
        for name, b in found:
            lines += wrap(f"{name} = {b}", WIDTH, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def _cells(book: Ledger, row: Row, ways: list[str], top: float) -> list[str]:
    i = row.step
    entry = "" if i not in book.entries else short(together(book.entries[i].values()))
    chain = "" if i is None else short(book.delta[i])
    via = [percent(row.via[name]) if name in row.via and row.routes[name].any() else "" for name in ways]
    return [
        "-" if i is None else str(i), product(book, row), entry, chain, short(row.product, 4), percent(row.share), *via,
        short(row.running, 4), _bar(row.norm / top if top else 0.0),
    ]  # fmt: skip


def _aligned(row: list[str], wide: list[int]) -> list[str]:
    left = (1, len(row) - 1)  # the term and the bar
    return [c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(row, wide, strict=True))]


def _bar(part: float) -> str:
    if not 0 <= part <= 1:
        return "?"
    n = round(8 * BAR * part)
    return "█" * (n // 8) + EIGHTHS[n % 8].strip()


def _exact(a: np.ndarray) -> str:
    return f"{a.item():.10g}" if a.size == 1 else f"{np.linalg.norm(a):.10g}"
