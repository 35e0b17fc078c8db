"""What an adversary tried: right things must not be refuted, wrong ones not proved, and nothing may hang."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from numpy import ndarray

import minigrad as mg
from minigrad import cell, relu, sigmoid, tanh
from minigrad.cells import CELLS
from minigrad.domains.exact import array
from minigrad.domains.generators import fresh
from minigrad.domains.sizes import Undecided
from minigrad.prove import check_backward, compare
from minigrad.prove.anysize import step_lemma
from minigrad.prove.backward.numpyops import Unsupported
from minigrad.prove.certificate import certificate
from minigrad.prove.effects import ImpureError
from minigrad.verify import verify

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


# ---- verify: a certificate that was written to hang, or to be misread ---------------------------------
def with_chain(op: str, times: int):
    """The certificate of an rnn whose gradient of h is an operation on itself, again and again."""
    data = json.loads(json.dumps(certificate(CELLS["rnn"])))
    tape, (slot, places) = data["tape"], data["claims"]["0"]
    dims = tape[slot]["dims"]
    tape.append({"op": "number", "args": [], "dims": [], "sum": [], "name": "16"})
    tape.append({"op": "add", "args": [[5, [0, 1]], [0, [0, 1]]], "dims": dims, "sum": [], "name": ""})
    sixteen = [len(tape) - 2, []]
    for _ in range(times):
        last = [len(tape) - 1, [0, 1]]
        args = [last, sixteen if op == "pow" else last]
        tape.append({"op": op, "args": args, "dims": dims, "sum": [], "name": ""})
    data["claims"]["0"] = [len(tape) - 1, places]
    return data


@pytest.mark.parametrize("op", ["pow", "mul"])
def test_an_exponent_bomb_is_refused_at_once(op):
    assert verify(with_chain("mul", 1)) == ["h"]
    with pytest.raises(ValueError, match="a formula of more than 20000 bits: too large"):
        verify(with_chain(op, 40))


def test_digits_that_only_look_like_digits_are_no_numbers():
    data = json.loads(json.dumps(certificate(CELLS["rnn"])))
    number = next(e for e in data["tape"] if e["op"] == "number")
    number["name"] = "\N{FULLWIDTH DIGIT ONE}"
    with pytest.raises(ValueError, match="the number"):
        verify(data)


# ---- check_backward: numpy and the exact run must take the same path ------------------------------------
class Slots:
    __slots__ = ("n",)


SLOTS, TICKS = Slots(), itertools.count()
SLOTS.n = 0


def right(dh, h_next, i):
    return i.T @ (dh * (1 - h_next**2))


def told_by_its_type(dh, h_next, i):
    return {"W": right(dh, h_next, i) * (2 if type(dh).__name__ == "ndarray" else 1)}


def told_by_isinstance(dh, h_next, i):
    return {"W": right(dh, h_next, i) * (2 if isinstance(dh, ndarray) else 1)}


def told_by_the_type_of_a_size(dh, h_next, i):
    return {"W": right(dh, h_next, i) * (2 if isinstance(dh.shape[0], int) else 1)}


def told_by_an_error(dh, h_next, i):
    try:
        float(dh[0, 0])
    except TypeError:
        return {"W": right(dh, h_next, i)}
    return {"W": right(dh, h_next, i) * (1 if dh.shape[0] < 6 else 2)}


def told_by_a_hidden_branch(dh, h_next, i):
    try:
        factor = 2 if dh[0, 0] > 100 else 1
    except Exception:
        factor = 1
    return {"W": right(dh, h_next, i) * factor}


def wrong_at_six_as_a_float(dh, h_next, i):
    return {"W": right(dh, h_next, i) * (2 if dh.shape[1] == 6.0 else 1)}


def wrong_at_six_as_numpys_number(dh, h_next, i):
    return {"W": right(dh, h_next, i) * (2 if dh.shape[1] == np.int64(6) else 1)}


@pytest.mark.parametrize(
    "fn",
    [told_by_its_type, told_by_isinstance, told_by_the_type_of_a_size, wrong_at_six_as_a_float,
     wrong_at_six_as_numpys_number],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_a_backward_that_knows_it_is_watched_is_refuted(fn):
    assert check_backward(CELLS["rnn"], fn).verdict == "refuted"


@pytest.mark.parametrize("fn", [told_by_an_error, told_by_a_hidden_branch], ids=lambda f: f.__name__)
def test_an_error_of_ours_that_is_caught_is_raised_all_the_same(fn):
    with pytest.raises(Unsupported, match=r"(a plain number|a branch on the value)(.|\n)*in .*test_adversary.py"):
        check_backward(CELLS["rnn"], fn)


def counts_in_slots(dh, h_next, i):
    SLOTS.n += 1
    return {"W": right(dh, h_next, i) * (1 if SLOTS.n < 100 else 2)}


def counts_with_an_iterator(dh, h_next, i):
    return {"W": right(dh, h_next, i) * (1 if next(TICKS) < 100 else 2)}


def counts_on_itself(dh, h_next, i):
    counts_on_itself.n = getattr(counts_on_itself, "n", 0) + 1
    return {"W": right(dh, h_next, i) * (1 if counts_on_itself.n < 100 else 2)}


@pytest.mark.parametrize(
    ("fn", "what"),
    [(counts_in_slots, "SLOTS"), (counts_with_an_iterator, "TICKS"), (counts_on_itself, "counts_on_itself")],
    ids=["slots", "iterator", "function"],
)
def test_what_keeps_count_out_of_sight_is_refused(fn, what):
    with pytest.raises(ImpureError, match=f"changes {what}; it must do nothing but compute"):
        check_backward(CELLS["rnn"], fn)


# ---- prove: powers that would take for ever -------------------------------------------------------------
def test_a_huge_power_of_one_gate_is_proved():
    @rnn_like
    def powered(h, /, x, *, W, U, b):
        return tanh(x @ W + h @ U + b) ** 100_000_000

    assert step_lemma(powered).verdict == "proved"


def test_a_huge_power_of_a_sum_is_undecided_and_does_not_hang(monkeypatch):
    monkeypatch.setattr("minigrad.prove.opaque.MOST_PRODUCTS", 1000)

    @rnn_like
    def powered(h, /, x, *, W, U, b):
        return (x @ W + h @ U + b) ** 60

    with pytest.raises(Undecided, match=r"formulas of more than 1000 products \(in .*test_adversary.py"):
        step_lemma(powered)
    with fresh(), pytest.raises(OverflowError, match="a product of more than 2000000 terms is out of reach"):
        array("u", 6).sum() ** 60
