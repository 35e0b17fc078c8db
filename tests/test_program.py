"""Programs: recorded once, printed as equations, replayed on any numbers; and what cannot be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose, assert_array_equal

import minigrad as mg
from minigrad.domains.symbols import Tanh, array
from minigrad.engine.core import leaf
from minigrad.engine.program import record, trace


def gate(x: Any, h: Any, W: Any, b: Any) -> Any:
    inner = x @ W + h
    f = mg.sigmoid(inner) * b
    return f - mg.tanh(h)[:, ::-1]


@pytest.fixture
def args(rng) -> list[np.ndarray]:
    return [rng.standard_normal(s) for s in ((2, 3), (2, 2), (3, 2), (2,))]


# ---- print -------------------------------------------------------------------------------------
def test_a_program_prints_as_its_equations(args):
    assert [line.split("  #")[0].rstrip() for line in str(trace(gate, *args)).splitlines()] == [
        "gate(x: (2, 3), h: (2, 2), W: (3, 2), b: (2,))",
        "  _1 = x @ W",
        "  inner = _1 + h",
        "  _3 = sigmoid(inner)",
        "  f = _3 * b",
        "  _5 = tanh(h)",
        "  _6 = index(_5, key=(0:2, 1::-1))",
        "  _7 = f - _6",
        "  return _7",
    ]


def test_the_shapes_stand_beside_the_equations(args):
    assert str(trace(gate, *args)).splitlines()[1].endswith("# (2, 2)")


def test_names_are_unique_also_where_the_code_uses_one_twice():
    def fn(x: Any) -> Any:
        y = x * 2
        first = y
        y = y * y
        x = y + first
        return x

    program = trace(fn, 1.0)
    names = program.slot_names()
    assert len(set(names[:1] + names[2:])) == len(names) - 1
    assert (names[0], "y" in names, "y2" in names, "x2" in names) == ("x", True, True, True)


def test_a_printed_scan_shows_its_step():
    def step(h: Any, x: Any, p: Any) -> Any:
        new = mg.tanh(x + h * p["w"])
        return new, new

    text = str(trace(lambda xs, w: mg.scan(step, mg.zeros(2), xs, {"w": w})[1], np.ones((3, 2)), np.ones(2)))
    assert "program=step" in text
    assert "\nstep(h: (2,), x: (2,), w: (2,))" in text
    assert "  new = tanh(" in text


def test_dicts_name_their_inputs():
    program = trace(lambda p, xs: p["W"] * xs[1] + p["b"], {"W": 1.0, "b": 2.0}, (3.0, 4.0))
    assert [x.name for x in program.inputs] == ["p_W", "p_b", "xs_0", "xs_1"]


# ---- replay ------------------------------------------------------------------------------------
def test_replays_on_floats_complex_and_symbols_agree(args):
    program = trace(gate, *[np.ones_like(a) for a in args])
    expected = gate(*map(mg.tensor, args)).numpy()
    assert_array_equal(program(*args), expected)
    assert_allclose(program(*[a.astype(complex) for a in args]), expected, rtol=1e-14)
    names = [array(n, *a.shape) for n, a in zip("xhWb", args, strict=True)]
    at = {s: v for n, a in zip(names, args, strict=True) for s, v in zip(n.flat, a.flat, strict=True)}
    formulas = program(*names)
    assert formulas[0, 0].has(Tanh)
    assert_allclose([[float(e.subs(at).evalf()) for e in row] for row in formulas], expected, rtol=1e-12)


def test_a_replay_on_tensors_is_part_of_the_graph(args):
    program = trace(gate, *args)
    xs = [mg.tensor(a, requires_grad=True) for a in args]
    ys = [mg.tensor(a, requires_grad=True) for a in args]
    (program(*xs) ** 2).sum().backward()
    (gate(*ys) ** 2).sum().backward()
    for x, y in zip(xs, ys, strict=True):
        assert_array_equal(x.grad.numpy(), y.grad.numpy())


def test_the_gradient_of_a_program_is_a_program(args):
    g = trace(mg.grad(lambda *a: gate(*a).sum(), (0, 1, 2, 3)), *args)
    other = [a * 2 for a in args]
    for ours, expected in zip(
        g(*other), mg.grad(lambda *a: gate(*a).sum(), (0, 1, 2, 3))(*other), strict=True
    ):
        assert_array_equal(ours, expected.numpy())
    formulas = g(*[array(n, *a.shape) for n, a in zip("xhWb", args, strict=True)])
    assert all(isinstance(e, sp.Basic) for f in formulas for e in f.flat)


def test_results_come_back_in_the_form_of_the_function():
    program = trace(lambda x, p: {"a": (x, p["k"] * x), "n": None, "c": 1.0}, 2.0, {"k": 3.0})
    out = program(np.array(5.0), {"k": np.array(7.0)})
    assert (out["a"][0], out["a"][1], out["n"], out["c"]) == (5, 35, None, 1)


def test_arguments_are_matched_by_key_and_numbers_are_taken():
    program = trace(lambda p: p["a"] - 2 * p["b"], {"a": 1.0, "b": 1.0})
    assert program({"b": np.array(1.0), "a": np.array(5.0)}) == 3
    assert program({"b": 1, "a": 5.0}) == 3


def test_a_program_of_a_program_is_flat(args):
    inner = trace(gate, *args)
    outer = trace(lambda x, h, W, b: inner(x, h, W, b) * 2, *args)
    assert len(outer.nodes) == len(inner.nodes) + 1
    assert_array_equal(outer(*args), 2 * inner(*args))


def test_dead_code_is_not_recorded():
    assert [n.op.name for n in trace(lambda x: (mg.exp(x), x * 2)[1], 1.0).nodes] == ["mul"]


def test_iteration_makes_steps():
    def fn(xs: Any) -> Any:
        total = xs[0] * 0
        for x in xs:
            total = total + x * x
        return total

    notes = [n.note.step for n in trace(fn, np.ones((3, 2))).nodes if n.op.name == "mul"][1:]
    assert notes == [1, 2, 3]


def test_a_loop_that_is_left_early_ends_its_steps():
    def fn(xs: Any) -> Any:
        for x in xs:
            if x.shape:
                break
        return x * x

    assert [n.note.step for n in trace(fn, np.ones((3, 2))).nodes if n.op.name == "mul"] == [None]


def test_every_node_knows_its_line(args):
    files = {n.note.file for n in trace(gate, *args).nodes}
    lines = [n.note.line for n in trace(gate, *args).nodes]
    first = gate.__code__.co_firstlineno
    assert files == {__file__}
    assert [line - first for line in lines] == [1, 1, 2, 2, 3, 3, 3]


# ---- what is captured --------------------------------------------------------------------------
def test_outer_tensors_become_constants_of_a_trace():
    w = mg.tensor(3.0, requires_grad=True)
    program = trace(lambda x: w * x, 1.0)
    assert ([x.name for x in program.inputs], program.consts) == (["x"], (3.0,))
    assert program(np.array(2.0)) == 6


def test_outer_tensors_become_the_last_inputs_of_a_record():
    w = mg.tensor(3.0, requires_grad=True, name="w")
    program, captured = record(lambda x: mg.tanh(w) * x * w, [1.0])
    assert [x.name for x in program.inputs] == ["x", "w"]
    assert captured == [w]
    h = w * 2  # a captured node is not looked into
    _, (only,) = record(lambda x: h * x, [1.0])
    assert only is h


def test_a_program_keeps_no_values_but_its_constants():
    program = trace(lambda x: {"y": x * 2}, np.ones(1000))
    assert program.out_tree == {"y": 2}
    assert not any(isinstance(v, mg.Tensor) for v in vars(program).values())


# ---- what cannot be recorded -------------------------------------------------------------------
def branch(x: Any) -> Any:
    return x if x > 0 else -x


UNRECORDABLE = [
    (branch, "a branch on a tensor's value cannot be recorded: .* use where"),
    (lambda x: x * float(x), "its value as a number cannot be recorded"),
    (lambda x: x * int(x), "its value as a number cannot be recorded"),
    (lambda x: x * x.item(), "its value as a number cannot be recorded: .* call the function on numbers"),
    (lambda x: x * x.numpy(), "its value as an array cannot be recorded"),
    (lambda x: x * np.asarray(x), "its value as an array cannot be recorded"),
    (lambda x: x * x.tolist(), "its value as a list cannot be recorded"),
    (lambda x: [1.0, 2.0][(x > 0) * 1] * x, "its value as an index cannot be recorded"),
    (lambda x: mg.ones(3)[mg.stack([x > 0] * 3)].sum(), "its value as an array cannot be recorded"),
    (lambda x: mg.tensor(x) * 2, "its value as an array cannot be recorded"),
    (lambda x: (x * x).backward(), "backward fills .grad, which a program cannot record; use grad"),
    (lambda x: "text", "<lambda> returned a str where a tensor is meant; only tensor operations"),
    (lambda x: np.ones(2), "returned a ndarray where a tensor is meant"),
]


@pytest.mark.parametrize(("fn", "text"), UNRECORDABLE, ids=[t[:30] for _, t in UNRECORDABLE])
def test_what_cannot_be_recorded_is_said(fn, text):
    with pytest.raises(mg.TraceError, match=text):
        trace(fn, 2.0)


def test_an_inner_recording_does_not_hide_the_outer_one():
    def outer(x: Any) -> Any:
        return trace(lambda y: y * float(x), 1.0)(x)

    with pytest.raises(mg.TraceError, match="cannot be recorded"):
        trace(outer, 2.0)


def test_after_a_recording_has_failed_nothing_is_recorded():
    with pytest.raises(mg.TraceError):
        trace(branch, 2.0)
    assert branch(mg.tensor(-2.0)).item() == 2
    assert (mg.tensor(1.0) * 2).op is None


def test_values_of_the_outside_may_be_read():
    c = mg.tensor(3.0)
    assert trace(lambda x: x * float(c), 1.0)(np.array(2.0)) == 6


REPLAY_ERRORS = [
    (lambda p: p(1.0), "fn: a tuple of 1 is given where a tuple of 2 is expected"),
    (
        lambda p: p(1.0, {"k": 1.0, "l": 2.0}),
        r"fn.1: a dict with keys \['k', 'l'\] is given where a dict with keys \['k'\]",
    ),
    (lambda p: p(1.0, 2.0), "fn.1: one value is given where a dict"),
]


@pytest.mark.parametrize(("call", "text"), REPLAY_ERRORS)
def test_a_replay_needs_the_arguments_it_was_recorded_with(call, text):
    def fn(x: Any, p: Any) -> Any:
        return x * p["k"]

    with pytest.raises(mg.TraceError, match=text):
        call(trace(fn, 1.0, {"k": 2.0}))


def test_a_flat_program_counts_its_inputs():
    program, _ = record(lambda x: x * 2, [leaf(np.ones(2))])
    with pytest.raises(mg.TraceError, match="a tuple of 2 is given where a tuple of 1 is expected"):
        program(np.ones(2), np.ones(2))
