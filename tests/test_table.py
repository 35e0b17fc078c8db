"""The laws of the table: each holds for every row, on every example of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from examples_table import EXAMPLES, Example, Fixed, Real
from numpy.testing import assert_allclose, assert_array_equal

from minigrad.domains.symbols import Tanh
from minigrad.engine.core import TABLE, Primitive, Tensor, leaf
from minigrad.engine.grad import grad, hvp, ones_like, reachable, sweep

SMOOTH = [e for e in EXAMPLES if TABLE[e.row].vjp is not None]
CONSTANT = [e for e in EXAMPLES if TABLE[e.row].vjp is None]
each = pytest.mark.parametrize("example", EXAMPLES, ids=str)
each_smooth = pytest.mark.parametrize("example", SMOOTH, ids=str)


def test_every_row_has_an_example_and_every_example_a_row():
    assert {e.row for e in EXAMPLES} == set(TABLE)


def test_a_name_is_taken_once():
    from minigrad.engine.core import define

    with pytest.raises(ValueError, match="primitive 'add' is already in the table; choose another name"):
        define("add", "pointwise", "", lambda m, x: x)


# ---- the vjp is the derivative, exactly --------------------------------------------------------
def is_zero(e: sp.Expr) -> bool:
    """Whether a formula is identically zero: as a fraction of polynomials in exponentials and atoms."""
    numerator, _ = sp.together(in_exponentials(e)).as_numer_denom()
    return sp.expand(numerator) == 0


def in_exponentials(e: Any) -> sp.Expr:
    return sp.sympify(e).replace(Tanh, lambda u: 1 - 2 / (sp.exp(2 * u) + 1))


def vjp_differs(example: Example, rule: Any = None) -> list[sp.Symbol]:
    """The entries at which the engine's vjp is not sympy's derivative of <g, value>.

    rule: a wrong vjp that is planted in the row.
    """
    values = example.symbols()
    xs = example.leaves(values)
    ys = example.run(*xs)
    gs = [Real(y.shape).symbols(f"g{k}") for k, y in enumerate(ys)]
    with planted(ys, TABLE[example.row], rule):
        found = sweep(ys, [leaf(g) for g in gs], xs, graph=False)
    phi = sum(np.sum(g * y.value) for g, y in zip(gs, ys, strict=True))
    phi, wrong = in_exponentials(phi), []
    for x, g, smooth in zip(values, found, example.smooth, strict=True):
        for i in np.ndindex(*x.shape) if smooth else ():
            got = sp.S.Zero if g is None else g.value[i]
            if not is_zero(sp.diff(phi, x[i]) - got):
                wrong.append(x[i])
    return wrong


@contextmanager
def planted(outputs: list[Tensor], row: Primitive, rule: Any) -> Iterator[None]:
    """Within the block, the nodes of that row have another vjp."""
    nodes = [t for t in reachable(outputs) if t.op is row and rule is not None]
    for t in nodes:
        t.op = replace(row, vjp=rule)
    yield
    for t in nodes:
        t.op = row


@each_smooth
def test_the_vjp_is_the_derivative(example):
    assert vjp_differs(example) == []


def faults(row: Primitive, n: int) -> Iterator[tuple[str, Any]]:
    """Wrong vjps of a row: twice the right one, its negative, and each input's forgotten."""
    for text, c in (("doubled", 2), ("negative", -1)):
        yield text, lambda *a, c=c, **p: tuple(None if d is None else d * c for d in row.vjp(*a, **p))
    for k in range(n):
        yield f"none for input {k}", lambda *a, k=k, **p: tuple(
            None if i == k else d for i, d in enumerate(row.vjp(*a, **p))
        )


@pytest.mark.parametrize("row", [r for r in TABLE.values() if r.vjp is not None], ids=str)
def test_a_wrong_vjp_is_refused(row):
    examples = [e for e in SMOOTH if e.row == row.name]
    smooth = [any(e.smooth[k : k + 1] == [True] for e in examples) for k in range(6)]
    for text, rule in faults(row, 6):
        k = int(text[-1]) if text[-1].isdigit() else None
        if k is None or smooth[k]:
            assert any(vjp_differs(e, rule) for e in examples), f"{row} {text}: not seen"


