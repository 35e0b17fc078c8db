"""The sizes of what is multiplied: a_j = d s_j / d w and the blocks of b_j = d s_j / d s_{j-1}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.core import Tensor, leaf
from ..engine.forward import jvp
from .graph import Array, Piece

DENSE = 256  # rows; a larger Jacobian is not written out
PRECISION = 1e-6  # relative change at which the power iteration stops
ROUNDS = 200


@dataclass(frozen=True)
class Factor:
    """A Jacobian by its size. value: its one entry, if it has only one; norm: Frobenius's, if written out.

    largest: its leading singular value, by how much it can stretch at most.
    """

    value: float | None
    norm: float | None
    largest: float

    def __str__(self) -> str:
        return short(self.largest if self.value is None else self.value)

    @property
    def size(self) -> float:
        """How large it is: |value|, or the leading singular value."""
        return self.largest if self.value is None else abs(self.value)


def short(v: float, digits: int = 2) -> str:
    """A number for a picture: 0.23, or 2.3e−4 where that would be too small to see."""
    if not np.isfinite(v) or v == 0:
        return str(v).replace("-", "−") if v else "0"
    if 10.0**-digits <= abs(v) < 10_000:
        text = f"{v:.{digits if abs(v) < 100 else 0}f}"
    else:
        mantissa, _, exponent = f"{v:.1e}".partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def percent(v: float) -> str:
    """A share as it is written."""
    return f"{v + 0.0 if abs(v) >= 0.0005 else 0.0:.1%}".replace("-", "−") if np.isfinite(v) else str(v)


def together(found: Iterable[Factor]) -> float:
    """Blocks of one Jacobian as one number: the number itself, their norm, or the largest that is known."""
    blocks = list(found)
    if len(blocks) == 1 and blocks[0].value is not None:
        return blocks[0].value
    norms = [f.norm for f in blocks if f.norm is not None]
    whole = len(norms) == len(blocks)
    return float(np.sqrt(sum(n * n for n in norms))) if whole else max(f.largest for f in blocks)


@np.errstate(all="ignore")
def factors(
    piece: Piece, sinks: Sequence[Tensor], sources: Mapping[int, Tensor]
) -> dict[tuple[int, int], Factor]:
    """(k, m) -> the Jacobian of sinks[k] by sources[m] within a piece; a pair without one is left out."""
    moved = {m: piece.moved({x.id}) for m, x in sources.items()}
    pairs = [(k, m) for k, s in enumerate(sinks) for m in sources if s.id in moved[m]]
    if max(int(s.value.size) for s in sinks) > DENSE:
        return {(k, m): Factor(None, None, leading(piece, sinks[k], sources[m])) for k, m in pairs}
    rows: dict[tuple[int, int], list[Array]] = {p: [] for p in pairs}
    for k in sorted({k for k, _ in pairs}):
        for unit in np.eye(int(sinks[k].value.size), dtype=sinks[k].dtype):
            cots = piece({sinks[k].id: unit.reshape(sinks[k].shape)})
            for m in (m for one, m in pairs if one == k):
                rows[k, m].append(cots[sources[m].id].reshape(-1))
    return {pair: _factor(np.array(found)) for pair, found in rows.items()}


def _factor(J: Array) -> Factor:
    finite = bool(np.isfinite(J).all())
    largest = float(np.linalg.norm(J, 2)) if finite else float("nan")
    return Factor(float(J.item()) if J.size == 1 else None, float(np.linalg.norm(J)), largest)


def leading(piece: Piece, sink: Tensor, source: Tensor) -> float:
    """The leading singular value of d sink / d source by power iteration, from below, with jvp and vjp."""
    at = [x.id for x in piece.inputs].index(source.id)
    out = [o.id for o in piece.outputs].index(sink.id)
    v = np.random.default_rng(0).standard_normal(source.shape)
    found = 0.0
    for _ in range(ROUNDS):
        v = v / np.linalg.norm(v)
        tangents = [leaf(v if k == at else np.zeros(x.shape)) for k, x in enumerate(piece.inputs)]
        along = jvp(lambda *xs: piece.program.on_tensors(xs)[out], piece.inputs, tangents)[1].value
        before, found = found, float(np.linalg.norm(along))
        if not np.isfinite(found) or abs(found - before) <= PRECISION * found:
            break
        v = piece({sink.id: along})[source.id]
    return found
