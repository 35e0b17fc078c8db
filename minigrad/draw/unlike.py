"""Steps that are not the same code as the others (the first, a masked one, one with a read-out) are marked."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from .fold import Drawn
from .names import pretty, text_width

if TYPE_CHECKING:
    from .layout import StepLayout
    from .stage import Pen, Stage

LEAST = 400.0  # room for a line of words, in points


def usual(steps: dict[int, StepLayout]) -> int:
    """A step of the kind that most steps are of, outputs apart.

    Of kinds that are equally frequent the later one, but for the last step: the first and the last are
    often special.
    """
    inside = {id(s): frozenset(Counter(_parts(s.drawn)).items()) for s in steps.values()}
    count = Counter(inside[id(s)] for s in steps.values())
    order = [*reversed(list(steps)[:-1]), *list(steps)[-1:]]
    return max(order, key=lambda t: count[inside[id(steps[t])]])


def unlike(steps: dict[int, StepLayout]) -> dict[int, str]:
    """How each step differs from the usual one, in words; nothing for those that do not."""
    norm, kinds = steps[usual(steps)].drawn, {id(s): s.drawn for s in steps.values()}
    words = {i: difference(d, norm) for i, d in kinds.items()}
    return {t: words[id(s)] for t, s in steps.items() if words[id(s)]}


def difference(one: Drawn, usual: Drawn) -> str:
    """What one step has that the usual one has not, and the other way round."""
    here, there = _contents(one), _contents(usual)
    more, less = list((here - there).elements()), list((there - here).elements())
    text = [f"{word} {', '.join(found)}" for word, found in (("with", more), ("without", less)) if found]
    if not text and _wires(one) != _wires(usual):
        return "wired in another way"
    return "; ".join(text)


def _parts(d: Drawn) -> list[str]:
    """What is drawn of a step, by name and operation."""
    found = []
    for p in d.parts.values():
        if p.kind != "joint":
            name = pretty(p.name) if p.name and p.leaves_as is None and p.kind != "op" else ""
            found.append(f"{name} {p.label}".strip() or p.kind)
    return found


def _contents(d: Drawn) -> Counter[str]:
    return Counter([*_parts(d), *["an input"] * d.inputs, *["an output"] * len(d.outputs)])


def _wires(d: Drawn) -> list[tuple[str, ...]]:
    """What each part reads, by the reading part's place among the drawn ones."""
    place = {key: f"n{i}" for i, key in enumerate(d.parts)}
    return [tuple(place.get(s, s) for s in p.sources) for p in d.parts.values()]


def draw_unlike(stage: Stage, pen: Pen) -> None:
    """The legend of the marked frames, below everything: how the steps differ."""
    notes(pen, [f"* {line}" for line in lines(stage.unlike, ", dashed")])


def lines(unlike: dict[int, str], mark: str = "") -> list[str]:
    """One line for all steps that differ in the same way."""
    steps: dict[str, list[int]] = defaultdict(list)
    for t, text in unlike.items():
        steps[text].append(t)
    return [f"step{'s' * (len(ts) > 1)} {spans(ts)}{mark}: {text}" for text, ts in steps.items()]


def notes(pen: Pen, texts: list[str], ink: str = "ink", key: str = "note") -> None:
    """Lines of text below everything."""
    left, low, right, _ = pen.scene.bounds()
    w = min(max([text_width(text, 10) + 4 for text in texts], default=0.0), max(right - left, LEAST))
    for i, text in enumerate(texts):
        pen.label(f"{key}-{i}", left + w / 2, low - 16 - 14 * i, w, text, ink, 10)


def spans(steps: list[int]) -> str:
    """1, 3–5: numbers in order, those in a row joined."""
    rows: list[list[int]] = []
    for t in steps:
        if rows and t == rows[-1][-1] + 1:
            rows[-1].append(t)
        else:
            rows.append([t])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in rows)
