"""Bad input to a compiled scan: the errors and numbers of the plain runner, and the line of the cell's code."""

from __future__ import annotations

import re
import traceback
import warnings

import numpy as np
import pytest
from fast_laws import arguments, by_scan, first_order
from more_cells import MORE
from own_cells import OWN

import minigrad as mg
from minigrad import fast
from minigrad.cells import CELLS, cell
from minigrad.domains.floats import FLOATS
from minigrad.engine.bptt import run_plain

RNN, TOKENS = CELLS["torch_rnn_tanh"], OWN["token_rnn"]


@cell(h="n", k="", x="d", W="d n", E="q n")
def counting(h, k, /, x, *, W, E):
    """Looks up what the state counts to."""
    row = E[k]
    h = mg.tanh(x @ W + h + row)
    return h, k + 1


@cell(h="n", x="", E="q n")
def afterwards(h, /, x, *, E):
    """Only its output looks something up, and something that the state decides."""
    k = h[..., 0] > 0
    h = h * 0.5
    return h, h + E[x + 2 * k]


def randn(*shape):
    return mg.tensor(np.random.default_rng(0).standard_normal(shape))


def words(bad, T=4):
    """Indices of a table of five rows, of which one is not there."""
    k = np.zeros((T, 2), int)
    k[2, 1] = bad
    return mg.tensor(k)


P, H, X = RNN.init(0, n=3, d=2), (randn(2, 3),), randn(4, 2, 2)
TABLES = {"E": randn(5, 3), "U": randn(3, 3)}
# kind of bad input -> (step, state, sequences, parameters, error, what it says)
BAD = {
    "index too large": (
        TOKENS,
        H,
        words(9),
        TABLES,
        IndexError,
        "index 9 is out of bounds for axis 0 with size 5",
    ),
    "index too small": (TOKENS, H, words(-6), TABLES, IndexError, "index -6 is out of bounds"),
    "index from the state": (
        counting,
        (randn(2, 3), mg.tensor([0, 3])),
        X,
        {"W": randn(2, 3), "E": randn(5, 3)},
        IndexError,
        "index 5 is out of bounds",
    ),
    "index in the output": (
        afterwards,
        (abs(randn(2, 3)),),
        words(3),
        {"E": randn(5, 3)},
        IndexError,
        "index 5 is out of bounds",
    ),
    "words that are floats": (
        TOKENS,
        H,
        randn(4, 2),
        TABLES,
        TypeError,
        "an index array must hold ints or bools, not float64",
    ),
    "no steps": (RNN, H, randn(0, 2, 2), P, mg.ShapeError, "the sequence has T = 0 steps"),
    "no sequence": (RNN, H, (), P, mg.ShapeError, "no sequence given"),
    "no axis of time": (RNN, H, mg.tensor(1.0), P, mg.ShapeError, "has no time axis"),
    "features": (
        RNN,
        H,
        randn(4, 2, 5),
        P,
        mg.ShapeError,
        "torch_rnn_tanh: argument x: shape (2, 5), expected (d,) with d = 2",
    ),
    "batch": (
        RNN,
        H,
        randn(4, 7, 2),
        P,
        mg.ShapeError,
        "argument x has the leading axes (7,), state h has (2,)",
    ),
    "state": (RNN, (randn(2, 5),), X, P, mg.ShapeError, "torch_rnn_tanh: argument h: shape (2, 5)"),
    "states": (
        RNN,
        (randn(2, 3), randn(2, 3)),
        X,
        P,
        TypeError,
        "torch_rnn_tanh: 2 state(s) given; it takes (h, /, x, *",
    ),
    "a missing parameter": (RNN, H, X, {}, TypeError, "missing parameter weight_ih"),
    "an unknown parameter": (RNN, H, X, P | {"z": randn(2)}, TypeError, "unknown parameter z"),
    "precision": (
        RNN,
        (mg.tensor(np.zeros((2, 3)), "float32"),),
        X,
        P,
        mg.ShapeError,
        "state h enters with shape (2, 3) float32 and leaves with (2, 3) float64",
    ),
    "text": (RNN, ("a",), X, P, TypeError, "is not real numbers; pass floats, ints or bools"),
    "a step with one result": (
        lambda h, x, p: h,
        randn(2, 3),
        randn(4, 2, 3),
        None,
        mg.TraceError,
        "it must return (new state, output)",
    ),
}
AT_RUN_TIME = {k: v for k, v in BAD.items() if v[4] is IndexError}


@pytest.fixture(params=["numpy", "numba"])
def runner(request, monkeypatch):
    if request.param == "numba":
        pytest.importorskip("numba", reason="the extra `fast` is not installed")
    monkeypatch.setenv("MINIGRAD_KERNELS", "1" if request.param == "numba" else "0")
    fast.run.forget()
    yield
    fast.run.forget()


def error(kind, fast):
    step, state, xs, params, error, _ = BAD[kind]
    with pytest.raises(error) as e:
        mg.scan(step, state, xs, params, fast=fast)
    return type(e.value), str(e.value), getattr(e.value, "__notes__", [])


@pytest.mark.parametrize("kind", BAD)
def test_the_error_is_the_plain_runners(kind, runner):
    found = error(kind, True)
    assert found == error(kind, False)
    assert BAD[kind][5] in found[1]


