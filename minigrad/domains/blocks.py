"""Symbolic sizes: a number of entries that is not known, such as n, n+d or 4*n.

An axis is a tuple of blocks, and a block is 1, the name of a size, or a product of names (`merging.py`);
so ("n", "d") is the axis of [h, x]. A `Size` is compared like a number; sizes are at least 1. Every
comparison that is answered "not equal" although some sizes would make it equal is noted in `COMPARED`,
so that a proof can look at those sizes too (or say that it did not).
"""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Callable, Iterator
from typing import Any

from .merging import Blocks as Blocks
from .merging import Remembered as Remembered
from .merging import Undecided as Undecided
from .merging import merged, parts, quotient

COMPARED: set[tuple[Blocks, Blocks]] = set()  # pairs answered "not equal", without their common blocks


class Inside(Undecided):
    """An index or a slice that begins inside a block: decided once `k` entries of the block are told apart.

    back: whether they are its last ones.
    """

    def __init__(self, block: Any, k: int, back: bool) -> None:
        super().__init__(f"entry {-k if back else k - 1} of the symbolic size {'*'.join(parts(block))}")
        self.block, self.k, self.back = block, k, back


def told_apart(axis: Blocks, k: int, back: bool = False) -> None:
    """Nothing, if the first (or last) k entries of the axis are blocks of their own; else raises Inside."""
    for done, block in enumerate((axis[::-1] if back else axis)[:k]):
        if block != 1:
            raise Inside(block, k - done, back)


class Size:
    """A symbolic number of entries: the sum of its blocks."""

    __slots__ = ("blocks",)

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def __eq__(self, other: object) -> bool:
        if isinstance(other, numbers.Real) and not isinstance(other, (Size, int)) and other % 1 == 0:
            other = int(float(other))  # 8.0, and numpy's numbers
        if not isinstance(other, (Size, int)):
            return NotImplemented
        if isinstance(other, int) and other < len(self.blocks):
            return False  # each block is at least 1
        mine, theirs = without_common(self.blocks, blocks_of(other))
        if not mine or not theirs:
            return not mine and not theirs
        if not (_is_below(mine, theirs) or _is_below(theirs, mine)):
            COMPARED.add((mine, theirs))
        return False

    def __hash__(self) -> int:
        return hash(tuple(sorted(str(_unordered(block)) for block in self.blocks)))

    def __add__(self, other: Any) -> Any:
        return size_of((*self.blocks, *blocks_of(other)))

    def __radd__(self, other: Any) -> Any:
        return size_of((*blocks_of(other), *self.blocks))

    def __sub__(self, other: Any) -> Any:
        mine, theirs = without_common(self.blocks, blocks_of(other))
        if theirs:
            raise Undecided(f"size {self} - {other}: which is larger is not known")
        return size_of(mine)

    def __rsub__(self, other: Any) -> Any:
        raise Undecided(f"size {other} - {self}: which is larger is not known")

    def __mul__(self, k: Any) -> Any:
        if isinstance(k, Size):
            return size_of(merged(self.blocks, k.blocks))
        if isinstance(k, int) and k >= 0:
            return size_of(merged((1,) * k, self.blocks))
        return self.number(lambda n: n * k) if isinstance(k, numbers.Real) else NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, k: Any) -> Any:
        part = quotient(self.blocks, blocks_of(k))
        if part is None:
            raise Undecided(f"size {self} // {k}: not known to divide evenly")
        return size_of(part)

    def number(self, fn: Callable[[Any], Any]) -> Any:
        """A function of the size as a number, which is no size, such as its root: a Tensor."""
        raise NotImplementedError("given by sizes.py, which knows Tensors")

    def __pow__(self, q: Any) -> Any:
        return self.number(lambda n: n.power(q))

    def __truediv__(self, k: Any) -> Any:
        return self.number(lambda n: n / k)

    def __rtruediv__(self, k: Any) -> Any:
        return self.number(lambda n: k / n)

    def __mod__(self, k: Any) -> int:
        self // k
        return 0

    def __rmod__(self, other: Any) -> Any:
        raise Undecided(f"a number of entries modulo the size {self}; write the sizes of a reshape out")

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, int) and other < len(self.blocks):
            return True
        raise Undecided(f"whether the size {self} is larger than {other} depends on the size")

    def __ge__(self, other: Any) -> bool:
        return self > other - 1 if isinstance(other, int) else self > other

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __lt__(self, other: Any) -> bool:
        return not self >= other

    def __neg__(self) -> Any:
        return Negative(self)

    def __index__(self) -> int:
        raise Undecided(f"a loop or an index over the symbolic size {self}")

    def __float__(self) -> float:
        raise Undecided(f"the symbolic size {self} as a float; write its root as n ** 0.5")

    def place(self, i: int) -> Any:
        """Where entry i is, counted from the start; a negative i counts from the end. Raises Inside."""
        told_apart(self.blocks, -i if i < 0 else i + 1, i < 0)
        return self - -i if i < 0 else i

    def indices(self, k: slice) -> tuple[Any, Any, int]:
        """As slice.indices, for slices that begin and end at blocks."""
        if k.step not in (None, 1):
            raise Undecided(f"a slice with step {k.step} of an axis of size {self}")
        start, stop = (
            self - e.size if isinstance(e, Negative) else self.place(e) if isinstance(e, int) and e < 0 else e
            for e in (k.start, k.stop)
        )
        return 0 if start is None else start, self if stop is None else stop, 1

    def __repr__(self) -> str:
        terms = {b: self.blocks.count(b) for b in self.blocks}
        words = {b: "*".join(parts(b)) or "1" for b in terms}
        return "+".join(
            str(c) if b == 1 else f"{c}*{words[b]}" if c > 1 else words[b] for b, c in terms.items()
        )


