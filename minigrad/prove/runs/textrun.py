"""Emitted text run on arrays of symbolic size: one step of a sequence of symbolic length, from any state.

Before and after the loop, and where it sums over time, the text works on whole stacks, whose first axis is time;
the body of the loop works on one step. An entry of a stack at time t is the stack's entry with the index of time
kept as one that no axis has (AT). Memory begins as opaque tensors, so that nothing can hang on what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...domains.blocks import Size, blocks_of
from ...domains.sizes import INDICES, NUMBERS, SIZES, Sized, Undecided, array
from ...engine.bptt import Layout
from ...engine.program import Program
from ...fast import Compiled
from ...fast.emit import Rule, exp
from ...fast.nests import largest, panels, total, where
from ...fast.views import View
from ..backward import numpyops as ops
from ..backward.numpylike import Symbolic
from .rows import entries_at, entries_put

AT = -99  # the index of time, where there is no axis of time; lower than the index of any axis
TIME = Size(("T",))


def at_time(x: Sized) -> Sized:
    """A stack's entries at time t."""
    entries = {k[1:]: e.rename({-x.ndim: AT}) for k, e in x.entries.items()}
    return Sized(x.axes[1:], entries, x.dtype)


def over_time(x: Sized, axis: Any) -> Sized:
    """The stack with these entries at time t."""
    entries = {(0, *k): e.rename({AT: -x.ndim - 1}) for k, e in x.entries.items()}
    return Sized((axis, *x.axes), entries, x.dtype)


def summed(x: Sized, axis: Any) -> Sized:
    """The sum over time of these entries at time t."""
    return SIZES.sum(over_time(x, axis), -1 - x.ndim)


def arguments(program: Program, layout: Layout, axis: Any, name: str = "in") -> list[Sized]:
    """Opaque arrays for the arguments of a scan; those of states and sequences have time as their first axis."""
    moving = layout.n_state + layout.n_seq
    return [
        array(
            f"{name}{i}", *[axis] * (i < moving), *map(blocks_of, x.shape),
            dtype=INDICES if np.dtype(x.dtype).kind in "iu" else NUMBERS,
        )
        for i, x in enumerate(program.inputs)
    ]  # fmt: skip


class Stack:
    """A stack as the loop's text sees it: views of it for all steps, and a pass over them, of one step here."""

    def __init__(self, step: Symbolic) -> None:
        self.step = step

    def __getitem__(self, key: Any) -> Stack:
        first, *rest = key
        assert first == slice(None)
        return Stack(self.step[tuple(rest)])

    def reshape(self, T: Any, *shape: Any) -> Stack:
        """As the array's, for each step."""
        return Stack(self.step.reshape(*shape))

    def transpose(self, first: int, *axes: int) -> Stack:
        """As the array's, for each step."""
        assert first == 0
        return Stack(self.step.transpose(*(a - 1 for a in axes)))

    def __iter__(self) -> Iterator[Symbolic]:
        yield self.step


class Memory(Symbolic):
    """An array to write into; one without axes too, which numpy's scalars are not."""

    __slots__ = ()

    def store(self, value: Sized) -> None:
        """Overwrite all entries."""
        if self.shape:
            super().store(value)
        else:
            self._own = value


# ---- what stands for the names of the text -------------------------------------------------------
def _value(x: Any) -> Sized:
    if isinstance(x, (Symbolic, Sized)):
        return x.value if isinstance(x, Symbolic) else x
    return SIZES.lift(x) if isinstance(x, np.ndarray) else SIZES.number(x)


def _put(out: Symbolic | None, y: Sized) -> Symbolic:
    if out is None:
        return Symbolic(y)
    if out.shape != y.shape:
        raise ValueError(f"a result of shape {y.shape} for memory of shape {out.shape}")
    out.store(y)
    return out


class Call:
    """A function of numpy with a place for its result; `reduce` as numpy's, if `along` is given."""

    def __init__(self, fn: Callable[..., Sized], n: int, along: Callable[..., Sized] | None = None) -> None:
        self.fn, self.n, self.along = fn, n, along

    def __call__(self, *xs: Any, out: Any = None) -> Symbolic:
        out = xs[self.n] if len(xs) > self.n else out
        return _put(out, self.fn(*map(_value, xs[: self.n])))

    def reduce(self, x: Any, axis: Any, dtype: Any, out: Any, keepdims: bool) -> Symbolic:
        """The reduction along axes."""
        assert self.along is not None
        return _put(out, self.along(_value(x), axis, keepdims))


def _power(x: Any, y: Any, out: Any = None) -> Symbolic:
    return _put(out, SIZES.power(_value(x), _value(y) if isinstance(y, Symbolic) else y.item()))


UFUNCS: dict[Any, Any] = {
    np.add: Call(lambda a, b: a + b, 2, SIZES.sum),
    np.subtract: Call(lambda a, b: a - b, 2),
    np.multiply: Call(lambda a, b: a * b, 2),
    np.divide: Call(lambda a, b: a / b, 2),
    np.negative: Call(lambda a: -a, 1),
    np.absolute: Call(SIZES.abs, 1),
    np.maximum: Call(SIZES.maximum, 2, SIZES.max),
    np.greater: Call(SIZES.greater, 2),
    np.greater_equal: Call(SIZES.greater_equal, 2),
    np.equal: Call(SIZES.equal, 2),
    np.logaddexp: Call(lambda a, b: SIZES.softplus(a - b) + b, 2),
    np.power: _power,
    np.matmul: Call(SIZES.matmul, 2),
    **{
        getattr(np, f): Call(getattr(SIZES, f), 1)
        for f in ("tanh", "exp", "log", "sqrt", "sin", "cos", "sign")
    },
}


