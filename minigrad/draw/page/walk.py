"""The tours of a page: the walk through a step, equation by equation, and the gradient's way back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..fold import GATELIKE, Drawn, Part
from ..names import pretty
from ..stage import Stage
from ..theme import known_gate

GATE_WORDS = ("Forget gate", "Input gate", "Candidate", "Output gate", "Update gate", "Reset gate")
_CANDIDATE = GATE_WORDS.index("Candidate")


@dataclass(frozen=True)
class Frame:
    """One stop of a tour: what it is called, the keys that are lit, lines of text."""

    title: str
    keys: tuple[str, ...]
    lines: tuple[str, ...] = ()


def walk(drawn: Drawn, states: tuple[str, ...]) -> list[Frame]:
    """One frame for each assignment of the cell's code, in its order; keys without the step (n4).

    What has no name of its own, such as the product F × C, is part of the assignments that read it.
    """
    parts = {k: p for k, p in drawn.parts.items() if p.kind != "joint"}
    stops = {
        k for k, p in parts.items()
        if p.kind in GATELIKE or p.name or p.leaves_as is not None or k in drawn.outputs
    }  # fmt: skip
    read = {s for p in parts.values() for s in p.sources}
    stops |= {k for k in parts if k not in read}
    order = sorted(stops, key=lambda k: parts[k].head)
    return [Frame(title_of(parts[k], states, drawn), _with_unnamed(parts, stops, k)) for k in order]


def _with_unnamed(parts: dict[str, Part], stops: set[str], key: str) -> tuple[str, ...]:
    """The part, and the ones without a name that it reads."""
    found, stack = [key], [key]
    while stack:
        for s in parts[stack.pop()].sources:
            if s in parts and s not in stops and s not in found:
                found.append(s)
                stack.append(s)
    return tuple(found)


def title_of(p: Part, states: tuple[str, ...], drawn: Drawn) -> str:
    """What a part is called in the field: Forget gate, Candidate, Cell state, New state."""
    if p.leaves_as is not None:
        name = states[p.leaves_as]
        if len(states) == 1:
            return "New state"
        return {"c": "Cell state", "h": "Hidden state"}.get(name.lower(), f"State {pretty(name)}")
    gate = known_gate(p.name) if p.kind == "gate" else None
    if gate is not None and (p.label != "σ") == (gate == _CANDIDATE):
        return GATE_WORDS[gate]
    name = pretty(p.name) if p.name else p.label or "sum"
    if p.key in drawn.outputs:
        return "Output" if not p.name else f"Output {name}"
    if p.kind == "gate" and p.name:
        return f"Gate {name}" if p.label == "σ" else f"Layer {name}"
    return name if p.name else f"Operation {name}"


def backward(stage: Stage) -> list[Frame]:
    """The gradient's way back: from the loss, then through step T, T-1, ..., 1; none without gradients."""
    if stage.numbers is None:
        return []
    last = stage.stops[-1]
    frames = [Frame("The loss", ("loss", *_states(stage, last)), _norms(stage, last))]
    for before, t in reversed(list(pairwise(stage.stops))):
        which = f"step {t}" if t - before == 1 else f"steps {t} to {before + 1}"
        lines = range(len(stage.lines))
        arrows = tuple(f"grad-s{k}-{before + 1}" for k in lines)
        if t - before > 1:
            arrows += tuple(f"grad-gap-{before}-{k}" for k in lines)
        keys = (*arrows, *_states(stage, t), *_states(stage, before))
        frames.append(Frame(f"Back through {which}", keys, _norms(stage, before)))
    return frames


def _states(stage: Stage, t: int) -> tuple[str, ...]:
    return tuple(f"{what}s{k}-{t}" for k in range(len(stage.lines)) for what in ("", "bar-"))


def _norms(stage: Stage, t: int) -> tuple[str, ...]:
    """Norms of the gradients of the states after step t."""
    norms = [(stage.state_name(t, k), stage.norm(stage.rec.carried[t][k])) for k in range(len(stage.lines))]
    return tuple(f"‖∂L/∂{name}‖ = {n:.2e}" for name, n in norms if n is not None)
