"""Indexing: numpy's entries, torch's gradients, and an error that names the axis."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import minigrad as mg

S = slice
INTS, MASK = np.array([3, 0, 3, 3]), np.array([True, False, True, True])
SLICES = [
    0,
    -1,
    (1, 2),
    (-1, -2, -3),
    S(None),
    S(1, 3),
    S(None, None, 2),
    S(None, None, -1),
    S(3, 0, -2),
    S(-3, -1),
    S(9, 20),
    S(2, 1),
    (0, S(1, 3)),
    (S(None), 1),
    (S(None), S(None), -2),
    ...,
    (..., 0),
    (0, ...),
    (1, ..., S(1, 4)),
    None,
    (None, 0),
    (S(None), None, 1),
    (..., None),
    (0, None, ..., None),
    (np.int64(2), S(0, 2)),
    (),
]
ARRAYS = [
    INTS,
    INTS.tolist(),
    -INTS - 1,
    INTS.reshape(2, 2),
    (INTS, [0, 1, 2, 0]),
    (INTS.reshape(4, 1), [[0, 2]]),
    MASK,
    MASK.tolist(),
    np.ones((4, 3), bool),
    np.arange(12).reshape(4, 3) % 2 == 0,
    (S(None), [2, 0, 2]),
    (S(None), S(None), [1, 1, 4]),
    (..., [1, 1]),
    (0, [1, 1, 2]),
    ([1, 1], 2),
    (S(None), [0, 1], [2, 2]),
    np.array(1),
    np.array([], int),
    [],
    np.zeros(4, bool),
    (S(None), np.array([True, False, True])),
    (INTS, S(None), S(None)),
]


@pytest.fixture
def x(rng) -> np.ndarray:
    return rng.standard_normal((4, 3, 5))


@pytest.mark.parametrize("key", SLICES + ARRAYS, ids=repr)
def test_entries_are_numpys(x, key):
    numpys = np.array([], int) if isinstance(key, list) and not key else key
    assert_array_equal(mg.tensor(x)[key].numpy(), x[numpys])


@pytest.mark.parity
@pytest.mark.parametrize("key", SLICES + ARRAYS, ids=repr)
def test_gradients_add_up_as_torchs(x, key):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    t = mg.tensor(x, requires_grad=True)
    y = t[key]
    w = np.random.default_rng(1).standard_normal(y.shape)
    (y * w).sum().backward()
    places = (
        torch.arange(x.size)
        .reshape(x.shape)
        .numpy()[np.array([], int) if isinstance(key, list) and not key else key]
    )
    u = torch.tensor(x, requires_grad=True)
    (u.reshape(-1)[torch.tensor(np.ascontiguousarray(places))] * torch.tensor(w)).sum().backward()
    assert_allclose(t.grad.numpy(), u.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_an_index_may_be_a_tensor(x):
    t, i = mg.tensor(x), mg.tensor([1, 1, 0])
    assert_array_equal(t[i].numpy(), x[[1, 1, 0]])
    assert_array_equal(t[i[0]].numpy(), x[1])
    assert_array_equal(t[t[:, 0, 0] > 0].numpy(), x[x[:, 0, 0] > 0])


def test_repeated_rows_add_up():
    table = mg.tensor(np.zeros((3, 2)), requires_grad=True)
    table[[2, 0, 2, 2]].sum().backward()
    assert_array_equal(table.grad.numpy(), [[1, 1], [0, 0], [3, 3]])


ERRORS = [
    (4, "index 4 is outside axis 0 of a tensor of shape \\(4, 3, 5\\)"),
    ((0, -4), "index -4 is outside axis 1 of a tensor of shape \\(4, 3, 5\\)"),
    ((0, 0, 0, 0), "4 indices for a tensor of shape \\(4, 3, 5\\)"),
    ((..., 0, ...), "one \\.\\.\\. only"),
    (1.5, "an index is an int, a slice, None, \\.\\.\\. or an array of ints or bools, not 1.5"),
    ("a", "not 'a'"),
    (True, "not True"),
    (
        [0, 4],
        "gather: index 4 is out of bounds for axis 0 with size 4 \\(shapes \\(4, 3, 5\\) and \\(2,\\)\\)",
    ),
    (np.array([True, False]), "a mask of shape \\(2,\\) for axis 0 of a tensor of shape \\(4, 3, 5\\)"),
    ((S(1, 2), [0, 1]), "index of arrays and slices together; index in two steps"),
    (([0, 1], None, [0, 1]), "index in two steps"),
]


@pytest.mark.parametrize(("key", "text"), ERRORS, ids=lambda v: repr(v)[:20])
def test_a_wrong_index_is_named(x, key, text):
    with pytest.raises(IndexError, match=text):
        mg.tensor(x)[key]


def test_an_index_of_floats_is_refused(x):
    with pytest.raises(TypeError, match="index array must hold ints or bools, not float64"):
        mg.tensor(x)[np.array([0.0, 1.0])]


@pytest.mark.parametrize(
    "whole", [lambda t: [t[k] for k in range(400)], lambda t: mg.split(t, 400, axis=0), list]
)
def test_the_gradient_of_all_slices_takes_the_memory_of_one_array(whole):
    t = mg.tensor(np.ones((400, 500)), requires_grad=True)  # 1.6 MB
    parts = whole(t)
    y = sum((p.sum() for p in parts[1:]), parts[0].sum())
    tracemalloc.start()
    try:
        y.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_array_equal(t.grad.numpy(), np.ones((400, 500)))
    assert peak < 12e6  # 400 arrays would be 640 MB


def test_iteration_begins_at_the_first_axis_and_len_counts_it(x):
    t = mg.tensor(x)
    assert len(t) == 4
    assert_array_equal([r.numpy() for r in t], x)
    for read in (len, iter):
        with pytest.raises(TypeError, match="a tensor without axes"):
            read(mg.tensor(1.0))
