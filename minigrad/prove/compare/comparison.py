"""compare: whether two cells are the same function, if need be after a map of their weights, at every size.

Both are run on the same states and inputs of symbolic size (domains/sizes.py); equal normal forms are
equal functions. Where no map of weights is given one is looked for (pairing.py): the search only
proposes; that the cells are equal is proved by running both. A difference has a certified point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...cells.cell import Cell
from ...engine.core import Tensor
from ..points import Difference
from ..purity import check_function
from .align import alignments, arguments_differ, size_names
from .directions import Direction, Params, proposed, searched, shortcut
from .mismatch import Mismatch
from .weights import WeightMap

Given = Mapping[str, Callable[[Mapping[str, Tensor]], Tensor] | str]
EQUAL, MAPPED, DIFFERENT, UNKNOWN = "equal", "equal up to a map of weights", "different", "unknown"


@dataclass(frozen=True)
class Comparison:
    """The verdict on two cells, and what it rests on.

    verdict: "equal" (parameters of the same names); "equal up to a map of weights" (each is the other under a
    map); "different": one is not the other for any weights, if each of its gates is to be a gate of the other
    or one minus it (functions of different sums being independent); "unknown". For a map that was given,
    "different" speaks of that map. forward: b from a; backward: a from b.
    """

    verdict: str
    statement: str
    forward: Direction | None
    backward: Direction | None
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return self.verdict in (EQUAL, MAPPED)

    def __str__(self) -> str:
        return f"{self.verdict}: {self.statement}"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types; weights: by parameter of b, in numpy's notation."""
        w = self.weights
        return {
            "verdict": self.verdict, "statement": self.statement, "seconds": self.seconds,
            "weights": {p: w.text(p) for p in w.values} if w else None,
            "mismatches": [asdict(m) for m in self.mismatches],
            "point": self.point and self.point.to_dict(),
        }  # fmt: skip

    @property
    def weights(self) -> WeightMap | None:
        """The parameters of b from those of a, where that was proved for all weights of a."""
        f = self.forward
        return f.weights if f is not None and f.exact and isinstance(f.weights, WeightMap) else None

    @property
    def failing(self) -> Direction | None:
        """The direction that shows the difference: b from a, or a from b if that is the one that fails."""
        left = [d for d in (self.forward, self.backward) if d is not None and not d.exact]
        return next((d for d in left if d.excluded), left[0] if left else None)

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """Where the two differ, in the order of the code; the first is the first gate that differs."""
        return self.failing.mismatches if self.failing else ()

    @property
    def point(self) -> Difference | None:
        """A rational point at which the two certainly differ."""
        return self.failing.point if self.failing else None


def compare(a: Cell, b: Cell, weights: Given | None = None) -> Comparison:
    """Whether cells a and b are the same function of state and input, for every size of their arrays.

    weights: for each parameter of b, a function of the dict of a's parameters in Tensor operations, or the
    name of one of them; then just this map is judged. Without it a map is searched for, in both directions:
    gates in another order, biases merged, blocks stacked or transposed, a gate turned into one minus it, ...
    Raises ImpureError for a cell that is not a function of its arguments (see purity.py); TypeError if
    `weights` does not give exactly the parameters of b, ShapeError if one does not fit.
    """
    start = time.perf_counter()
    for cell in (a, b):
        check_function(cell)
    if weights is not None:
        _check_names(a, b, weights)
    return replace(_compared(a, b, weights), seconds=time.perf_counter() - start)


def _compared(a: Cell, b: Cell, weights: Given | None) -> Comparison:
    if why := arguments_differ(a, b):
        return Comparison(DIFFERENT, why, None, None)
    if weights is not None:
        return min((_judged(a, o, proposed(a, o, _made(weights))) for o in alignments(a, b)), key=_rank)
    for other in alignments(a, b):
        forward, backward = shortcut(a, other), shortcut(other, a)
        if forward is not None and backward is not None:
            return _judged(a, other, forward, backward)
    return min((_judged(a, o, searched(a, o), searched(o, a)) for o in alignments(a, b)), key=_rank)


