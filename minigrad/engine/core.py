"""Tensors, primitives, and the table that lists every primitive.

A `Tensor` is an immutable node of a computation graph: its value is computed at once, and it
remembers the primitive and the inputs it came from. A `Primitive` is one row of `TABLE`: a value
rule, written against a number domain `m`, and a vector-Jacobian product, written with Tensors.
Nothing here knows a derivative or a kind of number; both are plugged in (`primitives`, `domains`).

Guarantee: a Tensor's value never changes after it was made. Not guaranteed: thread-safe `.grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ShapeError, TraceError
from .state import STATE as STATE
from .state import new_id as new_id
from .state import no_grad as no_grad
from .state import recording as recording

TABLE: dict[str, Primitive] = {}
DOMAINS: dict[Any, Any] = {}  # dtype kind ("f", "c", ...) or element/array class -> number domain

NO_PARAMS: dict[str, Any] = {}  # shared by the nodes that have none; parameters are never changed

_new = object.__new__


def register(key: Any, domain: Any) -> None:
    """Make `domain` speak for arrays of a dtype kind, an element class or an array class."""
    DOMAINS[key] = domain


def domain_of(value: Any) -> Any:
    """The number domain that speaks for a raw value. Raises TypeError if there is none."""
    if isinstance(value, tuple):
        return domain_of(value[0])
    keys: Sequence[Any] = type(value).__mro__
    if isinstance(value, np.ndarray):
        objects = value.dtype.kind == "O" and value.size
        keys = type(value.flat[0]).__mro__ if objects else value.dtype.kind
    for key in keys:
        if key in DOMAINS:
            return DOMAINS[key]
    raise TypeError(f"no number domain speaks for elements of type {type(value).__name__}")


@dataclass(frozen=True, eq=False)
class Primitive:
    """One row of the table.

    name: unique; kind: pointwise | contract | reduce | layout | loop; tex: a template over {0}, {1}.
    value(m, *arrays, **params): the forward formula over a number domain m.
    vjp(g, y, *xs, **params): one cotangent (or None) per input; g is the cotangent of the output y. In
    operators and rows alone: it runs on Tensors, and where no graph is kept on their arrays (sweep.py).
    A row without a vjp passes no gradient. Broadcasting is undone by the sweep.
    """

    name: str
    kind: str
    tex: str
    value: Callable[..., Any]
    vjp: Callable[..., Any] | None = None

    def __call__(self, *xs: Tensor, **params: Any) -> Tensor:
        if xs[0].__class__ is not Tensor:  # arrays, in a sweep that keeps no graph
            return self.value(DOMAINS["f"], *xs, **params)
        try:
            if len(xs) == 1:
                m = xs[0].m
                value = self.value(m, xs[0].value, **params)
            else:
                m, values = _in_one_domain(xs)
                value = self.value(m, *values, **params)
        except (ValueError, IndexError) as e:
            raise self._misfit(xs, e) from None
        return node(self, m, value, xs, params)

    def of_two(self, x: Tensor, y: Tensor) -> Tensor:
        """self(x, y), for the infix operators: a method without * and ** is called in 0.3 us less."""
        m = x.m
        if y.m is not m:
            return self(x, y)
        try:
            value = self.value(m, x.value, y.value)
        except (ValueError, IndexError) as e:
            raise self._misfit((x, y), e) from None
        return node(self, m, value, (x, y), NO_PARAMS)

    def _misfit(self, xs: tuple[Tensor, ...], e: Exception) -> Exception:
        """The error of a value rule, with the operation and the shapes it was given."""
        shapes = " and ".join(str(x.shape) for x in xs)
        new: Exception = ShapeError(f"{self.name}: shapes {shapes} do not fit: {e}")
        if isinstance(e, IndexError) and not isinstance(e, ValueError):  # numpy's AxisError is both
            new = IndexError(f"{self.name}: {e} (shapes {shapes})")
        elif len(xs) == 1:
            new = ShapeError(f"{self.name} of a tensor of shape {shapes}: {e}")
        for note in getattr(e, "__notes__", ()):  # of a scan's step: its line
            new.add_note(note)
        return new

    def __repr__(self) -> str:
        return self.name


def define(
    name: str, kind: str, tex: str, value: Callable[..., Any], vjp: Callable[..., Any] | None = None
) -> Primitive:
    """Add a row to the table and return it. Raises ValueError if the name is taken."""
    if name in TABLE:
        raise ValueError(f"primitive {name!r} is already in the table; choose another name")
    TABLE[name] = row = Primitive(name, kind, tex, value, vjp)
    return row


def _in_one_domain(xs: tuple[Tensor, ...]) -> tuple[Any, list[Any]]:
    """The most general number domain among xs, and their values in it."""
    m = xs[0].m
    for x in xs:
        if x.m is not m and x.m.rank > m.rank:
            m = x.m
    return m, [x.value if x.m is m else m.lift(x.value) for x in xs]


def node(
    op: Primitive | None, m: Any, value: Any, inputs: tuple[Tensor, ...], params: dict[str, Any]
) -> Tensor:
    """A new graph node; it keeps its inputs only where the recording mode asks for them."""
    t = _new(Tensor)
    t.value = value if value.__class__ is m.array_type else m.asarray(value)
    t.m = m
    t.grad = t.name = t.note = None
    t.requires_grad = False
    t.id = new_id()
    mode = STATE.mode
    if mode != "off":
        if op is None or op.vjp is not None:
            for x in inputs:
                if x.requires_grad:
                    t.requires_grad = True
                    break
        if t.requires_grad or mode == "all":
            t.op, t.inputs, t.params = op, inputs, params
            if STATE.watch is not None:
                STATE.watch.saw(t)
            return TABLE["stop_gradient"](t) if mode == "all" and t.requires_grad and STATE.frozen else t
    t.op, t.inputs, t.params = None, (), NO_PARAMS
    return t


def leaf(value: Any, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A node without inputs, for a raw value of any number domain (`tensor` is the checked door)."""
    t = _new(Tensor)
    t.m = m = domain_of(value)
    t.value = value if value.__class__ is m.array_type else m.asarray(value)
    t.op, t.inputs, t.params, t.grad, t.note = None, (), NO_PARAMS, None, None
    t.requires_grad, t.name, t.id = requires_grad, name, new_id()
    return t


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A leaf Tensor holding a copy of `data` (numbers, nested lists, an array, or a torch tensor).

    dtype: a float, int or bool dtype; by default numpy's choice.
    Raises TypeError for text, objects or complex numbers, for a list of Tensors, and for integers with
    requires_grad; ValueError for ragged lists.
    """
    if isinstance(data, Tensor):
        data = data.numpy()
    elif isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) for x in data):
        raise TypeError("tensor: a list of Tensors would lose their gradients; use stack or concatenate")
    if hasattr(data, "detach") and hasattr(data, "cpu"):  # a torch tensor that requires grad
        data = data.detach().cpu().numpy()
    try:
        value = np.array(data)
    except ValueError as e:
        if "inhomogeneous" not in str(e):
            raise TypeError(f"tensor: {e}; pass numbers or nested lists of numbers") from None
        raise ValueError("tensor: ragged data: rows differ in length; pad them to one length") from None
    wanted = value.dtype if dtype is None else np.dtype(dtype)
    for found in (value.dtype, wanted):
        if found.kind not in "fiub":
            raise TypeError(f"tensor: data of dtype {found} is not real numbers; pass floats, ints or bools")
    value = value.astype(wanted, copy=False)
    if requires_grad and value.dtype.kind != "f":
        raise TypeError(
            f"tensor: dtype {value.dtype} cannot require a gradient; pass floats, or dtype='float64'"
        )
    return leaf(value, requires_grad, name)


def as_tensor(x: Any, like: Tensor | None = None) -> Tensor:
    """`x` itself if it is a Tensor, else a constant leaf; a Python number takes the dtype of `like`."""
    if isinstance(x, Tensor):
        return x
    if like is not None and isinstance(x, (int, float, Real)):
        return node(None, like.m, like.m.scalar(x, like.value), (), NO_PARAMS)
    if isinstance(x, np.ndarray) and x.dtype.kind in "cO":  # values of another number domain
        return leaf(x)
    return tensor(x)


def _binary(name: str) -> tuple[Callable[[Tensor, Any], Tensor], Callable[[Tensor, Any], Tensor]]:
    def forward(a: Tensor, b: Any) -> Tensor:
        return TABLE[name].of_two(a, b if b.__class__ is Tensor else as_tensor(b, a))

    def backward(a: Tensor, b: Any) -> Tensor:
        return TABLE[name].of_two(as_tensor(b, a), a)

    return forward, backward


class Tensor:
    """A node of a computation graph over arrays; made by `tensor` and by operations, never changed.

    `.value` is the raw array, `.grad` is filled by `backward()` on leaves that require a gradient.
    `.name` is the variable it was bound to while a program was recorded, `.note` its time step and
    source line.
    """

    __slots__ = (
        "__weakref__", "grad", "id", "inputs", "m", "name", "note", "op", "params", "requires_grad", "value",
    )  # fmt: skip
    __array_priority__ = 1000  # so that ndarray + Tensor is ours
    __array_ufunc__ = None

    value: Any
    m: Any
    op: Primitive | None
    inputs: tuple[Tensor, ...]
    params: dict[str, Any]
    grad: Tensor | None
    requires_grad: bool
    name: str | None
    note: Any
    id: int

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("a Tensor is made by minigrad.tensor(data), or by an operation")

    shape = property(lambda self: self.value.shape, doc="Sizes of the axes.")
    ndim = property(lambda self: self.value.ndim, doc="Number of axes.")
    dtype = property(lambda self: self.value.dtype, doc="dtype of the value.")

    def size(self, axis: int | None = None) -> Any:
        """The shape (as in torch), or the size of one axis."""
        return self.shape if axis is None else self.shape[axis]

    def numpy(self) -> np.ndarray:
        """The value as a read-only view."""
        view = self._read("its value as an array").view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The single number in a tensor of one element. Raises ValueError if there are more, or none."""
        if self.value.size != 1:
            raise ValueError(f"item: a tensor of shape {self.shape} does not hold exactly one number")
        return self._read("its value as a number").item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self._read("its value as a list").tolist()

    def _read(self, what: str) -> Any:
        """The value, for use outside the graph. Raises TraceError while it is being recorded."""
        if self.id > STATE.since:
            raise TraceError(
                f"{what} cannot be recorded: the program would keep this run's data. For a branch use "
                "where(condition, a, b); to look at a value, call the function on numbers and print there, as "
                "prove takes no cell that prints"
            )
        STATE.looked += 1
        return self.value

    def detach(self) -> Tensor:
        """The same value, through which no gradient flows."""
        return TABLE["stop_gradient"](self)

    def backward(self, gradient: Any = None) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf that requires a gradient.

        gradient: cotangent of the same shape; may be left out for a scalar.
        """
        from .grad import backward

        backward(self, gradient)

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("sub")
    __mul__, __rmul__ = _binary("mul")
    __truediv__, __rtruediv__ = _binary("div")
    __gt__, __lt__ = _binary("greater")
    __ge__, __le__ = _binary("greater_equal")
    __eq__ = _binary("equal")[0]  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return (self == other) == False  # noqa: E712  elementwise

    def __neg__(self) -> Tensor:
        return TABLE["neg"](self)

    def __bool__(self) -> bool:
        if self.value.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use .numpy().any() or .all()"
            )
        return bool(self._read("a branch on a tensor's value"))

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self._read("its value as an index").__index__()

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a tensor is never changed in place; build a new one, with where or concatenate")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        body = np.array2string(self.value, separator=", ", prefix="tensor(")
        extra = [f"dtype={self.dtype}"] if self.dtype not in (np.float64, np.int64) else []
        extra += [f"op={self.op.name}"] if self.op else ["requires_grad=True"] if self.requires_grad else []
        extra += [f"name={self.name!r}"] if self.name else []
        return f"tensor({', '.join([body, *extra])})"

    if TYPE_CHECKING:  # attached by functions.py, one definition each
        T: Tensor
        mT: Tensor

        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...
