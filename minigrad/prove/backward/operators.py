"""Python's operators as numpy's ufuncs, and the entries that a mask picks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .numpyops import Unsupported


class Operators:
    """What answers +, @, > and the like by `_apply`, and += by `_update`."""

    __slots__ = ()
    __array_priority__ = 2000
    __hash__ = None  # type: ignore[assignment]

    def _apply(self, name: str, *inputs: Any) -> Any:
        raise NotImplementedError

    def _update(self, name: str, other: Any) -> Any:
        return self._apply(name, self, other)

    def _compared(self, other: Any) -> Any:
        raise Unsupported("== or != of arrays: the result would hold for some values only")

    __eq__ = __ne__ = _compared


def _operator(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._apply(name, self, other)


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._apply(name, other, self)


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._update(name, other)


for _symbol, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "matmul": "matmul",
    "pow": "power", "and": "bitwise_and", "or": "bitwise_or",
}.items():  # fmt: skip
    setattr(Operators, f"__{_symbol}__", _operator(_name))
    setattr(Operators, f"__r{_symbol}__", _reflected(_name))
    setattr(Operators, f"__i{_symbol}__", _in_place(_name))
for _symbol, _name in {"gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal"}.items():
    setattr(Operators, f"__{_symbol}__", _operator(_name))
for _symbol, _name in {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}.items():
    setattr(Operators, f"__{_symbol}__", lambda self, name=_name: self._apply(name, self))


class Picked(Operators):
    """The entries of `whole` where `mask` holds: how many depends on values, so only their places are kept."""

    __slots__ = ("mask", "whole")

    def __init__(self, whole: Any, mask: Any) -> None:
        self.whole, self.mask = whole, mask

    def at(self, mask: Any) -> Any:
        """The whole array, to be put where a mask says. Raises Unsupported for another mask than its own."""
        if mask.value.entries != self.mask.value.entries:
            raise Unsupported("entries that one mask picks, used with those of another; use np.where")
        return self.whole

    def _apply(self, name: str, *inputs: Any) -> Picked:
        if any(getattr(x, "ndim", 0) for x in inputs if not isinstance(x, Picked)) or name == "matmul":
            raise Unsupported("entries that a mask picks together with a whole array; use np.where")
        wholes = [x.at(self.mask) if isinstance(x, Picked) else x for x in inputs]
        return Picked(self.whole._apply(name, *wholes), self.mask)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Picked:
        if method != "__call__" or options:
            raise Unsupported(f"np.{ufunc.__name__} of the entries that a mask picks; use np.where")
        return self._apply(ufunc.__name__, *inputs)

    def __getattr__(self, name: str) -> Any:
        raise Unsupported(
            f".{name} of the entries that a mask picks, whose number depends on values; use np.where"
        )
