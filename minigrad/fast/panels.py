"""Products with a matrix that stays the same: laid out once in panels, multiplied at every step.

BLAS copies the matrix into an order of its own at every call, which for a few rows costs as much as the product.
Here it is copied once before the loop: panel q holds two vectors' width of columns, row after row, the last one
filled up with zeros. The innermost product keeps a tile of the result in registers: `rows` rows of `a` times a
panel. On 2026-11-21 (Zen 5, one thread, float32) 230 to 250 GFLOP/s at 8 to 64 rows, where numpy's OpenBLAS
makes 55 to 105. This module needs numba; only compiled loops import it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

PLAIN = {"error_model": "numpy", "nogil": True}
FEATURES = binding.get_host_cpu_features()
BYTES = 64 if FEATURES.get("avx512f") else 32 if FEATURES.get("avx2") else 16  # of a vector
VECTORS = 2  # the width of a panel
DEEP = 512  # terms of a sum at a time, so that what is read again is in the cache
ROWS = (8, 4, 1) if BYTES == 64 else (4, 1)  # heights of a tile: its sums and a panel's row fill the registers


def _tile(rows: int, lanes: int, real: Any) -> Any:
    """The product of `rows` rows and a panel, as an intrinsic of addresses, and of steps in bytes."""
    vector, whole = ir.VectorType(real, lanes), ir.IntType(64)
    name = f"llvm.fma.v{lanes}{'f32' if real == ir.FloatType() else 'f64'}"
    size = BYTES // lanes
    nothing = ir.Constant(vector, ir.Undefined)
    first = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

    @intrinsic
    def tile(typing: Any, a: Any, row: Any, step: Any, panel: Any, k: Any, out: Any, below: Any, more: Any) -> Any:
        """out[i, :] = sum_k a[i, k] panel[k, :], for each row i; added to what is there, if more is not 0."""

        def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
            a, row, step, panel, k, out, below, more = args
            fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector] * 3), name)

            def at(base: Any, i: int, by: Any) -> Any:
                return b.add(base, b.mul(by, whole(i)))

            zero = ir.Constant(vector, [0.0] * lanes)
            add = b.icmp_signed("!=", more, whole(0))
            places = [
                [b.inttoptr(at(at(out, i, below), v, whole(BYTES)), vector.as_pointer()) for v in range(VECTORS)]
                for i in range(rows)
            ]
            starts = [[b.select(add, b.load(p, align=size), zero) for p in line] for line in places]
            before, loop, after = b.block, b.append_basic_block("loop"), b.append_basic_block("after")
            b.branch(loop)
            b.position_at_end(loop)
            now = b.phi(whole)
            sums = [[b.phi(vector) for _ in range(VECTORS)] for _ in range(rows)]
            here, there = b.add(a, b.mul(now, step)), b.add(panel, b.mul(now, whole(VECTORS * BYTES)))
            parts = [
                b.load(b.inttoptr(at(there, v, whole(BYTES)), vector.as_pointer()), align=size)
                for v in range(VECTORS)
            ]
            new = []
            for i in range(rows):
                x = b.load(b.inttoptr(at(here, i, row), real.as_pointer()))
                x = b.shuffle_vector(b.insert_element(nothing, x, ir.IntType(32)(0)), nothing, first)
                new.append([b.call(fma, [x, p, s]) for p, s in zip(parts, sums[i], strict=True)])
            following = b.add(now, whole(1))
            phis = [(now, whole(0), following)]
            for sum_line, start_line, new_line in zip(sums, starts, new, strict=True):
                phis += zip(sum_line, start_line, new_line, strict=True)
            for phi, start, value in phis:
                phi.add_incoming(start, before)
                phi.add_incoming(value, loop)
            b.cbranch(b.icmp_signed("<", following, k), loop, after)
            b.position_at_end(after)
            for new_line, place_line in zip(new, places, strict=True):
                for value, place in zip(new_line, place_line, strict=True):
                    b.store(value, place, align=size)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8), generate

    return tile


def products(F: Any, real: Any) -> tuple[Callable[..., Any], ...]:
    """(laid out in panels, product with panels, product with a matrix), for one kind of floats."""
    size = np.dtype(F).itemsize
    lanes = BYTES // size
    width = VECTORS * lanes
    tall, some, one = (_tile(rows, lanes, real) for rows in (ROWS[0], ROWS[-2], 1))
    most, fewer = ROWS[0], ROWS[-2]

    @njit(**PLAIN)
    def fill(out: Any, b: Any) -> None:
        """The rows of b into panels."""
        for q in range(out.shape[0]):
            for i in range(b.shape[0]):
                for j in range(min(width, b.shape[1] - q * width)):
                    out[q, i, j] = b[i, q * width + j]

    @njit(**PLAIN)
    def laid_out(b: Any) -> Any:
        out = np.zeros(((b.shape[1] + width - 1) // width, b.shape[0], width), F)
        fill(out, b)
        return out

    @njit(**PLAIN)
    def strip(a: Any, row: Any, step: Any, panel: Any, k: Any, out: Any, below: Any, m: Any, more: Any) -> None:
        """All rows times one panel."""
        i = 0
        while i + most <= m:
            tall(a + i * row, row, step, panel, k, out + i * below, below, more)
            i += most
        while i + fewer <= m:
            some(a + i * row, row, step, panel, k, out + i * below, below, more)
            i += fewer
        while i < m:
            one(a + i * row, row, step, panel, k, out + i * below, below, more)
            i += 1

    @njit(**PLAIN)
    def some_terms(a: Any, panels: Any, out: Any, rest: Any, first: Any, start: Any, k: Any) -> None:
        """Add k terms of each sum, from `start` on; the panels begin with the terms from `first` on."""
        row, step = a.strides
        left, full = a.ctypes.data + start * step, out.shape[1] // width
        for q in range(panels.shape[0]):
            panel = panels.ctypes.data + q * panels.strides[0] + (start - first) * panels.strides[1]
            right = out.ctypes.data + q * width * size if q < full else rest.ctypes.data
            below = out.strides[0] if q < full else rest.strides[0]
            strip(left, row, step, panel, k, right, below, out.shape[0], start)

    @njit(**PLAIN)
    def finished(out: Any, rest: Any, k: Any) -> None:
        """Put the columns that fill no panel where they belong; a sum of no terms is 0."""
        full = out.shape[1] // width * width
        for i in range(rest.shape[0]):
            for j in range(out.shape[1] - full):
                out[i, full + j] = rest[i, j]
        if k == 0:
            out[:, :] = 0

    @njit(**PLAIN)
    def product(a: Any, panels: Any, out: Any) -> None:
        k = a.shape[1]
        rest = np.empty((out.shape[0] if out.shape[1] % width else 0, width), F)
        for start in range(0, k, DEEP):
            some_terms(a, panels, out, rest, 0, start, min(DEEP, k - start))
        finished(out, rest, k)

    @njit(**PLAIN)
    def once(a: Any, b: Any, out: Any) -> None:
        k, n = b.shape
        rest = np.empty((out.shape[0] if n % width else 0, width), F)
        panels = np.zeros(((n + width - 1) // width, min(DEEP, k), width), F)
        for start in range(0, k, DEEP):
            fill(panels, b[start : start + DEEP])
            some_terms(a, panels, out, rest, start, start, min(DEEP, k - start))
        finished(out, rest, k)

    return laid_out, product, once


BY_TYPE = {
    types.float32: products(np.float32, ir.FloatType()),
    types.float64: products(np.float64, ir.DoubleType()),
}
