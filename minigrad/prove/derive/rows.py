r"""Long LaTeX formulas over several rows, broken as a person breaks them: before a sign, else between factors.

A sum in brackets that has to be broken gets \bigl( and \bigr), as \left and \right must close in their row.
Widths are estimated, on the wide side; a formula that is cut no further than these rules allow may still be
wider than its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LINE = 345  # points: the text width of LaTeX's standard article
QUAD = 10
TIMES = r"\,"  # between matrices
TOKEN = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\(?:left|right)\\?.|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
WIDTHS = {
    r"\odot": 12.2, "+": 12.2, "-": 12.2, "=": 13.4, ",": 4.5, r"\,": 1.7, r"\;": 2.8, r"\quad": QUAD,
    r"\text": 0, r"\mathit": 0, r"\operatorname": 1.7, r"\mathrm": 0, r"\mathbf": 0, r"\tilde": 0, "&": QUAD,
    r"\hat": 0, r"\bar": 0, r"\dot": 0, r"\textstyle": 0, r"\sqrt": 9, r"\partial": 6, r"\sum": 16,
}  # fmt: skip
SCRIPT = 0.75  # the size of an index, next to that of the line


def rows(left: str, right: str, room: float) -> list[str]:
    """left &= right as rows of an align environment, each within `room` points to the right of the &."""
    first, *others = broken(right, room - WIDTHS["="] - QUAD)
    return [f"{left} &= {first}", *(rf"&\quad {r}" for r in others)]


def broken(tex: str, room: float) -> list[str]:
    """The formula in rows; each after the first goes on where the one before it stops."""
    if width(tex) <= room:
        return [tex]
    parts = split(tex, (" + ", " - "))
    if len(parts) > 1:
        return [row for k, p in enumerate(parts) for row in broken(f"{{}}{p}" if k else p, room)]
    inside = _widest_sum(tex)
    if inside is None:
        return _between_factors(tex, room)
    return min((_inside(tex, *inside, room, before) for before in (True, False)), key=len)


def _inside(
    tex: str, start: int, stop: int, opening: str, closing: str, room: float, before: bool
) -> list[str]:
    """The formula broken inside one of its brackets, and before it too if so asked."""
    head, inner, tail = tex[:start], tex[start + len(opening) : stop], tex[stop + len(closing) :]
    opened, closed = rf"\bigl{opening[-1]}", rf"\bigr{closing[-1]}"
    over = before or width(head) > room / 2
    above = broken(head.removesuffix(TIMES), room) if over and head else []
    lines = broken(inner, room - QUAD - (0 if over else width(head)))
    lines[0] = (rf"\quad {opened}" if above else head + opened) + lines[0]
    lines[1:] = [rf"\quad {line}" for line in lines[1:]]
    lines[-1] += closed
    if tail and width(lines[-1] + tail) > room:
        return [*above, *lines, *(rf"\quad {line}" for line in broken(tail, room - QUAD))]
    return [*above, *lines[:-1], lines[-1] + tail]


def _between_factors(tex: str, room: float) -> list[str]:
    """A product in rows, each as long as the room allows."""
    lines: list[str] = []
    for factor in split(tex, (TIMES, r" \odot ")):
        if lines and width(lines[-1] + factor) <= room:
            lines[-1] += factor
        else:
            lines.append(rf"\quad {factor.removeprefix(TIMES).lstrip()}" if lines else factor)
    return lines


def split(tex: str, marks: Sequence[str]) -> list[str]:
    """The formula cut before each mark that stands outside of all brackets."""
    found, depth, start, at = [], 0, 0, 0
    for token in TOKEN.findall(tex):
        depth += _opens(token)
        if not depth and at and any(tex.startswith(m, at) for m in marks):
            found.append(tex[start:at].strip())
            start = at
        at += len(token)
    return [*found, tex[start:].strip()]


def _opens(token: str) -> int:
    """1 for what opens a bracket, -1 for what closes one, else 0."""
    opens = token in "([{" or token.startswith((r"\left", r"\begin"))
    return opens - (token in ")]}" or token.startswith((r"\right", r"\end")))


def _widest_sum(tex: str) -> tuple[int, int, str, str] | None:
    r"""(where it opens, where it closes, \left(, \right)) of the widest sum in brackets; not in braces."""
    best, depth, at, start, opening = None, 0, 0, 0, ""
    most = 0.0
    for token in TOKEN.findall(tex):
        turn = _opens(token)
        if turn > 0 and not depth:
            start, opening = at, token
        depth += turn
        if turn < 0 and not depth and token[-1] in ")]":
            inner = tex[start + len(opening) : at]
            if len(split(inner, (" + ", " - "))) > 1 and width(inner) > most:
                most, best = width(inner), (start, at, opening, token)
        at += len(token)
    return best


# ---- widths ------------------------------------------------------------------------------------
def width(tex: str) -> float:
    """Estimated width of a formula in points, set in 10 pt."""
    return _Measure(tex).until("")


class _Measure:
    def __init__(self, tex: str) -> None:
        self.tokens = [t for t in TOKEN.findall(tex) if not t.isspace()]
        self.at = 0

    def until(self, end: str) -> float:
        """The width up to the token `end`, which is passed over."""
        total = 0.0
        while self.at < len(self.tokens):
            if self.tokens[self.at] == end:
                self.at += 1
                break
            total += self.item()
        return total

    def item(self) -> float:
        """The width of what comes next: a letter, a group, a fraction, an index."""
        token = self.tokens[self.at]
        self.at += 1
        if token == "{":
            return self.until("}")
        if token in ("_", "^"):
            return self._scripts()
        if token == r"\frac":
            return max(self.item(), self.item()) + 2.4
        if token.startswith((r"\begin", r"\end", r"\\")):
            return 0.0
        if _opens(token):
            return 6.5 if token.startswith("\\") else 4.0
        if token in WIDTHS:
            return WIDTHS[token]
        if token.startswith("\\"):
            return 6.5 if token[1:] in ("sigma", "delta", "top", "alpha") else 5.0 * (len(token) - 1) + 2
        return 8.5 if token.isupper() else 5.4

    def _scripts(self) -> float:
        first = self.item()
        if self.at < len(self.tokens) and self.tokens[self.at] in ("_", "^"):
            self.at += 1
            first = max(first, self.item())
        return SCRIPT * first
