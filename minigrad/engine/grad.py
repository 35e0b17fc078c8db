"""Differentiation as users call it: `backward`, and functions of functions made from the sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import STATE, Tensor, as_tensor, leaf, recording
from .errors import ShapeError, TraceError
from .primitives import alias, concat, stack
from .sweep import collect
from .sweep import fit as fit
from .sweep import ones_like as ones_like
from .sweep import pull as pull
from .sweep import reachable as reachable
from .sweep import sweep as sweep
from .sweep import zeros_like as zeros_like
from .tree import leaves, matched, rebuild, tree_map


def backward(y: Tensor, gradient: Any = None) -> None:
    """Add dy/dx to `.grad` of every leaf x that requires a gradient (see Tensor.backward)."""
    if y.id > STATE.since:
        raise TraceError("backward fills .grad, which a program cannot record; use grad or value_and_grad")
    if not y.requires_grad:
        raise ValueError(
            "backward: this tensor does not depend on anything that requires a gradient; "
            "make a leaf with tensor(data, requires_grad=True)"
        )
    g = _seed(y, gradient, "backward")
    found = collect([y], [g], None, graph=False)
    with recording("off"):
        for x, gx in found:
            x.grad = gx if x.grad is None else x.grad + gx


def _seed(y: Tensor, gradient: Any, who: str) -> Tensor:
    if gradient is None:
        if y.value.size != 1:
            raise ShapeError(
                f"{who}: the output has shape {y.shape}, not a single number; "
                "sum it, or pass a cotangent of that shape"
            )
        return ones_like(y)
    g = as_tensor(gradient, y)
    if g.shape != y.shape:
        raise ShapeError(f"{who}: a cotangent of shape {g.shape} for an output of shape {y.shape}")
    return g


# ---- functions of functions --------------------------------------------------------------------
def _fresh(x: Any, who: str) -> Tensor:
    """The argument as a node of its own, so that only its uses in the function are differentiated."""
    t = as_tensor(x)
    if t.dtype.kind in "iub":
        raise TypeError(f"{who}: an argument of dtype {t.dtype} has no derivative; pass floats")
    if STATE.mode == "all" or (t.requires_grad and STATE.mode != "off"):
        t = alias(t)  # tied to the graph outside, which is itself being differentiated
        t.requires_grad = True
        return t
    return leaf(t.value, requires_grad=True)


def run_on_fresh(
    fn: Callable, args: Any, who: str, kept: str = "grad"
) -> tuple[Any, list[Tensor], bool]:
    """fn(*args) on fresh nodes, those nodes, and whether a graph outside goes through the result.

    kept: what is recorded, as for `recording`.
    """
    mode = STATE.mode
    nodes = [_fresh(x, who) for x in leaves(args)]
    with recording("all" if mode == "all" else kept):
        y = tree_map(as_tensor, fn(*rebuild(args, nodes)))
    if not leaves(y):
        raise TypeError(f"{who}: the function returned nothing to differentiate")
    if mode != "grad":
        return y, nodes, mode == "all"
    fresh, first = {t.id for t in nodes}, min((t.id for t in nodes), default=0)
    outside = (
        t.requires_grad and t.id not in fresh and (t.op is None or t.id < first)
        for t in reachable(leaves(y), first - 1)
    )  # fmt: skip
    return y, nodes, any(outside)


def final(y: Any, outer: bool) -> Any:
    """A result: still in the outer graph if there is one, else free of the inner graph."""
    return y.detach() if isinstance(y, Tensor) and (STATE.frozen or not outer) else y


def vjp(fn: Callable, *primals: Any) -> tuple[Any, Callable[[Any], tuple]]:
    """(fn(*primals), pullback): the pullback maps a cotangent of the output to one per primal.

    Primals and output may be nested tuples and dicts. Raises TypeError for integer primals, ShapeError
    for a cotangent that does not have the output's form and shape.
    """
    y, pullback, outer = _vjp(fn, primals, "vjp")
    return tree_map(lambda t: final(t, outer), y), pullback


def _vjp(fn: Callable, primals: tuple, who: str) -> tuple[Any, Callable[[Any], tuple], bool]:
    y, nodes, outer = run_on_fresh(fn, primals, who)
    outs = leaves(y)

    def pullback(cotangent: Any = None) -> tuple:
        cots = [None] * len(outs) if cotangent is None else matched(y, cotangent, f"{who}: the cotangent")
        seeds = [_seed(o, c, who) for o, c in zip(outs, cots, strict=True)]
        graph = outer or any(c.requires_grad for c in seeds)
        with recording("all" if STATE.mode == "all" else "grad"):
            found = sweep(outs, seeds, nodes, graph)
        gs = [zeros_like(n) if g is None else final(g, True) for n, g in zip(nodes, found, strict=True)]
        return rebuild(primals, gs)

    return y, pullback, outer


def value_and_grad(fn: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """A function that returns (fn(*args), d fn / d args[argnums]); fn returns a single number.

    Arguments may be nested dicts and tuples; the gradient has the same form. With has_aux, fn
    returns (number, anything) and so does the value part of the result.
    Raises TypeError if fn returns anything but a tensor, or an argument holds integers.
    """
    which = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def run(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if bad := [i for i in which if not -len(args) <= i < len(args)]:
            raise TypeError(f"grad: argnums {bad} of a call with {len(args)} positional arguments")
        aux: list[Any] = []

        def inner(*chosen: Any) -> Any:
            full = list(args)
            for i, a in zip(which, chosen, strict=True):
                full[i] = a
            out = fn(*full, **kwargs)
            if has_aux:
                if not isinstance(out, tuple) or len(out) != 2:
                    raise TypeError("grad: with has_aux=True the function returns (number, anything)")
                out, extra = out
                aux.append(extra)
            if not isinstance(out, (Tensor, int, float)):
                raise TypeError(
                    f"grad: the function returned a {type(out).__name__}, not a single number; "
                    "for several outputs use vjp, for a value beside it has_aux=True"
                )
            return out

        y, pull, outer = _vjp(inner, tuple(args[i] for i in which), "grad")
        gs = pull(None)
        y = final(y, outer)
        value = (y, tree_map(lambda t: final(t, outer), aux[0])) if has_aux else y
        return value, (gs[0] if isinstance(argnums, int) else gs)

    return run


def grad(fn: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """A function that returns d fn / d args[argnums], for fn that returns a single number."""
    both = value_and_grad(fn, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def directions(x: Any, v: Any, who: str) -> list[Tensor]:
    """The leaves of v, one for each of x and of its shape."""
    vs = []
    for a, b in zip(map(as_tensor, leaves(x)), matched(x, v, who), strict=True):
        vs.append(as_tensor(b, a))
        if vs[-1].shape != a.shape:
            raise ShapeError(f"{who}: a direction of shape {vs[-1].shape} for an argument of shape {a.shape}")
    return vs


def _dot(gs: Any, vs: list[Tensor]) -> Tensor:
    terms = [g.reshape(-1) * v.reshape(-1) for g, v in zip(leaves(gs), vs, strict=True)]
    return concat(*terms, axis=-1).sum()


def jacobian(fn: Callable, argnums: int = 0) -> Callable:
    """A function that returns d fn / d args[argnums], of shape output.shape + input.shape.

    For one array in and one array out. Raises TypeError if fn returns anything else.
    """

    def run(*args: Any, **kwargs: Any) -> Tensor:
        def inner(x: Any) -> Tensor:
            out = fn(*args[:argnums], x, *args[argnums + 1 :], **kwargs)
            if not isinstance(out, Tensor):
                raise TypeError(f"jacobian: the function returned a {type(out).__name__}, not a tensor")
            return out

        x = as_tensor(args[argnums])
        y, pull = vjp(inner, x)
        if not y.value.size:
            return leaf(y.m.zeros((*y.shape, *x.shape), y.value))
        units = y.m.lift(np.eye(y.value.size))
        rows = [pull(leaf(u.reshape(y.shape)))[0] for u in units]
        return stack(*rows, axis=-1 - x.ndim).reshape(*y.shape, *x.shape)

    return run


def hessian(fn: Callable, argnums: int = 0) -> Callable:
    """A function that returns the second derivative of fn, of shape input.shape + input.shape."""
    return jacobian(grad(fn, argnums), argnums)


def hvp(fn: Callable, x: Any, v: Any) -> Any:
    """The Hessian of fn at x times v, without forming the Hessian. v: of the form and shapes of x."""
    vs = directions(x, v, "hvp")
    return grad(lambda z: _dot(grad(fn)(z), vs))(x)
