"""check_backward: a wrong backward is refuted with the gradient, the smallest T, the reason and the right lines."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from kill import right_sequences, right_steps

from minigrad.cells import CELLS
from minigrad.domains.sizes import fresh
from minigrad.prove.backward import BackwardCheck, check_backward
from minigrad.prove.backward.formula import NUMPY, TEX, RightLines
from minigrad.prove.backward.pose import exact, floats, pose, sizes_of
from minigrad.prove.backward.problem import Reading

RIGHT = right_steps.RIGHT | right_sequences.RIGHT
rnn, lstm, gru = CELLS["rnn"], CELLS["lstm"], CELLS["gru"]
elman = right_steps.elman


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
    assert "sum_k<b dC[k,j] I[k,j] C_tilda[k,j] - sum_k<b dC[k,j] I[k,j]^2 C_tilda[k,j] + " in finding.missing
    assert "sum_k<b dC[k,j] F[k,j] C_tilda[k,j] - sum_k<b dC[k,j] F[k,j]^2 C_tilda[k,j] + " in finding.extra
    assert finding.kind == "terms are missing, and others stand in their place"
    assert finding.T is None
    assert finding.point is not None
    assert abs(finding.point.got - finding.point.true) > 1e30 * finding.point.error > 0
    assert finding.numpy[-1] == "db_i = (dI * I * (1 - I)).sum(axis=0)"
    assert finding.latex[-1].startswith(r"\overline{b_{\mathrm{i}}} = ")
    text = str(found)
    assert re.search(r"point:   \S+\[\d, \d\] = -?\d+(/\d+)?, .* \.\.\. \(\d+ values\)", text)
    assert r"LaTeX:   \overline{b_{\mathrm{i}}} = \textstyle\sum" in text
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


ALL = {"W", "U", "b", "x", "h"}
WRONG_LOOPS = {
    "carry: da @ U": (1, {"h"}, "U where its transpose is meant"),
    "carry: da @ U.T * 2": (1, {"h"}, "is 2 times the right value"),
    "carry: back + da @ U.T": (2, {"h"}, "added up from step to step"),
    "into: dhs[t]": (2, ALL, "dh carried back from the next step is dropped"),
    "into: dhs[t] - back": (2, ALL, "the sign of dh carried back from the next step is wrong"),
    "into: back + dhs[t - 1]": (2, ALL, "dh of step t-1 where that of step t is meant"),
    "into: back + (dhs[t] if t == len(hs) - 1 else 0)": (2, ALL, "only the last step's cotangent"),
    "dU: hs_prev[t].T @ da": (2, {"U"}, "overwritten at every step (=) where it must be added up (+=)"),
    "dU: dU + hs[t].T @ da": (1, {"U"}, "h after the step where h is meant (in h @ U)"),
    "dU: dU + hs_prev[t - 1].T @ da": (2, {"U"}, "h of step t-1 where h is meant (in h @ U)"),
    "dU: dU + (hs_prev[t].T @ da if t else 0)": (1, {"U"}, "is zero"),
    "dU: dU + (da.T @ hs_prev[t])": (1, {"U"}, "transposed"),
    "order: range(len(hs))": (2, ALL, "the loop runs forward in time"),
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


def test_findings_of_one_mistake_are_told_together_and_with_their_steps():
    found = check_backward(elman, sequence_with("into: dhs[t]"))
    assert {f.argument: f.steps for f in found.findings} == {"W": (1,), "U": (1,), "b": (1,), "x": (1,), "h": (1,)}
    text = str(found)
    headline = "(smallest T = 2, wrong in step 1): dh carried back from the next step is dropped (shown for "
    assert text.count(headline) == 1
    assert text.count("was returned") == text.count("right:   d") == 5
    assert text.count("LaTeX:") == text.count("carried_dh2 what flows back into it from step 3") == 1


def _one_sided(dh, h_next, i, W):
    da = dh * (1 - h_next**2)
    return {"W": i.T @ da, "b": da.sum(0) + 3 * dh.sum(0), "i": -(da @ W.T)}


def test_kinds_of_difference_are_said_where_no_mistake_is_known():
    kinds = {f.argument: (f.reason, f.kind) for f in check_backward(rnn, _one_sided).findings}
    assert kinds["b"] == ("", "some terms have another factor")
    assert kinds["i"] == ("has the wrong sign", "some terms have the wrong sign")


def test_a_check_is_plain_data():
    found = check_backward(elman, sequence_with("dU: hs_prev[t].T @ da"))
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["verdict"] == "refuted"
    (finding,) = plain["findings"]
    assert (finding["gradient"], finding["smallest_T"], finding["steps"]) == ("dU", 2, [2])
    assert finding["reason"].startswith("overwritten at every step")
    assert finding["numpy"] == ["dU = h.T @ (dh * (1 - h_next**2))"]
    assert finding["latex"][0].startswith(r"\overline{U} = ")
    point = finding["point"]
    assert point["returned"] != point["right"]
    assert all(Fraction(v) for v in point["values"].values())
    assert point["error"] < 1e-30


def _two_mistakes(dh, h_next, h, i, U):
    da = dh * (1 - h_next)
    return {"W": i.T @ da, "U": (h.T @ da).T, "b": da.mean(0)}


def test_a_second_mistake_is_named_beside_the_first():
    first = "1 - h where 1 - h^2 is meant"
    assert {f.argument: f.reason for f in check_backward(rnn, _two_mistakes).findings} == {
        "W": first,
        "U": f"{first}; and besides that it is transposed",
        "b": f"{first}; and besides that it is 1/b times the right value: divided by the batch's size",
    }


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


def one_short(xs, hs, dhs, W):
    return {"x": [(dhs[t] * (1 - hs[t] ** 2)) @ W.T for t in range(len(hs) - 1)]}


def test_a_list_that_is_empty_has_a_wrong_shape():
    (finding,) = check_backward(elman, one_short).findings
    assert finding.T == 1
    assert finding.reason == "has shape (0,), and its argument (1, b, d)"


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


def test_a_check_prints_as_what_it_is():
    check = BackwardCheck("proved", "f is right; but not all of it", (), ("n is odd",), 0.1)
    assert str(check).splitlines() == ["proved: f is right", "but not all of it", "provided that n is odd"]
