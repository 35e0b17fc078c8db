"""The character model learns real text, repeatably; its loss is truncated BPTT; bad input is named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad.cells import CELLS, VARIANTS, affine, unroll
from minigrad.train import CharModel, Reader, Settings, TextError, Training, default_text

TEXT = "".join(f"for i in range({k}):\n    total += i * {k % 7}\n" for k in range(60))
SMALL = Settings(hidden=16, layers=1, batch=4, length=8, lr=2e-2)
TWO = Settings(hidden=12, layers=2, batch=4, length=8, lr=2e-2)


def trained(steps, settings=SMALL, **more):
    training = Training(TEXT, settings, **more)
    for _ in range(steps):
        training.step()
    return training


def reader(n, batch, length, seed=0):
    return Reader(np.arange(n), batch, length, np.random.default_rng(seed))


# ---- the text ------------------------------------------------------------------------------------
def test_the_default_text_is_source_code():
    text = default_text()
    assert len(text) > 300_000
    for word in ("\ndef ", "\nclass ", "    return ", "import "):
        assert text.count(word) > 20


def test_a_reader_reads_the_rows_of_the_text_in_order():
    """Each row goes on where it was; targets are one character later; then the rows start anew."""
    read, width = reader(50, batch=4, length=5), 49 // 4
    for _ in range(3):
        for k in range(width // 5):
            x, y, first = read.read()
            assert first == (k == 0)
            assert 0 <= read.offset <= width % 5
            for row in range(4):
                start = row * width + read.offset + 5 * k
                np.testing.assert_array_equal(x[:, row], range(start, start + 5))
                np.testing.assert_array_equal(y[:, row], range(start + 1, start + 6))


def test_no_character_is_always_left_out():
    read = reader(50, batch=4, length=5)
    seen = np.concatenate([read.read()[0].ravel() for _ in range(60)])
    assert {*seen.tolist()} == {*range(48)}


def test_a_reader_goes_on_where_another_was():
    read = reader(50, batch=4, length=5)
    for k in range(9):
        again = reader(50, batch=4, length=5, seed=k)
        again.state = read.state
        for a, b in itertools.islice(zip(iter(read.read, None), iter(again.read, None), strict=True), 7):
            np.testing.assert_array_equal(a[0], b[0])
            assert a[2] == b[2]


# ---- the training --------------------------------------------------------------------------------
@pytest.mark.parametrize(("settings", "steps"), [(SMALL, 60), (TWO, 120)], ids=["one layer", "two layers"])
def test_the_loss_falls_from_that_of_guessing(settings, steps):
    losses = trained(steps, settings).losses
    assert abs(losses[0] - np.log2(len(set(TEXT)))) < 0.5
    assert np.mean(losses[-5:]) < 0.6 * losses[0]


@pytest.mark.slow
def test_three_hundred_steps_on_the_standard_library():
    """What `minigrad tour` trains."""
    training = Training(default_text(), Settings(128, 1, 32, 32, lr=2e-2))
    for _ in range(300):
        training.step()
    assert training.losses[0] > 6
    assert np.mean(training.losses[-20:]) < 2.5
    assert training.model.sample(500, "def ").count(" ") > 40


@pytest.mark.parametrize("cell", (CELLS | VARIANTS).values(), ids=lambda c: c.name)
def test_every_cell_of_the_table_learns(cell):
    training = trained(40, cell=cell)
    assert training.losses[-1] < 0.8 * training.losses[0]
    assert {p.dtype for p in training.model.params.values()} == {np.dtype("float32")}
    assert {n: p.shape for n, p in training.model.params.items()} == training.model.shapes()


@mg.cell(s="m", c="r", x="e", W="e m", R="r m", V="m r")
def low_rank(s, c, /, x, *, W, R, V):
    c = mg.tanh(s @ V + c)
    s = mg.tanh(x @ W + c @ R)
    return s, c, s + 1


def test_a_cell_of_other_names_and_an_output_of_its_own_learns():
    training = trained(100, TWO, cell=low_rank)
    assert training.losses[-1] < 0.8 * training.losses[0]
    assert training.model.params["W_l1"].shape == (12, 12)


def test_training_and_sampling_are_repeatable():
    a, b = (trained(5, TWO) for _ in range(2))
    other = trained(5, Settings(**{**vars(TWO), "seed": 1}))
    assert a.losses == b.losses != other.losses
    a, b = a.model, b.model
    assert a.sample(30, "for ", seed=3) == b.sample(30, "for ", seed=3) != a.sample(30, "for ", seed=4)


def test_carrying_the_state_is_truncated_bptt():
    """Two chunks of 8, the state carried without its gradient = one scan of 16 with truncate=8."""
    model = CharModel.new(TEXT, hidden=6)
    model.params = {k: mg.tensor(p, "float64", requires_grad=True) for k, p in model.params.items()}
    codes = model.encode(TEXT)[:17]
    x, y = codes[:-1, None], codes[1:, None]
    (state,) = (tuple(mg.tensor(s, "float64") for s in layer) for layer in model.zero_state(1))
    total, carried = 0.0, (state,)
    for half in (slice(0, 8), slice(8, 16)):
        loss, carried = model.loss(carried, x[half], y[half])
        carried = tuple(tuple(s.detach() for s in layer) for layer in carried)
        (loss / 2).backward()
        total += loss.item() / 2

    def whole(params):
        core = {k: params[f"{k}_l0"] for k in model.core.params}
        _, h = mg.scan(model.core, state, mg.one_hot(x, len(model.vocabulary)), core, truncate=8)
        return mg.cross_entropy(affine(h, W_hq=params["W_hq"], b_q=params["b_q"]), y)

    value, grads = mg.value_and_grad(whole)(model.params)
    np.testing.assert_allclose(total, value.item(), rtol=1e-12)
    for k, p in model.params.items():
        np.testing.assert_allclose(p.grad.numpy(), grads[k].numpy(), rtol=1e-12, atol=1e-14)


def test_the_trained_cell_is_the_one_that_is_unrolled():
    """model.cell, .zero_state, .one_hot and .of_cell are what `unroll`, `draw` and `prove` take."""
    model = trained(5).model
    text = TEXT[:9]
    u = unroll(model.cell, model.zero_state()[0], model.one_hot(text[:-1]), model.of_cell(0))
    codes = model.encode(text)
    loss, (final,) = model.loss(model.zero_state(1), codes[:-1, None], codes[1:, None])
    np.testing.assert_allclose(u.loss(mg.cross_entropy, codes[1:]).item(), loss.item(), rtol=1e-5)
    for a, b in zip(u.states[-1], final, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy()[0], rtol=1e-5, atol=1e-7)


# ---- the model -----------------------------------------------------------------------------------
def test_stepping_is_scanning():
    """The logits by which a sample is drawn are those that were trained."""
    model = trained(5, TWO).model
    codes = model.encode(TEXT[:9])
    state, nats = model.zero_state(), []
    for x, y in zip(model.one_hot(TEXT[:8]), codes[1:], strict=True):
        logits, state = model.step(state, x)
        nats.append(mg.cross_entropy(logits, y).item())
    loss, _ = model.loss(model.zero_state(1), codes[:-1, None], codes[1:, None])
    np.testing.assert_allclose(np.mean(nats), loss.item(), rtol=1e-5)


def test_a_sample_begins_with_its_prompt_and_near_zero_temperature_takes_the_likeliest():
    model = trained(30).model
    sample = model.sample(40, "range", seed=1)
    assert sample.startswith("range")
    assert len(sample) == 45
    assert set(sample) <= set(model.vocabulary)
    assert model.sample(20, "total", 1, 1e-3) == model.sample(20, "total", 2, 1e-3)
    assert len(model.sample(7)) == 7
    state = model.zero_state()
    for x in model.one_hot("total"):
        logits, state = model.step(state, x)
    assert model.sample(1, "total", temperature=1e-3)[-1] == model.vocabulary[int(logits.numpy().argmax())]


def test_encoding_knows_any_character():
    text = "naïve λ 𝄞\n"
    model = CharModel.new(text, hidden=2)
    assert "".join(model.vocabulary[i] for i in model.encode(text)) == text
    np.testing.assert_array_equal(model.one_hot(text).numpy().argmax(-1), model.encode(text))


# ---- bad input -----------------------------------------------------------------------------------
@mg.cell(s="m", x="m", W="m m")
def one_size(s, /, x, *, W):
    return mg.tanh(s + x @ W)


@mg.cell(s="m", x="d", y="d", W="d m")
def two_inputs(s, /, x, y, *, W):
    return mg.tanh(s + (x + y) @ W)


@mg.cell(x="d", W="d m")
def no_state(x, *, W):
    return x @ W


def changed(**more):
    return Training(TEXT, Settings(**{**vars(SMALL), **more}))


NEEDS = "a character model needs a cell with one input and a first state"
BAD = {
    "the text is empty": lambda: Training("", SMALL),
    "the text has 12 characters; 4 rows of 8 characters need 33. Pass": lambda: Training("abc" * 4, SMALL),
    "batch=-1; pass at least 1": lambda: changed(batch=-1),
    "length=0; pass at least 1": lambda: changed(length=0),
    "layers=0; pass at least 1": lambda: changed(layers=0),
    "size n=0; pass at least 1": lambda: changed(hidden=0),
    "Adam: lr=-1": lambda: changed(lr=-1),
    "clip_grad_norm: max_norm=0; pass a number above 0": lambda: changed(clip=0).step(),
    r"unknown characters \['\?', '£'\]": lambda: CharModel.new(TEXT, 2).sample(3, "for £?"),
    "temperature=0; pass a number above 0": lambda: CharModel.new(TEXT, 2).sample(3, temperature=0),
    "temperature=nan; pass": lambda: CharModel.new(TEXT, 2).sample(3, temperature=float("nan")),
    rf'one_size\(s, /, x, \*, W\) with s="m", x="m": {NEEDS}': lambda: CharModel.new(TEXT, cell=one_size),
    rf"two_inputs.*: {NEEDS}": lambda: CharModel.new(TEXT, cell=two_inputs),
    rf'no_state.* with x="d": {NEEDS}': lambda: CharModel.new(TEXT, cell=no_state),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_a_short_text_is_a_text_error():
    with pytest.raises(TextError, match="Pass a longer text, or a smaller batch or length"):
        Training("abc", SMALL)


@pytest.mark.parametrize(("value", "what"), [(np.nan, "loss is nan"), (3e38, "loss is (nan|inf)")])
def test_a_loss_that_is_no_number_stops_the_training(value, what):
    training = Training(TEXT, SMALL)
    training.model.params["b_q"] = mg.tensor(np.full(len(set(TEXT)), value), "float32", requires_grad=True)
    training.model.params["W_hq"] = mg.tensor(np.full((16, len(set(TEXT))), value), "float32", requires_grad=True)
    before = dict(training.model.params)
    with pytest.raises(FloatingPointError, match=f"the {what} at step 1; train again with a rate .lr. below 0.02"):
        training.step()
    assert training.model.params == before
    assert training.losses == []


def test_a_gradient_that_is_no_number_stops_the_training(monkeypatch):
    training = trained(2)
    monkeypatch.setattr("minigrad.train.training.clip_grad_norm", lambda grads, clip: (grads, float("inf")))
    with pytest.raises(FloatingPointError, match="the norm of the gradient is inf at step 3; train again"):
        training.step()
    assert training.steps == 2
