"""What compiled loops call: tanh and exp next to the true values over all floats, products next to numpy's."""

from __future__ import annotations

import numpy as np
import pytest

numba = pytest.importorskip("numba", reason="the extra `fast` is not installed")

from minigrad.fast import native  # noqa: E402

DTYPES = ["float32", "float64"]
SPECIAL = [
    0.0, -0.0, np.inf, -np.inf, np.nan, 1e4, -1e4, 5e-324, -1e-310, 1e-40, 88.7, 88.8, -87.4, -103.9, -745.0, 710.0,
]  # fmt: skip


@pytest.fixture(scope="module")
def loops():
    """Loops that vectorise, as compiled loops have them."""

    @numba.njit(**native.PLAIN)
    def tanh(x, y):
        for k in range(x.shape[0]):
            y[k] = native.tanh(x[k])

    @numba.njit(**native.PLAIN)
    def exp(x, y):
        for k in range(x.shape[0]):
            y[k] = native.exp(x[k])

    return {"tanh": tanh, "exp": exp}


def samples(dtype):
    """float32: every 997th of all there are; float64: of every size."""
    if dtype == "float32":
        x = np.arange(0, 0x7F800000, 997, dtype=np.uint32).view(dtype)
    else:
        rng = np.random.default_rng(0)
        x = np.concatenate([rng.uniform(0, w, 100_000) for w in (1, 22, 750)] + [10 ** rng.uniform(-320, 3, 100_000)])
    return np.concatenate([x, -x, np.array(SPECIAL, "float64").astype(dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "exp"])
def test_within_three_units_in_the_last_place(name, dtype, loops):
    x = samples(dtype)
    y = np.empty_like(x)
    loops[name](x, y)
    with np.errstate(all="ignore"):
        true = getattr(np, name)(x.astype(np.longdouble))
        near = true.astype(dtype)
        unit = np.spacing(np.abs(near)).astype(np.longdouble)
        off = np.abs(y - true) / unit
    rounded = np.isfinite(near)
    assert off[rounded].max() < 3
    np.testing.assert_array_equal(y[~rounded], near[~rounded])
    np.testing.assert_array_equal(np.signbit(y[near == 0]), np.signbit(near[near == 0]))


def made(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_numpys(dtype):
    """Of few rows and many, panels that are not full, sums in several blocks, transposed matrices, nothing to sum."""

    matrix = numba.types.Array(numba.from_dtype(np.dtype(dtype)), 2, "A")  # of any layout, compiled once

    @numba.njit(numba.types.void(*[matrix] * 5), **native.PLAIN)
    def ways(a, b, one, two, three):
        native.dot(a, b, one)
        native.dot(a, native.panels(b), two)
        native.multiply(a, b, three)

    for m, k, n in [(1, 1, 1), (1, 7, 33), (3, 32, 64), (8, 5, 31), (13, 1100, 40), (20, 512, 96), (9, 0, 5)]:
        for flip in (False, True):
            a, b = made((m, k), dtype, 1), made((k, n), dtype, 2)
            a, b = (np.asfortranarray(a), np.asfortranarray(b)) if flip else (a, b)
            out = [np.full((m, n), np.nan, dtype) for _ in range(3)]
            if k:
                ways(a[:, :], b[:, :], *out)
            else:
                ways(np.zeros((m, 1), dtype)[:, :0], np.zeros((1, n), dtype)[:0], *out)
                out = out[1:]  # BLAS wants something to sum
            true = a.astype(np.longdouble) @ b.astype(np.longdouble)
            size = np.abs(a).astype(float) @ np.abs(b).astype(float) + 1
            for y in out:
                assert (np.abs(y - true) <= 40 * np.finfo(dtype).eps * size).all(), (m, k, n, flip)


@pytest.mark.parametrize("dtype", DTYPES)
def test_along_a_row(dtype):
    x = made(37, dtype, 0)
    assert native.total(x) == pytest.approx(x.sum(dtype=np.float64), rel=1e-5)
    assert native.largest(x) == x.max()
    x[3] = np.nan
    assert np.isnan(native.largest(x))
    assert np.isnan(native.total(x))


def test_how_many_threads_blas_takes_is_known():
    assert native.threads() >= 1
