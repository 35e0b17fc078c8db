"""A step is recorded once, as long as what it reads is the same: what is noticed, and what is not recorded again."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import scan as scans
from minigrad.engine.memo import world

GLOBAL: Any = 2.0
XS = mg.tensor([1.0, 2.0, 3.0])


@pytest.fixture
def recordings(monkeypatch):
    """A list that grows by one for each recording of a step."""
    seen: list[str] = []
    scans._recorded.clear()

    def record(fn: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(fn.__name__)
        return original(fn, *args, **kwargs)

    original = scans.record
    monkeypatch.setattr(scans, "record", record)
    return seen


def last(step: Any, params: Any = None) -> float:
    return mg.scan(step, 0.0, XS, params)[0].item()


# ---- what changes is noticed -------------------------------------------------------------------
def by_closure() -> Any:
    k = 2.0

    def change() -> None:
        nonlocal k
        k = 5.0

    return (lambda h, x, p: (h + x * k, None)), change


def by_global() -> Any:
    def change() -> None:
        global GLOBAL
        GLOBAL = 5.0

    globals()["GLOBAL"] = 2.0
    return (lambda h, x, p: (h + x * GLOBAL, None)), change


def by_global_of_an_inner_function() -> Any:
    step, change = by_global()
    return (lambda h, x, p: step(h, x, p)), change


def by_default() -> Any:
    def step(h: Any, x: Any, p: Any, k: Any = 2.0) -> Any:
        return h + x * k, None

    return step, lambda: setattr(step, "__defaults__", (5.0,))


def by_keyword_default() -> Any:
    def step(h: Any, x: Any, p: Any, *, k: Any = 2.0) -> Any:
        return h + x * k, None

    return step, lambda: step.__kwdefaults__.update(k=5.0)


def by_code() -> Any:
    def step(h: Any, x: Any, p: Any) -> Any:
        return h + x * 2, None

    def other(h: Any, x: Any, p: Any) -> Any:
        return h + x * 5, None

    return step, lambda: setattr(step, "__code__", other.__code__)


def by_attribute() -> Any:
    box = SimpleNamespace(k=2.0)
    return (lambda h, x, p: (h + x * box.k, None)), lambda: setattr(box, "k", 5.0)


def by_attribute_of_a_function() -> Any:
    def step(h: Any, x: Any, p: Any) -> Any:
        return h + x * step.k, None  # type: ignore[attr-defined]

    step.k = 2.0  # type: ignore[attr-defined]
    return step, lambda: setattr(step, "k", 5.0)


def by_method() -> Any:
    class Layer:
        k = 2.0

        def step(self, h: Any, x: Any, p: Any) -> Any:
            return h + x * self.k, None

    layer = Layer()
    return layer.step, lambda: setattr(layer, "k", 5.0)


def by_class() -> Any:
    class Settings:
        k = 2.0

    return (lambda h, x, p: (h + x * Settings.k, None)), lambda: setattr(Settings, "k", 5.0)


def by_array() -> Any:
    k = np.array(2.0)
    return (lambda h, x, p: (h + x * k, None)), lambda: k.fill(5.0)


def by_list() -> Any:
    k = [[2.0]]
    return (lambda h, x, p: (h + x * k[0][0], None)), lambda: k[0].__setitem__(0, 5.0)


def by_dict() -> Any:
    k = {"k": 2.0}
    return (lambda h, x, p: (h + x * k["k"], None)), lambda: k.update(k=5.0)


def by_order_of_a_dict() -> Any:
    k = {"a": 2.0, "b": 5.0}
    return (lambda h, x, p: (h + x * next(iter(k.values())), None)), lambda: k.__setitem__("a", k.pop("a"))


def by_tensor() -> Any:
    k = mg.tensor(2.0)

    def change() -> None:
        nonlocal k
        k = mg.tensor(5.0)

    return (lambda h, x, p: (h + x * k, None)), change


def by_number_of_a_tensor() -> Any:
    k = mg.tensor(2.0)

    def change() -> None:
        nonlocal k
        k = mg.tensor(5.0)

    return (lambda h, x, p: (h + x * float(k), None)), change


def by_raw_number_of_a_tensor() -> Any:
    step, change = by_tensor()
    k = lambda: step.__closure__[0].cell_contents  # noqa: E731
    return (lambda h, x, p: (h + x * k().value, None)), change


def by_branch_on_a_tensor() -> Any:
    k = mg.tensor(2.0)

    def change() -> None:
        nonlocal k
        k = mg.tensor(5.0)

    return (lambda h, x, p: (h + x * (2 if k.item() < 3 else 5), None)), change


def by_index() -> Any:
    table, k = mg.tensor([2.0, 5.0]), mg.tensor(0)

    def change() -> None:
        nonlocal k
        k = mg.tensor(1)

    return (lambda h, x, p: (h + x * table[k], None)), change


def by_import() -> Any:
    from tests import test_memo as here

    def step(h: Any, x: Any, p: Any) -> Any:
        from tests import test_memo

        return h + x * test_memo.GLOBAL, None

    here.GLOBAL = 2.0
    return step, lambda: setattr(here, "GLOBAL", 5.0)


def by_name() -> Any:
    globals()["GLOBAL"] = 2.0

    def change() -> None:
        globals()["GLOBAL"] = 5.0

    return (lambda h, x, p: (h + x * globals()["GLO" + "BAL"], None)), change


def by_chance() -> Any:
    numbers = iter([2.0, 5.0])
    return (lambda h, x, p: (h + x * next(numbers), None)), lambda: None


WAYS = {name[3:]: fn for name, fn in sorted(globals().items()) if name.startswith("by_")}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_of_what_a_step_reads_is_noticed(way):
    step, change = WAYS[way]()
    assert last(step) == 12
    change()
    assert last(step) == 30
    assert last(step) == 30 if way != "chance" else True


def test_what_is_one_tensor_at_first_may_be_two_later():
    def run(a: Any, b: Any) -> float:
        return last(lambda h, x, p: (h + x * a * b, None))

    two, five = mg.tensor(2.0), mg.tensor(5.0)
    assert [run(two, two), run(two, five), run(five, two), run(five, five)] == [24, 60, 60, 150]


def test_zero_has_a_sign():
    def run(k: float) -> float:
        return mg.scan(lambda h, x, p: (mg.abs(h) * k + x * k, None), 0.0, XS)[0].item()

    assert [np.signbit(run(0.0)), np.signbit(run(-0.0))] == [False, True]


def test_what_is_printed_is_printed_at_each_call(capsys):
    def step(h: Any, x: Any, p: Any) -> Any:
        print("here")
        return h + x, None

    for _ in range(3):
        last(step)
    assert capsys.readouterr().out == "here\n" * 3


def test_what_a_step_writes_is_written_at_each_call():
    shapes: list[Any] = []

    def step(h: Any, x: Any, p: Any) -> Any:
        shapes.append(x.shape)
        return h + x, None

    for _ in range(3):
        last(step)
        assert shapes == [()]
        shapes.clear()


# ---- what is the same is not recorded again ----------------------------------------------------
def tanh_step(w: Any, u: Any) -> Any:
    def step(h: Any, x: Any, p: Any) -> Any:
        h = mg.tanh(w * x + u["u"][0] * h)
        return h, h * w

    return step


def calling(step: Any) -> Any:
    return lambda h, x, p: step(h, x, p)


@mg.cell(h="n", x="n")
def adds(h, /, x):
    return h + x * 3.0


STEPS = {
    "cell": lambda: (lambda k: adds),
    "function": lambda: lambda k, step=lambda h, x, p: (h + x * 3.0, None): step,
    "lambda anew": lambda: lambda k: lambda h, x, p: (h + x * 3.0, None),
    "closure anew": lambda: lambda k: (lambda c: lambda h, x, p: (h + x * c, None))(3.0),
    "tensors anew": lambda: lambda k: tanh_step(mg.tensor(0.1 * k), {"u": [mg.tensor(0.2)]}),
    "function in a function": lambda: lambda k: calling(tanh_step(mg.tensor(0.1 * k), {"u": (XS[0],)})),
}  # fmt: skip


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_is_recorded_once(kind, recordings):
    make = STEPS[kind]()
    for k in range(4):
        mg.scan(make(k), mg.zeros(2), mg.ones(3, 2))
    assert len(recordings) == 1
    mg.scan(make(0), mg.zeros(5), mg.ones(3, 5))
    assert len(recordings) == 2  # other shapes


def test_segments_are_recorded_once(recordings):
    w = mg.tensor(0.3)
    for _ in range(3):
        mg.scan(lambda h, x, p: (mg.tanh(w * h + x), h), mg.zeros(2), mg.ones(6, 2), checkpoint=2)
    assert len(recordings) == 2  # a segment, and a step


# ---- gradients ---------------------------------------------------------------------------------
def unrolled(step: Any, h: Any, xs: Any) -> Any:
    ys = []
    for x in xs:
        h, y = step(h, x, None)
        ys.append(y)
    return h, mg.stack(ys)


def test_the_gradient_of_what_a_step_closes_over_is_never_lost_and_never_stale(recordings):
    def loss(run: Any) -> Any:
        def of(w: Any, u: Any) -> Any:
            h, ys = run(tanh_step(mg.exp(w), {"u": [u, w]}), mg.tensor(0.5), XS)
            return h + (ys * ys).sum()

        return mg.value_and_grad(of, (0, 1))

    by_scan, by_loop = loss(mg.scan), loss(unrolled)
    for w, u in itertools.product((0.1, -0.4), (0.2, 0.7)):
        got, want = by_scan(w, u), by_loop(w, u)
        np.testing.assert_allclose([got[0].item(), *map(float, got[1])], [want[0].item(), *map(float, want[1])], 1e-12)
    assert len(recordings) == 1


def test_whether_a_gradient_is_asked_for_is_seen_at_each_call():
    for asked in (False, True, False, True):
        w = mg.tensor(0.3, requires_grad=asked)
        h, _ = mg.scan(lambda h, x, p: (mg.tanh(w * h + x), None), mg.tensor(0.5), XS)  # noqa: B023
        assert h.requires_grad == asked
        if asked:
            h.backward()
            first = w.grad if "first" not in locals() else first  # noqa: F821
            assert w.grad.item() == first.item() != 0


@pytest.mark.parametrize("order", [2, 3])
def test_higher_orders_through_a_closure(order):
    def along(run: Any) -> Any:
        def f(w: Any) -> Any:
            h, ys = run(lambda h, x, p: (mg.tanh(w * h + x), h * w), mg.tensor(0.5), XS)
            return h + ys.sum()

        for _ in range(order):
            f = mg.grad(f)
        return f

    for w in (0.3, -0.2):
        np.testing.assert_allclose(along(mg.scan)(w).item(), along(unrolled)(w).item(), rtol=1e-10)


def test_a_world_is_a_key_or_nothing():
    step = tanh_step(mg.tensor(0.1), {"u": [mg.tensor(0.2)]})
    found = world(step)
    assert found is not None
    assert hash(found[0]) == hash(world(tanh_step(mg.tensor(0.3), {"u": [mg.tensor(0.4)]}))[0])
    assert [t.item() for t in found[1]] == [0.2, 0.1]  # free variables are in the order of their names
    assert world(len) is not None
    assert world(SimpleNamespace(k=1)) is None
