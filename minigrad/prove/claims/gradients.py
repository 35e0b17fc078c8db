"""What keeps a gradient through time from vanishing, and when it vanishes or explodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from ...domains.contractions import DELTA, Sum
from ...domains.sizes import Blocks
from ..compare.substitution import Substitution
from ..opened import ONE, Opened, derivative, equal_indices, zero_everywhere
from .statement import Statement, corrected, proved


def cell_line() -> Iterator[Statement]:
    """What keeps dC_t/dC_{t-1} from vanishing."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("lstm", case)
        d, at = derivative(o, o.new("C"), "C")
        yield d - o["F"] * equal_indices(at)

    def zero_weights(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("lstm", case)
        yield o.put(o.new("C"), **dict.fromkeys(o.cell.params, 0)) - o["C"].scale(Fraction(1, 2))

    along = zero_everywhere(formulas)
    yield proved(
        along,
        "along the cell line (h_{t-1} held) ∂C_t/∂C_{t-1} = diag(f_t): the forget gate alone, no weight "
        "matrix, no tanh'; over T steps diag(f_1 ... f_T), which is 1 where every f_t is, and never more",
    )
    halved = zero_everywhere(zero_weights)
    yield corrected(
        "all weights and biases 0: C_t = C_{t-1} / 2 for every x and h, so ∂C_T/∂C_0 = 2^-T" * halved,
        "it vanishes, geometrically, where f_t stays below a number less than 1: an LSTM has the problem too",
    )


def recurrent_line() -> Iterator[Statement]:
    """Why a plain RNN's gradient vanishes or explodes, and that it need not."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("rnn", case)
        new = o.new("h")
        d, at = derivative(o, new, "h")
        rows = {i: k for i, k in at.items() if i == -2}
        yield d - (ONE - new * new) * o["U"].rename({-2: at.get(-1, -2)}) * equal_indices(rows)

    def at_rest(case: Mapping[str, Blocks], scale: int) -> Iterator[Sum]:
        o = Opened("rnn", case)
        d, at = derivative(o, o.new("h"), "h")
        (((fs, _), _),) = o["U"].terms.items()
        ((_, idx), _) = fs[0]
        diagonal = Sum.number(scale) * (Sum.factor(DELTA, (-1, -2)) if len(idx) == 2 else ONE)
        rest = Substitution({"U": diagonal, **dict.fromkeys(("W", "b", "h"), Sum())})
        yield rest(o.new("h"))
        yield rest(d) - equal_indices(at).scale(scale)

    yield proved(
        zero_everywhere(formulas),
        "rnn: ∂h_t/∂h_{t-1} = Uᵀ scaled by 1 - h_t², in (0, 1] for each unit; U enters at every step",
    )
    rest = zero_everywhere(lambda case: at_rest(case, 1)) and zero_everywhere(lambda case: at_rest(case, 2))
    yield corrected(
        "W = 0, b = 0, h = 0: with U = I, ∂h_T/∂h_0 = I for every T; with U = 2 I it is 2^T I" * rest,
        "the gradient of a plain RNN need not vanish; it can stay, or explode",
    )
