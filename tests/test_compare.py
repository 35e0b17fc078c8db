"""compare: two cells are one function, one is the other under a map of weights, or they differ, and where."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import runpy
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import cell, concatenate, exp, layer_norm, relu, sigmoid, split, tanh
from minigrad.cells import CELLS, VARIANTS, Cell, affine, variants
from minigrad.cells.cell import EQUATIONS
from minigrad.cells.find import find_cell
from minigrad.domains.contractions import Sum
from minigrad.engine.errors import ShapeError
from minigrad.prove.compare import compare
from minigrad.prove.compare.substitution import OUTER, collected
from minigrad.prove.compare.unsolvable import _solved

ALL = CELLS | VARIANTS
EQUAL, MAPPED, DIFFERENT, UNKNOWN = "equal", "equal up to a map of weights", "different", "unknown"

VERDICTS = {
    ("lstm", "lstm_concat"): MAPPED,
    ("lstm", "torch_lstm"): MAPPED,
    ("torch_lstm", "haiku_lstm"): MAPPED,
    ("gru", "gru_writes"): MAPPED,
    ("rnn", "torch_rnn_tanh"): MAPPED,
    ("gru", "gru_concat"): DIFFERENT,
    ("gru", "torch_gru"): DIFFERENT,
    ("gru_writes", "torch_gru"): DIFFERENT,
    ("lstm_concat", "lstm_misprint"): DIFFERENT,
    ("lstm", "lstm_misprint"): DIFFERENT,
    ("lstm_concat", "lstm_peephole"): DIFFERENT,
    ("lstm_coupled", "lstm_concat"): DIFFERENT,
    ("mgu", "gru_writes"): DIFFERENT,
    ("rnn", "rnn_words"): DIFFERENT,
    ("rnn", "torch_rnn_relu"): DIFFERENT,
    ("lstm", "gru"): DIFFERENT,
}


def arrays(c: Cell, seed: int = 0, **sizes: int):
    """A state, an input and parameters of a cell, as Tensors."""
    rng = np.random.default_rng(seed)
    shapes = {n: c.shape(n, sizes) for n in c.sizes}
    named = {n: mg.tensor(rng.normal(size=(2, *s) if n not in c.params else s)) for n, s in shapes.items()}
    return [named[n] for n in c.states + c.inputs], {p: named[p] for p in c.params}


def outputs(c: Cell, args, params):
    new, y = c.outputs(c(*args, **params))
    return [t.numpy() for t in (*new, y)]


def agree(direction, a: Cell, b: Cell, **sizes: int) -> None:
    """The map of a direction gives b the function of a, in floats."""
    args, params = arrays(a, **sizes)
    if direction.where is not None:
        params = direction.where(params)
    known = {name for p in a.params for size in a.sizes[p] for name in size}
    made = direction.weights(params, **{n: k for n, k in sizes.items() if n not in known})
    for x, y in zip(outputs(a, args, params), outputs(b, args, made), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-13)


@functools.cache
def compared(a: str, b: str):
    return compare(ALL[a], ALL[b])


each_pair = pytest.mark.parametrize(("names", "verdict"), VERDICTS.items(), ids=map("-".join, VERDICTS))


# ---- verdicts ----------------------------------------------------------------------------------
@each_pair
def test_the_verdict_and_its_maps_hold_in_floats(names, verdict):
    """Proved on formulas; here the same maps are applied to numbers, by another path."""
    a, b = (ALL[n] for n in names)
    found = compared(*names)
    assert found.verdict == verdict
    assert bool(found) == (verdict != DIFFERENT)
    for direction, source, target in ((found.forward, a, b), (found.backward, b, a)):
        if direction is not None and direction.proved:
            agree(direction, source, target, n=3, d=2)


@pytest.mark.parametrize("c", ALL.values(), ids=list(ALL))
def test_a_cell_is_equal_to_itself(c):
    found = compare(c, c)
    assert found.verdict == EQUAL
    assert f"{c.name} and {c.name} are the same function" in str(found)


@each_pair
def test_a_difference_has_a_certified_point(names, verdict):
    found = compared(*names)
    if verdict == DIFFERENT and found.forward is not None:
        assert found.failing.excluded
        assert found.point.got != found.point.true
        assert "(certified)" in str(found)
        assert f"no weights of {found.failing.target} give {found.failing.source}, gate for gate" in str(
            found
        )
    elif found:
        assert found.point is None


FIRST = {
    ("gru", "torch_gru"): ("H_tilda", "n", "R acts before the product with W_hh in gru, after the product"),
    ("gru", "gru_concat"): ("H_tilda", "h_tilde", ""),
    ("lstm_concat", "lstm_misprint"): ("f", "f", ""),
    ("lstm_concat", "lstm_peephole"): ("f", "f", ""),
    ("lstm_coupled", "lstm_concat"): ("C", "C", ""),
    ("rnn", "rnn_words"): ("h", "s", ""),
    ("rnn", "torch_rnn_relu"): ("", "sign", "the sign in a relu"),
}


@pytest.mark.parametrize(("names", "first"), FIRST.items(), ids=map("-".join, FIRST))
def test_the_first_gate_that_differs_is_named_as_in_the_code(names, first):
    m = compared(*names).mismatches[0]
    assert sorted([m.a, m.b]) == sorted(first[:2])
    assert m.why.startswith(first[2])


def test_every_variant_is_found_by_its_name():
    assert VARIANTS == {name: c for name, c in vars(variants).items() if isinstance(c, Cell)}
    assert all(find_cell(name) is c for name, c in VARIANTS.items())


def test_a_difference_is_printed_with_the_terms_one_below_the_other():
    assert str(compared("gru", "gru_concat")).splitlines()[1:4] == [
        "  H_tilda (h_tilde in gru_concat) differs",
        "    in gru:        b_h[j]",
        "    in gru_concat: nothing",
    ]


def test_the_page_is_what_the_command_prints(capsys):
    docs = Path(__file__).parents[1] / "docs"
    runpy.run_path(str(docs / "compare.py"), run_name="__main__")
    assert (docs / "compare.md").read_text() == capsys.readouterr().out, (
        "docs/compare.md is old: python docs/compare.py > docs/compare.md"
    )


def test_equation_9_of_article_001_has_no_bias_and_the_code_has_one():
    found = compared("gru", "gru_concat")
    (m,) = found.mismatches
    assert (m.only_a, m.only_b) == ("b_h[j]", "")
    assert found.forward.requires == "b_h = 0"
    assert found.backward.exact
    assert found.backward.weights.text("b_h") == "0"


def test_article_002s_lstm_is_a_special_case_of_article_001s():
    found = compared("lstm_concat", "lstm_misprint")
    assert [(m.a, m.b) for m in found.mismatches] == [("f", "f"), ("i", "i")]
    assert found.mismatches[0].only_b == "sum_k<d W_f[n:][k,j] b_f[k]"
    assert found.forward.requires == "b_f = 0, W_i = W_C, b_i = b_C"
    back = found.backward.weights
    assert found.backward.exact
    assert {p: back.text(p) for p in back.changed()} == {
        "b_f": "sum_k<d W_f[n:][k,j] b_f[k]", "W_i": "W_C", "b_i": "b_C",
    }  # fmt: skip


def test_the_maps_are_stated_and_losses_named():
    found = compared("lstm", "torch_lstm")
    assert str(found.weights).splitlines() == [
        "weight_ih = [W_xi.T; W_xf.T; W_xc.T; W_xo.T]",
        "weight_hh = [W_hi.T; W_hf.T; W_hc.T; W_ho.T]",
        "bias_ih = [b_i, b_f, b_c, b_o]",
        "bias_hh = 0",
    ]
    assert found.forward.lost == ()
    assert found.backward.lost == ("bias_ih", "bias_hh")
    assert found.backward.weights.text("b_f") == "bias_ih[n:2*n] + bias_hh[n:2*n]"
    assert compared("lstm", "lstm_concat").backward.lost == ()
    assert compared("gru", "gru_writes").weights.text("U_z") == "-W_hz"
    haiku = compared("torch_lstm", "haiku_lstm").weights
    assert "-1 + bias_ih[n:2*n] + bias_hh[n:2*n]" in haiku.text("b")


def test_a_map_is_plain_data_too():
    data = compared("rnn", "torch_rnn_tanh").weights.to_data()
    assert data == json.loads(json.dumps(data))
    assert data["weight_ih"] == [
        {"block": [0, 0], "terms": [{"coefficient": "1", "factors": [["W", [], "ji", 1]]}]}
    ]
    assert data["bias_hh"] == [{"block": [0], "terms": []}]


def test_a_map_of_weights_is_a_function_of_tensors():
    """Gradients flow through it, and it keeps float32."""
    w = compared("lstm", "torch_lstm").weights
    params = CELLS["lstm"].init(0, dtype="float32", n=3, d=2)
    made = w(params)
    assert {t.dtype for t in made.values()} == {np.dtype("float32")}
    mg.sum(made["weight_ih"] * made["weight_ih"]).backward()
    np.testing.assert_array_equal(params["W_xi"].grad.numpy(), 2 * params["W_xi"].numpy())


# ---- cells of a user ---------------------------------------------------------------------------
@cell(h="n", x="d", W="d n", U="n n", g="n", c="n")
def normed(h, /, x, *, W, U, g, c):
    """Layer-normalised RNN."""
    return tanh(layer_norm(x @ W + h @ U, g, c))


@cell(s="m", u="k", A="k m", B="m m", p="m", q="m")
def normed_too(s, /, u, *, A, B, p, q):
    """The same in other letters."""
    return tanh(layer_norm(s @ B + u @ A, p, q))


@cell(h="n", x="d", L="n", W="d n")
def decay(h, /, x, *, L, W):
    """Leaky integrator."""
    a = sigmoid(L)
    return a * h + (1 - a) * (x @ W)


@cell(h="n", x="d", K="n", V="n d")
def decay_too(h, /, x, *, K, V):
    """The same, the gate negated, the weights transposed."""
    a = sigmoid(K)
    return (1 - a) * h + a * (x @ V.T)


@cell(h="n", x="d", A="n r", B="r n", W="d n")
def low_rank(h, /, x, *, A, B, W):
    """Recurrence of rank r."""
    return tanh(x @ W + h @ A @ B)


@cell(h="n", x="d", A="n r", B="n r", W="d n")
def low_rank_too(h, /, x, *, A, B, W):
    """The same with B transposed."""
    return tanh(x @ W + h @ A @ B.T)


@cell(h="n", x="d", W="d n", U="n n")
def full(h, /, x, *, W, U):
    """No bias."""
    return tanh(x @ W + h @ U)


@cell(h="n", x="d", W="d n", u="n")
def diagonal(h, /, x, *, W, u):
    """Each unit sees itself alone."""
    return tanh(x @ W + u * h)


@cell(h="n", x="d", W="d n", a="")
def one_number(h, /, x, *, W, a):
    """All units share one recurrent weight."""
    return tanh(x @ W + a * h)


@cell(h="n", x="d", W="d n", U="n n")
def logistic(h, /, x, *, W, U):
    """tanh written as a sigmoid, of half the argument."""
    return 2 * sigmoid(x @ W + h @ U) - 1


@cell(h="p", c="n", x="d", W="p+d 4*n", b="4*n", P="n p")
def projected(h, c, /, x, *, W, b, P):
    """LSTM with a projection."""
    i, f, g, o = split(concatenate([h, x], axis=-1) @ W + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return (sigmoid(o) * tanh(c)) @ P, c


@cell(c="n", h="p", x="d", V="d 4*n", W="p 4*n", b="4*n", P="p n")
def projected_too(c, h, /, x, *, V, W, b, P):
    """The same: states exchanged, gates in another order, weights split, P transposed."""
    f, i, o, g = split(h @ W + x @ V + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return c, (sigmoid(o) * tanh(c)) @ P.T


@cell(h="n", x="d", W="d n", U="n n")
def rectified(h, /, x, *, W, U):
    """A relu, and a linear recurrence."""
    return relu(x @ W) + h @ U


@cell(h="n", x="d", W="d n", U="n n")
def rectified_too(h, /, x, *, W, U):
    """The same, scaled inside and out."""
    return 2 * relu(x @ W) - h @ U


@cell(h="n", x="d", W="d n", U="n n")
def residual(h, /, x, *, W, U):
    """The old state is added."""
    return h + tanh(x @ W + h @ U)


@cell(h="n", x="d", W="d n", U="n n", V="n n")
def residual_too(h, /, x, *, W, U, V):
    """The old state is added, times a matrix."""
    return h @ V + tanh(x @ W + h @ U)


@cell(h="n", x="d", W="d n", U="n n")
def exponential(h, /, x, *, W, U):
    """A function of another kind."""
    return exp(-(x @ W + h @ U))


OWN = [
    (normed, normed_too, MAPPED), (decay, decay_too, MAPPED), (low_rank, low_rank_too, MAPPED),
    (projected, projected_too, MAPPED), (logistic, full, MAPPED), (rectified, rectified_too, MAPPED),
    (full, diagonal, DIFFERENT), (diagonal, one_number, DIFFERENT), (residual, full, DIFFERENT),
    (residual_too, residual, DIFFERENT), (full, CELLS["rnn"], DIFFERENT),
    (low_rank, full, UNKNOWN), (exponential, full, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "verdict"), OWN, ids=lambda x: getattr(x, "name", ""))
def test_cells_of_a_user(a, b, verdict):
    found = compare(a, b)
    assert found.verdict == verdict
    sizes = {n: k for n, k in zip(("n", "d", "p", "r"), (3, 2, 2, 2), strict=True)}
    source, target = found.forward, found.backward
    if verdict == MAPPED:
        assert source.exact
        assert target.exact
    if source.proved and a.states == b.states and a.inputs == b.inputs:
        agree(source, a, b, **{n: k for n, k in sizes.items() if n in str(a.sizes) + str(b.sizes)})


def test_states_in_another_order_and_other_names_of_sizes():
    @cell(memory="m", out="m", u="e", w="m+e 4*m", b="4*m")
    def mine(memory, out, /, u, *, w, b):
        o, g, f, i = split(concatenate([out, u], axis=-1) @ w + b, 4)
        memory = sigmoid(f) * memory + sigmoid(i) * tanh(g)
        return memory, sigmoid(o) * tanh(memory)

    found = compare(CELLS["lstm"], mine)
    assert found.verdict == MAPPED
    assert found.weights.text("b") == "[b_o, b_c, b_f, b_i]"


def test_every_diagonal_recurrence_is_a_full_one():
    found = compare(full, diagonal)
    assert found.backward.exact
    assert "delta" in found.backward.weights.text("U")
    agree(found.backward, diagonal, full, n=3, d=2)


def test_read_outs_are_compared():
    rnn = CELLS["rnn"]
    assert compare(rnn.then(affine), rnn.then(affine)).verdict == EQUAL
    assert compare(rnn.then(affine), rnn).verdict == UNKNOWN  # (batch, q) against the state (batch, n)
    assert compare(rnn.then(affine), CELLS["torch_rnn_tanh"].then(affine)).verdict == MAPPED


def test_what_cannot_be_matched_is_said():
    assert "lstm has 2 state(s) (H, C), gru has 1 (H)" in str(compare(CELLS["lstm"], CELLS["gru"]))
    found = compare(projected, CELLS["lstm"])
    assert found.verdict == DIFFERENT
    assert "no names of sizes make these the same" in str(found)


def test_a_cell_that_sizes_cannot_run_is_unknown_with_the_reason():
    @cell(h="n", x="d", W="d n")
    def odd(h, /, x, *, W):
        return tanh(x @ W) + mg.sum(h[:, ::2])

    found = compare(odd, CELLS["rnn"])
    assert found.verdict == UNKNOWN
    assert "a slice with step 2" in str(found)


def test_too_many_gates_are_unknown_not_different():
    def gates(scale: int):
        @cell(h="n", x="d", W="d 8*n", U="n 8*n")
        def many(h, /, x, *, W, U):
            s = [sigmoid(g) for g in split(x @ W + h @ U, 8)][:: 1 if scale == 1 else -1]
            return s[0] * h + s[1] * s[2] * s[3] + s[4] * s[5] * h * h - s[6] * s[7] * (scale * scale)

        return many

    assert compare(gates(1), gates(-1)).verdict == MAPPED
    found = compare(gates(1), gates(2))
    assert found.verdict == UNKNOWN
    assert "not all were tried" in str(found)


# ---- a map that is given -----------------------------------------------------------------------
KERAS = {
    "W_f": lambda p: concatenate([p["W_hf"], p["W_xf"]], axis=0), "b_f": "b_f",
    "W_i": lambda p: concatenate([p["W_hi"], p["W_xi"]], axis=0), "b_i": "b_i",
    "W_C": lambda p: concatenate([p["W_hc"], p["W_xc"]], axis=0), "b_C": "b_c",
    "W_o": lambda p: concatenate([p["W_ho"], p["W_xo"]], axis=0), "b_o": lambda p: p["b_o"],
}  # fmt: skip


def test_a_given_map_is_proved_or_refuted():
    a, b = CELLS["lstm"], CELLS["lstm_concat"]
    assert compare(a, b, KERAS).verdict == MAPPED
    found = compare(a, b, KERAS | {"b_f": "b_i"})
    assert found.verdict == DIFFERENT
    assert found.point is not None
    assert compare(a, a, {p: p for p in a.params}).verdict == MAPPED


@pytest.mark.parametrize(
    ("weights", "error", "match"),
    [
        (
            {k: v for k, v in KERAS.items() if k != "b_f"},
            TypeError,
            "no weights for parameter b_f of lstm_conc",
        ),
        (KERAS | {"b_q": "b_f"}, TypeError, "weights for b_q, which is not a parameter of lstm_concat"),
        (KERAS | {"b_f": "b_F"}, TypeError, "b_f from b_F, which is not a parameter of lstm"),
        (KERAS | {"W_f": "W_hf"}, ShapeError, r"weights for W_f of lstm_concat have the shape \(n, n\)"),
    ],
)
def test_a_given_map_that_does_not_fit_is_an_error(weights, error, match):
    with pytest.raises(error, match=match):
        compare(CELLS["lstm"], CELLS["lstm_concat"], weights)


def test_sizes_that_a_map_cannot_know_are_asked_for():
    found = compare(low_rank, full)
    with pytest.raises(ValueError, match=r"size r cannot be read off the parameters of full; pass r="):
        found.backward.weights(full.init(0, n=3, d=2))


# ---- laws --------------------------------------------------------------------------------------
@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations("ifgo"), negated=st.sets(st.sampled_from("ifgo")), turned=st.booleans(),
    input_first=st.booleans(), twice=st.booleans(),
)  # fmt: skip
def test_every_way_to_lay_out_an_lstm_is_found(order, negated, turned, input_first, twice):
    """Gates in any order, any of them negated, weights transposed, [x, h] or [h, x], one bias or two."""
    rows = "d+n" if input_first else "n+d"

    @cell(h="n", c="n", x="d", W=f"4*n {rows}" if turned else f"{rows} 4*n", b="4*n", b2="4*n")
    def mine(h, c, /, x, *, W, b, b2):
        a = concatenate([x, h] if input_first else [h, x], axis=-1) @ (W.T if turned else W) + b
        gates = dict(zip(order, split(a + b2 if twice else a + 0 * b2, 4), strict=True))
        i, f, o = ((1 - sigmoid(gates[k])) if k in negated else sigmoid(gates[k]) for k in "ifo")
        g = -tanh(gates["g"]) if "g" in negated else tanh(gates["g"])
        c = f * c + i * g
        return o * tanh(c), c

    found = compare(CELLS["lstm"], mine)
    assert found.verdict == MAPPED
    agree(found.forward, CELLS["lstm"], mine, n=2, d=3)
    agree(found.backward, mine, CELLS["lstm"], n=2, d=3)


SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add}
FUNCTIONS = {"sigmoid": "tanh", "tanh": "sigmoid"}


def mutants(c: Cell):
    """The cell with one operation of its code changed, for each operation that has another."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(c.fn)))
    tree.body[0].decorator_list = []
    places = [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and type(n.op) in SWAPS]
    places += [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in FUNCTIONS]
    for n in places:
        before = n.op if isinstance(n, ast.BinOp) else n.id
        if isinstance(n, ast.BinOp):
            n.op = SWAPS[type(n.op)]()
        else:
            n.id = FUNCTIONS[n.id]
        scope = vars(inspect.getmodule(c.fn)) | {"sigmoid": sigmoid, "tanh": tanh}
        exec(compile(ast.fix_missing_locations(tree), "mutant", "exec"), scope)
        if isinstance(n, ast.BinOp):
            n.op = before
        else:
            n.id = before
        fn = scope[c.fn.__name__]
        yield Cell(fn, f"{c.name} mutant", c.states, c.inputs, c.params, c.sizes)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru_concat", "torch_gru"])
