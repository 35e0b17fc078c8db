"""fast = plain = unrolled for cells that nobody wrote for the compiler, and for random ones, by both runners."""

from __future__ import annotations

import numpy as np
import pytest
from fast_laws import arguments, as_good, by_hand, by_scan, first_order, same, second_order
from hypothesis import assume, given
from hypothesis import strategies as st
from more_cells import MORE
from own_cells import OWN
from random_cells import cells
from test_random_cells import few

import minigrad as mg
from minigrad import fast
from minigrad.cells import cell
from minigrad.fast import memory


@cell(h="n", x="d", W="d n", U="n n")
def single_entries(h, /, x, *, W, U):
    """Entries, every second entry, and the reverse of a sum that is cut nowhere else."""
    z, y = x @ W + h @ U, mg.sigmoid(h @ U)
    s = (h @ U + x @ W)[..., ::2].sum(axis=-1, keepdims=True)
    return mg.tanh(z[..., 0][..., None] * h + y[..., ::-1] * (y[..., 1] * y[..., -1])[..., None] - s)


@cell(h="n", x="d", W="d 2*n", U="n 2*n")
def stacked_gates(h, /, x, *, W, U):
    """Gates that are stacked, taken apart, and summed over."""
    z = mg.stack(mg.split(x @ W + h @ U, 2), axis=-1)
    a, b = mg.tanh(z).unstack(-1)
    return a * h + mg.stack([a, b, h * b], axis=0).mean(axis=0) + (h * b).sum() / 8


ALL = {c.name: c for c in (*OWN.values(), *MORE.values(), single_entries, stacked_gates) if c.inputs}
DOUBLE = {"plain_number_of_inputs", "one_hot_tokens"}
every_cell = pytest.mark.parametrize("c", ALL.values(), ids=list(ALL))
own_cells = pytest.mark.parametrize(  # the others are slow
    "c", [pytest.param(c, marks=[pytest.mark.slow] * (n in MORE)) for n, c in ALL.items()], ids=lambda c: c.name
)
HOWS = [{}, {"reverse": True}, {"truncate": 2}, {"truncate": 3, "reverse": True}, {"checkpoint": 2}]
HOWS += [{"checkpoint": 3, "reverse": True}, {"checkpoint": 4, "truncate": 2}, {"checkpoint": True}]


@pytest.fixture(autouse=True)
def _arrays_are_used_again_at_once(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.slow)])  # which compiles for each cell
def runner(request, monkeypatch):
    """Each runner; what is compiled is not shared with other tests."""
    if request.param == "numba":
        pytest.importorskip("numba", reason="the extra `fast` is not installed")
    monkeypatch.setenv("MINIGRAD_KERNELS", "1" if request.param == "numba" else "0")
    fast.run.forget()
    yield
    fast.run.forget()


# ---- laws of one cell ----------------------------------------------------------------------------
def results(c, values, **how):
    """(fast, plain), value and gradients."""
    with np.errstate(all="ignore"):
        return tuple(first_order(by_scan(c, values, fast=f, **how), values) for f in (True, False))


def holds(c, T=3, **how):
    values = arguments(c, T)
    found, plain = results(c, values, **how)
    same(found, plain)
    if not how:
        same(found, first_order(by_hand(c, values), values))


def holds_in_single_precision(c, **how):
    if c.name in DOUBLE:
        pytest.skip("it holds constants of float64, and so keeps no float32")
    single, double = (arguments(c, 3, dtype) for dtype in ("float32", "float64"))
    found, plain = results(c, single, **how)
    as_good(found, plain, results(c, double, **how)[1])


def holds_to_second_order(c, **how):
    values = arguments(c, 3)
    with np.errstate(all="ignore"):
        found, plain = (second_order(by_scan(c, values, fast=f, **how), values) for f in (True, False))
    same(found, plain, 1e-9)


# ---- every cell ----------------------------------------------------------------------------------
@every_cell
def test_value_and_gradients(c, runner):
    holds(c)


@own_cells
def test_in_single_precision(c, runner):
    holds_in_single_precision(c)


@own_cells
def test_forward_mode_and_second_order(c, runner):
    holds_to_second_order(c)


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS[1:], ids=str)
@every_cell
def test_reversed_truncated_and_checkpointed(c, how, runner):
    holds(c, 7, **how)
    holds_in_single_precision(c, **how)
    holds_to_second_order(c, **how)


# ---- random cells --------------------------------------------------------------------------------
def of_use(c):
    """Whether its numbers have digits left to compare."""
    values = arguments(c, 5)
    with np.errstate(all="ignore"):
        numbers = first_order(by_scan(c, values, fast=False), values)
    return all(np.abs(v).max(initial=0) < 1e3 for v in numbers.values())


@few(20)
@given(cells(), st.sampled_from(HOWS))
def test_a_random_cell(c, how):
    assume(of_use(c))
    holds(c, 5, **how)


@few(6)
@given(cells(most=4), st.sampled_from(HOWS[:4]))
def test_the_second_order_of_a_random_cell(c, how):
    assume(of_use(c))
    holds_to_second_order(c, **how)


@pytest.mark.slow
@few(300)
@given(cells(most=9), st.sampled_from(HOWS))
def test_many_random_cells(c, how):
    assume(of_use(c))
    holds(c, 6, **how)
    holds_in_single_precision(c, **how)
    holds_to_second_order(c, **how)
