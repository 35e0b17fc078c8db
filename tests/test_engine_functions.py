"""What is composed from the table: equal to numpy's and torch's values, and to torch's gradients."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from examples_functions import CASES
from numpy.testing import assert_allclose, assert_array_equal

import minigrad as mg
from minigrad.engine.core import Tensor, leaf
from minigrad.engine.grad import grad

each = pytest.mark.parametrize("case", CASES, ids=str)


@each
def test_the_values_are_numpys(case):
    values = case.values()
    expected = case.numpy(np, *values)
    assert_allclose(case.ours(*map(mg.tensor, values)).numpy(), expected, rtol=1e-12, atol=1e-14)


@each
@pytest.mark.parity
def test_values_and_gradients_are_torchs(case):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values = case.values()
    ours = [mg.tensor(v, requires_grad=True) for v in values]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    y, z = case.ours(*ours), case.torch(torch, *theirs)
    assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-14)
    w = np.random.default_rng(4).standard_normal(y.shape)
    (y * w).sum().backward()
    (z * torch.tensor(w)).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-13)


@each
def test_float32_in_float32_out(case):
    xs = [mg.tensor(v, dtype="float32", requires_grad=True) for v in case.values()]
    y = case.ours(*xs)
    assert y.dtype == (np.float64 if case.name == "iteration" else np.float32)  # that adds to float64 zeros
    y.sum().backward()
    assert {x.grad.dtype.name for x in xs} == {"float32"}


STABLE = (
    "tanh",
    "sigmoid",
    "relu",
    "softplus",
    "softmax",
    "log_softmax",
    "logsumexp",
    "cross_entropy of indices",
    "cross_entropy of rows",
    "layer_norm",
    "mse",
    "max ",
    "min",
    "mean",
    "var",
    "abs",
    "sin",
    "cos",
    "clip",
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [c for c in CASES if c.name.startswith(STABLE)], ids=str)
def test_stable_at_ten_thousand(case, dtype):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for values in ([np.sign(v) * 1e4 for v in case.values()], case.values(1e4)):
            xs = [mg.tensor(v, dtype=dtype, requires_grad=True) for v in values]
            y = case.ours(*xs)
            y.sum().backward()
            assert np.isfinite(y.numpy()).all()
            assert all(np.isfinite(x.grad.numpy()).all() for x in xs)


@pytest.mark.parametrize(
    "name", ["mean axis=1", "var ddof=0", "softmax axis=0", "mse", "layer_norm", "cross_entropy of rows"]
)
def test_composed_gradients_by_complex_step(name):
    (case,) = [c for c in CASES if c.name == name]
    rng = np.random.default_rng(5)
    values, h = case.values(), 1e-30
    vs = [rng.standard_normal(v.shape) for v in values]
    w = rng.standard_normal(case.ours(*map(mg.tensor, values)).shape)
    gs = grad(lambda *xs: (case.ours(*xs) * w).sum(), tuple(range(len(values))))(*values)
    stepped = (case.ours(*(leaf(x + 1j * h * v) for x, v in zip(values, vs, strict=True))) * w).sum()
    along = sum((g.numpy() * v).sum() for g, v in zip(gs, vs, strict=True))
    assert_allclose(along, stepped.item().imag / h, rtol=1e-10)


# ---- operators with what is not a Tensor -------------------------------------------------------
OTHERS = [2, 0.5, True, np.float32(1.5), np.int64(3), np.arange(3.0) + 1, [1.0, 2.0, 3.0], np.array(2.0)]
OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.gt,
    operator.ge,
    operator.lt,
    operator.le,
    operator.eq,
    operator.ne,
]


@pytest.mark.parametrize("op", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_operators_take_numbers_and_arrays_on_both_sides(op, other):
    x = np.array([[0.5, 1.0, 2.0], [3.0, 1.5, 0.25]])
    t, plain = mg.tensor(x), np.asarray(other)
    for got, expected in ((op(t, other), op(x, plain)), (op(other, t), op(plain, x))):
        assert isinstance(got, Tensor)
        assert_allclose(got.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("other", [2, 0.5, np.float64(2.5), np.float32(2.5), np.int64(2)], ids=repr)
@pytest.mark.parametrize("op", OPERATORS[:5], ids=lambda f: f.__name__)
def test_a_python_number_keeps_float32(op, other):
    t = mg.tensor([0.5, 2.0], dtype="float32")
    assert (op(t, other).dtype, op(other, t).dtype) == (np.float32, np.float32)


def test_matmul_with_arrays_on_both_sides(rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    for got in (mg.tensor(a) @ b, a @ mg.tensor(b), mg.tensor(a) @ b.tolist()):
        assert isinstance(got, Tensor)
        assert_array_equal(got.numpy(), a @ b)


def test_comparisons_give_bools_without_a_gradient():
    t = mg.tensor([1.0, 2.0], requires_grad=True)
    assert [(t > 1).dtype, (t > 1).requires_grad, (t != t).numpy().any()] == [np.dtype(bool), False, False]


def test_not_equal_is_elementwise_and_nan_differs_from_itself():
    t = mg.tensor([1.0, np.nan])
    assert_array_equal((t != t).numpy(), [False, True])
    assert_array_equal((t == t).numpy(), [True, False])


def test_nan_in_floats_is_allowed_and_kept():
    t = mg.tensor([np.nan, 1.0], requires_grad=True)
    y = mg.relu(t) + mg.maximum(t, 0)
    assert_array_equal(y.numpy(), [np.nan, 2.0])


def test_equal_entries_share_the_gradient_of_max_evenly():
    t = mg.tensor([3.0, 3.0, 1.0], requires_grad=True)
    t.max().backward()
    assert_array_equal(t.grad.numpy(), [0.5, 0.5, 0])


def test_logsumexp_of_minus_infinity_is_minus_infinity_without_a_warning():
    with np.errstate(all="raise"):
        assert mg.logsumexp(mg.tensor([-np.inf, -np.inf])).item() == -np.inf


def test_a_power_at_zero_has_torchs_gradient():
    x, y = mg.tensor([0.0, 0.0, 2.0], requires_grad=True), mg.tensor([0.0, 2.0, 0.0], requires_grad=True)
    with np.errstate(all="raise"):
        (x**y).sum().backward()
    assert_array_equal(x.grad.numpy(), [0, 0, 0])


# ---- making tensors ----------------------------------------------------------------------------
def test_zeros_ones_and_randn_take_sizes_or_a_shape():
    for make in (mg.zeros, mg.ones, mg.randn):
        assert make(2, 3).shape == make((2, 3)).shape == make([2, 3], dtype="float32").shape == (2, 3)
        assert make(2, dtype="float32").dtype == np.float32
        assert make(2, requires_grad=True).requires_grad
        assert make().shape == ()


def test_randn_is_repeatable():
    assert_array_equal(mg.randn(3, seed=1).numpy(), mg.randn(3, seed=1).numpy())
    mg.manual_seed(7)
    a = mg.randn(3).numpy()
    mg.manual_seed(7)
    assert_array_equal(mg.randn(3).numpy(), a)
    assert (mg.randn(3).numpy() != a).all()


def test_one_hot_is_rows_of_the_identity_and_takes_no_square_of_memory():
    assert_array_equal(mg.one_hot([[2, 0], [1, 1]], 3).numpy(), np.eye(3)[[[2, 0], [1, 1]]])
    assert mg.one_hot([5], 10**7).numpy().argmax() == 5  # an identity of that size would be 800 TB
    assert mg.one_hot([0], 2, "float32").dtype == np.float32
