"""Axes merged into one and taken apart again, as a reshape does: products of blocks, in row-major order.

An axis is a tuple of blocks, one after the other. A block is 1, a name, or a tuple of names ("b", "c"):
b * c entries, the last name's index running fastest. Where sums of blocks stand to the right of a name,
as in b * (n+n), the blocks are interleaved: that is an axis of its own kind, `Merged`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

Blocks = tuple[Any, ...]  # of 1, names of sizes, and tuples of names
Count = Counter  # of products of names: how many entries


class Remembered(Exception):
    """An error that is known of even where somebody's code catches it."""

    last: ClassVar[Exception | None] = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        Remembered.last = self


class Undecided(Remembered, NotImplementedError):
    """An operation that has no meaning, or no implementation here, on arrays of symbolic size."""


class Merged(tuple):
    """An axis whose blocks are interleaved: the row-major product of `factors`."""

    factors: tuple[Blocks, ...]

    def __new__(cls, factors: Sequence[Blocks]) -> Merged:
        """The product; as a tuple it holds the blocks, in the row-major order of their factors' blocks."""
        made = super().__new__(cls, (_block(choice) for choice in itertools.product(*factors)))
        made.factors = tuple(factors)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Merged) and self.factors == other.factors

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.factors)


def parts(block: Any) -> tuple[str, ...]:
    """The names that a block is the product of; none for 1."""
    return () if block == 1 else block if isinstance(block, tuple) else (block,)


def _block(choice: Sequence[Any]) -> Any:
    names = tuple(itertools.chain.from_iterable(map(parts, choice)))
    return names if len(names) > 1 else names[0] if names else 1


def merged(*axes: Blocks) -> Blocks:
    """One axis of all the axes' entries in row-major order."""
    todo = [f for axis in axes for f in getattr(axis, "factors", (axis,)) if f != (1,)]
    done: list[Blocks] = []
    for right in reversed(todo):
        if done and (len(done[0]) == 1 or all(block == 1 for block in right)):
            after = done.pop(0)
            right = tuple(_block((a, b)) for a in right for b in after)
        done.insert(0, right)
    return Merged(done) if len(done) > 1 else done[0] if done else (1,)


def factors(axis: Blocks) -> list[Blocks]:
    """Axes whose row-major product this is, as many as there are; none for (1,)."""
    if isinstance(axis, Merged):
        return [f for part in axis.factors for f in factors(part)]
    n = len(axis)
    period = next(k for k in range(1, n + 1) if n % k == 0 and axis[:k] * (n // k) == axis)
    left: Blocks = axis[:period]
    right: list[Blocks] = []
    while all(map(parts, left)) and len({parts(block)[-1] for block in left}) == 1:
        right.insert(0, (parts(left[0])[-1],))
        left = tuple(_block(parts(block)[:-1]) for block in left)
    ones = (1,) * (n // period)
    return [f for f in (ones, left, *right) if f != (1,)]


def count(axis: Blocks) -> Count:
    """How many entries an axis has, as a polynomial in the names."""
    return Counter(tuple(sorted(parts(block))) for block in axis)


def _times(a: Count, b: Count) -> Count:
    out: Count = Counter()
    for (x, m), (y, n) in itertools.product(a.items(), b.items()):
        out[tuple(sorted(x + y))] += m * n
    return out


def quotient(axis: Blocks, by: Blocks) -> Blocks | None:
    """An axis of as many entries as this one has, divided by those of another; None if that is not known."""
    left = factors(axis)
    for divisor in factors(by):
        for i, f in enumerate(left):
            if count(f) == count(divisor):
                del left[i]
                break
            if {*f, *divisor} == {1} and len(f) % len(divisor) == 0:
                left[i] = (1,) * (len(f) // len(divisor))
                break
        else:
            return None
    return merged(*left)


def regroup(axes: Sequence[Blocks], sizes: Sequence[Blocks]) -> tuple[Blocks, ...]:
    """The axes of a row-major reshape; of `sizes` only the numbers of entries are used.

    Raises Undecided where an axis would begin or end inside a factor of the old ones.
    """
    left = [f for axis in axes for f in factors(axis)]
    out = []
    for size in sizes:
        wanted, have, mine = count(size), count((1,)), []
        while have != wanted and left:
            f, k = left.pop(0), _ratio(wanted, have)
            if {*f} == {1} and 0 < k < len(f) and len(f) % k == 0:  # a part of a plain number: 4 as 2 * 2
                left.insert(0, (1,) * (len(f) // k))
                f = (1,) * k
            mine.append(f)
            have = _times(have, count(f))
        if have != wanted:
            break
        out.append(merged(*mine))
    if left or len(out) < len(sizes):
        raise Undecided(
            f"a reshape of {'*'.join(map(_text, axes))} entries to {', '.join(map(_text, sizes))}: an axis would "
            "begin inside an old one, or the numbers of entries are not known to agree"
        )
    return tuple(out)


def _text(axis: Blocks) -> str:
    words = ["*".join(parts(block)) or "1" for block in axis]
    return words[0] if len(words) == 1 else f"({'+'.join(words)})"


def _ratio(a: Count, b: Count) -> int:
    """k if a is k times b for a whole k, else 0."""
    k = sum(a.values()) // sum(b.values())
    return k if k and Counter({x: k * n for x, n in b.items()}) == a else 0


COMPONENTS = 32  # the index of axis -k is the number -k; of a product of sizes, also -k-32, -k-64, ...


def indices(axis: int, block: Any) -> dict[int, str]:
    """The free indices of an axis (-1 is the last) inside one of its blocks, and what each runs over."""
    return {axis - COMPONENTS * i: name for i, name in enumerate(parts(block))}


def places(axes: tuple[Blocks, ...], choice: tuple[int, ...]) -> list[int]:
    """The free indices of an entry, in row-major order."""
    found = (indices(i - len(axes), b[k]) for i, (b, k) in enumerate(zip(axes, choice, strict=True)))
    return [i for some in found for i in some]
