"""The gradient of a whole run, modulo p: right ones agree, wrong ones are refused by argument, at any T."""

from __future__ import annotations

import numpy as np
import pytest
from own_cells import OWN
from planted import CLASSICS, plain_sweep, planted, wrong_rules

import minigrad as mg
from minigrad.cells import CELLS, affine, cell, lstm, rnn, softmax_readout
from minigrad.engine.core import TABLE, leaf, recording
from minigrad.engine.errors import ShapeError
from minigrad.engine.grad import reachable
from minigrad.engine.scan import scan
from minigrad.prove.runs import modular
from minigrad.prove.runs.modular import Drawn, check_gradient, modular_check

EVERY = {c.name: c for c in [*CELLS.values(), *OWN.values(), lstm.then(affine), rnn.then(softmax_readout)]}
NESTED = {"smooth_mixture", "sliced_gate"}  # quotients of quotients over time: degrees grow fast


# ---- what is right agrees --------------------------------------------------------------------------
@pytest.mark.parametrize("by", ["unroll", "scan"])
@pytest.mark.parametrize("name", EVERY)
def test_every_cell_agrees(name, by):
    found = modular_check(EVERY[name], T=2 if name in NESTED else 5, batch=2, by=by)
    assert not found.wrong, str(found)
    assert found.verdict == ("unknown" if name == "smooth_mixture" else "agrees")
    assert bool(found) == (found.verdict == "agrees")
    assert found.error < 1e-18 or name == "smooth_mixture"


@pytest.mark.parametrize(
    ("readout", "loss", "classes"),
    [
        (affine, mg.cross_entropy, True), (affine, mg.cross_entropy, False), (affine, mg.mse, False),
        (softmax_readout, mg.mse, False),
    ],
)  # fmt: skip
def test_losses_agree(readout, loss, classes):
    found = modular_check(lstm.then(readout), T=4, batch=3, loss=loss, classes=classes)
    assert found.verdict == "agrees"


def test_the_seed_chooses_the_points_and_nothing_else():
    a, b, c = (modular_check(rnn, T=3, seed=s) for s in (0, 0, 1))
    assert (a.degree, a.values, a.nodes, a.error) == (b.degree, b.values, b.nodes, b.error)
    assert (c.verdict, c.degree) == (a.verdict, a.degree)


def test_any_function_of_tensors():
    def loss(x):
        return mg.sum(mg.exp(x["a"] @ x["b"]) / (1 + x["a"].sum() ** 2)) * x["c"].sum()

    arguments = {"a": Drawn((2, 3)), "b": Drawn((3, 2)), "c": Drawn((4,), fixed=True)}
    found = check_gradient(loss, arguments)
    assert found.verdict == "agrees"
    assert found.wrong == ()


# ---- what is wrong is refused ------------------------------------------------------------------------
def rows_of(c):
    """The rows that the cell's graph uses and that have a vjp, and its float arguments."""
    sizes = {"n": 3, "d": 2, "p": 2, "k": 3}
    rng = np.random.default_rng(0)
    values = {
        k: rng.uniform(0.2, 1, (() if k in c.params else (2,)) + c.shape(k, sizes))
        for k in c.states + c.inputs + c.params
    }
    if c.name == "token_rnn":
        values["x"] = np.array([0, 2])
    with recording("all"):
        args = {k: leaf(v) for k, v in values.items()}
        new, y = c.advance(
            [args[k] for k in c.states], [args[k] for k in c.inputs], {k: args[k] for k in c.params}
        )
    return sorted({t.op.name for t in reachable([*new, y]) if t.op is not None and t.op.vjp is not None})


HARMLESS = {  # wrong only for an argument that is a constant there, or that has no gradient
    ("gru", "sub", "none"), ("gru_concat", "sub", "none"), ("torch_gru", "sub", "none"),
    ("kinks", "where", "none"), ("two_speeds", "div", "no square"),
}  # fmt: skip
PLANTS = [
    pytest.param(c, row, rule, id=f"{c.name}-{row}-{rule}")
    for c in [*CELLS.values(), *OWN.values()]
    for row in rows_of(c)
    for rule in ("factor", "none", *CLASSICS.get(row, {}))
    if c.name not in NESTED
]