class Negative:
    """Minus a size: a number, or in a slice a place from the end."""

    __slots__ = ("size",)

    def __init__(self, size: Size) -> None:
        self.size = size

    def __neg__(self) -> Size:
        return self.size


numbers.Real.register(Size)
numbers.Real.register(Negative)


class Shape(tuple):
    """A shape with symbolic sizes; compared without asking about sizes where the answer is known."""

    __slots__ = ()
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and len(self) == len(other) and all(map(_same, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other


def _same(a: Any, b: Any) -> bool:
    return a == b


def _is_below(a: Blocks, b: Blocks) -> bool:
    """Whether a, a plain number, is less than b, which has more blocks of at least 1 each."""
    return all(block == 1 for block in a) and len(a) < len(b)


def without_common(a: Blocks, b: Blocks) -> tuple[Blocks, Blocks]:
    """Both, sorted, without the blocks that they have in common."""
    if a == b:
        return (), ()
    left, right = list(map(_unordered, a)), []
    for block in map(_unordered, b):
        if block in left:
            left.remove(block)
        else:
            right.append(block)
    return tuple(sorted(left, key=str)), tuple(sorted(right, key=str))


def _unordered(block: Any) -> Any:
    return tuple(sorted(block)) if isinstance(block, tuple) else block


def size_of(blocks: Blocks) -> Any:
    """The blocks as a Size, or as a plain int if none is symbolic."""
    for b in blocks:
        if b != 1:
            return Size(blocks)
    return len(blocks)


def blocks_of(n: Any) -> Blocks:
    """A Size or an int as blocks."""
    return n.blocks if isinstance(n, Size) else (1,) * int(n)


def choices(axes: tuple[Blocks, ...]) -> Iterator[tuple[int, ...]]:
    """Every choice of one block per axis."""
    return itertools.product(*(range(len(b)) for b in axes))


def broadcast_axes(a: tuple[Blocks, ...], b: tuple[Blocks, ...]) -> tuple[Blocks, ...]:
    """numpy's broadcasting of two shapes of blocks. Raises ValueError where it has none for all sizes."""
    if a == b:
        return a
    n = max(len(a), len(b))
    pairs = zip(((1,),) * (n - len(a)) + a, ((1,),) * (n - len(b)) + b, strict=True)
    out = []
    for x, y in pairs:
        if x != y and (1,) not in (x, y):
            if size_of(x) == size_of(y):
                raise Undecided(f"axes {x} and {y} have one size, but their blocks are in another order")
            raise ValueError(f"sizes {size_of(x)} and {size_of(y)} cannot be broadcast together")
        out.append(y if x == (1,) else x)
    return tuple(out)
