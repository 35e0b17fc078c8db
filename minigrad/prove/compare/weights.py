"""A map of weights: every parameter of one cell from those of another, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.shapes import size_text
from ...domains.contractions import DELTA, Names, Sum, show
from ...domains.sizes import Blocks, Sized, Undecided, array, blocks_of
from ...engine.core import Tensor, leaf
from ...engine.functions import broadcast_to, concatenate, reshape, sum, transpose
from ..anysize import blocks
from .substitution import Substitution, slot, tensors

Entry = tuple[str, tuple[int, ...]]  # a parameter, and one of its blocks (its place along each axis)


def parameter_axes(cell: Cell, name: str) -> tuple[Blocks, ...]:
    """The declared axes of a parameter, as blocks."""
    return tuple(blocks(size, {}) for size in cell.sizes[name])


def block_of(tag: str) -> Entry:
    """The parameter and the block that a tensor of a cell run on opaque arrays stands for: weight_ih.2.0."""
    name, *choice = tag.split(".")
    return name, tuple(map(int, choice))


@dataclass(frozen=True, eq=False)
class WeightMap:
    """The parameters of `target` as polynomials in blocks of the parameters of `source`.

    `values`: by parameter of the target, an array of symbolic size whose entries are sums of products of
    the source's blocks. Calling the map with the source's parameters, on any kind of numbers, gives the
    target's. `str` states it in numpy's notation; `to_data` gives it as plain data.
    """

    source: Cell
    target: Cell
    values: dict[str, Sized]

    def __call__(self, params: Mapping[str, Tensor], **sizes: Any) -> dict[str, Tensor]:
        """The target's parameters from the source's; sizes: those that only the target has, by name.

        Raises ValueError if a size is not given, and cannot be read off the source's parameters.
        """
        reader = _Reader(self.source, params, sizes)
        return {p: reader.parameter(self.values[p]) for p in self.target.params}

    def __str__(self) -> str:
        changed = self.changed()
        same = [p for p in self.values if p not in changed]
        lines = [f"{p} = {self.text(p)}" for p in changed]
        return "\n".join(
            lines + [f"{', '.join(same)} as {'it is' if len(same) == 1 else 'they are'}"] * bool(same)
        )

    def text(self, name: str) -> str:
        """One parameter of the target in numpy's notation: rows of blocks are separated by semicolons."""
        value = self.values[name]
        words = {k: entry_text(e, self.source, value.axes, k) for k, e in value.entries.items()}
        if set(words.values()) == {"0"}:
            return "0"
        whole = _whole(value, self.source)
        if whole or len(words) == 1:
            return whole or next(iter(words.values()))
        rows: dict[Any, list[str]] = {}
        for k, w in words.items():
            rows.setdefault(k[:-1], []).append(w)
        return "[" + "; ".join(", ".join(r) for r in rows.values()) + "]"

    def to_data(self) -> dict[str, list[dict[str, Any]]]:
        """parameter -> its blocks, each with terms: coefficient, factors [parameter, block, indices, power].

        Free indices are j (last axis) and i, as in the block itself; the others are summed over.
        """
        return {
            p: [
                {"block": list(k), "terms": [_term(fs, c) for (fs, _), c in e.terms.items()]}
                for k, e in v.entries.items()
            ]
            for p, v in self.values.items()
        }

    def changed(self) -> list[str]:
        """The target's parameters that are not the source's of the same name."""
        return [
            p
            for p, v in self.values.items()
            if p not in self.source.params or not _same(v, opaque(self.source, p))
        ]

    def not_recovered(self, back: WeightMap) -> tuple[str, ...]:
        """The source's parameters that `back` does not give back from the target's."""
        here = Substitution({
            tag: self.values[p].entries[choice].rename({i: slot(k) for k, i in enumerate(idx)})
            for p in self.target.params for choice, tag, idx in tagged(opaque(self.target, p))
        })  # fmt: skip
        return tuple(p for p, v in back.values.items() if not _same(v.each(here), opaque(self.source, p)))


def opaque(cell: Cell, name: str) -> Sized:
    """A parameter as an array of opaque tensors, one for each of its blocks."""
    return array(name, *parameter_axes(cell, name))


