"""scan: the same numbers and gradients as the unrolled loop, in every form; and what truncation drops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose, assert_array_equal

import minigrad as mg
from minigrad.domains.symbols import array, symbol_tensor
from minigrad.engine.bptt import RUNNER, run_plain, scan_row
from minigrad.engine.core import leaf
from minigrad.engine.grad import reachable
from minigrad.engine.tree import leaves, tree_map


@pytest.fixture(autouse=True, params=["plain", "fast"])
def runner(request) -> Iterator[None]:
    """Every law holds for the plain runner, and for the one that takes its place by itself."""
    before = RUNNER[0]
    RUNNER[0] = run_plain if request.param == "plain" else before
    yield
    if request.param == "plain":
        RUNNER[0] = before


class Pair(NamedTuple):
    h: Any
    c: Any


def unrolled(step: Any, state: Any, xs: Any, params: Any = None, reverse: bool = False) -> tuple[Any, Any]:
    """What scan means, said with a loop."""
    T = leaves(xs)[0].shape[0]
    outs: list[Any] = [None] * T
    for t in reversed(range(T)) if reverse else range(T):
        state, outs[t] = step(state, tree_map(lambda x, t=t: x[t], xs), params)
    return state, tree_map(lambda *ys: mg.stack(ys), outs[0], *outs[1:])


# ---- steps of every form -----------------------------------------------------------------------
def rnn(h: Any, x: Any, p: Any) -> Any:
    h = mg.tanh(x @ p["W"] + h @ p["U"] + p["b"])
    return h, h


def lstm_like(s: Pair, x: Any, p: Any) -> Any:
    W, (b, more) = p
    i, f, o, g = mg.split(x @ W + s.h @ more["U"] + b, 4)
    c = mg.sigmoid(f) * s.c + mg.sigmoid(i) * mg.tanh(g)
    h = mg.sigmoid(o) * mg.tanh(c)
    return Pair(h, c), {"out": h * c, "both": (h, c.sum(-1))}


def silent(s: Any, x: Any, p: Any) -> Any:
    return {"a": s["a"] * p + x["u"], "b": mg.sin(s["b"] + s["a"] * x["v"])}, None


def tokens(h: Any, k: Any, p: Any) -> Any:
    h = mg.tanh(p["E"][k] + h @ p["U"])
    return h, mg.log_softmax(h @ p["V"])[k]


def counting(s: Any, x: Any, p: Any) -> Any:
    h, n = s
    h = mg.tanh(h * p + x * n)
    return (h, n + 1), h * n


def unused(s: Any, x: Any, p: Any) -> Any:
    return s * p["w"], x[0] * 2  # neither x[1] nor p["v"] is read


def accumulate(s: Any, x: Any, p: Any) -> Any:
    return s + x * x, s


def swapping(s: Any, x: Any, p: Any) -> Any:
    a, b = s
    return (b * x, a + x), mg.maximum(a, b)


N, D, T = 3, 2, 5
SHAPES: dict[Any, tuple[Any, Any, Any]] = {
    rnn: ((2, N), (T, 2, D), {"W": (D, N), "U": (N, N), "b": (N,)}),
    lstm_like: (Pair((2, N), (2, N)), (T, 2, D), ((D, 4 * N), [(4 * N,), {"U": (N, 4 * N)}])),
    silent: ({"a": (N,), "b": (N,)}, {"v": (T, N), "u": (T, N)}, (N,)),
    tokens: ((N,), np.array([0, 3, 3, 1, 0]), {"E": (4, N), "U": (N, N), "V": (N, 4)}),
    counting: (((N,), np.array(2)), (T, N), (N,)),
    unused: ((N,), ((T, N), (T,)), {"w": (N,), "v": (N,)}),
    accumulate: ((N,), (T, N), None),
    swapping: (((), ()), (T,), None),
}


def is_shape(tree: Any) -> bool:
    return tree.__class__ is tuple and all(isinstance(n, int) for n in tree)


def drawn(shapes: Any, rng: np.random.Generator, dtype: str = "float64") -> Any:
    """Arrays in the form of a tree of shapes; arrays of ints stand for themselves."""
    if shapes is None or isinstance(shapes, np.ndarray):
        return shapes
    if is_shape(shapes):
        return np.asarray(rng.standard_normal(shapes), dtype)
    if isinstance(shapes, dict):
        return {k: drawn(v, rng, dtype) for k, v in shapes.items()}
    parts = [drawn(v, rng, dtype) for v in shapes]
    return type(shapes)(*parts) if hasattr(shapes, "_fields") else type(shapes)(parts)


def inputs(step: Any, dtype: str = "float64") -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    return tuple(drawn(s, rng, dtype) for s in SHAPES[step])  # type: ignore[return-value]


def on_leaves(tree: Any) -> Any:
    return tree_map(lambda v: leaf(v, requires_grad=v.dtype.kind not in "iub"), tree)


def weighted(result: Any) -> Any:
    """A number in which each entry of a result has a weight of its own."""
    terms = []
    for k, y in enumerate(leaves(result)):
        w = np.cos(np.arange(y.value.size) + k).reshape(y.shape)
        terms.append((y * w).sum())
    return sum(terms[1:], terms[0])


def close(a: Any, b: Any, rtol: float = 1e-13) -> None:
    assert_allclose(np.asarray(a.value), np.asarray(b.value), rtol=rtol, atol=1e-14)


each = pytest.mark.parametrize("step", SHAPES, ids=lambda s: s.__name__)
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


@each
@directions
def test_scan_is_the_loop_with_its_gradients(step, reverse):
    ours, other = on_leaves(inputs(step)), on_leaves(inputs(step))
    y, z = mg.scan(step, *ours, reverse=reverse), unrolled(step, *other, reverse=reverse)
    assert tree_map(lambda t: t.shape, y) == tree_map(lambda t: t.shape, z)
    tree_map(close, y, z)
    weighted(y).backward()
    weighted(z).backward()
    for a, b in zip(leaves(ours), leaves(other), strict=True):
        assert (a.grad is None) == (not a.requires_grad)
        if a.grad is not None:
            close(a.grad, b.grad if b.grad is not None else mg.zeros_like(b))


@each
def test_one_step_and_the_final_state_alone(step):
    state, xs, params = inputs(step)
    ours, other = (on_leaves((state, tree_map(lambda x: x[:1], xs), params)) for _ in range(2))
    weighted(mg.scan(step, *ours)[0]).backward()
    weighted(unrolled(step, *other)[0]).backward()
    for a, b in zip(leaves(ours), leaves(other), strict=True):
        if a.requires_grad:
            close(a.grad, b.grad if b.grad is not None else mg.zeros_like(b))


@pytest.mark.parametrize("step", [s for s in SHAPES if s is not counting], ids=lambda s: s.__name__)
@directions
def test_float32_stays_float32(step, reverse):  # counting has ints in its sums: float64, as in numpy
    args = on_leaves(inputs(step, "float32"))
    y = mg.scan(step, *args, reverse=reverse)
    assert {t.dtype.name for t in leaves(y)} <= {"float32", "int64"}
    weighted(tree_map(lambda t: t * 1, y)).backward()
    assert {t.grad.dtype.name for t in leaves(args) if t.requires_grad} == {"float32"}


SMOOTH = [s for s in SHAPES if s not in (tokens, counting)]


@pytest.mark.parametrize("step", SMOOTH, ids=lambda s: s.__name__)
@directions
def test_the_derivative_by_complex_step(step, reverse):
    args, h = inputs(step), 1e-30
    rng = np.random.default_rng(1)
    vs = tree_map(lambda v: np.asarray(rng.standard_normal(v.shape)), args)
    fn = lambda a: weighted(mg.scan(step, *a, reverse=reverse))  # noqa: E731
    g = mg.grad(fn)(args)
    along = sum((a.numpy() * v).sum() for a, v in zip(leaves(g), leaves(vs), strict=True))
    stepped = fn(tree_map(lambda x, v: leaf(np.asarray(x + 1j * h * v)), args, vs))
    assert_allclose(along, stepped.item().imag / h, rtol=1e-10)


@pytest.mark.parametrize("step", SMOOTH, ids=lambda s: s.__name__)
@directions
def test_second_order_is_the_complex_step_of_the_first(step, reverse):
    args, h = inputs(step), 1e-30
    rng = np.random.default_rng(1)
    vs = tree_map(lambda v: np.asarray(rng.standard_normal(v.shape)), args)
    g = mg.grad(lambda a: weighted(mg.scan(step, *a, reverse=reverse)))
    along = mg.jvp(g, (args,), (vs,))[1]
    stepped = g(tree_map(lambda x, v: leaf(np.asarray(x + 1j * h * v)), args, vs))
    for a, s in zip(leaves(along), leaves(stepped), strict=True):
        assert_allclose(a.numpy(), np.imag(s.numpy()) / h, rtol=1e-9, atol=1e-12)


def test_third_order_is_that_of_the_loop():
    def third(run: Any) -> Any:
        loss = lambda w: weighted(run(lambda h, x, w: (mg.tanh(w * h + x), h * h), 0.3, np.ones(4), w))  # noqa: E731
        return mg.grad(mg.grad(mg.grad(loss)))(0.7)

    close(third(mg.scan), third(lambda step, h, xs, w: unrolled(step, mg.tensor(h), mg.tensor(xs), w)), 1e-12)


# ---- closures ----------------------------------------------------------------------------------
def test_closed_over_tensors_get_their_gradient():
    """The fault of pytorch issue 184528: the gradient of a tensor that the step closes over is lost."""
    w, c = mg.tensor([0.5, -0.3], requires_grad=True), mg.tensor([1.0, 2.0])
    middle = mg.exp(w)  # not a leaf

    def step(h: Any, x: Any, p: Any) -> Any:
        h = mg.tanh(h * w + x * middle + c)
        return h, h * w

    xs = mg.tensor(np.ones((4, 2)))
    for run in (mg.scan, unrolled):
        w.grad = None
        weighted(run(step, mg.zeros(2), xs)).backward()
        got, w.grad = w.grad, None
        if run is mg.scan:
            first = got
    close(first, got)


@pytest.mark.parametrize("kind", ["number", "array", "attribute", "nested", "module"])
def test_what_a_step_reads_is_read_at_each_call(kind):
    """No recording outlives a change of what the step closes over."""

    class Box:
        k = 2.0

    number, box, k_array = [2.0], Box(), np.array(2.0)

    def make() -> Any:
        c = number[0]
        readers = {
            "number": lambda h, x, p: (h + x * c, None),
            "array": lambda h, x, p: (h + x * k_array, None),
            "attribute": lambda h, x, p: (h + x * box.k, None),
            "nested": lambda h, x, p: (h + sum([x * GLOBAL["k"] for _ in range(1)], mg.zeros()), None),
            "module": lambda h, x, p: (h + x * np.set_by_test, None),
        }
        return readers[kind]

    step, xs = make(), mg.ones(3)
    np.set_by_test = GLOBAL["k"] = 2.0  # type: ignore[attr-defined]
    try:
        assert mg.scan(step, 0.0, xs)[0].item() == 6
        number[0] = Box.k = k_array[...] = np.set_by_test = GLOBAL["k"] = 5.0  # type: ignore[attr-defined]
        step = make() if kind == "number" else step
        assert mg.scan(step, 0.0, xs)[0].item() == 15
    finally:
        del np.set_by_test  # type: ignore[attr-defined]


GLOBAL = {"k": 2.0}
SCALE = 2.0


def test_a_cell_too_is_read_at_each_call():
    global SCALE

    @mg.cell(h="n", x="n")
    def scaled(h, /, x):
        return h + sum([x * SCALE for _ in range(1)], mg.zeros())

    SCALE = 2.0
    assert mg.scan(scaled, mg.zeros(1), mg.ones(3, 1))[0].item() == 6
    SCALE = 5.0
    assert mg.scan(scaled, mg.zeros(1), mg.ones(3, 1))[0].item() == 15


# ---- domains -----------------------------------------------------------------------------------
@directions
def test_scan_on_formulas_is_the_loop_on_formulas(reverse):
    def step(h: Any, x: Any, p: Any) -> Any:
        h = mg.tanh(x * p["w"] + h * p["u"])
        return h, h * p["v"]

    def gradients(run: Any) -> list[Any]:
        xs, h0 = symbol_tensor("x", 3), symbol_tensor("h")
        p = {k: symbol_tensor(k) for k in "wuv"}
        state, ys = run(step, h0, xs, p, reverse=reverse)
        (ys.sum() + state * state).backward()
        return [e for t in (h0, xs, *p.values()) for e in t.grad.value.flat]

    assert [sp.expand(a - b) for a, b in zip(gradients(mg.scan), gradients(unrolled), strict=True)] == [0] * 7


def test_a_state_of_numbers_among_formulas_becomes_a_formula():
    w = symbol_tensor("w")
    state, ys = mg.scan(lambda h, x, p: (h * p + x, h), 0.0, np.array([1.0, 2.0, 3.0]), w)
    assert sp.expand(state.value.item() - (w.value.item() ** 2 + 2 * w.value.item() + 3)) == 0
    assert ys.value[0] == 0


# ---- programs ----------------------------------------------------------------------------------
@directions
def test_scan_inside_a_trace_replays_on_other_values(reverse):
    state, xs, params = inputs(rnn)
    program = mg.trace(lambda s, x, p: mg.scan(rnn, s, x, p, reverse=reverse), state, xs, params)
    other = tree_map(lambda v: v * 0.5, (state, xs, params))
    tree_map(
        lambda a, b: assert_allclose(a, b.numpy(), rtol=1e-15),
        program(*other),
        mg.scan(rnn, *other, reverse=reverse),
    )
    g = mg.trace(mg.grad(lambda a: weighted(mg.scan(rnn, *a, reverse=reverse))), (state, xs, params))
    expected = mg.grad(lambda a: weighted(mg.scan(rnn, *a, reverse=reverse)))(other)
    tree_map(lambda a, b: assert_allclose(a, b.numpy(), rtol=1e-13), g(other), expected)


def test_a_traced_scan_replays_on_formulas():
    program = mg.trace(
        lambda xs, w: mg.scan(lambda h, x, w: (h * w + x, None), 0.0, xs, w)[0], np.ones(3), 1.0
    )
    x, w = array("x", 3), array("w")
    expected = x[0] * w.item() ** 2 + x[1] * w.item() + x[2]
    assert sp.expand(program(x, w).item() - expected) == 0


@directions
@pytest.mark.filterwarnings("ignore:scan of .* runs step by step:RuntimeWarning")
def test_scan_inside_scan(reverse):
    """Rows of a matrix, one after the other, each a scan of its own; against two loops."""

    def inner(h: Any, x: Any, w: Any) -> Any:
        return mg.tanh(h * w + x), h

    def outer(run: Any) -> Any:
        def step(s: Any, row: Any, w: Any) -> Any:
            last, hs = run(inner, s, row, w, reverse=reverse)
            return last * s, hs.sum() * w

        return step

    xs = np.random.default_rng(0).standard_normal((3, 4))
    results = []
    for run in (mg.scan, unrolled):
        loss = lambda a, run=run: weighted(run(outer(run), a[0], a[1], a[2]))  # noqa: E731
        args = tuple(map(mg.tensor, (0.5, xs, 0.8)))
        results.append((*mg.grad(loss)(args), *mg.hvp(loss, args, args)))
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-11)


def test_without_a_gradient_nothing_is_kept():
    args = inputs(rnn)
    with mg.no_grad():
        y = mg.scan(rnn, *on_leaves(args))[1]
    assert (y.op, y.requires_grad) == (None, False)
    assert len(reachable([mg.scan(rnn, *args)[1]])) == 1


def test_a_scan_is_one_node_of_the_graph():
    y = mg.scan(rnn, *on_leaves(inputs(rnn)))[1]
    assert [t.op for t in reachable([y]) if t.op is not None and t.op.name == "scan"] == [scan_row]


# ---- truncation --------------------------------------------------------------------------------
def closed_form(args: tuple[Any, Any, Any], keeps: Any, reverse: bool) -> dict[str, np.ndarray]:
    """sum_t g_t sum_i [keeps(t, i)] (J_t ... J_{i+1}) P_i for the loss sum_tj w_tj h_tj of `rnn`, with J and
    P by jacobians of single steps: a path that shares with scan only the step."""
    (h, xs, p), T = args, len(args[1])
    order = list(reversed(range(T))) if reverse else list(range(T))
    n = h.size
    J, P = [], []
    for t in order:
        flat = lambda h, q, t=t: rnn(h, xs[t], q)[0].reshape(-1)  # noqa: E731
        J.append(mg.jacobian(lambda h, f=flat: f(h, p))(h).numpy().reshape(n, n))
        P.append(
            {
                k: mg.jacobian(lambda v, k=k, h=h, f=flat: f(h, p | {k: v}))(p[k]).numpy().reshape(n, -1)
                for k in p
            }
        )
        h = rnn(mg.tensor(h), mg.tensor(xs[t]), tree_map(mg.tensor, p))[0].numpy()
    total = {k: np.zeros(v.size) for k, v in p.items()}
    for t in range(1, T + 1):
        row = weights(T, n)[order[t - 1]]
        for i in range(t, 0, -1):
            if keeps(t, i):
                for k in p:
                    total[k] += row @ P[i - 1][k]
            row = row @ J[i - 1]
    return {k: v.reshape(p[k].shape) for k, v in total.items()}


def weights(T: int, n: int) -> np.ndarray:
    return np.cos(np.arange(T * n)).reshape(T, n)


@directions
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6, 100])
def test_truncation_drops_exactly_its_terms(k, reverse):
    state, xs, params = inputs(rnn)
    cut, full = mg.Truncation(T, k), mg.Truncation(T, T)

    def gradient(truncate: int | None) -> Any:
        def loss(p: Any) -> Any:
            _, ys = mg.scan(rnn, state, xs, p, truncate=truncate, reverse=reverse)
            return (ys * weights(T, state.size).reshape(ys.shape)).sum()

        return mg.grad(loss)(params)

    whole = closed_form((state, xs, params), full.keeps, reverse)
    dropped = closed_form((state, xs, params), lambda t, i: not cut.keeps(t, i), reverse)
    for name, g in gradient(k).items():
        assert_allclose(g.numpy(), whole[name] - dropped[name], rtol=1e-11, atol=1e-13)
        assert_allclose(gradient(None)[name].numpy(), whole[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_truncation_keeps_of_a_learnt_initial_state_what_the_first_steps_read(k):
    """(J_t ... J_1) S_0 is kept for t <= k and dropped after: the gradient of the loss of k steps."""
    state, xs, params = inputs(rnn)

    def gradient(truncate: int | None, steps: int) -> Any:
        def loss(s: Any) -> Any:
            ys = mg.scan(rnn, s, xs, params, truncate=truncate)[1]
            return (ys * weights(len(xs), state.size).reshape(ys.shape))[:steps].sum()

        return mg.grad(loss)(state).numpy()

    cut = mg.Truncation(len(xs), k)
    assert [t for t in range(1, len(xs) + 1) if cut.keeps(t, 0)] == list(range(1, min(k, len(xs)) + 1))
    assert_allclose(gradient(k, len(xs)), gradient(None, k), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("T", [1, 2, 5, 7])
@pytest.mark.parametrize("k", [1, 2, 3, 7, 9])
def test_the_terms_that_are_dropped_are_counted(T, k):
    cut = mg.Truncation(T, k)
    assert cut.dropped == sum(not cut.keeps(t, i) for t in range(1, T + 1) for i in range(1, t + 1))
    assert cut.cuts == [t for t in range(2, T + 1) if not cut.keeps(t, t - 1)]


def test_truncation_says_what_it_drops():
    assert str(mg.Truncation(5, 2)) == (
        "truncate=2 over T=5 steps: the state entering step 3, 5 passes no gradient back; 8 of the 15 terms "
        "(J_t ... J_{i+1}) P_i are dropped"
    )
    assert str(mg.Truncation(5, 5)) == "truncate=5 over T=5 steps: nothing is dropped"
    assert "step 2, 3, 4, 5, 6, 7, ... passes" in str(mg.Truncation(9, 1))


def test_truncation_leaves_the_values_and_the_first_steps_alone():
    state, xs, params = on_leaves(inputs(rnn))
    tree_map(close, mg.scan(rnn, state, xs, params, truncate=2), mg.scan(rnn, state, xs, params))
    mg.scan(rnn, state, xs, params, truncate=2)[1][:2].sum().backward()
    got, state.grad = state.grad, None
    mg.scan(rnn, state, xs, params)[1][:2].sum().backward()
    close(got, state.grad)


def test_an_infinite_gradient_does_not_pass_a_cut():
    step = lambda h, x, p: (mg.sqrt(h) * x, h)  # noqa: E731
    x = mg.tensor([1.0, 0.0, 1.0], requires_grad=True)  # the third step's derivative, at h = 0, is infinite
    with np.errstate(divide="ignore"):
        mg.scan(step, 1.0, x, truncate=1)[0].backward()
    assert_array_equal(x.grad.numpy(), [0, 0, 0])


# ---- names -------------------------------------------------------------------------------------
def test_the_step_names_the_slots_of_its_program():
    def step(state: Any, x: Any, p: Any) -> Any:
        hidden, cell = state
        new = hidden * p["w"] + x
        return (new, cell * new), new

    r = mg.scan(step, (mg.ones(2), mg.ones(2)), mg.ones(3, 2), {"w": mg.ones(2, requires_grad=True)})[1]
    program = r.inputs[0].params["program"]
    assert (program.name, [i.name for i in program.inputs]) == ("step", ["hidden", "cell", "x", "w"])


# ---- what is refused ---------------------------------------------------------------------------
ok = lambda h, x, p: (h + x, h)  # noqa: E731
REFUSED = [
    (
        lambda: mg.scan(ok, 0.0, mg.ones(0)),
        mg.ShapeError,
        "scan: the sequence has T = 0 steps; at least one is needed",
    ),
    (
        lambda: mg.scan(ok, 0.0, {"a": mg.ones(3), "b": mg.ones(4)}),
        mg.ShapeError,
        r"scan: the sequences differ in length: \{'a': 3, 'b': 4\}; the first axis of each is time",
    ),
    (
        lambda: mg.scan(ok, 0.0, 1.0),
        mg.ShapeError,
        r"scan: the sequence xs has no time axis \(its shape is \(\)\)",
    ),
    (
        lambda: mg.scan(ok, 0.0, None),
        mg.ShapeError,
        "scan: no sequence given, so the number of steps is unknown",
    ),
    (lambda: mg.scan(ok, (), mg.ones(3)), mg.ShapeError, "scan: the state is empty; a step without state"),
    (
        lambda: mg.scan(lambda h, x, p: h, 0.0, mg.ones(3)),
        mg.TraceError,
        r"scan: the step returned a Tensor; it must return \(new state, output\), and \(new state, None\)",
    ),
    (
        lambda: mg.scan(lambda h, x, p: (h, x, x), 0.0, mg.ones(3)),
        mg.TraceError,
        "scan: the step returned 3 values",
    ),
    (
        lambda: mg.scan(lambda h, x, p: ((h, h), x), 0.0, mg.ones(3)),
        mg.ShapeError,
        "scan: the new state: a tuple of 2 is given where one value is expected",
    ),
    (
        lambda: mg.scan(lambda s, x, p: (s[0], x), (0.0, 1.0), mg.ones(3)),
        mg.ShapeError,
        "scan: the new state: one value is given where a tuple of 2 is expected",
    ),
    (
        lambda: mg.scan(lambda s, x, p: ({"h": s["h"]}, x), {"h": 0.0, "c": 1.0}, mg.ones(3)),
        mg.ShapeError,
        r"scan: the new state: a dict with keys \['h'\] is given where a dict with keys",
    ),
    (
        lambda: mg.scan(ok, 0.0, mg.ones(3, 2)),
        mg.ShapeError,
        r"scan: state 0 enters with shape \(\) float64 and leaves with \(2,\) float64; a step must keep them",
    ),
    (
        lambda: mg.scan(
            lambda s, x, p: ({"c": s["c"] + x}, x), {"c": mg.ones(2, dtype="float32")}, mg.ones(3, 2)
        ),
        mg.ShapeError,
        r"scan: state c enters with shape \(2,\) float32 and leaves with \(2,\) float64",
    ),
    (
        lambda: mg.scan(ok, 0.0, mg.ones(3), truncate=0),
        ValueError,
        "scan: truncate=0; pass a number of steps of at least 1",
    ),
    (
        lambda: mg.scan(ok, 0.0, mg.ones(3), truncate=1.5),
        ValueError,
        "scan: truncate=1.5; pass a number of steps",
    ),
    (lambda: mg.scan(ok, 0.0, mg.ones(3), truncate=True), ValueError, "scan: truncate=True"),
    (
        lambda: mg.scan(lambda h, x, p: (h if h > 0 else x, x), 0.0, mg.ones(3)),
        mg.TraceError,
        "a branch on a tensor's value",
    ),
    (
        lambda: mg.scan(lambda h, x, p: (h, "y"), 0.0, mg.ones(3)),
        mg.TraceError,
        "returned a str where a tensor is meant",
    ),
    (lambda: mg.scan(ok, "state", mg.ones(3)), TypeError, "not real numbers"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED, ids=[t[:34] for *_, t in REFUSED])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_state_may_come_back_in_another_order_of_keys():
    step = lambda s, x, p: ({"b": s["b"] + x, "a": s["a"] * 2}, None)  # noqa: E731
    state, _ = mg.scan(step, {"a": 1.0, "b": 10.0}, mg.ones(3))
    assert_array_equal([state["a"].item(), state["b"].item()], [8, 13])