@pytest.mark.parametrize("example", CONSTANT, ids=str)
def test_a_row_without_a_vjp_passes_no_gradient(example):
    xs = example.leaves(example.floats())
    assert [y.requires_grad for y in example.run(*xs)] == [False] * len(example.run(*xs))


@each
def test_formulas_hold_no_floats(example):
    xs = example.leaves(example.symbols())
    ys = example.run(*xs)
    formulas = [y.value for y in ys]
    if TABLE[example.row].vjp is not None:
        formulas += [g.value for g in sweep(ys, [ones_like(y) for y in ys], xs, graph=False) if g is not None]
    entries = [sp.sympify(e) for f in formulas if f.dtype == object for e in f.flat]
    assert [e for e in entries if e.has(sp.Float)] == []


@each_smooth
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rule_gives_the_same_on_arrays_as_on_tensors(example, dtype):
    """A sweep that keeps no graph runs the rules on arrays."""
    values = [np.asarray(v, dtype) if s else v for v, s in zip(example.floats(), example.smooth, strict=True)]
    xs = example.leaves(values)
    ys = example.run(*xs)
    on_arrays, on_tensors = (sweep(ys, [y * 1 for y in ys], xs, graph=graph) for graph in (False, True))
    for a, t in zip(on_arrays, on_tensors, strict=True):
        assert (a is None) == (t is None)
        if a is not None:
            assert a.dtype == t.dtype
            assert_array_equal(a.numpy(), t.numpy())


# ---- the vjp is the derivative, by the complex step --------------------------------------------
H = 1e-30  # no difference is taken, so nothing cancels


def weighted(example: Example, weights: list[np.ndarray]) -> Any:
    """A number from the outputs of a row, with each entry in it."""

    def fn(*xs: Tensor) -> Tensor:
        terms = [(y * w).sum() for y, w in zip(example.run(*xs), weights, strict=True)]
        return sum(terms[1:], terms[0])

    return fn


def with_the_smooth(example: Example, fn: Any) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """fn of the smooth inputs alone, their values, and directions for them."""
    rng, values = np.random.default_rng(1), example.floats()
    places = [i for i, s in enumerate(example.smooth) if s]

    def partial(*chosen: Any) -> Any:
        full = [leaf(v) for v in values]
        for i, c in zip(places, chosen, strict=True):
            full[i] = c
        return fn(*full)

    xs = [values[i] for i in places]
    return partial, xs, [np.asarray(rng.standard_normal(x.shape)) for x in xs]


def weights_of(example: Example) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.standard_normal(y.shape) for y in example.run(*example.leaves(example.floats()))]


@each_smooth
def test_the_first_derivative_by_complex_step(example):
    fn, xs, vs = with_the_smooth(example, weighted(example, weights_of(example)))
    gs = grad(fn, tuple(range(len(xs))))(*xs)
    along = sum((g.numpy() * v).sum() for g, v in zip(gs, vs, strict=True))
    stepped = fn(*(leaf(np.asarray(x + 1j * H * v)) for x, v in zip(xs, vs, strict=True)))
    assert_allclose(along, stepped.item().imag / H if stepped.m.rank else 0, rtol=1e-10, atol=1e-14)


@each_smooth
def test_the_second_derivative_by_complex_step(example):
    fn, xs, vs = with_the_smooth(example, weighted(example, weights_of(example)))
    got = hvp(lambda z: fn(*z), tuple(xs), tuple(vs))
    with_step = tuple(leaf(np.asarray(x + 1j * H * v)) for x, v in zip(xs, vs, strict=True))
    stepped = grad(lambda z: fn(*z))(with_step)
    for g, s in zip(got, stepped, strict=True):
        assert_allclose(g.numpy(), np.imag(s.numpy()) / H, rtol=1e-10, atol=1e-14)