def identity(source: Cell, target: Cell) -> WeightMap:
    """The map that takes each parameter of the target from the source's of the same name."""
    return WeightMap(source, target, {p: opaque(source, p) for p in target.params})


def tagged(value: Sized) -> Iterator[tuple[tuple[int, ...], str, tuple[int, ...]]]:
    """(block, its tensor, the tensor's indices) of an array of opaque tensors."""
    for choice, e in value.entries.items():
        (((fs, _), _),) = e.terms.items()
        (((tag, idx), _),) = fs
        yield choice, tag, idx


def _same(a: Sized, b: Sized) -> bool:
    return a.axes == b.axes and a.entries == b.entries


# ---- the map applied ---------------------------------------------------------------------------
class _Reader:
    """The parameters of a cell, cut into blocks, and the sizes read off them."""

    def __init__(self, cell: Cell, params: Mapping[str, Tensor], sizes: Mapping[str, Any]) -> None:
        self.cell, self.params = cell, params
        self.dims = {**sizes, **parameter_dims(cell, params)}

    def extent(self, axis: Sequence[Any]) -> Any:
        total: Any = 0
        for b in axis:
            if b not in self.dims and b != 1:
                raise ValueError(
                    f"size {b} cannot be read off the parameters of {self.cell.name}; pass {b}=..."
                )
            total = total + (1 if b == 1 else self.dims[b])
        return total

    def parameter(self, value: Sized) -> Tensor:
        def part(choice: tuple[int, ...]) -> Tensor:
            if len(choice) == len(value.axes):
                return self._entry(
                    value.entries[choice], [b[c] for b, c in zip(value.axes, choice, strict=True)]
                )
            parts = [part((*choice, c)) for c in range(len(value.axes[len(choice)]))]
            return concatenate(parts, len(choice) - len(value.axes)) if len(parts) > 1 else parts[0]

        return part(())

    def _entry(self, e: Sum, axes: list[Any]) -> Tensor:
        """One block of the target: the entry's terms, added up and repeated to the block's shape."""
        shape = tuple(self.extent([b]) for b in axes)
        like = next(iter(self.params.values()))
        total = leaf(like.m.zeros(shape, like.value))
        for (fs, bound), c in e.terms.items():
            term = (
                self._product(fs, [*range(-len(axes), 0), *range(len(bound))], [*axes, *bound])
                if fs
                else total * 0 + 1
            )
            if bound:
                term = sum(term, tuple(range(-len(bound), 0)))
            total = total + broadcast_to(term if c == 1 else -term if c == -1 else term * c, shape)
        return total

    def _product(self, fs: Any, order: list[int], axes: list[Any]) -> Tensor:
        """The factors multiplied, with one axis, of the size in `axes`, for each index in `order`."""
        out = None
        for (tag, idx), power in fs:
            if len(set(idx)) < len(idx) or tag.startswith("#"):
                raise Undecided(f"a map of weights with the factor {tag}{list(idx)}")
            x = self._unit(axes[order.index(idx[0])]) if tag == DELTA else self._block(tag)
            at = [idx.index(i) - len(idx) for i in order if i in idx]
            x = transpose(x, at) if len(idx) > 1 else x
            sizes = iter(x.shape)
            x = reshape(x, tuple(next(sizes) if i in idx else 1 for i in order)) ** power
            out = x if out is None else out * x
        assert out is not None
        return out

    def _unit(self, size: str) -> Tensor:
        """The unit matrix."""
        n, like = self.extent([size]), next(iter(self.params.values()))
        if isinstance(like.value, Sized):
            axis = blocks_of(n)
            one = {True: Sum.factor(DELTA, (-2, -1)), False: Sum()}
            return leaf(
                Sized.make(
                    (axis, axis), lambda k: one[k[0] == k[1]] if axis[k[0]] != 1 else Sum.number(k[0] == k[1])
                )
            )
        return leaf(np.eye(n, dtype=like.dtype))

    def _block(self, tag: str) -> Tensor:
        """One block of a parameter, without its axes of size 1."""
        name, choice = block_of(tag)
        x, axes = self.params[name], parameter_axes(self.cell, name)
        choice = choice or (0,) * len(axes)
        if choice and any(len(b) > 1 for b in axes):
            x = x[
                tuple(
                    slice(self.extent(b[:c]), self.extent(b[: c + 1]))
                    for b, c in zip(axes, choice, strict=True)
                )
            ]
        kept = tuple(n for n, b, c in zip(x.shape, axes, choice, strict=True) if b[c] != 1)
        return reshape(x, kept) if len(kept) < x.ndim else x


