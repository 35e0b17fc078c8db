"""Products with a matrix that stays the same: laid out once in panels, multiplied at every step.

BLAS copies the matrix into an order of its own at every call, which for a few rows costs as much as the product.
Here it is copied once before the loop: panel q holds two vectors' width of columns, row after row, the last one
filled up with zeros. The innermost product keeps a tile of the result in registers: `rows` rows of `a` times a
panel. On 2026-11-21 (Zen 5, one thread, float32) 230 to 250 GFLOP/s at 8 to 64 rows, where numpy's OpenBLAS
makes 55 to 105. This module needs numba; only compiled loops import it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

PLAIN = {"error_model": "numpy", "nogil": True}
INNER = PLAIN | {"inline": "always"}  # a function of its own is compiled once for itself and once for each caller
FEATURES = binding.get_host_cpu_features()
BYTES = 64 if FEATURES.get("avx512f") else 32 if FEATURES.get("avx2") else 16  # of a vector
VECTORS = 2  # the width of a panel
WIDTH = {"float32": VECTORS * BYTES // 4, "float64": VECTORS * BYTES // 8}  # the same in floats
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


def products(F: Any, real: Any) -> dict[str, Any]:
    """What there is for one kind of floats, by name: functions of addresses, sizes, and steps in bytes.

    One function for all, or nearly, because the compiler goes through a function once for each that calls it.
    """
    size, width = np.dtype(F).itemsize, WIDTH[np.dtype(F).name]
    lanes = BYTES // size
    tall, some, one = (_tile(rows, lanes, real) for rows in (ROWS[0], ROWS[-2], 1))
    most, fewer = ROWS[0], ROWS[-2]

    @intrinsic
    def entries(typing: Any, address: Any) -> Any:
        """The floats that are there."""
        floats = types.CPointer(getattr(types, np.dtype(F).name))
        return floats(types.intp), lambda context, b, s, args: b.inttoptr(args[0], real.as_pointer())

    @njit(**INNER)
    def fill(panels: Any, b: Any, row: Any, step: Any, k: Any, n: Any) -> None:
        """b, (k, n), into panels; what no column fills is 0."""
        to, begin, row, step = entries(panels), entries(b), row // size, step // size
        for q in range((n + width - 1) // width):
            columns = min(width, n - q * width)
            there, here = q * k * width, q * width * step
            if step == 1:
                for i in range(k):
                    for j in range(columns):
                        to[there + i * width + j] = begin[here + i * row + j]
            else:
                for j in range(columns):
                    for i in range(k):
                        to[there + i * width + j] = begin[here + i * row + j * step]
            for i in range(k):
                for j in range(columns, width):
                    to[there + i * width + j] = 0

    @njit(**INNER)
    def product(
        a: Any, row: Any, step: Any, b: Any, b_row: Any, b_step: Any, panels: Any, out: Any, below: Any,
        m: Any, n: Any, k: Any,
    ) -> None:  # fmt: skip
        """out = a, (m, k), times what is laid out in panels; if there are none, times b, (k, n)."""
        deep = k if panels else min(DEEP, k)  # rows in a panel
        rest = np.empty(m * width if n % width else 0, F)  # of the columns that fill no panel
        own = np.empty(0 if panels else (n + width - 1) // width * width * deep, F)
        for start in range(0, k, DEEP):
            terms = min(DEEP, k - start)
            if panels:
                begin = panels + start * width * size
            else:
                begin, deep = own.ctypes.data, terms
                fill(begin, b + start * b_row, b_row, b_step, terms, n)
            left = a + start * step
            for q in range((n + width - 1) // width):
                panel = begin + q * deep * width * size
                full = (q + 1) * width <= n
                right = out + q * width * size if full else rest.ctypes.data
                next_row = below if full else width * size
                i = 0
                while i + most <= m:
                    tall(left + i * row, row, step, panel, terms, right + i * next_row, next_row, start)
                    i += most
                while i + fewer <= m:
                    some(left + i * row, row, step, panel, terms, right + i * next_row, next_row, start)
                    i += fewer
                while i < m:
                    one(left + i * row, row, step, panel, terms, right + i * next_row, next_row, start)
                    i += 1
        first = n // width * width if k else 0
        for i in range(m):
            to = entries(out + i * below)
            for j in range(first, n):
                to[j] = rest[i * width + j - first] if k else 0

    return {"fill": fill, "product": product}


BY_TYPE = {"float32": products(np.float32, ir.FloatType()), "float64": products(np.float64, ir.DoubleType())}
