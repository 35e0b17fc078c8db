"""Where two cells differ, in the names of their codes: which gate, which terms, and in what way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...domains.contractions import Monomial, Names, Sum, show
from ...domains.sizes import ATOMS
from .search import Pairing, Search
from .substitution import Multiplied, slot, tensors

LONGEST = 240  # characters of a formula that is shown


@dataclass(frozen=True)
class Mismatch:
    """A gate, or the new value of a state, at which two cells differ, with the terms that only one has.

    `a` is "" if the first cell has no such function.
    """

    a: str
    b: str
    only_a: str
    only_b: str
    why: str

    def text(self, a: str, b: str) -> str:
        """In a sentence, the cells being called a and b."""
        if not self.a:
            return f"{self.b} in {b}: {self.why}, and {a} takes none"
        terms = f"{self.only_a or 'nothing'} in {a}, {self.only_b or 'nothing'} in {b}"
        return f"{self._where(b)}: {terms}" + (f"; {self.why}" if self.why else "")

    def lines(self, a: str, b: str) -> list[str]:
        """The same in lines, the terms one below the other."""
        if not self.a:
            return [self.text(a, b)]
        width = max(len(a), len(b)) + 4
        terms = [f"  {f'in {c}:':<{width}} {only or 'nothing'}" for c, only in ((a, self.only_a), (b, self.only_b))]
        return [f"{self._where(b)} differs", *terms, *([f"  {self.why}"] if self.why else [])]

    def _where(self, b: str) -> str:
        return self.a if self.a == self.b else f"{self.a} ({self.b} in {b})"


def mismatches(search: Search, p: Pairing) -> tuple[Mismatch, ...]:
    """What the pairing leaves unequal: gates, in the order of a's code, then the first update of a state.

    What follows from an earlier difference is left out.
    """
    bad: dict[str | int, set[Multiplied]] = {}
    for e in [*p.left, *p.clashes]:
        bad.setdefault(e.step, set()).add(e.of)
    lone = [s for s in bad if isinstance(s, str) and s not in p.gates]
    if lone:
        return tuple(_lone(search, s) for s in lone)
    order = {f: k for k, f in enumerate(search.of_a)}
    gates = sorted((s for s in bad if isinstance(s, str)), key=lambda s: order[p.gates[s][0]])
    updates = [s for s in search.steps if isinstance(s, int) and s in bad]
    wrong: list[str | int] = [*gates, *updates[:1]]
    return tuple(_mismatch(search, p, step, bad[step]) for step in wrong)


def _lone(search: Search, gate: str) -> Mismatch:
    fn = ATOMS.definitions[gate][0]
    return Mismatch(
        "", search.b.name(gate), "", "", "the sign in a relu, abs or maximum" if fn == "sign" else f"a {fn}"
    )


def _mismatch(search: Search, p: Pairing, step: str | int, keys: set[Multiplied]) -> Mismatch:
    pairs = search.output(p, step) if isinstance(step, int) else [search.arguments(p, step)]
    place = {} if isinstance(step, int) else {slot(k): i for k, i in enumerate(search.b.place.get(step, ()))}
    found = [{of for pair in pairs for of in search.terms(pair[k], step)} for k in (0, 1)]
    differ = {of for a, b in pairs for of in search.terms(b - a, step)} if isinstance(step, int) else set()
    keys = keys | differ | (found[0] ^ found[1])

    def part(e: Sum) -> Sum:
        kept = {t: c for t, c in e.terms.items() if keys & set(search.terms(Sum({t: c}), step))}
        return Sum(kept).rename(place)

    of_a, of_b = (sum((part(pair[k]) for pair in pairs), Sum()) for k in (0, 1))
    names = search.b.names | search.a.names
    moved = "; ".join(_moved(search, of_a, of_b))
    return Mismatch(*search.labels(p, step), _short(of_a, names), _short(of_b, names), moved)


def _short(e: Sum, names: Names) -> str:
    text = show(e, names) if e else ""
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def _moved(search: Search, of_a: Sum, of_b: Sum) -> Iterator[str]:
    """Functions that act before a product with weights in one cell and after it in the other."""
    terms = [
        {
            t: [f for f in t[0] if f[0][0] not in search.weights]
            for t in e.terms
            if set(_in(t)) & search.weights
        }
        for e in (of_a, of_b)
    ]
    for ta, fa in terms[0].items():
        for tb, fb in terms[1].items():
            if sorted(n for (n, _), _ in fa) != sorted(n for (n, _), _ in fb):
                continue
            there = {n: idx for (n, idx), _ in fb}
            for (n, idx), _ in (f for f in fa if f[0][0] in ATOMS.definitions):
                summed = [any(i >= 0 for i in k) for k in (idx, there[n])]
                if summed[0] != summed[1]:
                    words = ["before" if s else "after" for s in summed]
                    a, b = (
                        f"{word} the product with {_weights(search, t)} in {side.cell.name}"
                        for word, t, side in zip(words, (ta, tb), (search.a, search.b), strict=True)
                    )
                    yield f"{search.a.name(n)} acts {a}, {b}"


def _in(t: Monomial) -> list[str]:
    return list(tensors(Sum({t: 1})))


def _weights(search: Search, t: Monomial) -> str:
    names = search.a.names | search.b.names
    return ", ".join(names[n][0] for n in _in(t) if n in search.weights)