def _rank(c: Comparison) -> int:
    return (EQUAL, MAPPED, UNKNOWN, DIFFERENT).index(c.verdict)


def _check_names(a: Cell, b: Cell, weights: Given) -> None:
    for p in b.params:
        if p not in weights:
            raise TypeError(
                f"compare: no weights for parameter {p} of {b.name}; it has {', '.join(b.params)}"
            )
    for p, w in weights.items():
        if p not in b.params:
            raise TypeError(
                f"compare: weights for {p}, which is not a parameter of {b.name}: {', '.join(b.params)}"
            )
        if isinstance(w, str) and w not in a.params:
            raise TypeError(
                f"compare: {p} from {w}, which is not a parameter of {a.name}: {', '.join(a.params)}"
            )


def _made(weights: Given) -> Params:
    def make(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {p: params[w] if isinstance(w, str) else w(params) for p, w in weights.items()}

    return make


def _judged(a: Cell, b: Cell, forward: Direction, backward: Direction | None = None) -> Comparison:
    directions = [d for d in (forward, backward) if d is not None]
    exact = all(d.exact for d in directions)
    if exact:
        plain = isinstance(forward.weights, WeightMap) and not forward.weights.changed()
        verdict = EQUAL if plain else MAPPED
    else:
        shown = any(d.excluded for d in directions) if backward is not None else forward.point is not None
        verdict = DIFFERENT if shown else UNKNOWN
    if exact and backward is not None:
        maps = forward.weights, backward.weights
        assert isinstance(maps[0], WeightMap)
        assert isinstance(maps[1], WeightMap)
        forward = replace(forward, lost=maps[0].not_recovered(maps[1]))
        backward = replace(backward, lost=maps[1].not_recovered(maps[0]))
    found = Comparison(verdict, "", forward, backward)
    return replace(found, statement=_statement(a, b, found))


def _statement(a: Cell, b: Cell, c: Comparison) -> str:
    every = f"for every size {', '.join(size_names(a))} and batch"
    lines = {
        EQUAL: [f"{a.name} and {b.name} are the same function, {every}"],
        MAPPED: [f"{b.name} is {a.name}, {every}, with"],
    }.get(c.verdict, [f"{a.name} and {b.name}, {every}"])
    directions = [d for d in (c.forward, c.backward) if d is not None]
    if c.verdict == MAPPED:
        lines += _map_lines(directions[0])
        for back in directions[1:]:
            lines += [f"{a.name} is {b.name} with", *_map_lines(back)]
        for d in directions:
            if d.lost:
                lines.append(f"from {d.source} to {d.target} and back does not recover {', '.join(d.lost)}")
    elif c.verdict != EQUAL:
        lines += _difference_lines(c)
    lines += [f"provided that {words}" for words in sorted({w for d in directions for w in d.conditions})]
    return "\n  ".join(lines)


def _map_lines(d: Direction) -> list[str]:
    if not isinstance(d.weights, WeightMap):
        return ["  the weights given"]
    return [f"  {line}" for line in str(d.weights).splitlines()]


def _difference_lines(c: Comparison) -> list[str]:
    d = c.failing
    assert d is not None
    lines = [line for m in d.mismatches for line in m.lines(d.source, d.target)]
    lines += [d.unsure] if d.unsure else []
    lines += [f"no weights of {d.target} give {d.source}, gate for gate"] if d.excluded else []
    if d.point:
        at = ", ".join(f"{k} = {v}" for k, v in d.point.sizes.items())
        both = f"{d.point.true:.6g} in {d.source}, {d.point.got:.6g} in {d.target}"
        lines.append(f"entry {list(d.point.entry)} at {at}: {both} (certified)")
    if d.proved:
        lines += [f"{d.target} is {d.source} where {d.requires}, with", *_map_lines(d)]
    for other in (c.forward, c.backward):
        if other is not None and other.exact:
            lines += [f"every {other.source} is a {other.target}, with", *_map_lines(other)]
    return lines


__all__ = ["Comparison", "Direction", "compare"]
