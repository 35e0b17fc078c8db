"""fast = plain = unrolled: the compiled scan gives what the step-by-step scan gives, and its gradients."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import fast
from minigrad.cells import CELLS, affine, softmax_readout, unroll, variants
from minigrad.cells.cell import Cell, cell
from minigrad.engine.tree import leaves, rebuild
from minigrad.fast import memory

VARIANTS = {c.name: c for c in vars(variants).values() if isinstance(c, Cell)}


@cell(h="n", c="n", x="d", W="d 4*n", U="n 4*n", b="4*n", gain="n", shift="n")
def lstm_layer_norm(h, c, /, x, *, W, U, b, gain, shift):
    """The new cell state is normalised before it is shown."""
    i, f, g, o = mg.split(x @ W + h @ U + b, 4)
    c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    centred = c - c.mean(axis=-1, keepdims=True)
    norm = centred / ((centred * centred).mean(axis=-1, keepdims=True) + 1e-5).sqrt()
    h = mg.sigmoid(o) * mg.tanh(gain * norm + shift)
    return h, c


@cell(r="d", c="n", x="d", W="d 4*n", R="d 4*n", b="4*n", P="n d")
def lstm_projected(r, c, /, x, *, W, R, b, P):
    """The state shown is a projection of the hidden one."""
    i, f, g, o = mg.split(x @ W + r @ R + b, 4)
    c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    r = (mg.sigmoid(o) * mg.tanh(c)) @ P
    return r, c


@cell(h="n", x="d", W="d n", a="n", b="n")
def diagonal(h, /, x, *, W, a, b):
    """A recurrence without a matrix product (minGRU, quasi-RNN)."""
    z = mg.sigmoid(x @ W + b)
    h = (1 - z) * h + z * (a * h)
    return h


@cell(h="n", x="d", W="d n", U="n n", b="n")
def masked(h, /, x, *, W, U, b):
    """Keeps the old state where the first input is negative."""
    new = mg.relu(x @ W + h @ U + b)
    h = mg.where(x[..., :1] > 0, new, h)
    return h


@cell(h="n", k="n", m="n", x="d", W="d n", U="n n", V="n n")
def three_states(h, k, m, /, x, *, W, U, V):
    """States that wait for each other; one is passed on untouched, one is exchanged."""
    new = mg.tanh(x @ W + h @ U + k @ V)
    return new, m, h


@cell(h="n", x="d", W="d n", U="n n", v="n")
def odd_rows(h, /, x, *, W, U, v):
    """Rows of the table that no usual cell has."""
    z = mg.maximum(mg.softplus(x @ W), mg.exp(h @ U))
    h = mg.softmax(z) * mg.sin(v) + mg.cos(h) ** 3 / (2 + abs(h)) - mg.log(1 + z * z)
    return h


@cell(i="n", T="n", np="d", row="d n", half="n n", one="n", gather="n n")
def words_of_the_emitter(i, T, /, np, *, row, half, one, gather):
    """Names that emitted code uses itself."""
    c_2 = mg.sigmoid(np @ row + i @ half + one)
    env = c_2 / 3 + mg.logsumexp(T, axis=-1, keepdims=True)
    kernel0 = mg.tanh(env @ gather) * c_2
    range = kernel0 * i + (1 - kernel0) * T
    return range, kernel0 * 2 + env


OWN = (words_of_the_emitter, lstm_layer_norm, lstm_projected, diagonal, masked, three_states, odd_rows)
ALL = {
    **CELLS,
    **VARIANTS,
    **{c.name: c for c in OWN},
    "lstm+affine": CELLS["lstm"].then(affine),
    "rnn_words+softmax": CELLS["rnn_words"].then(softmax_readout),
    "lstm_layer_norm+affine": lstm_layer_norm.then(affine),
}
every_cell = pytest.mark.parametrize("one", ALL.values(), ids=list(ALL))
T, SIZES = 5, {"n": 3, "d": 2}


def arguments(one, T=T, lead=(4,), dtype="float64", seed=0):
    """(params, state, xs) of random numbers."""
    sizes = {"n": 4, "d": 4} if one is variants.lstm_misprint else SIZES
    params = one.init(seed, dtype=dtype, **sizes, **({"q": 5} if one.readout else {}))
    rng = np.random.default_rng(seed + 1)
    state = tuple(mg.tensor(rng.standard_normal(lead + one.shape(s, sizes)), dtype) for s in one.states)
    return params, state, mg.tensor(rng.standard_normal((T, *lead, sizes["d"])), dtype)


def total(results, seed=20):
    """A number in which each result has weights of its own."""
    rng = np.random.default_rng(seed)
    parts = [(r * mg.tensor(rng.standard_normal(r.shape), r.dtype)).sum() for r in results]
    return sum(parts[1:], parts[0])


def everything(way, *args):
    """All results of one way, and the gradient of each argument."""
    results = leaves(way(*args))
    grads = mg.grad(lambda *a: total(leaves(way(*a))), tuple(range(len(args))))(*args)
    return [t.numpy() for t in [*results, *leaves(grads)]]


def by_scan(one, fast, **how):
    return lambda params, state, xs: mg.scan(one, state, xs, params, fast=fast, **how)


def by_unroll(one):
    def way(params, state, xs):
        u = unroll(one, state, xs, params)
        return u.states[-1], mg.stack(u.outputs)

    return way


def close(found, expected, tolerance=1e-12):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@pytest.fixture(autouse=True)
def _arrays_are_used_again_at_once(monkeypatch):
    """The small arrays of these tests too are cut from blocks that are handed out again."""
    monkeypatch.setattr(memory, "SMALL", 0)


# ---- the law, for every cell -------------------------------------------------------------------
@every_cell
@pytest.mark.parametrize("lead", [(4,), (), (2, 3)], ids=["batch", "none", "batches"])
def test_fast_is_plain_is_unrolled(one, lead):
    args = arguments(one, lead=lead)
    found = everything(by_scan(one, True), *args)
    close(found, everything(by_scan(one, False), *args))
    close(found, everything(by_unroll(one), *args))


@every_cell
def test_in_single_precision(one):
    args = arguments(one, dtype="float32")
    found = everything(by_scan(one, True), *args)
    assert {a.dtype for a in found} == {np.dtype("float32")}
    close(found, everything(by_scan(one, False), *args), 2e-5)


@every_cell
@pytest.mark.parametrize(
    "how", [{"reverse": True}, {"truncate": 2}, {"truncate": 3, "reverse": True}], ids=str
)
def test_reversed_and_truncated(one, how):
    args = arguments(one)
    close(everything(by_scan(one, True, **how), *args), everything(by_scan(one, False, **how), *args))


@every_cell
@pytest.mark.parametrize("steps", [1, 2])
def test_of_few_steps(one, steps):
    args = arguments(one, T=steps)
    close(everything(by_scan(one, True), *args), everything(by_scan(one, False), *args))


@every_cell
def test_of_an_empty_batch(one):
    args = arguments(one, lead=(0,))
    close(everything(by_scan(one, True), *args), everything(by_scan(one, False), *args))


@every_cell
def test_the_second_derivative(one):
    """Hessian-vector products: through the gradient's scan, and the scan of that."""
    params, state, xs = arguments(one, T=3, lead=(2,))
    rng = np.random.default_rng(5)
    vs = [mg.tensor(rng.standard_normal(v.shape)) for v in leaves((params, state, xs))]

    def product(fast):
        loss = lambda a: total(leaves(by_scan(one, fast)(*a)))  # noqa: E731
        return [
            t.numpy() for t in leaves(mg.hvp(loss, (params, state, xs), rebuild((params, state, xs), vs)))
        ]

    close(product(True), product(False), 1e-10)


