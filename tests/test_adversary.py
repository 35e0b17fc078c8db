"""What an adversary tried: right things must not be refuted, wrong ones not proved, and nothing may hang."""

from __future__ import annotations

import pytest

import minigrad as mg
from minigrad import cell, relu, sigmoid, tanh
from minigrad.prove import compare

rnn_like = cell(h="n", x="d", W="d n", U="n n", b="n")


# ---- compare: one function in two forms is never "different" --------------------------------------
FORMS = {
    "tanh is above -1": (lambda z: tanh(z), lambda z: mg.maximum(tanh(z), -1.0)),
    "sigmoid is positive": (lambda z: sigmoid(z), lambda z: relu(sigmoid(z))),
    "abs of relu": (lambda z: relu(z), lambda z: mg.abs(relu(z))),
    "where of what is always so": (lambda z: tanh(z), lambda z: mg.where(relu(z) > -1.0, tanh(z), z)),
    "tanh(2u)": (lambda z: 2 * tanh(z), lambda z: tanh(2 * z) * (1 + tanh(z) * tanh(z))),
    "sigmoid and tanh": (lambda z: 2 * sigmoid(2 * z), lambda z: 1 + (1 - sigmoid(z)) * 0 + tanh(z)),
}


@pytest.mark.parametrize("name", FORMS)
def test_two_forms_of_one_function_are_never_different(name):
    one, two = FORMS[name]

    def a(h, /, x, *, W, U, b):
        return one(x @ W + h @ U + b)

    def c(h, /, x, *, W, U, b):
        return two(x @ W + h @ U + b)

    assert compare(rnn_like(a), rnn_like(c)).verdict in ("equal", "unknown")
    assert compare(rnn_like(c), rnn_like(a)).verdict in ("equal", "unknown")


def test_the_addition_theorem_of_tanh():
    @rnn_like
    def a(h, /, x, *, W, U, b):
        u, v = x @ W, h @ U + b
        return tanh(u + v) * (1 + tanh(u) * tanh(v))

    @rnn_like
    def c(h, /, x, *, W, U, b):
        return tanh(x @ W) + tanh(h @ U + b)

    assert compare(a, c).verdict == "unknown"


def test_what_differs_in_one_free_sign_is_different():
    @rnn_like
    def a(h, /, x, *, W, U, b):
        return relu(x @ W + h @ U + b)

    @rnn_like
    def c(h, /, x, *, W, U, b):
        return mg.abs(x @ W + h @ U + b)

    assert compare(a, c).verdict == "different"
