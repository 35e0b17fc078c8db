"""What a ledger says in letters: the identity, each row's product, and the Jacobians written out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..draw.names import pretty, subscript

if TYPE_CHECKING:
    from .book import Ledger
    from .rows import Row

LONGEST = 3  # factors b that are written one by one


def heading(book: Ledger) -> str:
    """What is differentiated: ∂h₄/∂U, ∂h₄/∂h₀, ∂L/∂U."""
    of = pretty(book.name, book.at if book.of_state else None)
    initial = book.wrt in book.run.cell.states
    return f"∂{of}/∂{pretty(book.wrt, 0 if initial else None)}"


def reads_last_only(book: Ledger) -> bool:
    """Whether what is differentiated reads the last step and no other."""
    return not any(book.pieces.extra[:-1]) and not any(book.pieces.besides)


def product(book: Ledger, row: Row) -> str:
    """The row as a product: b₄·b₃·a₂, with g₄ in front for a loss; δ₂·a₂ if the loss reads several steps."""
    if row.step is None:
        return "outside the steps"
    own = [] if book.wrt in book.run.cell.states else [f"a{subscript(row.step)}"]
    if not reads_last_only(book):
        more = f" + d{subscript(row.step)}" if book.pieces.besides[row.step] else ""
        if more and own and row.step not in book.entries:
            return more.removeprefix(" + ")
        return "·".join([f"δ{subscript(row.step)}", *own]) + more
    front = [] if book.of_state else [f"g{subscript(book.at)}"]
    b = [f"b{subscript(j)}" for j in range(book.at, row.step, -1)]
    if len(b) > LONGEST:
        b = [f"{b[0]}⋯{b[-1]}"]
    return "·".join([*front, *b, *own]) or "1"


def identity(book: Ledger) -> str:
    """The formula that the rows are the terms of."""
    name, T = heading(book), subscript(book.at)
    front, last = "" if book.of_state else f"g{T} ", reads_last_only(book)
    more = " + what is outside the steps" if book.pieces.outside else ""
    if book.wrt in book.run.cell.states:
        return f"{name} = {front}b{T}⋯b₁" if last else f"{name} = Σₜ gₜ bₜ⋯b₁"
    if last:
        return f"{name} = Σᵢ {front}b{T}⋯bᵢ₊₁ aᵢ{more}"
    if any(book.pieces.besides):
        return f"{name} = Σᵢ δᵢ aᵢ + dᵢ{more}"
    return f"{name} = Σᵢ δᵢ aᵢ{more}, with δᵢ = Σₜ gₜ bₜ⋯bᵢ₊₁ over t ≥ i"


def letters(book: Ledger) -> list[str]:
    """What the letters stand for."""
    states = book.run.cell.states
    s = pretty(states[0]) if len(states) == 1 else f"({', '.join(map(pretty, states))})"
    lines = [f"bⱼ = ∂{s}ⱼ/∂{s}ⱼ₋₁"]
    if book.wrt not in states:
        lines.append(f"aᵢ = ∂{s}ᵢ/∂{pretty(book.wrt)} with {s}ᵢ₋₁ held fixed")
    L = pretty(book.name)
    if any(book.pieces.besides):
        lines += [f"δᵢ = ∂{L}/∂{s}ᵢ, through all later steps", f"dᵢ: what {L} reads of step i past {s}ᵢ"]
    elif not book.of_state:
        lines.append(f"gₜ = ∂{L}/∂{s}ₜ, what it reads of step t itself")
    return lines


def jacobians(book: Ledger) -> list[tuple[str, str]]:
    """The blocks of b written out from the cell's code, as (dC[t]/dC[t-1], D(F[t])); none for a cell that
    `derive` refuses. D(v) is the diagonal matrix of v, rows are vectors."""
    from ..prove import derive

    try:
        return [(x.note, x.right.code) for x in derive(book.run.cell).jacobians if x.note.endswith("[t-1]")]
    except (ValueError, TypeError, NotImplementedError):
        return []


def textbook(code: str) -> str:
    """A formula in code as it is set in a picture: D(1 - h[t]**2) @ U.T is D(1 − hₜ²) Uᵀ."""
    for old, new in (
        ("[t-1]", "ₜ₋₁"),
        ("[t]", "ₜ"),
        ("**2", "²"),
        (".T", "ᵀ"),
        (" @ ", " "),
        (" * ", "⊙"),
        ("-", "−"),
    ):
        code = code.replace(old, new)
    return re.sub(r"[A-Za-z]\w*?(?=[ₜᵀ]|\b)", lambda m: pretty(m[0]), code)


def routes(book: Ledger) -> dict[str, str]:
    """What the routes of a row are called, where there are several."""
    if book.highway is None:
        return {}
    others = [pretty(s) for s in book.run.cell.states if s != book.highway]
    return {
        "direct": "its own step", "highway": f"along {pretty(book.highway)}",
        "other": f"through {' or '.join(others)}",
    }  # fmt: skip


def held(book: Ledger, part: float = 0.9) -> str:
    """How many steps back hold 90 % of it."""
    m, n = book.steps_for(part), book.at
    if book.wrt in book.run.cell.states or not m:
        return ""
    some = f"the last {m} of {n} steps" if m > 1 else "the last step"
    steps = "all steps and the initial state" if m > n else f"all {n} steps" if m == n else some
    return f"{part:.0%} of it is held by {steps}"
