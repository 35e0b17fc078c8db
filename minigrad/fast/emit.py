"""Value rules written down: a number domain whose operators give instructions with a place for the result.

Each node's own value rule runs on `Handle`s, so the emitted code is the table's formulas and nothing else.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from keyword import iskeyword
from typing import Any

import numpy as np

from ..domains.floats import FLOATS
from ..engine.core import TABLE, Primitive
from ..engine.program import Program
from .cut import CannotCompile
from .views import View

ALL = slice(None)


@dataclass(eq=False)
class Handle:
    """A value of one step: its shape and dtype; a view knows what it is a view of."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    e: Emitter
    base: Handle | None = None
    view: View | None = None
    made: Instruction | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def root(self) -> Handle:
        """What holds its entries."""
        return self if self.base is None else self.base.root

    @property
    def views(self) -> tuple[View, ...]:
        """How to get it from its root."""
        return () if self.base is None or self.view is None else (*self.base.views, self.view)


@dataclass(eq=False)
class Instruction:
    """One line: `text` with {o} for its result and {0}, {1} for its inputs; op: its name for a compiled loop."""

    op: str
    text: str
    out: Handle
    args: tuple[Any, ...]
    fresh: bool = False  # makes its own array
    aligned: bool = False  # elementwise: may write over an input
    part: tuple | None = None  # a copy into the result at this key
    onto: tuple | None = None  # added to the result at this key
    axes: tuple[int, ...] = ()  # along which it reduces
    whole: bool = False  # its result must be contiguous
    note: Any = None


