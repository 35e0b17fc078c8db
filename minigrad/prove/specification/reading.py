"""Equations as a cell: which of their names are states, inputs and parameters, and of which shapes.

W v is a matrix times a column, as papers write it, so its W is (out, in); v W is a row times a matrix. The
sizes of what the equations share with the code are the code's; the others follow from those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cells.cell import Cell
from ...cells.shapes import Size
from ...engine.core import Tensor
from ...engine.functions import concatenate
from .equations import Binary, Call, Concat, Equation, Expression, Name, Number, names
from .words import EquationError

COLUMN, ROW, VECTOR, NUMBER = "a matrix on the left", "a matrix on the right", "a vector", "a number"


class Unknown:
    """A size that is not known yet; `is_` is what it turned out to be."""

    def __init__(self) -> None:
        self.is_: Unknown | tuple[str, ...] | None = None


Length = Unknown | tuple[str, ...] | None  # blocks of a vector; None for a number


@dataclass
class Parameter:
    """How the equations use a parameter: as what, and with which sizes."""

    use: str
    sizes: list[Length]


class Reading:
    """The equations as a cell: which names are states, inputs, parameters, and of which shapes.

    Raises EquationError where sizes do not fit or a name has no meaning.
    """

    def __init__(
        self, equations: Sequence[Equation], code: Cell, functions: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.equations, self.code, self.functions = equations, code, functions
        self.defined: dict[str, int] = {}  # variable -> the equation that defines it
        for k, e in enumerate(equations):
            if e.target.time == -1:
                raise EquationError(
                    e.text, e.target.at, f"{e.target} is a value of the step before; define {e.target.text}_t"
                )
            if e.target.text in self.defined:
                raise EquationError(e.text, e.target.at, f"{e.target} is defined twice")
            self.defined[e.target.text] = k
        self.uses: dict[
            tuple[int, int], str
        ] = {}  # (equation, place) -> state | input | variable | parameter
        self.params: dict[str, Parameter] = {}
        found = [(k, n) for k, e in enumerate(equations) for n in names(e.value)]
        for k, n in found:
            self.uses[k, n.at] = self._role(k, n)
        carried = [n.text for k, n in found if self.uses[k, n.at] == "state"]
        self.states = self._ordered([*carried, *self._unread(carried)], code.states)
        self.inputs = self._ordered([n.text for k, n in found if self.uses[k, n.at] == "input"], code.inputs)
        self.lengths: dict[str, Length] = {}
        for mine, other in ((self.states, code.states), (self.inputs, code.inputs)):
            for name, theirs in zip(mine, _partners(mine, other), strict=True):
                self.lengths["prev " * (name in self.states) + name] = (
                    self._given(theirs) if theirs else Unknown()
                )
        for k in self.order():
            self._typed_equation(k)

    def _unread(self, carried: Sequence[str]) -> list[str]:
        """States of the code that the equations define and, as the code may too, never read at t-1."""
        missing = {s.lower() for s in self.code.states} - {c.lower() for c in carried}
        return [v for v in self.defined if v.lower() in missing]

    def _ordered(self, found: list[str], other: Sequence[str]) -> tuple[str, ...]:
        unique = list(dict.fromkeys(found))
        place = {n.lower(): k for k, n in enumerate(other)}
        return tuple(sorted(unique, key=lambda n: place.get(n.lower(), len(place))))

    def _given(self, argument: str) -> tuple[str, ...]:
        axes = self.code.sizes[argument]
        if len(axes) != 1:
            shape = self.code.shape_text(argument)
            raise ValueError(f"{self.code.name}: {argument} has the shape {shape}; equations are of vectors")
        return _blocks(axes[0])

    def _role(self, k: int, n: Name) -> str:
        at = self.defined.get(n.text)
        if n.time == -1:
            if at is None:
                raise EquationError(
                    self.equations[k].text, n.at, f"{n} is used, but no equation defines {n.text}_t"
                )
            return "state"
        if at is not None:
            return "variable" if n.time == 0 or at < k else "state"
        given = {i.lower() for i in self.code.inputs} | ({"x"} - {p.lower() for p in self.code.params})
        return "input" if n.time == 0 or n.text.lower() in given else "parameter"

    def order(self, wanted: Sequence[str] | None = None) -> list[int]:
        """The equations that the wanted variables (all) need, in an order in which they can be used.

        Raises EquationError for a circle.
        """
        done: list[int] = []
        open_: list[int] = []

        def visit(k: int) -> None:
            if k in done:
                return
            if k in open_:
                e = self.equations[k]
                raise EquationError(e.text, e.target.at, f"{e.target} depends on itself at the same step")
            open_.append(k)
            for n in names(self.equations[k].value):
                if self.uses[k, n.at] == "variable":
                    visit(self.defined[n.text])
            done.append(open_.pop())

        for name in self.defined if wanted is None else wanted:
            visit(self.defined[name])
        return done

    # ---- sizes ----
    def _typed_equation(self, k: int) -> None:
        e = self.equations[k]
        found = self._typed(k, e.value)
        if e.target.text in self.states:
            found = self._same(k, found, self.lengths["prev " + e.target.text], e.target.at)
        self.lengths[e.target.text] = found

    def _typed(self, k: int, e: Expression) -> Length:
        if isinstance(e, Number):
            return None
        if isinstance(e, Name):
            use = self.uses[k, e.at]
            if use == "parameter" and self._is_number(e):
                self._parameter(k, e, NUMBER, [])
                return None
            if use == "parameter":
                return self._parameter(k, e, VECTOR, [Unknown()])[0]
            return self.lengths["prev " * (use == "state") + e.text]
        if isinstance(e, Call):
            return self._typed(k, e.argument)
        if isinstance(e, Concat):
            parts = [_known(self._typed(k, p)) for p in e.parts]
            known = [p for p in parts if isinstance(p, tuple)]
            if len(known) < len(parts):
                raise EquationError(self.equations[k].text, e.at, "the size of a part of [...] is not known")
            return tuple(b for p in known for b in p)
        matrix = self._matrix(k, e)
        if matrix:
            name, vector, use = matrix
            out, _ = self._parameter(k, name, use, [Unknown(), self._typed(k, vector)])
            return out
        return self._same(k, self._typed(k, e.a), self._typed(k, e.b), e.at)

    def _matrix(self, k: int, e: Binary) -> tuple[Name, Expression, str] | None:
        """(matrix, vector, on which side) if this is a product of matrices; None if it is entry by entry."""
        if e.op not in ("@", "·"):
            return None
        left, right = (
            isinstance(x, Name) and self.uses[k, x.at] == "parameter" and not self._is_number(x)
            for x in (e.a, e.b)
        )  # fmt: skip
        if left and right:
            raise EquationError(
                self.equations[k].text,
                e.at,
                "a product of two parameters; write W (V x), and x_t for an input",
            )
        if left and not isinstance(e.b, Number):
            return e.a, e.b, COLUMN  # type: ignore[return-value]
        if right and not isinstance(e.a, Number):
            return e.b, e.a, ROW  # type: ignore[return-value]
        if e.op == "@":
            raise EquationError(self.equations[k].text, e.at, "@ needs a parameter on one side: the matrix")
        return None

    def _is_number(self, n: Name) -> bool:
        """Whether the code has a single number of that name among its parameters."""
        return n.text in self.code.params and self.code.sizes[n.text] == ()

    def _parameter(self, k: int, n: Name, use: str, sizes: list[Length]) -> list[Length]:
        known = self.params.setdefault(n.text, Parameter(use, sizes))
        if known.use != use:
            raise EquationError(self.equations[k].text, n.at, f"{n} is {use} here, and {known.use} elsewhere")
        return [self._same(k, a, b, n.at) for a, b in zip(known.sizes, sizes, strict=True)]

    def _same(self, k: int, a: Length, b: Length, at: int) -> Length:
        a, b = _known(a), _known(b)
        if a is None or b is None:
            return b if a is None else a
        if isinstance(a, Unknown):
            a.is_ = b if a is not b else None
            return b
        if isinstance(b, Unknown):
            b.is_ = a
        elif a != b:
            raise EquationError(
                self.equations[k].text, at, f"sizes {'+'.join(a)} and {'+'.join(b)} do not fit"
            )
        return a

    # ---- as a cell ----
    def cell(self, with_output: bool) -> Cell:
        """The equations as a cell; its output, if one is wanted, is the last variable that nothing uses."""
        sizes: dict[str, Any] = {}
        spare = iter(n for n in ("q", *(f"q{i}" for i in range(2, 99))) if n not in _all_sizes(self.code))
        for name in (*self.states, *self.inputs):
            sizes[name] = (_size(self.lengths["prev " * (name in self.states) + name], spare),)
        returned = (*self.states, *(self.outputs()[-1:] if with_output else ()))
        needed = self.order(returned)
        params = tuple(
            p for p in self.params
            if any(n.text == p for k in needed for n in names(self.equations[k].value))
        )  # fmt: skip
        for name in params:
            axes = [_size(s, spare) for s in self.params[name].sizes]
            sizes[name] = tuple(axes if self.params[name].use != ROW else axes[::-1])

        def fn(*args: Tensor, **params: Tensor) -> tuple[Tensor, ...]:
            values = self.values(returned, args, params)
            return tuple(values[n] for n in returned)

        doc = "\n".join(e.text for e in self.equations)
        return Cell(fn, "the equations", self.states, self.inputs, params, sizes, doc)

    def outputs(self) -> list[str]:
        """The variables that are no states and that no equation uses."""
        used = {n.text for e in self.equations for n in names(e.value)}
        return [n for n in self.defined if n not in used and n not in self.states]

    def values(
        self, wanted: Sequence[str], args: Sequence[Tensor], params: Mapping[str, Tensor],
        put: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The value after one step of all that the wanted variables need; `put` has values to use instead."""
        given = dict(zip((*self.states, *self.inputs), args, strict=True))
        new: dict[str, Tensor] = {}
        for k in self.order(wanted):
            name = self.equations[k].target.text
            value = self._value(k, self.equations[k].value, given, new, params)
            if value.name is None:
                value.name = name
            new[name] = put[name] if put and name in put else value
        return new

    def _value(self, k: int, e: Expression, given: Any, new: Any, params: Any) -> Any:
        def of(part: Expression) -> Any:
            return self._value(k, part, given, new, params)

        if isinstance(e, Number):
            return int(e.value) if e.value == int(e.value) else e.value
        if isinstance(e, Name):
            where = {"parameter": params, "variable": new}.get(self.uses[k, e.at], given)
            return where[e.text]
        if isinstance(e, Call):
            return self.functions[e.function](of(e.argument))
        if isinstance(e, Concat):
            return concatenate([of(p) for p in e.parts], axis=-1)
        if matrix := self._matrix(k, e):
            name, vector, use = matrix
            weight = params[name.text]
            return of(vector) @ (weight.T if use == COLUMN else weight)
        a, b = of(e.a), of(e.b)
        return a + b if e.op == "+" else a - b if e.op == "-" else a / b if e.op == "/" else a * b


def _known(a: Length) -> Length:
    while isinstance(a, Unknown) and a.is_ is not None:
        a = a.is_
    return a


def _blocks(size: Size) -> tuple[str, ...]:
    return tuple(n for n, k in size.items() for _ in range(k))


def _size(a: Length, spare: Any) -> Size:
    a = _known(a)
    if isinstance(a, Unknown):
        a.is_ = (next(spare),)
        return {a.is_[0]: 1}
    return {n: (a or ()).count(n) for n in a or ()}


def _all_sizes(cell: Cell) -> set[str]:
    return {n for axes in cell.sizes.values() for s in axes for n in s}


def _partners(mine: Sequence[str], other: Sequence[str]) -> list[str]:
    """The code's argument that each name stands for: of that name, else the next one left, else ""."""
    by_name = {n.lower(): n for n in other}
    left = [n for n in other if n.lower() not in {m.lower() for m in mine}]
    return [by_name.get(n.lower()) or (left.pop(0) if left else "") for n in mine]
