"""check_backward: right backwards in any style are proved, for what they cover; bad input is said with its line."""

from __future__ import annotations

import numpy as np
import pytest
from kill import right_sequences, right_steps

import minigrad as mg
from minigrad.cells import CELLS, cell
from minigrad.engine.core import TABLE
from minigrad.prove.backward import check_backward
from minigrad.prove.backward.calling import choose_reading
from minigrad.prove.backward.numpyops import Unsupported
from minigrad.prove.effects import ImpureError

RIGHT = right_steps.RIGHT | right_sequences.RIGHT
STEPS, SEQUENCES = right_steps.RIGHT, right_sequences.RIGHT
rnn, lstm = CELLS["rnn"], CELLS["lstm"]


# ---- right ones ----------------------------------------------------------------------------------
UNBATCHED = {"one_example", "one_example_jacobian", "column_vectors"}
AT_FIXED_SIZES = {"entry_by_entry"}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_backward_is_proved_however_it_is_written(name):
    c, fn = RIGHT[name]
    found = check_backward(c, fn)
    assert found.verdict == "proved", found
    assert bool(found)
    assert found.findings == ()
    span = "one step" if name in STEPS else "T = 1, 2, 3 steps"
    assert found.statement.startswith(f"{name} is the backward of {c.name} over {span}")
    assert ("for every size" in found.statement) == (name not in AT_FIXED_SIZES)
    assert ("for one example without a batch axis" in found.statement) == (name in UNBATCHED)
    assert ("batch first" in found.statement) == (name == "rnn_batch_first")


def test_what_runs_at_fixed_sizes_only_is_proved_for_those_only():
    found = check_backward(*RIGHT["entry_by_entry"])
    assert "at size 2 of n, d and batch and no other, as the function cannot run on sizes" in found.statement
    assert str(found).startswith(
        "proved at size 2 only: entry_by_entry is the backward of rnn over one step, "
    )
    assert found.to_dict()["only"] == found.only == "at size 2 only"


def scaled_at_every_size(dh, s):
    return {"h": dh * s}


def twice_entry_by_entry(dh):
    dx = np.zeros(dh.shape)
    for k in range(dh.shape[1]):
        dx[:, k] = 2 * dh[:, k]
    return {"x": dx}


@pytest.mark.parametrize(
    ("fn", "verdict"), [(scaled_at_every_size, "proved"), (twice_entry_by_entry, "refuted")]
)
def test_the_headline_names_no_size_where_every_size_is_judged_or_it_is_refuted(fn, verdict):
    found = check_backward(scaled, fn)
    assert (found.verdict, found.only) == (verdict, "")
    assert str(found).startswith(f"{verdict}: ")


@pytest.mark.parametrize("name", STEPS)
def test_the_right_ones_agree_with_finite_differences(name):
    """Right is right: a directional derivative of the cell itself, in floats."""
    c, fn = RIGHT[name]
    run = choose_reading(c, fn, None)
    (step,) = run.problem.steps
    values = {k: x.value for k, x in step.leaves.items()}
    rng = np.random.default_rng(1)
    for k, g in run.got.items():
        v, eps = rng.normal(size=values[k].shape), 1e-6
        up, down = (_outputs(c, values | {k: values[k] + s * eps * v}) for s in (1, -1))
        gaps = zip(step.cotangents, up, down, strict=False)
        slope = sum(np.sum(d * (a - b)) for d, a, b in gaps) / (2 * eps)
        np.testing.assert_allclose(np.sum(g * v), slope, rtol=1e-5, atol=1e-7)


def _outputs(c, values):
    args = {k: mg.tensor(v) for k, v in values.items()}
    result = c.fn(*(args[k] for k in c.states + c.inputs), **{k: args[k] for k in c.params})
    new, y = c.outputs(result)
    return [t.numpy() for t in (*new, *([y] if all(y is not s for s in new) else []))]


def test_a_backward_of_six_steps_is_proved():
    found = check_backward(*SEQUENCES["lstm_sequence"], steps=(1, 2, 3, 4, 5, 6))
    assert found.verdict == "proved"
    assert "T = 1, 2, 3, 4, 5, 6 steps" in found.statement


# ---- what it covers ------------------------------------------------------------------------------
def only_some(dh, h_next, i):
    da = dh * (1 - h_next**2)
    return {"W": i.T @ da, "b": da.sum(0), "U": None}


