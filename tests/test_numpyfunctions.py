"""numpy's functions give on arrays of symbolic size what they give on numbers, at every size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from symbolic_numpy import N4, ND, THREE, B, D, N, agree

from minigrad.prove.backward.numpyfunctions import FUNCTIONS, MAKERS

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
    "cumsum": [(lambda a: (np.cumsum(a, axis=0), np.cumsum(a[::-1], axis=0)[::-1]), ((THREE, B, N),))],
    "inner": [(lambda a, b: np.inner(a, b), ((B, N), (D, N))), (lambda a, b: np.inner(a, b), ((N,), (N,)))],
    "vdot": [(lambda a, b: np.vdot(a, b), ((N,), (N,)))],
    "linalg.multi_dot": [(lambda a, b, c: np.linalg.multi_dot([a, b, c]), ((B, N), (N, D), (D, N)))],
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
        (
            lambda a, b: (np.einsum("...i,ij->...j", a, b), np.einsum("...i,ij", a, b)),
            ((THREE, B, N), (N, D)),
        ),
        (lambda a, b: np.einsum("...i,...j->ij", a, b, optimize=True), ((B, N), (B, D))),
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
    "column_stack": [
        (lambda a, b: (np.column_stack([a, b]), np.c_[a, b]), ((B, N), (B, D))),
        (lambda a, b: np.column_stack((a, b)), ((B,), (B,))),
    ],
    "append": [(lambda a, b: np.append(a, b, axis=1), ((B, N), (B, D)))],
    "hsplit": [(lambda a: np.hsplit(a, 4), ((B, N4),))],
    "vsplit": [(lambda a: np.vsplit(a, 4), ((N4, B),))],
    "flip": [(lambda a: (np.flip(a, 0), np.flip(a, axis=(0,))), ((THREE, B, N),))],
    "moveaxis": [(lambda a: (np.moveaxis(a, 0, 1), np.moveaxis(a, -1, 0)), ((THREE, B, N),))],
    "tile": [
        (lambda a, b: (np.tile(a, (b.shape[0], 1)), np.tile(b, 2), np.tile(b, (1, 3))), ((N,), (B, N))),
        (lambda a, b: np.tile(a[:, None], b.shape[1]), ((B,), (B, N))),
    ],
    "ravel": [(lambda a: (np.ravel(a), a.ravel(), a.flatten(), np.r_[a, a]), ((N,),))],
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
    "clip": [
        (lambda a: (np.clip(a, -1, 1), a.clip(-1, 1), np.clip(a, 0, None), np.clip(a, None, 0.5)), ((B, N),))
    ],
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
