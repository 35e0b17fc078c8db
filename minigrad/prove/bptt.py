"""dL/dw of L = (1/T) sum_t l(o_t, y_t) in four ways, on any kind of numbers, and by sympy.diff as a fifth.

    unrolled     the engine's sweep over the whole graph
    scan         the engine's scan, whose vjp is BPTT
    recursion    dh_t/dw = P_t + J_t dh_{t-1}/dw, the seeds' formula, forward in time
    closed form  dh_t/dw = sum_i (J_t J_{t-1} ... J_{i+1}) P_i, every product written out, DESCENDING

J_t = ds_t/ds_{t-1} and P_t = ds_t/dw come from the cell's own step, one row per entry of the state. The
gradient is then sum_t g_t S_t + r_t S_{t-1} + q_t, where l(o_t, y_t) / T depends on s_t by g_t, and directly
on s_{t-1} by r_t and on w by q_t (the read-out's own weights). The initial state counts as one more
parameter: its S_0 is the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import sympy as sp

from ..cells.cell import Cell
from ..cells.unroll import unroll
from ..engine.core import Tensor, leaf, recording
from ..engine.functions import concatenate, reshape
from ..engine.grad import sweep, vjp
from ..engine.program import Program, trace
from ..engine.scan import scan

Loss = Callable[[Tensor, Any], Tensor]
Gradients = dict[str, Any]  # parameter or state -> raw array


@dataclass(frozen=True)
class Problem:
    """A cell over a sequence, with a loss: what dL/dw is taken of."""

    cell: Cell
    state: tuple[Tensor, ...]
    xs: tuple[Tensor, ...]
    params: Mapping[str, Tensor]
    loss: Loss
    targets: Sequence[Any]

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return len(self.targets)

    @property
    def wanted(self) -> dict[str, Tensor]:
        """What the loss is differentiated by: the parameters, and the initial states."""
        return {**self.params, **dict(zip(self.cell.states, self.state, strict=True))}

    def _gradients(self, loss: Tensor) -> Gradients:
        with recording("grad"):
            found = sweep(
                [loss], [leaf(loss.m.zeros((), loss.value)) + 1], list(self.wanted.values()), graph=False
            )
        return {
            k: x.m.zeros(x.shape, x.value) if g is None else g.value
            for (k, x), g in zip(self.wanted.items(), found, strict=True)
        }

    # ---- (a) and (b): the engine ----
    def unrolled_loss(self) -> Tensor:
        """L, as the graph of all steps."""
        return unroll(self.cell, self.state, self.xs, self.params).loss(self.loss, self.targets)

    def by_unrolling(self) -> Gradients:
        """The engine's gradient of the unrolled graph."""
        return self._gradients(self.unrolled_loss())

    def by_scan(self) -> Gradients:
        """The engine's gradient of a scan."""
        with recording("grad"):
            _, ys = scan(self.cell, self.state, self.xs, dict(self.params))
            losses = [self.loss(ys[t], y) for t, y in enumerate(self.targets)]
            return self._gradients(reduce(lambda a, b: a + b, losses) / self.steps)

    # ---- (c) and (d): the formulas ----
    def by_recursion(self) -> Gradients:
        """The seeds' recursion, forward in time."""
        parts, S = self._parts(), [self._initial()]
        for part in parts:
            S.append({k: part.J @ s + part.P[k] if k in part.P else part.J @ s for k, s in S[-1].items()})
        return self._assembled(parts, S)

    def by_closed_form(self, ascending: bool = False) -> Gradients:
        """The closed form, each product of Jacobians written out; ascending: in the wrong order."""
        parts, S = self._parts(), [self._initial()]
        own = [S[0], *(part.P for part in parts)]
        for t in range(1, self.steps + 1):
            total: dict[str, Any] = {}
            for i in range(t + 1):
                Js = [parts[j - 1].J for j in (range(i + 1, t + 1) if ascending else range(t, i, -1))]
                for k, p in own[i].items():
                    term = reduce(np.matmul, [*Js, p])
                    total[k] = total[k] + term if k in total else term
            S.append(total)
        return self._assembled(parts, S)

    def _assembled(self, parts: list[Part], S: list[dict[str, Any]]) -> Gradients:
        """sum_t g_t S_t + r_t S_{t-1} + q_t, in the shapes of the parameters."""
        total: Gradients = {}
        for part, before, now in zip(parts, S, S[1:], strict=False):
            for k in self.wanted:
                g = part.g @ now[k] + part.r @ before[k]
                g = g + part.q[k] if k in part.q else g
                total[k] = total[k] + g if k in total else g
        return {k: v.reshape(self.wanted[k].shape) for k, v in total.items()}

    def _initial(self) -> dict[str, Any]:
        """S_0: 0 for the parameters, the identity for the initial states."""
        m, like, first = self.state[0].m, self.state[0].value, 0
        entries = sum(s.value.size for s in self.state)
        eye = m.lift(np.eye(entries))
        S: dict[str, Any] = {k: m.zeros((entries, p.value.size), like) for k, p in self.params.items()}
        for name, s in zip(self.cell.states, self.state, strict=True):
            S[name] = eye[:, first : first + s.value.size]
            first += s.value.size
        return S

    def _parts(self) -> list[Part]:
        """Every step's J, P, g, r, q, at the states that the cell runs through."""
        xs = [tuple(x[t] for x in self.xs) for t in range(self.steps)]
        step, state, parts = OneStep(self.cell, self.state, xs[0], self.params), self.state, []
        for x, y in zip(xs, self.targets, strict=True):
            parts.append(step.part(state, x, self.params, partial(self._share, y)))
            state = step.new_states(state, x, self.params)
        return parts

    def _share(self, target: Any, output: Tensor) -> Tensor:
        """One step's part of L."""
        return self.loss(output, target) / self.steps

    # ---- an independent witness ----
    def by_sympy(self) -> Gradients:
        """sympy.diff of the unrolled loss by every symbol; the numbers must be sympy's."""
        expression = self.unrolled_loss().item()
        return {
            k: np.frompyfunc(lambda s: sp.diff(expression, s), 1, 1)(x.value) for k, x in self.wanted.items()
        }


