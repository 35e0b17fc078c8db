"""Random cells, written out as a person would write them: a failing one prints as lines to paste.

`cells()` draws up to three states of two sizes, numbers and whole numbers as inputs, and a body of a few
equations over all kinds of rows: products with new, shared and transposed weights, diagonal weights, gates,
concatenations and their slices, projections, softmax, layer norm, reductions, kinks and constants.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import count
from typing import Any

from hypothesis import strategies as st

import minigrad as mg
from minigrad.cells import Cell, cell

_file = count(1)


@dataclass(frozen=True, repr=False, eq=False)
class Written(Cell):
    """A cell that prints as its source."""

    source: str = ""

    def __repr__(self) -> str:
        return f"\n{self.source}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints."""
        printer.text(repr(self))


def written(source: str) -> Written:
    """The cell of a source text that defines one, `drawn`; tracebacks show its lines."""
    file = f"<drawn {next(_file)}>"
    scope: dict[str, Any] = {"mg": mg, "cell": cell}
    exec(compile(source, file, "exec"), scope)
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    made = scope["drawn"]
    return Written(*(getattr(made, f.name) for f in fields(Cell)), source)


class Draft:
    """A cell being written: its values and parameters by size, and its lines so far."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self.states = dict(
            zip("hsc", draw(st.lists(st.sampled_from("nnm"), min_size=1, max_size=3)), strict=False)
        )
        self.inputs = {"x": "d"}
        self.values = self.states | {"x": "d"}
        self.params: dict[str, str] = {}
        self.lines: list[str] = []
        self.used: set[str] = set()

    def one_of(self, names: Any) -> Any:
        return self.draw(st.sampled_from(list(names)))

    def value(self, *sizes: str) -> str:
        """A value, of one of these sizes if any are given; mostly one that is not used yet."""
        names = [v for v, size in self.values.items() if not sizes or size in sizes]
        name = self.one_of([*names, *2 * [v for v in names if v not in self.used]])
        self.used.add(name)
        return name

    def axis(self) -> str:
        """A value with an axis of its own, not of size 1."""
        return self.value(*{*self.values.values()} - {"1"})

    def param(self, shape: str) -> str:
        """A parameter of this shape: a new one, or one that is shared."""
        known = [p for p, s in self.params.items() if s == shape]
        letter = "W" if " " in shape else "u"
        name = self.one_of([*known, f"{letter}{len(self.params) + 1}"])
        self.params[name] = shape
        return name

    def weights(self, rows: str, columns: str) -> str:
        """A matrix, or the transpose of one."""
        flipped = [p for p, s in self.params.items() if s == f"{columns} {rows}"]
        if flipped and self.draw(st.booleans()):
            return f"{self.one_of(flipped)}.T"
        return self.param(f"{rows} {columns}")

    def add(self, text: str, size: str) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = size
        self.lines.append(f"{name} = {text}")
        return name

    def line(self) -> None:
        text, size = self.one_of(EQUATIONS)(self)
        self.add(text, size)

    def unused(self, size: str = "") -> list[str]:
        return [v for v, s in self.values.items() if v not in self.used and size in ("", s)]

    def finished(self) -> str:
        """The source, when every state has got a new value, and all that is left is in the output."""
        new = []
        for size in self.states.values():
            v = self.one_of(self.unused(size)[-1:] or [self.axis()])
            self.used.add(v)
            if self.values[v] != size or v[0] != "v":
                v = self.add(f"mg.tanh({v} @ {self.weights(self.values[v], size)})", size)
                self.used.add(v)
            new.append(v)
        if left := self.unused():
            wide = [v for v in left if self.values[v] != "1"]
            terms = [f"{v} @ {self.weights(self.values[v], 'm')}" for v in wide]
            new.append(
                self.add(" + ".join([*terms, *(v for v in left if v not in wide)]), "m" if wide else "1")
            )
        shapes = self.states | self.inputs | self.params
        heads = [*self.states, "/", *self.inputs, *(["*", *self.params] if self.params else [])]
        declared = ", ".join(f'{k}="{v}"' for k, v in shapes.items())
        body = [*self.lines, f"return {', '.join(new)}"]
        head = [f"@cell({declared})", f"def drawn({', '.join(heads)}):"]
        return "\n".join([*head, *(f"    {line}" for line in body), ""])


# ---- the equations: each gives (text, size) ------------------------------------------------------
SMOOTH = (
    "mg.tanh({})", "mg.sigmoid({})", "mg.softplus({})", "mg.sin({})", "mg.cos({})", "mg.exp(mg.tanh({}))",
    "mg.sqrt(1 + {0} * {0})", "mg.log(1 + {0} * {0})", "1 - {}", "{} / 8", "0.5 * {}", "-{}", "{}**2",
    "(2 + mg.tanh({}))**-1.5",
)  # fmt: skip
KINKED = ("mg.relu({})", "abs({})", "mg.clip({}, -1, 1)", "mg.where({0} > 0, {0}, {0} / 2)")
TWO = (
    "{} + {}", "{} - {}", "{} * {}", "{0} / (1 + {1} * {1})", "mg.maximum({}, {})", "mg.minimum({}, {})",
    "mg.where({0} >= {1}, {0}, 2 * {1})", "mg.pow(1 + {0} * {0}, mg.tanh({1}))",
)  # fmt: skip
REDUCE = ("mg.sum({}, {})", "mg.mean({}, {})", "mg.var({}, {})", "mg.max({}, {})", "mg.logsumexp({}, {})")


def _one(d: Draft) -> tuple[str, str]:
    v = d.value()
    return d.one_of((*SMOOTH, *KINKED)).format(v), d.values[v]


def _two(d: Draft) -> tuple[str, str]:
    v = d.axis()
    return d.one_of(TWO).format(v, d.value(d.values[v], "1")), d.values[v]


def _product(d: Draft) -> tuple[str, str]:
    v, size = d.axis(), d.one_of("nnmd")
    return f"{v} @ {d.weights(d.values[v], size)}", size


def _affine(d: Draft) -> tuple[str, str]:
    """The line that cells are made of: f(a W + b U + u)."""
    a, b, size = d.axis(), d.axis(), d.one_of([*d.states.values(), "m"])
    products = f"{a} @ {d.weights(d.values[a], size)} + {b} @ {d.weights(d.values[b], size)}"
    return f"mg.{d.one_of(['tanh', 'sigmoid', 'relu'])}({products} + {d.param(size)})", size


def _diagonal(d: Draft) -> tuple[str, str]:
    v = d.axis()
    return f"{v} {d.one_of('*+')} {d.param(d.values[v])}", d.values[v]


def _gate(d: Draft) -> tuple[str, str]:
    z = d.axis()
    size = d.values[z]
    a, b, z = d.value(size), d.value(size, "1"), d.add(f"mg.sigmoid({z})", size)
    return f"{z} * {a} + (1 - {z}) * {b}", size


def _joined(d: Draft) -> tuple[str, str]:
    """[a, b], through an activation, and mostly one of its halves again."""
    plain = {"n", "m", "d"} & {*d.values.values()}
    a, b = d.value(*plain), d.value(*plain)
    both = d.values[a], d.values[b]
    whole = "+".join(both) if both[0] != both[1] else f"2*{both[0]}"
    v = d.add(f"mg.tanh(mg.concatenate([{a}, {b}], axis=-1))", whole)
    half = d.draw(st.integers(0, 2))
    if half == 2:
        return f"mg.sin({v})", whole
    if both[0] == both[1]:
        return f"mg.split({v}, 2)[{half}]", both[0]
    at = f"{a}.shape[-1]"
    return f"{v}[..., {f'{at}:' if half else f':{at}'}]", both[half]


def _normal(d: Draft) -> tuple[str, str]:
    v = d.axis()
    size = d.values[v]
    kind = d.one_of(["softmax", "layer_norm", "layer_norm with a gain"])
    if kind.endswith("gain"):
        return f"mg.layer_norm({v}, {d.param(size)}, {d.param(size)})", size
    return f"mg.{kind}({v})", size


def _reduced(d: Draft) -> tuple[str, str]:
    return d.one_of(REDUCE).format(d.axis(), "axis=-1, keepdims=True"), "1"


def _looked_up(d: Draft) -> tuple[str, str]:
    """A row of a table, by an input of whole numbers."""
    d.inputs["k"] = ""
    size = d.one_of("nm")
    return f"{d.param(f'q {size}')}[k]", size


EQUATIONS = (
    _one, _one, _two, _two, _product, _affine, _affine, _diagonal, _gate, _joined, _normal, _reduced,
    _looked_up,
)  # fmt: skip


@st.composite
def cells(draw: Callable[[Any], Any], most: int = 6) -> Written:
    """A cell of one to `most` equations."""
    draft = Draft(draw)
    for _ in range(draw(st.integers(1, most))):
        draft.line()
    return written(draft.finished())