class Emitter:
    """The number domain of handles: what the value rules call while they are written down."""

    name, rank = "emit", 9
    array_type = Handle

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.space: dict[str, Any] = {"np": np}
        self.count = 0
        self.note: Any = None

    # ---- writing ----
    def new(
        self, shape: tuple[int, ...], dtype: Any, base: Handle | None = None, view: View | None = None
    ) -> Handle:
        """A fresh variable."""
        self.count += 1
        return Handle(f"t{self.count}", tuple(shape), np.dtype(dtype), self, base, view)

    def put(self, op: str, text: str, args: tuple[Any, ...], shape: tuple, dtype: Any, **how: Any) -> Handle:
        """Write one instruction and return its result."""
        out = self.new(shape, dtype)
        out.made = Instruction(op, text, out, args, note=self.note, **how)
        self.code.append(out.made)
        return out

    def seen(self, x: Handle, shape: tuple, how: str, what: tuple) -> Handle:
        """A view of x."""
        return self.new(shape, x.dtype, x, View(how, what))

    def ufunc(self, name: str, *args: Any, dtype: Any = None) -> Handle:
        """An elementwise call that writes into its result."""
        hs = [a for a in args if isinstance(a, Handle)]
        shape = np.broadcast_shapes(*(h.shape for h in hs))
        of = dtype or np.result_type(*(h.dtype for h in hs), *(a for a in args if isinstance(a, float)))
        inputs = tuple(
            a if isinstance(a, Handle) else self.number(a, np.result_type(*(h.dtype for h in hs), a))
            for a in args
        )
        places = ", ".join(f"{{{i}}}" for i in range(len(args)))
        self.space[name] = exp if name == "exp" else getattr(np, name)
        word = "out={o}" if name == "maximum" else "{o}"
        return self.put(name, f"{name}({places}, {word})", inputs, shape, of, aligned=True)

    def number(self, c: Any, dtype: Any) -> Any:
        """A constant by name: numpy takes an array without axes in half the time of a Python number."""
        value = np.asarray(c, dtype)
        word = str(c).replace(".0", "").replace("-", "minus_").replace(".", "_").replace("+", "")
        name = {"1": "one", "0_5": "half", "0": "zero"}.get(word, f"c_{word}")
        if name in self.space and self.space[name].dtype != value.dtype:
            name += f"_{value.dtype}"
        self.space[name] = value
        return _Name(name)

    def call(self, row: str, args: tuple[Any, ...], shape: tuple, dtype: Any, params: dict) -> Handle:
        """A call of a row that makes its own array."""
        name = f"{row}{sum(k.startswith(row) for k in self.space) or ''}"
        self.space[name] = Rule(TABLE[row], params)
        places = ", ".join(f"{{{i}}}" for i in range(len(args)))
        return self.put(row, f"{{o}} = {name}({places})", args, shape, dtype, fresh=True)

    # ---- elementwise ----
    def __getattr__(self, name: str) -> Any:
        if name in ("tanh", "exp", "log", "sqrt", "sin", "cos", "sign", "maximum"):
            return lambda *xs: self.ufunc(name, *xs)
        if name in ("greater", "greater_equal", "equal"):
            return lambda *xs: self.ufunc(name, *xs, dtype=np.bool_)
        raise CannotCompile(f"{name} has no rule inside a loop")

    def abs(self, x: Handle) -> Handle:
        return self.ufunc("absolute", x)

    def softplus(self, x: Handle) -> Handle:
        return self.ufunc("logaddexp", x, 0)

    def power(self, x: Handle, y: Any) -> Handle:
        return (
            self.ufunc("multiply", x, x)
            if isinstance(y, (int, float)) and y == 2
            else self.ufunc("power", x, y)
        )

    def where(self, c: Any, x: Any, y: Any) -> Handle:
        hs = [h for h in (c, x, y) if isinstance(h, Handle)]
        shape = np.broadcast_shapes(*(h.shape for h in hs))
        dtype = np.result_type(*(h.dtype if isinstance(h, Handle) else h for h in (x, y)))
        text = "np.copyto({o}, {2}); np.copyto({o}, {1}, where={0})"
        return self.put("where", text, (c, x, y), shape, dtype)

    def cast(self, x: Handle, dtype: str) -> Handle:
        return self.put("copy", "{o}[...] = {0}", (x,), x.shape, dtype)

    # ---- products and reductions ----
    def matmul(self, a: Handle, b: Handle) -> Handle:
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        name = "dot" if a.ndim == b.ndim == 2 else "matmul"
        self.space[name] = getattr(np, name)
        dtype = np.result_type(a.dtype, b.dtype)
        return self.put(name, f"{name}({{0}}, {{1}}, {{o}})", (a, b), shape, dtype, whole=True)

    def sum(self, x: Handle, axis: tuple[int, ...], keepdims: bool = False) -> Handle:
        return self._reduce("add", x, axis, keepdims)

    def max(self, x: Handle, axis: tuple[int, ...], keepdims: bool) -> Handle:
        return self._reduce("maximum", x, axis, keepdims)

    def _reduce(self, name: str, x: Handle, axis: tuple[int, ...], keepdims: bool) -> Handle:
        self.space[name] = getattr(np, name)
        text = f"{name}.reduce({{0}}, {tuple(axis)}, None, {{o}}, {keepdims})"
        axes = tuple(a + x.ndim for a in axis)
        return self.put(f"{name}.reduce", text, (x,), _reduced(x.shape, axis, keepdims), x.dtype, axes=axes)

    def logsumexp(self, x: Handle, axis: tuple[int, ...], keepdims: bool) -> Handle:
        shape = _reduced(x.shape, axis, keepdims)
        return self.call("logsumexp", (x,), shape, x.dtype, {"axis": axis, "keepdims": keepdims})

    def is_max(self, x: Handle, axis: tuple[int, ...]) -> Handle:
        return self.call("is_max", (x,), x.shape, x.dtype, {"axis": axis})

    def one_hot(self, i: Handle, n: int, dtype: str) -> Handle:
        return self.call("one_hot", (i,), (*i.shape, n), dtype, {"n": n, "dtype": dtype})

    def gather(self, x: Handle, indices: Any, ndim: int, at: int) -> Handle:
        shape = FLOATS.gather(
            np.empty(x.shape, bool), tuple(np.zeros(i.shape, int) for i in indices), ndim, at
        ).shape
        return self.call("gather", (x, *indices), shape, x.dtype, {"ndim": ndim, "at": at})

    def scatter(self, x: Handle, indices: Any, shape: tuple, at: int) -> Handle:
        zeros = tuple(np.zeros(i.shape, int) for i in indices)
        full = FLOATS.scatter(np.zeros(x.shape, bool), zeros, shape, at).shape
        return self.call("scatter", (x, *indices), full, x.dtype, {"shape": shape, "at": at})

    # ---- layout: views, and copies where a view will not do ----
    def reshape(self, x: Handle, shape: tuple, ndim: int) -> Handle:
        full = (*x.shape[: x.ndim - ndim], *shape)
        return x if full == x.shape else self.seen(x, full, "reshape", full)

    def transpose(self, x: Handle, axes: tuple) -> Handle:
        order = (*range(x.ndim - len(axes)), *(a + x.ndim for a in axes))
        return self.seen(x, tuple(x.shape[a] for a in order), "transpose", order)

    def broadcast(self, x: Handle, shape: tuple, ndim: int) -> Handle:
        full = (*x.shape[: x.ndim - ndim], *shape)
        lead = x.shape[: x.ndim - ndim]
        if lead and len(shape) > ndim:
            x = self.reshape(x, (*lead, *(1,) * (len(shape) - ndim), *x.shape[len(lead) :]), x.ndim)
        return self.seen(x, full, "broadcast", full)

    def index(self, x: Handle, key: tuple) -> Handle:
        full = (ALL,) * (x.ndim - len(key)) + key
        return self.seen(x, np.empty(x.shape, bool)[full].shape, "index", full)

    def place(self, x: Handle, key: tuple, shape: tuple, onto: Handle | None = None) -> Handle:
        if onto is None:
            lead = x.shape[: x.ndim - sum(not isinstance(k, int) for k in key)]
            onto = self.zeros(lead + shape, x)
        full = (ALL,) * (onto.ndim - len(key)) + key
        text = View("index", full).text("{o}")
        self.code.append(Instruction("add", f"{text} += {{0}}", onto, (x,), note=self.note, onto=full))
        return onto

    def concat(self, xs: Any, axis: int) -> Handle:
        sizes = [x.shape[axis] for x in xs]
        shape = list(xs[0].shape)
        shape[axis] = sum(sizes)
        ends = np.cumsum([0, *sizes]).tolist()
        rest = (ALL,) * (-axis - 1)
        return self._fill(xs, shape, [(slice(a, b), *rest) for a, b in pairwise(ends)])

    def stack(self, xs: Any, axis: int) -> Handle:
        shape = list(xs[0].shape)
        shape.insert(len(shape) + 1 + axis, len(xs))
        rest = (ALL,) * (-axis - 1)
        return self._fill(xs, shape, [(i, *rest) for i in range(len(xs))])

    def _fill(self, xs: Any, shape: list[int], keys: list[tuple]) -> Handle:
        """A new array with the parts at their keys, which cover it."""
        out = self.put("", "", (), tuple(shape), np.result_type(*(x.dtype for x in xs)))
        for x, key in zip(xs, keys, strict=True):
            full = (ALL,) * (out.ndim - len(key)) + key
            self.code.append(Instruction("copy", "{o}[...] = {0}", out, (x,), part=full, note=self.note))
        return out

    # ---- what the engine asks of a domain ----
    def asarray(self, x: Any) -> Any:
        return x

    def lift(self, x: Any) -> Any:
        return x

    def zeros(self, shape: Any, like: Any) -> Handle:
        return self.put("zero", "{o}.fill(0)", (), tuple(shape), like.dtype)


