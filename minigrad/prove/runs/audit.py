"""The graph that really ran is T copies of the proved step: read off the graph, node by node.

Each step's nodes are given a form: operation, parameters, and the forms of the inputs, down to the roles
state, input and parameter, and to constants by value. Equal forms get one number (no hash can collide).
A step that reads a state, an input or an intermediate of another step than its own has another form.
The step of the any-size lemma is given its form too, its symbolic sizes being put to the numbers at hand:
that equality is what carries the lemma over to the graph. Linear in T; nothing is run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...cells.cell import Cell
from ...cells.shapes import read_sizes
from ...cells.unroll import Unrolled
from ...domains.sizes import fresh
from ...engine.core import Tensor, leaf, recording
from ...engine.grad import reachable
from ..anysize import opaque_arguments, step_outputs, token_inputs
from .forms import Form, Forms


@dataclass(frozen=True)
class Audit:
    """What was found in a graph of `steps` steps.

    odd: for each step that is not a copy of the step (at most ten), where it first differs. proved: whether
    the step is the one that the any-size lemma is about; None if that was not asked. digest: of the form.
    """

    steps: int
    nodes: int
    forms: int
    odd: tuple[str, ...]
    proved: bool | None
    digest: str
    seconds: float

    def __bool__(self) -> bool:
        return not self.odd and self.proved is not False

    def __str__(self) -> str:
        if self.odd:
            return "\n".join([f"not {self.steps} copies of one step ({self.forms} forms):", *self.odd])
        text = f"{self.steps} copies of one step, {self.nodes} nodes, form {self.digest}"
        which = {True: "; the step", False: "; NOT the step", None: ""}[self.proved]
        return text + (which and which + " of the any-size lemma")


# ---- what is audited ---------------------------------------------------------------------------
def proved_form(cell: Cell, forms: Forms, lead: int = 1) -> Form:
    """The form of the step that the any-size lemma runs, at the sizes at hand. lead: number of batch axes."""
    batch = ("b",) if lead == 1 else tuple(f"b{k}" for k in range(lead))
    case = {n: (1,) for n, k in forms.dims.items() if k == 1}
    with fresh(), recording("all"):
        values = opaque_arguments(cell, case, batch, token_inputs(cell))
        args = {k: leaf(v, name=k) for k, v in values.items()}
        outs = step_outputs(cell, args)
        roles = {t.id: _role(cell, k) for k, t in args.items()}
        return forms.of_graph(outs, lambda t: roles.get(t.id))


def _role(cell: Cell, name: str) -> tuple:
    if name in cell.params:
        return "parameter", name
    return "state" if name in cell.states else "input", name, 0


def audit(run: Unrolled, lemma: bool = True) -> Audit:
    """Whether an unrolled graph is T copies of one step, and whether that is the step of the any-size lemma.

    Raises Undecided if the lemma's step cannot be run on symbolic sizes (with lemma=False it is not asked).
    """
    start, cell = time.perf_counter(), run.cell
    args = dict(zip(cell.states + cell.inputs, (*run.states[0], *run.xs[0]), strict=True)) | run.params
    dims, lead = _dims(cell, {k: t.shape for k, t in args.items()})
    forms, roles = Forms(dims), _Roles(run)
    found: list[Form] = []
    for t in range(1, run.steps + 1):
        found.append(forms.of_graph(_outs(run, t), partial(roles.best, t=t)))
    usual = Counter(found).most_common(1)[0][0]
    for t, form in enumerate(found, start=1):  # a tensor with two roles, such as h_0 = c_0, was given one
        if form != usual and forms.fits(_outs(run, t), usual, partial(roles.all, t=t)):
            found[t - 1] = usual
    proved = usual == proved_form(cell, forms, lead) if lemma else None
    odd = [_say(forms, f"step {t}", f, usual) for t, f in enumerate(found, start=1) if f != usual]
    seconds = time.perf_counter() - start
    return Audit(
        run.steps, len(roles.made), len(set(found)), tuple(odd[:10]), proved, forms.digest(usual), seconds
    )


def _dims(cell: Cell, shapes: Mapping[str, tuple]) -> tuple[dict[str, int], int]:
    """The sizes of a cell's arguments, those of the batch axes included, and how many these are."""
    first = (cell.states or cell.inputs)[0]
    lead = shapes[first][: len(shapes[first]) - len(cell.sizes[first])]
    batch = {"b": lead[0]} if len(lead) == 1 else {f"b{k}": n for k, n in enumerate(lead)}
    return dict(read_sizes(cell.sizes, shapes)) | batch, len(lead)


