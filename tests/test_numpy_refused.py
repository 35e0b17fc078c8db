"""Whose numpy is replaced by the stand-in, and what it does not understand: said, and never a wrong answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy import tanh as numpy_tanh
from symbolic_numpy import ND, B, N, agree, opaque

from minigrad.domains.sizes import Undecided, fresh
from minigrad.prove.backward.numpyops import Unsupported
from minigrad.prove.backward.rebind import rebound


def helper(x):
    return np.zeros((x.shape[0], 2 * x.shape[1])).sum() + np.tanh(x)


def calls_a_helper(x):
    return helper(x) * other_name(x)


def other_name(x, act=np.tanh):
    return act(x)


def imports_inside(x):
    import numpy as number_python
    from numpy import exp, zeros

    return number_python.zeros((x.shape[1], 2 * x.shape[0])).sum() + exp(x) + zeros(x.shape)


def uses_imported_names(x):
    return numpy_tanh(x) + math.sqrt(4) + math.tanh(0.0)


def recursive(x, k=3):
    return x if k == 0 else recursive(x, k - 1) * 2


def made_by(scale):
    numbers = np

    def inner(x):
        def innermost(y):
            return numbers.zeros((y.shape[0], 2 * y.shape[1])).sum() + scale * y

        return innermost(x) + (inner(x * 0) if scale > 2 else 0) if scale < 2 else innermost(x)

    return inner


class Layer:
    def backward(self, x):
        return np.zeros((x.shape[1], 4 * x.shape[1])).sum() + 2 * x


@pytest.mark.parametrize(
    "fn",
    [
        calls_a_helper,
        other_name,
        imports_inside,
        uses_imported_names,
        recursive,
        made_by(1.5),
        made_by(2),
        Layer().backward,
    ],
    ids=lambda fn: fn.__name__,
)
def test_numpy_is_replaced_wherever_the_code_has_it(fn):
    agree(fn, (B, N))


def test_nothing_of_theirs_is_changed():
    before = dict(globals())
    fn = made_by(1.5)
    cells = [c.cell_contents for c in fn.__closure__]
    rebound(fn), rebound(calls_a_helper)
    assert {k: v for k, v in globals().items() if v is not before.get(k)} == {}
    assert [c.cell_contents for c in fn.__closure__] == cells
    assert calls_a_helper.__globals__["np"] is np


def test_entries_of_symbolic_arrays_go_through_math():
    agree(lambda x: [math.tanh(x[0, 1]), math.exp(x[1, 0]), math.pow(x[1, 1], 2)], ((1, 1), (1, 1)))


# ---- what is not understood ----------------------------------------------------------------------
REFUSED = [
    (lambda d, x: 1 if (d > 0).sum() > 0 else 2, Unsupported, "a branch on the value of an array"),
    (lambda d, x: d if d.sum() else x, Unsupported, "a branch on the value of an array"),
    (lambda d, x: d == 0, Unsupported, "== or != of arrays"),
    (lambda d, x: np.random.randn(3) * d, Unsupported, "np.random: a gradient is not random"),
    (
        lambda d, x: math.tanh(d),
        Unsupported,
        "math.tanh takes one number, and not an array of shape .*np.tanh",
    ),
    (lambda d, x: float(d.sum()), Unsupported, r"a plain number was wanted \(by math.tanh, float\(\)"),
    (lambda d, x: np.arctan2(d, d), Unsupported, "np.arctan2 is not understood here"),
    (
        lambda d, x: np.cumprod(d),
        Unsupported,
        "np.cumprod is not understood here; write it with sums, products",
    ),
    (lambda d, x: np.cumsum(d), Unsupported, "np.cumsum without an axis"),
    (lambda d, x: np.cumsum(d, axis=1), Unsupported, "np.cumsum .* along one of symbolic size"),
    (lambda d, x: d / np.linalg.norm(d), Unsupported, "np.linalg.norm is not understood here"),
    (lambda d, x: np.linalg.inv(x) @ d, Unsupported, "np.linalg.inv is not understood here"),
    (
        lambda d, x: np.vectorize(math.tanh)(d),
        Unsupported,
        "code that wants plain numbers; use numpy's functions",
    ),
    (lambda d, x: np.max(d), Unsupported, "np.max is not understood here"),
    (lambda d, x: np.argmax(d, axis=1), Unsupported, "np.argmax is not understood here"),
    (lambda d, x: np.sort(d), Unsupported, "np.sort is not understood here"),
    (lambda d, x: np.isnan(d).any(), Unsupported, "np.isnan is not understood here"),
    (lambda d, x: np.allclose(d, d), Unsupported, "np.allclose is not understood here"),
    (lambda d, x: np.einsum(d, [0, 1]), Unsupported, "np.einsum other than by letters"),
    (lambda d, x: d.max(), Unsupported, r"the array's method .max\(\) is not understood here"),
    (lambda d, x: np.maximum.reduce(d), Unsupported, "np.maximum.reduce is not understood here"),
    (lambda d, x: d[d > 0].sum(), Unsupported, r".sum of the entries that a mask picks.*use np.where"),
    (
        lambda d, x: np.sqrt(d[d > 0]) + d,
        Unsupported,
        "a mask picks together with a whole array; use np.where",
    ),
    (lambda d, x: np.concatenate([d[d > 0], d]), Unsupported, "the entries that a mask picks"),
    (lambda d, x: d[d > 0] - d[d > 1], Unsupported, "one mask picks, used with those of another"),
    (lambda d, x: np.add.reduce(d[d > 0]), Unsupported, "of the entries that a mask picks; use np.where"),
    (lambda d, x: d[d.sum(0) > 0], Unsupported, r"a mask of shape \(n,\) into an array of shape \(b, n\)"),
    (lambda d, x: d.__setitem__(d > 0, d), Unsupported, "an array put where a mask says; use np.where"),
    (lambda d, x: d.astype(int), Unsupported, "dtype int64: only floats"),
    (lambda d, x: np.zeros(d.shape, dtype=int), Unsupported, "dtype int64: only floats"),
    (lambda d, x: (d > 0) + (d > 1), Unsupported, "np.add on truth values is not understood"),
    (lambda d, x: d**d, Unsupported, "a power whose exponent is an array"),
    (lambda d, x: d.squeeze(), Unsupported, r"squeeze\(\) without an axis"),
    (lambda d, x: np.einsum("ii->i", d), Unsupported, "a letter twice in one operand"),
    (lambda d, x: np.where(d > 0), Unsupported, "np.where other than of a comparison and two arrays"),
    (lambda d, x: np.where(d, d, 0), Unsupported, "np.where other than of a comparison and two arrays"),
    (lambda d, x: np.tanh(d, where=d > 0), Unsupported, "np.tanh with where"),
    (lambda d, x: d.sum().__setitem__((), 1), Unsupported, "an array without axes is written into"),
    (lambda d, x: np.sum(d, initial=1), Unsupported, "np.sum: got an unexpected keyword argument 'initial'"),
    (
        lambda d, x: np.array([1.0]).__iadd__(d.sum()),
        Unsupported,
        "written into a plain numpy array|written into",
    ),
    (
        lambda d, x: np.broadcast_to(d[0:], (3, *d.shape)).__setitem__(0, 1),
        Unsupported,
        "written into|reshaped or broadcast",
    ),
    (lambda d, x: list(d), Undecided, "a loop or an index over the symbolic size b"),
    (lambda d, x: d[0], Undecided, "entry 0 of an axis of symbolic size b"),
    (lambda d, x: d[:, 1:], Undecided, r"entry \d of the symbolic size|inside a block"),
    (lambda d, x: x[:, :2], Undecided, r"entry \d of the symbolic size|inside a block"),
    (lambda d, x: d[::-1], Undecided, "step -1"),
    (lambda d, x: x.reshape(-1, d.shape[1]), Undecided, "reshape of"),
    (lambda d, x: d + x, ValueError, "cannot be broadcast together"),
    (lambda d, x: d.reshape(-1, -2), ValueError, "only one size can be left to be worked out"),
    (lambda d, x: np.stack([d[None]][1:]), ValueError, "need at least one array to stack"),
    (lambda d, x: d @ d, ValueError, "inner sizes n and b differ"),
    (lambda d, x: d[0, 0, 0], IndexError, "3 indices for an array"),
    (lambda d, x: np.zeros((2, 2))[2], IndexError, "index 2 is out of bounds for axis of size 2"),
    (lambda d, x: d.sum(axis=2), ValueError, "axis 2 is out of bounds"),
    (lambda d, x: np.squeeze(d, axis=0), ValueError, "cannot squeeze axis 0"),
    (lambda d, x: d.sum(0).__iadd__(d), ValueError, "does not fit in place"),
]


@pytest.mark.parametrize("k", range(len(REFUSED)))
def test_what_is_not_understood_is_said(k):
    fn, error, text = REFUSED[k]
    with fresh():
        with pytest.raises(error, match=text):
            rebound(fn)(opaque("d", B, N), opaque("x", B, ND))


@pytest.mark.parametrize("not_a_function", [np.tanh, Layer, "text", len])
def test_only_plain_functions_can_be_run(not_a_function):
    with pytest.raises(TypeError, match="a plain Python function is wanted"):
        rebound(not_a_function)
