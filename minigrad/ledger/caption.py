"""What is written above a ledger's figure, and the figure in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..draw.names import text_width
from ..draw.scene import Label
from ..draw.stage import Pen
from .words import held, identity, jacobians, letters, textbook

if TYPE_CHECKING:
    from .book import Ledger

SHORT = 60  # characters of a Jacobian that is written into the picture


def title(pen: Pen, book: Ledger, x: float, y: float) -> None:
    """The identity, and what its letters and numbers are, upwards from y."""
    lines = [(explained(book), "soft", 10.0, False)]
    lines += [(text, "ink", 10.5, False) for text in reversed(meanings(book))]
    lines.append((identity(book), "ink", 16.0, True))
    for k, (text, ink, size, bold) in enumerate(lines):
        w = text_width(text, size, bold) + 2
        pen.scene.labels.append(
            Label(
                f"title-{k}",
                x + w / 2,
                y + 17 * k + (4 if bold else 0),
                w,
                text,
                ink,
                size,
                bold,
                "title",
                side="l",
            )
        )


def explained(book: Ledger) -> str:
    """What the numbers are."""
    if book.total.size == 1 and all(
        f.value is not None for row in book.blocks.values() for f in row.values()
    ):
        return "beside the edges: the factors themselves"
    return (
        "beside the edges: leading singular value of b, norm of a (Frobenius's, as all norms here). "
        "Share: projection on the whole"
    )


def meanings(book: Ledger) -> list[str]:
    """What the letters are, and the Jacobians along the path, from the cell's code, where they are short."""
    lines, states = letters(book), book.run.cell.states
    way = book.highway or states[0]
    wanted = [f"d{s}[t]/d{way}[t-1]" for s in dict.fromkeys((way, book.name if book.of_state else way))]
    found = dict(jacobians(book))
    told = {name: textbook(found[name]) for name in wanted if name in found and len(found[name]) <= SHORT}
    if not told:
        return lines
    if len(states) == 1:
        lines[0] += f" = {told[wanted[0]].replace('ₜ', 'ⱼ')}; D(v) the diagonal matrix of v"
        return lines
    formulas = [
        f"{textbook(name.replace('d', '∂', 1).replace('/d', '/∂'))} = {b}" for name, b in told.items()
    ]
    return [*lines, "; ".join([*formulas, "D(v) the diagonal matrix of v"])]


def described(book: Ledger) -> str:
    """The picture in words."""
    terms = "; ".join(
        f"step {r.step if r.step is not None else 'none'}: {r.product:.4g}, {r.share:.1%}" for r in book.rows
    )
    return f"{identity(book)}. Terms: {terms}. {held(book)}."