def _outs(run: Unrolled, t: int) -> list[Tensor]:
    new, y = run.states[t], run.outputs[t - 1]
    return [*new, *([y] if all(y is not s for s in new) else [])]


class _Roles:
    """What a node of an unrolled graph is to a step: its state, input or parameter, or another step's."""

    def __init__(self, run: Unrolled) -> None:
        self.made: dict[int, int] = {}  # node -> the step that made it, where it is nothing else
        self.places: dict[int, list[tuple[str, str, int]]] = {}  # node -> (kind, name, step that may read it)
        for name, p in run.params.items():
            self.places.setdefault(p.id, []).append(("parameter", name, 0))
        columns_of = {"state": (run.cell.states, run.states), "input": (run.cell.inputs, run.xs)}
        for kind, (names, columns) in columns_of.items():
            for t, column in enumerate(columns, start=1):
                for name, x in zip(names, column, strict=True):
                    self.places.setdefault(x.id, []).append((kind, name, t))

    def best(self, x: Tensor, t: int) -> tuple | None:
        """The first of `all`, or None."""
        return next(iter(self.all(x, t)), None)

    def all(self, x: Tensor, t: int) -> list[tuple]:
        """The roles of a node as step t sees it, best first; none for the step's own nodes, and constants."""
        places = [p for p in self.places.get(x.id, ()) if (p[0], p[2]) != ("state", t + 1)]  # what t makes
        if places:
            lags = [(k, name, 0 if k == "parameter" else t - step) for k, name, step in places]
            near = sorted(lags, key=lambda role: abs(role[2]))
            return [role[:2] if role[0] == "parameter" else role for role in near]
        if x.op is not None and (step := self.made.setdefault(x.id, t)) != t:
            return [("node", x.op.name, t - step)]
        return []


def _say(forms: Forms, where: str, got: Form, usual: Form) -> str:
    a, b = forms.difference(got, usual)
    return f"{where}: {forms.words(a)}, where the other steps have {forms.words(b)}"


def audit_scan(y: Tensor, cell: Cell) -> Audit:
    """The same for what `scan(cell, ...)` gave: every step runs one program, which is compared.

    y: any output of the scan. Raises ValueError if none was recorded.
    """
    start = time.perf_counter()
    loops = [t for t in reachable([y]) if t.op is not None and t.op.name == "scan"]
    if not loops:
        raise ValueError("audit_scan: no scan was recorded for this tensor; record it, or ask for a gradient")
    program, layout = loops[-1].params["program"], loops[-1].params["layout"]
    s, q = layout.n_state, layout.n_state + layout.n_seq
    names = [*cell.states, *cell.inputs, *(i.name for i in program.inputs[q:])]
    dims, lead = _dims(cell, {k: i.shape for k, i in zip(names, program.inputs, strict=True)})
    forms = Forms(dims)
    new, y = program.outputs[:s], program.outputs[s]  # then what the vjp will read
    outputs = [*new, *([y] if y not in new else [])]
    form = forms.of_program(program, [_role(cell, n) for n in names], outputs)
    proved = form == proved_form(cell, forms, lead)
    T = loops[-1].inputs[s].shape[0]
    return Audit(T, len(program.nodes), 1, (), proved, forms.digest(form), time.perf_counter() - start)


