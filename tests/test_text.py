"""The character model learns real text, repeatably; its loss is truncated BPTT; bad input is named."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.cells import CELLS, affine, unroll
from minigrad.text import CharModel, batches, default_text

TEXT = "".join(f"for i in range({k}):\n    total += i * {k % 7}\n" for k in range(60))
SMALL = {"hidden": 16, "batch": 4, "length": 8, "seed": 0}


def test_the_default_text_is_source_code():
    text = default_text()
    assert len(text) > 300_000
    for word in ("\ndef ", "\nclass ", "    return ", "import "):
        assert text.count(word) > 20


def test_the_loss_falls_from_that_of_guessing():
    model = CharModel.train(TEXT, steps=60, **SMALL)
    assert abs(model.losses[0] - np.log2(len(set(TEXT)))) < 0.5
    assert np.mean(model.losses[-5:]) < 0.6 * model.losses[0]


@pytest.mark.slow
def test_three_hundred_steps_on_the_standard_library():
    """What `minigrad tour` trains."""
    model = CharModel.train(default_text())
    assert len(model.losses) == 300
    assert model.losses[0] > 6
    assert np.mean(model.losses[-20:]) < 2.5
    assert model.sample(500, "def ").count(" ") > 40


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda c: c.name)
def test_every_cell_of_the_table_learns(cell):
    model = CharModel.train(TEXT, steps=40, cell=cell, **SMALL)
    assert model.losses[-1] < 0.8 * model.losses[0]
    assert {p.dtype for p in model.params.values()} == {np.dtype("float32")}


def test_training_and_sampling_are_repeatable():
    a, b = (CharModel.train(TEXT, steps=5, **SMALL) for _ in range(2))
    other = CharModel.train(TEXT, steps=5, **{**SMALL, "seed": 1})
    assert a.losses == b.losses != other.losses
    assert a.sample(30, "for ", seed=3) == b.sample(30, "for ", seed=3) != a.sample(30, "for ", seed=4)


def test_progress_is_told_each_step():
    told = []
    model = CharModel.train(TEXT, steps=4, progress=lambda step, bits: told.append((step, bits)), **SMALL)
    assert told == list(enumerate(model.losses, start=1))
    model.fit(TEXT, steps=2, batch=4, length=8)
    assert len(model.losses) == 6


def test_batches_read_the_rows_of_the_text_in_order():
    """Each row goes on where it was; targets are one character later; then the rows start anew."""
    codes, read = np.arange(50), batches(np.arange(50), batch=4, length=5)
    width = 49 // 4
    for _ in range(2):
        for k in range(width // 5):
            x, y, first = next(read)
            assert first == (k == 0)
            for row in range(4):
                start = row * width + 5 * k
                np.testing.assert_array_equal(x[:, row], codes[start : start + 5])
                np.testing.assert_array_equal(y[:, row], codes[start + 1 : start + 6])


def test_carrying_the_state_is_truncated_bptt():
    """Two chunks of 8, the state carried without its gradient = one scan of 16 with truncate=8."""
    model = CharModel.new(TEXT, hidden=6)
    model.params = {k: mg.tensor(p, "float64", requires_grad=True) for k, p in model.params.items()}
    codes = model.encode(TEXT)[:17]
    x, y = codes[:-1, None], codes[1:, None]
    state = tuple(mg.tensor(s, "float64") for s in model.zero_state(1))
    total, carried = 0.0, state
    for half in (slice(0, 8), slice(8, 16)):
        loss, carried = model.loss(carried, x[half], y[half])
        carried = tuple(s.detach() for s in carried)
        (loss / 2).backward()
        total += loss.item() / 2

    def whole(params):
        core = {k: params[k] for k in model.core.params}
        _, h = mg.scan(model.core, state, mg.one_hot(x, len(model.vocabulary)), core, truncate=8)
        return mg.cross_entropy(affine(h, W_hq=params["W_hq"], b_q=params["b_q"]), y)

    value, grads = mg.value_and_grad(whole)(model.params)
    np.testing.assert_allclose(total, value.item(), rtol=1e-12)
    for k, p in model.params.items():
        np.testing.assert_allclose(p.grad.numpy(), grads[k].numpy(), rtol=1e-12, atol=1e-14)


def test_the_trained_cell_is_the_one_that_is_unrolled():
    """model.cell, .zero_state, .one_hot and .params are what `unroll`, `draw` and `prove` take."""
    model = CharModel.train(TEXT, steps=5, **SMALL)
    text = TEXT[:9]
    u = unroll(model.cell, model.zero_state(), model.one_hot(text[:-1]), model.params)
    codes = model.encode(text)
    loss, final = model.loss(model.zero_state(1), codes[:-1, None], codes[1:, None])
    np.testing.assert_allclose(u.loss(mg.cross_entropy, codes[1:]).item(), loss.item(), rtol=1e-5)
    for a, b in zip(u.states[-1], final, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy()[0], rtol=1e-5, atol=1e-7)


def test_a_sample_begins_with_its_prompt_and_near_zero_temperature_takes_the_likeliest():
    model = CharModel.train(TEXT, steps=30, **SMALL)
    sample = model.sample(40, "range", seed=1)
    assert sample.startswith("range")
    assert len(sample) == 45
    assert set(sample) <= set(model.vocabulary)
    assert model.sample(20, "total", 1, 1e-3) == model.sample(20, "total", 2, 1e-3)
    assert len(model.sample(7)) == 7
    state = model.zero_state()
    for x in model.one_hot("total"):
        *state, logits = model.cell(*state, x, **model.params)
    assert model.sample(1, "total", temperature=1e-3)[-1] == model.vocabulary[int(logits.numpy().argmax())]


def test_encoding_knows_any_character():
    text = "naïve λ 𝄞\n"
    model = CharModel.new(text, hidden=2)
    assert "".join(model.vocabulary[i] for i in model.encode(text)) == text
    np.testing.assert_array_equal(model.one_hot(text).numpy().argmax(-1), model.encode(text))


@mg.cell(s="m", x="d", W="d m")
def other_names(s, /, x, *, W):
    return mg.tanh(s + x @ W)


BAD = {
    "the text is empty": lambda: CharModel.train(""),
    "the text has 12 characters; 4 rows of 8 characters need 33": lambda: CharModel.train("abc" * 4, **SMALL),
    "steps=0; pass at least 1": lambda: CharModel.train(TEXT, steps=0),
    "batch=-1; pass at least 1": lambda: CharModel.train(TEXT, batch=-1),
    r"unknown characters \['\?', '£'\]": lambda: CharModel.new(TEXT, 2).sample(3, "for £?"),
    "temperature=0; pass a number above 0": lambda: CharModel.new(TEXT, 2).sample(3, temperature=0),
    "size n=0; pass at least 1": lambda: CharModel.new(TEXT, 0),
    r"other_names\(s, /, x, \*, W\): a character model needs a cell": lambda: CharModel.new(
        TEXT, 2, other_names
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_a_loss_that_is_no_number_stops_the_training():
    model = CharModel.new(TEXT, hidden=4)
    model.params = {**model.params, "b_q": mg.tensor(np.full(len(model.vocabulary), np.nan), "float32")}
    before = model.params
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1; use a learning rate"):
        model.fit(TEXT, steps=3, batch=4, length=8)
    assert model.params is before
