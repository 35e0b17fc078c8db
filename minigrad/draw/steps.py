"""The time steps of a recorded graph: the nodes of each, and what enters and leaves it.

Nodes are grouped by the step in their note. What crosses from one step to the next is a state;
what the steps share is a parameter; what one step alone takes from outside is its input. Steps with
equal `signature` are the same code on other numbers, so one layout serves them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..cells.unroll import Unrolled
from ..engine.core import Tensor
from ..engine.grad import reachable

Ref = tuple[str, int]  # ("node" | "state" | "input" | "param" | "const", which)


@dataclass(frozen=True)
class Step:
    """One time step: its operations, oldest first, and for each the origin of its inputs."""

    nodes: tuple[Tensor, ...]
    refs: tuple[tuple[Ref, ...], ...]
    inputs: tuple[Tensor, ...]
    consts: tuple[Tensor, ...]
    leaving: tuple[Ref | None, ...]  # per state line: what it carries on
    outputs: tuple[Ref, ...]

    @property
    def signature(self) -> tuple:
        """Equal for steps that are the same graph."""
        nodes = tuple((n.op.name, n.name, _scalars(n)) for n in self.nodes if n.op is not None)
        return nodes, self.refs, len(self.inputs), self.leaving, self.outputs


def _scalars(n: Tensor) -> str:
    return repr(sorted((k, v) for k, v in n.params.items() if isinstance(v, (int, float, tuple, str))))


@dataclass(frozen=True)
class Recording:
    """T steps with their state lines, inputs and shared parameters, in plain order."""

    states: tuple[str, ...]
    carried: tuple[tuple[Tensor | None, ...], ...]  # carried[t][k]: on state line k after step t
    inputs: tuple[str, ...]
    params: tuple[Tensor, ...]
    param_names: tuple[str, ...]
    steps: tuple[Step, ...]
    loss: Tensor | None = None
    timed: bool = True  # whether the graph has time steps at all
    read_by_loss: frozenset[int] = frozenset()  # ids of the step nodes that the loss reads directly

    def names(self) -> dict[Ref, str]:
        """What the states, inputs and parameters are called, by reference."""
        found = {("state", k): n for k, n in enumerate(self.states)}
        found |= {("input", k): n for k, n in enumerate(self.inputs)}
        return found | {("param", k): n for k, n in enumerate(self.param_names)}


def of_unrolled(u: Unrolled, loss: Tensor | None = None) -> Recording:
    """The steps of an unrolled cell; its own names for states, inputs and parameters."""
    cell = u.cell
    entering = {x.id for xs in u.xs for x in xs}
    before = {n.id for n in reachable([*u.states[0], *(x for xs in u.xs for x in xs)])}  # other runs
    by_step: dict[int, list[Tensor]] = defaultdict(list)
    for n in reachable([*u.outputs, *(s for states in u.states for s in states)]):  # also what nothing reads
        if n.op is not None and n.note is not None and n.note.step and n.id not in before:
            by_step[n.note.step].append(n)
    params = Shared([u.params[p] for p in cell.params], list(cell.params))
    steps = [by_step[t] for t in range(1, u.steps + 1)]
    params.add_used(steps, entering | {s.id for states in u.states for s in states if s is not None})
    outputs: list[list[Tensor]] = [
        [o] if all(o is not s for s in u.states[t]) else [] for t, o in enumerate(u.outputs, start=1)
    ]
    built = build(steps, u.states, u.xs, params, outputs)
    return Recording(
        cell.states, u.states, cell.inputs, tuple(params.tensors), tuple(params.names), built, loss, True,
        read_by(loss, steps),
    )  # fmt: skip


def read_by(loss: Tensor | None, steps: Sequence[Sequence[Tensor]]) -> frozenset[int]:
    """The nodes of steps that the graph of the loss reads from outside the steps."""
    inside = {n.id for step in steps for n in step}
    seen: set[int] = set()
    stack = [] if loss is None else [loss]
    while stack:
        t = stack.pop()
        if t.id not in seen:
            seen.add(t.id)
            stack += [] if t.id in inside else t.inputs
    return frozenset(seen & inside)


class Shared:
    """The parameters: the declared ones, and whatever else several steps use or a gradient needs."""

    def __init__(self, tensors: list[Tensor], names: list[str]) -> None:
        self.tensors, self.names = tensors, names
        self.place = {p.id: i for i, p in enumerate(tensors)}

    def add_used(self, steps: Sequence[Sequence[Tensor]], other: set[int]) -> None:
        """Also what is neither of a step nor in `other`, is used by two steps or needs a gradient."""
        inside = {n.id for step in steps for n in step} | other | set(self.place)
        users: dict[int, set[int]] = defaultdict(set)
        found: dict[int, Tensor] = {}
        for t, step in enumerate(steps):
            for n in step:
                for x in n.inputs:
                    if x.id not in inside and not is_constant(x):
                        users[x.id].add(t)
                        found[x.id] = x
        for i, x in found.items():
            if len(users[i]) > 1 or (x.requires_grad and x.op is None):
                self.place[i] = len(self.tensors)
                self.tensors.append(x)
                self.names.append(_prefix_name(x, len(self.tensors)))


def _prefix_name(x: Tensor, i: int) -> str:
    if x.name or x.op is None:
        return x.name or f"p{i}"
    inner = x.inputs[0].name if len(x.inputs) == 1 else None
    return f"{inner}ᵀ" if inner and x.op.name == "transpose" else f"{x.op.name} {inner or ''}".strip()


def is_constant(x: Tensor) -> bool:
    """A number written in the code, such as the 1 of 1 - z."""
    return x.op is None and not x.requires_grad and x.name is None and x.value.size == 1


def build(
    steps: Sequence[Sequence[Tensor]],
    carried: Sequence[Sequence[Tensor | None]],
    xs: Sequence[Sequence[Tensor]],
    params: Shared,
    outputs: Sequence[Sequence[Tensor]],
    same: dict[int, Tensor] | None = None,
) -> tuple[Step, ...]:
    """Each step with the origin of every input resolved; same: tensors that stand for others."""
    stands = same or {}
    built: list[Step] = []
    for t, nodes in enumerate(steps):
        consts: list[Tensor] = []
        find = _resolver(nodes, carried[t], xs[t], params, consts)
        refs = tuple(tuple(find(stands.get(x.id, x)) for x in n.inputs) for n in nodes)
        after = carried[t + 1] if t + 1 < len(carried) else ()
        leaving = tuple(None if s is None else find(s) for s in after)
        built.append(
            Step(tuple(nodes), refs, tuple(xs[t]), tuple(consts), leaving, tuple(find(o) for o in outputs[t]))
        )
    first = [s.id for s in carried[0] if s is not None]
    if len(first) > len(set(first)) and len(built) > 1 and len(built[0].nodes) == len(built[1].nodes):
        one, two = built[0], built[1]  # one tensor starts two state lines: the second step tells them apart
        built[0] = Step(one.nodes, two.refs, one.inputs, one.consts, two.leaving, one.outputs)
    return tuple(built)


def _resolver(
    nodes: Sequence[Tensor],
    states: Sequence[Tensor | None],
    xs: Sequence[Tensor],
    params: Shared,
    consts: list[Tensor],
) -> Callable[[Tensor], Ref]:
    known: dict[int, Ref] = {i: ("param", k) for i, k in params.place.items()}
    known |= {s.id: ("state", k) for k, s in reversed(list(enumerate(states))) if s is not None}
    known |= {x.id: ("input", k) for k, x in enumerate(xs)}
    known |= {n.id: ("node", k) for k, n in enumerate(nodes)}

    def find(x: Tensor) -> Ref:
        if x.id not in known:
            known[x.id] = ("const", len(consts))
            consts.append(x)
        return known[x.id]

    return find
