"""scan(..., checkpoint=k): the same results and gradients as without, for every cell, and less memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from test_fast import ALL, arguments, by_scan, close, everything, total
from test_scan import SHAPES, inputs

import minigrad as mg
from minigrad.engine.bptt import RUNNER, run_plain
from minigrad.engine.checkpoint import Segments
from minigrad.engine.grad import reachable
from minigrad.engine.tree import leaves, rebuild

T = 7

CUTS = [
    (1, 1), (1, 3), (2, 1), (2, 2), (4, 2), (2, 4), (3, 6), (6, 3), (3, 9), (9, 2), (True, 1), (True, 2), (True, 5),
]  # fmt: skip


def some(names, first):
    """The first of them by default, the others if slow tests are asked for."""
    return [pytest.param(n, marks=() if n in first else pytest.mark.slow, id=str(n)) for n in names]


@pytest.fixture(params=["plain", "fast"])
def runner(request) -> Iterator[None]:
    before = RUNNER[0]
    RUNNER[0] = run_plain if request.param == "plain" else before
    yield
    RUNNER[0] = before


# ---- the law -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", some(ALL, ("gru", "lstm", "rnn_words+softmax")))
@pytest.mark.parametrize("k", some([3, True], [3]))
def test_every_cell_gives_the_same(name, k, runner):
    args = arguments(ALL[name], T=T)
    close(everything(by_scan(ALL[name], True, checkpoint=k), *args), everything(by_scan(ALL[name], True), *args))


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"reverse": True}, {"truncate": 2}, {"truncate": 6, "reverse": True}], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_every_cell_reversed_and_truncated(name, how):
    args = arguments(ALL[name], T=T)
    found = everything(by_scan(ALL[name], True, checkpoint=3 if "truncate" not in how else 2, **how), *args)
    close(found, everything(by_scan(ALL[name], True, **how), *args))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("k", some([1, 2, 6, 7, 8, 100], (1, 6, 8)))
@pytest.mark.parametrize("name", some(["gru", "lstm"], ["gru"]))
def test_segments_of_every_length(name, k, reverse, runner):
    args = arguments(ALL[name], T=T)
    way = {"reverse": reverse}
    found = everything(by_scan(ALL[name], True, checkpoint=k, **way), *args)
    close(found, everything(by_scan(ALL[name], True, **way), *args))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("cuts", some(CUTS, CUTS[3:7]))
def test_truncation_cuts_where_it_did(cuts, reverse, runner):
    args, (k, cut) = arguments(ALL["rnn"], T=T), cuts
    way = {"reverse": reverse, "truncate": cut}
    found = everything(by_scan(ALL["rnn"], True, checkpoint=k, **way), *args)
    close(found, everything(by_scan(ALL["rnn"], True, **way), *args))


@pytest.mark.parametrize("k", some([2, 3], [2]))
@pytest.mark.parametrize("name", some(["rnn", "gru", "lstm"], ["rnn"]))
def test_the_second_derivative(name, k, runner):
    args = arguments(ALL[name], T=5, lead=(2,))
    rng = np.random.default_rng(5)
    vs = rebuild(args, [mg.tensor(rng.standard_normal(v.shape)) for v in leaves(args)])

    def product(**how):
        found = mg.hvp(lambda a: total(leaves(by_scan(ALL[name], True, **how)(*a))), args, vs)
        return [t.numpy() for t in leaves(found)]

    close(product(checkpoint=k), product())


@pytest.mark.parametrize("reverse", some([False, True], [True]))
@pytest.mark.parametrize("step", SHAPES, ids=lambda s: s.__name__)
def test_steps_of_every_form(step, reverse, runner):
    """Nested and missing outputs, states and sequences of integers, what is never read."""
    state, xs, params = inputs(step)
    args = (state, xs, params)

    def run(**how):
        fresh = [mg.tensor(v, requires_grad=np.asarray(v).dtype.kind == "f") for v in leaves(args)]
        results = leaves(mg.scan(step, *rebuild(args, fresh), reverse=reverse, **how))
        total([r for r in results if r.dtype.kind == "f"]).backward()
        grads = [np.zeros(f.shape) if f.grad is None else f.grad.numpy() for f in fresh if f.requires_grad]
        return [*(r.numpy() for r in results), *grads]

    close(run(checkpoint=2), run())


def test_what_the_step_closes_over(runner):
    """A captured tensor keeps its gradient."""
    xs = np.random.default_rng(0).standard_normal((T, 3))

    def slope(**how):
        w = mg.tensor([0.3, -0.2, 0.5], requires_grad=True)
        final, ys = mg.scan(lambda h, x, p: (mg.tanh(h * w + x), h * w), np.zeros(3), xs, **how)
        total([final, ys]).backward()
        return [w.grad.numpy()]

    close(slope(checkpoint=2), slope())


# ---- what is stored ----------------------------------------------------------------------------
def test_only_the_borders_are_stored(runner):
    """The graph of the result holds no array with more than its inputs, outputs and border states."""
    params, state, xs = arguments(ALL["lstm"], T=100)
    params = rebuild(params, [mg.tensor(v.numpy(), requires_grad=True) for v in leaves(params)])

    def stored(**how):
        final, _ = mg.scan(ALL["lstm"], state, xs, params, **how)
        arrays = {}
        for t in reachable(leaves(final)):
            for a in t.value if isinstance(t.value, tuple) else (t.value,):
                while a.base is not None:
                    a = a.base
                arrays[id(a)] = a.nbytes if isinstance(a, np.ndarray) else len(a)
        return sum(arrays.values())

    bare = sum(v.value.nbytes for v in [*leaves(params), *state, xs])
    assert stored(checkpoint=10) - bare < 0.4 * (stored() - bare)


def test_about_the_root_is_the_default():
    assert [Segments(T, True).k for T in (1, 2, 9, 10, 100, 20000, 10007)] == [1, 2, 3, 5, 10, 125, 101]
    assert [Segments(100, True, cut).k for cut in (1, 3, 10, 35)] == [10, 9, 10, 35]
    assert (Segments(7, 3).count, Segments(7, 3).rest) == (2, 1)


# ---- bad input ---------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [0, -3, 2.5, False, "many"], ids=str)
def test_a_bad_number_of_steps(k):
    with pytest.raises(ValueError, match=r"checkpoint=.*pass a number of steps of at least 1, True, or None"):
        by_scan(ALL["gru"], True, checkpoint=k)(*arguments(ALL["gru"]))


def test_cuts_that_do_not_fit_the_segments():
    with pytest.raises(ValueError, match="checkpoint=2 with truncate=3; make one a multiple of the other"):
        by_scan(ALL["gru"], True, checkpoint=2, truncate=3)(*arguments(ALL["gru"]))
