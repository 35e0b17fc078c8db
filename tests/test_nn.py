"""torch.nn's layers and torch.optim's formulas: the same numbers for the same weights, to 1e-12."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.cells import CELLS

T, B, D, N = 4, 3, 5, 6
KINDS = {
    "RNN tanh": (nn.RNN, {}),
    "RNN relu": (nn.RNN, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTM, {}),
    "GRU": (nn.GRU, {}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch, for a second opinion, is not installed")


def make(kind, *sizes, **options):
    """A repeatable layer."""
    mg.manual_seed(0)
    cls, extra = KINDS[kind]
    return cls(*sizes, **extra, **options)


def states(layer, *batch):
    """Random initial states in the form that torch takes: h0, or (h0, c0)."""
    rng = np.random.default_rng(1)
    shape = (layer.num_layers, *batch, layer.hidden_size)
    found = tuple(rng.standard_normal(shape) for _ in layer.cell.states)
    return found if len(found) > 1 else found[0]


def each(state):
    return state if isinstance(state, tuple) else (state,)


def close(ours, theirs):
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


# ---- parity --------------------------------------------------------------------------------------
OPTIONS = list(itertools.product((1, 2), (True, False), (False, True), (True, False), (True, False)))


@pytest.mark.parity
@every_kind
@pytest.mark.parametrize(
    ("layers", "bias", "batch_first", "batched", "with_state"), OPTIONS,
    ids=lambda v: str(v) if isinstance(v, bool) else f"{v} layers",
)  # fmt: skip
def test_parity_with_torch(torch, kind, layers, bias, batch_first, batched, with_state):
    """Outputs, final states, and the gradients of weights, input and initial states."""
    cls, extra = KINDS[kind]
    options = {"num_layers": layers, "bias": bias, "batch_first": batch_first}
    ours = make(kind, D, N, **options)
    theirs = getattr(torch.nn, cls.__name__)(D, N, **extra, **options, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    shape = ((B, T) if batch_first else (T, B)) if batched else (T,)
    x = np.random.default_rng(0).standard_normal((*shape, D))
    h = each(states(ours, *([B] if batched else []))) if with_state else ()

    def results(layer, tensor):
        args = [tensor(a, requires_grad=True) for a in (x, *h)]
        state = (tuple(args[1:]) if len(h) > 1 else args[1]) if h else None
        output, final = layer(args[0], state)
        found = [output, *each(final)]
        weights = np.random.default_rng(2)
        total = sum((r * r * tensor(weights.standard_normal(tuple(r.shape)))).sum() for r in found)
        total.backward()
        return found, args

    ours_found, ours_args = results(ours, mg.tensor)
    their_found, their_args = results(theirs, torch.tensor)
    for a, b in zip(ours_found, their_found, strict=True):
        close(a.numpy(), b.detach().numpy())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for a, b in zip([*ours_args, *ours.parameters()], [*their_args, *theirs.parameters()], strict=True):
        close(a.grad.numpy(), b.grad.numpy())


@pytest.mark.parity
@pytest.mark.parametrize("bias", [True, False])
def test_linear_and_embedding_are_torchs(torch, bias):
    ours, theirs = nn.Linear(3, 4, bias), torch.nn.Linear(3, 4, bias, dtype=torch.float64)
    table, their_table = nn.Embedding(7, 3), torch.nn.Embedding(7, 3, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    table.load_state_dict(their_table.state_dict())
    index = np.array([[0, 6, 6], [2, 0, 6]])
    y, z = ours(table(index)), theirs(their_table(torch.tensor(index)))
    (y * y).sum().backward()
    (z * z).sum().backward()
    close(y.numpy(), z.detach().numpy())
    mine, other = [*ours.parameters(), *table.parameters()], [*theirs.parameters(), *their_table.parameters()]
    for p, q in zip(mine, other, strict=True):
        close(p.grad.numpy(), q.grad.numpy())


OPTIMISERS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.3},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ],
    "Adam": [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "betas": (0.5, 0.8), "eps": 1e-2},
        {"lr": 0.1, "weight_decay": 0.3},
    ],
}
OPTIMISERS = [(name, options) for name, table in OPTIMISERS.items() for options in table]
every_optimiser = pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=str)


@pytest.mark.parity
@every_optimiser
def test_optimisers_are_torchs(torch, name, options):
    rng = np.random.default_rng(0)
    start = {"W": rng.standard_normal((3, 2)), "b": rng.standard_normal(2), "s": np.array(0.5)}
    params = {k: mg.tensor(v, requires_grad=True, name=k) for k, v in start.items()}
    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}
    ours, other = getattr(nn.optim, name)(**options), getattr(torch.optim, name)(theirs.values(), **options)
    for step in range(6):
        grads = {k: np.array(rng.standard_normal(v.shape[::-1])).T for k, v in start.items()}  # read across
        if step == 3:
            del grads["b"]  # a parameter without gradient stays as it is, and so do its moments
        for k, p in theirs.items():
            p.grad = torch.tensor(grads[k]) if k in grads else None
        other.step()
        params = ours.step(params, grads)
        for k in start:
            close(params[k].numpy(), theirs[k].detach().numpy())


@pytest.mark.parity
@pytest.mark.parametrize("limit", [0.1, 100.0])
def test_clipping_is_torchs(torch, limit):
    rng = np.random.default_rng(0)
    grads = {"W": rng.standard_normal((3, 2)), "b": rng.standard_normal(2), "s": np.array(0.5)}
    theirs = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in grads.values()]
    for p, g in zip(theirs, grads.values(), strict=True):
        p.grad = torch.tensor(g)
    their_norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
    ours, norm = nn.optim.clip_grad_norm(grads, limit)
    np.testing.assert_allclose(norm, their_norm.item(), rtol=1e-14)
    for a, p in zip(ours.values(), theirs, strict=True):
        close(a.numpy(), p.grad.numpy())


# ---- laws that need no torch ---------------------------------------------------------------------
def test_one_layer_is_a_scan_of_the_articles_cell():
    """torch's stacked weights, taken apart, in article 001's LSTM: another path to the same numbers."""
    layer = make("LSTM", D, N)
    x, (h0, c0) = mg.randn(T, B, D, seed=3), states(layer, B)
    p = {k: v.numpy() for k, v in layer.params.items()}
    split = {}
    for k, gate in enumerate("ifco"):
        rows = slice(k * N, (k + 1) * N)
        split[f"W_x{gate}"], split[f"W_h{gate}"] = p["weight_ih_l0"][rows].T, p["weight_hh_l0"][rows].T
        split[f"b_{gate}"] = p["bias_ih_l0"][rows] + p["bias_hh_l0"][rows]
    output, (h, c) = layer(x, (h0, c0))
    final, outputs = mg.scan(CELLS["lstm"], (h0[0], c0[0]), x, split)
    close(output.numpy(), outputs.numpy())
    close(h[0].numpy(), final[0].numpy())
    close(c[0].numpy(), final[1].numpy())


@every_kind
def test_layouts_and_left_out_states_agree(kind):
    """batch_first, unbatched rows, zeros for a missing state, zero biases: the same numbers."""
    layer = make(kind, D, N, num_layers=2)
    x = mg.randn(T, B, D, seed=3)
    zeros = tuple(np.zeros((2, B, N)) for _ in layer.cell.states)
    output, final = layer(x, zeros)
    assert output.size() == (T, B, N)
    again, _ = layer(x, hx=None)
    close(again.numpy(), output.numpy())
    first = make(kind, D, N, num_layers=2, batch_first=True)
    transposed, same = first(x.swapaxes(0, 1))
    close(transposed.swapaxes(0, 1).numpy(), output.numpy())
    for a, b in zip(each(same), each(final), strict=True):
        close(a.numpy(), b.numpy())
    row, last = first(x[:, 1])
    close(row.numpy(), output[:, 1].numpy())
    for a, b in zip(each(last), each(final), strict=True):
        close(a.numpy(), b[:, 1].numpy())
    bare = make(kind, D, N, num_layers=2, bias=False)
    assert not [n for n, _ in bare.named_parameters() if "bias" in n]
    layer.load_state_dict({n: bare.params.get(n, p * 0) for n, p in layer.named_parameters()})
    close(bare(x)[0].numpy(), layer(x)[0].numpy())


@every_kind
def test_float32_stays_float32(kind):
    layer = make(kind, D, N, dtype="float32")
    output, final = layer(mg.randn(T, D, dtype="float32"))
    (output * output).sum().backward()
    assert {r.dtype for r in (output, *each(final))} == {np.dtype("float32")}
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype("float32")}


@every_kind
def test_a_layer_with_other_parameters_is_differentiable(kind):
    """layer(x, params=...) for grad, against backward()."""
    layer, x = make(kind, D, N), mg.randn(T, B, D, seed=3)
    grads = mg.grad(lambda p: (layer(x, params=p)[0] ** 2).sum())(layer.params)
    (layer(x)[0] ** 2).sum().backward()
    for name, p in layer.named_parameters():
        close(grads[name].numpy(), p.grad.numpy())
    layer.zero_grad()
    assert [p.grad for p in layer.parameters()] == [None] * len(layer.params)


@every_kind
def test_weights_are_saved_and_loaded(kind):
    layer, other = make(kind, D, N, num_layers=2), KINDS[kind][0](D, N, num_layers=2, **KINDS[kind][1])
    other.load_state_dict({k: v.tolist() for k, v in layer.state_dict().items()})
    x = mg.randn(T, D, seed=3)
    np.testing.assert_array_equal(layer(x)[0].numpy(), other(x)[0].numpy())
    assert all(p.requires_grad and p.name == n for n, p in other.named_parameters())
    assert not any(v.requires_grad for v in layer.state_dict().values())


def test_what_does_not_fit_is_not_loaded():
    layer = make("GRU", D, N)
    before, state = layer.params, layer.state_dict()
    named = {**state, "bias_hh_l1": state["bias_hh_l0"]}
    del named["weight_ih_l0"]
    with pytest.raises(ValueError, match=r"GRU.load_state_dict: missing weight_ih_l0, unexpected bias_hh_l1"):
        layer.load_state_dict(named)
    with pytest.raises(mg.ShapeError, match=r"bias_hh_l0 has shape \(6,\), this layer needs \(18,\)"):
        layer.load_state_dict(state | {"bias_hh_l0": np.zeros(6)})
    with pytest.raises(TypeError, match="not real numbers"):
        layer.load_state_dict(state | {"bias_hh_l0": ["x"] * 18})
    assert layer.params is before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dropout": 0.5}, NotImplementedError, "LSTM: dropout=0.5 is not supported, only torch"),
        ({"bidirectional": True}, NotImplementedError, "bidirectional=True is not supported"),
        ({"proj_size": 2}, NotImplementedError, "proj_size=2 is not supported"),
        ({"colour": 2}, TypeError, "LSTM: unknown argument colour"),
        ({"num_layers": 0}, ValueError, "num_layers=0; pass a whole number of at least 1"),
        ({"hidden_size": 2.5}, ValueError, "hidden_size=2.5; pass a whole number"),
        ({"dtype": "int64"}, TypeError, "dtype int64 holds no parameters; pass float32 or float64"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        nn.LSTM(**{"input_size": D, "hidden_size": N, **options})
    nn.LSTM(D, N, dropout=0.0, bidirectional=False, proj_size=0, device=None)  # torch's defaults are accepted


def test_an_unknown_nonlinearity_is_refused():
    with pytest.raises(ValueError, match="nonlinearity='selu'; pass 'tanh' or 'relu'"):
        nn.RNN(D, N, nonlinearity="selu")


X = np.zeros((T, B, D))
H = np.zeros((1, B, N))


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((X[..., :4],), mg.ShapeError, r"LSTM: input of shape \(4, 3, 4\), expected \(T, batch, 5\)"),
        ((np.zeros(D),), mg.ShapeError, r"LSTM: input of shape \(5,\)"),
        ((np.zeros((0, B, D)),), mg.ShapeError, "T = 0 steps"),
        ((X.astype("float32"),), TypeError, "input of dtype float32, but the parameters are float64"),
        ((X.astype("int64"),), TypeError, "input of dtype int64"),
        ((X, H), mg.ShapeError, r"1 initial state\(s\) given; pass \(h0, c0\)"),
        ((X, (H, H[0])), mg.ShapeError, r"initial state c0 of shape \(3, 6\), expected \(1, 3, 6\)"),
        ((X[:, 0], (H, H)), mg.ShapeError, r"initial state h0 of shape \(1, 3, 6\), expected \(1, 6\)"),
        ((X, (H, H.astype("float32"))), TypeError, "initial state c0 of dtype float32"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_calls_that_are_refused(args, error, message):
    with pytest.raises(error, match=message):
        make("LSTM", D, N)(*args)


def test_linear_and_embedding_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="Linear: in_features=0; pass a whole number of at least 1"):
        nn.Linear(0, 2)
    with pytest.raises(mg.ShapeError, match=r"Linear: input of shape \(2, 4\), expected \(\.\.\., 3\)"):
        nn.Linear(3, 2)(np.zeros((2, 4)))
    with pytest.raises(TypeError, match="Embedding: indices must be integers, not float64"):
        nn.Embedding(3, 2)(np.zeros(2))
    with pytest.raises(IndexError, match=r"indices run from -1 to 3, outside \[0, 3\)"):
        nn.Embedding(3, 2)(np.array([3, -1]))


@every_optimiser
def test_optimisers_find_a_minimum(name, options):
    """And never change a tensor: each step makes new ones."""
    opt = getattr(nn.optim, name)(**{**options, "lr": 0.1, "weight_decay": 0.0})
    params = {"w": mg.tensor([3.0, -2.0], requires_grad=True, name="w")}
    first, losses = params["w"], []
    for _ in range(200):
        loss = ((params["w"] - 1) ** 2).sum()
        loss.backward()
        losses.append(loss.item())
        params = opt.step(params)
    assert losses[-1] < 0.01 * losses[0]
    assert params["w"].requires_grad
    assert params["w"].name == "w"
    assert first.tolist() == [3.0, -2.0]


def test_first_steps_by_hand():
    g = {"w": np.array([4.0, -1.0])}
    w = {"w": mg.tensor([1.0, 2.0])}
    np.testing.assert_allclose(nn.optim.SGD(lr=0.5).step(w, g)["w"].numpy(), [-1.0, 2.5])
    np.testing.assert_allclose(nn.optim.Adam(lr=0.5).step(w, g)["w"].numpy(), [0.5, 2.5], rtol=1e-7)
    clipped, norm = nn.optim.clip_grad_norm({"a": np.array([3.0]), "b": np.array([4.0]), "c": None}, 1.0)
    assert norm == 5.0
    assert set(clipped) == {"a", "b"}
    np.testing.assert_allclose([clipped["a"].item(), clipped["b"].item()], [0.6, 0.8], rtol=1e-6)


def test_optimisers_refuse_what_does_not_fit():
    w, opt = {"w": mg.zeros(2)}, nn.optim.SGD()
    with pytest.raises(ValueError, match=r"SGD: gradient of \['v'\], but the parameters are \['w'\]"):
        opt.step(w, {"v": np.zeros(2)})
    with pytest.raises(mg.ShapeError, match=r"SGD: w has shape \(2,\), its gradient \(3,\)"):
        opt.step(w, {"w": np.zeros(3)})
    with pytest.raises(ValueError, match=r"Adam: lr=-1, weight_decay=0.0; neither may be negative"):
        nn.optim.Adam(lr=-1)
    with pytest.raises(ValueError, match="nesterov needs a momentum above 0 and dampening 0"):
        nn.optim.SGD(nesterov=True)
    with pytest.raises(ValueError, match="max_norm=0; pass a number above 0"):
        nn.optim.clip_grad_norm({}, 0)
