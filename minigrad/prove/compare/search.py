"""The search for a map of weights: the gates of one cell paired with those of another.

A gate is a nonlinearity of a sum in which weights multiply what flows: x, h, r * h, 1, ... . If a gate of b
is to be a gate of a (or one minus it), what multiplies each of these must be the same: linear equations for
the blocks of b's weights. The search proposes the pairing that leaves the fewest of them unsolved; that
the cells are then equal is proved elsewhere (directions.py), by running them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ...domains.contractions import Sum
from ...domains.sizes import ATOMS
from .independence import independent
from .sides import MARK, Side, functions
from .solving import Equation, solve
from .substitution import Multiplied, Substitution, collected, slot, tensors
from .unsolvable import contradictory
from .weights import block_of

ODD = {"tanh", "sin", "sign"}
BATCH = "b"  # the size of the rows, as anysize.opaque_arguments calls it
NEUTRAL = {"sigmoid": Fraction(1, 2)} | dict.fromkeys(ODD, Fraction(0))  # unchanged by these


@dataclass
class Pairing:
    """Gates of b as gates of a, the equations for b's weights, and what no weights can mend."""

    gates: dict[str, tuple[str, Fraction]] = field(default_factory=dict)  # gate of b -> gate of a, factor
    values: dict[str, Sum] = field(default_factory=dict)  # gate of b -> what it is, in slots
    equations: list[Equation] = field(default_factory=list)
    clashes: list[Equation] = field(default_factory=list)  # between terms without weights
    solution: dict[str, Sum] = field(default_factory=dict)  # weight of b -> its value, in slots
    left: list[Equation] = field(default_factory=list)  # between weights of a alone

    @property
    def cost(self) -> tuple[int, ...]:
        """Clashes, equations left, gates of a used again, negations: what is worst first."""
        used = [a for a, _ in self.gates.values()]
        return (
            len(self.clashes),
            len(self.left),
            len(used) - len(set(used)),
            sum(factor < 0 for _, factor in self.gates.values()),
        )


