"""Mistakes of the loop over time: what is carried back, what enters each step, and what is added up."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from .problem import Loop, Problem, with_carry
from .steps import zeros

Gradients = dict[str, Any]


@dataclass(frozen=True)
class Mistake:
    """A mistake in words, and the gradients that it gives for a problem in any kind of numbers."""

    text: str
    gradients: Callable[[Problem], Gradients]


class _Seeds(Loop):
    def __init__(self, change: Callable[[Problem, int, Sequence[Any]], list[Any]]) -> None:
        self.seeds = change  # type: ignore[method-assign, assignment]


class _Carries(Loop):
    """change(came, into, back): what is carried of state k, of what was carried in, what flowed in, what flows out."""

    def __init__(self, k: int, change: Callable[[Any, Any, Any], Any]) -> None:
        self.k, self.change = k, change

    def carried(self, problem: Problem, t: int, into: Sequence[Any], back: Sequence[Any]) -> list[Any]:
        came = into[self.k] - problem.steps[t].cotangents[self.k]
        return [self.change(came, into[i], b) if i == self.k else b for i, b in enumerate(back)]


class _OtherStep(Loop):
    def __init__(self, shift: int) -> None:
        self.shift = shift

    def vjp(self, problem: Problem, t: int, into: Sequence[Any]) -> Gradients:
        return problem.steps[(t + self.shift) % len(problem.steps)].vjp(into)


class OnlyCarried(Loop):
    """A wrong vjp in what is carried back; the parameters and inputs get the right one. plant: plants it."""

    def __init__(self, plant: Callable[[Problem], AbstractContextManager[None]], last: bool) -> None:
        """last: whether what is carried out of step 1, the initial state's gradient, is wrong too."""
        self.plant, self.last = plant, last

    def carried(self, problem: Problem, t: int, into: Sequence[Any], back: Sequence[Any]) -> list[Any]:
        if t == 0 and not self.last:
            return list(back)
        with self.plant(problem):
            g = problem.steps[t].vjp(into)
        return [g[s] for s in problem.cell.states]


class _Keeps(Loop):
    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = steps

    def kept(self, parts: list[Gradients]) -> list[Gradients]:
        return [parts[t] for t in self.steps]


class _Reversed(Loop):
    def ordered(self, parts: list[Gradients]) -> list[Gradients]:
        return parts[::-1]


class _OneTooMany(Loop):
    """The parameters get what has flowed back through the step's own Jacobian, where what flows in is meant."""

    def used(self, problem: Problem, t: int, into: Sequence[Any], g: Gradients) -> Gradients:
        states = problem.cell.states
        return problem.steps[t].vjp([*(g[s] for s in states), *map(zeros, into[len(states) :])])


class _Both(Loop):
    """A mistake in what flows back, and one in which steps are added up."""

    def __init__(self, flow: Loop, steps: Sequence[int]) -> None:
        self.seeds = flow.seeds  # type: ignore[method-assign]
        self.kept = _Keeps(steps).kept  # type: ignore[method-assign]


class _Forward(Loop):
    def order(self, T: int) -> range:
        return range(T)


def _loop(text: str, make: Callable[[], Loop]) -> Mistake:
    return Mistake(text, lambda problem: problem.gradients(make()))