STAND_INS: dict[Any, Any] = {
    np.dot: UFUNCS[np.matmul],
    exp: UFUNCS[np.exp],
    panels: lambda x: x,
    where: Call(SIZES.where, 3),
    total: Call(lambda x: SIZES.sum(x, (-1,), True), 1),
    largest: Call(lambda x: SIZES.max(x, (-1,), True), 1),
}


class Row:
    """A row of the table, called by its value rule. axis: of time, outside the loop."""

    def __init__(self, op: Any, params: dict[str, Any], axis: Any) -> None:
        self.op, self.params, self.axis = op, params, axis

    def __call__(self, *xs: Any) -> Symbolic:
        values = [*map(_value, xs)]
        if self.op.name == "is_max" and values[0].axes[0] == self.axis:  # an opaque tensor, one for each step
            return Symbolic(over_time(self.op.value(SIZES, at_time(values[0]), **self.params), self.axis))
        return Symbolic(self.op.value(SIZES, *values, **self.params))


class Numpy:
    """What the text uses of numpy by its name; some of it asks the arrays themselves."""

    dot, matmul, concatenate = staticmethod(np.dot), staticmethod(np.matmul), staticmethod(np.concatenate)

    def __init__(self) -> None:
        self.made = 0

    def empty(self, shape: Any, dtype: Any = None) -> Symbolic:
        """Memory: a tensor of its own. Raises TypeError for an array where the dtype should be."""
        if isinstance(dtype, Symbolic):
            raise TypeError("memory whose dtype is an array")
        self.made += 1
        return Memory(array(f"memory{self.made}", *map(blocks_of, shape)))

    def ones(self, shape: Any, dtype: Any = None) -> Symbolic:
        """As numpy's."""
        return Symbolic(ops.full(shape, 1))

    def broadcast_to(self, x: Any, shape: Any) -> Symbolic:
        """As numpy's."""
        return (x if isinstance(x, Symbolic) else Symbolic(_value(x))).broadcast_to(shape)

    def copyto(self, out: Symbolic, x: Any, where: Any = None) -> None:
        """As numpy's."""
        value = SIZES.broadcast(_value(x), out.shape, _value(x).ndim)
        out.store(value if where is None else SIZES.where(_value(where), value, out.value))


def run_text(
    compiled: Compiled, reading: Any, stacks: Sequence[Sized], edit: Callable[[str], str]
) -> list[Sized]:
    """What the text gives: new states and stacked outputs, at time t, and sums over time.

    stacks: the arguments of the scan; instead of the initial states, the states that enter every step.
    """
    numpy, layout, program = Numpy(), compiled.layout, compiled.program
    s = layout.n_state
    axis = stacks[0].axes[0]
    T = TIME if axis == ("T",) else 1

    def name(x: Any, which: str) -> Any:
        if isinstance(x, Rule):
            return Row(x.op, reading.of(x.params), None if which == "loop" else axis)
        if isinstance(x, np.ndarray):
            return Symbolic(_value(c)) if isinstance(c := reading.constant(x), Sized) else c
        if isinstance(x, np.ufunc):
            return UFUNCS[x]
        return STAND_INS.get(x, x) if callable(x) else x

    def one_step(steps: Any) -> range:
        """A loop over time that reads nothing of the step."""
        if steps != T:
            raise Undecided(f"a loop of {steps} steps")
        return range(1)

    def function(text: str, space: dict[str, Any], which: str) -> Callable[..., Any]:
        read, sizes = reading.text(edit(text))
        new = {k: name(v, which) for k, v in space.items() if not k.startswith("__")}
        new |= {"np": numpy, "empty": numpy.empty, "product": UFUNCS[np.matmul], "range": one_step} | sizes
        new |= {"_at": entries_at, "_put": entries_put}
        exec(compile(read, f"<{which}>", "exec"), new)
        return new[which]

    def outside(which: str) -> Sequence[Any]:
        part = getattr(compiled, which)
        return function(part.source, part.space, which)(env, T) or () if part.source else ()

    consts = [SIZES.lift(reading.constant(c)) for c in program.consts]
    env: dict[int, Any] = {k: Symbolic(v) for k, v in enumerate([*stacks, *consts])}
    outside("before")

    def step(k: int) -> Sized:
        """A slot at time t."""
        return at_time(env[k].value) if k in compiled.cut.stacked else env[k].value

    loop = compiled.loop
    enter = [Symbolic(at_time(x)) for x in stacks[:s]]
    leave = [numpy.empty(e.shape) for e in enter]
    mine = {k: numpy.empty(reading.of(shape)) for k, (shape, _) in loop.stacks.items()}
    moving = [*enter, *leave, *(Symbolic(step(k)) for k in loop.outside), *mine.values()]
    run = function(loop.source, loop.space, "loop")
    fixed = [env[k] for k in loop.fixed]
    if loop.buffers is None:
        run(T, *map(Stack, moving), *fixed)
    else:
        run(T, *moving, *fixed, *(numpy.empty(reading.of(shape)) for shape, _ in loop.buffers))
    whole: dict[Any, Symbolic] = {("in", i): e for i, e in enumerate(enter)}
    whole |= {("out", i): e for i, e in enumerate(leave)} | mine
    for k, (place, views) in loop.kept.items():
        found = whole[place]
        for v in views:
            found = View(v.how, reading.of(v.what)).of(found)
        env[k] = Symbolic(over_time(found.value, axis))
    outside("after")
    stacked = [step(k) for k in program.outputs[s : s + layout.n_stack]]
    return [*(e.value for e in leave), *stacked, *map(_value, outside("sums"))]