@pytest.mark.parametrize(("c", "row", "rule"), PLANTS)
def test_a_wrong_rule_is_refused(c, row, rule):
    with planted(TABLE[row], wrong_rules(TABLE[row])[rule]):
        found = modular_check(c, T=3, sizes={"n": 3, "d": 2}, trials=1)
    if (c.name, row, rule) in HARMLESS:
        assert found.verdict == "agrees"
    else:
        assert found.verdict == "refuted", str(found)
        assert found.wrong or found.misfit


def test_the_arguments_named_are_those_whose_gradient_is_wrong():
    right = TABLE["matmul"].vjp

    def only_left(g, y, a, b):
        return right(g, y, a, b)[0], None

    with planted(TABLE["matmul"], only_left):
        assert modular_check(lstm, T=2).wrong == tuple(p for p in lstm.params if p.startswith("W_"))
    with planted(TABLE["tanh"], lambda g, y, x: (g * (1 + y * y),)):
        found = modular_check(rnn, T=2)
    assert found.wrong == ("h", "W", "U", "b", "i")
    assert str(found).startswith("refuted: h, W, U, b, i (")


@pytest.mark.parametrize("name", ["rnn", "lstm", "lstm_concat", "gru", "gru_concat", "two_speeds"])
def test_overwriting_where_gradients_add_up_is_refused(name, monkeypatch):
    """Over time every parameter is used again, so here even the plain cell shows it (T >= 2)."""

    def check(T):
        arguments = {f"x{t}": Drawn((1, *c.shape(c.inputs[0], {"n": 3, "d": 2}))) for t in range(T)}
        arguments |= {k: Drawn((1, *c.shape(k, {"n": 3, "d": 2}))) for k in c.states}
        arguments |= {k: Drawn(c.shape(k, {"n": 3, "d": 2})) for k in c.params}

        def loss(args):
            states, total = tuple(args[k] for k in c.states), None
            for t in range(T):
                states, y = c.advance(states, (args[f"x{t}"],), {k: args[k] for k in c.params})
                total = y.sum() if total is None else total + y.sum()
            return total

        return check_gradient(loss, arguments, trials=1)

    c = EVERY[name]
    monkeypatch.setattr(modular, "sweep", plain_sweep(overwrite=False))
    assert check(3).verdict == "agrees"
    monkeypatch.setattr(modular, "sweep", plain_sweep(overwrite=True))
    found = check(3)
    assert found.verdict == "refuted"
    assert set(c.params) <= set(found.wrong) | {"b"} or name == "two_speeds"
    assert check(1).verdict == ("agrees" if name == "rnn" else "refuted")


def test_a_scan_that_forgets_steps_is_refused():
    """Truncated BPTT is not the gradient; a fault of one step in six is seen."""
    arguments = {"h": Drawn((1, 3)), "i": Drawn((6, 1, 2))} | {
        k: Drawn(rnn.shape(k, {"n": 3, "d": 2})) for k in rnn.params
    }

    def loss(args, truncate):
        _, hs = scan(rnn, args["h"], args["i"], {k: args[k] for k in rnn.params}, truncate=truncate)
        return mg.sum(hs * hs)

    assert check_gradient(lambda args: loss(args, None), arguments).verdict == "agrees"
    found = check_gradient(lambda args: loss(args, 5), arguments)
    assert found.verdict == "refuted"
    assert found.wrong == ("h", "i", "W", "U", "b")


def test_a_wrong_gradient_that_only_a_long_run_shows_is_refused():
    """The vjp of tanh is wrong at one of twenty steps, and only in the first of all runs."""
    right, seen = TABLE["tanh"].vjp, []

    def rule(g, y, x):
        seen.append(None)
        return right(g, y, x) if len(seen) > 1 else (g,)  # the sweep begins with the last step

    with planted(TABLE["tanh"], rule):
        found = modular_check(rnn, T=20, trials=1)
    assert found.wrong


