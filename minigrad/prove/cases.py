"""Cases of sizes: code may take another path at special sizes, as broadcasting does where a size is 1.

Every comparison of sizes that a run made is noted, and the sizes at which it turns out otherwise (n = 1,
d = n) are proved as cases of their own, until no comparison is left. Where single entries of an axis are
taken, the sizes that have them are n = 1 + n', and those below are cases too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..domains import blocks as b
from ..domains.blocks import Inside
from ..domains.contractions import Sum
from ..domains.merging import Merged, merged, parts
from ..domains.sizes import Blocks, Undecided
from .points import Difference

MOST_CASES = 256
MOST_TOLD_APART = 8  # entries of one axis that are taken singly


@dataclass(frozen=True)
class StepLemma:
    """Whether the vjp was found equal to the derivative, at the sizes of one case.

    wrong: argument -> engine minus truth at one entry, where they could not be shown equal; `points`: where
    they certainly differ (for one wrong argument at least, if a point was found). case: what is said of the
    sizes, {} for all of them in general.
    """

    wrong: dict[str, Sum]
    compared: int
    conditions: tuple[str, ...]
    seconds: float
    case: Mapping[str, Blocks] = field(default_factory=dict)
    points: dict[str, Difference] = field(default_factory=dict)
    asked: frozenset[tuple[Blocks, Blocks]] = frozenset()  # comparisons of sizes that came out unequal
    misfit: str = ""  # the error, if the vjp's shapes do not even fit

    @property
    def verdict(self) -> str:
        """proved | refuted (an argument certainly differs, or the vjp's shapes do not fit) | unknown."""
        return "refuted" if self.points or self.misfit else "unknown" if self.wrong else "proved"

    @property
    def ones(self) -> tuple[str, ...]:
        """The sizes that are 1 in this case."""
        return tuple(sorted(n for n, blocks in self.case.items() if blocks == (1,)))

    def __str__(self) -> str:
        where = _words(self.case) or "sizes in general"
        why = self.misfit or ", ".join(self.wrong)
        return f"{where}: {self.verdict}" + (f" ({why})" if why else "")


def every_case(prove: Callable[[Mapping[str, Blocks]], StepLemma]) -> list[StepLemma]:
    """The lemma for sizes in general, and for each case in which a comparison of sizes comes out otherwise.

    Where the code takes a single entry of an axis, such as h[..., 0], sizes in general are n = 1 + n', with
    the sizes below them as cases; where it then does not run, that is said. Conditions on sizes are dropped
    where a case stands for them. Raises Undecided as `prove` does.
    """
    todo: list[dict[str, Blocks]] = [{}]
    seen: set[frozenset] = {frozenset()}
    done: list[StepLemma] = []
    short: set[str] = set()  # sizes at which an entry that the code asks for is not there

    def add(case: Mapping[str, Blocks], step: Mapping[str, Blocks]) -> None:
        new = {n: _put(v, step) for n, v in case.items()} | {n: v for n, v in step.items() if "'" not in n}
        if (key := frozenset(new.items())) not in seen:
            seen.add(key)
            todo.append(new)

    while todo and len(done) < MOST_CASES:
        case = todo.pop(0)
        try:
            found = prove(case)
        except Inside as e:
            if e.k > MOST_TOLD_APART or not isinstance(e.block, str):
                raise
            for step in _told_apart(e):
                add(case, step)
            continue
        except IndexError:
            if not case:
                raise
            short.add(f"not {_words(case)}: the cell does not run there")
            continue
        left = set(found.conditions)
        for pair in sorted(found.asked, key=repr):
            if (answer := solve_sizes(*pair)) is not None:
                left.discard(f"{b.Size(pair[0])} != {b.Size(pair[1])}")
                add(case, answer)
        done.append(replace(found, conditions=tuple(sorted(left))))
    if todo:
        raise Undecided(f"more than {MOST_CASES} cases of equal sizes; give fewer sizes names of their own")
    return [replace(found, conditions=(*found.conditions, *sorted(short))) for found in done]


def _told_apart(e: Inside) -> Iterator[dict[str, Blocks]]:
    """Cases that cover every size of a block: more than k entries, or 1, ..., k."""
    ones = (1,) * e.k
    yield {e.block: (f"{e.block}'", *ones) if e.back else (*ones, f"{e.block}'")}
    for k in range(1, e.k + 1):
        yield {e.block: (1,) * k}


def _words(case: Mapping[str, Blocks]) -> str:
    return ", ".join(f"{n} = {b.size_of(v)}" for n, v in case.items())


def solve_sizes(a: Blocks, c: Blocks) -> dict[str, Blocks] | None:
    """What makes two sizes without a common block equal: n = 1, d = n, ...; None if that is not one name."""
    for one, other in ((a, c), (c, a)):
        names = {n for block in one for n in parts(block)}
        if all(block == 1 for block in other) and 1 not in one and len(one) >= len(other):
            return dict.fromkeys(sorted(names), (1,))
    for one, other in sorted(((a, c), (c, a)), key=repr, reverse=True):  # the later name gives way
        if len(one) == 1 and isinstance(one[0], str) and not any(one[0] in parts(o) for o in other):
            return {one[0]: other}
    return None


def _put(blocks: Blocks, step: Mapping[str, Blocks]) -> Blocks:
    """Blocks with sizes put for names. Raises Undecided where that takes a product of sizes apart."""
    new = [merged(*(step.get(n, (n,)) for n in parts(block))) for block in blocks]
    if bad := [axis for axis in new if isinstance(axis, Merged)]:
        raise Undecided(f"a product of sizes, {b.size_of(bad[0])}, whose blocks are not one after the other")
    return tuple(block for axis in new for block in axis)
