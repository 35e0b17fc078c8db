"""The step lemma for every size: right rules are proved, wrong ones refused by argument, none is guessed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from at_sizes import AtSizes
from in_floats import GENERAL, InFloats, rows_of
from own_cells import OWN, token_rnn
from planted import CLASSICS, plain_sweep, planted, wrong_rules

import minigrad as mg
from minigrad.cells import CELLS, affine, cell, lstm, lstm_misprint, rnn, softmax_readout
from minigrad.domains.sizes import SIZES, Undecided, array, fresh
from minigrad.engine.core import TABLE
from minigrad.engine.primitives import swap
from minigrad.prove import anysize
from minigrad.prove.anysize import (
    LOSSES,
    all_sizes,
    every_case,
    lemma,
    loss_lemma,
    opaque_arguments,
    step_lemma,
    token_inputs,
)  # fmt: skip
from minigrad.prove.derivative import FACTS, inner

BUILT_IN = [*CELLS.values(), lstm_misprint]
WITH_READOUTS = [CELLS[c].then(r) for c in ("rnn", "lstm", "torch_gru") for r in (affine, softmax_readout)]
EVERY = {c.name: c for c in [*BUILT_IN, *WITH_READOUTS, *OWN.values()]}
KINK = "no argument of relu, abs, maximum, or a comparison is exactly at its kink"


def names_of(c):
    return sorted({n for axes in c.sizes.values() for size in axes for n in size if n} | {"b"})


# ---- what is right is proved ---------------------------------------------------------------------
@pytest.mark.parametrize("name", EVERY)
def test_every_cell_is_proved_for_all_sizes(name):
    found = all_sizes(EVERY[name])
    assert [str(c) for c in found if c.verdict != "proved"] == []
    assert found[0].case == {}
    assert all(c.compared >= len(EVERY[name].params) for c in found)
    assert not [k for c in found for k in c.conditions if "!=" in k]  # each such question is a case


@pytest.mark.parametrize("name", EVERY)
def test_every_choice_of_sizes_that_are_one_is_proved(name):
    """Also where no comparison asked for it: all of them, not only the cases of `all_sizes`."""
    names = names_of(EVERY[name])
    for r in range(1, len(names) + 1):
        for ones in itertools.combinations(names, r):
            found = step_lemma(EVERY[name], ones)
            assert found.verdict == "proved", str(found)
            assert found.ones == ones


def test_conditions_are_said():
    assert {k for c in all_sizes(CELLS["torch_rnn_relu"]) for k in c.conditions} == {KINK}
    assert {k for c in all_sizes(CELLS["lstm"]) for k in c.conditions} == set()
    found = {k for c in all_sizes(OWN["smooth_mixture"]) for k in c.conditions}
    assert found == {KINK, "the base of a power whose exponent is an array is positive"}


@pytest.mark.parametrize("batch", [(), ("b",), ("b", "c")], ids=str)
def test_leading_axes(batch):
    assert step_lemma(OWN["normed_rnn"], batch=batch).verdict == "proved"
    for c in (lstm, OWN["diagonal_rnn"]):
        assert {f.verdict for f in all_sizes(c, batch)} == {"proved"}


@pytest.mark.parametrize("readout", [affine, softmax_readout], ids=lambda c: c.name)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_proved_for_all_sizes_and_lengths(name, readout):
    loss, indices = LOSSES[name]
    found = loss_lemma(loss, indices, readout)
    assert [str(c) for c in found if c.verdict != "proved"] == []
    assert found[0].compared == len(readout.params) + 2 - indices


def test_inputs_that_are_looked_up_with_are_found():
    @cell(h="n", x="", y="", k="", W="m n")
    def two_tokens(h, /, x, y, k, *, W):
        return mg.tanh(h * k[..., None] + mg.one_hot(x, W.shape[0]) @ W)

    assert token_inputs(lstm) == ()
    assert step_lemma(token_rnn).verdict == "proved"
    assert step_lemma(two_tokens).verdict == "proved"


# ---- what is wrong is refused, by argument -------------------------------------------------------
ALL = ("sign", "factor", "none", "last none", *(name for rules in CLASSICS.values() for name in rules))
WRONG = {"lstm": ALL, "torch_gru": ALL, "diagonal_rnn": ALL}
PLANTS = [
    pytest.param(c, row, name, id=f"{c.name}-{row}-{name}")
    for c in (*CELLS.values(), *OWN.values())
    for row in rows_of(c)
    for name in wrong_rules(TABLE[row])
    if name in WRONG.get(c.name, ("sign",)) and (c.name != "normed_rnn" or row in ("sqrt", "div"))
]


@pytest.mark.parametrize(("c", "row", "name"), PLANTS)
def test_a_wrong_rule_is_refused_with_the_arguments_that_it_spoils(c, row, name):
    """The arguments named are exactly those whose gradient changes in floating point."""
    run = InFloats(c, GENERAL)
    right = run.gradients()
    with planted(TABLE[row], wrong_rules(TABLE[row])[name]):
        try:
            spoilt = run.changed(right)
        except (mg.ShapeError, ValueError):
            spoilt = None  # the wrong rule's shapes do not even fit
        found = step_lemma(c)
    if spoilt is None:
        assert found.verdict == "refuted"
        assert found.misfit
    else:
        assert set(found.wrong) == spoilt
        assert found.verdict == ("refuted" if spoilt else "proved")


@pytest.mark.parametrize("name", ["rnn", "lstm", "lstm_concat", "gru", "gru_concat", "two_speeds"])
def test_overwriting_where_gradients_add_up_is_refused(name, monkeypatch):
    c = EVERY[name]
    monkeypatch.setattr(anysize, "sweep", plain_sweep(overwrite=False))
    assert step_lemma(c).verdict == "proved"
    monkeypatch.setattr(anysize, "sweep", plain_sweep(overwrite=True))
    found = step_lemma(c)
    assert found.verdict == ("proved" if name == "rnn" else "refuted")  # in rnn nothing is used twice
    state, x = c.states[0], c.inputs[0]
    assert {state, x} <= set(found.wrong) or name in ("rnn", "two_speeds")


@pytest.mark.parametrize(
    ("name", "row", "rule"),
    [
        ("lstm", "tanh", "1 + y^2"), ("gru_concat", "mul", "exchanged"),
        ("torch_lstm", "sigmoid", "y(1 + y)"), ("projected_lstm", "concat", "sign"),
        ("normed_rnn", "div", "no square"),
        ("token_rnn", "gather", "factor"), ("attention_like", "logsumexp", "sign"),
        ("two_speeds", "transpose", "factor"),
    ],
)  # fmt: skip
def test_the_difference_is_the_one_that_numbers_have(name, row, rule):
    """Engine minus truth, as a formula, at random sizes: the change of the gradient in floating point."""
    c = EVERY[name]
    with planted(TABLE[row], wrong_rules(TABLE[row])[rule]):
        found = step_lemma(c)
    assert found.wrong
    for seed, sizes in enumerate([GENERAL, {"b": 3, "n": 2, "d": 2, "q": 2, "p": 3, "k": 2}]):
        run = InFloats(c, sizes, seed)
        right = run.gradients()
        with planted(TABLE[row], wrong_rules(TABLE[row])[rule]):
            wrong = run.gradients()
        opaque = opaque_arguments(c, tokens=token_inputs(c))
        for argument, residual in found.wrong.items():
            axes = opaque[argument].axes
            if any(len(axis) > 1 for axis in axes):
                continue  # one block of it is in the lemma; the others have their own formula
            dims = {i - len(axes): run.at.n(axis[0]) for i, axis in enumerate(axes)}
            with np.errstate(all="ignore"):
                value = run.at.sum(residual, dims)
            np.testing.assert_allclose(value, wrong[argument] - right[argument], rtol=1e-7, atol=1e-9)


def test_a_fault_at_one_size_only_is_a_case_of_its_own():
    """Code that looks at a size takes another path there; `all_sizes` follows it."""
    right = TABLE["tanh"].vjp

    def rule(g, y, x):
        return (g,) if y.shape[-1] == 1 else right(g, y, x)

    with planted(TABLE["tanh"], rule):
        assert step_lemma(rnn).verdict == "proved"
        assert "n != 1" in step_lemma(rnn).conditions
        found = {str(c): c for c in all_sizes(rnn)}
    assert [c.verdict for c in found.values()] == ["proved", "refuted"]
    assert "n = 1: refuted (h, i, W, U, b)" in found


def test_sizes_that_are_equal_are_a_case_of_their_own():
    """A transpose forgotten where a matrix is square is seen at n = d, and only there."""

    @cell(h="n", x="d", W="d n")
    def step(h, /, x, *, W):
        return mg.tanh(h + x @ W)

    def rule(g, y, a, b):
        return g @ (b if b.shape[-1] == b.shape[-2] else swap(b)), swap(a) @ g

    with planted(TABLE["matmul"], rule):
        found = [str(c) for c in all_sizes(step)]
    assert found == ["sizes in general: proved", "n = d: refuted (x)"]


def test_more_cases_than_can_be_looked_at_are_undecided():
    def asks(case):
        new = [f"m{len(case)}", f"k{len(case)}"]
        return replace(step_lemma(rnn, case), asked=frozenset(((n,), (1,)) for n in new))

    with pytest.raises(Undecided, match="more than 256 cases of equal sizes"):
        every_case(asks)


# ---- what cannot be said ------------------------------------------------------------------------
def test_a_true_identity_that_is_not_known_is_unknown_not_refuted():
    """tanh(2x) = 2y / (1 + y^2): a right rule that the normal form cannot see to be right."""

    def rule(g, y, x):
        return (g * (1 - y * y) + mg.tanh(2 * x) * (1 + y * y) - 2 * y,)

    with planted(TABLE["tanh"], rule):
        found = step_lemma(rnn)
    assert found.verdict == "unknown"
    assert found.wrong
    assert not found.points


def test_undecided_names_the_line():
    @cell(h="n", x="d", W="d n")
    def looks_at_one_unit(h, /, x, *, W):
        first = h[..., ::2]
        return h * first.sum(axis=-1, keepdims=True) + x @ W

    with pytest.raises(
        Undecided, match=r"a slice with step 2 of an axis .* \(in .*test_anysize.py:\d+: first = h"
    ):
        step_lemma(looks_at_one_unit)


def test_single_entries_of_an_axis_are_cases():
    """n = 1 + n' and n = 1; at n = 1 there is no second entry, and that is said."""

    @cell(h="n", x="n")
    def step(h, /, x):
        return mg.tanh(h * x[..., 1][:, None] + h[..., :1])

    found = all_sizes(step)
    general, *rest = [str(f) for f in found if "b" not in f.case]
    assert general == "n = 2+n': proved"
    assert rest == ["n = 2: proved"]
    assert {f.conditions for f in found} == {("not n = 1: the cell does not run there",)}


