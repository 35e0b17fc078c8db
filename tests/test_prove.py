"""prove(cell): the verdict, what it rests on, what it says; equal(a, b); and what bad input gets."""

import json
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import minigrad as mg
from minigrad import cell, concatenate, sigmoid, softmax, tanh, where
from minigrad.cells import CELLS, affine, gru, gru_concat, lstm, lstm_concat, lstm_misprint, rnn, torch_gru
from minigrad.engine import primitives
from minigrad.engine.core import TABLE, Primitive
from minigrad.engine.errors import ShapeError, TraceError
from minigrad.prove import Proof, equal, prove
from minigrad.prove.report import Check, worst
from minigrad.prove.step import default_sizes, step_lemma, whole_inputs


@contextmanager
def planted(name, vjp):
    """Within the block, the row of that name in the table has this vjp, everywhere."""
    row, before = TABLE[name], TABLE[name].vjp
    object.__setattr__(row, "vjp", vjp)
    try:
        yield
    finally:
        object.__setattr__(row, "vjp", before)


# ---- verdicts ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_proved(name):
    proof = mg.prove(CELLS[name])
    assert [str(c) for c in proof.checks if c.verdict != ("agrees" if c.sampled else "proved")] == []
    assert bool(proof)
    assert proof.verdict == "proved"
    assert proof.counterexample is None


@pytest.mark.parametrize("c", [rnn.then(affine), lstm_misprint], ids=lambda c: c.name)
def test_so_are_read_outs_and_a_cell_with_the_wrong_equations(c):
    assert prove(c).verdict == "proved"