def loop_mistakes(problem: Problem) -> Iterator[Mistake]:
    """Mistakes in what flows from step to step, and in what is added up."""
    states, last = problem.cell.states, len(problem.steps) - 1
    every = set(range(len(problem.out_names)))
    yield _loop(
        "one factor J = d(new state)/d(state) too many: the parameters are given what flows back out of the step",
        _OneTooMany,
    )
    for k, n in enumerate(problem.out_names):
        yield _loop(
            f"the cotangent d{n} never enters", lambda k=k: _Seeds(lambda p, t, c: _without(p, t, c, {k}))
        )
    if not last:
        yield from _wrongly_carried(states)
        return
    yield _loop(
        "only the last step's cotangent enters; those of earlier steps are never added",
        lambda: _Seeds(lambda p, t, c: _without(p, t, c, every if t < last else set())),
    )
    yield _loop(
        "the last step's cotangent never enters",
        lambda: _Seeds(lambda p, t, c: _without(p, t, c, every if t == last else set())),
    )
    groups = [(k,) for k in range(len(states))] + ([tuple(range(len(states)))] if len(states) > 1 else [])
    for ks in groups:
        who = " and ".join(f"d{states[k]}" for k in ks)
        yield _loop(
            f"{who} carried back from the next step is dropped",
            lambda ks=ks: _dropped(ks),
        )
        yield _loop(
            f"{who} of an earlier step's own output is dropped; only what is carried back is used",
            lambda ks=ks: _Seeds(lambda p, t, c: _without(p, t, c, set(ks) if t < last else set())),
        )
        for shift in (-1, 1):
            yield _loop(
                f"{who} of step t{shift:+d} where that of step t is meant",
                lambda ks=ks, shift=shift: _Seeds(lambda p, t, c: _shifted(p, t, c, ks, shift)),
            )
        yield _loop(
            f"the sign of {who} carried back from the next step is wrong",
            lambda ks=ks: _Seeds(lambda p, t, c: with_carry(p.steps[t].cotangents, _negated(c, ks))),
        )
    for k, n in enumerate(problem.out_names):
        yield _loop(
            f"d{n} of a step's own output is divided by T",
            lambda k=k: _Seeds(lambda p, t, c: _over_time(p, t, c, k)),
        )
    yield from _wrongly_carried(states)
    for shift in (-1, 1):
        yield _loop(f"the stored values are those of step t{shift:+d}", lambda shift=shift: _OtherStep(shift))
    yield from selections(problem)
    yield _loop("the steps are stacked in reverse order of time", _Reversed)
    yield _loop("the loop runs forward in time, where it must run from the last step to the first", _Forward)


def _wrongly_carried(states: Sequence[str]) -> Iterator[Mistake]:
    for k, s in enumerate(states):
        added = f"d{s} is added up from step to step (+=) where it begins anew (=)"
        yield _loop(added, lambda k=k: _Carries(k, lambda came, into, back: into + back))
        yield _loop(added, lambda k=k: _Carries(k, lambda came, into, back: came + back))
        kept = f"d{s} is passed on to the step before as it came, and not taken back through the step"
        yield _loop(kept, lambda k=k: _Carries(k, lambda came, into, back: into))
        yield _loop(kept, lambda k=k: _Carries(k, lambda came, into, back: came))


def double_mistakes(problem: Problem) -> Iterator[Mistake]:
    """A mistake in what flows back through time together with one in what is added up."""
    last, states = len(problem.steps) - 1, problem.cell.states
    for k, s in enumerate(states) if last else ():
        for text, steps in _selections(last + 1):
            yield _loop(
                f"d{s} carried back from the next step is dropped; and {text}",
                lambda k=k, steps=steps: _Both(_dropped((k,)), steps),
            )


def selections(problem: Problem) -> Iterator[Mistake]:
    """Some steps left out where the gradients of a parameter are added up."""
    for text, steps in _selections(len(problem.steps)):
        yield _loop(text, lambda steps=steps: _Keeps(steps))


def _dropped(ks: Sequence[int]) -> Loop:
    return _Seeds(lambda p, t, c: with_carry(p.steps[t].cotangents, _nothing(c, ks)))


def _selections(T: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    if T < 2:
        return
    yield "overwritten at every step (=) where it must be added up (+=): only step 1 is left", (0,)
    yield f"only step T = {T} contributes: the others are never added up", (T - 1,)
    for r in range(T - 1, 0, -1):
        for steps in itertools.combinations(range(T), r):
            left = [t + 1 for t in range(T) if t not in steps]
            yield f"step {' and '.join(map(str, left))} is left out of the sum", steps


def _without(p: Problem, t: int, carry: Sequence[Any], gone: set[int]) -> list[Any]:
    """The cotangents of step t without some of its own outputs'."""
    return with_carry([zeros(d) if k in gone else d for k, d in enumerate(p.steps[t].cotangents)], carry)


def _over_time(p: Problem, t: int, carry: Sequence[Any], of: int) -> list[Any]:
    """The cotangents of step t with that of one of its own outputs divided by T."""
    own = p.steps[t].cotangents
    return with_carry([d / len(p.steps) if k == of else d for k, d in enumerate(own)], carry)


def _nothing(carry: Sequence[Any], ks: Sequence[int]) -> list[Any]:
    return [None if k in ks else c for k, c in enumerate(carry)]


def _negated(carry: Sequence[Any], ks: Sequence[int]) -> list[Any]:
    return [-c if k in ks and c is not None else c for k, c in enumerate(carry)]


def _shifted(p: Problem, t: int, carry: Sequence[Any], ks: Sequence[int], shift: int) -> list[Any]:
    other = p.steps[(t + shift) % len(p.steps)].cotangents
    return with_carry([other[k] if k in ks else d for k, d in enumerate(p.steps[t].cotangents)], carry)
