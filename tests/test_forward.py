"""jvp, carried forward: equal to two reverse sweeps, for every cell, and in memory that does not grow with T."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from test_fast import ALL, arguments, by_scan, close, total
from test_scan import SHAPES, inputs

import minigrad as mg
from minigrad.engine.tree import leaves, rebuild
from minigrad.fast import blocks, memory

SOME = ("gru", "lstm", "masked", "rnn_words+softmax", "three_states")
cells = pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in SOME else pytest.mark.slow) for n in ALL])


def directions(args, seed=3):
    rng = np.random.default_rng(seed)
    return rebuild(args, [mg.tensor(rng.standard_normal(v.shape)) for v in leaves(args)])


def by_two_reverse_sweeps(fn, args, vs):
    """The pullback is linear in its cotangent u: <pullback(u), vs> has the slope jvp(vs), whatever u is."""
    y, pull = mg.vjp(fn, *args)
    zeros = [mg.zeros_like(o) for o in leaves(y)]

    def along(us):
        parts = zip(leaves(pull(rebuild(y, us))), leaves(vs), strict=True)
        return sum(((g * v).sum() for g, v in parts), mg.tensor(0.0))

    return mg.grad(along)(tuple(zeros))


def both(fn, args, vs):
    y, dy = mg.jvp(fn, args, vs)
    return [t.numpy() for t in leaves(dy)], [t.numpy() for t in by_two_reverse_sweeps(fn, args, vs)], y


@cells
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
def test_every_cell(name, fast):
    args = arguments(ALL[name])
    found, expected, y = both(by_scan(ALL[name], fast), args, directions(args))
    close(found, expected, 1e-10)
    close([t.numpy() for t in leaves(y)], [t.numpy() for t in leaves(by_scan(ALL[name], fast)(*args))])


@pytest.mark.parametrize(
    "how",
    [
        {"reverse": True}, {"truncate": 2}, {"truncate": 2, "reverse": True}, {"checkpoint": 2},
        {"checkpoint": 2, "truncate": 4},
    ],
    ids=str,
)  # fmt: skip
def test_of_every_kind_of_scan(how):
    args = arguments(ALL["gru"])
    found, expected, _ = both(by_scan(ALL["gru"], True, **how), args, directions(args))
    close(found, expected, 1e-10)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["params", "state", "xs"])
def test_along_some_of_the_arguments(which):
    args = arguments(ALL["lstm"])
    fn = lambda one: by_scan(ALL["lstm"], True)(*(one if i == which else a for i, a in enumerate(args)))  # noqa: E731
    found, expected, _ = both(fn, args[which : which + 1], directions(args[which : which + 1]))
    close(found, expected, 1e-10)


@pytest.mark.parametrize("step", SHAPES, ids=lambda s: s.__name__)
def test_steps_of_every_form(step):
    """Nested and missing outputs, states and sequences of integers, what is never read."""
    args = inputs(step)
    floats = [v for v in leaves(args) if np.asarray(v).dtype.kind == "f"]

    def fn(*some):
        it = iter(some)
        full = [next(it) if np.asarray(v).dtype.kind == "f" else v for v in leaves(args)]
        return [r for r in leaves(mg.scan(step, *rebuild(args, full))) if r.dtype.kind == "f"]

    args_, vs = tuple(map(mg.tensor, floats)), directions(tuple(map(mg.tensor, floats)))
    found, expected, _ = both(fn, args_, vs)
    close(found, expected, 1e-10)


def test_a_scan_inside_a_step():
    inner = lambda c, x, p: (mg.tanh(c * p + x), c * x)  # noqa: E731
    step = lambda h, x, p: mg.scan(inner, h, x, p)  # noqa: E731
    rng = np.random.default_rng(0)
    args = tuple(mg.tensor(rng.standard_normal(s)) for s in ((3,), (4, 2, 3), (3,)))
    found, expected, _ = both(lambda h, xs, p: mg.scan(step, h, xs, p, fast=False), args, directions(args))
    close(found, expected, 1e-10)


def test_the_gradient_of_it():
    """Forward over reverse is reverse over forward: <grad f, v> and its gradient, the Hessian times v."""
    args = arguments(ALL["gru"], T=3, lead=(2,))
    loss = lambda a: total(leaves(by_scan(ALL["gru"], True)(*a)))  # noqa: E731
    vs = directions(args)
    found = mg.grad(lambda a: mg.jvp(loss, (a,), (vs,))[1])(args)
    close([t.numpy() for t in leaves(found)], [t.numpy() for t in leaves(mg.hvp(loss, args, vs))], 1e-9)


# ---- memory ------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("way", ["jvp", "no_grad"])
@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_projected"])
def test_memory_does_not_grow_with_the_steps(name, way, capsys):
    one = ALL[name]

    def work(T):
        params, state, xs = arguments(one, T=T, lead=(64,))
        params = rebuild(params, [p.detach() for p in leaves(params)])  # no graph outside is differentiated
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        if way == "jvp":
            vs = directions(params)
            y, dy = mg.jvp(lambda p: by_scan(one, True)(p, state, xs), (params,), (vs,))
            found = leaves((y, dy))
        else:
            with mg.no_grad():
                found = leaves(by_scan(one, True)(params, state, xs))
        return found, start

    def beyond(T):
        memory.forget()
        tracemalloc.start()
        found, start = work(T)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - start - sum(r.value.nbytes for r in found)

    few, many = beyond(1000), beyond(10_000)
    with capsys.disabled():
        found = f"{few / 2**20:.1f} MiB beyond inputs and results at T = 1,000, {many / 2**20:.1f} at 10,000"
        print(f"\n{name} {way}: {found}")
    assert many < few + blocks.ROOM  # 1,000 steps are less than one block