WRONG = {
    "tanh": lambda g, y, x: (g * (1 + y * y),),
    "sigmoid": lambda g, y, x: (g * y,),
    "matmul": lambda g, y, a, b: (g @ primitives.swap(b), primitives.swap(a) @ g * 2),
    "mul": lambda g, y, a, b: (g * b, g * b),
    "add": lambda g, y, a, b: (g, -g),
    "sub": lambda g, y, a, b: (g, g),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_vjp_in_the_live_table_is_refuted_and_named(name):
    with planted(name, WRONG[name]):
        proof = prove(gru)
    assert proof.verdict == "refuted"
    assert not proof
    rows = next(c for c in proof.checks if c.name == "rows")
    assert rows.verdict == "refuted"
    assert f"the vjp of {name} is wrong" in rows.detail
    assert proof.counterexample.what.startswith(f"{name}: d x")
    assert proof.counterexample.point is not None
    assert prove(gru).verdict == "proved"


def test_a_wrong_vjp_of_scan_is_refuted_and_named():
    right = TABLE["scan"].vjp

    def doubled(*args, **params):
        return tuple(None if g is None else g + g for g in right(*args, **params))

    def failing(*args, **params):
        raise KeyError("planted")

    for wrong in (doubled, failing):
        with planted("scan", wrong):
            proof = prove(rnn)
        assert [c.name for c in proof.checks if c.verdict == "refuted"] == ["scan"]
        assert proof.counterexample.what.startswith("scan: d x")


def test_a_wrong_vjp_is_refuted_in_the_step_too():
    with planted("tanh", WRONG["tanh"]):
        found, _ = step_lemma(rnn, default_sizes(rnn)[0])
    assert {c.what for c in found if c.verdict == "refuted"} == {"d h", "d i", "d W", "d U", "d b"}


@pytest.mark.parametrize(("factor", "verdict"), [(2, "proved"), (3, "refuted")])
def test_a_row_of_ones_own_is_judged_on_the_nodes_that_use_it(factor, verdict):
    square = Primitive("square", "pointwise", "{0}^2", lambda m, x: x * x, lambda g, y, x: (g * factor * x,))

    @cell(h="n", x="d", W="d n")
    def squared(h, /, x, *, W):
        return tanh(square(h) + x @ W)

    proof = prove(squared)
    assert proof.verdict == verdict
    assert ("the vjp of square is wrong" in str(proof)) == (verdict == "refuted")


def test_what_has_no_meaning_on_symbols_is_unknown_and_says_why():
    arctan = Primitive(
        "arctan", "pointwise", "arctan", lambda m, x: np.arctan(x), lambda g, y, x: (g / (1 + x * x),)
    )

    @cell(h="n", x="d", W="d n")
    def unusual(h, /, x, *, W):
        return arctan(h + x @ W)

    proof = prove(unusual)
    assert proof.verdict == "unknown"
    assert "cannot be run on symbols" in str(proof)


def test_a_cell_on_indices_is_proved():
    @cell(h="n", x="", E="k n", U="n n")
    def tokens(h, /, x, *, E, U):
        return tanh(E[x] + h @ U)

    assert prove(tokens, witness=True).verdict == "proved"
    assert whole_inputs(tokens) == {"x"}
    assert whole_inputs(lstm) == frozenset()


def test_large_formulas_are_proved():
    @cell(h="n", x="d", W="d n")
    def powers(h, /, x, *, W):
        return tanh(mg.exp(x @ W + h) ** 3 + (x @ W + h) ** 5)

    assert prove(powers).verdict == "proved"


# ---- the step, at concrete sizes ---------------------------------------------------------------
@pytest.mark.parametrize("name", CELLS)
def test_the_step_lemma_holds_at_every_default_size(name):
    for sizes in default_sizes(CELLS[name]):
        found, _ = step_lemma(CELLS[name], sizes)
        assert [c.what for c in found if c.verdict != "proved"] == []


def test_the_default_sizes_tell_the_axes_apart():
    first, *_ = default_sizes(lstm.then(cell(H="n", V="n q")(lambda H, *, V: H @ V)))
    assert len(set(first.values())) == len(first)
    assert min(v for k, v in first.items() if k != "batch") >= 2


def test_side_conditions_of_kinks_are_stated():
    conditions = prove(CELLS["torch_rnn_relu"]).conditions
    assert any("kink" in c for c in conditions)
    assert prove(lstm).conditions == () or all("kink" not in c for c in prove(lstm).conditions)


# ---- what it says ------------------------------------------------------------------------------
def test_the_statement_says_what_is_claimed_and_what_is_not():
    statement = prove(rnn).statement
    for words in ("rnn", "every number of steps T", "descending", "rounding is not covered"):
        assert words in statement


def test_the_proof_prints_as_a_table():
    proof = prove(rnn)
    lines = str(proof).splitlines()
    assert lines[0].startswith("BPTT of rnn: proved in ")
    for c in proof.checks:
        assert any(line.startswith(f"{c.verdict} ") and c.name in line and c.claim in line for line in lines)
    assert repr(proof) == str(proof)


def test_the_proof_is_json():
    found = json.loads(json.dumps(prove(rnn).to_dict()))
    assert found["verdict"] == "proved"
    assert {(c["verdict"], c["sampled"]) for c in found["checks"]} == {("proved", False), ("agrees", True)}
    with planted("tanh", WRONG["tanh"]):
        found = json.loads(json.dumps(prove(rnn).to_dict()))
    assert found["verdict"] == "refuted"
    assert found["counterexample"]["what"] == "tanh: d x0"
    assert set(found["counterexample"]["point"]) == {"got", "true", "at"}


def test_the_proof_is_markdown():
    text = prove(rnn)._repr_markdown_()
    assert text.startswith("**BPTT of rnn: proved**")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["proved"], "proved"),
        (["proved", "unknown"], "unknown"),
        (["unknown", "refuted", "proved"], "refuted"),
    ],
)
def test_one_refuted_refutes_one_unknown_leaves_unknown(verdicts, verdict):
    assert worst(verdicts) == verdict
    checks = tuple(Check(str(k), "", v, 0.0) for k, v in enumerate(verdicts))
    assert Proof("x", "x", checks).verdict == verdict


