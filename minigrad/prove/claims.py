"""What the articles say of their cells, as checked statements: proved for every size, or corrected.

A gate is set to 0 or 1 in the formulas themselves, of arrays of symbolic size, and normal forms are
compared; a range is a bound over all values, not a sample; derivatives are exact; a correction has a
certified counterexample. `markdown` writes docs/claims.md, and a test keeps the two in step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..cells import CELLS, lstm_misprint
from ..domains.contractions import DELTA, Sum
from ..domains.sizes import ATOMS, Blocks, fresh
from ..engine.core import tensor
from ..engine.functions import sigmoid, tanh
from .compare.comparison import compare
from .compare.substitution import Substitution
from .opened import ONE, RANGES, Opened, apart, bounds, derivative, equal_indices, zero_everywhere
from .points import difference
from .specification.check import check_specification

PROVED, CORRECTED, UNKNOWN = "proved", "corrected", "unknown"


@dataclass(frozen=True)
class Statement:
    """What was decided: proved, corrected (the claim as made is not right), or unknown."""

    verdict: str
    text: str
    shown: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim, who makes it, and the check that decides it."""

    title: str
    source: str
    check: Callable[[], Iterator[Statement]]


def _proved(zero: bool, statement: str, shown: str = "") -> Statement:
    return Statement(PROVED if zero else UNKNOWN, statement, shown)


def _corrected(evidence: str, statement: str, extra: bool = True) -> Statement:
    return Statement(CORRECTED if evidence and extra else UNKNOWN, statement, evidence)


