"""scan's vjp is the adjoint recursion, for an undefined step F: its partial derivatives stay opaque.

For F(s, x, theta) with opaque Jacobians J_t = dF/ds, P_t = dF/dtheta, X_t = dF/dx at step t:

- one step of the backward scan that the engine's rule builds maps (delta, g, s, x, theta) to
  (J^T d, X^T d, P^T d) with d = delta + g: checked once, so it holds at every step of every T;
- run for T = 1..4, the engine's gradients equal the closed form sum_t g_t J_t ... J_{i+1} P_i, the
  product in descending order, summed out by hand here: an independent path through the same tensors.

All of it on arrays of symbolic size, so order and transposition of the products are seen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ..domains.blocks import blocks_of
from ..domains.contractions import Sum
from ..domains.sizes import ATOMS, SIZES, Blocks, Sized, array, fresh
from ..engine.core import Primitive, Tensor, leaf, recording
from ..engine.functions import reshape
from ..engine.functions import sum as total
from ..engine.grad import reachable, sweep
from ..engine.scan import scan

B, N, D, P = ("b",), ("n",), ("d",), ("p",)
AXES: dict[str, tuple[Blocks, ...]] = {"s": (B, N), "x": (B, D), "theta": (P,)}
PARTIAL: dict[str, tuple[Blocks, ...]] = {"s": (B, N, N), "x": (B, N, D), "theta": (B, N, P)}


def _opaque(name: str, axes: tuple[Blocks, ...], *args: Sized) -> Sized:
    """The undefined function `name` of these arrays: the same arguments give the same tensor."""
    key = (name, *(tuple(sorted(a.entries.items(), key=lambda ke: ke[0])) for a in args))
    return array(ATOMS.names.setdefault(key, f"{name}@{len(ATOMS.names)}"), *axes)


def _partial(k: str) -> Primitive:
    return Primitive(f"dF/d{k}", "pointwise", f"F_{k}", lambda m, *a: _opaque(f"F_{k}", PARTIAL[k], *a))


PARTIALS = {k: _partial(k) for k in AXES}


def _vjp(g: Tensor, y: Tensor, *args: Tensor) -> tuple[Tensor, ...]:
    """g^T times each opaque partial; the parameters' is summed over the batch."""
    row = reshape(g, g.shape[0], 1, g.shape[1])
    s, x, theta = (row @ row_of(*args) for row_of in PARTIALS.values())
    return s[:, 0], x[:, 0], total(theta[:, 0], axis=0)


F = Primitive("F", "pointwise", "F({0}, {1}, {2})", lambda m, *a: _opaque("F", (B, N), *a), _vjp)


@dataclass(frozen=True)
class ScanRule:
    """What was compared, and where it differed."""

    wrong: dict[str, Sum]
    compared: int
    seconds: float


def _product(g: Sized, jacobian: Sized) -> Sized:
    """g[b, i] J[b, i, k] summed over i."""
    row = SIZES.matmul(SIZES._insert(g, 1), jacobian)
    return SIZES._drop(row, {1})


def _values(T: int) -> tuple[list[Sized], dict[str, list[Sized]], list[Sized]]:
    """States s_0..s_T, the partials at each step, and the cotangent of each output."""
    theta, states = array("theta", *AXES["theta"]), [array("s0", *AXES["s"])]
    partials: dict[str, list[Sized]] = {k: [] for k in AXES}
    for t in range(1, T + 1):
        args = (states[-1], array(f"x{t}", *AXES["x"]), theta)
        for k in AXES:
            partials[k].append(_opaque(f"F_{k}", PARTIAL[k], *args))
        states.append(_opaque("F", (B, N), *args))
    return states, partials, [array(f"g{t}", *AXES["s"]) for t in range(1, T + 1)]


def closed_form(T: int) -> dict[str, Sized]:
    """Gradients of sum_t <g_t, s_t> as sums of g_t J_t ... J_{i+1} P_i, every product written out."""
    _, partials, g = _values(T)
    out: dict[str, Any] = {"s0": None, "theta": None} | {f"x{i}": None for i in range(1, T + 1)}

    def add(key: str, v: Sized) -> None:
        out[key] = v if out[key] is None else out[key] + v

    for t in range(1, T + 1):
        for i in range(1, t + 1):
            d = g[t - 1]
            for j in range(t, i, -1):
                d = _product(d, partials["s"][j - 1])
            add("theta", SIZES.sum(_product(d, partials["theta"][i - 1]), (-2,)))
            add(f"x{i}", _product(d, partials["x"][i - 1]))
            if i == 1:
                add("s0", _product(d, partials["s"][0]))
    return out


def engine_gradients(T: int) -> tuple[dict[str, Sized], list[Tensor]]:
    """The same gradients by scan and its vjp, and the nodes of the graph that computed them."""
    s0 = leaf(array("s0", *AXES["s"]), requires_grad=True)
    theta = leaf(array("theta", *AXES["theta"]), requires_grad=True)
    xs = leaf(SIZES.stack([array(f"x{t}", *AXES["x"]) for t in range(1, T + 1)], -3), requires_grad=True)
    g = leaf(SIZES.stack([array(f"g{t}", *AXES["s"]) for t in range(1, T + 1)], -3))
    with recording("grad"):
        _, hs = scan(_step, s0, xs, theta)
        found = sweep([hs], [g], [s0, xs, theta], graph=True)
    gs0, gxs, gtheta = [f for f in found if f is not None]
    inputs = {f"x{t + 1}": SIZES.index(gxs.value, (t, slice(None), slice(None))) for t in range(T)}
    return {"s0": gs0.value, "theta": gtheta.value} | inputs, reachable([gs0, gxs, gtheta])


def _step(s: Tensor, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    h = F(s, x, theta)
    return h, h


def backward_step() -> dict[str, tuple[Sized, Sized]]:
    """(what the backward scan's step gives, what the adjoint recursion says) for its carry, x and theta."""
    _, nodes = engine_gradients(2)
    loops = [t for t in nodes if t.op is not None and t.op.name == "scan" and t.params["layout"].reverse]
    (loop,) = loops
    program, layout = loop.params["program"], loop.params["layout"]
    axes = [tuple(blocks_of(n) for n in i.shape) for i in program.inputs]
    names = ["delta", "s", "x", "g", "theta"]
    values = {n: array(n, *a) for n, a in zip(names, axes, strict=True)}
    out = program.on_values(list(values.values()))
    d = values["delta"]
    args = (values["s"], values["x"], values["theta"])
    jac = {k: _opaque(f"F_{k}", PARTIAL[k], *args) for k in AXES}
    both = d + values["g"]
    assert layout.n_state == 1
    return {
        "carry": (out[0], _product(both, jac["s"])),
        "x": (out[1], _product(both, jac["x"])),
        "theta": (out[-1], SIZES.sum(_product(both, jac["theta"]), (-2,))),
    }


def scan_rule(lengths: tuple[int, ...] = (1, 2, 3, 4)) -> ScanRule:
    """Compare the engine's scan rule with the adjoint recursion (any T) and the closed form (these T)."""
    start, wrong, compared = time.perf_counter(), {}, 0
    with fresh():
        pairs = {f"backward step, {k}": v for k, v in backward_step().items()}
        for T in lengths:
            engine, _ = engine_gradients(T)
            pairs |= {f"T = {T}, d{k}": (engine[k], v) for k, v in closed_form(T).items()}
        for name, (a, b) in pairs.items():
            compared += 1
            for k, e in (a - b).entries.items():
                if e:
                    wrong[f"{name}, block {k}"] = e
    return ScanRule(wrong, compared, time.perf_counter() - start)
