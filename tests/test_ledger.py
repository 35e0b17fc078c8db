"""The ledger of BPTT: its rows add up to the engine's gradient, its routes to its rows, its text to its numbers."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import own_cells
import pytest
from draw_laws import STRANGERS, random_cell

import minigrad as mg
from minigrad import cell
from minigrad.cells import CELLS, affine
from minigrad.cli import main
from minigrad.engine.core import leaf
from minigrad.ledger import Ledger, ledger
from minigrad.ledger.factors import factors, leading, percent, short

ALL = {**CELLS, **STRANGERS}
OTHERS = {n: c for n, c in sorted(vars(own_cells).items()) if isinstance(c, mg.Cell)} | {
    f"random {seed}": random_cell(seed, [5, 8, 12, 20][seed % 4]) for seed in range(12)
}
every_cell = pytest.mark.parametrize("name", ALL)


def run(c: mg.Cell, T: int = 4, batch: int = 1, **sizes: int) -> mg.cells.Unrolled:
    """A cell on random numbers; nothing in it requires a gradient."""
    rng = np.random.default_rng(3)
    names = {n for axes in c.sizes.values() for size in axes for n in size if n}
    sizes = {n: 2 + (n == "n") for n in sorted(names)} | sizes
    state = tuple(rng.standard_normal((batch, *c.shape(s, sizes))) for s in c.states)
    xs = tuple(rng.standard_normal((T, batch, *c.shape(x, sizes))) for x in c.inputs)
    return mg.unroll(c, state, xs, {p: rng.uniform(-0.8, 0.8, c.shape(p, sizes)) for p in c.params})


@cache
def books(name: str) -> list[Ledger]:
    """The ledgers of a cell: every state by every parameter and initial state."""
    r, found = run(ALL[name], 3), []
    for s in r.cell.states:
        for w in (*r.cell.params, *r.cell.states):
            try:
                found.append(ledger(r, s, w))
            except ValueError as e:
                assert f"{s} at step 3 does not depend on {w}" in str(e)  # noqa: PT017
    return found


@every_cell
def test_the_rows_add_up_to_the_engines_gradient(name: str):
    found = books(name)
    assert len(found) >= len(ALL[name].params)
    for book in found:
        np.testing.assert_allclose(sum(r.term for r in book.rows), book.gradient, rtol=1e-12, atol=1e-14)
        assert book.difference <= 1e-13 * max(1.0, np.abs(book.gradient).max())
        assert sum(r.share for r in book.rows) == pytest.approx(1 if book.total.any() else 0)


@every_cell
def test_the_routes_of_a_row_add_up_to_it(name: str):
    for book in books(name):
        for row in book.rows:
            np.testing.assert_allclose(sum(row.routes.values(), start=0), row.term, rtol=1e-13, atol=0)
            assert sum(row.via.values()) == pytest.approx(row.share, abs=1e-14)
            assert set(row.routes) <= {"direct", "highway", "other"}


def dense(book: Ledger) -> tuple[dict, dict]:
    """(b, a): the blocks of each step's Jacobians, by complex steps of the cell's own code."""
    r, eps = book.run, 1e-30
    c, T = r.cell, book.at

    def stepped(j: int, place: str, k: int) -> list[np.ndarray]:
        states = [s.value.astype(complex) for s in r.states[j - 1]]
        params = {p: v.value.astype(complex) for p, v in r.params.items()}
        into = params[place] if place in params else states[c.states.index(place)]
        into.reshape(-1)[k] += 1j * eps
        new, _ = c.outputs(c.fn(*map(leaf, states), *r.xs[j - 1], **{p: leaf(v) for p, v in params.items()}))
        return [s.value.imag.reshape(-1) / eps for s in new]

    def jacobian(j: int, place: str, size: int) -> list[np.ndarray]:
        columns = [stepped(j, place, k) for k in range(size)]
        return [np.array(rows).T for rows in zip(*columns, strict=True)]

    size = {s: r.states[0][k].value.size for k, s in enumerate(c.states)}
    b = {(j, k, m): J for j in range(1, T + 1) for m, s in enumerate(c.states)
         for k, J in enumerate(jacobian(j, s, size[s]))}  # fmt: skip
    a = {(j, k): P for j in range(1, T + 1) if book.wrt in r.params
         for k, P in enumerate(jacobian(j, book.wrt, r.params[book.wrt].value.size))}  # fmt: skip
    return b, a


# No complex step through a kink, or through the variance of a layer norm.
SMOOTH = [n for n in ALL if n not in ("torch_rnn_relu", "leaky_deep", "layer_norm_lstm")]


@pytest.mark.parametrize("name", SMOOTH)
def test_each_row_and_route_is_the_product_of_its_factors_by_complex_step(name: str):
    c = ALL[name]
    book = ledger(run(c, 3), c.states[0], c.params[0])
    b, a = dense(book)
    lines, of = range(len(c.states)), c.states.index(book.name)
    way = None if book.highway is None else c.states.index(book.highway)
    for row in book.rows:
        whole = {
            k: np.eye(book.total.shape[-1 - len(book.pieces.wrt.shape)]) if k == of else 0 for k in lines
        }
        for j in range(book.at, row.step, -1):
            whole = {m: sum(whole[k] @ b[j, k, m] for k in lines if np.ndim(whole[k])) for m in lines}
        expected = sum(whole[k] @ a[row.step, k] for k in lines if np.ndim(whole[k]))
        np.testing.assert_allclose(row.term.reshape(expected.shape), expected, rtol=1e-11, atol=1e-14)
        if way is None or row.step == book.at:
            continue
        along = b[book.at, of, way]
        for j in range(book.at - 1, row.step, -1):
            along = along @ b[j, way, way]
        expected = along @ a[row.step, way]
        np.testing.assert_allclose(
            row.routes["highway"].reshape(expected.shape), expected, rtol=1e-11, atol=1e-14
        )


@pytest.mark.parametrize("name", SMOOTH)
def test_every_factor_is_that_of_the_jacobian_by_complex_step(name: str):
    book = ledger(run(ALL[name], 2), ALL[name].states[0], ALL[name].params[0])
    b, a = dense(book)
    for (j, k, m), J in b.items():
        if (k, m) not in book.blocks[j]:
            assert not J.any()
            continue
        found = book.blocks[j][k, m]
        assert found.largest == pytest.approx(np.linalg.norm(J, 2), rel=1e-11)
        assert found.norm == pytest.approx(np.linalg.norm(J), rel=1e-11)
    for (i, k), P in a.items():
        assert (k in book.entries[i]) or not P.any()
        if k in book.entries[i]:
            assert book.entries[i][k].norm == pytest.approx(np.linalg.norm(P), rel=1e-11)


def test_a_large_jacobians_leading_singular_value_is_found_without_writing_it_out(monkeypatch):
    book = ledger(run(CELLS["lstm"], 2, batch=2), "H", "b_f")
    piece, states = book.pieces.steps[2], book.run.states
    written = factors(piece, states[2], dict(enumerate(states[1])))
    for (k, m), f in written.items():
        assert leading(piece, states[2][k], states[1][m]) == pytest.approx(f.largest, rel=1e-3)
    monkeypatch.setattr("minigrad.ledger.factors.DENSE", 8)
    wide = ledger(run(CELLS["rnn"], 1, n=9), "h", "h")
    assert wide.blocks[1][0, 0].norm is None
    written = np.linalg.norm(wide.total.reshape(9, -1), 2)
    assert wide.blocks[1][0, 0].largest == pytest.approx(written, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "lead", "rtol"), [("float64", (2,), 1e-12), ("float64", (), 1e-12), ("float32", (1,), 1e-4)]
)
@pytest.mark.parametrize("name", OTHERS)
def test_cells_of_any_form_batch_and_precision(name: str, dtype: str, lead: tuple, rtol: float):
    c = OTHERS[name]
    rng = np.random.default_rng(0)
    sizes = {n: 3 - (n == "d") for axes in c.sizes.values() for size in axes for n in size if n}
    start = tuple(rng.standard_normal((*lead, *c.shape(s, sizes))).astype(dtype) for s in c.states)
    shapes = [(4, *lead, *c.shape(x, sizes)) for x in c.inputs]
    tokens = name == "token_rnn"
    xs = tuple(rng.integers(0, 3, s) if tokens else rng.standard_normal(s).astype(dtype) for s in shapes)
    r = mg.unroll(c, start, xs, c.init(0, dtype=dtype, **sizes))
    for of in c.states:
        for wrt in (*c.params, *c.states):
            try:
                book = ledger(r, of, wrt)
            except ValueError as e:
                assert f"{of} at step 4 does not depend on {wrt}" in str(e)  # noqa: PT017
                continue
            assert book.difference <= rtol * max(1.0, np.abs(book.gradient).max())


# ---- one number for every letter ----------------------------------------------------------------
def scalar(T: int = 5) -> mg.cells.Unrolled:
    return run(CELLS["rnn"], T, n=1, d=1)


def test_the_rnn_of_one_unit_is_its_closed_form():
    book, r = ledger(scalar(), "h", "U"), scalar()
    u = r.params["U"].value.item()
    h = [s[0].value.item() for s in r.states]
    a = {i: (1 - h[i] ** 2) * h[i - 1] for i in range(1, 6)}
    b = {j: (1 - h[j] ** 2) * u for j in range(1, 6)}
    for row in book.rows:
        product = a[row.step] * np.prod([b[j] for j in range(row.step + 1, 6)])
        assert row.value == pytest.approx(product, rel=1e-13)
        assert book.entries[row.step][0].value == pytest.approx(a[row.step], rel=1e-13)
        assert book.blocks[row.step][0, 0].value == pytest.approx(b[row.step], rel=1e-13)
    assert [r.step for r in book.rows] == [5, 4, 3, 2, 1]
    assert [r.running for r in book.rows] == pytest.approx(np.cumsum([r.value for r in book.rows]))
    assert book.rows[-1].running == pytest.approx(book.gradient.item(), rel=1e-13)


def test_of_an_initial_state_there_is_one_row_and_no_a():
    book = ledger(scalar(), "h", "h")
    (row,) = book.rows
    assert row.step == 0
    assert row.value == pytest.approx(np.prod([book.blocks[j][0, 0].value for j in range(1, 6)]))
    assert "aᵢ" not in str(book)


def test_an_earlier_step_has_fewer_rows():
    r = scalar()
    book = ledger(r, "h", "U", at=2)
    assert [row.step for row in book.rows] == [2, 1]
    with mg.engine.core.recording("all"):
        second = r.states[2][0].sum()
    assert book.gradient.item() == ledger(r, second, "U").gradient.item()


# ---- losses --------------------------------------------------------------------------------------
LOSSES = {
    "of the last state": lambda r: (r.states[-1][0] ** 2).sum(),
    "of all outputs": lambda r: mg.stack(r.outputs).mean(),
    "of the initial state too": lambda r: (r.states[0][0] * r.states[2][0]).sum(),
    "with weight decay": lambda r: (r.outputs[-1] ** 2).sum() + sum((p**2).sum() for p in r.params.values()),
    "of inner nodes": lambda r: sum((n * n).sum() for n in r.nodes if n.name in ("F", "f", "h") and n.note),
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("name", ["rnn", "lstm+affine", "three_states"])
def test_the_rows_of_a_loss_add_up_to_its_gradient(name: str, kind: str):
    c = CELLS["lstm"].then(affine) if name == "lstm+affine" else ALL[name]
    r = run(c, 3)
    with mg.engine.core.recording("all"):
        loss = LOSSES[kind](r) + 0.0
    for wrt in (*c.params, c.states[0]):
        if wrt in ("W_hq", "b_q") and kind in (
            "of the last state",
            "of the initial state too",
            "of inner nodes",
        ):
            continue  # the read-out is not in these losses
        book = ledger(r, loss, wrt)
        np.testing.assert_allclose(book.total, book.gradient, rtol=1e-12, atol=1e-14)
        outside = kind == "with weight decay" and wrt in c.params
        assert any(row.step is None for row in book.rows) == outside
        assert ("+ what is outside the steps" in str(book)) == outside


def test_a_step_of_a_loss_gets_what_the_states_after_it_read():
    r = scalar(3)
    with mg.engine.core.recording("all"):
        loss = r.states[1][0].sum() + 2 * r.states[3][0].sum()
    book, one, two = ledger(r, loss, "U"), ledger(r, "h", "U", at=1), ledger(r, "h", "U", at=3)
    of_two = {row.step: row.value for row in two.rows}
    assert {row.step: row.value for row in book.rows} == pytest.approx(
        {3: 2 * of_two[3], 2: 2 * of_two[2], 1: 2 * of_two[1] + one.rows[0].value}
    )
    assert "Σᵢ δᵢ aᵢ, with δᵢ = Σₜ gₜ bₜ⋯bᵢ₊₁ over t ≥ i" in str(book)


# ---- what can be asked of it ---------------------------------------------------------------------
@cell(h="n", x="n", U="n")
def fading(h, /, x, *, U):
    """A sum that forgets half of itself at every step."""
    return 0.5 * h + U * x


@cell(h="n", x="n", U="n")
def summing(h, /, x, *, U):
    """A sum that forgets nothing; terms of both signs cancel."""
    return h + U * x


@pytest.mark.parametrize(("part", "steps"), [(0.0, 0), (0.5, 1), (0.9, 4), (0.99, 7), (1.0, 10)])
def test_how_many_steps_back_hold_a_part_of_the_gradient(part: float, steps: int):
    """The last m steps hold 1 - 2**-m of the whole, up to the 2**-10 that there is no step for."""
    book = ledger(mg.unroll(fading, np.zeros((1, 1)), np.ones((10, 1, 1)), {"U": np.ones(1)}), "h", "U")
    assert book.steps_for(part) == steps


def test_terms_that_cancel_are_not_counted_as_held():
    xs = np.array([1.0, -5.0, 5.0, 1.0]).reshape(4, 1, 1)
    book = ledger(mg.unroll(summing, np.zeros((1, 1)), xs, {"U": np.ones(1)}), "h", "U")
    assert [r.share for r in book.rows] == [0.5, 2.5, -2.5, 0.5]
    assert book.steps_for(0.9) == 4
    with pytest.raises(ValueError, match=r"steps_for\(90\); pass a part of the gradient from 0 to 1"):
        book.steps_for(90)


def test_sorted_by_size_the_largest_comes_first_and_the_sum_is_the_same():
    book = ledger(run(CELLS["lstm"], 6), "H", "W_hf")
    by_size = book.sorted("size")
    norms = [r.norm for r in by_size.rows]
    assert norms == sorted(norms, reverse=True)
    assert by_size.rows[-1].running == pytest.approx(book.rows[-1].running)
    assert [r.step for r in by_size.sorted("time").rows] == [r.step for r in book.rows] == [6, 5, 4, 3, 2, 1]
    with pytest.raises(ValueError, match="sorted by time or size, not 'colour'"):
        book.sorted("colour")


def test_the_highway_of_the_lstm_is_the_product_of_its_forget_gates():
    r = run(CELLS["lstm"], 4)
    book = ledger(r, "C", "C")
    F = np.prod([n.value for n in r.nodes if n.name == "F"], axis=0).reshape(-1)
    np.testing.assert_allclose(book.rows[0].routes["highway"].reshape(3, 3), np.diag(F), rtol=1e-13, atol=0)
    assert book.highway == "C"
    assert "dC[t]/dC[t-1] = D(F[t])" in str(book)


def test_the_table_says_the_numbers_of_the_ledger():
    book = ledger(scalar(3), "h", "U")
    text = str(book)
    assert text.startswith("rnn, 3 steps: ∂h₃/∂U = Σᵢ b₃⋯bᵢ₊₁ aᵢ\n")
    last = book.rows[-1]
    assert re.search(rf"b₃·b₂·a₁ .* {short(last.value, 4)} +{percent(last.share)} +{short(last.running, 4)}", text)
    assert f"sum {book.total.item():.10g}, the engine's gradient {book.gradient.item():.10g}, largest" in text
    assert "dh[t]/dh[t-1] = D(1 - h[t]**2) @ U.T" in text
    assert f"90% of it is held by the last {book.steps_for()} of 3 steps" in text


@cell(h="n", x="n", U="n")
def exploding(h, /, x, *, U):
    """Grows beyond the largest number."""
    return h * h * U * 1e200 + x


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_shown_as_such():
    book = ledger(mg.unroll(exploding, np.ones((1, 1)), np.ones((3, 1, 1)), {"U": np.ones(1)}), "h", "U")
    assert re.search("inf|nan", str(book))


BAD = {
    "takes an Unrolled or a Cell, not function": lambda: ledger(lambda h: h),
    "rnn has no state 'C'; its states are h": lambda: ledger(scalar(), "C"),
    "rnn has no parameter or state 'V'; it has W, U, b, h": lambda: ledger(scalar(), "h", "V"),
    "at=6; pass a step from 1 to 5": lambda: ledger(scalar(), at=6),
    "at=True; pass a step from 1 to 5": lambda: ledger(scalar(), at=True),
    "says where a state is taken": lambda: ledger((r := scalar()), r.outputs[0].sum(), at=2),
    r"of= has shape \(1, 3\); pass a single number": lambda: ledger((r := run(CELLS["rnn"])), r.outputs[0]),
    "of= has no graph; compute it from a run whose": lambda: ledger(scalar(), mg.tensor(1.0), "U"),
    "h at step 4 does not depend on Q; there is no": lambda: ledger(run(ALL["multiplicative"]), "h", "Q"),
    r"2 terms of shape \(1, 300, 300, 300\) are 54,000,000 numbers": lambda: ledger(
        run(CELLS["rnn"], 1, n=300), "h", "U"
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message: str):
    with pytest.raises((ValueError, TypeError), match=message):
        BAD[message]()


def test_a_cell_is_run_on_random_numbers():
    book = ledger(CELLS["gru"], steps=3, seed=1)
    assert [r.step for r in book.rows] == [3, 2, 1]
    assert (book.name, book.wrt) == ("H", CELLS["gru"].params[0])


def command(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["ledger", *args])
    found = capsys.readouterr()
    return left.value.code, found.out, found.err


def test_the_command_prints_the_table_and_leaves_the_picture(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = command(
        capsys, "rnn", "--of", "h", "--wrt", "U", "--steps", "3", "--sort", "size", "-o", "a.svg"
    )
    assert (status, err) == (0, "")
    assert out == f"{ledger(CELLS['rnn'], 'h', 'U', steps=3).sorted('size')}\na.svg\n"
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("rnn --of C", "rnn has no state 'C'; its states are h"),
        ("rnn --wrt V", "rnn has no parameter or state 'V'"),
        ("rnn --steps 0", "0 is not in the range x>=1"),
        ("rnn -o a.gif", "cannot save 'a.gif': its suffix says the format"),
    ],
)
def test_wrong_usage_of_the_command_is_named(args: str, message: str, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = command(capsys, *args.split())
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_reads_a_step_past_its_states_says_so():
    r, lstm = run(CELLS["rnn"].then(affine), 3), run(CELLS["lstm"], 2)
    with mg.engine.core.recording("all"):
        loss = (r.outputs[-1] ** 2).sum()
        same = ((r.states[-1][0] @ r.params["W_hq"] + r.params["b_q"]) ** 2).sum()
        gates = sum(n.sum() for n in lstm.nodes if n.name == "F")
    one, two = ledger(r, loss, "U"), ledger(r, same, "U")  # an output is read through the state
    assert one.delta == pytest.approx(two.delta)
    assert [row.norm for row in one.rows] == pytest.approx([row.norm for row in two.rows])
    assert "∂L/∂U = Σᵢ g₃ b₃⋯bᵢ₊₁ aᵢ" in str(one)
    assert re.search(r"\n +3  d₃ ", str(ledger(r, loss, "W_hq")))
    text = str(ledger(lstm, gates, "W_xf"))
    assert "∂L/∂W_xf = Σᵢ δᵢ aᵢ + dᵢ" in text
    assert "dᵢ: what L reads of step i past (H, C)ᵢ" in text
    assert "δ₁·a₁ + d₁" in text