def parameter_dims(cell: Cell, params: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes {"n": 4, "d": 2} that the parameters' shapes tell; n+d tells d once n is known."""
    dims: dict[str, Any] = {}
    pairs = [(size, n) for p in cell.params for size, n in zip(cell.sizes[p], params[p].shape, strict=True)]
    for _ in range(len(pairs)):
        for size, n in pairs:
            unknown = [name for name in size if name and name not in dims]
            if len(unknown) == 1:
                for name, k in size.items():
                    if name not in unknown:
                        n = n - (dims[name] * k if name else k)
                dims[unknown[0]] = n if size[unknown[0]] == 1 else n // size[unknown[0]]
    return dims


# ---- as text -----------------------------------------------------------------------------------
def tag_text(tag: str, cell: Cell) -> str:
    """A block in numpy's notation: weight_ih[2*n:3*n]."""
    name, choice = block_of(tag)
    if not choice:
        return name
    axes = parameter_axes(cell, name)
    cuts = [_cut(b, c) for b, c in zip(axes, choice, strict=True)]
    while cuts and cuts[-1] == ":":
        cuts.pop()
    return f"{name}[{', '.join(cuts)}]" if cuts else name


def _cut(axis: Blocks, c: int) -> str:
    def edge(part: Blocks) -> str:
        return size_text({("" if b == 1 else b): part.count(b) for b in part})

    return (edge(axis[:c]) if c else "") + ":" + (edge(axis[: c + 1]) if c + 1 < len(axis) else "")


def tag_names(cell: Cell) -> Names:
    """What to call each block of the cell's parameters when a formula is shown."""
    tags = [found for p in cell.params for found in tagged(opaque(cell, p))]
    return {t: (tag_text(t, cell), tuple(range(len(idx)))) for _, t, idx in tags}


def entry_text(e: Sum, cell: Cell, axes: tuple[Blocks, ...], choice: tuple[int, ...]) -> str:
    """One block as text: W.T where it is a block transposed, otherwise with its indices."""
    here = tuple(k - len(axes) for k, b in enumerate(axes) if b[choice[k]] != 1)
    words = []
    for (fs, dims), c in e.terms.items():
        if len(fs) == 1 and not dims and fs[0][1] == 1 and abs(c) == 1 and fs[0][0][1] in (here, here[::-1]):
            (tag, idx), _ = fs[0]
            words.append(("-" if c < 0 else "") + tag_text(tag, cell) + ("" if idx == here else ".T"))
        else:
            words.append(show(Sum({(fs, dims): c}), tag_names(cell)))
    return " + ".join(words).replace("+ -", "- ") or "0"


def _whole(value: Sized, cell: Cell) -> str:
    """The name of the source's parameter that the value is, with its sign or .T; "" if it is not one."""
    names = {block_of(t)[0] for e in value.entries.values() for t in tensors(e)}
    if len(names) != 1:
        return ""
    (name,) = names
    if name not in cell.params:
        return ""
    plain = opaque(cell, name)
    for axes, word in ((plain.axes, name), (plain.axes[::-1], f"{name}.T")):
        if axes != value.axes:
            continue
        for sign in (1, -1):
            turn = {-1: -2, -2: -1} if word != name else {}
            if all(
                e == plain.entries[k if word == name else k[::-1]].rename(turn).scale(sign)
                for k, e in value.entries.items()
            ):
                return word if sign == 1 else f"-{word}"
    return ""


def _term(fs: Any, c: Any) -> dict[str, Any]:
    def index(i: int) -> str:
        return "klmnpq"[i] if i >= 0 else "?jihg"[-i]

    factors = [[*block_of(tag), "".join(map(index, idx)), power] for (tag, idx), power in fs]
    return {"coefficient": str(c), "factors": [[n, list(b), i, p] for n, b, i, p in factors]}