def test_prove_is_the_module_and_its_function():
    assert mg.prove(rnn).verdict == mg.prove.prove(rnn).verdict == "proved"
    done = subprocess.run(
        [sys.executable, "-c", "import sys, minigrad; print('sympy' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


# ---- numbers -----------------------------------------------------------------------------------
def numbers(seed=0, T=4):
    rng = np.random.default_rng(seed)
    return {
        "state": rng.uniform(-1, 1, (2, 3)), "xs": rng.uniform(-1, 1, (T, 2, 4)),
        "targets": rng.uniform(-1, 1, (T, 2, 3)),
        "params": {k: rng.uniform(-1, 1, s) for k, s in (("W", (4, 3)), ("U", (3, 3)), ("b", 3))},
    }  # fmt: skip


def test_numbers_are_measured_and_said_to_be_measured():
    proof = prove(rnn, **numbers())
    assert proof.verdict == "proved"
    assert len(proof.measured) == 3
    assert all("for T = 4" in m for m in proof.measured)
    assert "measured: |unrolled - scan| <= " in str(proof)


def test_ways_that_differ_in_numbers_are_not_proved(monkeypatch):
    from minigrad.prove import measure

    def wrong(p):
        return {k: v + 1 for k, v in p.by_unrolling().items()}

    monkeypatch.setitem(measure.WAYS, "recursion", wrong)
    proof = prove(rnn, **numbers())
    assert proof.verdict == "unknown"
    assert [c.name for c in proof.checks if c.verdict == "unknown"] == ["numbers"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["state", "xs", "targets", "W"])
def test_nan_and_inf_are_refused_and_named(name, bad):
    given = numbers()
    x = given["params"][name] if name == "W" else given[name]
    x.flat[1] = bad
    where_ = {"state": "argument h", "xs": "argument i", "targets": "argument target 1", "W": "argument W"}[
        name
    ]
    with pytest.raises(ValueError, match=rf"prove: {where_} holds {bad} at \[.*\] \(1 such entries\)"):
        prove(rnn, **given)


def test_some_numbers_without_the_others_are_refused():
    given = numbers()
    del given["targets"]
    with pytest.raises(TypeError, match="prove: numbers for state, xs, params but not for targets"):
        prove(rnn, **given)


def test_numbers_that_do_not_fit_are_refused():
    given = numbers()
    given["params"]["U"] = np.zeros((3, 2))
    with pytest.raises(ShapeError, match=r"rnn: argument U: shape \(3, 2\), expected \(n, n\)"):
        prove(rnn, **given)


# ---- bad cells ---------------------------------------------------------------------------------
@pytest.mark.parametrize("thing", [3, rnn.fn, "rnn", None])
def test_what_is_no_cell_is_refused(thing):
    with pytest.raises(TypeError, match=r"prove: .* is a \w+, not a cell; decorate the function with @cell"):
        prove(thing)


def test_a_cell_that_changes_its_states_shape_is_refused():
    @cell(h="n", x="d", W="d m")
    def other_shape(h, /, x, *, W):
        return tanh(x @ W)

    with pytest.raises(ShapeError, match=r"other_shape.*state h enters with shape"):
        prove(other_shape)


def test_a_cell_that_returns_too_much_is_refused():
    @cell(h="n", x="d", W="d n")
    def too_many(h, /, x, *, W):
        return h, h, h

    with pytest.raises(ShapeError, match="too_many: returned 3 values"):
        prove(too_many)


def test_a_cell_that_branches_on_its_data_is_refused():
    @cell(h="n", x="d", W="d n")
    def branching(h, /, x, *, W):
        return tanh(x @ W) if h.sum() > 0 else h

    with pytest.raises(TraceError, match=r"a branch on a tensor's value.*use where"):
        prove(branching)


def test_the_same_with_where_is_proved():
    @cell(h="n", x="d", W="d n")
    def choosing(h, /, x, *, W):
        return where(h > 0, tanh(x @ W), h)

    assert prove(choosing).verdict == "proved"


def test_an_error_of_the_cell_is_its_own():
    @cell(h="n", x="d", W="d n")
    def broken(h, /, x, *, W):
        return h + undefined_name  # noqa: F821

    with pytest.raises(NameError, match="undefined_name"):
        prove(broken)


# ---- equal -------------------------------------------------------------------------------------
LSTM_MAP = {f"W_{k}": (f"W_h{k}", f"W_x{k}") for k in "fio"} | {"W_C": ("W_hc", "W_xc"), "b_C": "b_c"}
GRU_MAP = {"W_z": ("W_hz", "W_xz"), "W_r": ("W_hr", "W_xr"), "W": ("W_hh", "W_xh")}


def test_the_two_forms_of_the_lstm_are_equal():
    proof = equal(lstm_concat, lstm, LSTM_MAP)
    assert proof.verdict == "proved"
    assert "W_f = rows [W_hf; W_xf]" in proof.statement
    assert "n = 3, d = 2, batch = 1" in proof.statement
    assert "at no others" in proof.statement


def test_the_gru_of_the_code_is_that_of_the_equations_without_the_candidates_bias():
    assert equal(gru_concat, gru, GRU_MAP, fixed={"b_h": 0}).verdict == "proved"
    proof = equal(gru_concat, gru, GRU_MAP)
    assert proof.verdict == "refuted"
    assert proof.counterexample.point is not None
    assert "H at n = 3" in str(proof)


def test_the_halves_exchanged_are_not_equal():
    swapped = LSTM_MAP | {"W_f": lambda p: concatenate([p["W_hf"] * 1, p["W_xf"] * 2], axis=0)}
    assert equal(lstm_concat, lstm, swapped).verdict == "refuted"


def test_a_function_may_make_a_weight():
    made = LSTM_MAP | {"W_f": lambda p: concatenate([p["W_hf"], p["W_xf"]], axis=0)}
    assert equal(lstm_concat, lstm, made).verdict == "proved"


def test_reset_before_and_after_the_product_differ():
    @cell(
        H="n", X="d", W_xz="d n", W_hz="n n", b_z="n", W_xr="d n", W_hr="n n", b_r="n", W_xh="d n",
        W_hh="n n", b_h="n",
    )  # fmt: skip
    def reset_after(H, /, X, *, W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h):
        Z = sigmoid((X @ W_xz) + (H @ W_hz) + b_z)
        R = sigmoid((X @ W_xr) + (H @ W_hr) + b_r)
        H_tilda = tanh((X @ W_xh) + (R * (H @ W_hh)) + b_h)
        return Z * H + (1 - Z) * H_tilda

    assert equal(reset_after, gru).verdict == "refuted"
    assert equal(reset_after, gru, sizes=[{"n": 1, "d": 1, "batch": 1}]).verdict == "proved"  # blind to order


def test_ways_to_write_a_gate_are_one():
    @cell(h="n", x="d", W="d n", U="n n")
    def plain(h, /, x, *, W, U):
        return sigmoid(x @ W + h @ U)

    @cell(h="n", x="d", W="d n", U="n n")
    def by_exp(h, /, x, *, W, U):
        return 1 / (1 + mg.exp(-(x @ W) - h @ U))

    @cell(h="n", x="d", W="d n", U="n n")
    def by_softmax(h, /, x, *, W, U):
        z = x @ W + h @ U
        return softmax(mg.stack([z, z * 0], axis=-1), axis=-1)[..., 0]

    assert equal(by_exp, plain).verdict == "proved"
    assert equal(by_softmax, plain).verdict == "proved"
    assert "normal form in exponentials" in str(equal(by_exp, plain))


def test_what_cannot_be_compared_is_an_error():
    with pytest.raises(TypeError, match=r"equal: lstm has the states \('H', 'C'\), gru has \('H',\)"):
        equal(lstm, gru)
    with pytest.raises(TypeError, match="equal: no value for W_f of lstm_concat; say in weights what it is"):
        equal(lstm_concat, lstm)
    with pytest.raises(TypeError, match="equal: b_q is no parameter of gru"):
        equal(gru_concat, gru, GRU_MAP, fixed={"b_q": 0})
    with pytest.raises(ShapeError, match="lstm_concat"):
        equal(lstm_concat, lstm, LSTM_MAP | {"W_f": "W_hf"})


def test_the_torch_gru_is_a_third_function():
    assert torch_gru.states == ("h",)
    with pytest.raises(TypeError, match="equal: no value for weight_ih"):
        equal(torch_gru, gru)