@pytest.mark.parametrize("kind", AT_RUN_TIME)
def test_an_error_at_run_time_names_the_cells_line(kind, runner):
    _, _, notes = error(kind, True)
    code = BAD[kind][0].fn.__code__
    (at,) = (re.fullmatch(rf"in line (\d+) of {re.escape(code.co_filename)}", n) for n in notes)
    with open(code.co_filename) as f:
        assert "E[" in f.read().splitlines()[int(at[1]) - 1]


@pytest.mark.parametrize("kind", AT_RUN_TIME)
def test_nothing_is_left_of_an_error(kind, runner):
    """The same code runs on good input afterwards."""
    step, state, xs, params, *_ = BAD[kind]
    error(kind, True)
    good = (lambda x: mg.tensor(x.numpy() % 3)) if kind != "index from the state" else (lambda x: x)
    found, plain = (
        mg.scan(step, (state[0], *map(good, state[1:])), good(xs)[:2], params, fast=f)[1].numpy()
        for f in (True, False)
    )
    np.testing.assert_allclose(found, plain, rtol=1e-12)


# ---- floating point ------------------------------------------------------------------------------
@cell(h="n", x="n", w="n")
def divides(h, /, x, *, w):
    w = 1 / w
    z = x / w
    h = z / h
    return h, mg.log(h)


@pytest.mark.parametrize(
    ("line", "h", "x", "w"), [(2, 1, 1, 0), (3, 1, 1, np.inf), (4, 0, 1, 1), (5, 1, -1, 1)]
)
def test_where_it_is_told_to_raise_it_names_the_cells_line(line, h, x, w, monkeypatch):
    """Compiled code does not raise; numpy does, before the loop, inside it, and after it."""
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    fast.run.forget()
    one = np.ones((1, 2))
    args = one * h, np.stack([one, one * x]), one[0] * w
    notes = []
    for run in ways(divides, (one,), np.ones_like(args[1]), {"w": one[0]}):
        with np.errstate(all="raise"), pytest.raises(FloatingPointError) as e:
            run(args)
        notes.append(e.value.__notes__)
    assert notes == [[f"in line {divides.fn.__code__.co_firstlineno + line} of {__file__}"]] * 2
    fast.run.forget()


def ways(c, state, xs, params):
    """The compiled scan and the plain one as functions of their arguments, recorded at numbers that are fine."""
    scan = fast.scanned(c, state, xs, params)[0]
    return scan.compiled, lambda arrays: run_plain(FLOATS, scan.program, scan.layout, arrays)


def test_what_a_traceback_shows_has_the_cells_line_beside_it(monkeypatch):
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    fast.run.forget()
    with pytest.raises(IndexError) as e:
        mg.scan(*BAD["index from the state"][:4])
    text = "".join(traceback.format_exception(e.value.__context__))
    line = counting.fn.__code__.co_firstlineno + 3
    assert re.search(rf"<loop of counting \d+>.*\n.* = gather\(.*\)  # {__name__}\.py, line {line}\n", text)


# ---- numbers that are none ------------------------------------------------------------------------
NUMBERS = {**CELLS, **OWN, **{k: MORE[k] for k in ("powers", "gates_of_other_kinds", "dropped", "waves")}}
del NUMBERS["token_rnn"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300], ids=str)
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_not_finite_goes_through(name, value, monkeypatch):
    """In one entry of an input: the same entries of results and gradients are not finite."""
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    c = NUMBERS[name]
    values = arguments(c, 3)
    x = values[c.inputs[0]].value
    x[(1, *(0,) * (x.ndim - 1))] = value
    with np.errstate(all="ignore"):
        found, plain = (first_order(by_scan(c, values, fast=f), values) for f in (True, False))
    for k, true in plain.items():
        finite = np.isfinite(true)
        top = np.abs(true[finite]).max(initial=1)
        np.testing.assert_allclose(found[k], true, rtol=1e-9, atol=1e-12 * top, err_msg=k)


@cell(h="n", x="n", w="n")
def exps(h, /, x, *, w):
    return mg.exp(x * w) + 0 * h


@cell(h="n", x="n", w="n")
def exps_of_the_state(h, /, x, *, w):
    return mg.exp(h + x * w)


@cell(h="n", x="n", w="n")
def grows(h, /, x, *, w):
    return (h + x) * (h + w)


@cell(h="n", x="n", w="n")
def logs(h, /, x, *, w):
    return mg.tanh(mg.log(x) * w) - h


@cell(h="n", x="n", w="n")
def roots(h, /, x, *, w):
    return mg.sqrt(h + x) * w


@pytest.mark.parametrize(
    ("c", "x", "said"),
    [
        (exps, 1.0, set()),
        (exps, 1e3, {"invalid value"}),
        (exps_of_the_state, 1e3, set()),
        (grows, 1e200, {"overflow"}),
        (logs, 0.0, {"divide by zero"}),
        (logs, -1.0, {"invalid value"}),
        (roots, -9.0, {"invalid value"}),
        (divides, 0.0, {"divide by zero", "invalid value"}),
    ],
    ids=lambda v: getattr(v, "name", ", ".join(sorted(v)) if isinstance(v, set) else str(v)),
)
def test_numpy_warns_of_the_same(c, x, said, monkeypatch):
    """Of a first step that is fine, and the next ones."""
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    fast.run.forget()
    one = np.ones((1, 2))
    args = (one, np.stack([one, one * x, one * x]), {"w": one[0]})
    for runs_fast in (True, False):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            mg.scan(c, (args[0],), args[1], args[2], fast=runs_fast)
        assert {str(w.message).split(" encountered")[0] for w in found} == said
    fast.run.forget()
