"""Plain numpy code gives on arrays of symbolic size what it gives on numbers, at every size; or an error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from at_sizes import AtSizes
from numpy import tanh as numpy_tanh

from minigrad.domains.blocks import Size
from minigrad.domains.sizes import Sized, Undecided, array, fresh
from minigrad.prove.backward.numpyfunctions import FUNCTIONS, MAKERS
from minigrad.prove.backward.numpylike import Symbolic, raw
from minigrad.prove.backward.numpyops import UFUNCS, Unsupported
from minigrad.prove.backward.rebind import rebound

B, N, D, ND, N4, ONE, THREE = ("b",), ("n",), ("d",), ("n", "d"), ("n",) * 4, (1,), (1, 1, 1)
SIZES_TRIED = (
    {"b": 2, "n": 3, "d": 4},
    {"b": 1, "n": 3, "d": 2},
    {"b": 3, "n": 1, "d": 1},
    {"b": 2, "n": 2, "d": 2},
)


def opaque(name: str, *axes: tuple) -> Symbolic:
    """An array of unknown entries."""
    return Symbolic(array(name, *axes))


def agree(fn: Callable[..., Any], *axes: tuple, positive: bool = False) -> None:
    """fn gives the same on symbolic arrays of these axes as on numbers, at several sizes."""
    for k, sizes in enumerate(SIZES_TRIED):
        with fresh():
            point = AtSizes(sizes, seed=k)
            drawn = [point.draw(f"x{i}", *a, positive=positive) for i, a in enumerate(axes)]
            got = rebound(fn)(*(Symbolic(x) for x, _ in drawn))
            expected = fn(*(v.copy() for _, v in drawn))
            compare(point, got, expected)


def compare(point: AtSizes, got: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            compare(point, g, e)
        return
    if isinstance(got, Size):
        assert point.number(got) == expected
        return
    value = raw(got)
    assert isinstance(value, Sized)
    np.testing.assert_allclose(point.value(value), np.asarray(expected, dtype=float), rtol=1e-9, atol=1e-12)


# ---- ufuncs ------------------------------------------------------------------------------------
UNARY = {
    "negative",
    "positive",
    "square",
    "reciprocal",
    "tanh",
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "cosh",
    "sinh",
    "log1p",
    "expm1",
    "absolute",
    "sign",
}
BINARY = {
    "add",
    "subtract",
    "multiply",
    "divide",
    "logaddexp",
    "maximum",
    "minimum",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
}
SPECIAL = {"power", "float_power", "matmul", "expit", "logical_not", "logical_and", "logical_or"}


def test_every_ufunc_is_in_these_tests():
    assert set(UFUNCS) == UNARY | BINARY | SPECIAL


@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary_ufuncs(name):
    agree(lambda x: getattr(np, name)(x), (B, N), positive=name in ("log", "sqrt", "log1p"))
    agree(lambda x: getattr(np, name)(x), (THREE, ND), positive=name in ("log", "sqrt", "log1p"))


@pytest.mark.parametrize("name", sorted(BINARY))
@pytest.mark.parametrize(
    "axes", [((B, N), (B, N)), ((B, N), (N,)), ((N,), (B, N)), ((B, ND), (ND,)), ((), (B, N))]
)
def test_binary_ufuncs_broadcast(name, axes):
    agree(lambda x, y: getattr(np, name)(x, y), *axes)
    agree(lambda x, y: getattr(np, name)(x, 0.25), *axes)
    agree(lambda x, y: getattr(np, name)(2, y), *axes)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, 2.0, np.float64(2)])
def test_powers(exponent):
    agree(lambda x: x**exponent, (B, N), positive=True)
    agree(lambda x: np.power(x, exponent), (N4,), positive=True)


OPERATORS = {
    "arithmetic": lambda x, y: (x + y - 2 * x / (1 + y * y), -x, +y, abs(x), 1 - x, 3 / y, x - 1.5),
    "comparisons": lambda x, y: ((x > y) * x, (x <= 0) * y, np.where(x >= y, x, y), np.where(x < y, 0, x)),
    "truth values": lambda x, y: (
        ((x > 0) & (y > 0)) * x,
        (~(x > 0)) * x,
        ((x > 0) | (y > 0)) * y,
        (x > 0) * (y > 0),
    ),
    "truth as numbers": lambda x, y: ((x > 0).astype(float) + 1, 1 - (x > 0), (x > 0).astype(int) * y),
    "numpy's numbers": lambda x, y: (
        np.float64(2) * x,
        np.array([1.0, 2.0, 3.0])[1] * y,
        np.float32(0.5) + x,
    ),
    "builtin sum": lambda x, y: (sum([x, y]), sum(a for a in (x, y, x))),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    agree(OPERATORS[name], (B, N), (B, N))


SIGMOIDS = {
    "plain": lambda z: 1 / (1 + np.exp(-z)),
    "from above": lambda z: np.exp(z) / (1 + np.exp(z)),
    "by tanh": lambda z: 0.5 * (np.tanh(z / 2) + 1),
    "the other way": lambda z: 1 - 1 / (1 + np.exp(z)),
    "reciprocal": lambda z: np.reciprocal(1.0 + np.exp(-z)),
    "power": lambda z: (1 + np.exp(-z)) ** -1,
    "stable": lambda z: np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z))),
    "logistic of two": lambda z: np.exp(z / 2) / (np.exp(z / 2) + np.exp(-z / 2)),
}
TANHS = {
    "sigmoid": lambda z: 2 / (1 + np.exp(-2 * z)) - 1,
    "exponentials": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "one exponential": lambda z: (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1),
    "hyperbolic": lambda z: np.sinh(z) / np.cosh(z),
}
DERIVATIVES = {
    "of sigmoid": (
        lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
        lambda z: SIGMOIDS["plain"](z) * (1 - SIGMOIDS["plain"](z)),
    ),
    "of tanh": (lambda z: 1 / np.cosh(z) ** 2, lambda z: 1 - np.tanh(z) ** 2),
}


@pytest.mark.parametrize("form", [*SIGMOIDS.values(), *TANHS.values(), *(f for f, _ in DERIVATIVES.values())])
def test_functions_of_exponentials_have_their_values(form):
    agree(form, (B, N))


@pytest.mark.parametrize(
    ("form", "same"),
    [(f, SIGMOIDS["plain"]) for f in SIGMOIDS.values()]
    + [(f, np.tanh) for f in TANHS.values()]
    + list(DERIVATIVES.values()),
)
def test_and_one_normal_form(form, same):
    with fresh():
        z = opaque("x", B, D) @ opaque("W", D, N) + 1
        assert raw(form(z)).entries == raw(same(z)).entries


def test_the_sign_of_a_rectified_value_is_that_of_what_it_rectifies():
    agree(lambda z: (np.maximum(z, 0) > 0) * z, (B, N))
    agree(lambda z: (np.maximum(z, 0) <= 0) * z, (B, N))
    agree(lambda z: np.sign(np.maximum(0, z)) + np.sign(-np.maximum(z, 0)), (B, N))
    with fresh():
        z = opaque("z", B, N)
        assert raw(np.maximum(z, 0) > 0).entries == raw(z > 0).entries


# ---- functions ---------------------------------------------------------------------------------
CALLS: dict[str, list[tuple[Callable[..., Any], tuple]]] = {
    "sum": [
        (
            lambda x: (np.sum(x), x.sum(0), np.sum(x, axis=1), x.sum(-1, keepdims=True), x.sum(axis=(0, 1))),
            ((B, ND),),
        )
    ],
    "mean": [
        (
            lambda x: (np.mean(x), x.mean(0), np.mean(x, axis=(0, 1)), x.mean(axis=1, keepdims=True)),
            ((THREE, B),),
        )
    ],
    "dot": [
        (lambda a, b: (np.dot(a, b), a.dot(b)), x) for x in (((B, N), (N, D)), ((N,), (N,)), ((N,), (N, D)))
    ]
    + [(lambda a, b: np.dot(a, b), ((THREE, B, N), (THREE, N, D))), (lambda a, b: np.dot(a, b), ((), (N,)))],
    "outer": [(lambda a, b: (np.outer(a, b), np.multiply.outer(a, b)), ((N,), (ND,)))],
    "diag": [(lambda a: np.diag(a), ((N,),)), (lambda a: np.diag(a), ((ND,),))],
    "tensordot": [
        (
            lambda a, b: (np.tensordot(a, b, axes=([0, 1], [0, 1])), np.tensordot(a, b, axes=([1], [1]))),
            ((THREE, B, N), (THREE, B, D)),
        ),
        (lambda a, b: (np.tensordot(a, b, axes=1), np.tensordot(a, b, 0)), ((B, N), (N, D))),
    ],
    "einsum": [
        (
            lambda a, b: (
                np.einsum("bi,bj->ij", a, b),
                np.einsum("bi,bj", a, b),
                np.einsum("bi, bj -> b", a, b),
            ),
            ((B, N), (B, D)),
        ),
        (
            lambda a, b: (np.einsum("tbi,ij->tbj", a, b), np.einsum("tbi,ij->jt", a, b)),
            ((THREE, B, N), (N, D)),
        ),
        (lambda a: (np.einsum("ij->ji", a), np.einsum("ij->", a), np.einsum("ij->j", a)), ((B, N),)),
    ],
    "concatenate": [
        (lambda a, b: (np.concatenate([a, b], axis=1), np.concatenate((b, a), axis=-1)), ((B, N), (B, D))),
        (lambda a, b: (np.concatenate([a, b]), np.concatenate([a[None], b[None]])), ((B, N), (B, N))),
    ],
    "stack": [
        (
            lambda a, b: (np.stack([a, b]), np.stack((a, b), axis=1), np.stack([a, b], axis=-1)),
            ((B, N), (B, N)),
        )
    ],
    "split": [(lambda a: (np.split(a, 4, axis=1), np.split(a, [a.shape[1] // 4], axis=-1)), ((B, N4),))],
    "array_split": [(lambda a: np.array_split(a, 2, axis=0), ((N4, B),))],
    "hstack": [
        (lambda a, b: np.hstack([a, b]), ((B, N), (B, D))),
        (lambda a, b: np.hstack((a, b)), ((N,), (D,))),
    ],
    "vstack": [
        (lambda a, b: np.vstack([a, b]), ((N, B), (D, B))),
        (lambda a, b: np.vstack((a, b)), ((N,), (N,))),
    ],
    "broadcast_to": [(lambda a, b: np.broadcast_to(a, b.shape), ((N,), (B, N)))],
    "transpose": [
        (
            lambda a: (a.T, np.transpose(a), a.transpose(), a.transpose(1, 0), np.transpose(a, (0, 1))),
            ((B, N),),
        ),
        (lambda a: (a.T, a.transpose(0, 2, 1), a.transpose((2, 0, 1))), ((THREE, B, N),)),
    ],
    "swapaxes": [(lambda a: (np.swapaxes(a, 0, 2), a.swapaxes(-1, -2)), ((THREE, B, N),))],
    "reshape": [
        (
            lambda a: (
                a.reshape(a.shape[0], 4, -1),
                np.reshape(a, (-1, 4, a.shape[1] // 4))[:, 1],
                a.reshape(1, *a.shape),
            ),
            ((B, N4),),
        ),
        (
            lambda a: (
                a.reshape(-1, a.shape[2]),
                a.reshape(3 * a.shape[1], -1),
                a.reshape(a.shape[0] * a.shape[1], a.shape[2]),
            ),
            ((THREE, B, N),),
        ),
        (lambda a: (a.reshape(-1, 1), a.reshape((1, -1)), a.reshape(-1)), ((N,),)),
        (lambda a: (a.reshape(1, -2), a.reshape(-3)), ((N,),)),  # to numpy, any negative size is -1
        (
            lambda a: a.reshape(-1, a.shape[1]).reshape(3, -1, a.shape[1]) if a.ndim == 2 else a,
            ((("b",) * 3, N),),
        ),
    ],
    "squeeze": [
        (
            lambda a: (np.squeeze(a[None], axis=0), a[:, None].squeeze(1), a[None].squeeze(axis=(0,))),
            ((B, N),),
        )
    ],
    "copy": [(lambda a: (np.copy(a), a.copy()), ((B, N),))],
    "expand_dims": [
        (lambda a: (np.expand_dims(a, 0), np.expand_dims(a, -1), np.expand_dims(a, 1)), ((B, N),))
    ],
    "where": [
        (
            lambda a, b: (np.where(a > 0, a, b), np.where(a > b, 1, 0), np.where(b < 0.5, a, 0.0)),
            ((B, N), (N,)),
        )
    ],
    "clip": [(lambda a: (np.clip(a, -1, 1), np.clip(a, 0, None), np.clip(a, None, 0.5)), ((B, N),))],
    "zeros_like": [(lambda a: np.zeros_like(a) + 1, ((B, ND),))],
    "ones_like": [(lambda a: (np.ones_like(a), np.ones_like(a[0]) @ a.T), ((THREE, N),))],
    "empty_like": [(lambda a: _filled_later(np.empty_like(a), a), ((THREE, N),))],
    "full_like": [(lambda a: np.full_like(a, 2.5), ((B, N),))],
    "shape": [(lambda a: list(np.shape(a)), ((B, N4),))],
    "ndim": [(lambda a: np.zeros(np.ndim(a)), ((B, N4),))],
}


def _filled_later(out, a):
    for t in range(3):
        out[t] = a[t] * 2
    return out


def test_every_function_is_in_these_tests():
    assert set(CALLS) == set(FUNCTIONS)


@pytest.mark.parametrize(
    ("name", "k"), [(name, k) for name, calls in CALLS.items() for k in range(len(calls))]
)
def test_functions(name, k):
    fn, axes = CALLS[name][k]
    agree(fn, *axes)


MADE = {
    "zeros": lambda a: (
        np.zeros(a.shape),
        np.zeros((a.shape[0], 4 * a.shape[1])),
        np.zeros(a.shape[1]),
        np.zeros((2, 3)),
    ),
    "ones": lambda a: (np.ones((a.shape[1], 1)).T @ a.T, np.ones(a.shape[0], dtype=float) @ a),
    "empty": lambda a: _filled_later(np.empty((3, *a.shape[1:])), np.stack([a[0]] * 3)),
    "full": lambda a: np.full(a.shape, -0.5) + np.full((a.shape[1],), a.shape[0]),
    "array": lambda a: (
        np.array(a),
        np.array([a, 2 * a]),
        np.array([1.0, 2.0]).sum() * a,
        np.array([a[0], a[1]], dtype=np.float64),
    ),
    "asarray": lambda a: (np.asarray(a), np.asarray([a, a])),
    "ascontiguousarray": lambda a: np.ascontiguousarray(a.T),
    "eye": lambda a: (np.eye(a.shape[1]) * a[0], np.eye(a.shape[1]) @ a.T, np.eye(2)),
    "identity": lambda a: a @ np.identity(a.shape[1]),
}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_makers(name):
    agree(MADE[name], ((1, 1), N))


# ---- views, and writing in place -----------------------------------------------------------------
def gates_in_place(d, x):
    n = d.shape[1]
    z = np.zeros((d.shape[0], 4 * n))
    z[:, :n] = d
    z[:, n : 2 * n] += 2 * d
    z[:, 2 * n : 3 * n] -= x.sum(axis=1, keepdims=True)
    z[:, 3 * n :] = 7
    z *= 0.5
    z[:, :n] /= 1 + d * d
    return z


def slices_are_views(d, x):
    a = np.zeros((3, *d.shape))
    first, rest = a[0], a[1:]
    first += d
    rest[1] = 2 * d
    last = rest[-1]
    last *= 3
    a[1][...] = d - 1
    return a, first, rest


def transposes_are_views(d, x):
    a = np.zeros((d.shape[1], d.shape[0]))
    a.T[...] = d
    t = a.T
    t += 1
    np.swapaxes(a, 0, 1)[:, :] *= 2
    b = np.zeros(d.shape[1])
    b.reshape(1, -1)[0] = d.sum(0)
    b[None, :] += 1
    b[:, None][...] *= 2
    return a, b


def copies_are_not(d, x):
    a = d.copy()
    a += 1
    e = np.array(d)
    e *= 0
    c = d + 0
    c -= d
    total = d.sum()
    other = total
    other += 1
    return d, a, e, c, total, other


def aliases_are_one_array(d, x):
    a = np.zeros_like(d)
    b = a
    b += d
    a = a + 1
    return a, b


def scalars_are_numbers(d, x):
    a = np.array([d[0, 0] * 0, d[0, 0] * 0 + 1])
    s = a[0]
    s += 5
    a[1] += 2
    return a, s


def where_it_is_written(d, x):
    out = np.zeros_like(d)
    np.tanh(d, out=out)
    np.multiply(out, 2, out=out)
    np.add(out, d, out)
    np.clip(out, -1, 1, out=out)
    return out


def masked(d, x):
    a = d.copy()
    a[d <= 0] = 0
    a[d > 0.5] = 1
    return a


def steps_and_reversal(d, x):
    a = np.stack([d, 2 * d, 3 * d, 4 * d])
    b = a[::-1].copy()
    b[::2] = 0
    c = [h for h in reversed(list(a))]
    return a[::-1], a[1:3], a[-1], b, c, np.array(c), a[3:0:-1], list(reversed(a[:2].copy()))


def keys(d, x):
    return (
        d[None],
        d[:, None],
        d[..., None],
        d[...],
        d[:, :],
        d[None, :, None],
        x[:, : d.shape[1]] * d,
        x[..., d.shape[1] :],
        d.T[0:],
    )


IN_PLACE = [
    gates_in_place,
    slices_are_views,
    transposes_are_views,
    copies_are_not,
    aliases_are_one_array,
    where_it_is_written,
    masked,
    steps_and_reversal,
    keys,
]


@pytest.mark.parametrize("fn", IN_PLACE, ids=lambda fn: fn.__name__)
def test_writing_in_place_is_numpys(fn):
    agree(fn, (B, N), (B, ND))


def test_single_entries_at_fixed_sizes():
    agree(scalars_are_numbers, ((1, 1), (1, 1)), (ONE,))
    agree(lambda a: [a[i, j] * a[j, i] for i in range(3) for j in range(3)], (THREE, THREE))


def test_an_argument_written_in_place_is_the_callers_array():
    with fresh():
        d = opaque("d", B, N)

        def fn(d):
            d += 1
            return d

        assert rebound(fn)(d) is d
        assert raw(d).entries == raw(opaque("d", B, N) + 1).entries


def test_what_was_never_written_is_no_number_that_anybody_knows():
    with fresh():
        d = opaque("d", B, N)
        out = rebound(lambda d: np.empty_like(d) + d - np.empty_like(d))(d)
        assert raw(out).entries != raw(d).entries


# ---- whose numpy ---------------------------------------------------------------------------------
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


# ---- what is not understood ------------------------------------------------------------------------
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
    (lambda d, x: np.cumsum(d), Unsupported, "np.cumsum is not understood here"),
    (lambda d, x: np.linalg.norm(d), Unsupported, "norm|plain numbers"),
    (lambda d, x: np.maximum.reduce(d), Unsupported, "np.maximum.reduce is not understood here"),
    (lambda d, x: d[d > 0], Unsupported, "the entries that a mask picks"),
    (lambda d, x: d.astype(int), Unsupported, "dtype int64: only floats"),
    (lambda d, x: np.zeros(d.shape, dtype=int), Unsupported, "dtype int64: only floats"),
    (lambda d, x: (d > 0) + (d > 1), Unsupported, "np.add on truth values is not understood"),
    (lambda d, x: d**d, Unsupported, "a power whose exponent is an array"),
    (lambda d, x: d.squeeze(), Unsupported, r"squeeze\(\) without an axis"),
    (lambda d, x: np.einsum("ii->i", d), Unsupported, "a letter twice in one operand"),
    (lambda d, x: np.einsum("...i->...", d), Unsupported, "an ellipsis"),
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
    (lambda d, x: d[:, 1:], Undecided, "inside a block"),
    (lambda d, x: x[:, :2], Undecided, "inside a block"),
    (lambda d, x: d[::-1], Undecided, "step -1"),
    (lambda d, x: d.reshape(-1), Undecided, "reshape of"),
    (lambda d, x: np.outer(d, d), Undecided, "reshape of"),
    (lambda d, x: d + x, ValueError, "cannot be broadcast together"),
    (lambda d, x: d.reshape(-1, -2), ValueError, "only one size can be left to be worked out"),
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
