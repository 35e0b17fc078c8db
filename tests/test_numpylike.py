"""Plain numpy code gives on arrays of symbolic size what it gives on numbers, at every size; or an error."""

from __future__ import annotations

import numpy as np
import pytest
from symbolic_numpy import N4, ND, ONE, THREE, B, D, N, agree, opaque

from minigrad.domains.sizes import fresh
from minigrad.prove.backward.numpylike import raw
from minigrad.prove.backward.rebind import rebound
from minigrad.prove.backward.ufuncs import UFUNCS

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


def picked_by_a_mask(d, x):
    a, low = d.copy(), d <= 0
    a[low] *= 0.1
    a[~low] += 2 * d[~low] - 1
    b = np.zeros_like(d)
    b[d > 0.5] = np.tanh(d[d > 0.5])
    return a, b


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
    picked_by_a_mask,
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
