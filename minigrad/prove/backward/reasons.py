"""Which mistake gives exactly the gradients that were returned?

Every known mistake is planted in the true backward, in floats; those whose gradients are the ones that
the function returned are planted again in exact arithmetic, and only one that reproduces them exactly
is given as the reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from ...domains.blocks import Size
from ...domains.sizes import SIZES, Sized
from .forwards import wrong_forwards
from .lets import LETS, same
from .loops import Mistake, double_mistakes, loop_mistakes, selections
from .mistakes import known_mistakes
from .numpyops import transpose
from .pose import sizes_of
from .problem import Problem, close
from .uses import paths

Again = Callable[[], dict[str, Sized]]  # the function, run once more on the exact problem


class Search:
    """The search for one function's mistake, from what it returned in exact numbers and in floats."""

    def __init__(
        self,
        exact: Problem,
        got: dict[str, Sized],
        floats: Problem,
        numbers: dict[str, np.ndarray],
        again: Again,
        asked: set[str],
    ) -> None:
        """again: runs the function on the exact problem, with the names that are known then."""
        self.exact, self.got, self.floats, self.numbers, self.again = exact, got, floats, numbers, again
        self.true, self.right = exact.gradients(), floats.gradients()
        stored = {
            f"{t.name}{end}"
            for t in exact.steps[0].nodes
            if t.name
            for end in ("", "s", "_next", "_new", "s_prev")
        }
        self.recomputes = not asked & ((stored | {"cache"}) - set(exact.cell.states))

    def reasons(self, wrong: set[str]) -> dict[str, str]:
        """argument -> the mistake, for those of the wrong gradients where one is known."""
        own = {n: text for n in sorted(wrong) if (text := self._own(n))}
        if len(wrong) == 1 and own:
            return own
        alone: dict[str, str] = {}
        seen: list[Mistake] = []
        judged = set(self.numbers)
        for mistake in itertools.chain(
            loop_mistakes(self.floats),
            known_mistakes(self.floats, wrong, judged, all_of_them=True),
            wrong_forwards(self.floats) if self.recomputes and len(wrong) > 1 else (),
            known_mistakes(self.floats, wrong, judged, all_of_them=False),
            double_mistakes(self.floats),
        ):
            hits = self._hits(mistake, wrong)
            new = hits if hits == wrong else hits - set(alone) - set(own)
            if new and self._confirmed(mistake, new):
                alone |= dict.fromkeys(new, mistake.text)
                seen.append(mistake)
                if new == wrong or set(alone) | set(own) == wrong:
                    break
        if len(set(alone.values())) > 1 or set(alone) != wrong:
            alone |= own
        alone |= {n: text for n in sorted(wrong - set(alone)) if (text := self._of_paths(n))}
        return alone | {n: text for n in sorted(wrong - set(alone)) if (text := self._besides(seen, n))}

    def _besides(self, seen: list[Mistake], name: str) -> str:
        """A mistake that another gradient shows, and what this one is instead of what it then gives."""
        for mistake in seen:
            right = mistake.gradients(self.floats)
            with LETS.scope(self.exact.names):
                true, got = mistake.gradients(self.exact), self.again()
                if found := next(self._relations(name, got[name], {name: true[name]}, right), ""):
                    return f"{mistake.text}; and besides that it {found}"
        return ""

    def _own(self, name: str) -> str:
        """What one gradient alone is instead of the right one."""
        found = next(self._relations(name, self.got[name], self.true, self.right), "")
        if found or name not in self.exact.cell.params:
            return found
        return next(
            (m.text for m in selections(self.floats) if self._hits(m, {name}) and self._confirmed(m, {name})),
            "",
        )

    def _hits(self, mistake: Mistake, wrong: set[str]) -> set[str]:
        """The wrong gradients that the mistake gives in floats: all, only if it leaves the right ones right."""
        try:
            found = mistake.gradients(self.floats)
        except (ValueError, TypeError, IndexError):
            return set()  # it does not even fit these shapes
        hits = {n for n in wrong if close(self.numbers[n], found[n])}
        if hits == wrong and len(wrong) > 1 and not all(close(g, found[n]) for n, g in self.numbers.items()):
            return set()
        return hits

    def _confirmed(self, mistake: Mistake, names: set[str]) -> bool:
        """Whether the mistake gives these gradients in exact arithmetic too."""
        with LETS.scope(self.exact.names):
            try:
                found, got = mistake.gradients(self.exact), self.again()
            except (ValueError, TypeError, IndexError):
                return False
            return all(_equal(got[n], found[n]) for n in names)

    # ---- one gradient alone ----
    def _relations(
        self, name: str, got: Sized, true: dict[str, Sized], right: dict[str, np.ndarray]
    ) -> Iterator[str]:
        """What it is instead: another's gradient, turned, or times a number."""
        g = self.numbers[name]
        if not any(got.entries.values()):
            yield "is zero"
            return
        for other in [name, *(o for o in true if o != name)]:
            for turned in (False, True):
                t, v = true[other], right[other]
                if turned and t.ndim != 2:
                    continue
                t, v = (transpose(t), v.T) if turned else (t, v)
                if t.axes == got.axes and v.shape == g.shape and np.any(v):
                    yield from (
                        _said(name, other, turned, words)
                        for factor, words in self._factors(g, v)
                        if _equal(got, t * factor)
                    )

    def _factors(self, g: np.ndarray, v: np.ndarray) -> Iterator[tuple[Sized, str]]:
        """c with g = c v, and what to say of it."""
        at = np.unravel_index(int(np.argmax(np.abs(v))), v.shape)
        ratio = float(g[at] / v[at])
        if not np.isfinite(ratio) or not close(g, ratio * v, 1e-7):
            return
        c = Fraction(ratio).limit_denominator(64)
        words = {Fraction(1): "", Fraction(-1): "the wrong sign"}.get(c, f"{c} times the right value")
        yield SIZES.number(c), words
        for name, n in sizes_of(self.exact.cell).items():
            size = SIZES.number(Size((name,)))
            who = "the batch's size" if name == "b" else f"size {name}"
            if (c * n).denominator == 1:
                yield SIZES.number(c * n) / size, f"{c * n}/{name} times the right value: divided by {who}"
            if (c / n).denominator == 1:
                yield SIZES.number(c / n) * size, f"{c / n}*{name} times the right value: multiplied by {who}"

    def _of_paths(self, name: str) -> str:
        """Which of the argument's uses are missing, or have another factor."""
        found = paths(self.floats, name)
        columns = np.stack([p.gradient.ravel() for p in found], axis=1) if found else np.zeros((1, 0))
        if (
            columns.shape[1] == 0
            or columns.shape[1] > columns.shape[0]
            or np.linalg.matrix_rank(columns) < len(found)
        ):
            return ""
        solved = np.linalg.lstsq(columns, self.numbers[name].ravel(), rcond=None)[0]
        factors = [Fraction(float(c)).limit_denominator(12) for c in solved]
        if not close(columns @ np.array([float(c) for c in factors]), self.numbers[name].ravel()):
            return ""
        with LETS.scope(self.exact.names):
            exact, got = paths(self.exact, name), self.again()
            total = SIZES.zeros(got[name].shape, None)
            for p, c in zip(exact, factors, strict=True):
                total = total + p.gradient * SIZES.number(c)
            if not _equal(got[name], total):
                return ""
        return _of_factors(
            name, [(p.node, p.step, c) for p, c in zip(found, factors, strict=True)], len(self.floats.steps)
        )


