"""The derivative of a sum of products of indexed tensors, term by term: what a vjp is compared with.

It uses the product rule, d x[i] / d x[q] = delta[i, q], the chain rule, and `FACTS`; nothing of the engine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ..domains.contractions import DELTA, Monomial, Sum, add_term
from ..domains.sizes import ATOMS, SIZES, Sized

OPEN, AT = -500, -900  # free names of opened bound indices, and of the entry differentiated by

FACTS: dict[str, Callable[[Sum, Sum], Sum]] = {  # d f(u) / d u, from t = f(u) and u
    "tanh": lambda t, u: Sum.number(1) - t * t,
    "sigmoid": lambda t, u: t - t * t,
    "exp": lambda t, u: t,
    "log": lambda t, u: ATOMS.power(u, -1),
    "sqrt": lambda t, u: ATOMS.power(t.scale(2), -1),
    "sin": lambda t, u: ATOMS.atom("cos", u),
    "cos": lambda t, u: -ATOMS.atom("sin", u),
    "sign": lambda t, u: Sum(),
    "let": lambda t, u: Sum.number(1),
}


class Derivative:
    """d / d name[q]: maps a Sum to its derivative by one entry of one tensor."""

    def __init__(self, name: str, n_indices: int) -> None:
        self.name, self.at = name, tuple(AT - k for k in range(n_indices))
        self.known: dict[str, Sum] = {}

    def __call__(self, e: Sum) -> Sum:
        out: dict[Monomial, Any] = {}
        for (fs, dims), c in e.terms.items():
            opened = {(n, tuple([OPEN - i if i >= 0 else i for i in idx])): p for (n, idx), p in fs}
            for key, p in opened.items():
                for (own, inner), factor in self._factor(*key).terms.items():
                    bound = {OPEN - i: len(inner) + i for i in range(len(dims))}
                    factors: dict[Any, int] = {}
                    for (n, idx), power in itertools.chain(opened.items(), [(key, -1)], own):
                        k = (n, tuple([bound.get(i, i) for i in idx]))
                        factors[k] = factors.get(k, 0) + power
                    add_term(out, factors, dict(enumerate((*inner, *dims))), c * p * factor)
        return Sum(out)

    def _factor(self, name: str, idx: tuple[int, ...]) -> Sum:
        if name == self.name:
            return Sum.product({(DELTA, pair): 1 for pair in zip(idx, self.at, strict=True)}, {})
        if name not in ATOMS.definitions:
            return Sum()
        if name not in self.known:
            fn, u = ATOMS.definitions[name]
            du = self(u)
            own = tuple(-1 - k for k in range(len(idx)))
            self.known[name] = FACTS[fn](Sum.factor(name, own), u) * du if du else du
        return self.known[name].rename({-1 - k: i for k, i in enumerate(idx)})


def gradient(phi: Sum, x: Sized) -> Iterator[tuple[tuple[int, ...], Sum]]:
    """(choice of blocks, d phi / d x there) of an opaque array x."""
    for choice, entry in x.entries.items():
        (((fs, _), _),) = entry.terms.items()
        (((tag, idx), _),) = fs
        d = Derivative(tag, len(idx))
        yield choice, d(phi).rename(dict(zip(d.at, idx, strict=True)))


def inner(a: Sized, b: Sized) -> Sum:
    """<a, b>, summed over every axis."""
    return SIZES.sum(a * b, tuple(range(-a.ndim, 0))).entries[()]
