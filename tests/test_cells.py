"""The cells are their sources' equations; declarations are read, checked, and refused by name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

import numpy as np
import pytest

import minigrad as mg
from minigrad.cells import CELLS, as_cell, cell, generic, lstm_misprint, softmax_readout, unroll
from minigrad.cells.shapes import evaluate, parse_sizes, shape_text

SIZES = {"n": 3, "d": 2}
every_cell = pytest.mark.parametrize("c", [*CELLS.values(), lstm_misprint], ids=lambda c: c.name)


def arguments(c, *lead, seed=0):
    """(states and inputs, params) as arrays, by name."""
    rng = np.random.default_rng(seed)
    rows = {a: rng.standard_normal(lead + c.shape(a, SIZES)) for a in c.states + c.inputs}
    return rows, {p: rng.standard_normal(c.shape(p, SIZES)) for p in c.params}


def run(c, rows, params):
    """The new states as arrays."""
    new, _ = c.outputs(c(*rows.values(), **params))
    return [s.numpy() for s in new]


# ---- the specification: each source's equations for column vectors, in plain numpy, written apart ------
def sig(x):
    return 1 / (1 + np.exp(-x))


def spec_rnn(h, i, W, U, b):
    return [np.tanh(W.T @ i + U.T @ h + b)]


def spec_rnn_words(s, x, U, W):
    return [np.tanh(U.T @ x + W.T @ s)]


def spec_lstm_concat(h, C, x, W_f, b_f, W_i, b_i, W_C, b_C, W_o, b_o):
    hx = np.array([*h, *x])
    C = sig(W_f.T @ hx + b_f) * C + sig(W_i.T @ hx + b_i) * np.tanh(W_C.T @ hx + b_C)
    return [sig(W_o.T @ hx + b_o) * np.tanh(C), C]


def spec_lstm(H, C, X, **p):
    def gate(g):
        return p[f"W_x{g}"].T @ X + p[f"W_h{g}"].T @ H + p[f"b_{g}"]

    C = sig(gate("f")) * C + sig(gate("i")) * np.tanh(gate("c"))
    return [sig(gate("o")) * np.tanh(C), C]


def spec_gru(H, X, **p):
    def gate(g, h):
        return p[f"W_x{g}"].T @ X + p[f"W_h{g}"].T @ h + p[f"b_{g}"]

    z = sig(gate("z", H))
    return [z * H + (1 - z) * np.tanh(gate("h", sig(gate("r", H)) * H))]


def spec_gru_concat(h, x, W_z, b_z, W_r, b_r, W):
    hx = np.array([*h, *x])
    z, r = sig(W_z.T @ hx + b_z), sig(W_r.T @ hx + b_r)
    return [z * h + (1 - z) * np.tanh(W.T @ np.array([*(r * h), *x]))]


def spec_torch(nonlinearity):
    def spec(h, x, weight_ih, weight_hh, bias_ih, bias_hh):
        return [nonlinearity(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)]

    return spec


def spec_torch_lstm(h, c, x, weight_ih, weight_hh, bias_ih, bias_hh):
    i, f, g, o = (weight_ih @ x + bias_ih + weight_hh @ h + bias_hh).reshape(4, -1)
    c = sig(f) * c + sig(i) * np.tanh(g)
    return [sig(o) * np.tanh(c), c]


def spec_torch_gru(h, x, weight_ih, weight_hh, bias_ih, bias_hh):
    rx, zx, nx = (weight_ih @ x + bias_ih).reshape(3, -1)
    rh, zh, nh = (weight_hh @ h + bias_hh).reshape(3, -1)
    z = sig(zx + zh)
    return [(1 - z) * np.tanh(nx + sig(rx + rh) * nh) + z * h]


def spec_lstm_misprint(h, C, x, W_f, b_f, W_C, b_C, W_o, b_o):
    hx = np.array([*h, *x])
    C = sig(W_f.T @ np.array([*h, *(x + b_f)])) * C + sig(W_C.T @ hx + b_C) * np.tanh(W_C.T @ hx + b_C)
    return [sig(W_o.T @ hx + b_o) * np.tanh(C), C]


SPECIFICATION = {
    "rnn": spec_rnn,
    "rnn_words": spec_rnn_words,
    "lstm": spec_lstm,
    "lstm_concat": spec_lstm_concat,
    "gru": spec_gru,
    "gru_concat": spec_gru_concat,
    "torch_rnn_tanh": spec_torch(np.tanh),
    "torch_rnn_relu": spec_torch(lambda a: np.maximum(a, 0)),
    "torch_lstm": spec_torch_lstm,
    "torch_gru": spec_torch_gru,
    "lstm_misprint": spec_lstm_misprint,
}


@every_cell
def test_a_cell_is_its_specification(c):
    rows, params = arguments(c, 4)
    new = run(c, rows, params)
    for k in range(4):
        expected = SPECIFICATION[c.name](*(v[k] for v in rows.values()), **params)
        for a, b in zip(new, expected, strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-13, atol=1e-14)


@every_cell
def test_a_cell_is_ten_lines_of_equations_with_shapes_and_source(c):
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(c.fn))).body
    body = definition.body[1:]  # the docstring is first
    assert body[-1].end_lineno - body[0].lineno < 10
    assert not [n for n in ast.walk(definition) if isinstance(n, (ast.For, ast.While, ast.If, ast.IfExp))]
    assert any(source in c.doc for source in ("article 00", "Article 00", "torch.nn"))
    assert set(c.sizes) == {*c.states, *c.inputs, *c.params}


def test_the_two_lstms_of_article_001_are_one_function():
    """Equations (1)-(6) on [h, x], and the code with split weights: W = [W_h; W_x]."""
    rows, params = arguments(CELLS["lstm"], 4)
    stacked = {
        f"{k}_{g}": v
        for g, c in (("f", "f"), ("i", "i"), ("C", "c"), ("o", "o"))
        for k, v in (("W", np.vstack([params[f"W_h{c}"], params[f"W_x{c}"]])), ("b", params[f"b_{c}"]))
    }
    for a, b in zip(run(CELLS["lstm"], rows, params), run(CELLS["lstm_concat"], rows, stacked), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_the_two_grus_of_article_001_differ_in_one_bias_alone():
    """Equation (9) has no bias, the code has b_h; without it they are one function."""
    rows, params = arguments(CELLS["gru"], 4)
    parts = {"W_z": "z", "W_r": "r", "W": "h"}
    stacked = {k: np.vstack([params[f"W_h{g}"], params[f"W_x{g}"]]) for k, g in parts.items()}
    stacked |= {b: params[b] for b in ("b_z", "b_r")}
    (concat,) = run(CELLS["gru_concat"], rows, stacked)
    (with_bias,) = run(CELLS["gru"], rows, params)
    (without,) = run(CELLS["gru"], rows, params | {"b_h": params["b_h"] * 0})
    np.testing.assert_allclose(without, concat, rtol=1e-13)
    assert np.abs(with_bias - concat).max() > 0.1


def test_z_keeps_the_old_state():
    rows, params = arguments(CELLS["gru"], 4)
    (new,) = run(CELLS["gru"], rows, params | {"b_z": np.full(3, 1e3)})
    np.testing.assert_array_equal(new, rows["H"])


def test_the_misprinted_lstm_is_not_an_lstm():
    """It is one where b_f = 0 and the input gate shares the candidate's weights, and only there."""
    rows, params = arguments(lstm_misprint, 4)
    original = params | {"W_i": params["W_C"], "b_i": params["b_C"], "b_f": np.zeros(3)}
    no_bias = run(lstm_misprint, rows, params | {"b_f": np.zeros(2)})
    for a, b in zip(no_bias, run(CELLS["lstm_concat"], rows, original), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    assert np.abs(no_bias[0] - run(lstm_misprint, rows, params)[0]).max() > 1e-2
    assert lstm_misprint.name not in CELLS


def test_reset_before_and_after_the_product_are_different_functions():
    """article 001's GRU resets before the recurrent product, torch's after: with U diagonal they agree."""
    rows, params = arguments(CELLS["gru"], 4)
    params["b_h"] *= 0

    def as_torch(p):
        return {
            "weight_ih": np.hstack([p[f"W_x{g}"] for g in "rzh"]).T,
            "weight_hh": np.hstack([p[f"W_h{g}"] for g in "rzh"]).T,
            "bias_ih": np.hstack([p[f"b_{g}"] for g in "rzh"]),
            "bias_hh": np.zeros(9),
        }

    torch_rows = {"h": rows["H"], "x": rows["X"]}
    before, after = run(CELLS["gru"], rows, params), run(CELLS["torch_gru"], torch_rows, as_torch(params))
    assert np.abs(before[0] - after[0]).max() > 1e-2
    params["W_hh"] = np.diag([0.5, -1.0, 2.0])
    before, after = run(CELLS["gru"], rows, params), run(CELLS["torch_gru"], torch_rows, as_torch(params))
    np.testing.assert_allclose(before[0], after[0], rtol=1e-13)


# ---- read-outs, generic cells, losses -------------------------------------------------------------------
def test_article_000_with_any_f_and_g():
    """h_t = f(i_t, h_{t-1}, w_h), o_t = g(h_t, w_o), L = (1/T) sum l(o_t, y_t)."""
    c = generic(
        lambda i, h, w: mg.sin(mg.concatenate([h, i]) @ w), lambda h, w: (h * h) @ w,
        h="n", i="d", w_h="n+d n", w_o="n q",
    )  # fmt: skip
    sizes = {"n": 3, "d": 2, "q": 4}
    w = c.init(0, **sizes)
    xs, targets = np.random.default_rng(1).standard_normal((5, 2)), np.ones((5, 4))
    u = unroll(c, np.zeros(3), xs, w)
    h, total = np.zeros(3), 0.0
    for x, y in zip(xs, targets, strict=True):
        h = np.sin(np.array([*h, *x]) @ w["w_h"].numpy())
        total += ((h * h @ w["w_o"].numpy() - y) ** 2).mean()
    loss = u.loss(mg.mse, targets)
    np.testing.assert_allclose(loss.item(), total / 5, rtol=1e-13)
    assert [o.name for o in u.outputs] == ["o"] * 5
    loss.backward()
    with_scan = mg.grad(lambda w: mg.mse(mg.scan(c, mg.zeros(3), xs, w)[1], targets))(w)
    for k in w:
        np.testing.assert_allclose(w[k].grad.numpy(), with_scan[k].numpy(), rtol=1e-12)


def test_article_002_reads_one_hot_words():
    """s_t = f(U x_t + W s_{t-1}), o_t = softmax(V s_t), cross-entropy of the probabilities."""
    c = CELLS["rnn_words"].then(softmax_readout)
    words = np.array([3, 0, 4, 1, 4])
    p = c.init(0, n=3, d=5, q=5)
    u = unroll(c, np.zeros(3), mg.one_hot(words[:-1], 5), p)
    s, total = np.zeros(3), 0.0
    for x, y in pairwise(words):
        s = np.tanh(p["U"].numpy()[x] + s @ p["W"].numpy())  # a one-hot word chooses a row of U
        e = np.exp(s @ p["V"].numpy())
        total -= np.log(e[y] / e.sum())
    np.testing.assert_allclose(u.loss(mg.nll, words[1:]).item(), total / 4, rtol=1e-13)
    np.testing.assert_allclose(sum(o.numpy().sum() for o in u.outputs), 4, rtol=1e-13)
    with pytest.raises(mg.ShapeError, match=r"nll: probabilities \(5,\) need a target"):
        u.loss(mg.nll, [np.zeros(3)] * 4)


def test_cross_entropy_of_logits_is_nll_of_their_softmax():
    z, y = mg.randn(4, 6, seed=1, requires_grad=True), np.array([0, 5, 2, 2])
    a, b = mg.cross_entropy(z, y), mg.nll(mg.softmax(z), mg.one_hot(y, 6))
    np.testing.assert_allclose(a.item(), b.item(), rtol=1e-13)
    ga, gb = mg.grad(lambda z: mg.cross_entropy(z, y))(z), mg.grad(lambda z: mg.nll(mg.softmax(z), y))(z)
    np.testing.assert_allclose(ga.numpy(), gb.numpy(), rtol=1e-12, atol=1e-15)


def test_a_readout_must_fit():
    other = cell(h="m", V="m q")(lambda h, *, V: h @ V)
    with pytest.raises(mg.ShapeError, match=r"rnn: state h \(n,\) does not fit the read-out"):
        CELLS["rnn"].then(other)
    clash = cell(h="n", W="n q")(lambda h, *, W: h @ W)
    with pytest.raises(TypeError, match="both have a parameter W; rename one"):
        CELLS["rnn"].then(clash)


# ---- declarations ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "shape", "written"),
    [
        ("", (), "()"),
        ("n", (3,), "(n,)"),
        ("n+d 4*n", (5, 12), "(n+d, 4*n)"),
        ("4n d+1", (12, 3), "(4*n, d+1)"),
        ("7 2*n+3*d", (7, 12), "(7, 2*n+3*d)"),
    ],
)
def test_shapes_are_read(text, shape, written):
    axes = parse_sizes(text)
    assert tuple(evaluate(s, SIZES) for s in axes) == shape
    assert shape_text(axes) == written


