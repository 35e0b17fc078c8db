"""check_specification: equations as text against code; the parser; what it says where it cannot read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import cell, sigmoid, tanh
from minigrad.cells import CELLS, lstm_misprint, rnn_words, softmax_readout, variants
from minigrad.domains.sizes import Undecided
from minigrad.prove.claims.equations import GRU, LSTM, MISPRINTED
from minigrad.prove.specification import NAMED, check_specification
from minigrad.prove.specification.equations import FUNCTIONS, read_equations
from minigrad.prove.specification.reading import Reading
from minigrad.prove.specification.words import EquationError

PLAIN_LSTM = """
f = sigmoid(W_f @ [h, x] + b_f)        # forget
i = sigmoid(W_i @ [h, x] + b_i)
C_tilde = tanh(W_C @ [h, x] + b_C)
C = f*C + i*C_tilde
o = sigmoid(W_o @ [h, x] + b_o)
h = o*tanh(C)
"""
ROWS_LSTM = r"""  % weights on the right, as in Dive into Deep Learning
\mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xi} + \mathbf{H}_{t-1} \mathbf{W}_{hi} + \mathbf{b}_i),\\
\mathbf{F}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} + \mathbf{b}_f),\\
\mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xo} + \mathbf{H}_{t-1} \mathbf{W}_{ho} + \mathbf{b}_o),\\
\tilde{\mathbf{C}}_t &= \operatorname{tanh}(\mathbf{X}_t \mathbf{W}_{xc} + \mathbf{H}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c),\\
\mathbf{C}_t &= \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot \tilde{\mathbf{C}}_t,\\
\mathbf{H}_t &= \mathbf{O}_t \odot \tanh(\mathbf{C}_t).
"""  # noqa: E501
TORCH_GRU = r"""
$$r_t = \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr})$$
$$z_t = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz})$$
$$n_t = \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn}))$$
$$h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}$$
"""
PROVED = [
    ("lstm", LSTM), ("lstm_concat", LSTM), ("torch_lstm", LSTM), ("gru_concat", GRU), ("lstm", PLAIN_LSTM),
    ("lstm", f"$${ROWS_LSTM}$$"), ("lstm_concat", ROWS_LSTM), ("torch_gru", TORCH_GRU),
    ("rnn", "h = tanh(W x + U h + b)"), ("rnn", "h_t = tanh(i_t @ W + h_prev @ U + b)"),
    ("rnn_words", r"$s_{t} = \tanh(Ux_{t} + Ws_{t-1})$"),
    ("torch_rnn_relu", r"h_t = \mathrm{ReLU}(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), PROVED, ids=[n for n, _ in PROVED])
def test_the_code_computes_these_equations(name, text):
    found = check_specification(CELLS[name], text)
    assert found.verdict == "proved"
    assert {e.verdict for e in found.equations} == {"proved"}
    assert f"{name} computes these equations" in str(found)


def test_each_equation_is_matched_with_a_variable_of_the_code():
    found = check_specification(CELLS["lstm"], LSTM)
    code = {e.label: e.code for e in found.equations}
    assert code == {"1": "F", "2": "I", "3": "C_tilda", "4": "C", "5": "O", "6": "H"}
    assert "W_f = [W_hf.T, W_xf.T]" in str(found)


REFUTED = [
    ("gru", GRU, {"9": "b_h[j] in gru, nothing in the equations"}),
    ("torch_gru", GRU, {"9": "r acts after the product with weight_hh[2*n:] in torch_gru, before"}),
    ("gru_concat", TORCH_GRU, {"n": "acts before the product with W[:n] in gru_concat, after the product"}),
    ("lstm_concat", MISPRINTED, {"1": "b_f[j] in lstm_concat", "2": "W_C[:, :n][j,k]"}),
    ("lstm", MISPRINTED, {"1": "b_f[j] in lstm", "2": "W_C[:, :n][j,k]"}),
    ("rnn", "s_t = tanh(U x_t + W s_{t-1})", {"s": "b[j] in rnn"}),
    ("rnn_words", "s_t = tanh(U x_t + W s_{t-1} + b)", {"s": "b[j] in the equations"}),
    ("lstm_concat", LSTM.replace(r"\tanh(C_t)", "C_t"), {"6": ""}),
    ("lstm_concat", LSTM.replace(r"f_t \ast C_{t-1} +", r"C_{t-1} +"), {"4": ""}),
]


@pytest.mark.parametrize(("name", "text", "wrong"), REFUTED, ids=[n for n, _, _ in REFUTED])
def test_wrong_equations_are_refuted_one_by_one(name, text, wrong):
    """Those that use a wrong one are judged by their own terms."""
    found = check_specification(CELLS[name], text)
    assert found.verdict == "refuted"
    refuted = {e.label or e.variable: e.why for e in found.equations if e.verdict == "refuted"}
    assert list(refuted) == list(wrong)
    assert all(part in refuted[k] for k, part in wrong.items())
    assert found.comparison.point is not None


def test_the_misprinted_equations_are_what_lstm_misprint_computes():
    assert check_specification(lstm_misprint, MISPRINTED).verdict == "proved"


def test_a_gate_of_the_opposite_sense_is_shown_as_such():
    """z writes in the code and keeps in the text: one function, up to the sign of z's weights."""
    with_bias = GRU.replace(r"x_t]) \tag{9}", r"x_t] + b_h) \tag{9}")
    found = check_specification(variants.gru_writes, with_bias)
    assert found.verdict == "proved"
    assert {e.label: e.code for e in found.equations}["7"] == "1 - z"
    assert "b_z = -b_z" in str(found)


