"""The Tensor as an object: what it holds, how it meets numpy, and the data it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import minigrad as mg
from minigrad.engine.core import Tensor, leaf


# ---- what it holds -----------------------------------------------------------------------------
def test_shape_ndim_dtype_and_size():
    t = mg.tensor([[1.0, 2.0, 3.0]])
    assert (t.shape, t.ndim, t.dtype, t.size(), t.size(1)) == ((1, 3), 2, np.float64, (1, 3), 3)


@pytest.mark.parametrize(
    "data", [1, 2.5, True, [1, 2], [[1.0], [2.0]], np.float32(3), np.arange(4, dtype="int8"), [], range(3)]
)
def test_a_tensor_holds_what_numpy_would(data):
    t, a = mg.tensor(data), np.array(data)
    assert_array_equal(t.numpy(), a)
    assert (t.dtype, t.shape) == (a.dtype, a.shape)


def test_dtype_can_be_chosen():
    assert mg.tensor([1, 2], dtype="float32").dtype == np.float32
    assert mg.tensor([1.0, 2.0], dtype=int).dtype == np.int64


def test_the_value_never_changes():
    data = np.ones(2)
    t = mg.tensor(data)
    data[0] = 7
    assert t.tolist() == [1, 1]
    for view in (t.numpy(), np.asarray(t)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 7
    np.array(t)[0] = 7
    assert t.tolist() == [1, 1]


def test_item_is_the_one_number():
    assert (mg.tensor([[2.5]]).item(), float(mg.tensor(2.5)), int(mg.tensor([3]))) == (2.5, 2.5, 3)
    for t in (mg.tensor([1.0, 2.0]), mg.zeros(0)):
        with pytest.raises(
            ValueError, match=r"item: a tensor of shape \(\d,\) does not hold exactly one number"
        ):
            t.item()


def test_an_int_tensor_is_an_index():
    assert [10, 20, 30][mg.tensor(2)] == 30
    with pytest.raises(TypeError, match="integer"):
        [10, 20][mg.tensor(1.0)]


def test_the_truth_of_one_number_and_no_more():
    assert bool(mg.tensor([2.0]))
    assert not mg.tensor(1.0) > 2
    for t in (mg.tensor([True, False]), mg.zeros(0)):
        with pytest.raises(
            ValueError, match=r"the truth of a tensor of shape \(\d,\) is ambiguous; use .numpy"
        ):
            bool(t)


def test_repr_shows_the_value_the_op_the_name():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(mg.tanh(x * 0)) == "tensor([0., 0.], op=tanh)"
    assert repr(mg.tensor([1], dtype="int8", name="k")) == "tensor([1], dtype=int8, name='k')"


def test_a_tensor_is_made_by_tensor():
    with pytest.raises(TypeError, match=r"made by minigrad.tensor\(data\), or by an operation"):
        Tensor([1.0])


def test_tensors_are_hashed_by_identity():
    a, b = mg.tensor([1.0]), mg.tensor([1.0])
    assert {a: 1, b: 2}[b] == 2


def test_tensors_without_entries_and_without_axes(rng):
    for shape in ((0,), (2, 0), (0, 3)):
        e = mg.tensor(np.zeros(shape), requires_grad=True)
        y = mg.tanh(e * 2 + 1).sum()
        y.backward()
        assert (y.item(), e.grad.shape) == (0, shape)
    assert mg.concatenate([mg.zeros(0, 3), mg.ones(2, 3)]).shape == (2, 3)
    assert mg.matmul(mg.zeros(2, 0), mg.zeros(0, 3)).tolist() == np.zeros((2, 3)).tolist()
    assert (mg.tensor(2.0).sum().item(), mg.tensor(2.0).T.item(), mg.tensor(2.0).reshape(1, 1).shape) == (
        2,
        2,
        (1, 1),
    )


# ---- numpy -------------------------------------------------------------------------------------
def test_array_makes_arrays_of_any_dtype():
    t = mg.tensor([1.5, 2.5])
    assert np.asarray(t).dtype == np.float64
    assert_array_equal(np.asarray(t, dtype=int), [1, 2])
    assert np.array(t, dtype="float32").dtype == np.float32
    assert_array_equal(np.stack([t, t]), [[1.5, 2.5], [1.5, 2.5]])
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype="float32", copy=False)


def test_a_ufunc_does_not_swallow_a_tensor():
    with pytest.raises(TypeError, match=r"__array_ufunc__|does not support ufuncs"):
        np.exp(mg.tensor([1.0]))


def test_in_place_addition_to_an_array_gives_a_tensor():
    a = np.ones(2)
    a = a + mg.tensor([1.0, 2.0])
    assert isinstance(a, Tensor)


@pytest.mark.parity
def test_a_torch_tensor_becomes_ours():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torch.tensor([1.0, 2.0], requires_grad=True)
    assert_array_equal(mg.tensor(theirs).numpy(), [1, 2])
    assert mg.tensor(theirs.float()).dtype == np.float32


# ---- what it refuses ---------------------------------------------------------------------------
REFUSED = [
    ("abc", "dtype <U3 is not real numbers; pass floats, ints or bools"),
    (["1", "2"], "dtype <U1 is not real numbers"),
    (b"1", "not real numbers"),
    (None, "dtype object is not real numbers"),
    ([1.0, None], "dtype object is not real numbers"),
    ({"a": 1}, "dtype object is not real numbers"),
    (1j, "dtype complex128 is not real numbers"),
    (np.array([1 + 2j]), "dtype complex128 is not real numbers"),
    (np.array(["2020-01-01"], dtype="datetime64"), "not real numbers"),
    ([2**70], "dtype object is not real numbers"),
    (object(), "dtype object is not real numbers"),
    (
        [mg.tensor(1.0), mg.tensor(2.0)],
        "a list of Tensors would lose their gradients; use stack or concatenate",
    ),
]


@pytest.mark.parametrize(("data", "text"), REFUSED, ids=lambda v: repr(v)[:20])
def test_what_is_not_real_numbers_is_refused(data, text):
    with pytest.raises(TypeError, match=text):
        mg.tensor(data)


def test_text_is_refused_also_where_a_dtype_is_given():
    with pytest.raises(TypeError, match="dtype <U1 is not real numbers"):
        mg.tensor(["1"], dtype="float64")
    with pytest.raises(TypeError, match="dtype complex128 is not real numbers"):
        mg.tensor([1.0], dtype=complex)
    with pytest.raises(TypeError, match="dtype complex128 is not real numbers"):
        mg.tensor([1j], dtype=float)


def test_ragged_lists_are_refused():
    with pytest.raises(
        ValueError, match="tensor: ragged data: rows differ in length; pad them to one length"
    ):
        mg.tensor([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("data", [[1, 2], [True]])
def test_ints_cannot_require_a_gradient(data):
    with pytest.raises(TypeError, match="cannot require a gradient; pass floats, or dtype='float64'"):
        mg.tensor(data, requires_grad=True)


@pytest.mark.parametrize("raw", [{}, np.array(["a"]), np.array([{}], dtype=object)], ids=repr)
def test_a_raw_value_of_no_domain_is_refused(raw):
    with pytest.raises(TypeError, match="no number domain speaks for elements of type"):
        leaf(raw)


a, b = mg.ones(2, 3), mg.ones(4)
MISFITS = [
    (lambda: a + b, r"add: shapes \(2, 3\) and \(4,\) do not fit"),
    (lambda: mg.maximum(a, b), r"maximum: shapes \(2, 3\) and \(4,\) do not fit"),
    (lambda: mg.where(a > 0, a, b), r"where: shapes \(2, 3\) and \(2, 3\) and \(4,\) do not fit"),
    (
        lambda: a @ b,
        r"matmul: \(2, 3\) @ \(4,\): inner sizes 3 and 4 differ. If the right side .* pass its .T",
    ),
    (
        lambda: a @ mg.tensor(1.0),
        r"matmul: \(2, 3\) @ \(\): needs at least one axis each; use \* for scaling",
    ),
    (lambda: mg.ones(2, 3, 4) @ mg.ones(5, 4, 6), r"matmul: shapes \(2, 3, 4\) and \(5, 4, 6\) do not fit"),
    (lambda: a.sum(2), r"sum: axis 2 of a tensor of shape \(2, 3\); it has 2 axes"),
    (lambda: a.mean((0, -2)), r"mean: axes \(0, -2\) of a tensor of shape \(2, 3\) name one axis twice"),
    (lambda: mg.zeros(0).max(), r"max: no entries along axis None of shape \(0,\)"),
    (lambda: mg.zeros(0, 2).mean(0), r"mean: no entries along axis 0 of shape \(0, 2\)"),
    (lambda: mg.ones(1).var(ddof=1), r"var: 1 entries along axis None of shape \(1,\), but ddof is 1"),
    (lambda: a.reshape(4, -1), r"reshape: \(2, 3\) has 6 entries, which do not fill \(4, -1\)"),
    (lambda: a.reshape(-1, -1), r"reshape: \(-1, -1\): only one size can be -1"),
    (lambda: a.reshape(7), r"reshape of a tensor of shape \(2, 3\): cannot reshape"),
    (lambda: mg.broadcast_to(a, 2, 4), r"broadcast of a tensor of shape \(2, 3\)"),
    (lambda: a.transpose((0, 2)), r"transpose: axis 2 of a tensor of shape \(2, 3\)"),
    (lambda: a.transpose((0,)), r"transpose: axes \(0,\) are not a permutation of the 2 axes of \(2, 3\)"),
    (lambda: a.swapaxes(0, 2), r"swapaxes: axis 2 of a tensor of shape \(2, 3\)"),
    (lambda: mg.concatenate([a, mg.ones(2, 2, 1)]), r"concat: shapes \(2, 3\) and \(2, 2, 1\) do not fit"),
    (lambda: mg.concatenate([a, mg.ones(2, 2)]), r"concat: shapes \(2, 3\) and \(2, 2\) do not fit"),
    (lambda: mg.concatenate([]), "concatenate: no tensors given"),
    (lambda: mg.stack([]), "stack: no tensors given"),
    (lambda: mg.stack([a, b]), r"stack: shapes \(2, 3\) and \(4,\) do not fit"),
    (lambda: mg.split(a, 2), r"split: pieces \[1, 1\] do not add up to the 3 of axis -1 of \(2, 3\)"),
    (lambda: mg.split(a, [1, 1]), r"split: pieces \[1, 1\] do not add up to the 3 of axis -1"),
    (lambda: mg.split(a, 0), "split: into 0 parts; at least one is needed"),
    (lambda: mg.mse(a, b), r"mse: prediction \(2, 3\) and target \(4,\) differ in shape"),
    (
        lambda: mg.cross_entropy(a, [0]),
        r"cross_entropy: logits \(2, 3\) need a target of class indices \(2,\) or of",
    ),
    (lambda: mg.nll(a, b), r"nll: probabilities \(2, 3\) need a target of class indices \(2,\)"),
]


@pytest.mark.parametrize(("call", "text"), MISFITS, ids=[t[:12] for _, t in MISFITS])
def test_shapes_that_do_not_fit_are_named(call, text):
    with pytest.raises(mg.ShapeError, match=text):
        call()


WRONG_KIND = [
    (lambda: mg.one_hot([0.5], 2), TypeError, "one_hot: indices must be integers, not float64"),
    (lambda: mg.one_hot([0, 3], 3), IndexError, r"one_hot: indices run from 0 to 3, outside \[0, 3\)"),
    (lambda: mg.one_hot([-1, 1], 3), IndexError, r"one_hot: indices run from -1 to 1, outside"),
    (lambda: mg.cross_entropy(a, [0, 3]), IndexError, "indices run from 0 to 3"),
    (lambda: mg.where(a, a, a), TypeError, "where: the condition holds float64; pass bools, such as x > 0"),
    (lambda: a.transpose(0, 1), TypeError, "transpose takes one sequence of all axes; .* use swapaxes"),
    (lambda: a.sum(1.5), TypeError, "float"),
    (lambda: mg.tanh("x"), TypeError, "not real numbers"),
    (lambda: a + None, TypeError, "not real numbers"),
    (lambda: a * "x", TypeError, "not real numbers"),
    (
        lambda: mg.tensor([1, 2]) ** -1,
        ValueError,
        r"power of a tensor of shape \(2,\): Integers to negative integer powers",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), WRONG_KIND, ids=[t[:16] for *_, t in WRONG_KIND])
def test_input_of_the_wrong_kind_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
