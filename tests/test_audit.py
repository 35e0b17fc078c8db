"""The graph that ran is T copies of the proved step; one that differs is found, and said where."""

from __future__ import annotations

import re

import numpy as np
import pytest
from own_cells import OWN

import minigrad as mg
from minigrad.cells import CELLS, affine, as_cell, cell, lstm, rnn, softmax_readout, unroll
from minigrad.cells.unroll import Unrolled
from minigrad.engine.core import leaf, recording
from minigrad.engine.watch import Watch
from minigrad.prove.runs.audit import audit, audit_graph, audit_scan, proved_form
from minigrad.prove.runs.forms import Forms

EVERY = {c.name: c for c in [*CELLS.values(), *OWN.values(), lstm.then(affine), rnn.then(softmax_readout)]}
SIZES = {"n": 3, "d": 2, "q": 4, "p": 2, "k": 5}


def inputs(c, T, *lead, dtype="float64", **sizes):
    """(states, sequences, parameters) of random numbers, small enough for exp over a few steps."""
    rng, sizes = np.random.default_rng(0), SIZES | sizes

    def draw(*shape):
        return mg.tensor(rng.normal(size=shape) / 9, dtype)

    tokens = c.name == "token_rnn"
    xs = tuple(
        mg.tensor(rng.integers(0, sizes["k"], (T, *lead))) if tokens else draw(T, *lead, *c.shape(x, sizes))
        for x in c.inputs
    )
    states = tuple(draw(*lead, *c.shape(s, sizes)) for s in c.states)
    params = {p: mg.tensor(draw(*c.shape(p, sizes)), requires_grad=True) for p in c.params}
    return states, xs, params


