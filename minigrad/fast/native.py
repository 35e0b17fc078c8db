"""What compiled loops call: products by numpy's own BLAS, sums along a row, tanh and exp that vectorise.

LLVM vectorises a loop over a row only if nothing in it is a call, and the C library's tanh and exp are. So both
are written out: y = k ln 2 + r with |r| <= ln(2) / 2, e^y = 2^k (1 + p(r)), p a Taylor sum; tanh by e^y - 1 at
y = -2 |x|, which loses nothing near 0. Within 3 units in the last place of the true value, float32 and
float64 (measured in tests/test_native.py). This module needs numba; only compiled loops import it.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding
from numba import cfunc, njit, types
from numba.extending import overload

from .cache import kept
from .panels import BY_TYPE as PRODUCTS
from .panels import PLAIN, WIDTH, products

FUSED = PLAIN | {"fastmath": {"contract"}}  # a product and a sum as one instruction


# ---- exp and tanh ------------------------------------------------------------------------------
def _formulas(F: Any, I: Any, digits: int, bias: int, flat: float, least: float, most: float) -> Any:
    """(exp, tanh) of one kind of floats.

    digits: of the mantissa; bias: of the exponent; flat: tanh is 1 from there; least, most: where exp is 0, inf.
    """
    per_ln2, two, one = F(1 / math.log(2)), F(2), F(1)
    high = F(np.floor(math.log(2) * 2.0 ** (digits // 2)) / 2.0 ** (digits // 2))  # k times this is exact
    low = F(float(np.log(np.longdouble(2)) - np.longdouble(high)))
    magic = F(1.5 * 2.0**digits)  # added, it rounds to a whole number, which is then in the last bits
    zero_bits, shift, bias = I(magic.view(I)), I(digits), I(bias)
    c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13 = (F(1 / math.factorial(n)) for n in range(2, 14))
    flat, least, most, deep = F(-2 * flat), F(least), F(most), digits > 30

    @njit(inline="always", **FUSED)
    def reduced(y: Any) -> Any:
        """(k as an integer, e^r - 1)."""
        z = y * per_ln2 + magic
        k = z - magic
        r = (y - k * high) - k * low
        p = c8
        if deep:
            p = ((((c13 * r + c12) * r + c11) * r + c10) * r + c9) * r + c8
        p = (((((p * r + c7) * r + c6) * r + c5) * r + c4) * r + c3) * r + c2
        return I(F(z).view(I) - zero_bits), p * r * r + r

    @njit(inline="always", **FUSED)
    def power_of_two(k: Any) -> Any:
        return I((k + bias) << shift).view(F)

    def exp(x: Any) -> Any:
        y = least if x < least else most if x > most else x
        k, p = reduced(y)
        half = k >> 1
        return (one + p) * power_of_two(half) * power_of_two(k - half)

    def tanh(x: Any) -> Any:
        y = -two * abs(x)
        k, p = reduced(flat if y < flat else y)
        s = power_of_two(k)
        e = s * p + (s - one)
        return math.copysign(e / (e + two), x)

    return exp, tanh


_BY_TYPE = {
    types.float32: _formulas(np.float32, np.int32, 23, 127, 10, -104, 90),
    types.float64: _formulas(np.float64, np.int64, 52, 1023, 20, -746, 711),
}


def exp(x: Any) -> Any:
    """e^x."""
    return np.exp(x)


def tanh(x: Any) -> Any:
    """tanh x."""
    return np.tanh(x)


def where(c: Any, x: Any, y: Any) -> Any:
    """x where c is true, else y."""
    return x if c else y


@overload(exp, jit_options=FUSED, strict=False)
def _exp(x: Any) -> Any:
    return _BY_TYPE[x][0]


@overload(tanh, jit_options=FUSED, strict=False)
def _tanh(x: Any) -> Any:
    return _BY_TYPE[x][1]


@overload(where, jit_options=PLAIN, strict=False)
def _where(c: Any, x: Any, y: Any) -> Any:
    return lambda c, x, y: x if c else y


# ---- along a row -------------------------------------------------------------------------------
@njit(fastmath={"reassoc", "nsz", "contract"}, **PLAIN)
def total(x: Any) -> Any:
    """The sum of a row."""
    s = x.dtype.type(0)
    for k in range(x.shape[0]):
        s += x[k]
    return s


@njit(**PLAIN)
def largest(x: Any) -> Any:
    """The largest number of a row; NaN if there is one."""
    y = x[0]
    for k in range(1, x.shape[0]):
        y = np.maximum(y, x[k])
    return y


# ---- products ----------------------------------------------------------------------------------
NUMPYS = ctypes.CDLL(str(importlib.import_module("numpy._core._multiarray_umath").__file__))


def threads() -> int:
    """How many threads numpy's BLAS takes; 0 if it does not say."""
    names = ("scipy_openblas_get_num_threads64_", "openblas_get_num_threads64_", "openblas_get_num_threads")
    return next((getattr(NUMPYS, n)() for n in names if hasattr(NUMPYS, n)), 0)


