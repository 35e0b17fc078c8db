"""Differentiation: `backward` and the functions of functions, against torch and the complex step."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import planted

import minigrad as mg
from minigrad.engine.core import TABLE, leaf, recording
from minigrad.engine.grad import pull, reachable, sweep


def f(x: Any, W: Any) -> Any:
    """A number that depends on everything, in a curved way."""
    h = mg.tanh(x @ W)
    return (mg.softmax(h @ W) * mg.log(1 + mg.exp(x))).sum() + (h * h * h).mean()


@pytest.fixture
def point(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((2, 3)), rng.standard_normal((3, 3))


def theirs(torch: Any) -> Callable[[Any, Any], Any]:
    def g(x: Any, W: Any) -> Any:
        h = torch.tanh(x @ W)
        return (torch.softmax(h @ W, -1) * torch.log(1 + torch.exp(x))).sum() + (h * h * h).mean()

    return g


def close(ours: Any, other: Any) -> None:
    assert_allclose(ours.numpy(), other.detach().numpy(), rtol=1e-11, atol=1e-13)


# ---- backward ----------------------------------------------------------------------------------
def test_backward_adds_up_and_a_second_call_does_not_corrupt():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward()
    first = x.grad
    assert first.tolist() == [2, 4]
    y.backward()
    (3 * x).sum().backward()
    assert x.grad.tolist() == [7, 11]
    assert first.tolist() == [2, 4]  # a tensor that was handed out never changes


def test_backward_of_a_leaf_and_through_a_shared_node():
    x = mg.tensor(2.0, requires_grad=True)
    x.backward()
    h = x * x
    (h * h + h).backward()
    assert x.grad.item() == 1 + 4 * 8 + 4


def test_backward_takes_a_cotangent():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).backward([1.0, 10.0])
    (x * x).backward(mg.tensor([1.0, 0.0]))
    assert x.grad.tolist() == [4, 40]


def test_backward_gives_float32_to_a_float32_leaf_and_sums_what_was_broadcast():
    w = mg.tensor([[1.0], [2.0]], dtype="float32", requires_grad=True)
    (w * np.ones((3, 2, 4))).sum().backward()
    assert (w.grad.dtype, w.grad.tolist()) == (np.float32, [[12], [12]])


def test_only_leaves_that_require_a_gradient_get_one():
    x, c = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0)
    h = x * c
    h.backward()
    assert (x.grad.item(), c.grad, h.grad) == (3, None, None)


@pytest.mark.parity
def test_backward_is_torchs_over_calls(point):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    ours = [mg.tensor(v, requires_grad=True) for v in point]
    other = [torch.tensor(v, requires_grad=True) for v in point]
    for _ in range(2):
        f(*ours).backward()
        theirs(torch)(*other).backward()
    for a, b in zip(ours, other, strict=True):
        close(a.grad, b.grad)


BACKWARD_ERRORS = [
    (lambda: mg.tensor(1.0).backward(), ValueError, "does not depend on anything that requires a gradient"),
    (
        lambda: mg.randn(2, requires_grad=True).backward(),
        mg.ShapeError,
        r"backward: the output has shape \(2,\), not a",
    ),
    (
        lambda: mg.randn(2, requires_grad=True).backward([1.0]),
        mg.ShapeError,
        r"backward: a cotangent of shape \(1,\) for an output of shape \(2,\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), BACKWARD_ERRORS)
def test_backward_says_what_is_wrong(call, error, text):
    with pytest.raises(error, match=text):
        call()


# ---- functions of functions, against torch.func ------------------------------------------------
@pytest.mark.parity
class TestAgainstTorch:
    @pytest.fixture
    def func(self) -> Any:
        return pytest.importorskip("torch", reason="torch is not installed").func

    @pytest.fixture
    def pair(self, point) -> Any:
        import torch

        return point, tuple(map(torch.tensor, point)), theirs(torch)

    @pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0)])
    def test_grad_and_value(self, func, pair, argnums):
        ours, other, g = pair
        value, gs = mg.value_and_grad(f, argnums)(*ours)
        close(value, g(*other))
        expected = func.grad(g, argnums)(*other)
        for a, b in zip(*(v if isinstance(argnums, tuple) else (v,) for v in (gs, expected)), strict=True):
            close(a, b)
        assert not value.requires_grad

    def test_vjp(self, func, pair):
        (x, W), (tx, tW), _ = pair
        y, pull_back = mg.vjp(lambda x, W: {"h": mg.tanh(x @ W), "s": (x, W.sum())}, x, W)
        z, pull_theirs = func.vjp(lambda x, W: {"h": (x @ W).tanh(), "s": (x, W.sum())}, tx, tW)
        close(y["h"], z["h"])
        cot = {"s": (np.full((2, 3), 2.0), np.array(3.0)), "h": np.ones((2, 3))}  # keys in another order
        torch_cot = {"h": tx * 0 + 1, "s": (tx * 0 + 2, tx.sum() * 0 + 3)}
        for a, b in zip(pull_back(cot), pull_theirs(torch_cot), strict=True):
            close(a, b)

    def test_jvp(self, func, pair, rng):
        from torch.autograd.functional import jvp

        ours, other, g = pair
        vs = [rng.standard_normal(v.shape) for v in ours]
        y, dy = mg.jvp(f, ours, vs)
        z, dz = jvp(g, other, tuple(other[0].new_tensor(v) for v in vs))
        close(y, z)
        close(dy, dz)

    def test_jacobian(self, func, pair):
        (x, W), (tx, tW), _ = pair
        close(
            mg.jacobian(lambda x, W: mg.tanh(x @ W), 1)(x, W),
            func.jacrev(lambda x, W: (x @ W).tanh(), 1)(tx, tW),
        )

    def test_hessian_and_hvp(self, func, pair, rng):
        ours, other, g = pair
        H = func.jacrev(func.jacrev(g, 1), 1)(*other)
        close(mg.hessian(f, 1)(*ours), H)
        v = rng.standard_normal((3, 3))
        ours_hv = mg.hvp(lambda W: f(ours[0], W), ours[1], v)
        close(ours_hv, (H.reshape(9, 9) @ other[0].new_tensor(v).reshape(9)).reshape(3, 3))

    def test_third_order(self, func, pair):
        _, _, g = pair
        import torch

        t = torch.tensor(0.3, dtype=torch.float64)
        W = torch.full((1, 1), 0.7, dtype=torch.float64)
        third = func.grad(func.grad(func.grad(lambda t: g(t.reshape(1, 1), W))))(t)
        ours = mg.grad(mg.grad(mg.grad(lambda t: f(t.reshape(1, 1), np.full((1, 1), 0.7)))))(0.3)
        close(ours, third)


# ---- functions of functions, by themselves -----------------------------------------------------
def test_third_derivative_by_complex_step(point):
    x, W = point
    h, v = 1e-30, np.ones((3, 3))
    second = mg.hvp(lambda W: f(x, W), leaf(W + 1j * h * v), v)
    third = mg.grad(lambda W: (mg.hvp(lambda W: f(x, W), W, v) * v).sum())(W)
    assert_allclose((third.numpy() * v).sum(), (second.numpy().imag * v).sum() / h, rtol=1e-10)


def test_jacobian_of_many_shapes(rng):
    for shape, out in (((), ()), ((3,), ()), ((), (2,)), ((2, 3), (3, 2)), ((2,), (0,))):
        A = rng.standard_normal((*out, *shape))
        linear = lambda x, A=A, out=out: (mg.tensor(A) * x).sum(tuple(range(len(out), A.ndim)))  # noqa: E731
        J = mg.jacobian(linear)(rng.standard_normal(shape))
        assert J.shape == (*out, *shape)
        assert_allclose(J.numpy(), A, rtol=1e-15)


def test_perturbations_are_not_confused():
    assert mg.grad(lambda x: mg.grad(lambda y: y * x)(x))(5.0).item() == 1
    assert mg.grad(lambda x: x * mg.grad(lambda y: x + y)(1.0))(5.0).item() == 1
    inner = lambda x: mg.grad(lambda y: x * y * y)(2.0) * x  # 4 x^2  # noqa: E731
    assert mg.grad(inner)(3.0).item() == 24
    assert mg.grad(mg.grad(inner))(3.0).item() == 8


def test_closures_are_constants_of_the_inner_and_variables_of_the_outer():
    w = mg.tensor(3.0, requires_grad=True)
    g = mg.grad(lambda x: w * x * x)(2.0)  # 2 w x, still in the graph of w
    assert (g.item(), g.requires_grad) == (12, True)
    g.backward()
    assert w.grad.item() == 4


def test_arguments_and_gradients_nest_in_dicts_and_tuples():
    tree = {"W": np.ones((2, 2)), "more": (np.array(2.0), [np.array([1.0, 3.0])])}
    value, g = mg.value_and_grad(lambda p: (p["W"].sum() * p["more"][0] * p["more"][1][0]).sum())(tree)
    assert value.item() == 32
    assert {k: type(v) for k, v in g.items()} == {"W": mg.Tensor, "more": tuple}
    assert (g["W"].tolist(), g["more"][0].item(), g["more"][1][0].tolist()) == ([[8, 8], [8, 8]], 16, [8, 8])


def test_hvp_takes_and_gives_trees():
    fn = lambda p: p["a"] ** 3 * p["b"] + p["b"] ** 2  # noqa: E731
    got = mg.hvp(fn, {"a": 2.0, "b": 5.0}, {"b": 1.0, "a": 10.0})  # Hessian [[6ab, 3a^2], [3a^2, 2]]
    assert (got["a"].item(), got["b"].item()) == (600 + 12, 120 + 2)


def test_aux_comes_back_beside_the_value_free_of_the_graph():
    (value, aux), g = mg.value_and_grad(lambda x: (x * x, {"twice": 2 * x, "text": "hi"}), has_aux=True)(3.0)
    assert (value.item(), aux["twice"].item(), aux["text"], g.item()) == (9, 6, "hi", 6)
    assert not aux["twice"].requires_grad


def test_what_an_argument_does_not_reach_is_zero():
    gx, gy = mg.grad(lambda x, y: (x * 2).sum(), (0, 1))(np.ones(2), np.ones((2, 2)))
    assert (gx.tolist(), gy.tolist()) == ([2, 2], [[0, 0], [0, 0]])


def test_jvp_gives_the_form_of_the_output():
    y, dy = mg.jvp(lambda x, p: {"a": x * p["k"], "b": (x,)}, (3.0, {"k": 2.0}), (1.0, {"k": 10.0}))
    assert (y["a"].item(), dy["a"].item(), dy["b"][0].item()) == (6, 2 + 30, 1)


GRAD_ERRORS = [
    (
        lambda: mg.grad(lambda x: x)(1),
        TypeError,
        "grad: an argument of dtype int64 has no derivative; pass floats",
    ),
    (
        lambda: mg.grad(lambda x: x.sum())([True]),
        TypeError,
        "grad: an argument of dtype bool has no derivative",
    ),
    (lambda: mg.grad(lambda x: x)([1.0]), TypeError, "the function returned a list, not a single number"),
    (
        lambda: mg.grad(lambda x: x * 1)(np.ones(2)),
        mg.ShapeError,
        r"grad: the output has shape \(2,\), not a single",
    ),
    (lambda: mg.grad(lambda x: None)(1.0), TypeError, "returned a NoneType, not a single number"),
    (
        lambda: mg.grad(lambda x: (x, x))(1.0),
        TypeError,
        "for several outputs use vjp, for a value beside it has_aux",
    ),
    (lambda: mg.grad(lambda x: x.numpy())(1.0), TypeError, "returned a ndarray, not a single number"),
    (lambda: mg.grad(lambda x: x, 1)(1.0), TypeError, r"argnums \[1\] of a call with 1 positional"),
    (lambda: mg.value_and_grad(lambda x: x, has_aux=True)(1.0), TypeError, r"returns \(number, anything\)"),
    (lambda: mg.vjp(lambda x: None, 1.0), TypeError, "vjp: the function returned nothing to differentiate"),
    (
        lambda: mg.vjp(lambda x: x, 1.0)[1]([1.0]),
        mg.ShapeError,
        "vjp: the cotangent: a list of 1 is given where one",
    ),
    (
        lambda: mg.vjp(lambda x: (x, x), 1.0)[1]((1.0,)),
        mg.ShapeError,
        "a tuple of 1 is given where a tuple of 2",
    ),
    (lambda: mg.jvp(lambda x: x, (1.0,), ()), mg.ShapeError, "jvp: a tuple of 0 is given where a tuple of 1"),
    (
        lambda: mg.jvp(lambda x: x, (np.ones(2),), (np.ones(3),)),
        mg.ShapeError,
        r"a direction of shape \(3,\)",
    ),
    (
        lambda: mg.hvp(lambda x: x.sum(), np.ones(2), np.ones(1)),
        mg.ShapeError,
        r"hvp: a direction of shape \(1,\)",
    ),
    (
        lambda: mg.jacobian(lambda x: (x, x))(1.0),
        TypeError,
        "jacobian: the function returned a tuple, not a tensor",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), GRAD_ERRORS, ids=[t[:24] for *_, t in GRAD_ERRORS])
def test_differentiation_says_what_is_wrong(call, error, text):
    with pytest.raises(error, match=text):
        call()


# ---- switching the graph off -------------------------------------------------------------------
def test_no_grad_keeps_no_graph():
    x = mg.tensor(2.0, requires_grad=True)
    with mg.no_grad():
        y = x * x
    assert (y.requires_grad, y.op, y.inputs) == (False, None, ())
    assert (x * x).requires_grad


def test_no_grad_is_a_decorator_too():
    x = mg.tensor(2.0, requires_grad=True)
    assert not mg.no_grad()(lambda: x * x)().requires_grad


def test_differentiation_works_inside_no_grad_and_leaves_no_graph():
    x = mg.tensor(2.0, requires_grad=True)
    with mg.no_grad():
        g = mg.grad(lambda z: z * z * x)(x)
        assert mg.grad(mg.grad(lambda z: z**3))(2.0).item() == 12
    assert (g.item(), g.requires_grad) == (8, False)


@pytest.mark.parametrize("cut", [lambda t: t.detach(), mg.stop_gradient], ids=["detach", "stop_gradient"])
def test_a_cut_value_is_a_constant(cut):
    x = mg.tensor(3.0, requires_grad=True)
    (x * cut(x)).backward()
    assert x.grad.item() == 3
    assert mg.grad(lambda x: x * cut(x) + cut(x * x))(3.0).item() == 3


def test_recorded_operations_within_no_grad_stop_the_gradient():
    def fn(x: Any) -> Any:
        with mg.no_grad():
            scale = 2 * x
        return scale * x

    assert mg.trace(fn, 1.0)(np.array(5.0)) == 50  # 2 x x, not the number it was recorded with
    x = mg.tensor(5.0, requires_grad=True)
    mg.trace(fn, 1.0)(x).backward()
    assert x.grad.item() == 10


# ---- long and large ----------------------------------------------------------------------------
N = 200_000


def chain(x: Any, n: int) -> Any:
    for _ in range(n):
        x = x + 1e-9
    return x


def test_a_long_chain_differentiates_and_is_freed_without_recursion_or_cycles():
    gc.collect()
    gc.disable()  # graph memory is freed by reference counts alone
    try:
        x = mg.tensor(1.0, requires_grad=True)
        y = chain(x, N)
        links = [weakref.ref(y), weakref.ref(y.inputs[0])]
        y.backward()
        assert x.grad.item() == 1
        del y
        assert [r() for r in links] == [None, None]
    finally:
        gc.enable()


def test_second_order_of_a_long_chain():
    assert mg.grad(mg.grad(lambda x: chain(x, N // 20) ** 3))(1.0).item() == pytest.approx(6, rel=1e-4)


def everything() -> list[weakref.ref]:
    """Weak references to the tensors of a graph made by every door of the engine."""
    x = mg.tensor(np.ones((4, 2)), requires_grad=True)
    made = []

    def step(h: Any, x: Any, p: Any) -> Any:
        new = mg.tanh(x + h * p)
        made.append(weakref.ref(new))
        return new, new

    last, ys = mg.scan(step, mg.zeros(2), x, mg.tensor(0.5, requires_grad=True))
    y = (
        (ys * ys).sum()
        + mg.grad(lambda z: (z * z).sum())(x).sum()
        + mg.hvp(lambda z: (z**3).sum(), x, x).sum()
    )
    y.backward()
    program = mg.trace(lambda z: step(z[0], z, z[1])[0], x)
    program(x).sum().backward()
    return [*made, *(weakref.ref(t) for t in (x, last, ys, y))]


def test_nothing_is_kept_alive_by_cycles():
    everything()
    gc.collect()
    gc.disable()
    try:
        assert [r() for r in everything() if r() is not None] == []
    finally:
        gc.enable()


# ---- the sweep ---------------------------------------------------------------------------------
def test_the_sweep_gives_the_cotangent_of_any_node():
    x = mg.tensor(2.0, requires_grad=True)
    h = x * x
    y = h * h
    assert [g.item() for g in sweep([y], [mg.ones_like(y)], [h, x, y, x], graph=False)] == [8, 32, 1, 32]


def test_cotangents_are_summed_without_changing_what_anybody_holds():
    x, u = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([5.0, 7.0], requires_grad=True)
    a, given = x + u, mg.tensor([1.0, 10.0])
    y = a + x + x + x + a * u  # x is given the same array as u, and then more of it
    kept = sweep([y], [given], [y, a, u, x], graph=False)
    assert given.tolist() == kept[0].tolist() == [1, 10]
    assert [g.tolist() for g in kept[1:]] == [[6, 80], [12, 170], [9, 110]]
    y.backward(given)
    y.backward(given)
    assert (given.tolist(), u.grad.tolist(), x.grad.tolist()) == ([1, 10], [24, 340], [18, 220])


SLICES = {
    "split": lambda x: mg.split(x, 3),
    "split, not all used": lambda x: mg.split(x, 3)[:2],
    "split, one used twice": lambda x: [*mg.split(x, 2), *mg.split(x, 2)[1:]],
    "split, last piece first": lambda x: mg.split(x, [2, 4])[::-1],
    "split along the first axis": lambda x: mg.split(x, 2, axis=0),
    "overlapping slices": lambda x: [x[:, :4], x[:, 2:]],
    "every second": lambda x: [x[:, ::2], x[:, 1::2]],
    "backwards": lambda x: [x[:, ::-1], x[0]],
    "rows and all": lambda x: [x[1], x[...], x[0, 1]],
}


@pytest.mark.parametrize("cut", SLICES.values(), ids=list(SLICES))
def test_the_cotangent_of_slices_is_put_together(cut):
    x = mg.randn(2, 6, seed=1, requires_grad=True)
    y = sum((((k + 2) * part).sin().sum() for k, part in enumerate(cut(x))), start=mg.tensor(0.0))
    on_arrays, on_tensors = (sweep([y], [mg.tensor(1.0)], [x], graph=graph)[0] for graph in (False, True))
    assert_array_equal(on_arrays.numpy(), on_tensors.numpy())
    expected = np.zeros((2, 6))
    at = mg.tensor(np.arange(12.0).reshape(2, 6))
    for k, (part, where) in enumerate(zip(cut(x), cut(at), strict=True)):
        places = where.numpy().astype(int)
        np.add.at(expected.reshape(-1), places, (k + 2) * np.cos((k + 2) * part.numpy()))
    assert_allclose(on_arrays.numpy(), expected, rtol=1e-14)


def test_the_sweep_gives_none_where_nothing_flows():
    x, c, z = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0), mg.tensor(4.0, requires_grad=True)
    assert sweep([x * c], [mg.ones_like(x)], [c, z], graph=False) == [None, None]


def test_pull_is_one_application_of_a_rule():
    x, W = mg.randn(2, 3, seed=0, requires_grad=True), mg.randn(3, 4, seed=1, requires_grad=True)
    y, part = x @ W, x[0]
    gx, gW = pull(y, mg.ones(2, 4))
    assert_allclose(gx.numpy(), np.ones((2, 4)) @ W.numpy().T, rtol=1e-15)
    assert gW.shape == (3, 4)
    assert_array_equal(pull(part, mg.ones(3))[0].numpy(), [[1, 1, 1], [0, 0, 0]])
    assert pull(x > 0, mg.ones(2, 3)) == []


def test_a_rule_of_the_wrong_length_is_named():
    x = mg.tensor(2.0, requires_grad=True)
    y = x * x
    y.op = replace(y.op, vjp=lambda g, o, x, y: (g,))
    with pytest.raises(mg.ShapeError, match="the vjp of mul gave 1 cotangents for 2 inputs"):
        y.backward()


@pytest.mark.parametrize("graph", [False, True])
def test_a_rule_of_the_table_may_call_the_functions_of_the_library(graph):
    x = mg.tensor([[0.5, 1.0]], requires_grad=True)
    y = mg.concatenate([mg.tanh(part * 2) for part in mg.split(x, 2)], axis=-1)
    with planted(TABLE["tanh"], lambda g, y, x: (g * (1 - mg.tanh(x) ** 2),)):
        (g,) = sweep([y], [mg.ones_like(y)], [x], graph=graph)
    assert_allclose(g.numpy(), 2 / np.cosh([[1.0, 2.0]]) ** 2, rtol=1e-12)


def test_reachable_lists_a_graph_oldest_first():
    x = mg.tensor(2.0, requires_grad=True)
    with recording("all"):
        h = x * 2
        y = h + x
    ids = [t.id for t in reachable([y])]
    assert ids == sorted(ids)
    assert {x.id, h.id, y.id} <= set(ids)
    assert reachable([y], since=h.id)[-1] is y
