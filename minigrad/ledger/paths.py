"""The unrolled graph as the ledger draws it: states in a row, the parameter on a rail below, a path lit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..draw.names import pretty, subscript, text_width
from ..draw.stage import Pen
from .factors import Factor, short, together
from .words import reads_last_only

if TYPE_CHECKING:
    from .book import Ledger

INKS = {"direct": "gradient", "highway": "gate0", "other": "gate1"}  # of the routes, where there are several
THINNEST, THICKNESS, THICKEST = 1.1, 3.2, 5.2


class Graph:
    """Draws the graph of a ledger at a height; x(j) is where the states after step j stand."""

    def __init__(self, pen: Pen, book: Ledger, pitch: float, size: float, font: float) -> None:
        self.pen, self.book, self.pitch, self.size, self.font = pen, book, pitch, size, font
        states = book.run.cell.states
        first = [] if book.highway is None else [states.index(book.highway)]
        self.lanes = [*first, *(k for k in range(len(states)) if k not in first)]
        self.single = len(states) == 1
        self.height = size if self.single else 0.84 * size * len(states)
        self.rail = -self.height / 2 - 1.25 * font - 20
        self.has_rail = any(book.pieces.touched) and book.wrt not in states

    @property
    def left(self) -> float:
        """x of the leftmost part."""
        return self._param_x - self._param_w / 2 if self.has_rail else -self.size / 2

    @property
    def right(self) -> float:
        """x of the rightmost part."""
        end = self.x(self.book.at) + self.size / 2
        return end if self.book.of_state else end + 0.55 * self.pitch + 20

    @property
    def top(self) -> float:
        """How far above its middle it reaches."""
        return self.height / 2 + (22 if not reads_last_only(self.book) else 0)

    @property
    def _param_w(self) -> float:
        return text_width(pretty(self.book.wrt), 12, True) + 16

    @property
    def _param_x(self) -> float:
        """The parameter stands below the initial state, or before it where that depends on it too."""
        return -0.75 * self.pitch if self.book.pieces.touched[0] else 0.0

    def x(self, j: int) -> float:
        """The middle of the states after step j."""
        return j * self.pitch

    def lane(self, k: int) -> float:
        """How far above the middle state line k runs."""
        return ((len(self.lanes) - 1) / 2 - self.lanes.index(k)) * 0.84 * self.size

    def draw(self, key: str, y: float, start: int | None, labels: str = "lit") -> None:
        """The graph with the path lit that begins at step `start`; labels: "lit" factors or "all"."""
        every = labels == "all"
        for j in range(self.book.at + 1):
            self._states(key, y, j, start is not None and j >= start, j == start)
        for j in range(1, self.book.at + 1):
            lit = start is not None and j > start
            for (k, m), f in sorted(self.book.blocks[j].items()):
                self._edge(key, y, j, (k, m), f, lit, every)
        if self.has_rail:
            self._rail(key, y, start, every)
        if not self.book.of_state:
            self._loss(key, y, start, every)

    def _states(self, key: str, y: float, j: int, lit: bool, source: bool) -> None:
        """A circle with a state's name; of several states, a box with one line for each."""
        ink = "gradient" if lit else "state_edge"
        names = [pretty(s, j) for s in self.book.run.cell.states]
        fill, text = ("gradient", "on_gate") if source else ("state", "gradient" if lit else "soft")
        look = dict(fill=fill, edge=ink, thick=2.0 if lit else 1.0, kind=f"state t{j}{' lit' * lit}")
        place = (f"{key}-s{j}", self.x(j), y, self.size, self.height)
        tip = f"delta after step {j}: {self.book.delta[j]:.4g}"
        if self.single:
            self.pen.box(
                *place, "ellipse", text=names[0], ink=text, size=self.font + 1.5, bold=lit, tip=tip, **look
            )
            return
        self.pen.box(*place, "rounded", tip=tip, **look)
        for k in self.lanes:
            at = (self.x(j), y + self.lane(k), self.size - 3)
            self.pen.label(f"{key}-s{j}-{k}", *at, names[k], text, self.font + 1.5, lit, f"{key}-s{j}")

    def _edge(
        self, key: str, y: float, j: int, pair: tuple[int, int], f: Factor, lit: bool, every: bool
    ) -> None:
        k, m = pair
        half, route, names = self.size / 2, self._route(j, k, m), self.book.run.cell.states
        lit = lit and (j < self.book.at or not self.book.of_state or names[k] == self.book.name)
        lit = lit and (j > 1 or self.book.wrt not in names or names[m] == self.book.wrt)
        ends = ((self.x(j - 1) + half, y + self.lane(m)), (self.x(j) - half, y + self.lane(k)))
        ink = self._ink(route) if lit else "state_edge" if every else "frame_edge"
        self.pen.line(
            f"{key}-b{j}-{k}-{m}", f"{key}-s{j - 1}", f"{key}-s{j}", ends, ink,
            _width(f) * (0.6 if every else 1) if lit or every else 1.0, arrow=k == m or not every,
            kind=f"path t{j}{' lit' * lit}", tip=f"d{names[k]}{j}/d{names[m]}{j - 1}: {describe(f)}",
        )  # fmt: skip
        if (lit or every) and (up := self._side(j, k, m)):
            text = (
                f"b{subscript(j)}{' =' if f.value is not None else ':'} {f}"
                if self.pitch > 80 and self.single
                else str(f)
            )
            at = ((self.x(j - 1) + self.x(j)) / 2, y + self.lane(m) + up * (0.62 * self.font + 4))
            ink = self._ink(route) if lit else "soft"
            self.pen.label(f"{key}-b{j}-{k}-n", *at, self.pitch - self.size, text, ink, self.font - 1, lit)

    def _side(self, j: int, k: int, m: int) -> int:
        """1 for a label above the edge, -1 for one below it, 0 for none: only outer lanes have room for one."""
        names = self.book.run.cell.states
        last = j == self.book.at and self.book.of_state
        if names[k] != self.book.name if last else k != m:
            return 0
        return 1 if m == self.lanes[0] else -1 if m == self.lanes[-1] else 0

    def _route(self, j: int, k: int, m: int) -> str:
        """The route that a block belongs to: the highway is entered from its own line alone."""
        states, last = self.book.run.cell.states, j == self.book.at and self.book.of_state
        on = self.book.highway is not None and states[m] == self.book.highway
        return "highway" if on and (k == m or (last and states[k] == self.book.name)) else "other"

    def _ink(self, route: str) -> str:
        return INKS[route] if self.book.highway is not None else "gradient"

    def _rail(self, key: str, y: float, start: int | None, every: bool) -> None:
        """The parameter, once, with a tap for each step that reads it."""
        x0, w, rail = self._param_x, self._param_w, y + self.rail
        reads = [i for i, touched in enumerate(self.book.pieces.touched) if touched]
        name = pretty(self.book.wrt)
        self.pen.box(
            f"{key}-w", x0, rail, w, 22, "rounded", "param", "state_edge", name, "ink", 12, True, kind="param"
        )
        source, x = f"{key}-w", x0 + w / 2
        for i in reads:  # from one tap to the next, so that no line lies on another
            passed = start is not None and i <= start
            ink, joint = "gradient" if passed else "frame_edge", f"{key}-j{i}"
            self.pen.box(
                joint, self.x(i), rail, 2.5, 2.5, "ellipse", fill=ink, edge=ink, thick=0.4, kind="joint"
            )
            self.pen.line(
                f"{key}-w{i}", source, joint, ((x, rail), (self.x(i), rail)), ink, 2.0 if passed else 1.0,
                arrow=False, kind=f"rail t{i}{' lit' * passed}",
            )  # fmt: skip
            self._tap(key, y, i, i == start, every)
            source, x = joint, self.x(i)

    def _tap(self, key: str, y: float, i: int, lit: bool, every: bool) -> None:
        """From the rail up to a step, as wide as a_i is large."""
        size, rail = together(self.book.entries[i].values()), y + self.rail
        one = [f.value is not None for f in self.book.entries[i].values()] == [True]
        ink = "gradient" if lit else "state_edge" if every else "frame_edge"
        self.pen.line(
            f"{key}-a{i}", f"{key}-j{i}", f"{key}-s{i}", ((self.x(i), rail), (self.x(i), y - self.height / 2)), ink,
            min(THICKEST, THINNEST + THICKNESS * abs(size)) if lit else 1.0, kind=f"path tap t{i}{' lit' * lit}",
            tip=f"a{i}: {size:.4g}",
        )  # fmt: skip
        if lit or every:
            text = f"a{subscript(i)}{' =' if one else ':'} {short(size)}" if self.pitch > 80 else short(size)
            w = text_width(text, self.font - 1, lit) + 2
            at = (self.x(i) + 6 + w / 2, rail + 0.6 * self.font + 4)
            self.pen.label(f"{key}-a{i}-n", *at, w, text, "gradient" if lit else "soft", self.font - 1, lit)

    def _loss(self, key: str, y: float, start: int | None, every: bool) -> None:
        """The loss at the right of the last step, and a small box at each earlier step that it reads."""
        T, name = self.book.at, pretty(self.book.name)
        for t, read in enumerate(self.book.pieces.extra):
            if not read:
                continue
            lit = start is not None and t >= start
            ink, width = ("gradient", 2.0) if lit else ("frame_edge", 1.0)
            box = dict(
                fill="gradient" if lit else "state",
                edge=ink,
                text=name,
                ink="on_gate" if lit else "soft",
                bold=True,
            )
            at = (f"{key}-L{t}", f"{key}-s{t}", f"{key}-L{t}")
            if t == T:
                a, b = (self.x(t) + self.size / 2, y), (self.right - 20, y)
                self.pen.box(at[0], b[0] + 10, y, 20, 22, "rounded", size=12, kind="loss", **box)
            else:
                a, b = (self.x(t), y + self.height / 2), (self.x(t), y + self.height / 2 + 8)
                self.pen.box(at[0], b[0], b[1] + 7, 14, 14, "rounded", size=9, kind="loss", **box)
            self.pen.line(
                f"{key}-g{t}", *at[1:], (a, b), ink, width, arrow=t == T, kind=f"path t{t}{' lit' * lit}"
            )


def _width(f: Factor) -> float:
    return min(THICKEST, THINNEST + THICKNESS * f.size) if f.size == f.size else THINNEST


def describe(f: Factor) -> str:
    """A factor in words."""
    if f.value is not None:
        return f"{f.value:.4g}"
    norm = "" if f.norm is None else f", Frobenius norm {f.norm:.4g}"
    return f"leading singular value {f.largest:.4g}{norm}"