# ---- copies of one step ------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EVERY)
def test_unrolled_scanned_and_proved_step_are_one(name):
    """Three recordings of a cell: the graph that ran, scan's program, and the lemma's, on symbolic sizes."""
    c = EVERY[name]
    for lead, sizes in (((2,), {}), ((1,), {"n": 1}), ((2,), {"d": 1, "n": 1}), ((), {}), ((2, 2), {})):
        if lead == (2, 2) and name in ("token_rnn",):
            continue
        states, xs, params = inputs(c, 4, *lead, **sizes)
        ran = audit(unroll(c, states, xs, params))
        assert ran, str(ran)
        assert (ran.steps, ran.forms, ran.odd, ran.proved) == (4, 1, (), True)
        _, y = mg.scan(c, states, xs, params)
        scanned = audit_scan(y, c)
        assert scanned.proved
        assert (scanned.steps, scanned.digest) == (4, ran.digest)
        assert ran.nodes == 4 * (ran.nodes // 4)


def test_gradients_change_nothing():
    states, xs, params = inputs(lstm, 3, 2)
    plain = audit(unroll(lstm, states, xs, params)).digest
    without = {k: p.detach() for k, p in params.items()}
    assert audit(unroll(lstm, states, xs, without)).digest == plain
    _, y = mg.scan(lstm, states, xs, params)
    assert audit_scan(mg.sum(y), lstm).digest == plain
    with recording("all"):
        _, y = mg.scan(lstm, states, xs, without)
    assert audit_scan(y, lstm).digest == plain


def test_float32_is_the_same_step():
    @cell(h="n", x="d", W="d n")
    def decays(h, /, x, *, W):
        return 0.1 * h + mg.tanh(x @ W) / 3

    states, xs, params = inputs(decays, 3, 2, dtype="float32")
    assert audit(unroll(decays, states, xs, params)).proved


def test_another_cell_has_another_form():
    digests = {c.name: audit(unroll(c, *inputs(c, 2, 2))).digest for c in EVERY.values()}
    assert len(set(digests.values())) == len(digests)


def test_the_digest_is_of_the_text_and_repeats():
    forms = Forms({"n": 3, "d": 2, "b": 2})
    form = proved_form(CELLS["rnn"], forms)
    assert forms.text(form).splitlines() == [
        "_0 = input(i, 0)", "_1 = parameter(W)", "_2 = matmul(_0, _1)", "_3 = state(h, 0)",
        "_4 = parameter(U)", "_5 = matmul(_3, _4)", "_6 = add(_2, _5)", "_7 = parameter(b)",
        "_8 = add(_6, _7)", "_9 = tanh(_8)", "return _9",
    ]  # fmt: skip
    again = Forms({"n": 7, "d": 2, "b": 1})
    assert again.digest(proved_form(CELLS["rnn"], again)) == forms.digest(form)


def test_the_same_tensor_may_be_both_first_states():
    """h_0 = c_0 = z is no other step, though nothing tells the two apart there."""
    (h, _), xs, params = inputs(lstm, 3, 2)
    ran = audit(unroll(lstm, (h, h), xs, params))
    assert ran, str(ran)
    assert ran.proved


# ---- a step that differs ---------------------------------------------------------------------------
def changed(c, at, change, T=5):
    """The unrolled cell with `change(run, t)` in place of step t = `at`: (new states) of that step."""
    states, xs, params = inputs(c, T, 2)
    with recording("all"):
        columns = [tuple(x[t] for x in xs) for t in range(T)]
        entering, outputs = [states], []
        for t in range(1, T + 1):
            run = Unrolled(c, tuple(columns), tuple(entering), tuple(outputs), params)
            with Watch(t):
                args = (*entering[-1], *columns[t - 1])
                new = change(run, t) if t == at else c.outputs(c.fn(*args, **params))[0]
            entering.append(new)
            outputs.append(new[0])
    return Unrolled(c, tuple(columns), tuple(entering), tuple(outputs), params)


def rerun(c, run, states=None, xs=None, **params):
    t = len(run.states) - 1
    return c.outputs(c.fn(*(states or run.states[-1]), *(xs or run.xs[t]), **(run.params | params)))[0]


def affine_part(run, t, U):
    return run.xs[t - 1][0] @ run.params["W"] + run.states[-1][0] @ U + run.params["b"]


FAULTS = {
    "another operation": (
        lambda run, t: (mg.sigmoid(affine_part(run, t, run.params["U"])),),
        r"step 3: .*sigmoid\(add\(...\)\).*, where the other steps have .*tanh\(add\(...\)\)",
    ),
    "a stale state": (
        lambda run, t: rerun(rnn, run, states=run.states[-2]),
        r"step 3: the state h of 1 step\(s\) before its own, where the other steps have the state h$",
    ),
    "the first state": (
        lambda run, t: rerun(rnn, run, states=run.states[0]),
        r"step 3: the state h of 2 step\(s\) before its own, where",
    ),
    "the next input": (
        lambda run, t: rerun(rnn, run, xs=run.xs[t]),
        r"step 3: the input i of 1 step\(s\) after its own, where the other steps have the input i$",
    ),
    "another parameter": (
        lambda run, t: rerun(rnn, run, b=run.params["b"] * 2),
        r"step 3: .*mul\(the parameter b, the constant 2\).*, where the other steps have the parameter b$",
    ),
    "a parameter in another's place": (
        lambda run, t: (mg.tanh(affine_part(run, t, run.params["U"].T)),),
        r"step 3: .*transpose\(the parameter U\).*, where the other steps have the parameter U$",
    ),
    "a detached state": (
        lambda run, t: rerun(rnn, run, states=(run.states[-1][0].detach(),)),
        r"step 3: .*stop_gradient\(.*\).*, where the other steps have the state h$",
    ),
    "a constant": (
        lambda run, t: rerun(rnn, run, states=(leaf(np.zeros((2, 3))),)),
        r"step 3: the constant .*, where the other steps have the state h$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_step_that_differs_is_found_and_said(name):
    change, message = FAULTS[name]
    found = audit(changed(rnn, 3, change))
    assert not found
    assert found.forms == 2
    (odd,) = found.odd
    assert odd == str(found).splitlines()[-1]
    assert re.search(message, odd), odd
    assert audit(changed(rnn, 3, lambda run, t: rerun(rnn, run)))


def test_a_value_that_is_kept_from_the_step_before_is_found():
    """A gate that step 3 computes and step 4 uses again instead of its own."""
    kept = []

    @cell(h="n", x="d", W="d n", U="n n")
    def lazy(h, /, x, *, W, U):
        gate = mg.sigmoid(x @ W)
        kept.append(gate)
        gate = kept[2] if len(kept) == 4 else gate
        return gate * mg.tanh(h @ U)

    states, xs, params = inputs(lazy, 5, 2)
    found = audit(unroll(lazy, states, xs, params), lemma=False)
    (odd,) = found.odd
    assert re.search(r"^step 4: the sigmoid of 1 step\(s\) before, where .* gate = sigmoid\(matmul", odd), odd


def test_steps_that_agree_but_are_not_the_cells_are_not_the_proved_step():
    """T copies of one step, of another cell: no lemma carries over."""
    states, xs, params = inputs(rnn, 3, 2)

    @cell(h="n", i="d", W="d n", U="n n", b="n")
    def other(h, /, i, *, W, U, b):
        return mg.tanh(i @ W + h @ U) + b

    run = unroll(other, states, xs, params)
    found = audit(Unrolled(rnn, run.xs, run.states, run.outputs, run.params))
    assert found.odd == ()
    assert found.proved is False
    assert not found
    assert "NOT the step of the any-size lemma" in str(found)
    assert audit(run)


def test_at_most_ten_odd_steps_are_listed():
    calls = []

    @cell(h="n", x="d", W="d n")
    def restless(h, /, x, *, W):
        calls.append(1)
        return mg.tanh(x @ W + h) * (len(calls) if len(calls) < 14 else 14)

    found = audit(unroll(restless, *inputs(restless, 40, 2)), lemma=False)
    assert len(found.odd) == 10
    assert found.forms == 14
    assert found.odd[0].startswith("step 1: ")
    assert "the constant 1," in found.odd[0]


# ---- any recorded loop -----------------------------------------------------------------------------
def loop(T, body):
    """A loop over a sequence as people write it, recorded with its time steps."""
    rng = np.random.default_rng(0)
    xs, W, h = leaf(rng.normal(size=(T, 2, 3))), leaf(rng.normal(size=(3, 3))), leaf(np.zeros((2, 3)))
    outputs = []
    with recording("all"), Watch():
        for t, x in enumerate(xs):
            h = body(t, x, h, W)
            outputs.append(h)
        return [mg.concatenate(outputs, axis=0)]


def test_a_loop_that_repeats_its_step():
    found = audit_graph(loop(6, lambda t, x, h, W: mg.tanh(x @ W + h)))
    assert found, str(found)
    assert (found.steps, found.proved) == (6, None)
    assert str(found).startswith("6 copies of one step")
    assert found.digest == audit_graph(loop(9, lambda t, x, h, W: mg.tanh(x @ W + h))).digest


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda t, x, h, W: (mg.sigmoid if t == 3 else mg.tanh)(x @ W + h), "step 4: h = sig.* h = tanh"),
        (lambda t, x, h, W: mg.tanh(x @ W + h * (2 if t == 3 else 1)), "step 4: .*constant 2.*constant 1"),
        (lambda t, x, h, W: mg.tanh(x @ (W.T if t == 3 else W) + h), "step 4: transpose.*matmul"),
        (lambda t, x, h, W: mg.tanh(x @ W if t == 3 else x @ W + h), "step 4: h = tanh.*add"),
    ],
)
def test_a_loop_with_an_odd_step(body, message):
    found = audit_graph(loop(6, body))
    assert len(found.odd) == 1
    assert re.search(message, found.odd[0]), found.odd


def test_unrolled_graphs_are_loops_too():
    run = unroll(lstm, *inputs(lstm, 5, 2))
    assert audit_graph(run.outputs)
    assert not audit_graph(changed(rnn, 3, FAULTS["another operation"][0]).outputs)


# ---- what is refused, and the cost -----------------------------------------------------------------
def test_graphs_without_steps_and_without_a_scan_are_refused():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="fewer than two time steps were noted"):
        audit_graph([mg.tanh(x)])
    with pytest.raises(ValueError, match="no scan was recorded for this tensor"):
        audit_scan(mg.tanh(x), rnn)


def test_a_plain_function_becomes_a_cell_first():
    def step(h, x, W):
        return mg.tanh(x @ W + h)

    assert as_cell is not None
    c = cell(h="n", x="d", W="d n")(lambda h, /, x, *, W: step(h, x, W))
    assert audit(unroll(c, *inputs(c, 3, 2)))


def test_a_thousand_steps_are_copies_of_one():
    for T in (10, 100, 1000):
        found = audit(unroll(lstm, *inputs(lstm, T, 1)))
        assert found
        assert found.nodes == 25 * T