def test_what_is_not_returned_is_not_judged_and_said():
    found = check_backward(rnn, only_some)
    assert found.verdict == "proved"
    assert "gradients not returned, so not judged: h, i, U" in found.statement


def without_dc(dH, O, C_next, X, C, F, C_tilda, I):
    dC = dH * O * (1 - np.tanh(C_next) ** 2)
    return {"b_f": (dC * C * F * (1 - F)).sum(0)}


def test_a_cotangent_that_is_not_taken_counts_as_zero_and_is_said():
    found = check_backward(lstm, without_dc)
    assert found.verdict == "proved"
    assert "cotangents it does not take count as zero: C" in found.statement


def relu_by_z(dh, h, x, params):
    z = x @ params.weight_ih.T + params.bias_ih + h @ params.weight_hh.T + params.bias_hh
    return {"h": (dh * (z >= 0)) @ params.weight_hh}


def test_a_kink_is_a_condition():
    found = check_backward(CELLS["torch_rnn_relu"], relu_by_z)
    assert found.verdict == "proved"
    assert any("kink" in c for c in found.conditions)
    assert "provided that no argument of relu" in str(found)


@cell(h="n", x="n", s="n")
def scaled(h, /, x, *, s):
    return h * s + x


@pytest.mark.parametrize(
    ("one", "conditional"),
    [
        ("s / s", True), ("s * s**-1", True), ("s * np.reciprocal(s)", True), ("(s - x) / (s - x)", True),
        ("np.exp(s) / np.exp(s)", False), ("(1 + s * s) / (s * s + 1)", False), ("6 / 6", False),
    ],
)  # fmt: skip
def test_a_divisor_that_cancels_is_a_condition_unless_it_is_positive(one, conditional):
    scope = {"np": np}
    exec(f"def backward(dh, h, x, s): return {{'h': dh * s * ({one})}}", scope)
    found = check_backward(scaled, scope["backward"])
    assert found.verdict == "proved"
    assert found.conditions == (("no divisor is 0",) if conditional else ())


def right_but_for_one_example(dh, h_next, i):
    da = dh * (1 - h_next**2)
    return {"b": 2 * da.sum(0) if da.shape[0] == 1 else da.sum(0), "W": i.T @ da}


def asks_for_equal_sizes(dh, h_next, i):
    da = dh * (1 - h_next**2)
    if da.shape[1] == i.shape[1]:
        return {"W": (i.T @ da).T}
    return {"W": i.T @ da}


def asks_and_is_right(dh, h_next, i):
    da = dh * (1 - h_next**2)
    return {"W": i.T @ da if i.shape[0] == 1 else i.T.dot(da)}


@pytest.mark.parametrize(
    ("fn", "gradient", "where"),
    [(right_but_for_one_example, "b", "(at b = 1)"), (asks_for_equal_sizes, "W", "(at n = d)")],
)
def test_sizes_that_the_function_asks_about_are_judged_by_themselves(fn, gradient, where):
    found = check_backward(rnn, fn)
    assert found.verdict == "refuted"
    assert [f.argument for f in found.findings] == [gradient]
    assert where in found.findings[0].reason


def test_and_may_be_right():
    assert check_backward(rnn, asks_and_is_right).verdict == "proved"


# ---- neither -------------------------------------------------------------------------------------
def clipped(dh, h_next, i):
    return {"W": np.clip(i.T @ (dh * (1 - h_next**2)), -1000, 1000)}


def test_what_cannot_be_decided_is_unknown_and_never_proved():
    found = check_backward(rnn, clipped)
    assert found.verdict == "unknown"
    assert "no normal form shows dW equal, and no point shows a difference" in found.statement
    assert "it clips, or compares values" in found.statement


def clipped_hard(dh, h_next, i):
    return {"W": np.clip(i.T @ (dh * (1 - h_next**2)), -0.25, 0.25)}


def test_a_clip_that_bites_is_refuted():
    assert check_backward(rnn, clipped_hard).verdict == "refuted"


CALLS: list[int] = []


def remembers(dh, h_next, i):
    CALLS.append(1)
    return {"W": i.T @ (dh * (1 - h_next**2)) * (1.0 if len(CALLS) % 2 else 2.0)}


def test_a_function_that_gives_something_else_each_time_is_refused():
    with pytest.raises(ImpureError, match=r"remembers changes CALLS; .*test_backward.py:\d+: CALLS.append"):
        check_backward(rnn, remembers)


