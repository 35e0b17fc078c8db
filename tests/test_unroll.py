"""unroll = scan = a loop over the cell, in values and all gradients; every node knows where it stands."""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.cells import CELLS, affine, lstm_misprint, softmax_readout, unroll

ALL = {
    **CELLS,
    "lstm_misprint": lstm_misprint,
    "lstm+affine": CELLS["lstm"].then(affine),
    "rnn_words+softmax": CELLS["rnn_words"].then(softmax_readout),
    "torch_gru+affine": CELLS["torch_gru"].then(affine),
}
every_cell = pytest.mark.parametrize("cell", ALL.values(), ids=list(ALL))
T, SIZES = 4, {"n": 3, "d": 2}


def arguments(cell, *lead):
    """(params, state, xs) of random numbers, all requiring gradients."""
    params = cell.init(0, **SIZES, **({"q": 5} if cell.readout else {}))
    shapes = [lead + cell.shape(s, SIZES) for s in cell.states]
    state = tuple(mg.randn(s, requires_grad=True, seed=i) for i, s in enumerate(shapes, start=1))
    return params, state, mg.randn(T, *lead, SIZES["d"], requires_grad=True, seed=9)


def by_unroll(cell, params, state, xs):
    u = unroll(cell, state, xs, params)
    return u.states[-1], mg.stack(u.outputs)


def by_scan(cell, params, state, xs):
    return mg.scan(cell, state, xs, params)


def by_loop(cell, params, state, xs):
    outputs = []
    for x in xs:
        result = cell(*state, x, **params)
        result = result if isinstance(result, tuple) else (result,)
        state = result[: len(state)]
        outputs.append(result[len(state)] if cell.readout else result[0])
    return state, mg.stack(outputs)


def values_and_gradients(way, cell, lead):
    """Everything that one way computes: final states, outputs, and the gradient of each argument."""
    params, state, xs = arguments(cell, *lead)
    final, outputs = way(cell, params, state, xs)
    results = [*final, outputs]
    weights = [mg.randn(r.shape, seed=20 + i) for i, r in enumerate(results)]
    total = mg.tensor(0.0)
    for r, w in zip(results, weights, strict=True):
        total = total + (r * r * w).sum()
    total.backward()
    return [r.numpy() for r in results] + [p.grad.numpy() for p in (*params.values(), *state, xs)]


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)], ids=str)
@every_cell
def test_unroll_is_scan_is_a_loop(cell, lead):
    loop, scan, unrolled = (values_and_gradients(way, cell, lead) for way in (by_loop, by_scan, by_unroll))
    for a, b, c in zip(loop, scan, unrolled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)


def assignments(fn):
    """{variable: the lines of file that assign it}, from the source of a function."""
    lines, first = inspect.getsourcelines(fn)
    found: dict[str, set[int]] = {}
    for node in ast.walk(ast.parse(textwrap.dedent("".join(lines)))):
        if isinstance(node, ast.Assign):
            span = set(range(first + node.lineno - 1, first + node.end_lineno))
            for name in ast.walk(node.targets[0]):
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, set()).update(span)
    return found


@every_cell
def test_every_variable_of_the_code_names_a_node_in_every_step(cell):
    params, state, xs = arguments(cell, 2)
    nodes = unroll(cell, state, xs, params).nodes
    core = next((c for c in CELLS.values() if cell.name.startswith(c.name + "+")), cell)
    written = assignments(core.fn) | (assignments(cell.readout.fn) if cell.readout else {})
    assert written
    for t in range(1, T + 1):
        here = [n for n in nodes if n.note is not None and n.note.step == t]
        for variable, lines in written.items():
            lines_of_nodes = {n.note.line for n in here if n.name == variable}
            assert lines_of_nodes & lines, f"step {t}: no node named {variable} of the lines {lines}"
        assert {n.name for n in here} >= set(cell.inputs)


@every_cell
def test_every_node_knows_its_step_and_a_line_of_the_cells_source(cell):
    params, state, xs = arguments(cell)
    core = next((c for c in CELLS.values() if cell.name.startswith(c.name + "+")), cell)
    spans = set()
    for fn in (core.fn, *([cell.readout.fn] if cell.readout else [])):
        lines, first = inspect.getsourcelines(fn)
        spans |= {(inspect.getsourcefile(fn), line) for line in range(first, first + len(lines))}
    u = unroll(cell, state, xs, params)
    made = [n for n in u.nodes if n.op is not None and n.op.name != "unstack"]
    inputs = {x.id for column in u.xs for x in column}
    for n in made:
        assert n.note.step in range(1, T + 1)
        assert n.id in inputs or (n.note.file, n.note.line) in spans
    step = {n.id: n.note.step for n in made}
    assert all(step[a.id] <= step[b.id] for b in made for a in b.inputs if a.id in step)  # not back in time


@every_cell
def test_an_unrolled_graph_is_freed_by_reference_counts_alone(cell):
    """The frames that nodes take their names from are let go as well."""
    arguments(cell)
    gc.collect()
    gc.disable()
    try:
        params, state, xs = arguments(cell)
        u = unroll(cell, state, xs, params)
        mg.stack(u.outputs).sum().backward()
        made = [weakref.ref(n) for n in u.nodes]
        del params, state, xs, u
        assert [r() for r in made if r() is not None] == []
    finally:
        gc.enable()


def test_the_gates_of_the_lstm_keep_the_letters_of_the_article():
    cell = CELLS["lstm"]
    params, state, xs = arguments(cell)
    named = [n.name for n in unroll(cell, state, xs, params).nodes]
    for gate in ("I", "F", "O", "C_tilda", "C", "H"):
        assert named.count(gate) >= T


