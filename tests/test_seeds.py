"""The articles' code blocks run as they stand, with `import minigrad as torch` in front.

Article 000's block has an `import torch` of its own; it is left in, and finds minigrad under that name
(`sys.modules`). The blocks are carried here; where the articles are at hand, they are read from them and must
be these very texts.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.cells import affine, gru, lstm, unroll

ARTICLES = Path(__file__).parents[2] / "shared" / "seeds"
OURS, THEIRS = "import minigrad as torch\n", "import torch\n"

RNN_BLOCK = """\
import torch
rnn = torch.nn.RNN(10, 20, 2)
input = torch.randn(5, 3, 10)
h0 = torch.randn(2, 3, 20)
output, hn = rnn(input, h0)
print(output.size(), hn.size())

# torch.Size([5, 3, 20]) torch.Size([2, 3, 20])
"""

LSTM_BLOCK = """\
def lstm(inputs, state, params):
    [W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c,
    W_hq, b_q] = params
    (H, C) = state
    outputs = []
    for X in inputs:
        I = torch.sigmoid((X @ W_xi) + (H @ W_hi) + b_i)
        F = torch.sigmoid((X @ W_xf) + (H @ W_hf) + b_f)
        O = torch.sigmoid((X @ W_xo) + (H @ W_ho) + b_o)
        C_tilda = torch.tanh((X @ W_xc) + (H @ W_hc) + b_c)
        C = F * C + I * C_tilda
        H = O * torch.tanh(C)
        Y = (H @ W_hq) + b_q
        outputs.append(Y)
    return torch.cat(outputs, dim=0), (H, C)
"""

GRU_BLOCK = """\
def gru(inputs, state, params):
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h, W_hq, b_q = params
    H, = state
    outputs = []
    for X in inputs:
        Z = torch.sigmoid((X @ W_xz) + (H @ W_hz) + b_z)
        R = torch.sigmoid((X @ W_xr) + (H @ W_hr) + b_r)
        H_tilda = torch.tanh((X @ W_xh) + ((R * H) @ W_hh) + b_h)
        H = Z * H + (1 - Z) * H_tilda
        Y = H @ W_hq + b_q
        outputs.append(Y)
    return torch.cat(outputs, dim=0), (H,)
"""

BLOCKS = {"lstm": (LSTM_BLOCK, lstm), "gru": (GRU_BLOCK, gru)}
both = pytest.mark.parametrize("name", BLOCKS)
T, B, N, D, Q = 4, 2, 3, 5, 6


def run(block, line, where):
    """The names that a block defines, with one line in front of it."""
    space: dict = {}
    exec(compile(line + block, where, "exec"), space)
    return space


def arguments(cell, seed=0):
    """(inputs, state, params) as numpy arrays, in the order in which the blocks unpack them."""
    full = cell.then(affine)
    rng = np.random.default_rng(seed)
    sizes = {"n": N, "d": D, "q": Q}
    return (
        rng.standard_normal((T, B, D)),
        tuple(rng.standard_normal((B, N)) for _ in cell.states),
        [rng.standard_normal(full.shape(p, sizes)) for p in full.params],
    )


def results_and_gradients(fn, make, gradient_of, cell):
    """Outputs, final states, and the gradients of a weighted sum of them, as numpy arrays."""
    inputs, state, params = arguments(cell)
    inputs, state, params = make(inputs), tuple(map(make, state)), list(map(make, params))
    outputs, final = fn(inputs, state, params)
    rng = np.random.default_rng(1)
    total = 0
    for r in (outputs, *final):
        total = total + (r * r * make(rng.standard_normal(tuple(r.shape)))).sum()
    total.backward()
    return [np.array(r.detach().numpy()) for r in (outputs, *final)] + [
        np.array(gradient_of(x)) for x in (inputs, *state, *params)
    ]


def with_minigrad(fn, cell):
    return results_and_gradients(
        fn, lambda a: mg.tensor(a, requires_grad=True), lambda x: x.grad.numpy(), cell
    )


def by_our_cell(cell):
    """The same signature as the blocks', by unrolling the cell of the table."""

    def fn(inputs, state, params):
        full = cell.then(affine)
        u = unroll(full, state, inputs, dict(zip(full.params, params, strict=True)))
        return mg.cat(u.outputs, dim=0), u.states[-1]

    return fn


def equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_article_000_prints_its_sizes(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", mg)
    space = run(RNN_BLOCK, OURS, "article 000")
    assert capsys.readouterr().out == "(5, 3, 20) (2, 3, 20)\n"
    assert space["torch"] is mg
    assert space["output"].size() == (5, 3, 20)
    assert space["hn"].size() == (2, 3, 20)


@both
def test_the_block_is_the_cell_of_the_table(name):
    block, cell = BLOCKS[name]
    equal(with_minigrad(run(block, OURS, name)[name], cell), with_minigrad(by_our_cell(cell), cell))


@pytest.mark.parity
@both
def test_the_block_gives_what_torch_gives(name):
    torch = pytest.importorskip("torch", reason="torch, for a second opinion, is not installed")
    block, cell = BLOCKS[name]
    theirs = results_and_gradients(
        run(block, THEIRS, name)[name],
        lambda a: torch.tensor(a, requires_grad=True),
        lambda x: x.grad.numpy(),
        cell,
    )
    equal(with_minigrad(run(block, OURS, name)[name], cell), theirs)


VARIABLES = {"lstm": {"I", "F", "O", "C_tilda", "C", "H", "Y"}, "gru": {"Z", "R", "H_tilda", "H", "Y"}}


@both
def test_the_traced_block_keeps_its_names_steps_and_lines(name):
    block, cell = BLOCKS[name]
    inputs, state, params = arguments(cell)
    program = mg.trace(run(block, OURS, name)[name], inputs, state, params)
    lines = (OURS + block).splitlines()
    for variable in VARIABLES[name]:
        named = [n for n in program.nodes if n.name == variable]
        assert {n.note.step for n in named} == set(range(1, T + 1)), variable
        starts = re.compile(rf"\s+{variable} = ")
        assert all(starts.match(lines[n.note.line - 1]) for n in named)
        assert {n.note.file for n in named} == {name}
    outputs, final = program(inputs, tuple(state), params)
    expected, expected_final = by_our_cell(cell)(mg.tensor(inputs), state, params)
    equal([outputs, *final], [x.numpy() for x in (expected, *expected_final)])


@pytest.mark.skipif(not ARTICLES.is_dir(), reason="the articles are not at hand")
@pytest.mark.parametrize(
    ("article", "blocks"), [("000", [RNN_BLOCK]), ("001", [LSTM_BLOCK, GRU_BLOCK]), ("002", [])]
)
def test_the_blocks_are_the_articles_own(article, blocks):
    (file,) = ARTICLES.glob(f"{article}_*.txt")
    assert re.findall(r"```python\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL) == blocks
