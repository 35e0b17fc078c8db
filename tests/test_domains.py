"""Number domains: what each guarantees of its numbers (that they agree is a law of the table)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from examples_table import EXAMPLES
from numpy.testing import assert_allclose, assert_array_equal

import minigrad as mg
from minigrad.domains.floats import COMPLEX, FLOATS
from minigrad.domains.source import SOURCE, Code
from minigrad.domains.symbols import SYMBOLS, IsMax, Sign, Tanh, array, exact, symbol_tensor
from minigrad.engine.core import TABLE, domain_of, leaf

x, y = sp.symbols("x y", real=True)


# ---- which domain speaks -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("raw", "domain"),
    [
        (np.ones(2), FLOATS),
        (np.ones(2, "float32"), FLOATS),
        (np.ones(2, int), FLOATS),
        (np.ones(2, bool), FLOATS),
        (np.ones(2, complex), COMPLEX),
        (array("a", 2), SYMBOLS),
        (np.empty(0, object), SYMBOLS),
        (x * y, SYMBOLS),
        ((np.ones(2), np.ones(3)), FLOATS),
        (Code("a"), SOURCE),
    ],
    ids=lambda v: type(v).__name__,
)
def test_the_domain_of_a_raw_value(raw, domain):
    assert domain_of(raw) is domain


def test_mixed_domains_go_to_the_more_general_one():
    f, c, s = mg.tensor([1.0, 2.0]), leaf(np.array([1j, 2.0])), symbol_tensor("a", 2)
    assert [(f * c).m, (c * f).m, (f * s).m, (s + 1).m] == [COMPLEX, COMPLEX, SYMBOLS, SYMBOLS]
    assert (s * mg.tensor([0.5, 0.1])).value.tolist() == [s.value[0] / 2, s.value[1] / 10]


def test_ints_stay_indices_among_formulas():
    table, i = symbol_tensor("w", 3, 2), mg.tensor([2, 0, 2])
    rows = table[i]
    assert (rows.value == table.value[[2, 0, 2]]).all()
    (rows.sum() * 3).backward()
    assert table.grad.value.tolist() == [[3, 3], [0, 0], [6, 6]]


# ---- symbols -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("c", "value"),
    [
        (1, 1),
        (True, 1),
        (np.int64(3), 3),
        (0.1, sp.Rational(1, 10)),
        (np.float64(0.5), sp.Rational(1, 2)),
        (Fraction(1, 3), sp.Rational(1, 3)),
        (x, x),
        (np.bool_(False), 0),
        (1e-3, sp.Rational(1, 1000)),
    ],
)
def test_constants_are_the_rationals_they_are_written_as(c, value):
    assert exact(c) == value
    assert isinstance(exact(c), sp.Basic)


@pytest.mark.parametrize("c", [np.inf, -np.inf, np.nan])
def test_a_constant_that_is_not_a_number_is_refused(c):
    with pytest.raises(ValueError, match="is not an exact number; formulas need finite constants"):
        exact(c)


def test_opaque_functions_have_their_derivatives_and_values():
    at = {x: sp.Rational(7, 10), y: sp.Rational(3, 10)}
    values = [f.subs(at).evalf() for f in (Tanh(x * y), Sign(x - y), IsMax(x, x, y), IsMax(y, x, y))]
    assert_allclose([float(v) for v in values], [np.tanh(0.21), 1, 1, 0], rtol=1e-15)
    assert Tanh(x).diff(x) == 1 - Tanh(x) ** 2
    assert [Sign(x).diff(x), IsMax(x, x, y).diff(x)] == [0, 0]
    assert [Tanh(sp.S(0)), Tanh(-x), Sign(-x), Sign(sp.S(-3))] == [0, -Tanh(x), -Sign(x), -1]


def test_arrays_of_symbols_are_named_by_their_place():
    assert [str(s) for s in array("W", 2, 2).flat] == ["W_0_0", "W_0_1", "W_1_0", "W_1_1"]
    assert array("b").item() == sp.Symbol("b", real=True)


# ---- complex -----------------------------------------------------------------------------------
def test_the_complex_step_sees_no_difference_at_a_branch():
    """Where a rule compares, it compares real parts."""
    h = 1e-30j
    a, b = leaf(np.array([1 + h, -1 + h])), leaf(np.array([1.0 + 0j, -1.0]))
    assert (a == b).tolist() == [True, True]
    assert (a > b).tolist() == [False, False]
    assert_array_equal(mg.maximum(a, 0.0).numpy().imag, [1e-30, 0])


# ---- floats ------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [0, 1, 2])
def test_matmul_folds_leading_axes_into_one_product(n, rng):
    a, b = rng.standard_normal((n, 2, 3)), rng.standard_normal((3, 4))
    assert_allclose(FLOATS.matmul(a, b), a @ b, rtol=1e-15)


def test_sigmoid_keeps_its_precision_where_gates_need_it():
    t = np.linspace(-20, 40, 101)
    assert_allclose(mg.sigmoid(t).numpy(), 1 / (1 + np.exp(-t)), rtol=1e-7)
    assert mg.sigmoid(-40.0).item() == 0  # as its docstring says


# ---- source ------------------------------------------------------------------------------------
def expressions(rng: np.random.Generator, depth: int, env: dict[str, Any]) -> tuple[Code, Any]:
    """A random expression as text, and the same computed directly."""
    if depth == 0:
        name = str(rng.choice(list(env)))
        return Code(name), env[name]
    (a, u), (b, v) = expressions(rng, depth - 1, env), expressions(rng, int(rng.integers(depth)), env)
    op = rng.choice(["+", "-", "*", "/", "@", "neg", "2-"])
    if op == "neg":
        return -a, -u
    if op == "2-":
        return 2 - a, 2 - u
    if op == "/":
        return a / (b * b + 1), u / (v * v + 1)
    compute = {
        "+": lambda p, q: p + q,
        "-": lambda p, q: p - q,
        "*": lambda p, q: p * q,
        "@": lambda p, q: p @ q,
    }[op]
    return compute(a, b), compute(u, v)


@pytest.mark.parametrize("seed", range(60))
def test_an_expression_means_what_it_was_made_of(seed):
    rng = np.random.default_rng(seed)
    env = {n: rng.uniform(-1, 1, (2, 2)) for n in "abc"}
    text, value = expressions(rng, 5, env)
    assert_allclose(eval(text, {}, env), value, rtol=1e-9)


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.row in ("sigmoid", "add", "sub", "mul", "div", "neg")], ids=str
)
def test_a_value_rule_writes_itself_down(example):
    names = "xy"[: len(example.inputs)]
    text = TABLE[example.row].value(SOURCE, *map(Code, names))
    values = example.floats()
    env = dict(zip(names, values, strict=True)) | {"tanh": np.tanh}
    assert_allclose(eval(text, {}, env), example.run(*example.leaves(values))[0].numpy(), rtol=1e-15)


def test_literals_and_names():
    assert [
        SOURCE.literal(np.ones((2, 3))),
        SOURCE.literal(np.array(2.0)),
        str(SOURCE.lift(np.array(3))),
    ] == [
        "array(2, 3)",
        "2.0",
        "3",
    ]
    assert str(Code("x") * SOURCE.code("-1.0")) == "x * -1.0"
    assert [1 / Code("x"), Code("a") - (Code("b") - 1), 2 * (Code("a") @ "b")] == [
        "1 / x",
        "a - (b - 1)",
        "2 * (a @ b)",
    ]
