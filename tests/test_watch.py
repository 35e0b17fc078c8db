"""What nodes are called, and which line they are of: as a tracer that looks at every line finds it."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import minigrad as mg
from minigrad.cells import CELLS, VARIANTS
from minigrad.engine.core import STATE, Tensor, recording
from minigrad.engine.watch import Note, Watch, is_machinery


class Listed(Watch):
    """A watch that keeps the nodes it saw. (Their argument's name is private: it names nothing.)"""

    def saw(self, _t: Tensor, above: int = 3) -> None:
        self.__dict__.setdefault("nodes", []).append(_t)
        super().saw(_t, above + 1)


class Tracer:
    """The same by sys.settrace: variables are read at every line of every frame, and when it ends."""

    def __enter__(self) -> Tracer:
        self.named: dict[int, int] = {}
        self.nodes: list[Tensor] = []
        STATE.watch, self.before = self, sys.gettrace()
        sys.settrace(self.called)
        return self

    def __exit__(self, *_: Any) -> None:
        sys.settrace(self.before)
        STATE.watch = None

    def saw(self, _t: Tensor, above: int = 3) -> None:
        frame = sys._getframe(above)
        while is_machinery(frame.f_code):
            frame = frame.f_back
        _t.note = Note(self.step, frame.f_code.co_filename, frame.f_lineno)
        self.nodes.append(_t)

    step = None

    def called(self, frame: Any, event: str, arg: Any) -> Any:
        if is_machinery(frame.f_code):
            return None
        depth, caller = 0, frame.f_back
        while caller is not None:
            depth, caller = depth + 1, caller.f_back

        def local(frame: Any, event: str, arg: Any) -> Any:
            for name, value in frame.f_locals.items() if event in ("line", "return") else ():
                if isinstance(value, Tensor) and not name.startswith("_"):
                    known = self.named.get(value.id)
                    if (known is None and value.name is None) or (known is not None and depth < known):
                        value.name, self.named[value.id] = name, depth
            return local

        return local


def seen(context: Any, fn: Callable[..., Any], args: Any) -> list[tuple[Any, ...]]:
    """(operation, name, note) of every node that fn makes, oldest first."""
    with recording("all"), context as watch:
        fn(*args)
    return [(t.op, t.name, t.note) for t in watch.nodes]


def straight(x, W):
    a = mg.tanh(x @ W)
    b, c = mg.split(a, 2)
    return b * c


def bound_again(x, W):
    x = x @ W
    x = mg.tanh(x)
    first, x = x, x * 2
    x = x + first
    y = x * x
    x = x + y
    del y
    return x


def in_a_loop(x, W):
    total = x * 0
    for k in range(3):
        part = x * k
        if k:
            total = total + part
    while total.ndim > 1:
        total = total.sum(axis=-1)
    return total


def with_helpers(x, W):
    def gate(z, U):
        inner = z @ U
        _hidden = inner + 1
        return mg.sigmoid(_hidden)

    def through(v):
        return v

    f = gate(x, W)
    g = through(gate(f, W))
    return gate(f * g, W)


def comprehended(x, W):
    rows = [row * 2 for row in x]
    last = rows[-1]
    pairs = {k: (both := r + last) for k, r in enumerate(rows)}
    return both, pairs


def generated(x, W):
    def steps():
        h = x[0]
        for row in x:
            h = mg.tanh(row + h)
            yield h

    for s in steps():
        out = s * s
    return out


def over_lines(x, W):
    y = (
        x
        @ W
        + mg.tanh(
            x
        )
    )  # fmt: skip
    return y


def recursive(x, W, n=3):
    y = x * n
    if n:
        y = recursive(y, W, n - 1)
    z = y + x
    return z


def caught(x, W):
    try:
        y = x @ W
        y = y @ mg.zeros(7, 7)
    except mg.ShapeError as error:
        y = x - 1
        del error
    return y


FUNCTIONS = (straight, bound_again, in_a_loop, with_helpers, comprehended, generated, over_lines, recursive, caught)


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda f: f.__name__)
def test_names_and_lines_are_those_a_tracer_of_every_line_finds(fn):
    def args():
        return mg.randn(4, 4, seed=1), mg.randn(4, 4, seed=2)

    found = seen(Listed(), fn, args())
    assert found == seen(Tracer(), fn, args())
    assert any(name is not None for _, name, _ in found)


@pytest.mark.parametrize("cell", (CELLS | VARIANTS).values(), ids=list(CELLS | VARIANTS))
def test_names_and_lines_of_a_cell_are_those_a_tracer_finds(cell):
    def args():
        params = {k: mg.tensor(v.value) for k, v in cell.init(0, n=4, d=3).items()}
        states = [mg.tensor(s.value) for s in cell.zero_state(2, n=4)]
        return [states, [mg.randn(2, *cell.shape(x, {"n": 4, "d": 3}), seed=1) for x in cell.inputs], params]

    assert seen(Listed(), cell.advance, args()) == seen(Tracer(), cell.advance, args())


def test_variables_of_one_line_are_all_seen():
    def fn(x, W):
        y = x * x; y = x + y; z = y @ W  # noqa: E702
        return z

    assert [name for _, name, _ in seen(Listed(), fn, (mg.ones(2, 2), mg.ones(2, 2)))] == ["y", "y", "z"]


def test_an_inner_watch_changes_the_step_and_names_at_its_end():
    def step(x):
        inner = x * 2
        return inner

    with recording("all"), Watch(1):
        with Watch(2):
            y = step(mg.ones(2))
            assert y.name is None
        assert (y.name, y.note.step) == ("inner", 2)
        assert (y + y).note.step == 1


def test_a_loop_in_a_watch_has_steps_where_only_gradients_are_recorded():
    h, W = mg.zeros(2), mg.ones(2, 2, requires_grad=True)
    with Watch():
        for x in mg.ones(3, 2):
            h = mg.tanh(x @ W + h)
    assert [t.note.step for t in (h, h.inputs[0].inputs[1])] == [3, 2]


def test_a_watch_leaves_tracers_alone_and_keeps_nothing_alive():
    def tracer(*_):
        return None

    def fn():
        x = mg.ones(2) * 3
        made.append(weakref.ref(x))
        return None

    made, before = [], sys.gettrace()
    gc.collect()
    gc.disable()
    sys.settrace(tracer)
    try:
        with recording("all"), Watch():
            fn()
        assert sys.gettrace() is tracer
        assert made[0]() is None
    finally:
        sys.settrace(before)
        gc.enable()
