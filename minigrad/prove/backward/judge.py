"""The verdict on a backward: run on arrays of symbolic size, compared entry by entry, and what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...cells.cell import Cell
from ...domains.blocks import COMPARED, Blocks, Size, size_of
from ...domains.contractions import Sum
from ...domains.sizes import SIZES, Sized, Undecided, fresh
from ..anysize import solve_sizes
from ..points import Point
from .calling import Numbers, call_exact, run_numbers
from .findings import Compared, Finding, compared
from .formula import NUMPY, TEX, RightLines
from .lets import LETS
from .numpyfunctions import UNWRITTEN
from .numpyops import Unsupported
from .pose import exact, pose, sizes_of
from .problem import Problem, close
from .reasons import Search
from .terms import Terms, terms

SMALL = 2  # every size, where a function loops over entries
MOST_CASES, LARGEST = (
    8,
    6,
)  # cases of equal sizes that are judged by themselves, and the largest number in them
AGREE = 1e-4  # relative: a function may compute in float32

Case = Mapping[str, Blocks]  # what is said of the sizes; {} for sizes in general


class Judge:
    """The verdict so far (proved | refuted | unknown), its findings, and the conditions that it rests on."""

    def __init__(self, cell: Cell, backward: Callable[..., Any], numbers: Numbers) -> None:
        """numbers: a run of the function by numpy, whose layout of the arrays is taken."""
        self.cell, self.backward, self.numbers = cell, backward, numbers
        self.asked = set(inspect.signature(backward).parameters)
        self.small = False  # whether sizes had to be fixed
        self.verdict, self.note = "proved", ""
        self.findings: list[Finding] = []
        self.conditions: set[str] = set()

    # ---- running it ------------------------------------------------------------------------------
    def at(self, T: int | None) -> None:
        """Judge one step, or T of them, at sizes in general and wherever the function asks about sizes.

        Raises Unsupported or Undecided if the function can be run at no sizes.
        """
        todo: list[Case] = [{}]
        seen: list[Case] = [{}]
        while todo and self.verdict == "proved":
            for pair in sorted(self._whatever_sizes(T, todo.pop(0)), key=repr):
                case = solve_sizes(*pair)
                if case is None or len(seen) == MOST_CASES or any(len(v) > LARGEST for v in case.values()):
                    self.conditions.add(f"{Size(pair[0])} != {Size(pair[1])}")
                elif case not in seen:
                    seen.append(case)
                    todo.append(case)

    def _whatever_sizes(self, T: int | None, case: Case) -> set[tuple[Blocks, Blocks]]:
        """Judge at these sizes, or at fixed ones; the comparisons of sizes that the function made."""
        if not self.small:
            try:
                return self._judge(T, case)
            except (Unsupported, Undecided) as e:
                self.small, error = True, e
            try:
                return self._judge(T, self._fixed())
            except (Unsupported, Undecided) as e:
                raise (e if isinstance(error, Undecided) else error) from None
        return self._judge(T, self._fixed())

    def _fixed(self) -> Case:
        return {n: (1,) * SMALL for n in sizes_of(self.cell)}

    def _judge(self, T: int | None, case: Case) -> set[tuple[Blocks, Blocks]]:
        with fresh():
            LETS.clear()
            problem = pose(self.cell, exact(case), T, self.numbers.problem.reading)
            problem.mute(self.asked)
            true = problem.gradients()
            COMPARED.clear()
            got = call_exact(self.backward, problem)
            asked_sizes = set(COMPARED)
            self.conditions |= SIZES.assumed
            sizes = {n: SMALL for n in sizes_of(self.cell) if n not in case}
            found = {name: compared(g, true[name], sizes) for name, g in got.items()}
            wrong = {name: c for name, c in found.items() if c.verdict != "equal"}
            if any(c.verdict == "differs" for c in wrong.values()):
                self._refute(problem, case, got, wrong)
            elif wrong:
                self.verdict = "unknown"
                self.note = f"; no normal form shows {_list(wrong)} equal, and no point shows a difference"
                if any(_signs(c.got) - _signs(c.true) for c in wrong.values()):
                    self.note += (
                        " (it clips, or compares values, where the gradient does not: try it without)"
                    )
        return asked_sizes

    # ---- what is wrong ---------------------------------------------------------------------------
    def _refute(
        self, problem: Problem, case: Case, got: dict[str, Sized], wrong: dict[str, Compared]
    ) -> None:
        """Make findings of what certainly differs."""
        certain = {n: c for n, c in wrong.items() if c.verdict == "differs"}
        if off := [n for n, c in certain.items() if not self._numpy_agrees(problem, case, n, c)]:
            self.verdict = "unknown"
            self.note = (
                f"; the exact run finds {_list(off)} wrong, but at the point that shows it numpy gives "
                "another value: the function does something that the exact run does not see"
            )
            return
        self.verdict = "refuted"
        reasons = {n: c.shapes for n, c in certain.items() if c.shapes}
        unwritten = [n for n, c in certain.items() if UNWRITTEN in str(c.got)]
        reasons |= dict.fromkeys(unwritten, "is made of entries of np.empty that were never written")
        if not reasons:
            again = lambda: call_exact(self.backward, problem)  # noqa: E731
            numbers = run_numbers(self.cell, self.backward, problem.T, problem.reading)
            search = Search(problem, got, numbers.problem, numbers.got, again, self.asked)
            reasons = search.reasons(set(certain))
        at = ", ".join(f"{n} = {size_of(b)}" for n, b in case.items()) if case and not self.small else ""
        right = RightLines(problem)
        for name, c in certain.items():
            t = Terms("", "", "", ()) if c.shapes else terms(problem, c.got, c.true)
            reason = " ".join(w for w in (reasons.get(name, ""), f"(at {at})" if at else "") if w)
            self.findings.append(
                Finding(
                    name,
                    c.point,
                    reason,
                    t.kind,
                    t.missing,
                    t.extra,
                    problem.T,
                    t.steps,
                    right(name, NUMPY),
                    right(name, TEX),
                )
            )
        if unsure := [n for n in wrong if n not in certain]:
            self.note = f"; of {_list(unsure)} it is not decided whether it is right"

    def _numpy_agrees(self, problem: Problem, case: Case, name: str, c: Compared) -> bool:
        """Whether numpy, at the point that shows the difference, returns the value that is wrong there."""
        if c.point is None or not self.numbers.pure or UNWRITTEN in str(c.got):
            return True  # a shape, or what numpy cannot repeat
        point, symbolic = Point(c.point.seed, c.point.sizes), exact(case)
        try:
            make = lambda *of: point.array(symbolic(*of))  # noqa: E731
            y = problem.steps[0].outs[-1].value.axes if "y" in problem.out_names else None
            run = run_numbers(self.cell, self.backward, problem.T, problem.reading, make, y)
        except (ValueError, TypeError, IndexError, RuntimeError):
            return False
        got = run.got[name]
        gap = abs(float(got[c.point.entry]) - c.point.got) if got.ndim == len(c.point.entry) else float("inf")
        return gap <= AGREE * max(1.0, abs(c.point.got))

    def compare_with_numpy(self) -> None:
        """What was proved must agree with what numpy itself computes."""
        if not self.numbers.pure:
            self.verdict = "unknown"
            self.note = (
                "; called again with the same arguments it gives other ones: it is random, reads what was "
                "never written, or keeps something from call to call"
            )
            return
        true = self.numbers.problem.gradients()
        if off := [n for n, g in self.numbers.got.items() if not close(g, true[n], AGREE)]:
            self.verdict = "unknown"
            self.note = (
                f"; the exact run finds every gradient right, but numpy itself gives another {_list(off)}: "
                "the function does something that the exact run does not see"
            )

    # ---- in words --------------------------------------------------------------------------------
    @property
    def only(self) -> str:
        """The one size at which it is proved, in words, if not at every one."""
        return f"at size {SMALL} only" if self.small and self.verdict == "proved" else ""

    def statement(self, spans: Sequence[int | None]) -> str:
        """What was judged."""
        reading, names = self.numbers.problem.reading, ", ".join(n for n in sizes_of(self.cell) if n != "b")
        names += " and batch" * reading.batch
        where = f"for every size {names}"
        if self.small:
            where = f"at size {SMALL} of {names} and no other, as the function cannot run on sizes in general"
        span = "one step" if spans == [None] else f"T = {', '.join(map(str, spans))} steps"
        is_it = "is the backward of" if self.verdict == "proved" else "against the backward of"
        over = " over" if self.verdict == "proved" else ","
        where = where if self.verdict == "proved" else where.removeprefix("for ")
        text = f"{self.backward.__name__} {is_it} {self.cell.name}{over} {span}{reading}, {where}"
        unread = sorted(self.numbers.unread)
        if missing := [a for a in self.numbers.problem.wanted if a not in self.numbers.got]:
            text += f"; gradients not returned, so not judged: {', '.join(missing)}"
        if unread:
            text += f"; cotangents it does not take count as zero: {', '.join(unread)}"
        return text + self.note


def _list(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"d{n}" for n in names)


def _signs(e: Sum) -> set[str]:
    return {f[0] for fs, _ in e.terms for f, _ in fs if f[0].startswith("sign#")}
