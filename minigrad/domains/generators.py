"""The generators of polynomials: symbols, and atoms, which are opaque functions of polynomials.

Generators are numbered within a `fresh()` block, and a monomial is one integer, whose digits (of BITS
bits, and signed) are the powers of the generators: the product of two monomials is a sum. What must hold
for a value to exist, or to be smooth, is noted in `conditions` of the block.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

BITS = 16  # of a digit


class Atoms:
    """The generators met so far: what each is, which are positive, and what had to be assumed."""

    def __init__(self) -> None:
        self.number: dict[Any, int] = {}  # (function, arguments) -> generator
        self.what: list[tuple[str, tuple[Any, ...]]] = []  # generator -> (function, arguments)
        self.positive: set[int] = set()
        self.conditions: dict[str, None] = {}

    def generator(self, fn: str, args: tuple[Any, ...]) -> int:
        """The generator fn(args); ("symbol", (name, whether it is positive)) for a symbol."""
        key = fn, args
        found = self.number.get(key)
        if found is None:
            self.number[key] = found = len(self.what)
            self.what.append(key)
            if (
                fn in ("exp", "sigmoid")
                or (fn == "symbol" and args[1])
                or (fn in ("let", "root") and args[0].is_positive())
            ):
                self.positive.add(found)
        return found

    def assume(self, condition: str) -> None:
        """Note a side condition of whatever is proved in this block."""
        self.conditions[condition] = None


class _State(threading.local):
    def __init__(self) -> None:
        self.atoms = Atoms()


STATE = _State()


def atoms() -> Atoms:
    """The generators of the block that is running."""
    return STATE.atoms


@contextmanager
def fresh() -> Iterator[Atoms]:
    """A block with generators and side conditions of its own."""
    before, STATE.atoms = STATE.atoms, Atoms()
    try:
        yield STATE.atoms
    finally:
        STATE.atoms = before


@lru_cache(maxsize=100_000)
def powers(k: int) -> tuple[tuple[int, int], ...]:
    """The factors of a monomial: (generator, power), ..."""
    out = []
    while k:
        g = ((k & -k).bit_length() - 1) // BITS
        e = (k >> BITS * g) & ((1 << BITS) - 1)
        if e >> (BITS - 1):
            e -= 1 << BITS
        out.append((g, e))
        k -= e << BITS * g
    return tuple(out)
