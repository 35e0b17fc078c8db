"""How the operations of a graph are written down: as numpy, and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...domains.source import Code
from ...engine.core import Tensor


class Unwritable(ValueError):
    """An operation that has no one-line form here."""


class Style:
    """How expressions are written."""

    mark: str  # of a transpose
    infix: ClassVar[dict[str, tuple[str, float]]]
    calls: ClassVar[dict[str, str]]

    def word(self, name: str) -> Code:
        """A variable."""
        return Code(name)

    def line(self, name: str, code: Code) -> str:
        """An assignment."""
        return f"{self.word(name)} = {code}"

    def number(self, t: Tensor) -> Code:
        """A constant."""
        e = t.value.entries.get(()) if hasattr(t.value, "entries") else None
        if e is None or any(fs for fs, _ in e.terms):
            raise Unwritable
        c = next(iter(e.terms.values()), 0)
        return Code(str(c)) if c == int(c) and c >= 0 else Code.at(str(c), 0)

    def write(self, t: Tensor, xs: Sequence[Code]) -> Code:
        """An operation on expressions."""
        op, params = t.op, t.params
        assert op is not None
        if op.name == "matmul":
            return self.product(*xs)
        if op.name == "mul" and t.inputs[0] is t.inputs[1]:
            return self.power(xs[0], "2")
        if op.name in self.infix:
            return self.between(op.name, *xs)
        if op.name == "neg":
            return -xs[0]
        if op.name in self.calls:
            return Code(self.calls[op.name].format(*xs))
        if op.name == "power":
            return self.power(xs[0], str(params["exponent"]))
        return self.layout(t, xs)

    def between(self, name: str, a: Code, b: Code) -> Code:
        """a + b and the like, with brackets where they are needed."""
        sign, level = self.infix[name]
        if name == "mul" and Code("1") in (a, b):
            return b if a == Code("1") else a
        tight = name in ("sub", "div")
        left = a if a.level >= level else Code(self.brackets(a))
        right = b if b.level > level or (b.level == level and not tight) else Code(self.brackets(b))
        return Code.at(f"{left}{sign}{right}", level)

    def product(self, a: Code, b: Code) -> Code:
        """A matrix product; its factors in brackets, as Python reads a @ b * c from the left."""
        return Code.at(self.infix["matmul"][0].join((self.atom(a), self.atom(b))), self.infix["matmul"][1])

    def turned(self, x: Code) -> Code:
        """The transpose."""
        mark = self.mark
        return Code(x.removesuffix(mark)) if x.level >= 3 and x.endswith(mark) else Code(self.atom(x) + mark)

    def parts(self, t: Tensor, xs: Sequence[Code]) -> Code:
        """Arrays put into zeros, each at its place: side by side along one axis, if they fill it."""
        keys, n = t.params["keys"], len(t.params["keys"][0])
        along = {i - n for key in keys for i, k in enumerate(key) if not _is_full(k, t.shape[i - n])}
        if len(along) != 1 or not all(isinstance(k, slice) for key in keys for k in key):
            raise Unwritable("place")
        (axis,) = along
        ends = {str(key[axis].start or 0): (key[axis].stop, x) for key, x in zip(keys, xs, strict=True)}
        order, at = [], "0"
        while at in ends:
            stop, x = ends.pop(at)
            order.append(x)
            at = str(t.shape[axis] if stop is None else stop)
        if ends or at != str(t.shape[axis]):
            raise Unwritable("place")
        return self.joined(order, axis)

    def brackets(self, x: Code) -> str:
        """An expression in brackets."""
        return f"({x})"

    def atom(self, x: Code) -> str:
        """An expression that something can be attached to."""
        return str(x) if x.level >= 3 else self.brackets(x)

    def power(self, x: Code, k: str) -> Code:
        raise NotImplementedError

    def layout(self, t: Tensor, xs: Sequence[Code]) -> Code:
        raise NotImplementedError

    def joined(self, xs: Sequence[Code], axis: int) -> Code:
        raise NotImplementedError


def _only_units(t: Tensor) -> bool:
    """Whether a reshape only adds or takes away axes of size 1."""
    return [n for n in t.shape if n != 1] == [n for n in t.inputs[0].shape if n != 1]


class _Numpy(Style):
    mark = ".T"
    infix: ClassVar[dict[str, tuple[str, float]]] = {
        "add": (" + ", 0),
        "sub": (" - ", 0),
        "mul": (" * ", 1),
        "div": (" / ", 1),
        "matmul": (" @ ", 0.5),
        "greater": (" > ", -1),
        "greater_equal": (" >= ", -1),
    }
    calls: ClassVar[dict[str, str]] = {
        "sigmoid": "sigmoid({0})",
        "where": "np.where({0}, {1}, {2})",
        "relu": "np.maximum({0}, 0)",
        "maximum": "np.maximum({0}, {1})",
        "broadcast": "{0}",
        "alias": "{0}",
        "cast": "{0}",
    } | {n: f"np.{n}({{0}})" for n in ("tanh", "exp", "log", "sqrt", "sin", "cos", "abs", "sign")}

    def power(self, x: Code, k: str) -> Code:
        return Code.at(f"{self.atom(x)}**{k}", 2)

    def layout(self, t: Tensor, xs: Sequence[Code]) -> Code:
        assert t.op is not None
        name, params, x = t.op.name, t.params, t.inputs[0]
        if name == "transpose" and params["axes"] == (-1, -2):
            return self.turned(xs[0]) if x.ndim == 2 else Code(f"np.swapaxes({xs[0]}, -1, -2)")
        if name == "reshape" and _only_units(t):
            return xs[0]
        if name == "sum":
            axes = [a + x.ndim for a in params["axis"]]
            keep = ", keepdims=True" if params["keepdims"] else ""
            return Code(f"{self.atom(xs[0])}.sum(axis={axes[0] if len(axes) == 1 else tuple(axes)}{keep})")
        if name == "index":
            return Code(f"{self.atom(xs[0])}[{_keys(params['key'], x)}]")
        if name == "concat":
            return self.joined(xs, params["axis"])
        if name == "place":
            return self.parts(t, xs)
        raise Unwritable(name)

    def joined(self, xs: Sequence[Code], axis: int) -> Code:
        return Code(f"np.concatenate([{', '.join(xs)}], axis={axis})")


def _is_full(k: Any, n: Any) -> bool:
    """Whether a slice takes all of an axis of size n."""
    return isinstance(k, slice) and str(k.start or 0) == "0" and (k.stop is None or str(k.stop) == str(n))


def _keys(key: tuple[Any, ...], x: Tensor) -> str:
    """A key as it is written: [..., :n], or with no dots where it names every axis."""
    words = [_key(k, x.shape[i - len(key)]) for i, k in enumerate(key)]
    while len(words) > 1 and words[0] == ":":
        words.pop(0)
    return ", ".join([*(["..."] if len(words) < x.ndim else []), *words])


def _key(k: Any, n: Any) -> str:
    if not isinstance(k, slice):
        return str(k)
    if _is_full(k, n):
        return ":"
    end = "" if k.stop is None or str(k.stop) == str(n) else str(k.stop)
    return f"{'' if str(k.start or 0) == '0' else k.start}:{end}"


class _Tex(Style):
    mark = r"^{\top}"
    infix: ClassVar[dict[str, tuple[str, float]]] = {
        "add": (" + ", 0),
        "sub": (" - ", 0),
        "mul": (r" \odot ", 1),
        "matmul": (r"\,", 0.5),
    }
    calls: ClassVar[dict[str, str]] = {
        "tanh": r"\tanh\left({0}\right)",
        "sigmoid": r"\sigma\left({0}\right)",
        "exp": r"\exp\left({0}\right)",
        "log": r"\log\left({0}\right)",
        "sqrt": r"\sqrt{{{0}}}",
        "sin": r"\sin\left({0}\right)",
        "div": r"\frac{{{0}}}{{{1}}}",
        "cos": r"\cos\left({0}\right)",
        "abs": r"\left|{0}\right|",
        "sign": r"\operatorname{{sign}}\left({0}\right)",
        "greater": r"\left[{0} > {1}\right]",
        "relu": r"\operatorname{{relu}}\left({0}\right)",
        "broadcast": "{0}",
        "alias": "{0}",
        "cast": "{0}",
    }

    def word(self, name: str) -> Code:
        bar = name.startswith("d") and len(name) > 1
        base, _, low = (name[1:] if bar else name).partition("_")
        base = base if len(base) == 1 else rf"\mathrm{{{base}}}"
        low = low.replace("_", r"\_")
        text = base + (rf"_{{\mathrm{{{low}}}}}" if low else "")
        return Code(rf"\overline{{{text}}}" if bar else text)

    def brackets(self, x: Code) -> str:
        return rf"\left({x}\right)"

    def power(self, x: Code, k: str) -> Code:
        return Code.at(f"{self.atom(x)}^{{{k}}}", 2)

    def layout(self, t: Tensor, xs: Sequence[Code]) -> Code:
        assert t.op is not None
        name, params, x = t.op.name, t.params, t.inputs[0]
        if name == "transpose" and params["axes"] == (-1, -2):
            return self.turned(xs[0])
        if name == "reshape" and _only_units(t):
            return xs[0]
        if name == "sum":
            return Code.at(rf"\textstyle\sum_{{\mathrm{{batch}}}} {self.atom(xs[0])}", 1)
        if name == "index":
            return Code(
                rf"{self.atom(xs[0])}_{{\left[{_keys(params['key'], x)}\right]}}".replace("...", r"\dots")
            )
        if name == "concat":
            return self.joined(xs, params["axis"])
        if name == "place":
            return self.parts(t, xs)
        raise Unwritable(name)

    def joined(self, xs: Sequence[Code], axis: int) -> Code:
        return Code(r"\left[" + r",\ ".join(xs) + r"\right]")


NUMPY: Style = _Numpy()
TEX: Style = _Tex()
