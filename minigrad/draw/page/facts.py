"""What a page says about each thing in a picture: its equation, numbers, gradient and line of code."""

from __future__ import annotations

import linecache
import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.core import Tensor
from ..equations import Equations
from ..names import clean, shape_text
from ..scene import Box, Scene
from ..stage import Stage
from .walk import title_of

SHOWN = 8  # numbers of a tensor, at most
LONGEST_NAME = 28  # characters of a formula that stands where others have a name
_STATE, _PART = re.compile(r"s(\d+)-(\d+)"), re.compile(r"t(\d+)-([nxy])(\d+)")
_STEP = re.compile(r"\bt(\d+)\b")  # among the words of a kind
_WORDS = {"param": "Parameters", "loss": "Loss", "state": "State", "input": "Input", "output": "Output"}


@dataclass(frozen=True)
class Fact:
    """What is known of one box of a picture; all of it text, as it is shown.

    word: what it is called in the field; step: its time step, None for what all steps share; values,
    gradient: the first numbers of the first row; norm: of the gradient.
    """

    name: str
    word: str
    step: int | None = None
    equations: tuple[str, ...] = ()
    code: str = ""
    place: str = ""
    shape: str = ""
    values: tuple[str, ...] = ()
    gradient: tuple[str, ...] = ()
    norm: str = ""
    more: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields that say something."""
        return {k: v for k, v in vars(self).items() if v not in ("", (), None)}


def facts(scene: Scene, stage: Stage | None) -> dict[str, Fact]:
    """The facts about the boxes of a scene by key, from left to right; without a stage what the scene says."""
    about, found = _About(scene, stage), {}
    for b in sorted(scene.boxes, key=lambda b: (b.x, -b.y)):
        if b.lies_in is None and b.kind and not {"joint", "bar", "piece"} & set(b.kind.split()):
            found[b.key] = about.fact(b)
    return found


def original(key: str) -> str:
    """The key of the same box in an earlier row, of which this one is a copy: s0-1 for s0-1@2."""
    return key.partition("@")[0]


class _About:
    def __init__(self, scene: Scene, stage: Stage | None) -> None:
        self.stage, self.known = stage, dict[int, Equations]()
        self.texts = {a.lies_in: a.text for a in reversed(scene.labels) if a.lies_in is not None}

    def fact(self, b: Box) -> Fact:
        key = original(b.key)
        state, part = _STATE.fullmatch(key), _PART.fullmatch(key)
        if self.stage is not None and state:
            return self.state(int(state[1]), int(state[2]))
        if self.stage is not None and part:
            return self.part(int(part[1]), part[2], int(part[3]))
        kind = b.kind.split()[0]
        name = " ".join(clean(b.text or self.texts.get(b.key) or b.tip or b.key).split())
        step = _STEP.search(b.kind)
        t = int(step[1]) if step and self.stage is None else None
        return Fact(name, _WORDS.get(kind, kind.capitalize()), t, more=clean(b.tip))

    def equations(self, t: int) -> Equations:
        if t not in self.known:
            self.known[t] = Equations(self.stage.rec, t)
        return self.known[t]

    def state(self, k: int, t: int) -> Fact:
        tensor, name = self.stage.rec.carried[t][k], self.stage.state_name(t, k)
        made = self.stage.made.get(tensor.id, 0) if tensor is not None else 0
        lines: tuple[str, ...] = ()
        if made:
            nodes = self.stage.rec.steps[made - 1].nodes
            i = next(i for i, n in enumerate(nodes) if n is tensor)
            lines = (self.equations(made).of_node(i),)
        return self.with_numbers(name, "State" if t else "First state", t, tensor, lines)

    def part(self, t: int, kind: str, k: int) -> Fact:
        step, drawn = self.stage.rec.steps[t - 1], self.stage.steps[t - 1].drawn
        if kind == "x":
            name = self.stage.rec.inputs[k] if k < len(self.stage.rec.inputs) else step.inputs[k].name or "x"
            return self.with_numbers(self.stage.name(name, t), "Input", t, step.inputs[k])
        p = drawn.parts.get(f"n{k}" if kind == "n" else drawn.outputs[k])
        if p is None:  # an output that is a state or an input as it is
            return Fact("o", "Output", t)
        lines = tuple(self.equations(t).of_part(p))
        formula = lines[-1] if len(lines[-1]) <= LONGEST_NAME else p.label or "Σ"
        name = self.stage.name(p.name, t) if p.name else formula
        word = title_of(p, self.stage.rec.states, drawn) if kind == "n" else "Output"
        return self.with_numbers(name, word, t, step.nodes[p.head], lines)

    def with_numbers(
        self, name: str, word: str, t: int, tensor: Tensor | None, lines: tuple[str, ...] = ()
    ) -> Fact:
        """A fact with what the tensor itself says."""
        if tensor is None:
            return Fact(clean(name), word, t, lines)
        note, numbers = tensor.note, self.stage.numbers
        code = place = ""
        if note is not None and note.file and note.line and tensor.op is not None:
            code = clean(linecache.getline(note.file, note.line).strip())
            place = clean(f"{os.path.basename(note.file)}:{note.line}")
        g = numbers.gradient.get(tensor.id) if numbers is not None else None
        norm = numbers.norm(tensor) if numbers is not None else None
        return Fact(
            clean(name), word, t, lines, code, place, shape_text(tensor),
            () if isinstance(tensor.value, tuple) else first_numbers(tensor.value),
            () if g is None else first_numbers(g), "" if norm is None else number(norm),
        )  # fmt: skip


def number(v: float) -> str:
    """A number in three digits, as readers write it."""
    return f"{v + 0.0:.3g}".replace("-", "−")


def first_numbers(a: Any) -> tuple[str, ...]:
    """The first numbers of the first row of an array, and an ellipsis if there are more."""
    flat = np.asarray(a).reshape(-1)
    if flat.dtype.kind not in "fiub":
        return ()
    return (*map(number, flat[:SHOWN].tolist()), *("…",) * (flat.size > SHOWN))