def reset_open() -> Iterator[Statement]:
    """r = 1."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("gru", case)
        plain = o.other("rnn", W="W_xh", U="W_hh", b="b_h")
        yield o.put(o["H_tilda"], R=1) - plain
        yield o.put(o.new("H"), R=1, Z=0) - plain

    zero = zero_everywhere(formulas)
    yield _proved(
        zero, "with r_t = 1 the candidate is the new state of a plain RNN, tanh(x W_xh + h W_hh + b_h)"
    )
    with fresh():
        o = Opened("gru")
        point = apart(
            o.put(o.new("H"), R=1), o.other("rnn", W="W_xh", U="W_hh", b="b_h"), "h_t with r = 1", "the RNN's"
        )
    yield _corrected(point, "the new state h_t is not the plain RNN's; with z_t = 0 as well it is", zero)


def reset_closed() -> Iterator[Statement]:
    """r = 0."""

    def mlp(o: Opened) -> Sum:
        return o.of(lambda X, W, b: tanh(X @ W + b), "X", "W_xh", "b_h")

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("gru", case)
        yield o.put(o["H_tilda"], R=0) - mlp(o)
        yield o.put(o.new("H"), R=0) - (o["Z"] * o["H"] + (ONE - o["Z"]) * mlp(o))

    zero = zero_everywhere(formulas)
    yield _proved(zero, "with r_t = 0 the candidate is tanh(x W_xh + b_h): a one-layer perceptron of x alone")
    with fresh():
        o = Opened("gru")
        point = apart(o.put(o.new("H"), R=0), mlp(o), "h_t with r = 0", "the perceptron")
    yield _corrected(
        point,
        "the old state is not reset by r_t: h_t = z h_{t-1} + (1 - z) tanh(x W_xh + b_h), as z_t says",
        zero,
    )


def convex() -> Iterator[Statement]:
    """h_t between h_{t-1} and the candidate."""
    for name, h, z, candidate in (
        ("gru", "H", "Z", "H_tilda"),
        ("gru_concat", "h", "z", "h_tilde"),
        ("torch_gru", "h", "z", "n"),
    ):

        def formulas(
            case: Mapping[str, Blocks], name: str = name, h: str = h, z: str = z, c: str = candidate
        ) -> Iterator[Sum]:
            o = Opened(name, case)
            yield o.new(h) - (o[z] * o[h] + (ONE - o[z]) * o[c])

        yield _proved(
            zero_everywhere(formulas), f"{name}: h_t = z h_{{t-1}} + (1 - z) {candidate}, with z in (0, 1)"
        )
    with fresh():
        o = Opened("lstm")
        weights = {p: 4 if p.startswith("b") else 0 for p in o.cell.params}
        p = difference(o.put(o.new("C"), C=1, **weights), ONE, ("b", "n"), {"n": 1, "b": 1})
    evidence = (
        f"all weights 0, all biases 4, C_{{t-1}} = 1: C_t = {p.got:.6g} (certified), above 1 and above C̃ < 1"
        if p
        else ""
    )
    yield _corrected(
        evidence,
        "an LSTM's C_t is no such combination: f_t and i_t are two gates, and need not add up to 1",
        bool(p and p.got > 1),
    )


def ranges() -> Iterator[Statement]:
    """Gates in (0, 1), candidates in (-1, 1), and what follows for the states."""
    for name in ("gru", "lstm"):
        with fresh():
            o = Opened(name)
            kinds = {n: ATOMS.definitions[a][0] for n, a in o.atoms.items() if o.side.is_gate(a)}
        sigmoids, tanhs = ([n for n, fn in kinds.items() if fn == f] for f in ("sigmoid", "tanh"))
        found = len(sigmoids) + len(tanhs) == len(kinds)
        words = f"{', '.join(sigmoids)} lie in (0, 1), {', '.join(tanhs)} in (-1, 1): values of σ and tanh"
        yield _proved(found, f"{name}: {words}")
    with fresh():
        o = Opened("gru")
        box = {a: RANGES[ATOMS.definitions[a][0]] for a in o.atoms.values()} | {"H": (-1, 1)}
        inside = bounds(o.new("H"), box) == (-1, 1)
    yield _proved(
        inside,
        "gru: if every entry of h_{t-1} lies in (-1, 1), so does every entry of h_t; so all do, from h_0 = 0",
    )
    with fresh():
        o = Opened("lstm")
        box = {a: RANGES[ATOMS.definitions[a][0]] for a in o.atoms.values()}
        yield _proved(bounds(o.new("H"), box) == (-1, 1), "lstm: every entry of h_t lies in (-1, 1)")
        rest = o.put(o.new("C"), C=0)
        factor = o.put(o.new("C"), C=1) - rest
        linear = not o.new("C") - (factor * o["C"] + rest)
        grows = linear and bounds(factor, box) == (0, 1) and bounds(rest, box) == (-1, 1)
        reached = o.put(o.new("C"), F=1, I=1, C_tilda=1) == o["C"] + ONE
    yield _proved(
        grows and reached,
        "lstm: |C_t| < |C_{t-1}| + 1, so |C_t| < |C_0| + t, which is approached as f, i and C̃ go to 1",
    )
    full = float(tanh(tensor(20.0))) == 1.0 and float(sigmoid(tensor(40.0))) == 1.0
    yield _corrected(
        "tanh(20) == 1 and sigmoid(40) == 1 in float64" * full,
        "in floating point the ends are reached: the intervals are closed there",
    )


def forgetting() -> Iterator[Statement]:
    """f = 0 and f = 1."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("lstm", case)
        yield o.put(o.new("C"), F=0) - o["I"] * o["C_tilda"]
        yield o.put(o.new("C"), F=1, I=0) - o["C"]
        yield o.put(o.new("C"), F=1) - (o["C"] + o["I"] * o["C_tilda"])

    yield _proved(
        zero_everywhere(formulas),
        "f_t = 0 leaves C_t = i C̃; f_t = 1 leaves C_t = C_{t-1} + i C̃, which is C_{t-1} if i_t = 0",
    )


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
    yield _proved(
        along,
        "along the cell line (h_{t-1} held) ∂C_t/∂C_{t-1} = diag(f_t): the forget gate alone, no weight "
        "matrix, no tanh'; over T steps diag(f_1 ... f_T), which is 1 where every f_t is, and never more",
    )
    halved = zero_everywhere(zero_weights)
    yield _corrected(
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

    yield _proved(
        zero_everywhere(formulas),
        "rnn: ∂h_t/∂h_{t-1} = Uᵀ scaled by 1 - h_t², in (0, 1] for each unit; U enters at every step",
    )
    rest = zero_everywhere(lambda case: at_rest(case, 1)) and zero_everywhere(lambda case: at_rest(case, 2))
    yield _corrected(
        "W = 0, b = 0, h = 0: with U = I, ∂h_T/∂h_0 = I for every T; with U = 2 I it is 2^T I" * rest,
        "the gradient of a plain RNN need not vanish; it can stay, or explode",
    )


def one_gate() -> Iterator[Statement]:
    """The update gate of a GRU as an LSTM's forget and input gates."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("gru", case)
        f, i = o["Z"], ONE - o["Z"]
        yield o.new("H") - (f * o["H"] + i * o["H_tilda"])  # equation (4)'s form
        yield o.put(o.new("H"), Z=1) - o["H"]
        yield o.put(o.new("H"), Z=0) - o["H_tilda"]

    yield _proved(
        zero_everywhere(formulas),
        "a GRU updates h as an LSTM updates C, with f_t = z_t and i_t = 1 - z_t; z_t = 1 keeps h_{t-1}, "
        "z_t = 0 replaces it by the candidate",
    )


LSTM = r"""f_t = \sigma(W_f \cdot [h_{t-1}, x_t] + b_f) \tag{1}
i_t = \sigma(W_i \cdot [h_{t-1}, x_t] + b_i) \tag{2}
\tilde C_t = \tanh(W_C \cdot [h_{t-1}, x_t] + b_C) \tag{3}
C_t = f_t \ast C_{t-1} + i_t \ast \tilde C_t \tag{4}
o_t = \sigma(W_o \cdot [h_{t-1}, x_t] + b_o) \tag{5}
h_t = o_t \ast \tanh(C_t) \tag{6}"""
GRU = r"""z_t = \sigma(W_z \cdot [h_{t-1}, x_t] + b_z) \tag{7}
r_t = \sigma(W_r \cdot [h_{t-1}, x_t] + b_r) \tag{8}
\tilde h_t = \tanh(W \cdot [r_t \ast h_{t-1}, x_t]) \tag{9}
h_t = z_t \odot h_{t-1} + (1 - z_t) \odot \tilde h_t \tag{10}"""
MISPRINTED = r"""f_t = \sigma(W_f \times [h_{t-1}, x_t + b_f]) \tag{1}
i_t = \sigma(W_C \times [h_{t-1}, x_t] + b_C) \tag{2}
\hat C_t = \tanh(W_C \times [h_{t-1}, x_t] + b_C) \tag{3}
o_t = \sigma(W_o \times [h_{t-1}, x_t] + b_o) \tag{4}
C_t = f_t \times C_{t-1} + i_t \times \hat C_t \tag{5}
h_t = o_t \times \tanh(C_t) \tag{6}"""


def code_and_equations() -> Iterator[Statement]:
    """Article 001's code blocks against its equations."""
    yield _proved(bool(check_specification(CELLS["lstm"], LSTM)), "lstm: the code computes equations (1)-(6)")
    found = check_specification(CELLS["gru"], GRU)
    wrong = [e for e in found.equations if e.verdict == "refuted"]
    where = found.comparison.failing
    right = (
        found.verdict == "refuted"
        and [e.label for e in wrong] == ["9"]
        and where is not None
        and where.proved
    )
    yield _corrected(
        f"({wrong[0].label}): {wrong[0].why}" if right else "",
        "gru: the code computes (7), (8) and (10), but not (9), which has no bias; equal where "
        + (where.requires if where else ""),
    )


def misprint() -> Iterator[Statement]:
    """Article 002's LSTM equations."""
    found = check_specification(CELLS["lstm"], MISPRINTED)
    wrong = [e for e in found.equations if e.verdict == "refuted"]
    right = found.verdict == "refuted" and [e.variable for e in wrong] == ["f", "i"]
    yield _corrected(
        "; ".join(e.why for e in wrong) if right else "", "its equations for f_t and i_t are not an LSTM's"
    )
    back = compare(lstm_misprint, CELLS["lstm_concat"]).weights
    words = ", ".join(f"{p} = {back.text(p)}" for p in back.changed()) if back else ""
    yield _proved(bool(back), f"what they define is the LSTM whose weights are tied: {words}")


CLAIMS = (
    Claim("Reset gate near 1: a plain RNN", "article 001, on equation (9)", reset_open),
    Claim(
        "Reset gate near 0: a perceptron of x, the old state reset",
        "article 001, on equation (9)",
        reset_closed,
    ),
    Claim("The new state is a convex combination", "article 001, on equation (10)", convex),
    Claim("Gates lie in (0, 1), candidates in (-1, 1)", "articles 001 and 002", ranges),
    Claim("A forget gate near 0 forgets, near 1 keeps", "article 001, on equations (1) and (4)", forgetting),
    Claim("An LSTM is not bothered by vanishing gradients", "article 002", cell_line),
    Claim("A plain RNN's gradient vanishes or explodes", "article 002", recurrent_line),
    Claim("A GRU merges the forget and input gates into its update gate", "article 001", one_gate),
    Claim("The code is the equations", "article 001", code_and_equations),
    Claim("The equations are an LSTM's", "article 002", misprint),
)


@dataclass(frozen=True)
class ClaimCheck:
    """A claim with what was found."""

    claim: Claim
    statements: tuple[Statement, ...]
    seconds: float

    @property
    def verdict(self) -> str:
        """proved if all of it is; unknown if anything is; else corrected."""
        verdicts = {f.verdict for f in self.statements}
        return PROVED if verdicts == {PROVED} else UNKNOWN if UNKNOWN in verdicts else CORRECTED

    def __str__(self) -> str:
        lines = [
            f"  {f.verdict}: {f.text}" + (f"\n    {f.shown}" if f.shown else "") for f in self.statements
        ]
        return "\n".join([f"{self.verdict}: {self.claim.title} ({self.claim.source})", *lines])


def check_claims() -> list[ClaimCheck]:
    """Every claim of the articles, checked."""
    out = []
    for claim in CLAIMS:
        start = time.perf_counter()
        found = tuple(claim.check())
        out.append(ClaimCheck(claim, found, time.perf_counter() - start))
    return out


HEAD = """# What the articles say, checked

Each claim of the articles about their cells is decided here: **proved** for every size of the arrays, or
**corrected**: not right as it is made, with a certified counterexample or an exact formula. A gate is never
exactly 0 or 1 (see below): "with r = 1" speaks of the formula, and is the limit. Rounding is not part of any
statement, except where floating point is named.

Written by `python -m minigrad.prove.claims`; a test compares.
"""


def markdown(checks: Iterable[ClaimCheck] | None = None) -> str:
    """The page docs/claims.md."""
    lines = [HEAD]
    for c in check_claims() if checks is None else checks:
        lines.append(f"## {c.claim.title}\n\nClaimed in {c.claim.source}.\n")
        for f in c.statements:
            lines.append(f"- **{f.verdict}**: {f.text}." + (f"\n  `{f.shown}`" if f.shown else ""))
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
