"""What gates do: at their ends, between them, and to the range of the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...domains.contractions import Sum
from ...domains.sizes import ATOMS, Blocks, fresh
from ...engine.core import tensor
from ...engine.functions import sigmoid, tanh
from ..opened import ONE, RANGES, Opened, apart, bounds, zero_everywhere
from ..points import difference
from .statement import Statement, corrected, proved


def reset_open() -> Iterator[Statement]:
    """r = 1."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("gru", case)
        plain = o.other("rnn", W="W_xh", U="W_hh", b="b_h")
        yield o.put(o["H_tilda"], R=1) - plain
        yield o.put(o.new("H"), R=1, Z=0) - plain

    zero = zero_everywhere(formulas)
    yield proved(
        zero, "with r_t = 1 the candidate is the new state of a plain RNN, tanh(x W_xh + h W_hh + b_h)"
    )
    with fresh():
        o = Opened("gru")
        point = apart(
            o.put(o.new("H"), R=1), o.other("rnn", W="W_xh", U="W_hh", b="b_h"), "h_t with r = 1", "the RNN's"
        )
    yield corrected(point, "the new state h_t is not the plain RNN's; with z_t = 0 as well it is", zero)


def reset_closed() -> Iterator[Statement]:
    """r = 0."""

    def mlp(o: Opened) -> Sum:
        return o.of(lambda X, W, b: tanh(X @ W + b), "X", "W_xh", "b_h")

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("gru", case)
        yield o.put(o["H_tilda"], R=0) - mlp(o)
        yield o.put(o.new("H"), R=0) - (o["Z"] * o["H"] + (ONE - o["Z"]) * mlp(o))

    zero = zero_everywhere(formulas)
    yield proved(zero, "with r_t = 0 the candidate is tanh(x W_xh + b_h): a one-layer perceptron of x alone")
    with fresh():
        o = Opened("gru")
        point = apart(o.put(o.new("H"), R=0), mlp(o), "h_t with r = 0", "the perceptron")
    yield corrected(
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

        yield proved(
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
    yield corrected(
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
        yield proved(found, f"{name}: {words}")
    with fresh():
        o = Opened("gru")
        box = {a: RANGES[ATOMS.definitions[a][0]] for a in o.atoms.values()} | {"H": (-1, 1)}
        inside = bounds(o.new("H"), box) == (-1, 1)
    yield proved(
        inside,
        "gru: if every entry of h_{t-1} lies in (-1, 1), so does every entry of h_t; so all do, from h_0 = 0",
    )
    with fresh():
        o = Opened("lstm")
        box = {a: RANGES[ATOMS.definitions[a][0]] for a in o.atoms.values()}
        yield proved(bounds(o.new("H"), box) == (-1, 1), "lstm: every entry of h_t lies in (-1, 1)")
        rest = o.put(o.new("C"), C=0)
        factor = o.put(o.new("C"), C=1) - rest
        linear = not o.new("C") - (factor * o["C"] + rest)
        grows = linear and bounds(factor, box) == (0, 1) and bounds(rest, box) == (-1, 1)
        reached = o.put(o.new("C"), F=1, I=1, C_tilda=1) == o["C"] + ONE
    yield proved(
        grows and reached,
        "lstm: |C_t| < |C_{t-1}| + 1, so |C_t| < |C_0| + t, which is approached as f, i and C̃ go to 1",
    )
    full = float(tanh(tensor(20.0))) == 1.0 and float(sigmoid(tensor(40.0))) == 1.0
    yield corrected(
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

    yield proved(
        zero_everywhere(formulas),
        "f_t = 0 leaves C_t = i C̃; f_t = 1 leaves C_t = C_{t-1} + i C̃, which is C_{t-1} if i_t = 0",
    )


def one_gate() -> Iterator[Statement]:
    """The update gate of a GRU as an LSTM's forget and input gates."""

    def formulas(case: Mapping[str, Blocks]) -> Iterator[Sum]:
        o = Opened("gru", case)
        f, i = o["Z"], ONE - o["Z"]
        yield o.new("H") - (f * o["H"] + i * o["H_tilda"])  # equation (4)'s form
        yield o.put(o.new("H"), Z=1) - o["H"]
        yield o.put(o.new("H"), Z=0) - o["H_tilda"]

    yield proved(
        zero_everywhere(formulas),
        "a GRU updates h as an LSTM updates C, with f_t = z_t and i_t = 1 - z_t; z_t = 1 keeps h_{t-1}, "
        "z_t = 0 replaces it by the candidate",
    )
