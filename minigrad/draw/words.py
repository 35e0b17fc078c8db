"""A picture in words, for those who hear it: what it shows, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..engine.core import Tensor
from .stage import Stage

MOST = 9  # numbers of one kind in a row; of more, these are taken at even distances
ACTIVATION = {"σ": "sigmoid"}


def describe(stage: Stage) -> str:
    """Sentences: steps, states, gates, parameters, the loss, and how its gradient fades or grows."""
    kinds = (_steps, _states, _gates, _parameters, _gradients, _cuts, _shares)
    return " ".join(sentence for kind in kinds for sentence in kind(stage))


def _steps(stage: Stage) -> Iterator[str]:
    if not stage.rec.timed:
        yield "A graph without time steps."
        return
    yield f"{_count(stage.T, 'time step').capitalize()}{', from left to right' * (stage.T > 1)}."
    hidden = [f"{g.after + 1} to {g.before}" if g.after + 1 < g.before else f"{g.before}" for g in stage.gaps]
    if hidden:
        yield f"Steps {_list(hidden)} are not drawn."
    for t, words in list(stage.unlike.items())[:MOST]:
        yield f"Step {t} differs from the others: {words}."


def _states(stage: Stage) -> Iterator[str]:
    rec = stage.rec
    states = [
        _with_shape(name, next((row[k] for row in rec.carried if row[k] is not None), None))
        for k, name in enumerate(rec.states)
    ]
    way = "from each step to the next" if stage.T > 1 else "through it"
    if len(states) == 1:
        yield f"The state {states[0]} passes {way}."
    elif states:
        yield f"{_count(len(states), 'state').capitalize()} pass {way}: {_list(states)}."
    inputs = [_with_shape(name, x) for name, x in zip(rec.inputs, rec.steps[-1].inputs, strict=False)]
    if inputs:
        each = "Each step" if rec.timed else "It"
        yield f"{each} reads the input{'s' * (len(inputs) > 1)} {_list(inputs)}."


def _gates(stage: Stage) -> Iterator[str]:
    parts = stage.steps[stage.shown[-1] - 1].drawn.parts.values()
    gates = [f"{p.name or 'one without a name'} ({ACTIVATION.get(p.label, p.label)})"
             for p in parts if p.kind == "gate"]  # fmt: skip
    if gates:
        yield f"{'A step has' if stage.rec.timed else 'It has'} {_count(len(gates), 'gate')}: {_list(gates)}."


def _cuts(stage: Stage) -> Iterator[str]:
    if stage.options.cuts is not None:
        yield f"{stage.options.cuts}.".replace("truncate", "Truncate", 1)


def _parameters(stage: Stage) -> Iterator[str]:
    names = stage.rec.param_names
    if names:
        who = "All steps share" if stage.T > 1 else "It uses"
        yield f"{who} {_count(len(names), 'parameter')}: {_list(names)}."


def _gradients(stage: Stage) -> Iterator[str]:
    if stage.rec.loss is not None and stage.numbers is not None:
        yield f"The loss is {_number(stage.numbers.loss)}."
    for k, name in enumerate(stage.rec.states):
        norms = {t: n for t in stage.stops if (n := stage.norm(stage.rec.carried[t][k])) is not None}
        if norms:
            at = [f"{_number(norms[t])} at step {t}" for t in _some(list(norms)[::-1])]
            yield f"The norm of dL/d{name} is {_list(at)}{_fate(list(norms.values()))}."


def _fate(norms: Sequence[float]) -> str:
    """What becomes of a gradient on its way back: the first norm against the last."""
    first, last = norms[0], norms[-1]
    if len(norms) < 2 or not (math.isfinite(first) and math.isfinite(last)):
        return ""
    if first == 0 or last == 0:
        return ": nothing of it arrives" if last else ""
    ratio = max(last / first, first / last)
    return f": on its way back it {'shrinks' if first < last else 'grows'} {_number(ratio)} times"


def _shares(stage: Stage) -> Iterator[str]:
    """Which step adds most to the gradient of each group of parameters."""
    numbers = stage.numbers
    if numbers is None or stage.T < 2:
        return
    for group in stage.kinds[0].drawn.groups:
        norms = [numbers.tap([t], group) for t in range(stage.T)]
        if (peak := max(norms)) > 0 and math.isfinite(peak):
            names = _list([stage.rec.param_names[p] for p in group])
            yield f"Step {norms.index(peak) + 1} has the largest share of dL/d({names}): norm {_number(peak)}."


def _some(steps: Sequence[int]) -> list[int]:
    """At most MOST of these, at even distances, with both ends."""
    n = len(steps)
    return [steps[round(i * (n - 1) / (MOST - 1))] for i in range(MOST)] if n > MOST else list(steps)


def _with_shape(name: str, t: Tensor | None) -> str:
    if t is None or isinstance(t.value, tuple) or not t.shape:
        return name
    return f"{name} ({' by '.join(map(str, t.shape)) if len(t.shape) > 1 else f'size {t.shape[0]}'})"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}s" if n != 1 else f"one {what}"


def _list(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _number(x: float) -> str:
    return f"{x:.3g}"