@dataclass(frozen=True)
class Rule:
    """A row of the table that emitted code calls, with its parameters."""

    op: Primitive
    params: dict[str, Any]

    def __call__(self, *xs: Any) -> Any:
        return FLOATS.asarray(self.op.value(FLOATS, *xs, **self.params))


def exp(x: Any, out: Any) -> None:
    """As the table's exp: what is too large is inf, without a warning."""
    with np.errstate(over="ignore"):
        np.exp(x, out)


class _Name(str):
    """A name that is written as it is."""

    __slots__ = ()
    __repr__ = str.__str__


def variables(program: Program) -> list[str]:
    """A variable for each slot, called as the cell calls it; none is a word that emitted code uses itself."""
    taken, out = {*_OURS, *dir(np), *dir(builtins)}, list[str]()
    for name in program.slot_names():
        text = "".join(ch if ch.isalnum() or ch == "_" else "_" for ch in name)
        text = text if text.isidentifier() and not iskeyword(text) and text[0] != "_" else f"v{text}"
        while text in taken or _OUR_KIND.fullmatch(text):
            text += "_"
        taken.add(text)
        out.append(text)
    return out


_OURS = set("T t np dtypes env loop before after product column total largest one half zero".split())
_OUR_KIND = re.compile(r"(c_\w*|(row|is_max|one_hot|gather|scatter|logsumexp)\d*)(?<!_)")


def _reduced(shape: tuple, axis: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    gone = {a + len(shape) for a in axis}
    return tuple(1 if i in gone else n for i, n in enumerate(shape) if keepdims or i not in gone)


def _operator(name: str, flip: bool = False) -> Callable[[Handle, Any], Handle]:
    def op(self: Handle, other: Any) -> Handle:
        if name == "divide" and isinstance(other, (int, float)) and not flip and np.frexp(other)[0] == 0.5:
            return self.e.ufunc("multiply", self, 1 / other)  # by a power of two: exact
        return self.e.ufunc(name, *((other, self) if flip else (self, other)))

    return op


for _symbol, _name in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide"}.items():
    setattr(Handle, f"__{_symbol}__", _operator(_name))
    setattr(Handle, f"__r{_symbol}__", _operator(_name, flip=True))
setattr(Handle, "__neg__", lambda self: self.e.ufunc("negative", self))  # noqa: B010
