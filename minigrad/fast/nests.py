"""The body of a loop over time as loops over rows and columns, for a compiler: no arrays are made in it.

One inner loop for each value that is stored, because loops with one result are vectorised and others are not;
a value that is read once, elementwise, is no array at all but a term of the expression that reads it. Values
of the same rows are computed row by row, one after the other, while the row is in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .cut import CannotCompile
from .emit import Handle, Instruction
from .storage import Line, Storage, chain
from .views import View

INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
OF_NUMPY = (
    "log", "sqrt", "sin", "cos", "sign", "absolute", "maximum", "greater", "greater_equal", "equal",
    "logaddexp", "power",
)  # fmt: skip
MOST_READ = 6  # arrays in one inner loop: the compiler asks of each, at run time, whether it overlaps the result

At = tuple[str, int]  # an index: a loop's variable, or none, plus a number


def total(x: Any) -> Any:
    """The sum of a row."""
    return np.add.reduce(x)


def largest(x: Any) -> Any:
    """The largest number of a row."""
    return np.maximum.reduce(x)


def where(c: Any, x: Any, y: Any) -> Any:
    """x where c is true, else y."""
    return np.where(c, x, y)


def panels(b: Any) -> Any:
    """The matrix as a compiled loop multiplies with it soonest."""
    return b


FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh, "exp": np.exp, "where": where, "total": total, "largest": largest, "dot": np.dot, "panels": panels,
}  # fmt: skip
REDUCED = {"add.reduce": "total", "maximum.reduce": "largest"}


@dataclass
class Nest:
    """One value: loops, and what is done at each entry; touched: the arrays in it, and at which rows."""

    rows: list[tuple[str, int, str]]  # the outer loops: (variable, how far, that as text)
    columns: str  # how far the inner loop goes; empty if there is none
    text: str
    wrote: str
    touched: dict[str, set[tuple[str, ...]]]
    note: Any = None


@dataclass
class Nests:
    """The writer: `lines` gives the body of the loop over time. Raises CannotCompile where there is no form."""

    store: Storage
    terms: set[Handle] = field(default_factory=set)  # values that are no arrays
    touched: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)  # the arrays that are written
    indexed: set[str] = field(default_factory=set)  # the arrays whose entries are read
    laid_out: dict[str, str] = field(default_factory=dict)  # a matrix that stays the same: its panels

    def lines(self, code: Sequence[Instruction]) -> list[Line]:
        """The body of the loop over time."""
        store = self.store
        self.terms = self._find_terms(code)
        code = [ins for ins in code if ins.out not in self.terms]
        store.allocate(code, lambda ins: [h.root for h in self._leaves(ins)], self._in_place)
        nests: list[Nest | Line] = [n for ins in code if ins.op for n in self._written(ins)]
        for name, h in store.copies:
            nests.append(self._nest(h.shape, lambda at, n=name: (n, ("t", 0), *at), lambda at, h=h: self._value(h, at)))
        return [line for group in _groups(nests) for line in _lines(group)]

    # ---- terms ----
    def _find_terms(self, code: Sequence[Instruction]) -> set[Handle]:
        """Values that are written where they are read."""
        readers: dict[Handle, list[Instruction]] = {}
        writes: dict[Handle, int] = {}
        for ins in code:
            writes[ins.out] = writes.get(ins.out, 0) + 1
            for a in ins.args:
                if isinstance(a, Handle):
                    readers.setdefault(self.store.owner(a), []).append(ins)
        stored = {*self.store.goal, *self.store.home, *(self.store.owner(h) for _, h in self.store.copies)}
        found: set[Handle] = set()
        size: dict[Handle, int] = {}
        for ins in code:
            reads = sum(size.get(a.root, 1) for a in ins.args if isinstance(a, Handle))
            size[ins.out] = reads
            reader = readers.get(ins.out, [])
            if (
                elementwise(ins) and len(reader) == 1 and elementwise(reader[0]) and ins.out not in stored
                and writes[ins.out] == 1 and all(writes.get(a.root, 1) == 1 for a in ins.args if isinstance(a, Handle))
                and math.prod(ins.out.shape) >= math.prod(self._shape(reader[0])) and _same_kind(ins, reader[0])
                and sum(size.get(a.root, 1) for a in reader[0].args if isinstance(a, Handle)) <= MOST_READ
            ):  # fmt: skip
                found.add(ins.out)
            else:
                size[ins.out] = 1
        return found

    def _shape(self, ins: Instruction) -> tuple[int, ...]:
        """The shape of the entries that an instruction writes."""
        key = ins.part or ins.onto
        return ins.out.shape if key is None else View("index", key).of(np.empty(ins.out.shape, bool)).shape

    def _leaves(self, ins: Instruction) -> list[Handle]:
        """The arrays that an instruction reads."""
        found = []
        for a in ins.args:
            if isinstance(a, Handle):
                found += self._leaves(a.root.made) if a.root in self.terms else [a]  # type: ignore[arg-type]
        return found

    def _in_place(self, ins: Instruction, owner: Handle) -> bool:
        """Whether the result may take the place of what is read: only if each entry is read where it is written."""
        read = [h for h in self._leaves(ins) if self.store.owner(h) is owner]
        same = all(h.base is None and h.shape == ins.out.shape == owner.shape for h in read)
        return same and elementwise(ins) and not any(a.root in self.terms and a.views for a in self._inner(ins))

    def _inner(self, ins: Instruction) -> list[Handle]:
        """Every value that the expression of an instruction reads."""
        found = []
        for a in ins.args:
            if isinstance(a, Handle):
                found += [a, *(self._inner(a.root.made) if a.root in self.terms else ())]  # type: ignore[arg-type]
        return found

    # ---- statements ----
    def _written(self, ins: Instruction) -> list[Nest | Line]:
        """The statements of one instruction."""
        if ins.op == "dot":
            a, b = ins.args
            if not a.dtype == b.dtype == ins.out.dtype or a.dtype.name not in ("float32", "float64"):
                raise CannotCompile(f"a product of {a.dtype} and {b.dtype} has no form in a compiled loop")
            words = [self._matrix(a), self._panels(b), self._matrix(ins.out)]
            self.made.add(self._place(self.store.owner(ins.out)))
            self.store.e.space["dot"] = FUNCTIONS["dot"]
            return [Line(f"dot({', '.join(words)})", ins.note)]
        if ins.op in REDUCED:
            return self._reduction(ins)
        if not elementwise(ins):
            raise CannotCompile(f"{ins.op} has no form in a compiled loop")
        shape, key = self._shape(ins), ins.part or ins.onto
        whole = ins.out if key is None else self.store.e.seen(ins.out, shape, "index", key)

        def value(at: list[At]) -> str:
            if ins.onto is None:
                return self._scalar(ins, at)
            return f"{self._entry(whole, at)} + {_within(self._value(ins.args[0], at, ins.out.dtype))}"

        return [self._nest(shape, lambda at: self._access(whole, at), value, ins.note)]

    def _reduction(self, ins: Instruction) -> list[Nest | Line]:
        """A sum, or a maximum, along the last axis: a function of the row."""
        x, name = ins.args[0], REDUCED[ins.op]
        if ins.axes != (x.ndim - 1,):
            raise CannotCompile(f"{ins.op} along the axes {ins.axes} has no form in a compiled loop")
        self.store.e.space[name] = FUNCTIONS[name]
        keep = ins.out.ndim == x.ndim

        def value(at: list[At]) -> str:
            row, *where = self._access(x, [*(at[:-1] if keep else at), ("column", 0)])
            if where[-1][0] != "column" or any(v == "column" for v, _ in where[:-1]):
                raise CannotCompile(f"{ins.op} along an axis that is not the last has no form in a compiled loop")
            start = where[-1][1]
            self.touched.setdefault(row, set()).add(_rows(where))
            columns = f"{start}:{start + x.shape[-1]}"
            return f"{name}({row}[{', '.join([*map(_word, where[:-1]), columns])}])"

        return [self._nest(ins.out.shape, lambda at: self._access(ins.out, at), value, ins.note)]

    def _nest(
        self, shape: tuple[int, ...], target: Callable[..., Any], value: Callable[..., str], note: Any = None
    ) -> Nest:
        """A statement for each entry of an array of this shape."""
        self.touched = {}
        at: list[At] = [("", 0) if n == 1 else (v, 0) for n, v in zip(shape, _variables(len(shape)), strict=True)]
        text = value(at)
        self.indexed |= set(self.touched)
        name, *where = target(at)
        self.made.add(name)
        self.touched.setdefault(name, set()).add(_rows(where))
        whole = len(where) - len(shape) in (0, 1)  # an array that is no part of another has the rows in its shape
        rows, columns = [], ""
        for n, (v, _) in zip(shape, at, strict=True):
            if v == "column":
                columns = str(n)
            elif v:
                rows.append((v, n, f"{name}.shape[{where.index((v, 0))}]" if whole and (v, 0) in where else str(n)))
        return Nest(rows, columns, f"{name}[{_index(where)}] = {text}", name, self.touched, note)

    # ---- expressions ----
    def _scalar(self, ins: Instruction, at: list[At]) -> str:
        """One entry of what an elementwise instruction gives."""
        args = [self._value(a, at, ins.out.dtype) for a in ins.args]
        if ins.op == "zero":
            return str(self.store.e.number(0, ins.out.dtype))
        if ins.op == "copy":
            return args[0]
        if ins.op in INFIX:
            return f"{_within(args[0])} {INFIX[ins.op]} {_within(args[1])}"
        if ins.op == "negative":
            return f"-{_within(args[0])}"
        if ins.op not in OF_NUMPY and ins.op not in FUNCTIONS:
            raise CannotCompile(f"{ins.op} has no form in a compiled loop")
        self.store.e.space[ins.op] = FUNCTIONS.get(ins.op) or getattr(np, ins.op)
        return f"{ins.op}({', '.join(args)})"

    def _value(self, a: Any, at: list[At], dtype: Any = None) -> str:
        """One entry of an argument, which is lined up with the result from the right."""
        if not isinstance(a, Handle):
            return str(a if isinstance(a, str) else self.store.e.number(a, dtype))
        own = at[len(at) - a.ndim :]
        return self._entry(a, [("", 0) if n == 1 else i for n, i in zip(a.shape, own, strict=True)])

    def _entry(self, a: Handle, at: list[At]) -> str:
        if a.root in self.terms:
            for v, x in _ways(a):
                at = _through(v, x.shape, at)
            return self._scalar(a.root.made, at)  # type: ignore[arg-type]
        name, *where = self._access(a, at)
        self.touched.setdefault(name, set()).add(_rows(where))
        return f"{name}[{_index(where)}]"

    def _access(self, a: Handle, at: list[At]) -> tuple[Any, ...]:
        """(the variable of the array that holds an entry, the index of the entry there)."""
        root, views = self.store.found(a)
        shapes = [root.shape]
        for v in views:
            shapes.append(v.of(np.empty(shapes[-1], bool)).shape)
        for v, shape in zip(reversed(views), reversed(shapes[:-1]), strict=True):
            at = _through(v, shape, at)
        return (self._place(root), *([("t", 0)] if self._moves(root) else []), *at)

    def _matrix(self, a: Handle) -> str:
        """A matrix as a view of what holds it."""
        root, views = self.store.found(a)
        if any(v.how == "broadcast" for v in views):
            raise CannotCompile("a product of something broadcast has no form in a compiled loop")
        return chain(self._place(root) + "[t]" * self._moves(root), views)

    def _panels(self, b: Handle) -> str:
        """A matrix on the right; one that stays the same is laid out in panels before the loop."""
        store, text = self.store, self._matrix(b)
        if self._moves(store.owner(b)) or store.owner(b) in store.made:
            return text
        if text not in self.laid_out:
            self.laid_out[text] = store.fresh_name(f"{self._place(store.owner(b))}_p")
            store.e.space["panels"] = FUNCTIONS["panels"]
        return self.laid_out[text]

    def _place(self, root: Handle) -> str:
        return self.store.place.get(root, root.name)

    def _moves(self, root: Handle) -> bool:
        return root in self.store.goal or root in self.store.moving


def elementwise(ins: Instruction) -> bool:
    """Whether each entry of the result is a function of entries."""
    return ins.aligned or ins.op in ("where", "copy", "zero") or ins.onto is not None


def _same_kind(ins: Instruction, reader: Instruction) -> bool:
    """Whether a value has the same dtype as a term as it has in an array."""
    inputs = {a.dtype for a in ins.args if isinstance(a, Handle)}
    return inputs <= {ins.out.dtype} and ins.out.dtype == reader.out.dtype


def _ways(a: Handle) -> list[tuple[View, Handle]]:
    """From a view to its root: each view, and what it is of."""
    found = []
    while a.base is not None and a.view is not None:
        found.append((a.view, a.base))
        a = a.base
    return found


def _through(v: View, shape: tuple[int, ...], at: list[At]) -> list[At]:
    """The index in an array of this shape of an entry of a view of it."""
    if v.how == "broadcast":
        return [("", 0) if n == 1 else i for n, i in zip(shape, at[len(at) - len(shape) :], strict=True)]
    if v.how == "transpose":
        return [at[v.what.index(axis)] for axis in range(len(shape))]
    if v.how == "reshape":
        long = [i for i, n in zip(at, v.what, strict=True) if n != 1]
        if [n for n in v.what if n != 1] != [n for n in shape if n != 1]:
            raise CannotCompile("axes made of others have no form in a compiled loop")
        return [("", 0) if n == 1 else long.pop(0) for n in shape]
    found, rest = [], list(at)
    for k, n in zip((*v.what, *[slice(None)] * (len(shape) - len(v.what))), shape, strict=True):
        if isinstance(k, slice) and k.step in (None, 1):
            var, plus = rest.pop(0)
            found.append((var, plus + k.indices(n)[0]))
        elif isinstance(k, int):
            found.append(("", k % n))
        else:
            raise CannotCompile(f"the index {k} has no form in a compiled loop")
    return found


def _variables(rank: int) -> list[str]:
    return [f"row{k}" if k > 1 else ("column", "row")[k] for k in range(rank - 1, -1, -1)]


def _word(i: At) -> str:
    return " + ".join(w for w in (i[0], str(i[1]) if i[1] or not i[0] else "") if w)


def _index(where: Sequence[At]) -> str:
    return ", ".join(map(_word, where)) or "()"


def _within(text: str) -> str:
    """The expression as a part of another."""
    depth = 0
    for ch in text:
        depth += (ch in "([") - (ch in ")]")
        if ch == " " and not depth:
            return f"({text})"
    return f"({text})" if text.startswith("-") else text


def _rows(where: Sequence[At]) -> tuple[str, ...]:
    """The index of a row: what does not run within it."""
    return tuple("" if v == "column" else _word((v, n)) for v, n in where)


def _groups(nests: Sequence[Nest | Line]) -> list[list[Nest | Line]]:
    """Statements that can be done row by row together: none reads another row of what one of them writes."""
    found: list[list[Any]] = []
    for n in nests:
        if found and isinstance(n, Nest) and all(isinstance(m, Nest) and _agree(m, n) for m in found[-1]):
            found[-1].append(n)
        else:
            found.append([n])
    return found


def _agree(a: Nest, b: Nest) -> bool:
    """Whether two statements can go row by row: same rows, and what one writes the other touches there only."""
    same = [r[:2] for r in a.rows] == [r[:2] for r in b.rows] != []
    return same and all(
        len(a.touched.get(n, set()) | b.touched.get(n, set())) == 1
        for n in (a.wrote, b.wrote)
        if n in a.touched and n in b.touched
    )


def _lines(group: Sequence[Any]) -> list[Line]:
    """The text of statements that go row by row together."""
    if isinstance(group[0], Line):
        return [group[0]]
    out = [Line(f"{'    ' * k}for {v} in range({text}):") for k, (v, _, text) in enumerate(group[0].rows)]
    space = "    " * len(out)
    for nest in group:
        if nest.columns:
            out.append(Line(f"{space}for column in range({nest.columns}):"))
        out.append(Line(f"{space}{'    ' * bool(nest.columns)}{nest.text}", nest.note))
    return out