def _of_factors(name: str, uses: list[tuple[str, int, Fraction]], T: int) -> str:
    """The paths whose factor is not 1, in words; those that are alike in all steps are said once."""
    said: list[str] = []
    nodes = list(dict.fromkeys(node for node, _, _ in uses))
    for node in nodes:
        factors = {step: c for n, step, c in uses if n == node}
        for c in sorted({c for c in factors.values() if c != 1}):
            steps = [t for t, k in factors.items() if k == c]
            when = "" if len(steps) == T else f" in step {' and '.join(map(str, sorted(steps)))}"
            what = {
                Fraction(0): "nothing flows back",
                Fraction(-1): "the sign is wrong of what flows back",
            }.get(c, f"{c} times what should flow back comes")
            said.append(f"{what} from {node} to {name}{when}")
    return "; ".join(said)


def _said(name: str, other: str, turned: bool, factor: str) -> str:
    if name == other and not turned:
        return f"has {factor}" if "sign" in factor else f"is {factor}"
    whose = f"is the gradient of {other}" if other != name else "is"
    return whose + (" transposed" if turned else "") + (f", with {factor}" if factor else "")


def _equal(a: Sized, b: Any) -> bool:
    return a.axes == b.axes and all(same(e, b.entries[k]) for k, e in a.entries.items())