@every_cell
def test_only_what_is_asked_for(one):
    """A gradient for some arguments, a loss of some results: other programs, the same numbers."""
    params, state, xs = arguments(one)
    for loss in (lambda f, y: total(leaves(f)[-1:]), lambda f, y: total([y[-1]])):
        for wrt in (0, 1, 2):
            a, b = (
                mg.grad(lambda *args: loss(*by_scan(one, fast)(*args)), wrt)(params, state, xs)  # noqa: B023
                for fast in (True, False)
            )
            close([t.numpy() for t in leaves(a)], [t.numpy() for t in leaves(b)])


# ---- steps that are not cells ------------------------------------------------------------------
def same_for(step, state, xs, params, tolerance=1e-12):
    found, expected = (
        everything(lambda *a, f=f: mg.scan(step, *a, fast=f), state, xs, params) for f in (True, False)
    )
    close(found, expected, tolerance)


def randn(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape))


def test_words_are_looked_up_inside_the_step():
    words = mg.tensor([[0, 3, 1], [2, 2, 0], [1, 3, 3], [0, 1, 2]])

    def way(fast):
        def run(E, U, h):
            step = lambda h, w, p: (mg.tanh(p["E"][w] + h @ p["U"]),) * 2  # noqa: E731
            return mg.scan(step, h, words, {"E": E, "U": U}, fast=fast)

        return run

    args = randn(4, 3), randn(3, 3, seed=1), randn(3, 3, seed=2)
    close(everything(way(True), *args), everything(way(False), *args))


