"""The primitive lemmas: every row's vjp is the derivative of <g, op(x)>, proved row by row.

The row runs on arrays of symbols (domains/exact.py); its vjp, with the engine's own un-broadcasting, is
compared with the derivative of <g, op(x)> taken by the product rule, the chain rule and the facts in
`polynomial.slopes`. So a wrong vjp is refused by the name of its row.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..domains import elementary
from ..domains.elementary import Derivation
from ..domains.exact import array
from ..domains.generators import fresh
from ..domains.polynomial import ZERO, Poly
from ..engine.core import TABLE, Primitive, Tensor, leaf, recording
from ..engine.grad import reachable, sweep
from .equality import IDENTITY, equal
from .examples import EXAMPLES, Example
from .report import Check, Counterexample, Proof, worst

CLAIM = "vjp = derivative of <g, op(x)>"
NO_GRADIENT = "passes no gradient: its derivative is 0"
BY_DEFINITION = "passes no gradient, by definition"


def lemmas(table: Mapping[str, Primitive] = TABLE) -> Proof:
    """Proof that the vjp of every row of the table is right; a wrong one is refused by its row's name."""
    checks = tuple(lemma(row, EXAMPLES.get(row.name, [])) for row in table.values())
    return Proof(
        "the table of primitives",
        "For each row and each form of its arguments listed in prove/examples.py, with symbols as entries, "
        "the vjp equals the derivative of <g, op(x)> exactly, for all real values that meet the side "
        "conditions.",
        checks,
    )


def lemma(row: Primitive, examples: Sequence[Example]) -> Check:
    """The check of one row on its examples; `unknown` if it has none."""
    start = time.perf_counter()
    claim = CLAIM if row.vjp else BY_DEFINITION if row.name == "stop_gradient" else NO_GRADIENT
    if not examples:
        detail = f"no example of {row.name}: add one to EXAMPLES in prove/examples.py"
        return Check(row.name, claim, "unknown", 0.0, detail)
    found: list[Compared] = []
    conditions: dict[str, None] = {}
    for example in examples:
        with fresh() as atoms:
            found += _judge(row, example)
        conditions |= atoms.conditions | ({elementary.POSITIVE: None} if example.positive else {})
    verdict = worst(c.verdict for c in found)
    wrong = next((c for c in found if c.verdict == verdict != "proved"), None)
    detail = f"{sum(c.entries for c in found)} identities, {len(examples)} forms"
    if wrong:
        detail = (
            f"the vjp of {row.name} is {'wrong' if verdict == 'refuted' else 'undecided'} in {wrong.what}"
        )
    return Check(
        row.name, claim, verdict, time.perf_counter() - start, detail, tuple(conditions),
        wrong.counterexample if wrong and verdict == "refuted" else None,
    )  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """How one gradient compares with the true one, entry by entry; `entries` were compared."""

    what: str
    verdict: str
    entries: int
    how: str = IDENTITY.how
    counterexample: Counterexample | None = None


def compare(what: str, got: Any, true: Any) -> Compared:
    """Two arrays of Polys compared entry by entry; ends at the first that is refuted."""
    if got is not None and got.shape != true.shape:
        reason = f"shape {got.shape} where {true.shape} is right"
        return Compared(what, "refuted", 1, reason, Counterexample(what, (), None, reason))
    verdict, how = "proved", IDENTITY.how
    for i in np.ndindex(*true.shape):
        g = ZERO if got is None else got[i]
        if g == true[i]:
            continue
        decision = equal(g, true[i])
        how = decision.how
        if decision.verdict == "refuted":
            return Compared(what, "refuted", true.size, how, Counterexample(what, i, decision.point))
        verdict = worst([verdict, decision.verdict])
    return Compared(what, verdict, true.size, how)


def inner(cotangents: Sequence[Any], outs: Sequence[Any]) -> Poly:
    """<g, y>: the sum of all products of entries."""
    total = ZERO
    for g, y in zip(cotangents, outs, strict=True):
        for a, b in zip(g.flat, y.flat, strict=True):
            total = total + a * b
    return total


def gradient(phi: Poly, x: Any, d: Derivation) -> Any:
    """The derivative of phi by each entry of an array of symbols."""
    out = np.empty(x.shape, dtype=object)
    for i in np.ndindex(*x.shape):
        out[i] = d(phi, x[i])
    return out


def _judge(row: Primitive, example: Example) -> list[Compared]:
    """The comparison for each argument of one example, the row standing in for the one of its name."""
    xs = [leaf(array(f"x{k}", *s, positive=example.positive), True) for k, s in enumerate(example.shapes)]
    with recording("all"):
        result = example.fn(*xs)
        outs, used = _with_row(row, result if isinstance(result, list) else [result], xs)
    if not used:
        raise ValueError(f"an example of {row.name} in prove/examples.py does not use that row")
    g = [array(f"g{k}", *o.shape) for k, o in enumerate(outs)]
    names = [f"d x{k}" for k in range(len(xs))]
    try:
        found = sweep(outs, [leaf(c) for c in g], xs, graph=False)
    except Exception as e:  # whatever a wrong rule raises is its fault, and has to be told with its name
        reason = f"its vjp raised {type(e).__name__}: {e}"
        return [
            Compared(
                names[0], "refuted", 1, reason, Counterexample(f"{row.name}: {names[0]}", (), None, reason)
            )
        ]
    if row.name == "stop_gradient":
        phi = ZERO
    else:
        phi = inner(g, [o.value for o in outs])
    d = Derivation()
    return [
        compare(f"{row.name}: {name}", None if f is None else f.value, gradient(phi, x.value, d))
        for name, x, f in zip(names, xs, found, strict=True)
    ]


def _with_row(row: Primitive, outs: Sequence[Tensor], xs: Sequence[Tensor]) -> tuple[list[Tensor], bool]:
    """The same graph with `row` in place of the row of its name, and whether there was one."""
    env: dict[int, Tensor] = {x.id: x for x in xs}
    used = False
    for t in reachable(outs):
        if t.id in env or t.op is None:
            env.setdefault(t.id, t)
            continue
        mine = t.op.name == row.name
        used = used or mine
        env[t.id] = (row if mine else t.op)(*(env[x.id] for x in t.inputs), **t.params)
    return [env[o.id] for o in outs], used