@pytest.mark.parametrize("text", ["n-1", "n*m", "+", "n+", "2.5", "n,d"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(ValueError, match=r"cannot read .*; write names such as n, n\+d or 4\*n"):
        parse_sizes(text)


def plain(h, /, x, *, W):
    return mg.tanh(h + x @ W)


def test_what_is_no_declaration_is_refused():
    with pytest.raises(TypeError, match=r"cell plain: no shape for \['W'\]; write @cell\(W="):
        cell(h="n", x="d")(plain)
    with pytest.raises(TypeError, match=r"cell plain: shapes for \['b'\], which are not its arguments"):
        cell(h="n", x="d", W="d n", b="n")(plain)
    with pytest.raises(TypeError, match=r"\*args and \*\*kwargs have no shapes"):
        cell(h="n")(lambda h, /, *xs: h)


def test_sizes_are_asked_for_by_name():
    c = CELLS["rnn"]
    with pytest.raises(mg.ShapeError, match=r"rnn: W has the shape \(d, n\); pass its size as d=\.\.\."):
        c.init(n=3)
    with pytest.raises(mg.ShapeError, match=r"rnn: no argument has a size hidden; its sizes are \['d'"):
        c.init(hidden=3, d=2)
    with pytest.raises(mg.ShapeError, match="rnn: size n=0; pass at least 1"):
        c.zero_state(n=0)


@every_cell
def test_initial_parameters_are_torchs(c):
    """U(-1/sqrt n, 1/sqrt n), repeatable, in the dtype asked for, requiring gradients, named."""
    sizes = {"n": 100, "d": 7}
    p, again, other = (c.init(s, "float32", **sizes) for s in (0, 0, 1))
    for name in c.params:
        assert p[name].shape == c.shape(name, sizes)
        assert p[name].dtype == np.float32
        assert p[name].requires_grad
        assert p[name].name == name
        assert 0.06 < np.abs(p[name].numpy()).max() <= 0.1
        np.testing.assert_array_equal(p[name].numpy(), again[name].numpy())
        assert (p[name].numpy() != other[name].numpy()).any()
    for s in c.zero_state(2, **sizes):
        assert s.shape == (2, 100)
        assert not s.numpy().any()


def test_a_cell_is_shown_by_its_signature():
    assert repr(CELLS["rnn"]) == "<cell rnn(h, /, i, *, W, U, b)>"


# ---- cells without declarations -------------------------------------------------------------------------
def bare(c):
    """The plain function inside a cell."""
    return c.fn


@every_cell
def test_shapes_are_read_off_examples(c):
    """as_cell finds what @cell declares, for every cell of the table."""
    examples = {a: np.zeros(c.shape(a, {"n": 5, "d": 3})) for a in c.sizes}
    found = as_cell(bare(c), **examples)
    assert found.sizes == c.sizes
    assert (found.states, found.inputs, found.params) == (c.states, c.inputs, c.params)


def test_a_size_of_its_own_gets_a_name():
    found = as_cell(lambda h, *, W, V: (h @ W) @ V, h=np.zeros(3), W=np.zeros((3, 7)), V=np.zeros((7, 11)))
    assert [found.shape_text(a) for a in "hWV"] == ["(d,)", "(d, q)", "(q, q2)"]


def test_as_cell_guesses_nothing():
    with pytest.raises(ValueError, match="size 3 of argument h can be read as n or d; give examples"):
        as_cell(plain, h=np.zeros(3), x=np.zeros(3), W=np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"size 4 of argument x can be read as d or 2\*n"):
        as_cell(plain, h=np.zeros(2), x=np.zeros(4), W=np.zeros((4, 6)))
    with pytest.raises(TypeError, match=r"as_cell plain: no example for \['W'\]"):
        as_cell(plain, h=np.zeros(3), x=np.zeros(2))
    with pytest.raises(TypeError, match=r"examples for \['b'\], which are not its arguments"):
        as_cell(plain, h=np.zeros(3), x=np.zeros(2), W=np.zeros((2, 3)), b=np.zeros(3))


@pytest.mark.parametrize(
    "run", [lambda c: c(mg.randn(2, 3), mg.randn(2, 4), W=mg.randn(4, 3)), mg.draw], ids=["called", "drawn"]
)
def test_a_function_of_numpy_in_a_cell_is_refused_with_what_to_call_and_its_line(run):
    @cell(h="n", x="d", W="d n")
    def of_numpy(h, /, x, *, W):
        return np.tanh(x @ W + h)

    with pytest.raises(
        TypeError, match=r"call minigrad's function of that name \(in .*test_cells.*np\.tanh\(x @ W"
    ):
        run(of_numpy)