def test_shapes_that_do_not_fit_are_refused_with_the_error():
    with planted(TABLE["matmul"], lambda g, y, a, b: (g @ b, mg.transpose(a) @ g)):
        found = modular_check(rnn, T=2)
    assert found.verdict == "refuted"
    assert "inner sizes" in found.misfit
    assert "refuted: matmul" in str(found)


# ---- what cannot be said ------------------------------------------------------------------------------
def test_a_right_gradient_that_needs_another_relation_is_unknown_not_refuted():
    """exp(x + x) = exp(x)^2 holds over the reals and not for the oracle."""

    def rule(g, y, x):
        return (g * y + mg.exp(x + x) - y * y,)

    arguments = {"x": Drawn((3,))}
    with planted(TABLE["exp"], rule):
        found = check_gradient(lambda a: mg.sum(mg.exp(a["x"])), arguments)
    assert found.verdict == "unknown"
    assert found.wrong == ("x",)


def test_where_the_bound_says_nothing_the_verdict_is_unknown():
    found = modular_check(EVERY["smooth_mixture"], T=6, trials=1)
    assert not found.wrong
    assert found.error == 1.0
    assert found.verdict == "unknown"


def test_what_a_stopped_gradient_holds_is_a_constant():
    @cell(h="n", x="d", W="d n")
    def stops(h, /, x, *, W):
        return mg.tanh(x @ W + h.detach() * h)

    assert modular_check(stops).verdict == "agrees"
    with planted(TABLE["tanh"], lambda g, y, x: (g * (1 + y * y),)):
        found = modular_check(stops)
    assert (found.verdict, found.wrong) == ("unknown", ("h", "W", "x"))
    with planted(TABLE["stop_gradient"], lambda g, y, x: (g,)):
        found = modular_check(stops)
    assert (found.verdict, found.wrong) == ("unknown", ("h", "W", "x"))
    with pytest.raises(ValueError, match="stop_gradient in a scan: unroll it"):
        modular_check(stops, by="scan")


@pytest.mark.parametrize("wrong", [{"T": 0}, {"trials": 0}])
def test_at_least_one_step_and_one_trial(wrong):
    with pytest.raises(ValueError, match=r"T = .*, trials = .*; at least one of each"):
        modular_check(rnn, **wrong)


def test_shape_errors_of_the_cell_are_raised():
    @cell(h="n", x="d", W="n d")
    def transposed(h, /, x, *, W):
        return mg.tanh(x @ W + h)

    with pytest.raises(ShapeError, match="transposed: matmul"):
        modular_check(transposed)


# ---- how sure, and at what cost -------------------------------------------------------------------------
def test_the_bound_and_the_graph_grow_as_they_should():
    """Nodes linear in T, and none for n; the degree by the length of the longest path; trials multiply."""
    by_T = {T: modular_check(lstm, T=T, trials=1) for T in (4, 8, 16, 32)}
    nodes = {T: f.nodes for T, f in by_T.items()}
    assert nodes[32] - nodes[16] == 2 * (nodes[16] - nodes[8]) == 4 * (nodes[8] - nodes[4])
    assert [f.values for f in by_T.values()] == [5 * 3 * T for T in by_T]
    by_n = {n: modular_check(lstm, T=3, sizes={"n": n}, trials=1) for n in (1, 2, 4, 8)}
    assert len({f.nodes for f in by_n.values()}) == len({f.degree for f in by_n.values()}) == 1
    assert by_T[32].error < 1e-11
    assert modular_check(lstm, T=4, trials=3).error == pytest.approx(by_T[4].error ** 3)


@pytest.mark.slow
def test_a_thousand_steps_agree():
    found = modular_check(lstm, T=1000, sizes={"n": 8, "d": 4}, trials=1)
    assert found.verdict == "agrees"
    assert found.error < 1e-6