SEEDS = Path(__file__).parents[2] / "shared" / "seeds"


def article(number: str) -> str:
    (path,) = SEEDS.glob(f"{number}_*.txt")
    return path.read_text()


@pytest.mark.skipif(
    not SEEDS.exists(), reason="the articles are not here; the tests above have their equations"
)
def test_the_articles_equations_as_they_stand():
    first, second = article("001").split("## II.")
    lstm, gru = ("\n".join(re.findall(r"\$\$.*?\$\$", part)) for part in (first, second))
    printed = article("002").split("## LSTM")[1].split("## GRU")[0]
    printed = printed[printed.index("1. forget gate") :]
    assert check_specification(CELLS["lstm_concat"], lstm).verdict == "proved"
    assert check_specification(CELLS["gru_concat"], gru).verdict == "proved"
    code = check_specification(CELLS["gru"], gru)
    assert [e.label for e in code.equations if e.verdict == "refuted"] == ["9"]
    found = check_specification(CELLS["lstm_concat"], printed)
    assert [e.variable for e in found.equations if e.verdict == "refuted"] == ["f", "i"]
    assert check_specification(lstm_misprint, printed).verdict == "proved"


def test_read_outs_and_functions_by_letters():
    text = r"$s_{t} = f(Ux_{t} + Ws_{t-1})$ is the state, $o_{t} = \text{softmax}(Vs_{t})$ the output"
    with_output = check_specification(rnn_words.then(softmax_readout), text, {"f": "tanh"})
    assert [e.verdict for e in with_output.equations] == ["proved", "proved"]
    without = check_specification(rnn_words, text, {"f": lambda a: tanh(a)})
    assert without.verdict == "proved"
    assert [(e.verdict, e.why) for e in without.equations] == [
        ("proved", ""), ("unknown", "nothing in the cell uses it"),
    ]  # fmt: skip
    assert not check_specification(rnn_words, text, {"f": "sigmoid"})


def test_the_order_of_equations_with_times_does_not_matter():
    assert check_specification(CELLS["lstm"], "\n".join(reversed(LSTM.splitlines())))


def test_a_peephole_is_written_with_an_elementwise_product():
    text = LSTM.replace("x_t] + b_f)", r"x_t] + p_f \odot C_{t-1} + b_f)")
    text = text.replace("x_t] + b_i)", r"x_t] + p_i \odot C_{t-1} + b_i)")
    new = text.replace("x_t] + b_o)", r"x_t] + p_o \odot C_t + b_o)")
    old = text.replace("x_t] + b_o)", r"x_t] + p_o \odot C_{t-1} + b_o)")
    assert check_specification(variants.lstm_peephole, new)
    assert not check_specification(variants.lstm_peephole, old)


def test_equations_run_on_numbers_too():
    """The same reading, on floats, is numpy's result: \\frac, numbers, signs, functions, precedence."""
    text = r"$h_t = \frac{1}{2} (-h_{t-1} \odot \sigma(x_t) - 2x_t / (1 + x_t \odot x_t)) + 0.5 \tanh(W x_t)$"

    @cell(h="n", x="n", W="n n")
    def code(h, /, x, *, W):
        return h

    spec = Reading(read_equations(text), code, NAMED).cell(False)
    rng = np.random.default_rng(0)
    h, x, W = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(3, 3))
    got = spec.fn(mg.tensor(h), mg.tensor(x), W=mg.tensor(W))[0].numpy()
    expected = 0.5 * (-h / (1 + np.exp(-x)) - 2 * x / (1 + x * x)) + 0.5 * np.tanh(x @ W.T)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