# ---- leading axes, stability, dtypes -----------------------------------------------------------
def stacked(example: Example, samples: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Each input with a new first axis; where a row broadcasts, short inputs get axes of size 1."""
    broadcasts = TABLE[example.row].kind in ("pointwise", "contract")
    ndim = max(x.ndim for x in samples[0]) if broadcasts else 0
    return [
        np.stack([x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in column])
        for column in zip(*samples, strict=True)
    ]


@each
def test_leading_axes_are_free(example):
    samples = [example.floats(seed) for seed in range(3)]
    together = example_values(example, stacked(example, samples))
    one_by_one = [example_values(example, sample) for sample in samples]
    for k, y in enumerate(together):
        assert_allclose(y, np.stack([ys[k] for ys in one_by_one]), rtol=1e-14, atol=0)


def example_values(example: Example, values: list[np.ndarray]) -> list[np.ndarray]:
    """The row's own value rule, which alone has to be free in leading axes."""
    m = leaf(values[0]).m
    if example.row == "pick":
        parts = TABLE["unstack"].value(m, *values, axis=-2)
        (i,) = example.params.values()
        return [TABLE["pick"].value(m, parts, i=i)]
    y = TABLE[example.row].value(m, *values, **example.params)
    return list(y) if isinstance(y, tuple) else [y]


OVERFLOW = ("exp", "pow")  # their values do leave the floats at 1e4; see the next test


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.row not in OVERFLOW], ids=str)
def test_large_numbers_neither_overflow_nor_warn(example):
    values = [
        v if isinstance(x, Fixed) else np.asarray(np.sign(v) * 1e4)
        for x, v in zip(example.inputs, example.floats(), strict=True)
    ]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        xs = example.leaves(values)
        ys = example.run(*xs)
        found = list(ys)
        if TABLE[example.row].vjp is not None:
            found += [g for g in sweep(ys, [ones_like(y) for y in ys], xs, graph=False) if g is not None]
    assert [t for t in found if not np.isfinite(t.value).all()] == []


def test_exp_of_a_large_number_is_inf_without_a_warning():
    with np.errstate(all="raise", under="ignore"):
        assert_array_equal(TABLE["exp"](leaf(np.array([1e4, -1e4]))).numpy(), [np.inf, 0])


COMPARISONS = ("greater", "greater_equal", "equal")


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.row not in ("cast", "one_hot")], ids=str)
def test_float32_stays_float32(example):
    values = [
        v if isinstance(x, Fixed) else np.asarray(v, "float32")
        for x, v in zip(example.inputs, example.floats(), strict=True)
    ]
    xs = example.leaves(values)
    ys = example.run(*xs)
    assert {y.dtype.name for y in ys} == {"bool" if example.row in COMPARISONS else "float32"}
    if TABLE[example.row].vjp is not None:
        gs = sweep(ys, [ones_like(y) for y in ys], xs, graph=False)
        assert {g.dtype.name for g in gs if g is not None} <= {"float32"}


REAL_VALUED = (
    "div", "tanh", "sigmoid", "softplus", "exp", "log", "sqrt", "sin", "cos", "logsumexp", "is_max", "cast",
    "one_hot",
)  # fmt: skip


def is_whole(example: Example) -> bool:
    return example.row not in REAL_VALUED and example.params.get("exponent", 1) in (0, 1, 2, 3)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if is_whole(e)], ids=str)
def test_ints_stay_ints(example):
    ys = example.run(*(leaf(v) for v in example.whole()))
    assert {y.dtype.kind for y in ys} == {"b" if example.row in COMPARISONS else "i"}


@each
def test_the_domains_agree(example):
    """Floats, complex numbers and formulas give the same value at the same point."""
    values, symbols = example.floats(), example.symbols()
    at = {
        s: sp.Float(float(v), 30)
        for x, y, smooth in zip(symbols, values, example.smooth, strict=True)
        if smooth
        for s, v in zip(x.flat, y.flat, strict=True)
    }
    floats = example.run(*example.leaves(values))
    complex_values = [np.asarray(v, complex) if s else v for v, s in zip(values, example.smooth, strict=True)]
    complexes = example.run(*example.leaves(complex_values))
    formulas = example.run(*example.leaves(symbols))
    for a, b, f in zip(floats, complexes, formulas, strict=True):
        assert_allclose(b.numpy(), a.numpy(), rtol=1e-14)
        numbers = [float(sp.sympify(e).subs(at).evalf(25)) for e in np.asarray(f.value, dtype=object).flat]
        if example.row != "equal":  # formulas are equal if they are so at every point
            assert_allclose(np.reshape(numbers, a.shape), a.numpy(), rtol=1e-13)
