"""The gradient of a whole computation, exactly, at random points modulo a prime: no epsilon, any T and n.

The engine's graph and sweep run on integers modulo p (domains/field.py); the reference is the derivative
along a random direction, carried forward through the same graph by dual numbers (domains/dual.py), which
asks no vjp. <gradient, direction> = derivative is then a polynomial identity in the random numbers, tested
at a point. Agreement is not a proof: it errs with a probability of at most `error`, which is derived in
`Field.error` and printed. Disagreement is called refuted only if it is seen in floating point too, as two
formulas that are equal over the reals may differ here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...cells.cell import Cell
from ...domains.dual import DUALS
from ...domains.field import Field, Mod, fresh
from ...engine.core import Tensor, leaf, recording
from ...engine.errors import ShapeError
from ...engine.functions import unstack
from ...engine.grad import reachable, sweep
from ...engine.scan import scan
from ..anysize import token_inputs
from ..progress import Progress, silent, within

SURE = 1e-6  # a larger error bound says nothing
STEP = 1e-30  # of the complex step, which needs no care
CLOSE = 1e-7  # relative: gradients in float64 agree to 1e-12, faults differ by parts of one


class Drawn(NamedTuple):
    """How an argument is drawn: an array of reals, or of indices below a bound; fixed: no gradient."""

    shape: tuple[int, ...]
    below: int | None = None
    fixed: bool = False


Arguments = Mapping[str, Drawn]
Loss = Callable[[dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class ModularCheck:
    """Whether a gradient agrees with the derivative at random points, and how far that can be trusted.

    verdict: agrees | refuted | unknown (they differ modulo p, but not in floating point; or they agree, but
    the error bound says nothing). wrong: the arguments whose gradient differs. error: a bound on the
    probability that a wrong gradient agrees in all trials.
    """

    verdict: str
    wrong: tuple[str, ...]
    error: float
    trials: int
    degree: int  # of the polynomial identity
    values: int  # oracle values that were drawn
    nodes: int
    seconds: float
    misfit: str = ""  # the error, if the gradient's shapes do not even fit

    def __bool__(self) -> bool:
        return self.verdict == "agrees"

    @property
    def evidence(self) -> str:
        """What was run, and how far agreement can be trusted."""
        return (
            f"{self.nodes} nodes, {self.trials} point(s) modulo 2^61 - 1, degree {self.degree}, "
            f"{self.values} function values; a wrong gradient agrees with probability < {self.error:.1e}"
        )

    def __str__(self) -> str:
        wrong = ", ".join(self.wrong) or self.misfit
        return f"{self.verdict}{wrong and ': ' + wrong} ({self.evidence})"


def check_gradient(
    loss: Loss, arguments: Arguments, seed: int = 0, trials: int = 2, progress: Progress = silent
) -> ModularCheck:
    """Whether the engine's gradient of loss, by every argument that is not fixed, is its derivative.

    loss: from Tensors by name to a Tensor of one number. What stop_gradient holds counts as a constant; there
    a difference is not refuted, as floating point cannot tell. Raises ValueError for one inside a scan.
    """
    start = time.perf_counter()
    error, found = 1.0, []
    for trial in range(trials):
        here = within(progress, f"point {trial + 1} of {trials}", trial / trials, (trial + 1) / trials)
        with fresh(seed * 1000 + trial) as field:
            found.append(_trial(field, loss, arguments, here))
            error *= found[-1].error
            if found[-1].wrong or found[-1].misfit:
                break
    last = found[-1]
    verdict = "refuted" if last.misfit else "agrees" if error < SURE else "unknown"
    if last.wrong:
        seen = not last.stops and _seen_in_floats(loss, arguments, last.wrong, seed)
        verdict = "refuted" if seen else "unknown"
    return ModularCheck(
        verdict, last.wrong, error, len(found), max(f.degree for f in found), max(f.values for f in found),
        last.nodes, time.perf_counter() - start, last.misfit,
    )  # fmt: skip


class _Trial(NamedTuple):
    wrong: tuple[str, ...]
    error: float
    degree: int
    values: int
    nodes: int
    misfit: str = ""
    stops: bool = False  # whether a gradient is stopped on purpose


def _trial(field: Field, loss: Loss, arguments: Arguments, progress: Progress) -> _Trial:
    progress("graph", 0)
    args = {k: leaf(_drawn(field, a), a.below is None and not a.fixed, k) for k, a in arguments.items()}
    with recording("all"):
        out = loss(args)
    nodes = reachable([out])
    stops = _stops(nodes)
    wrt = {k: t for k, t in args.items() if t.requires_grad}
    progress("gradient", 1 / 3)
    try:
        gs = sweep([out], [leaf(field.number(1))], list(wrt.values()), graph=False)
    except ShapeError as e:
        return _Trial((), 1.0, 0, 0, len(nodes), str(e))
    progress("derivative", 2 / 3)
    directions = {k: field.random(*t.shape) for k, t in wrt.items()}
    shares = {k: _inner(field, g, directions[k]) for k, g in zip(wrt, gs, strict=True)}
    total = field.number(0)
    for share in shares.values():
        total = total + share
    difference = total - slope(field, out, nodes, {wrt[k].id: v for k, v in directions.items()})
    wrong: tuple[str, ...] = ()
    if difference.a.item():
        one_by_one = {k: slope(field, out, nodes, {wrt[k].id: v}) for k, v in directions.items()}
        wrong = tuple(k for k, true in one_by_one.items() if (shares[k] - true).a.item())
    values = sum(map(len, field.asked.values()))
    return _Trial(wrong, field.error(difference.degree), difference.degree, values, len(nodes), "", stops)


def _drawn(field: Field, a: Drawn) -> Any:
    if a.below is None:
        return field.random(*a.shape)
    n = int(np.prod(a.shape))
    return np.array([field.draw.randrange(a.below) for _ in range(n)], int).reshape(a.shape)


def _inner(field: Field, g: Tensor | None, v: Mod) -> Mod:
    return field.number(0) if g is None else field.sum(g.value * v, tuple(range(-v.ndim, 0)))


def _stops(nodes: Sequence[Any]) -> bool:
    """Whether a gradient is stopped on purpose. Raises ValueError if one is in the program of a scan."""
    for t in nodes:
        if (program := t.params.get("program")) is not None and _stops(program.nodes):
            raise ValueError("stop_gradient in a scan: unroll it, and what it holds is a constant")
    return any(t.op is not None and t.op.name == "stop_gradient" for t in nodes)


def slope(field: Field, out: Tensor, nodes: Sequence[Tensor], directions: Mapping[int, Mod]) -> Mod:
    """The derivative of out along directions (node id -> direction), forward through the graph."""
    known: dict[int, Any] = {}
    for t in nodes:
        if t.op is None or t.op.name == "stop_gradient":
            known[t.id] = DUALS.lift(t.value)
            known[t.id].slope = directions.get(t.id)
        else:
            known[t.id] = t.op.value(DUALS, *(known[x.id] for x in t.inputs), **t.params)
    found = known[out.id].slope
    return field.number(0) if found is None else field.reshape(found, (), found.ndim)


def _seen_in_floats(loss: Loss, arguments: Arguments, names: Sequence[str], seed: int) -> bool:
    """Whether the gradient by any of these arguments differs from the complex step, in float64.

    At numbers of both signs, or at positive ones where the first give no number.
    """
    for low in (-1.0, 0.2):
        rng = np.random.default_rng(seed)
        draw = {
            k: rng.uniform(low, 1, a.shape) if a.below is None else rng.integers(0, a.below, a.shape)
            for k, a in arguments.items()
        }
        values = {k: np.asarray(v) for k, v in draw.items()}
        with np.errstate(all="ignore"):
            pairs = [_in_floats(loss, values, k, rng.uniform(-1, 1, values[k].shape)) for k in names]
        if np.isfinite(pairs).all():
            return any(abs(got - true) > CLOSE * max(abs(got), abs(true)) for got, true in pairs)
    return False


def _in_floats(loss: Loss, values: Mapping[str, np.ndarray], name: str, v: np.ndarray) -> tuple[float, float]:
    """(<gradient by one argument, v>, the derivative along v by the complex step)."""
    args = {k: leaf(x, k == name, k) for k, x in values.items()}
    with recording("grad"):
        out = loss(args)
    (g,) = sweep([out], [leaf(np.ones(out.shape))], [args[name]], graph=False)
    with recording("off"):
        moved = loss({k: leaf(np.asarray(x + STEP * 1j * v) if k == name else x) for k, x in values.items()})
    true = float(moved.value.imag.item()) / STEP if moved.value.dtype.kind == "c" else 0.0
    return 0.0 if g is None else float((g.numpy() * v).sum()), true


# ---- cells -------------------------------------------------------------------------------------
def modular_check(
    cell: Cell, T: int = 8, sizes: Mapping[str, int] | None = None, batch: int = 1, seed: int = 0,
    trials: int = 2, loss: Callable[[Tensor, Tensor], Tensor] | None = None, classes: bool = False,
    by: str = "unroll", tokens: Sequence[str] | None = None, progress: Progress = silent,
) -> ModularCheck:  # fmt: skip
    """Whether the gradient of L = (1/T) sum_t l(o_t, y_t) through T steps is its derivative.

    By parameters, inputs and the initial state, which is not zero. sizes: {"n": 4, "d": 3}, by the names of
    the declared shapes; 3, 2, 4, 5, ... if not given. loss: l; by default <o_t, y_t> for random y_t, and as
    much of every final state, so that every output and state has a generic cotangent. classes: y_t are class
    indices. by: "unroll", the whole graph, or "scan". tokens: inputs that are indices; found if not given.
    Raises ValueError for T < 1, and by scan for a cell that stops gradients.
    """
    if T < 1 or trials < 1:
        raise ValueError(f"modular_check: T = {T}, trials = {trials}; at least one of each is needed")
    tokens = token_inputs(cell) if tokens is None else tokens
    names = list(dict.fromkeys(n for axes in cell.sizes.values() for size in axes for n in size if n))
    sizes = dict(zip(names, [3, 2, *range(4, 99)], strict=False)) | dict(sizes or {})
    arguments = {k: Drawn((batch, *cell.shape(k, sizes))) for k in cell.states}
    arguments |= {k: Drawn(cell.shape(k, sizes)) for k in cell.params}
    for k in cell.inputs:
        arguments[k] = Drawn((T, batch, *cell.shape(k, sizes)), min(sizes.values()) if k in tokens else None)
    with recording("off"), np.errstate(all="ignore"):
        one = {k: arguments[k]._replace(shape=(1, *arguments[k].shape[1:])) for k in cell.inputs}
        examples = {k: leaf(_example(a)) for k, a in (arguments | one).items()}
        shape = _outputs(cell, examples, "unroll")[0][0].shape
    if classes:
        arguments["target"] = Drawn((T, *shape[:-1]), shape[-1])
    else:
        arguments["target"] = Drawn((T, *shape), fixed=loss is None)
    if loss is None:
        arguments |= {f"cotangent of {k}": arguments[k]._replace(fixed=True) for k in cell.states}

    def averaged(args: dict[str, Tensor]) -> Tensor:
        outputs, final = _outputs(cell, args, by)
        targets = unstack(args["target"])
        terms = [(o * y).sum() if loss is None else loss(o, y) for o, y in zip(outputs, targets, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        total = total / T
        if loss is None:
            for k, s in zip(cell.states, final, strict=True):
                total = total + (s * args[f"cotangent of {k}"]).sum()
        return total

    return check_gradient(averaged, arguments, seed, trials, progress)


def _example(a: Drawn) -> np.ndarray:
    return np.full(a.shape, 0.5) if a.below is None else np.zeros(a.shape, int)


def _outputs(cell: Cell, args: Mapping[str, Tensor], by: str) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """(output of each step, final states), by the unrolled graph or by scan."""
    states, xs = tuple(args[k] for k in cell.states), tuple(args[k] for k in cell.inputs)
    params = {k: args[k] for k in cell.params}
    if by == "scan":
        final, stacked = scan(cell, states, xs, params)
        return unstack(stacked), final
    outputs = []
    for x in zip(*map(unstack, xs), strict=True):  # as `unroll`, which also gives every node its name
        states, y = cell.advance(states, x, params)
        outputs.append(y)
    return outputs, states