class Search:
    """The best pairing found, and whether all were considered (`complete`).

    quick: each gate of a is used once, and a pairing is given up once the outputs show that it fails.
    """

    def __init__(self, a: Side, b: Side, quick: bool = False, limit: int = 2000) -> None:
        self.a, self.b, self.quick, self.limit = a, b, quick, limit
        self.complete = not quick
        self.dims, self.weights = a.dims | b.dims, a.weights | b.weights
        self.best: Pairing | None = None
        self.unsolved: list[Pairing] = []  # without clashes
        needs = [[g for e in o.entries.values() for g in b.gates(e)] for o in b.outs]
        steps: dict[str | int, None] = {}
        for k in sorted(range(len(b.outs)), key=lambda k: len(needs[k])):
            steps |= dict.fromkeys([*needs[k], k])
        self.steps = list(steps)
        self.of_a = list(dict.fromkeys(f for o in a.outs for e in o.entries.values() for f in functions(e)))
        self._extend(Pairing(), 0)

    # ---- what was found ----
    def labels(self, p: Pairing, step: str | int) -> tuple[str, str]:
        """What a and b call a gate or an output of b."""
        if isinstance(step, int):
            return self.a.out_names[step], self.b.out_names[step]
        return self.a.name(p.gates[step][0]) if step in p.gates else "", self.b.name(step)

    def fits(self, p: Pairing) -> Callable[[str, Sum, Equation], int]:
        """How well a weight's name goes with its value and with the gate it is used at: 0 is best."""

        def rank(tag: str, value: Sum, at: Equation) -> int:
            name = block_of(tag.removeprefix(MARK))[0]
            if any(_same(block_of(t)[0], name) for t in tensors(value)):
                return 0
            suffix = name.partition("_")[2] or name
            return 1 if suffix[-1:].lower() == self.labels(p, at.step)[0][:1].lower() else 2

        return rank

    def excluded(self) -> bool:
        """Whether no pairing has a solution: each clashes, or its equations are contradictory at some sizes.

        Never said of cells with functions that are related to each other in more ways than are looked at.
        """
        if not self.complete or not independent(self.a, self.b):
            return False
        names = sorted({d for dims in self.dims.values() for d in dims})
        choices = [dict.fromkeys(names, 2), *(dict.fromkeys(names, 2) | {d: 1} for d in names)]
        return all(any(self._contradicts(p, sizes) for sizes in choices) for p in self.unsolved)

    def _contradicts(self, p: Pairing, sizes: dict[str, int]) -> bool:
        equations = [e.zero for e in p.equations if not e.soft]
        return contradictory(equations, self.b.weights.__contains__, self.dims, sizes)

    # ---- searching ----
    def _extend(self, p: Pairing, at: int) -> None:
        if self.best is not None and self.best.cost[:2] <= (len(p.clashes), 0):
            return
        if self.limit <= 0:
            self.complete = False
            return
        self.limit -= 1
        if at == len(self.steps):
            self._finish(p)
            return
        step = self.steps[at]
        if isinstance(step, int):
            for of_a, of_b in self.output(p, step):
                p = self._with_residual(p, step, of_b - of_a)
            self._extend(p, at + 1)
            return
        candidates = self._candidates(step, p)
        for gate, factor, value in candidates:
            new = replace(p, gates=p.gates | {step: (gate, factor)}, values=p.values | {step: value})
            if not self.quick or self._possible(new, at):
                self._extend(new, at + 1)
        if not candidates and not self.quick:  # a function that a does not have: it stays what it is in b
            self._extend(replace(p, clashes=[*p.clashes, Equation(step, (), Sum.number(1))]), at + 1)

    def _finish(self, p: Pairing) -> None:
        for gate in p.gates:
            of_a, of_b = self.arguments(p, gate)
            p = self._with_residual(p, gate, of_b - of_a)
        p.solution, p.left = solve(p.equations, self.b.weights.__contains__, self.fits(p))
        if not p.clashes:
            self.unsolved.append(p)
        if self.best is None or p.cost < self.best.cost:
            self.best = p

    def _possible(self, p: Pairing, at: int) -> bool:
        """Whether the next output still agrees where all gates that have no partner yet are neutral."""
        k = next(s for s in self.steps[at:] if isinstance(s, int))
        used = {a for a, _ in p.gates.values()}
        free_a = {f: _neutral(f) for f in self.of_a if f not in used and self.a.is_gate(f)}
        free_b = {s: _neutral(s) for s in self.steps if isinstance(s, str) and s not in p.values}
        put_a, put_b = Substitution(free_a), Substitution(p.values | free_b)
        for choice, e in self.b.outs[k].entries.items():
            residual = put_a(put_b(e)) - put_a(self.a.outs[k].entries[choice])
            if self._with_residual(p, k, residual).clashes:
                return False
        return True

    def _candidates(self, gate: str, p: Pairing) -> list[tuple[str, Fraction, Sum]]:
        """Functions of a that the gate of b could be, likely ones first: (it, factor, value in b's slots)."""
        fn, dims = ATOMS.definitions[gate][0], self.b.dims[gate]
        used = {a for a, _ in p.gates.values()}
        out = []
        for other in self.of_a:
            theirs, name = self.a.dims[other], self.a.name(other)
            if len(theirs) != len(dims) or (self.quick and other in used):
                continue
            rank = (other in used, not _same(name, self.b.name(gate)), not self.a.is_gate(other))
            for order in itertools.permutations(range(len(dims))):  # order[k]: where index k of `other` goes
                if all(theirs[k] == dims[q] for k, q in enumerate(order)):
                    value = Sum.factor(other, tuple(slot(q) for q in order))
                    for k, (factor, v) in enumerate(partners(fn, ATOMS.definitions[other][0], value)):
                        out.append(((*rank, k), (other, Fraction(factor), v)))
        return [found for _, found in sorted(out, key=lambda o: o[0])]

    # ---- both sides of a gate or an output ----
    def arguments(self, p: Pairing, gate: str) -> tuple[Sum, Sum]:
        """What a (times the factor of the pairing) and b take the function of, in b's slots and a's gates."""
        other, factor = p.gates[gate]
        idx = next(idx for fs, _ in p.values[gate].terms for (name, idx), _ in fs if name == other)
        u = self.a.argument(other).rename({slot(k): i for k, i in enumerate(idx)})
        return u.scale(factor), Substitution(p.values)(self.b.argument(gate))

    def output(self, p: Pairing, k: int) -> list[tuple[Sum, Sum]]:
        """The entries of an output in a and b, both in a's gates."""
        put = Substitution(p.values)
        return [(self.a.outs[k].entries[choice], put(e)) for choice, e in self.b.outs[k].entries.items()]

    def batch(self, step: str | int) -> set[int]:
        """The free indices of a gate or an output that count rows: weights have none of these."""
        if isinstance(step, str):
            return {slot(k) for k, d in enumerate(self.b.dims[step]) if d == BATCH}
        axes = self.b.outs[step].axes
        return {k - len(axes) for k, axis in enumerate(axes) if axis == (BATCH,)}

    def terms(self, e: Sum, step: str | int) -> dict[Multiplied, Sum]:
        """What weights multiply in a gate's argument or an output -> those weights."""
        return collected(e, self.weights.__contains__, self.batch(step))

    def _with_residual(self, p: Pairing, step: str | int, residual: Sum) -> Pairing:
        soft = isinstance(step, str) and ATOMS.definitions[step][0] == "sign"  # which knows no scale
        if not self.weights.intersection(tensors(residual)):  # at once, as it is the usual case
            clashes = [Equation(step, (), Sum({t: c})) for t, c in residual.terms.items() if not soft]
            return replace(p, clashes=p.clashes + clashes) if clashes else p
        found = [Equation(step, of, zero, soft) for of, zero in self.terms(residual, step).items()]
        equations = [e for e in found if any(t in self.weights for t in tensors(e.zero))]
        clashes = [e for e in found if e not in equations and not soft]
        return replace(p, equations=p.equations + equations, clashes=p.clashes + clashes)


def partners(fn: str, other: str, v: Sum) -> list[tuple[int | Fraction, Sum]]:
    """How fn can be had from v = other(u): (factor, value), where fn(factor * u) = value."""
    one = Sum.number(1)
    if (fn, other) == ("tanh", "sigmoid"):
        return [(Fraction(1, 2), v.scale(2) - one), (Fraction(-1, 2), one - v.scale(2))]
    if (fn, other) == ("sigmoid", "tanh"):
        return [(2, (one + v).scale(Fraction(1, 2))), (-2, (one - v).scale(Fraction(1, 2)))]
    if fn != other:
        return []
    negated = [(-1, -v)] if fn in ODD else [(-1, one - v)] if fn == "sigmoid" else []
    return [(1, v), *negated]


def _neutral(atom: str) -> Sum:
    return Sum.number(NEUTRAL.get(ATOMS.definitions[atom][0], Fraction(2)))


def _same(a: str, b: str) -> bool:
    return a.lower() == b.lower()