def test_a_table_that_the_state_looks_into():
    """The look-up depends on the carry: it runs inside the loop."""

    def step(state, x, table):
        h, k = state
        h = mg.tanh(h + x + table[k])
        return (h, (k + 1) * (k < 2)), (h, k)

    def way(fast):
        return lambda h, xs, table: mg.scan(step, (h, mg.tensor([0, 1])), xs, table, fast=fast)[1][0]

    args = randn(2, 3), randn(6, 2, 3, seed=1), randn(3, 3, seed=2)
    close(everything(way(True), *args), everything(way(False), *args))


def test_stacked_layers_in_one_step():
    lstm, gru = CELLS["lstm"], CELLS["gru"]

    def step(state, x, params):
        a, y = lstm.step(state["below"], x, params["below"])
        b, z = gru.step(state["above"], y, params["above"])
        return {"below": a, "above": b}, (y, z, y + z)

    params = {"below": lstm.init(0, n=3, d=2), "above": gru.init(1, n=3, d=3)}
    state = {"below": (randn(4, 3), randn(4, 3, seed=1)), "above": (randn(4, 3, seed=2),)}
    same_for(step, state, randn(5, 4, 2, seed=3), params)


def test_a_fast_weight_memory():
    """A matrix as a state: Schmidhuber 1992."""

    def step(A, x, p):
        k, v = mg.tanh(x @ p["K"]), x @ p["V"]
        A = 0.9 * A + k[:, :, None] * v[:, None, :]
        return A, (A @ k[:, :, None]).reshape(2, 3)

    same_for(
        step, randn(2, 3, 3), randn(4, 2, 5, seed=1), {"K": randn(5, 3, seed=2), "V": randn(5, 3, seed=3)}
    )


def test_a_scan_inside_a_step(monkeypatch):
    """The inner one is compiled, whatever its length; the outer one is not, and says so once."""
    monkeypatch.setattr(fast.run, "_SAID", set())
    fast.run.forget()
    inner = lambda c, x, p: (mg.tanh(c * p + x), c)  # noqa: E731

    def step(h, x, p):
        c, ys = mg.scan(inner, h, x, p)
        return c, ys.sum()

    said = "scan of step runs step by step: there is a scan inside the step, which is compiled by itself"
    with warnings.catch_warnings(record=True) as caught, fast.run.observed() as seen:
        warnings.simplefilter("always")
        for _ in range(2):
            same_for(step, randn(3), randn(4, 2, 3, seed=1), randn(3, seed=2))
    assert [str(w.message) for w in caught].count(said) == 1
    assert {s.compiled is not None for s in seen if s.program.name == "<lambda>"} == {True}


def test_outer_tensors_keep_their_gradient():
    U, b = randn(3, 3), randn(3, seed=1)

    def way(fast):
        def run(U, b, h, xs):
            return mg.scan(lambda h, x, _: (mg.tanh(h @ U + x * b),) * 2, h, xs, fast=fast)

        return run

    args = U, b, randn(2, 3, seed=2), randn(4, 2, 3, seed=3)
    close(everything(way(True), *args), everything(way(False), *args))


def test_a_step_that_does_nothing():
    for step in (
        lambda h, x, p: (h, None),
        lambda h, x, p: (h, x),
        lambda h, x, p: (h, p),
        lambda h, x, p: (x, h),
    ):
        same_for(step, randn(2, 3), randn(4, 2, 3, seed=1), randn(2, 3, seed=2))


# ---- a result belongs to whoever asked for it --------------------------------------------------
@every_cell
def test_later_calls_do_not_touch_earlier_results(one):
    params, state, xs = arguments(one)
    way = by_scan(one, True)
    first = leaves(way(params, state, xs)) + leaves(
        mg.grad(lambda *a: total(leaves(way(*a))), (0, 1, 2))(params, state, xs)
    )
    before = [t.numpy().copy() for t in first]
    for seed in (3, 4):
        everything(way, *arguments(one, seed=seed))
    assert all((a == t.numpy()).all() for a, t in zip(before, first, strict=True))