@dataclass
class Part:
    """One step's derivatives as matrices over the entries of all states."""

    J: Any  # (entries of the state, entries of the state)
    P: dict[str, Any]  # parameter -> (entries of the state, entries of the parameter)
    g: Any  # of the loss, by the new state
    r: Any  # of the loss, by the old state directly
    q: dict[str, Any]  # of the loss, by each parameter directly


class OneStep:
    """A cell's step as a program, so that its output is known as a function of the new state too."""

    def __init__(
        self, cell: Cell, state: Sequence[Tensor], x: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> None:
        self.k = len(state)

        def step(state: Any, x: Any, params: Any) -> tuple[Tensor, ...]:
            new, y = cell.advance(state, x, params)
            return (*new, y)

        self.program = trace(step, tuple(state), tuple(x), dict(params))

    def new_states(self, state: Any, x: Any, params: Any) -> tuple[Tensor, ...]:
        """The states after the step."""
        return tuple(self.program(tuple(state), tuple(x), dict(params)))[: self.k]

    def part(self, state: Any, x: Any, params: Any, loss: Callable[[Tensor], Tensor]) -> Part:
        """The derivatives of the step and of the loss of its output."""

        def flat_state(state: Any, params: Any) -> Tensor:
            return concatenate([reshape(s, -1) for s in self.new_states(state, x, params)], 0)

        def loss_of(new: Any, state: Any, params: Any) -> Tensor:
            return loss(_replay(self.program, [*state, *x, *params.values()], new)[self.k])

        y, pull = vjp(flat_state, tuple(state), dict(params))
        rows = [pull(leaf(u)) for u in y.m.lift(np.eye(len(y)))]
        J = np.stack([_flat(s) for s, _ in rows])
        P = {k: np.stack([p[k].value.reshape(-1) for _, p in rows]) for k in params}
        _, pull = vjp(loss_of, self.new_states(state, x, params), tuple(state), dict(params))
        g, r, q = pull(None)
        return Part(J, P, _flat(g), _flat(r), {k: v.value.reshape(-1) for k, v in q.items()})


def _flat(states: Sequence[Tensor]) -> Any:
    return np.concatenate([s.value.reshape(-1) for s in states])


def _replay(program: Program, inputs: list[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """The outputs, where the first of them are not computed but `given`."""
    fixed = dict(zip(program.outputs, given, strict=False))
    env = [*inputs, *(leaf(c) for c in program.consts)]
    env = [fixed.get(i, t) for i, t in enumerate(env)]
    for n in program.nodes:
        given_here = fixed.get(len(env))
        env.append(n.op(*(env[i] for i in n.args), **n.params) if given_here is None else given_here)
    return [env[i] for i in program.outputs]
