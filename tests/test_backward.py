"""check_backward: right backwards in any style are proved, wrong ones refuted with the reason, the rest said."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from kill import right_sequences, right_steps
from mpmath import iv

import minigrad as mg
from minigrad.cells import CELLS, cell
from minigrad.domains.contractions import Sum
from minigrad.domains.sizes import ATOMS, SIZES, array, fresh
from minigrad.engine.core import TABLE
from minigrad.prove.backward import BackwardCheck, check_backward, quotients
from minigrad.prove.backward.calling import choose_reading
from minigrad.prove.backward.formula import NUMPY, TEX, RightLines
from minigrad.prove.backward.lets import LETS, same
from minigrad.prove.backward.numpyops import Unsupported
from minigrad.prove.backward.pose import exact, floats, pose, sizes_of
from minigrad.prove.backward.problem import Reading
from minigrad.prove.points import FUNCTIONS, ONE, Ball, Point, difference

RIGHT = right_steps.RIGHT | right_sequences.RIGHT
STEPS, SEQUENCES = right_steps.RIGHT, right_sequences.RIGHT
rnn, lstm, gru = CELLS["rnn"], CELLS["lstm"], CELLS["gru"]
elman = right_steps.elman


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
    assert "at size 2 of n, d and batch and no other, as the function cannot run on sizes in general" in found.statement


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
        slope = sum(np.sum(d * (a - b)) for d, a, b in zip(step.cotangents, up, down, strict=False)) / (2 * eps)
        np.testing.assert_allclose(np.sum(g * v), slope, rtol=1e-5, atol=1e-7)


def _outputs(c, values):
    result = c.fn(*(mg.tensor(values[k]) for k in c.states + c.inputs), **{k: mg.tensor(values[k]) for k in c.params})
    new, y = c.outputs(result)
    return [t.numpy() for t in (*new, *([y] if all(y is not s for s in new) else []))]


def test_a_backward_of_more_steps_than_names_stay_short_takes_no_longer():
    found = check_backward(*SEQUENCES["lstm_sequence"], steps=(1, 2, 3, 4, 5, 6))
    assert found.verdict == "proved"
    assert "T = 1, 2, 3, 4, 5, 6 steps" in found.statement
    assert found.seconds < 10  # 0.5 s here; without names, T = 3 alone takes 30 s


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
    ("fn", "gradient", "where"), [(right_but_for_one_example, "b", "(at b = 1)"), (asks_for_equal_sizes, "W", "(at n = d)")]
)
def test_sizes_that_the_function_asks_about_are_judged_by_themselves(fn, gradient, where):
    found = check_backward(rnn, fn)
    assert found.verdict == "refuted"
    assert [f.argument for f in found.findings] == [gradient]
    assert where in found.findings[0].reason or where.replace("n = d", "d = n") in found.findings[0].reason


def test_and_may_be_right():
    assert check_backward(rnn, asks_and_is_right).verdict == "proved"


# ---- wrong ones ----------------------------------------------------------------------------------
def swapped_gates(dH, dC, C, C_next, I, F, O, C_tilda, X):
    dC = dC + dH * O * (1 - np.tanh(C_next) ** 2)
    return {"C": dC * F, "b_i": (dC * C_tilda * F * (1 - F)).sum(0), "b_f": (dC * C * F * (1 - F)).sum(0)}


def test_a_finding_says_everything():
    found = check_backward(lstm, swapped_gates)
    assert found.verdict == "refuted"
    assert not found
    (finding,) = found.findings
    assert finding.argument == "b_i"
    assert finding.reason == "sigmoid' taken at F where I is meant"
    assert "sum_k<b dC[k,j] I[k,j] C_tilda[k,j] + " in finding.missing
    assert "sum_k<b dC[k,j] F[k,j] C_tilda[k,j] + " in finding.extra
    assert finding.T is None
    assert finding.point is not None
    assert finding.point.got != finding.point.true
    assert finding.numpy[-1] == "db_i = (dI * I * (1 - I)).sum(axis=0)"
    assert finding.latex[-1].startswith(r"\overline{b_{\mathrm{i}}} = ")
    text = str(found)
    assert "refuted: swapped_gates against the backward of lstm, one step, every size n, d and batch" in text
    assert re.search(r"entry \[\d\] at n = 2, d = 2, b = 2: \S+ was returned, \S+ is right \(certified\)", text)
    assert "right:   dI = dC_next * C_tilda" in text


def sequence_with(change: str) -> Any:
    """The plain loop over an RNN with one thing changed."""
    source = {
        "carry": "da @ U.T", "into": "back + dhs[t]", "dU": "dU + hs_prev[t].T @ da", "order": "range(len(hs))[::-1]",
        "dx": "dx", "T": "1",
    }  # fmt: skip
    key, _, text = change.partition(": ")
    assert key in source
    source[key] = text
    code = f"""
