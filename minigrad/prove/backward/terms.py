"""Two formulas compared term by term, in the names of the code."""

from __future__ import annotations

from dataclasses import dataclass

from ...domains.contractions import Names, Sum, show
from ..faults import label
from .problem import Problem

LONGEST = 240  # characters of a list of terms


@dataclass(frozen=True)
class Terms:
    """The terms in which a formula differs from the true one; kind: how, in words; steps: of which steps."""

    missing: str
    extra: str
    kind: str
    steps: tuple[int, ...]


def terms(problem: Problem, got: Sum, true: Sum) -> Terms:
    """What is missing and what should not be there."""
    names = atom_names(problem)
    missing, extra = _only_in(true, got), _only_in(got, true)
    return Terms(
        _shown(missing, names), _shown(extra, names), _kind(got, true), _steps(problem, missing or extra)
    )


def _only_in(a: Sum, b: Sum) -> Sum:
    """The terms of a that b lacks, or has with another factor."""
    return Sum({k: c for k, c in a.terms.items() if b.terms.get(k) != c})


def _shown(left: Sum, names: Names) -> str:
    text = show(left, names) if left else ""
    return (
        text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} ... ({len(left.terms)} terms)"
    )


def _kind(got: Sum, true: Sum) -> str:
    """How the terms differ: missing, extra, with another sign or factor, or others in their place."""
    a, b = set(got.terms), set(true.terms)
    both = {true.terms[k] * got.terms[k] < 0 for k in a & b if got.terms[k] != true.terms[k]}
    if both:
        change = "have the wrong sign" if both == {True} else "have another factor"
        if all(got.terms[k] == -true.terms[k] for k in a & b if got.terms[k] != true.terms[k]) or both != {
            True
        }:
            return f"some terms {change}"
        return "some terms have another factor and the wrong sign"
    if not a - b:
        return "terms are missing"
    return (
        "there are terms too many"
        if not b - a
        else "terms are missing, and others stand in their place"
    )


def _steps(problem: Problem, wrong: Sum) -> tuple[int, ...]:
    """The steps that the terms belong to: of what a term is made of, the latest."""
    if not problem.whole:
        return ()
    made: dict[str, int] = {}
    for t, step in enumerate(problem.steps, start=1):
        values = [step.leaves[x].value for x in problem.cell.inputs] + step.cotangents
        for v in [*values, *(node.value for node in step.nodes)]:
            for e in getattr(v, "entries", {}).values():
                for fs, _ in e.terms:
                    for (name, _), _ in fs:
                        made.setdefault(name, t)
    found = set()
    for fs, _ in wrong.terms:
        at = [made.get(name) or _carried(name) for (name, _), _ in fs]
        found.add(max(1, *at, 1))  # what is carried out of step 1 is that step's
    return tuple(sorted(found))


def _carried(name: str) -> int:
    """The step that a cotangent is carried into; its name is made in problem.py."""
    tail = name.partition(".")[0].rstrip("'").lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
    return int(tail) if name.startswith("carried_d") and tail.isdigit() else 0


def atom_names(problem: Problem) -> Names:
    """What the code calls the opaque functions, and the order of their axes there: sigmoid#3 is F."""
    names: Names = {}
    for t, step in enumerate(problem.steps, start=1):
        for node in step.nodes:
            after = "_next" * (not problem.whole and node.name in step.leaves)
            for e in getattr(node.value, "entries", {}).values():
                if len(e.terms) != 1:
                    continue
                (((fs, dims), c),) = e.terms.items()
                if dims or c != 1 or len(fs) != 1 or "#" not in fs[0][0][0]:
                    continue
                name, idx = fs[0][0]
                order = tuple(sorted(range(len(idx)), key=lambda k, idx=idx: idx[k]))
                names.setdefault(name, (label(node, 1) + after + (f"_{t}" if problem.whole else ""), order))
    return names