def test_averaged_loss_of_article_000():
    """L = (1/T) sum_t l(o_t, y_t)."""
    cell = CELLS["rnn"].then(affine)
    params, state, xs = arguments(cell, 2)
    u = unroll(cell, state, xs, params)
    targets = [mg.randn(2, 5, seed=30 + t) for t in range(T)]
    by_hand = sum(((o - y).numpy() ** 2).mean() for o, y in zip(u.outputs, targets, strict=True)) / T
    np.testing.assert_allclose(u.loss(mg.mse, targets).item(), by_hand, rtol=1e-14)
    with pytest.raises(mg.ShapeError, match="3 targets for 4 outputs"):
        u.loss(mg.mse, targets[:3])


def bad_state(cell, h=(3,), x=(4, 2), **changed):
    params = {**cell.init(0, **SIZES), **{k: np.zeros(v) for k, v in changed.items()}}
    return lambda run: run(cell, params, np.zeros(h), np.zeros(x))


@mg.cell(h="n", x="d", W="d n")
def grows(h, /, x, *, W):
    return mg.concatenate([h, x @ W], axis=-1)


@mg.cell(h="n", x="d", W="d n")
def stumbles(h, /, x, *, W):
    return h @ W


@mg.cell(h="n", x="d", W="d n")
def chatters(h, /, x, *, W):
    return h, h, h


@mg.cell(h="n", x="d", z="d", W="d n")
def two_inputs(h, /, x, z, *, W):
    return h + (x * z) @ W


BAD = {
    r"rnn: argument i: shape \(3,\), expected \(d,\) with d = 2 from W of shape \(2, 3\)": bad_state(
        CELLS["rnn"], x=(4, 3)
    ),
    r"rnn: argument U: shape \(3, 4\), expected \(n, n\) with n = 3 from W of shape \(2, 3\)": bad_state(
        CELLS["rnn"], U=(3, 4)
    ),
    r"rnn: argument b: shape \(1, 3\), expected \(n,\)": bad_state(CELLS["rnn"], b=(1, 3)),
    r"rnn: argument i has the leading axes \(5,\), state h has \(4,\); the batch must be the same": bad_state(
        CELLS["rnn"], h=(4, 3), x=(6, 5, 2)
    ),
    r"T = 0 steps": bad_state(CELLS["rnn"], x=(0, 2)),
    r"grows.*: state h enters with shape \(3,\) float64 and leaves with \(6,\) float64": bad_state(grows),
    r"stumbles.*: matmul: \(3,\) @ \(2, 3\)": bad_state(stumbles),
    r"chatters.*: returned 3 values; it has the state\(s\) h": bad_state(chatters),
}


@pytest.mark.parametrize("way", [by_unroll, by_scan], ids=lambda w: w.__name__)
@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message, way):
    with pytest.raises(mg.ShapeError, match=message):
        BAD[message](way)


def test_a_cell_without_inputs_says_that_it_has_no_length():
    @mg.cell(h="n", W="n n")
    def alone(h, /, *, W):
        return mg.tanh(h @ W)

    with pytest.raises(
        mg.ShapeError, match="alone takes no input, so nothing says how many steps; give it one"
    ):
        unroll(alone, np.zeros(3), (), alone.init(0, n=3))


def test_an_error_inside_a_cell_names_the_step_and_keeps_its_line():
    calls = []

    @mg.cell(h="n", x="d", W="d n")
    def late(h, /, x, *, W):
        calls.append(1)
        return h + x @ (W if len(calls) < 3 else W.T)

    with pytest.raises(mg.ShapeError, match="late at step 3: matmul") as caught:
        unroll(late, np.zeros(3), np.zeros((4, 2)), {"W": np.zeros((2, 3))})
    assert any(entry.name == "late" for entry in caught.traceback)


def test_missing_and_surplus_arguments_are_named():
    cell, h, xs = CELLS["rnn"], np.zeros(3), np.zeros((4, 2))
    params = cell.init(0, **SIZES)
    without = {k: v for k, v in params.items() if k != "U"}
    for way in (by_unroll, by_scan):
        with pytest.raises(TypeError, match=r"rnn: missing parameter U; it takes \(h, /, i, \*, W, U, b\)"):
            way(cell, without, h, xs)
        with pytest.raises(TypeError, match="rnn: unknown parameter V"):
            way(cell, {**params, "V": h}, h, xs)
        with pytest.raises(TypeError, match=r"rnn: 2 state\(s\) given"):
            way(cell, params, (h, h), xs)
    with pytest.raises(TypeError, match=r"1 sequence\(s\) given"):
        unroll(two_inputs, h, xs, {"W": np.zeros((2, 3))})
    with pytest.raises(mg.ShapeError, match=r"differ in length: \{'x': 4, 'z': 3\}"):
        unroll(two_inputs, h, (xs, xs[:3]), {"W": np.zeros((2, 3))})


def test_a_cell_with_two_inputs():
    params = two_inputs.init(0, **SIZES)
    xs = mg.randn(T, 2, seed=1), mg.randn(T, 2, seed=2)
    u = unroll(two_inputs, mg.zeros(3), xs, params)
    final, _ = mg.scan(two_inputs, mg.zeros(3), xs, params)
    by_hand = (xs[0].numpy() * xs[1].numpy()).sum(axis=0) @ params["W"].numpy()
    np.testing.assert_allclose(u.states[-1][0].numpy(), by_hand, rtol=1e-12)
    np.testing.assert_allclose(final.numpy(), by_hand, rtol=1e-12)
