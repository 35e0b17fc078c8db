"""dL/dw by the engine, the scan, the seeds' recursion and the closed form: the same, also exactly."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from minigrad import cell, cross_entropy, mse, nll, tanh
from minigrad.cells import CELLS, affine, generic, lstm, rnn, rnn_words, softmax_readout
from minigrad.domains import exact, symbols
from minigrad.domains.generators import fresh
from minigrad.engine.core import leaf
from minigrad.prove.bptt import Problem
from minigrad.prove.equality import from_sympy
from minigrad.prove.lemmas import compare
from minigrad.prove.step import size_names
from minigrad.prove.witness import WAYS, exact_witness, problem, sympy_witness

words = rnn_words.then(softmax_readout)
seeds = generic(  # article 000: h_t = f(i_t, h_{t-1}, w_h), o_t = g(h_t, w_o), with its own read-out inside
    lambda i, h, w: tanh(h @ w + i @ w[:1]), lambda h, w: h @ w, h="n", i="1", w_h="n n", w_o="n q"
)


@cell(h="n", x="d", W="d n", U="n n", V="n n")
def looks_back(h, /, x, *, W, U, V):
    """Its output depends on the state before the step, too."""
    new = tanh(x @ W + h @ U)
    return new, new @ V + h


PROBLEMS = [
    *(pytest.param(c, mse, id=c.name) for c in CELLS.values()),
    pytest.param(rnn.then(affine), cross_entropy, id="rnn, cross entropy"),
    pytest.param(
        lstm.then(cell(H="n", V="n q")(lambda H, *, V: H @ V)), cross_entropy, id="lstm, cross entropy"
    ),
    pytest.param(words, nll, id="article 002, nll"),
    pytest.param(seeds, mse, id="article 000"),
    pytest.param(looks_back, mse, id="output of the old state"),
]


def numbers(c, loss, T=6, batch=2, seed=0):
    """A problem at random numbers; class indices as targets where the loss takes them."""
    rng = np.random.default_rng(seed)

    def make(name, *shape):
        return rng.uniform(-0.8, 0.8, shape)

    sizes = dict(zip(size_names(c), (4, 3, 5), strict=False)) | {"batch": batch}
    p = problem(c, sizes, T, loss, make)
    if loss is mse:
        return p
    k = p.targets[0].shape[-1]
    targets = [leaf(rng.integers(0, k, batch)) for _ in range(T)]
    return Problem(p.cell, p.state, p.xs, p.params, loss, targets)


def largest(a, b):
    return max(float(np.abs(a[k] - b[k]).max()) for k in a)


# ---- in numbers, any size ----------------------------------------------------------------------
@pytest.mark.parametrize(("c", "loss"), PROBLEMS)
@pytest.mark.parametrize("T", [1, 6])
def test_the_four_ways_agree(c, loss, T):
    p = numbers(c, loss, T)
    found = {way: run(p) for way, run in WAYS.items()}
    assert set(found["unrolled"]) == {*c.params, *c.states}
    for way, gradients in found.items():
        for k, true in found["unrolled"].items():
            assert_allclose(gradients[k], true, atol=1e-12, err_msg=f"{way}: {k}")


def test_they_agree_with_finite_differences():
    p = numbers(CELLS["gru"], mse, T=4)
    true, h = p.by_closed_form(), 1e-6
    for k in ("W_hr", "b_z", "H"):
        x = p.wanted[k]
        for i in [(0,) * x.ndim, tuple(n - 1 for n in x.shape)]:
            losses = []
            for sign in (1, -1):
                moved = x.numpy().copy()
                moved[i] += sign * h
                params = {n: leaf(moved) if n == k else v for n, v in p.params.items()}
                state = tuple(
                    leaf(moved) if s == k else v for s, v in zip(p.cell.states, p.state, strict=True)
                )
                losses.append(Problem(p.cell, state, p.xs, params, mse, p.targets).unrolled_loss().item())
            assert (losses[0] - losses[1]) / (2 * h) == pytest.approx(true[k][i], abs=1e-8)


@pytest.mark.parametrize("name", CELLS)
def test_the_product_in_ascending_order_is_wrong(name):
    p = numbers(CELLS[name], mse, T=4, seed=2)
    assert largest(p.by_closed_form(), p.by_unrolling()) < 1e-12
    assert largest(p.by_closed_form(ascending=True), p.by_unrolling()) > 1e-4


# ---- exactly, with symbols ---------------------------------------------------------------------
def at(c, n):
    """Every size of the states n, the others 1."""
    sizes = dict.fromkeys([*size_names(c), "batch"], 1)
    return sizes | {k: n for s in c.states for size in c.sizes[s] for k in size if k}


def test_ascending_order_is_refuted_for_two_units_and_invisible_for_one():
    for n, verdict in ((1, "proved"), (2, "refuted")):
        with fresh():
            p = problem(rnn, at(rnn, n), 3, mse, exact.array)
            found = compare("U", p.by_closed_form(ascending=True)["U"], p.by_unrolling()["U"])
        assert found.verdict == verdict
    assert found.counterexample.point is not None


def check(found):
    comparisons, _ = found
    assert [c.what for c in comparisons if c.verdict != "proved"] == []
    assert {c.what.partition(",")[0] for c in comparisons} == set(WAYS)


@pytest.mark.parametrize("T", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("c", [rnn, rnn_words, CELLS["torch_rnn_tanh"]], ids=lambda c: c.name)
def test_rnn_equals_sympy_diff_of_the_unrolled_loss(c, n, T):
    check(sympy_witness(c, at(c, n), T, mse))


GATED = ["lstm", "lstm_concat", "gru", "gru_concat", "torch_lstm", "torch_gru"]


@pytest.mark.parametrize("T", [1, 2])
@pytest.mark.parametrize("name", GATED)
def test_lstm_and_gru_equal_sympy_diff_of_the_unrolled_loss(name, T):
    check(sympy_witness(CELLS[name], at(CELLS[name], 1), T, mse))


@pytest.mark.parametrize("name", GATED)
def test_two_units_of_lstm_and_gru_equal_sympy_diff(name):
    check(sympy_witness(CELLS[name], at(CELLS[name], 2), 1, mse))


@pytest.mark.slow
@pytest.mark.parametrize("T", [2, 3])
@pytest.mark.parametrize("name", GATED)
def test_two_units_of_lstm_and_gru_equal_sympy_diff_over_more_steps(name, T):
    check(sympy_witness(CELLS[name], at(CELLS[name], 2), T, mse))


def test_sympy_diff_goes_into_formulas_that_have_a_name():
    x, y = symbols.array("x", 2)
    h = symbols.let(symbols.Tanh(x * y + 1))
    named, written = (symbols.Tanh(h * y + x) * h, symbols.Tanh(h.definition * y + x) * h.definition)
    with fresh():
        for s in (x, y):
            slopes = [from_sympy(e.diff(s)) for e in (named, written)]
            assert slopes[0] == slopes[1] != 0
    assert symbols.let(x) is x
    assert h.diff(h) == 1


@pytest.mark.parametrize(
    ("c", "loss", "n"),
    [(rnn.then(affine), cross_entropy, 2), (words, nll, 1), (seeds, mse, 2), (looks_back, mse, 2)],
    ids=["cross entropy", "article 002", "article 000", "output of the old state"],
)  # fmt: skip
def test_read_outs_and_losses_equal_sympy_diff(c, loss, n):
    sizes = at(c, n) | {"q": 2} if "q" in size_names(c) else at(c, n)
    check(sympy_witness(c, sizes, 2, loss))


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_exact_with_two_units_over_two_steps(name):
    check(exact_witness(CELLS[name], at(CELLS[name], 2), 2, mse))


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_exact_with_two_units_over_three_steps(name):
    check(exact_witness(CELLS[name], at(CELLS[name], 2), 3, mse))


def test_a_wrong_vjp_is_refuted_in_whole_gradients(monkeypatch):
    from minigrad.engine import primitives

    monkeypatch.setattr(type(primitives.tanh), "__setattr__", object.__setattr__)
    monkeypatch.setattr(primitives.tanh, "vjp", lambda g, y, x: (g * (1 - y),))
    found, _ = exact_witness(rnn, at(rnn, 2), 2, mse)
    assert {c.verdict for c in found} == {"refuted"}
    assert all(c.counterexample.point is not None for c in found)