UNREADABLE = [
    (r"f_t = \tanh(W x_t]", r"column 18: expected '\)', found ']'"),
    (r"f_t = (x_t", r"column 11: expected '\)', found 'the end'"),
    ("f_t + 1 = x_t", "column 5: expected = after the variable that the equation defines, found '\\+'"),
    ("2 = x_t", "column 1: expected a variable on the left of ="),
    ("h_t = x_t +", "expected a variable, a number, a function, \\( or \\[, found 'the end'"),
    ("h_t = x_t)", "column 10: expected an operator, or the end of the equation, found '\\)'"),
    ("h = foo(x)", "foo is not a known function .*pass functions={'foo': ...}"),
    (r"h_t = \phi(x_t)", "phi is not a known function"),
    ("h_t = W^2 x_t", "expected no superscript"),
    (r"h_t = \sum_i x_t", r"column 7: \\sum is not understood here"),
    ("h_t = x ? y", "column 9: '\\?' is not understood"),
    (r"h_t = W_{t+1} x_t", "expected t, t-1 or a name as the subscript, found 't\\+1'"),
    (r"h_t = [h_{t-1}, x_t", r"expected , or \] in \[a, b\], found 'the end'"),
    (r"h_t = \tanh W x_t", "expected parentheses around the argument of the function"),
    (r"h_t = \tanh(W_{f x_t)", "expected }"),
    ("h_t = tanh(V W x_t + h_{t-1})", "a product of two parameters; write W \\(V x\\)"),
    ("h_t = h_{t-1} @ x_t", "@ needs a parameter on one side"),
    ("h_{t-1} = x_t", "is a value of the step before; define h_t"),
    ("h_t = h_{t-1}\nh_t = x_t", "h_t is defined twice"),
    ("h_t = c_{t-1}", "c_{t-1} is used, but no equation defines c_t"),
    ("h_t = a_t + h_{t-1}\na_t = h_t", "depends on itself at the same step"),
    ("h_t = h_{t-1} + x_t", "sizes n and d do not fit"),
    ("h_t = h_{t-1} + W + W x_t", "W is a matrix on the left here, and a vector elsewhere"),
    ("h_t = tanh(W [h_{t-1}, V x_t])", r"the size of a part of \[...\] is not known"),
]


@pytest.mark.parametrize(("text", "match"), UNREADABLE, ids=[m for _, m in UNREADABLE])
def test_what_cannot_be_read_is_shown_with_its_place(text, match):
    with pytest.raises(EquationError, match=match) as e:
        check_specification(CELLS["rnn"], text)
    *_, line, caret = str(e.value).split("\n")
    assert line.strip() in text
    assert caret.strip() == "^"


def test_errors_of_use():
    with pytest.raises(ValueError, match="no equation in this text"):
        check_specification(CELLS["rnn"], "nothing here")
    with pytest.raises(ValueError, match="functions: f is 'cosh'; pass one of"):
        check_specification(CELLS["rnn"], "h_t = f(x_t)", {"f": "cosh"})

    @cell(M="n n", x="n")
    def matrix_state(M, /, x):
        return M

    with pytest.raises(ValueError, match=r"M has the shape \(n, n\); equations are of vectors"):
        check_specification(matrix_state, "M_t = M_{t-1} + x_t")


@pytest.mark.parametrize("product", [r" \odot ", " "])
def test_a_parameter_that_is_one_number_in_the_code_is_one_in_the_equations(product):
    @cell(h="n", x="d", W="d n", alpha="")
    def leaky(h, /, x, *, W, alpha):
        return (1 - alpha) * h + alpha * tanh(x @ W)

    text = rf"h_t = (1 - \alpha) \odot h_{{t-1}} + \alpha{product}\tanh(W x_t)"
    assert check_specification(leaky, text).verdict == "proved"
    assert check_specification(leaky, text.replace("1 -", "2 -")).verdict == "refuted"


def test_another_number_of_states_is_refuted():
    found = check_specification(CELLS["lstm"], GRU)
    assert found.verdict == "refuted"
    assert "lstm has 2 state(s) (H, C), the equations has 1 (h)" in str(found.comparison)


def test_a_state_whose_old_value_nobody_reads_is_still_a_state():
    @cell(h="n", m="n", x="d", W="d n")
    def passed_on(h, m, /, x, *, W):
        return tanh(x @ W + m), m

    assert check_specification(passed_on, "h_t = \\tanh(W x_t + m_{t-1})\nm_t = m_{t-1}").verdict == "proved"
    assert check_specification(passed_on, "h_t = \\tanh(W x_t + m_{t-1})\nm_t = h_t").verdict == "refuted"


def test_a_cell_that_sizes_cannot_run_is_not_judged():
    @cell(h="n", x="d", W="d n")
    def odd(h, /, x, *, W):
        return sigmoid(x @ W) + mg.sum(h[:, ::2])

    with pytest.raises(Undecided, match="a slice with step 2"):
        check_specification(odd, "h_t = tanh(W x_t) + h_{t-1}")


def test_no_text_is_run():
    """Names that Python knows mean nothing here."""
    with pytest.raises(EquationError, match=r"a variable, a number, a function, .* found '_'"):
        check_specification(CELLS["rnn"], "h = __import__('os')")
    with pytest.raises(EquationError, match="eval is not a known function"):
        check_specification(CELLS["rnn"], "h = eval(x)")
    assert set(NAMED) == set(FUNCTIONS)
