"""What is drawn of one step: at level "ops" every operation, at level "gates" the textbook's parts.

At level "gates" the chain before an activation (products with parameters, sums, slices, a layer
normalisation) is folded into one box with that activation; products and sums of gates and states
stay. A node is folded only if nothing else reads it, so no wire is lost. A node that is only read in
slices (the one product of all gates, or its activation) is folded into each of its readers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..engine.core import Tensor
from ..engine.primitives import CONTRACT, LAYOUT
from .names import operator_sign
from .steps import Ref, Step

GATELIKE = ("gate", "linear", "fn")  # parts that are drawn as boxes
ACTIVATIONS = {"tanh", "sigmoid", "relu", "softplus", "exp", "sin", "cos"}


@dataclass(frozen=True)
class Part:
    """A drawn thing. kind: gate (activation of a learned sum), linear, fn, op, or joint (of wires)."""

    key: str
    kind: str
    head: int  # its node's place in the step
    members: tuple[int, ...]
    label: str
    name: str | None
    sources: tuple[str, ...]  # keys: n3 a part, s0 a state line, x0 an input
    params: tuple[int, ...]
    leaves_as: int | None = None  # the state line that it is the new value of
    text: str = ""  # what is written in it, if not its label


@dataclass(frozen=True)
class Drawn:
    """One step as it is drawn: parts in the order of the code, and what leaves on each state line."""

    parts: dict[str, Part] = field(hash=False)
    leaving: tuple[str | None, ...]
    outputs: tuple[str, ...]
    inputs: int
    groups: tuple[tuple[int, ...], ...] = ()  # parameters that share a rail
    taps: tuple[tuple[int, str], ...] = ()  # (group, part)
    top: tuple[bool, ...] = ()  # per state line: whether it runs on top; if empty, that is found


def fold(step: Step, level: str, names: dict[Ref, str] | None = None) -> Drawn:
    """The parts of a step at a level of detail ("gates" or "ops"); names: of states, inputs, parameters."""
    folding = _Folding(step, level == "ops", names or {})
    leaving = tuple(folding.only_source(r) for r in step.leaving)
    outputs = tuple(s for r in step.outputs if (s := folding.only_source(r)) is not None)
    parts = {f"n{i}": folding.part(i, leaving) for i in sorted(folding.heads)}
    if level == "gates":
        parts = _join(parts)
    return Drawn(parts, leaving, outputs, len(step.inputs))


class _Folding:
    def __init__(self, step: Step, every: bool, names: dict[Ref, str]) -> None:
        self.step, self.nodes, self.every, self.names = step, step.nodes, every, names
        self.readers: dict[int, list[int]] = defaultdict(list)
        for i, refs in enumerate(step.refs):
            for kind, j in refs:
                if kind == "node":
                    self.readers[j].append(i)
        self.kept = {
            j for r in (*step.leaving, *step.outputs) if r is not None for k, j in [r] if k == "node"
        }
        self.heads: set[int] = set()
        self.boxes: set[int] = set()  # heads that are not activations, with a chain folded in
        while True:  # a new head changes what may be folded after it
            before = len(self.heads)
            self._pass()
            self._demand()
            if len(self.heads) == before:
                break

    def _pass(self) -> None:
        """Forwards: which nodes hold only parameters, which are wires, sources, and the clear heads."""
        n = len(self.nodes)
        self.bare = [False] * n  # parameters and constants only
        self.wire = [False] * n  # rearranges a source
        self.learned = [False] * n  # a parameter was folded in
        self.deep = [False] * n  # a parameter is somewhere before it, and no activation between
        self.src: list[tuple[str, ...]] = [()] * n
        self.par: list[tuple[int, ...]] = [()] * n
        for i, t in enumerate(self.nodes):
            data = self.data(i)
            self.par[i] = _unique(p for r in self.step.refs[i] for p in self._params(r))
            if not data and i not in self.kept and (t.op.kind == LAYOUT or not self.every):
                self.bare[i] = True
                continue
            self.src[i] = _unique(s for r in data for s in self.sources(r))
            affine = any(self._is_learned(r) for r in data)
            self.learned[i] = affine or bool(self.par[i])
            self.deep[i] = bool(self.par[i]) or any(r[0] == "node" and self._follows(r[1]) for r in data)
            if i in self.heads:
                continue
            self.wire[i] = t.op.kind == LAYOUT and not self.learned[i] and not self.every
            if not self.wire[i] and (self.every or self._is_head(i, t, data, affine)):
                self.heads.add(i)

    def _is_head(self, i: int, t: Tensor, data: list[Ref], affine: bool) -> bool:
        if t.op.name in ACTIVATIONS:
            return not self._sliced(i)
        if self._activation(i) != i or not data:
            return True
        if t.op.kind == LAYOUT or len(data) < 2:
            return False
        one_source = len({self.sources(r) for r in data}) == 1
        if t.op.name in ("add", "sub"):
            return not (affine or one_source)
        return t.op.kind == CONTRACT or not one_source

    def _demand(self) -> None:
        """Backwards: a folded node that is read by a drawn operator, or by two parts, is drawn itself."""
        owners: dict[int, set] = {}
        for i in reversed(range(len(self.nodes))):
            found: set = set()
            for j in self.readers[i]:
                found |= {j} if j in self.heads else owners[j]
            owners[i] = found
            if i in self.heads or self.bare[i]:
                continue
            drawn = {j for j in self.readers[i] if j in self.heads and not self._folds(j)}
            if self.wire[i]:
                if len(self.src[i]) > 1 and (drawn or i in self.kept):
                    self.heads.add(i)
            elif self._split(i):
                owners[i] = {("split", i)}
            elif drawn or i in self.kept or len(found) > 1:
                self._draw(i)

    def _folds(self, head: int) -> bool:
        """Whether this drawn node takes its chain into its box."""
        return head in self.boxes or self.is_gate(head)

    def _sliced(self, i: int) -> bool:
        """Whether a node is one activation for several gates, each of which is a slice of it."""
        return self.nodes[i].op.name in ACTIVATIONS and self.learned[i] and not self.every and self._split(i)

    def _activation(self, i: int) -> int:
        """The activation that node i is a slice of, if it is a gate; else i."""
        if self.nodes[i].op.name != "index":
            return i
        kind, j = self.step.refs[i][0]
        return j if kind == "node" and self._sliced(j) else i

    def is_gate(self, i: int) -> bool:
        if self._activation(i) != i:
            return True
        if self.nodes[i].op.name not in ACTIVATIONS:
            return False
        named = self.nodes[i].name is not None
        return (self.deep[i] if self.every else self.learned[i]) or (named and len(self.src[i]) > 1)

    def _follows(self, j: int) -> bool:
        return self.deep[j] and self.nodes[j].op.name not in ACTIVATIONS

    def _split(self, i: int) -> bool:
        return (
            bool(self.readers[i])
            and i not in self.kept
            and all(self.nodes[j].op.name == "index" for j in self.readers[i])
        )

    def _draw(self, i: int) -> None:
        """Draw a foldable node: the sum of a learned chain and a plain wire as +, else a box."""
        self.heads.add(i)
        chain = {self._is_learned(r) for r in self.data(i)}
        if not (self.nodes[i].op.name in ("add", "sub") and len(chain) == 2):
            self.boxes.add(i)

    def data(self, i: int) -> list[Ref]:
        return [r for r in self.step.refs[i] if not self._is_bare(r)]

    def _is_bare(self, r: Ref) -> bool:
        return r[0] in ("param", "const") or (r[0] == "node" and self.bare[r[1]])

    def _is_learned(self, r: Ref) -> bool:
        return r[0] == "node" and r[1] not in self.heads and self.learned[r[1]]

    def _params(self, r: Ref) -> tuple[int, ...]:
        if r[0] == "param":
            return (r[1],)
        return self.par[r[1]] if r[0] == "node" and r[1] not in self.heads else ()

    def sources(self, r: Ref) -> tuple[str, ...]:
        kind, j = r
        if kind == "node":
            return (f"n{j}",) if j in self.heads else self.src[j]
        return (f"{'s' if kind == 'state' else 'x'}{j}",) if kind in ("state", "input") else ()

    def only_source(self, r: Ref | None) -> str | None:
        """The drawn origin of what leaves the step; None for a constant or a parameter."""
        return next(iter(self.sources(r)), None) if r is not None else None

    def members(self, i: int) -> tuple[int, ...]:
        """The node and all that is folded into it."""
        found, stack = {i}, [i]
        while stack:
            for kind, j in self.step.refs[stack.pop()]:
                if kind == "node" and j not in self.heads and j not in found:
                    found.add(j)
                    stack.append(j)
        return tuple(sorted(found))

    def part(self, i: int, leaving: tuple[str | None, ...]) -> Part:
        t, key = self.nodes[i], f"n{i}"
        members = self.members(i)
        inner = [j for j in members if not self.bare[j] and not self.wire[j]]
        label = operator_sign(self.step, self._activation(i))
        if self.is_gate(i):
            kind = "gate"
        elif self.par[i] and not self.every and self.src[i] and (len(inner) > 1 or t.op.kind == CONTRACT):
            kind, label = "linear", ""
        elif len(inner) > 1:
            kind, label = "fn", "ƒ"
        else:  # a circle has four sides: one is for the result
            kind = "op" if len(self.src[i]) + len(self.par[i]) < 4 else "fn"
        as_state = leaving.index(key) if key in leaving else None
        if kind == "linear" and (not t.name or as_state is not None):  # a state's name stands on its box
            label = self._product(members)
        return Part(key, kind, i, members, label, t.name, self.src[i], self.par[i], as_state)

    def _product(self, members: tuple[int, ...]) -> str:
        """An unnamed product, such as h·U; W· if it is more than that."""
        found = [i for i in members if self.nodes[i].op.kind == CONTRACT]
        if len(found) == 1 and len(self.step.refs[found[0]]) == 2:
            words = [self._word(r) for r in self.step.refs[found[0]]]
            if all(words):
                return "·".join(words)
        return "W·"

    def _word(self, r: Ref) -> str:
        if r[0] == "node":
            return self.nodes[r[1]].name or ""
        return self.names.get(r, "")


def _unique(items: Iterable) -> tuple:
    return tuple(dict.fromkeys(items))


def _join(parts: dict[str, Part]) -> dict[str, Part]:
    """With the state and input wires that several boxes read together drawn as one wire."""
    boxes = {k: p for k, p in parts.items() if p.kind in ("gate", "linear")}
    ground = {k: g for k, p in boxes.items() if (g := frozenset(s for s in p.sources if s[0] in "sx"))}
    sets = {a & b for a in ground.values() for b in ground.values()} | set(ground.values())
    sets = {_three(s) for s in sets if len(s) > 1}
    counts = {s: sum(s <= g for g in ground.values()) for s in sets}
    counts = {s: n for s, n in counts.items() if n > 1 or len(ground) == 1}
    if not counts:
        return parts
    best = max(counts, key=lambda s: (counts[s] * (len(s) - 1), counts[s], sorted(s)))
    order = _unique(s for p in parts.values() for s in p.sources if s in best)
    joint = Part("j0", "joint", -1, (), "", None, tuple(sorted(order)), ())
    joined = {
        k: replace(p, sources=("j0", *(s for s in p.sources if s not in best)))
        if best <= ground.get(k, frozenset()) else p
        for k, p in parts.items()
    }  # fmt: skip
    return {"j0": joint} | joined


def _three(wires: frozenset[str]) -> frozenset[str]:
    """As many of these wires as can meet in a point that one wire leaves: an input, and states."""
    inputs = sorted(w for w in wires if w[0] == "x")[:1]
    states = sorted(w for w in wires if w[0] == "s")
    return wires if len(wires) <= 3 else frozenset([*inputs, *states][:3])


def with_rails(kinds: list[Drawn], level: str) -> list[Drawn]:
    """The kinds of step with the rails that they share.

    Parameters that are read by the same parts, in every kind of step, share a rail (at level "ops"
    each has its own); a part that reads one has a tap.
    """
    readers = [_readers(d) for d in kinds]
    groups: dict[tuple, list[int]] = defaultdict(list)
    for i in dict.fromkeys(i for found in readers for i in found):
        groups[tuple(found.get(i, ()) for found in readers) if level == "gates" else (i,)].append(i)
    rails = tuple(map(tuple, groups.values()))
    return [
        replace(d, groups=rails, taps=tuple((g, k) for g, r in enumerate(rails) for k in found.get(r[0], ())))
        for d, found in zip(kinds, readers, strict=True)
    ]


def _readers(drawn: Drawn) -> dict[int, tuple[str, ...]]:
    """Which parts read each parameter."""
    found: dict[int, tuple[str, ...]] = {}
    for key, p in drawn.parts.items():
        for i in p.params:
            found[i] = (*found.get(i, ()), key)
    return found
