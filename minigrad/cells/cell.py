"""`cell`: a recurrent cell from its equations, with shapes by name.

Roles are carried by Python's own syntax: positional-only arguments are the state, plain ones the
inputs, keyword-only ones the parameters. The decorator names the shape of each:

    @cell(h="n", x="d", W="d n", U="n n", b="n")
    def rnn(h, /, x, *, W, U, b):
        return tanh(x @ W + h @ U + b)

Arrays are batch-first rows; a state or input may have any leading axes, a parameter has none. A cell
returns its new state(s), in order, and after them, if it has a read-out, its output.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.core import Tensor, as_tensor, tensor
from ..engine.errors import ShapeError, TraceError
from ..engine.watch import EQUATIONS
from .shapes import Axes, Size, evaluate, parse_sizes, read_sizes, shape_text

_P = inspect.Parameter
_ROLES = (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD, _P.KEYWORD_ONLY)


@dataclass(frozen=True, repr=False, eq=False)
class Cell:
    """A step F(state, input; parameters), with the role and the shape of each argument by name."""

    fn: Callable[..., Any]
    name: str
    states: tuple[str, ...]
    inputs: tuple[str, ...]
    params: tuple[str, ...]
    sizes: dict[str, Axes]
    doc: str = ""
    readout: Cell | None = None

    def __call__(self, *args: Any, **params: Any) -> Any:
        """The new state(s) (and the output, if there is a read-out). Raises as `dims`."""
        k = len(self.states)
        self.dims(args[:k], args[k:], params)
        return self._run(args, params)

    def _run(self, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """What the cell's own code returns. Raises TypeError with its line where it calls a ufunc of numpy."""
        try:
            return self.fn(*args, **params)
        except TypeError as e:
            if "does not support ufuncs" in str(e):
                at = traceback.extract_tb(e.__traceback__)[-1]  # a ufunc has no frame of its own
                e.args = (
                    f"{e}; call minigrad's function of that name (in {at.filename}:{at.lineno}: {at.line})",
                )
            raise

    def __repr__(self) -> str:
        return f"<cell {self.name}{self.signature}>"

    @property
    def signature(self) -> str:
        """The arguments as they are written: (h, c, /, x, *, W, U, b)."""
        words = [*self.states, *(["/"] if self.states else []), *self.inputs]
        return f"({', '.join([*words, *(['*', *self.params] if self.params else [])])})"

    def shape_text(self, name: str) -> str:
        """The shape of an argument as it is declared: (d, n)."""
        return shape_text(self.sizes[name])

    # ---- shapes --------------------------------------------------------------------------------
    def dims(self, states: Sequence[Any], inputs: Sequence[Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The sizes {"n": 4, "d": 2} of these arguments.

        Raises TypeError if arguments are missing or too many, ShapeError naming those that disagree.
        """
        wrong = [
            f"{len(given)} {what} given" for what, given, names in
            (("state(s)", states, self.states), ("input(s)", inputs, self.inputs)) if len(given) != len(names)
        ]  # fmt: skip
        wrong += [f"missing parameter {p}" for p in self.params if p not in params]
        wrong += [f"unknown parameter {p}" for p in params if p not in self.params]
        if wrong:
            raise TypeError(f"{self.name}: {', '.join(wrong)}; it takes {self.signature}")
        named = dict(zip(self.states + self.inputs, (*states, *inputs), strict=True))
        shapes = {k: as_tensor(v).shape for k, v in ({p: params[p] for p in self.params} | named).items()}
        for name, shape in shapes.items():
            extra = len(shape) - len(self.sizes[name])
            if extra < 0 or (extra and name in self.params):
                expected = self.shape_text(name)
                raise ShapeError(f"{self.name}: argument {name}: shape {shape}, expected {expected}")
        try:
            sizes = read_sizes(self.sizes, shapes)
        except ShapeError as e:
            raise ShapeError(f"{self.name}: {e}") from None
        self._check_batch({k: shapes[k][: len(shapes[k]) - len(self.sizes[k])] for k in named})
        return sizes

    def _check_batch(self, lead: dict[str, tuple]) -> None:
        """The leading axes of each input must be those of the states, or broadcast to them."""
        for name, axes in lead.items():
            first = lead[self.states[0]] if self.states else axes
            try:
                fits = np.broadcast_shapes(first, axes) == first
            except ValueError:
                fits = False
            if not fits:
                raise ShapeError(
                    f"{self.name}: argument {name} has the leading axes {axes}, state {self.states[0]} has "
                    f"{first}; the batch must be the same"
                )

    def shape(self, name: str, sizes: Mapping[str, Any]) -> tuple:
        """The shape of one argument under given sizes. Raises ShapeError if one is not given."""
        try:
            return tuple(evaluate(s, sizes) for s in self.sizes[name])
        except KeyError as e:
            size = e.args[0]
            raise ShapeError(
                f"{self.name}: {name} has the shape {self.shape_text(name)}; pass its size as {size}=..."
            ) from None

    def _checked(self, sizes: Mapping[str, int]) -> Mapping[str, int]:
        known = {n for axes in self.sizes.values() for size in axes for n in size if n}
        for name, n in sizes.items():
            if name not in known:
                raise ShapeError(f"{self.name}: no argument has a size {name}; its sizes are {sorted(known)}")
            if n < 1:
                raise ShapeError(f"{self.name}: size {name}={n}; pass at least 1")
        return sizes

    def init(self, seed: Any = None, dtype: Any = "float64", **sizes: int) -> dict[str, Tensor]:
        """Parameters drawn from U(-1/sqrt n, 1/sqrt n), as torch does; n is the first state's size.

        seed: a number or a numpy Generator; sizes: n=4, d=2, ... by the names of the declared shapes.
        """
        self._checked(sizes)
        rng = np.random.default_rng(seed)
        axes = self.shape((self.states or self.inputs)[0], sizes)
        k = 1 / np.sqrt(axes[-1] if axes else 1)
        return {
            p: tensor(rng.uniform(-k, k, self.shape(p, sizes)), dtype, requires_grad=True, name=p)
            for p in self.params
        }

    def zero_state(self, *lead: int, dtype: Any = "float64", **sizes: int) -> tuple[Tensor, ...]:
        """A state of zeros with the given leading axes, usually (batch,)."""
        self._checked(sizes)
        return tuple(tensor(np.zeros(lead + self.shape(s, sizes)), dtype, name=s) for s in self.states)

    # ---- running -------------------------------------------------------------------------------
    def step(self, state: Any, x: Any, params: Mapping[str, Any] | None) -> tuple[Any, Any]:
        """(new state, output) in the form scan wants; without a read-out the output is the first state.

        state: a tensor, or a tuple with one per state; x: the same for the inputs. Raises as `dims`.
        """
        states, xs, params = as_tuple(state), as_tuple(x), params or {}
        self.dims(states, xs, params)
        new, y = self.advance(states, xs, params)
        return (type(state)(new) if isinstance(state, (tuple, list)) else new[0]), y

    def advance(
        self, states: Sequence[Any], inputs: Sequence[Any], params: Mapping[str, Any], where: str = ""
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """(new states, output) of one step, of arguments that `dims` has seen.

        Raises ShapeError if the cell's own code does not fit together, or does not keep its states.
        """
        try:
            new, y = self.outputs(self._run((*states, *inputs), params))
        except ShapeError as e:
            e.args = (f"{self.name}{where}: {str(e).removeprefix(self.name + ': ')}",)
            raise  # the traceback ends in the cell's own line
        for name, a, b in zip(self.states, states, new, strict=True):
            if a.shape != b.shape or (a.m is b.m and a.dtype != b.dtype):
                raise ShapeError(
                    f"{self.name}{where}: state {name} enters with shape {a.shape} {a.dtype} and leaves with "
                    f"{b.shape} {b.dtype}; a cell must keep them"
                )
        return new, y

    def outputs(self, result: Any) -> tuple[tuple[Tensor, ...], Tensor]:
        """(new states, output) of what the cell returned.

        Raises ShapeError for a wrong count, TraceError for what is not a tensor.
        """
        values = as_tuple(result)
        for v in values:
            if not isinstance(v, Tensor):
                what = "nothing" if v is None else f"a {type(v).__name__}"
                raise TraceError(
                    f"{self.name}: returned {what} where a tensor is meant; return the new value of "
                    f"{', '.join(self.states)}, computed with minigrad's functions"
                )
        k = len(self.states)
        if len(values) not in (k, k + 1) or not values:
            raise ShapeError(
                f"{self.name}: returned {len(values)} values; it has the state(s) {', '.join(self.states)} "
                "and must return their new values, and after them at most one output"
            )
        return values[:k], values[k] if len(values) > k else values[0]

    def then(self, readout: Cell, name: str | None = None) -> Cell:
        """This cell followed by a read-out of its first state: o_t = g(h_t, w_o).

        Raises ShapeError if the read-out's input is declared with another size than that state, TypeError if
        the two have a parameter name in common.
        """
        if len(readout.inputs) != 1 or self.sizes[self.states[0]] != readout.sizes[readout.inputs[0]]:
            raise ShapeError(
                f"{self.name}: state {self.states[0]} {self.shape_text(self.states[0])} does not fit the "
                f"read-out {readout.name}{readout.signature}; declare both with the same size names"
            )
        if common := sorted({*self.params} & {*readout.params}):
            raise TypeError(f"{self.name} and {readout.name} both have a parameter {common[0]}; rename one")

        def fn(*args: Any, **params: Any) -> tuple[Tensor, ...]:
            states, _ = self.outputs(self.fn(*args, **{p: params[p] for p in self.params}))
            return (*states, readout.fn(states[0], **{p: params[p] for p in readout.params}))

        return Cell(
            fn, name or f"{self.name}+{readout.name}", self.states, self.inputs, self.params + readout.params,
            self.sizes | {p: readout.sizes[p] for p in readout.params}, self.doc, readout,
        )  # fmt: skip


def as_tuple(x: Any) -> tuple:
    """A tuple or list as a tuple, anything else as a tuple of one."""
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def cell(**shapes: str) -> Callable[[Callable[..., Any]], Cell]:
    """Decorator that makes a Cell of a function; each argument's shape by name, such as W="d n".

    Raises TypeError if an argument has no shape, a shape has no argument, or the function takes *args.
    """

    def wrap(fn: Callable[..., Any]) -> Cell:
        states, inputs, params = roles(fn)
        names = states + inputs + params
        if missing := [n for n in names if n not in shapes]:
            raise TypeError(f'cell {fn.__name__}: no shape for {missing}; write @cell({missing[0]}="...")')
        if extra := [n for n in shapes if n not in names]:
            raise TypeError(f"cell {fn.__name__}: shapes for {extra}, which are not its arguments")
        EQUATIONS[id(fn.__code__)] = fn.__code__
        sizes = {n: parse_sizes(shapes[n]) for n in names}
        return Cell(fn, fn.__name__, states, inputs, params, sizes, inspect.getdoc(fn) or "")

    return wrap


def roles(fn: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names of a function's states, inputs and parameters. Raises TypeError for *args and **kwargs."""
    found: dict[Any, list[str]] = {kind: [] for kind in _ROLES}
    for q in inspect.signature(fn).parameters.values():
        if q.kind not in found:
            raise TypeError(f"cell {fn.__name__}: *args and **kwargs have no shapes; name every argument")
        found[q.kind].append(q.name)
    states, inputs, params = (tuple(names) for names in found.values())
    return states, inputs, params


__all__ = ["Axes", "Cell", "Size", "as_tuple", "cell", "roles"]