def test_shape_errors_of_the_cell_itself_are_raised():
    @cell(h="n", x="d", W="n d")
    def transposed(h, /, x, *, W):
        return mg.tanh(x @ W + h)

    with pytest.raises(mg.ShapeError, match="inner sizes d and n differ"):
        step_lemma(transposed)


# ---- the other side of the identity -------------------------------------------------------------
@pytest.mark.parametrize("fn", FACTS)
def test_every_fact_is_the_derivative_by_complex_step(fn):
    """The derivatives that the truth rests on, against f(u + ih) in floating point."""
    known = {
        "tanh": np.tanh, "sigmoid": lambda u: 1 / (1 + np.exp(-u)), "exp": np.exp, "log": np.log,
        "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "sign": lambda u: np.sign(u.real), "let": lambda u: u,
    }  # fmt: skip
    with fresh():
        at = AtSizes({"n": 4})
        u, numbers = at.draw("u", ("n",), positive=True)
        (e,) = u.entries.values()
        t = anysize.Sum.factor(*anysize.ATOMS.named(fn, e))
        slope = at.sum(FACTS[fn](t, e), {-1: 4})
    np.testing.assert_allclose(slope, known[fn](numbers + 1e-30j).imag / 1e-30, rtol=1e-12)


def test_a_function_of_several_arguments_and_outputs():
    """`lemma` is for any code on Tensors, not for cells alone."""
    with fresh():
        values = {"A": array("A", ("n",), ("m",)), "v": array("v", ("m",))}
        found = lemma(lambda x: [x["A"] @ x["v"], (x["A"] * x["v"]).sum()], values, {})
        assert found.verdict == "proved"
        assert found.compared == 2


def test_an_inner_product_sums_over_every_axis():
    with fresh():
        at = AtSizes({"n": 2, "m": 3})
        (a, x), (c, y) = at.draw("a", ("n",), ("m", 1)), at.draw("c", ("n",), ("m", 1))
        np.testing.assert_allclose(at.sum(inner(a, c), {}), (x * y).sum())
        assert inner(a, c) == SIZES.sum(c * a, (-2, -1)).entries[()]