def audit_graph(outputs: Sequence[Tensor]) -> Audit:
    """Whether any recorded loop repeats one step; the first may read leaves, the others the step before.

    A node's time step is the one that was noted while it was recorded; elements taken from a sequence one
    after the other count as one step's input. Raises ValueError if fewer than two steps were noted.
    """
    start = time.perf_counter()
    steps: dict[int, list[Tensor]] = {}
    for t in reachable(outputs):
        if t.op is not None and t.note is not None and t.note.step:
            steps.setdefault(t.note.step, []).append(t)
    if len(steps) < 2:
        raise ValueError("audit_graph: fewer than two time steps were noted; use unroll, or record a Watch")
    place = {t.id: (s, k) for s, own in steps.items() for k, t in enumerate(own)}
    loop = _Loop(Forms({}), place, _sequences(steps), {})
    forms = loop.forms
    found = {s: tuple(loop.form(t, s) for t in own) for s, own in sorted(steps.items())}
    usual = Counter(found.values()).most_common(1)[0][0]
    odd: dict[int, str] = {}
    for s, form in found.items():
        pairs = [(a, b) for a, b in zip(form, usual, strict=False) if a != b]
        if s == min(found) or s - 1 in odd:
            pairs = [(a, b) for a, b in pairs if not _enters(forms, a, b)]
        if pairs or len(form) != len(usual):
            what = forms.words(pairs[0][0]) if pairs else f"{len(form)} nodes"
            other = forms.words(pairs[0][1]) if pairs else f"{len(usual)} nodes"
            odd[s] = f"step {s}: {what}, where the other steps have {other}"
    seconds = time.perf_counter() - start
    count = len(set(found.values()))
    listed = tuple(odd.values())[:10]
    return Audit(len(steps), len(place), count, listed, None, forms.digest(usual), seconds)


def _element(t: Tensor) -> int | None:
    """Which element of its input a node takes, if it takes one."""
    if t.op is not None and t.op.name == "pick":
        return t.params["i"]
    if t.op is not None and t.op.name == "index" and isinstance(t.params["key"][0], int):
        return t.params["key"][0]
    return None


def _sequences(steps: Mapping[int, list[Tensor]]) -> set[int]:
    """Ids of tensors of which different steps take different elements."""
    taken: dict[int, set[int]] = {}
    for own in steps.values():
        for t in own:
            if (k := _element(t)) is not None:
                taken.setdefault(t.inputs[0].id, set()).add(k)
    return {i for i, ks in taken.items() if len(ks) > 1}


@dataclass(frozen=True)
class _Loop:
    """What the form of a node in a loop is read from."""

    forms: Forms
    place: Mapping[int, tuple[int, int]]  # node -> its step, and its place in it
    sequences: set[int]
    leaves: dict[int, int]  # node of no step -> its number, in the order in which they are met

    def form(self, t: Tensor, step: int) -> int:
        """The form of one node among its step's: its inputs by their place in their step."""
        k = _element(t)
        if k is not None and t.inputs[0].id in self.sequences:
            return self.forms.number(("element", k - step, self._leaf(t.inputs[0])), t)
        inputs = [self.forms.number(self._input(x, step), x) for x in t.inputs]
        return self.forms.number(self.forms.key(t.op, t.params, inputs, None), t)

    def _input(self, x: Tensor, step: int) -> tuple:
        if x.id in self.place:
            s, at = self.place[x.id]
            return "back", step - s, at
        if x.op is None and isinstance(x.value, np.ndarray) and x.ndim == 0:
            return self.forms.key(None, {}, (), x.value)
        return "leaf", self._leaf(x)

    def _leaf(self, x: Tensor) -> int:
        return self.leaves.setdefault(x.id, len(self.leaves))


def _enters(forms: Forms, a: int, b: int) -> bool:
    """Whether a node differs in what enters the step alone: leaves in the first, others after an odd one."""
    mine, theirs = forms.keys[a], forms.keys[b]
    if mine[:2] != theirs[:2] or len(mine) != 3 or len(mine[2]) != len(theirs[2]):
        return False
    pairs = [(forms.keys[i], forms.keys[j]) for i, j in zip(mine[2], theirs[2], strict=True) if i != j]
    return all(j[:2] == ("back", 1) and (i[0] == "leaf" or i[:2] == j[:2]) for i, j in pairs)