def _blas() -> dict[Any, Any]:
    """By dtype: numpy's matrix product, as a function that compiled code can call.

    Raises ImportError if numpy's library has none under the names that it is known by.
    """
    found = {}
    for letter, F in (("s", types.float32), ("d", types.float64)):
        names = {f"scipy_cblas_{letter}gemm64_": types.int64, f"cblas_{letter}gemm64_": types.int64,
                 f"cblas_{letter}gemm": types.int32}  # fmt: skip
        name = next((n for n in names if hasattr(NUMPYS, n)), None)
        if name is None:
            raise ImportError(f"no {letter}gemm in {NUMPYS._name}")
        address = ctypes.cast(getattr(NUMPYS, name), ctypes.c_void_p).value
        binding.add_symbol(f"minigrad_{letter}gemm", address)
        size, flag, pointer = names[name], types.int32, types.intp
        found[F] = types.ExternalFunction(
            f"minigrad_{letter}gemm",
            types.void(flag, flag, flag, size, size, size, F, pointer, size, pointer, size, F, pointer, size),
        )
    return found


GEMM = _blas()
_TEXTS = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("native.py", "panels.py"))
VERSION = " ".join([hashlib.sha256(_TEXTS).hexdigest()[:16], *sorted(map(str, GEMM.values()))])
ROWS, AS_IT_IS, TRANSPOSED = 101, 111, 112  # the words of CBLAS
KERNELS = {"panels": ["fill", "product"], "multiply": ["product"]}  # what a text with this word calls


def prepare(words: set[str], dtypes: set[str]) -> None:
    """What a text with these words calls is there; without it, LLVM ends the process that loads what was compiled."""
    for word in words & set(KERNELS):
        for dtype in dtypes & set(PRODUCTS):
            for name in KERNELS[word]:
                _kernel(name, dtype)


@functools.cache
def _kernel(name: str, dtype: str) -> Any:
    """A function of panels.py under a name that compiled code finds: compiled once for all loops, kept on disk."""
    size = PRODUCTS[dtype][name].py_func.__code__.co_argcount
    words = ", ".join(f"x{i}" for i in range(size))
    lines = [
        f"# {VERSION}", f"from {products.__module__} import BY_TYPE", "", f"{name} = BY_TYPE[{dtype!r}][{name!r}]",
        "", f"def kernel({words}):", f"    {name}({words})", "",
    ]  # fmt: skip
    signature = types.void(*[types.intp] * size)
    found = kept("\n".join(lines), "kernel", lambda f, keep: cfunc(signature, cache=keep, **PLAIN)(f))
    binding.add_symbol(f"minigrad_{name}_{dtype}", found.address)
    return found, types.ExternalFunction(f"minigrad_{name}_{dtype}", signature)


def kernel(name: str, dtype: Any) -> Any:
    """The function of panels.py as one that compiled code can call."""
    return _kernel(name, str(dtype))[1]


def dot(a: Any, b: Any, out: Any) -> Any:
    """out = a @ b, of matrices whose rows, or columns, are without gaps, or b in panels."""
    return np.dot(a, b, out)


def multiply(a: Any, b: Any, out: Any) -> Any:
    """out = a @ b, of large matrices."""
    return np.dot(a, b, out)


@overload(multiply, jit_options=PLAIN, strict=False)
def _multiply(a: Any, b: Any, out: Any) -> Any:
    product = kernel("product", a.dtype)

    def multiply(a: Any, b: Any, out: Any) -> None:
        m, n = out.shape
        product(
            a.ctypes.data, a.strides[0], a.strides[1], b.ctypes.data, b.strides[0], b.strides[1], 0,
            out.ctypes.data, out.strides[0], m, n, b.shape[0],
        )  # fmt: skip

    return multiply


def panels(b: Any) -> Any:
    """The matrix as `dot` multiplies with it soonest, again and again."""
    return b


@overload(panels, jit_options=PLAIN, strict=False)
def _panels(b: Any) -> Any:
    fill, F, width = kernel("fill", b.dtype), np.dtype(str(b.dtype)).type, WIDTH[str(b.dtype)]

    def laid_out(b: Any) -> Any:
        k, n = b.shape
        out = np.empty(((n + width - 1) // width, k, width), F)
        fill(out.ctypes.data, b.ctypes.data, b.strides[0], b.strides[1], k, n)
        return out

    return laid_out


@overload(dot, jit_options=PLAIN, strict=False)
def _dot(a: Any, b: Any, out: Any) -> Callable[..., None]:
    return _with_panels(a) if b.ndim == 3 else _by_blas(a)


def _with_panels(a: Any) -> Callable[..., None]:
    product = kernel("product", a.dtype)

    def dot(a: Any, b: Any, out: Any) -> None:
        m, n = out.shape
        product(
            a.ctypes.data, a.strides[0], a.strides[1], 0, 0, 0, b.ctypes.data,
            out.ctypes.data, out.strides[0], m, n, a.shape[1],
        )  # fmt: skip

    return dot


def _by_blas(a: Any) -> Callable[..., None]:
    gemm, F = GEMM[a.dtype], np.dtype(str(a.dtype)).type
    one, zero = F(1), F(0)

    def product(a: Any, b: Any, out: Any) -> None:
        size = a.itemsize
        m, n, k = out.shape[0], out.shape[1], a.shape[1]
        flip_a, flip_b = a.strides[1] != size and k > 1, b.strides[1] != size and n > 1
        step_a = a.strides[1] if flip_a else a.strides[0]
        step_b = b.strides[1] if flip_b else b.strides[0]
        gemm(
            ROWS, TRANSPOSED if flip_a else AS_IT_IS, TRANSPOSED if flip_b else AS_IT_IS, m, n, k,
            one, a.ctypes.data, max(step_a // size, m if flip_a else k),
            b.ctypes.data, max(step_b // size, k if flip_b else n),
            zero, out.ctypes.data, max(out.strides[0] // size, n),
        )  # fmt: skip

    return product