def test_a_planted_difference_is_found_and_only_a_difference(name):
    """With weights as they are, compare agrees with numbers for every change of one operation."""
    c = CELLS[name]
    args, params = arrays(c, n=3, d=2)
    expected, seen = outputs(c, args, params), set()
    for mutant in mutants(c):
        try:
            got = outputs(mutant, args, params)
        except ValueError:
            continue  # shapes do not fit any more
        same = all(np.allclose(x, y, rtol=1e-10) for x, y in zip(expected, got, strict=True))
        found = compare(c, mutant, {p: p for p in c.params})
        assert found.verdict == (MAPPED if same else DIFFERENT)
        seen.add(found.verdict)
    assert DIFFERENT in seen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=5))
def test_linear_equations_have_no_solution_exactly_where_ranks_say_so(rows):
    """Three unknowns and a constant: a contradiction if and only if the augmented rank is higher."""
    names = [(("u", (k,)),) for k in range(3)]
    found = _solved([{k: Fraction(c) for k, c in zip([*names, ()], row, strict=True) if c} for row in rows])
    matrix = np.array(rows, float)
    contradiction = np.linalg.matrix_rank(matrix) > np.linalg.matrix_rank(matrix[:, :3])
    assert (found is None) == contradiction
    if found:
        full_rank = np.linalg.lstsq(matrix[:, :3], -matrix[:, 3], rcond=None)[0]
        for (_, (k,)), v in found.items():
            assert float(v) == pytest.approx(full_rank[k], abs=1e-9)


def test_terms_are_collected_without_loss():
    """What weights multiply, times these weights, summed over the shared indices, is the sum again."""
    w, u, x, r = (lambda *i, n=n: Sum.factor(n, i) for n in "wuxr")
    e = (w(-5, -1) * x(-2, -5) * r(-2, -5)).sum_over(-5, "n") + u(-1) * x(-2, -1) * x(-2, -1).scale(3) + u(-1)
    back = Sum()
    for key, weights in collected(e, "wu".__contains__, {-2}).items():
        term, outer = weights, OUTER
        for name, power, kept in key:
            idx = tuple(i or (outer := outer - 1) + 1 for i in kept)
            term = term * Sum.factor(name, idx, power)
        for index in range(outer + 1, OUTER + 1):
            term = term.sum_over(index, "n")
        back = back + term
    assert back == e


def test_equations_of_the_examples_are_watched():
    assert id(full.fn.__code__) in EQUATIONS  # so that gates are called what their code calls them