def looks_at_its_numbers(dh, h_next, i):
    exactly = dh.__class__ is not np.ndarray
    return {"W": i.T @ (dh * (1 - h_next**2)) * (1 if exactly else 2)}


def hides_from_numpy(dh, h_next, i):
    exactly = dh.__class__ is not np.ndarray
    return {"W": i.T @ (dh * (1 - h_next**2)) * (2 if exactly else 1)}


@pytest.mark.parametrize("fn", [looks_at_its_numbers, hides_from_numpy])
def test_what_numpy_itself_computes_must_agree(fn):
    found = check_backward(rnn, fn)
    assert found.verdict == "unknown"
    assert "the function does something that the exact run does not see" in found.statement


# ---- bad input -----------------------------------------------------------------------------------
def asks_too_much(dh, weights):
    return {"h": dh}


def returns_too_little(dh):
    return dh, dh


def returns_strangers(dh):
    return {"h": dh, "w": dh}


def returns_nothing(dh):
    return {}


def with_noise(dh, h_next, i):
    return {"W": i.T @ dh + np.random.default_rng(0).normal()}


def branches(dh, h_next, i):
    if np.abs(dh).max() > 1:
        dh = dh * 0.5
    return {"W": i.T @ (dh * (1 - h_next**2))}


def branches_on_a_sum(dh, h_next, i):
    return {"W": i.T @ (dh if dh.sum() > 1e9 else dh * (1 - h_next**2))}


def unsupported(dh, h_next, i):
    return {"W": np.cumprod(i.T @ dh, axis=0)}


def broken(dh, h_next, i):
    return {"W": i @ dh}


def raises(dh):
    raise KeyError("gone")


BAD = [
    (asks_too_much, TypeError, r"asks_too_much asks for 'weights', which is not known; .* h_next.*params, cache"),
    (returns_too_little, ValueError, "returned 2 gradients; return a dict by argument, or one for each of h, i, W"),
    (returns_strangers, ValueError, "returned a gradient named 'w'; the arguments are h, i, W, U, b"),
    (returns_nothing, ValueError, "returned no gradient; return a dict by argument: h, i, W, U, b"),
    (with_noise, Unsupported, r"np.random: a gradient is not random(.|\n)*in .*test_backward.py:\d+: return"),
    (branches, Unsupported, r"method .max\(\) is not understood(.|\n)*test_backward.py:\d+: if np.abs"),
    (branches_on_a_sum, Unsupported, r"a branch on the value of an array(.|\n)*test_backward.py:\d+: return"),
    (unsupported, Unsupported, r"np.cumprod is not understood here(.|\n)*test_backward.py:\d+: return"),
    (broken, ValueError, r"matmul(.|\n)*test_backward.py:\d+: return {\"W\": i @ dh}"),
    (raises, RuntimeError, r"KeyError: 'gone'(.|\n)*test_backward.py:\d+: raise"),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "error", "text"), BAD, ids=lambda v: getattr(v, "__name__", None))
def test_bad_input_is_said_with_its_line(fn, error, text):
    with pytest.raises(error, match=text):
        check_backward(rnn, fn)


def test_a_cell_whose_own_vjp_is_wrong_is_no_judge():
    row = TABLE["tanh"]
    true = row.vjp
    object.__setattr__(row, "vjp", lambda g, y, x: (g * (1 + y * y),))
    try:
        with pytest.raises(ValueError, match=r"rnn: the cell's own vjp is wrong for .*prove"):
            check_backward(rnn, only_some)
    finally:
        object.__setattr__(row, "vjp", true)


@cell(h="n", x="d", W="d n")
def undecided(h, /, x, *, W):
    first = h[..., :1]
    return h * first + x @ W


def undecided_backward(dh, h, x, W):
    g = dh * h[:, :1]
    first = (dh * h).sum(1, keepdims=True)
    return {"h": np.concatenate([g[:, :1] + first, g[:, 1:]], axis=1), "x": dh @ W.T, "W": x.T @ dh}


def test_a_cell_whose_step_lemma_is_undecided_is_judged_at_fixed_sizes():
    found = check_backward(undecided, undecided_backward)
    assert found.verdict == "proved"
    assert "at size 2 of n, d and batch" in found.statement
    assert any("its step lemma leaves undecided" in c for c in found.conditions)