def backward(xs, hs, hs_prev, dhs, W, U):
    dU, dW, db, dx, back = 0 * U, 0 * W, 0, 0 * xs, 0 * hs[0]
    for t in {source["order"]}:
        da = ({source["into"]}) * (1 - hs[t] ** 2)
        dU = {source["dU"]}
        dW = dW + xs[t].T @ da
        db = db + da.sum(0)
        dx[t] = da @ W.T
        back = {source["carry"]}
    return dict(U=dU / {source["T"]}, W=dW, b=db, xs={source["dx"]}, h0=back)
"""
    space: dict[str, Any] = {"np": np}
    exec(code, space)
    return space["backward"]


WRONG_LOOPS = {
    "carry: da @ U": (1, {"h"}, "U where its transpose is meant"),
    "carry: da @ U.T * 2": (1, {"h"}, "is 2 times the right value"),
    "carry: back + da @ U.T": (2, {"h"}, "added up from step to step"),
    "into: dhs[t]": (2, {"W", "U", "b", "x", "h"}, "dh carried back from the next step is dropped"),
    "into: dhs[t] - back": (2, {"W", "U", "b", "x", "h"}, "the sign of dh carried back from the next step is wrong"),
    "into: back + dhs[t - 1]": (2, {"W", "U", "b", "x", "h"}, "dh of step t-1 where that of step t is meant"),
    "into: back + (dhs[t] if t == len(hs) - 1 else 0)": (2, {"W", "U", "b", "x", "h"}, "only the last step's cotangent"),
    "dU: hs_prev[t].T @ da": (2, {"U"}, "overwritten at every step (=) where it must be added up (+=)"),
    "dU: dU + hs[t].T @ da": (1, {"U"}, "h after the step where h is meant (in h @ U)"),
    "dU: dU + hs_prev[t - 1].T @ da": (2, {"U"}, "h of step t-1 where h is meant (in h @ U)"),
    "dU: dU + (hs_prev[t].T @ da if t else 0)": (1, {"U"}, "is zero"),
    "dU: dU + (da.T @ hs_prev[t])": (1, {"U"}, "transposed"),
    "order: range(len(hs))": (2, {"W", "U", "b", "x", "h"}, "the loop runs forward in time"),
    "dx: dx[::-1]": (2, {"x"}, "the steps are stacked in reverse order of time"),
    "T: len(hs)": (2, {"U"}, "is 1/2 times the right value"),
    "T: hs.shape[1]": (1, {"U"}, "1/b times the right value: divided by the batch's size"),
    "T: -1": (1, {"U"}, "has the wrong sign"),
}


@pytest.mark.parametrize("change", WRONG_LOOPS)
def test_mistakes_of_the_loop_are_named_at_the_smallest_T(change):
    T, wrong, reason = WRONG_LOOPS[change]
    found = check_backward(elman, sequence_with(change))
    assert found.verdict == "refuted"
    assert {f.argument for f in found.findings} == wrong
    for f in found.findings:
        assert f.T == T
        assert reason in f.reason


def test_the_loop_itself_is_right():
    assert check_backward(elman, sequence_with("T: 1")).verdict == "proved"


def own_forward(xs, h0, dhs, W, U, b):
    hs = [h0]
    for x in xs:
        hs.append(np.tanh(x @ W + hs[-1] @ U))  # no b
    g, back = {"W": 0, "U": 0, "b": 0}, 0
    for t in range(len(xs))[::-1]:
        da = (dhs[t] + back) * (1 - hs[t + 1] ** 2)
        g = {"W": g["W"] + xs[t].T @ da, "U": g["U"] + hs[t].T @ da, "b": g["b"] + da.sum(0)}
        back = da @ U.T
    return g


def test_a_wrong_forward_pass_of_the_functions_own_is_named():
    found = check_backward(elman, own_forward)
    assert {f.argument for f in found.findings} == {"W", "U", "b"}
    assert {f.reason for f in found.findings} == {"its own forward pass is wrong: b is missing from x @ W + h @ U + b"}


def wrong_shape(dh, h_next, i):
    return {"W": (dh * (1 - h_next**2)).T @ i}


def test_a_wrong_shape_is_a_finding():
    (finding,) = check_backward(rnn, wrong_shape).findings
    assert finding.reason == "has shape (n, d), and its argument (d, n)"
    assert finding.point is None


def no_sum_over_the_batch(dh, h_next):
    return {"b": dh * (1 - h_next**2)}


def test_what_is_right_for_one_example_only_is_proved_for_one_example_only():
    found = check_backward(rnn, no_sum_over_the_batch)
    assert found.verdict == "proved"
    assert "for one example without a batch axis, for every size n, d" in found.statement


def never_written(dh, h_next, i, W):
    dW = np.empty_like(W)
    dW += i.T @ (dh * (1 - h_next**2))
    return {"W": dW}


def test_what_was_never_written_is_named():
    (finding,) = check_backward(rnn, never_written).findings
    assert finding.reason == "is made of entries of np.empty that were never written"


def reset_after(dH, H, X, Z, R, H_tilda, W_xh, W_hh, W_xz, W_hz, W_xr, W_hr):
    """The other GRU: the reset gate acts after the recurrent product."""
    dz = dH * (H - H_tilda) * Z * (1 - Z)
    dg = dH * (1 - Z) * (1 - H_tilda**2)
    dr = dg * (H @ W_hh) * R * (1 - R)
    return {"W_hh": H.T @ (dg * R), "W_hr": H.T @ dr, "W_hz": H.T @ dz, "b_h": dg.sum(0)}


def test_the_backward_of_a_variant_is_not_taken_for_the_cells():
    found = check_backward(gru, reset_after)
    assert found.verdict == "refuted"
    assert {f.argument for f in found.findings} == {"W_hh", "W_hr"}


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


def test_a_function_that_gives_something_else_each_time_is_not_proved():
    CALLS.clear()
    found = check_backward(rnn, remembers)
    assert found.verdict != "proved"


def looks_at_its_numbers(dh, h_next, i):
    exactly = type(dh) is not np.ndarray
    return {"W": i.T @ (dh * (1 - h_next**2)) * (1 if exactly else 2)}


def hides_from_numpy(dh, h_next, i):
    exactly = type(dh) is not np.ndarray
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
    (asks_too_much, TypeError, r"asks_too_much asks for 'weights', which is not known; it may ask for .*h_next.*params, cache"),
    (returns_too_little, ValueError, "returned 2 gradients; return a dict by argument, or one for each of h, i, W, U, b"),
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
        with pytest.raises(ValueError, match="rnn: the cell's own vjp is wrong for .*prove"):
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


# ---- the right lines -----------------------------------------------------------------------------
EVERY_CELL = {c.name: c for c in (*CELLS.values(), *(c for c, _ in RIGHT.values()))}


@pytest.mark.parametrize("c", EVERY_CELL.values(), ids=lambda c: c.name)
def test_the_right_lines_are_code_that_computes_the_gradient(c):
    with fresh():
        symbolic = RightLines(pose(c, exact({}), None, Reading()))
    problem = pose(c, floats(sizes_of(c)), None, Reading())
    (step,) = problem.steps
    space: dict[str, Any] = {"np": np, "sigmoid": right_steps.sigmoid} | sizes_of(c)
    for t in step.nodes:
        if t.name and not isinstance(t.value, tuple):
            space[f"{t.name}_next" if t.name in step.leaves else t.name] = t.value
    space |= {k: x.value for k, x in step.leaves.items()}
    space |= {f"d{n}": d for n, d in zip(problem.out_names, step.cotangents, strict=True)}
    true = problem.gradients()
    for name in c.states + c.inputs + c.params:
        lines = symbolic(name, NUMPY)
        assert lines, name
        own = dict(space)
        exec("\n".join(lines), own)
        got = own[f"d{name}" + "_prev" * (name in c.states)]
        np.testing.assert_allclose(np.broadcast_to(got, true[name].shape), true[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("c", CELLS.values(), ids=lambda c: c.name)
def test_the_right_lines_are_latex(c):
    with fresh():
        right = RightLines(pose(c, exact({}), None, Reading()))
    for name in c.states + c.inputs + c.params:
        for line in right(name, TEX):
            assert line.count("{") == line.count("}")
            assert line.count(r"\left") == line.count(r"\right")
            assert " = " in line
            assert not re.search(r"\*|@|np\.|\^\{?[^}]*\}\^", line)


# ---- underneath ----------------------------------------------------------------------------------
def test_balls_hold_the_value_that_they_stand_for():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p, q = (Fraction(int(rng.integers(-99, 99)) or 1, int(rng.integers(1, 50))) for _ in range(2))
        a, b = Ball.rational(p), Ball.rational(q)
        for ball, value in ((a.plus(b), p + q), (a.times(b), p * q), (b.inverse(), 1 / q), (a.times(b.inverse()), p / q)):
            assert abs(Fraction(ball.mid, ONE) - value) <= Fraction(ball.rad, ONE)
            assert ball.rad < 1 << 40
        for name, fn in FUNCTIONS.items():
            x = abs(p) if name in ("log", "sqrt") else p
            u = Ball.rational(x)
            ball = Ball.interval(fn(u.to_interval()))
            lo, hi = (Fraction(int(end * 2**200), 2**200) for end in _ends(fn, x))
            assert Fraction(ball.mid - ball.rad, ONE) <= hi
            assert Fraction(ball.mid + ball.rad, ONE) >= lo


def _ends(fn, x):
    from mpmath import mp

    with mp.workprec(300):
        before, iv.prec = iv.prec, 300
        try:
            v = fn(iv.mpf(x.numerator) / x.denominator)
        finally:
            iv.prec = before
        return mp.mpf(v.a), mp.mpf(v.b)


@pytest.mark.parametrize(("ball", "error"), [(Ball(0, 1), ZeroDivisionError), (Ball(5, 9), ZeroDivisionError)])
def test_balls_that_hold_zero_have_no_inverse_and_no_sign(ball, error):
    with pytest.raises(error):
        ball.inverse()
    with pytest.raises(ValueError, match="not certain"):
        ball.sign()


def test_a_point_can_be_visited_again():
    with fresh():
        x, y = array("x", ("b",), ("n",)), array("y", ("n",))
        a, b = (SIZES.tanh(x) * y).entries[0, 0], (SIZES.tanh(x) + y).entries[0, 0]
        found = difference(a, b, ("b", "n"), {"b": 2, "n": 3})
        assert found is not None
        point = Point(found.seed, found.sizes)
        i, j = found.entry
        u, v = point.array(x)[i, j], point.array(y)[j]
        np.testing.assert_allclose([found.got, found.true], [np.tanh(u) * v, np.tanh(u) + v], rtol=1e-12)
        assert difference(a, a, ("b", "n"), {}) is None


def test_names_stand_for_what_they_name_and_for_nothing_else():
    with fresh():
        LETS.clear()
        x, y = array("x", ("b",), ("n",)), array("y", ("b",), ("n",))
        s = SIZES.tanh(x) * y + y
        short = LETS.bind("s", s)
        assert len(short.entries[0, 0].terms) == 1
        assert LETS.short(s).entries == short.entries
        assert LETS.long(short.entries[0, 0]) == s.entries[0, 0]
        assert LETS.bind("s", s).entries == short.entries
        other = LETS.bind("s", s + 1)
        assert other.entries != short.entries
        assert LETS.long(other.entries[0, 0]) == (s + 1).entries[0, 0]
        assert LETS.bind("z", y).entries == y.entries  # short already
        assert same((short * short).entries[0, 0], (s * s).entries[0, 0])
        assert not same((short * short).entries[0, 0], (s * s + y).entries[0, 0])
        with LETS.scope({}):
            assert LETS.short(s) is s
        assert LETS.short(s).entries == short.entries


def test_a_name_inside_of_sums_keeps_its_indices_apart():
    with fresh():
        LETS.clear()
        U, g = array("U", ("n",), ("n",)), array("g", ("b",), ("n",))
        first = SIZES.matmul(g, U) + g
        second = SIZES.matmul(LETS.bind("a", first), U) + g
        third = SIZES.matmul(LETS.bind("c", second), U)
        plain = SIZES.matmul(SIZES.matmul(first, U) + g, U)
        assert LETS.long(third.entries[0, 0]) == plain.entries[0, 0]


def test_quotients_of_exponentials_have_one_form():
    with fresh():
        x = array("x", ("b",), ("n",)).entries[0, 0]
        e, one = ATOMS.atom("exp", x), Sum.number(1)
        s = (one + ATOMS.atom("tanh", x.scale(Fraction(1, 2)))).scale(Fraction(1, 2))
        assert quotients.divide(one, one + e) == one - s
        assert quotients.divide(e, one + e) == s
        assert quotients.divide(e * e, (one + e).power(2)) == s * s
        assert quotients.divide(e.scale(6), (one + e).power(2).scale(3)) == (s * (one - s)).scale(2)
        assert quotients.divide(one, one + e.scale(2)) == ATOMS.power(one + e.scale(2), -1)
        with pytest.raises(ZeroDivisionError):
            quotients.divide(one, Sum())


def test_signs_are_taken_piece_by_piece():
    with fresh():
        x = array("x", ("n",)).entries[0,]
        sign = ATOMS.atom("sign", x)
        relu = (x + x * sign).scale(Fraction(1, 2))
        step = (sign + Sum.number(1)).scale(Fraction(1, 2))
        assert quotients.sign(relu) == step
        assert quotients.sign(relu, 1) == Sum.number(1)
        assert quotients.sign(-relu) == -step
        assert quotients.sign(x * sign) == Sum.number(1)
        assert quotients.sign(Sum.number(-3)) == Sum.number(-1)
        assert quotients.sign(x.scale(2)) == sign


def test_a_check_prints_as_what_it_is():
    assert str(BackwardCheck("proved", "f is right", (), ("n is odd",), 0.1)) == "proved: f is right\nprovided that n is odd"