@every_cell
def test_arguments_are_not_written_to(one):
    args = arguments(one)
    before = [t.numpy().copy() for t in leaves(args)]
    everything(by_scan(one, True), *args)
    assert all((a == t.numpy()).all() for a, t in zip(before, leaves(args), strict=True))


def test_the_final_state_does_not_hold_the_sequence():
    params, state, xs = arguments(CELLS["lstm"])
    final, _ = mg.scan(CELLS["lstm"], state, xs, params)
    assert all(s.value.base is None for s in final)


def test_several_threads_at_once():
    """Each compiles and runs cells of its own while the others do."""
    work = {name: arguments(one, seed=7) for name, one in list(ALL.items())[::2]}
    expected = {name: everything(by_scan(ALL[name], False), *args) for name, args in work.items()}
    wrong, run = [], fast.run
    run.forget()

    def worker(names):
        for name in names:
            try:
                close(everything(by_scan(ALL[name], True), *work[name]), expected[name])
            except Exception as e:
                wrong.append((name, e))

    names = list(work)
    threads = [threading.Thread(target=worker, args=(names[k:] + names[:k],)) for k in (0, 5, 11)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


# ---- what is compiled, and when again ----------------------------------------------------------
SCALE = 1.0


@cell(h="n", x="d", W="d n")
def reads_a_global(h, /, x, *, W):
    h = mg.tanh(x @ W + SCALE * h)
    return h


def test_a_changed_global_changes_the_result(monkeypatch):
    params, state, xs = arguments(reads_a_global)
    for scale in (1.0, 3.0, -1.0):
        monkeypatch.setitem(globals(), "SCALE", scale)
        (h,) = (s.numpy() for s in state)
        for x in xs.numpy():
            h = np.tanh(x @ params["W"].numpy() + scale * h)
        (final,), _ = mg.scan(reads_a_global, state, xs, params)
        np.testing.assert_allclose(final.numpy(), h, rtol=1e-12)


def test_compiled_once_for_every_length():
    run = fast.run
    run.forget()
    for steps in (3, 3, 7):
        everything(by_scan(CELLS["gru"], True), *arguments(CELLS["gru"], T=steps))
    assert run.compiled() == 2  # forward with what the gradient reads; backward


def test_a_step_that_is_not_a_cell_is_compiled_once():
    run = fast.run
    run.forget()
    for _ in range(3):
        same_for(lambda h, x, p: (mg.tanh(h * p + x), h), randn(3), randn(4, 3, seed=1), randn(3, seed=2))
    assert run.compiled() == 3


@mg.cell(h="n", x="d", W="d n")
def one_way(h, /, x, *, W):
    gate = mg.tanh(x @ W + h)
    return gate * h


@mg.cell(s="n", u="d", V="d n")
def another_way(s, /, u, *, V):
    squashed = mg.tanh(u @ V + s)
    return squashed * s


def test_code_has_its_own_cells_names_though_another_computes_the_same():
    """They shared their compiled code, and with it the names and the lines in errors."""
    sources = []
    for one in (one_way, another_way):
        sources.append(source_of(one))
    assert "gate" in sources[0]
    assert "squashed" in sources[1]
    assert "gate" not in sources[1]


@pytest.mark.parametrize("one", [ALL[k] for k in ("torch_lstm", "torch_gru", "layer_norm_lstm", "min_gru", "odd_rows")])
def test_what_is_known_before_the_loop_may_be_computed_in_it(one, monkeypatch):
    """As it is for steps of many entries."""
    monkeypatch.setattr(fast.cut, "MANY", 1)
    fast.run.forget()
    args = arguments(one)
    inside = everything(by_scan(one, True), *args)
    fast.run.forget()
    close(inside, everything(by_scan(one, False), *args))


def test_factors_of_a_large_step_are_no_stacks(monkeypatch):
    one = CELLS["lstm"]
    assert "subtract" in source_of(one).split("def before")[-1].split("def loop")[0]
    monkeypatch.setattr(fast.cut, "MANY", 1)
    fast.run.forget()
    text = source_of(one)
    fast.run.forget()
    assert "subtract" not in text.split("def before")[-1].split("def loop")[0]
    assert "subtract" in text.split("def loop")[-1].split("def sums")[0]


def source_of(one):
    params, state, xs = arguments(one)
    return fast.source(one, state, xs, params)


def test_what_is_the_same_along_a_row_is_computed_once_a_row(without_kernels):
    """A layer normalisation's gradient: no sign, no spreading, no sum of a row's factor inside the loop."""
    backward = loops(ALL["layer_norm_lstm"])[1]
    assert not [line for line in backward if line.startswith("negative") or "broadcast_to" in line]
    assert sum(line.startswith("add.reduce") for line in backward) == 4  # two for each normalisation


def test_a_program_runs_on_other_sizes_than_it_was_recorded_with():
    """Code for one batch met arrays of another."""
    one = CELLS["torch_lstm"]

    def ys(params, state, xs):
        return mg.scan(one, state, xs, params)[1]

    def raw(**how):
        params, state, xs = arguments(one, **how)
        return {k: v.numpy() for k, v in params.items()}, tuple(s.numpy() for s in state), xs.numpy()

    program = mg.trace(ys, *raw())
    for how in ({}, {"T": 7}, {"lead": (3,)}, {"dtype": "float32"}):
        args = raw(**how)
        y = program(*args)
        assert y.dtype == args[2].dtype
        np.testing.assert_allclose(y, ys(*args).numpy(), rtol=1e-5, atol=1e-6)


def test_a_bias_is_summed_over_rows_before_its_gates_are_joined():
    text = source_of(CELLS["lstm_concat"])
    assert "def sums(env, T)" in text
    assert "rows_" in text
    after = text.split("def after")[-1].split("def sums")[0]
    assert "[..., 0:3] = " not in after  # no stack is put together only to be summed


def test_nothing_is_silently_left_to_the_plain_runner():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in ALL.values():
            everything(by_scan(one, True), *arguments(one, seed=2))


def loops(one):
    """The lines inside the loops over time, forward and backward, for a gradient of all parameters."""
    params, state, xs = arguments(one)
    text = fast.source(one, state, xs, {k: mg.tensor(v.numpy()) for k, v in params.items()})
    return [
        [line.strip() for line in loop.split(" in zip(")[1].splitlines()[1:] if line.startswith(" " * 8)]
        for loop in text.split("def loop")[1:]
    ]


@pytest.fixture
def without_kernels(monkeypatch):
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    fast.run.forget()
    yield
    fast.run.forget()


@pytest.mark.usefixtures("without_kernels")
def test_the_code_can_be_read():
    """With the cell's names; one product with the state in the loop, nothing of the input."""
    forward, backward = loops(CELLS["lstm"])
    assert "tanh(C_out" in "".join(forward)
    assert [sum("dot(" in line for line in lines) for lines in (forward, backward)] == [1, 1]
    assert "X" not in "".join(forward)


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize(
    "one", [CELLS["lstm"], CELLS["torch_lstm"], CELLS["lstm_concat"]], ids=lambda c: c.name
)
def test_an_lstm_takes_few_calls(one):
    """However its weights are laid out: eleven calls forward, nine backward."""
    assert [len(lines) for lines in loops(one)] == [11, 9]


@pytest.mark.usefixtures("without_kernels")  # numpy raises where it is told to, compiled code does not
def test_an_error_in_emitted_code_names_the_cells_line():
    @cell(h="n", x="d", W="d n")
    def divides(h, /, x, *, W):
        h = (x @ W) / h
        return h

    # 0 / 1 while it is recorded, and 0 / 0 at the second step
    state, xs, params = (mg.tensor(np.ones((1, 2))),), mg.tensor(np.zeros((3, 1, 2))), {"W": randn(2, 2)}
    with np.errstate(all="raise"), pytest.raises(FloatingPointError) as e:
        mg.scan(divides, state, xs, params)
    first = divides.fn.__code__.co_firstlineno
    assert e.value.__notes__ == [f"in line {first + 2} of {__file__}"]
    assert "divide(" in str(e.traceback[-1].statement)


def test_what_cannot_be_compiled_says_why_once(monkeypatch):
    inner = lambda c, x, p: (mg.tanh(c * p + x), c)  # noqa: E731

    def outer(h, x, p):
        c, ys = mg.scan(inner, h, x, p)
        return c, ys.sum()

    monkeypatch.setattr(fast.run, "_SAID", set())
    args = randn(3), randn(4, 2, 3, seed=1), randn(3, seed=2)
    why = r"^scan of outer runs step by step: there is a scan inside the step, which is compiled by itself$"
    with pytest.warns(fast.StepByStep, match=why):
        mg.scan(outer, *args)
    fast.run.forget()
    mg.scan(outer, *args)  # a second warning would be an error
