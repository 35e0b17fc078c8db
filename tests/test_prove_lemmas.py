"""The primitive lemmas: every row is proved, and every planted fault is refused by its row's name."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from minigrad.domains import exact, symbols
from minigrad.domains.elementary import Derivation
from minigrad.domains.generators import fresh
from minigrad.domains.polynomial import symbol
from minigrad.engine.core import TABLE, Primitive, leaf, recording
from minigrad.engine.primitives import Part
from minigrad.prove import lemmas
from minigrad.prove.equality import from_sympy
from minigrad.prove.examples import EXAMPLES
from minigrad.prove.lemmas import inner, lemma

DIFFERENTIABLE = [row for row in TABLE.values() if row.vjp is not None]


def each(rule, change):
    """The rule with every cotangent changed."""

    def wrong(*args, **params):
        found = rule(*args, **params)
        return tuple(
            None if d is None else Part(d.i, change(d.g)) if isinstance(d, Part) else change(d) for d in found
        )

    return wrong


def without_first(rule):
    def wrong(*args, **params):
        found = list(rule(*args, **params))
        found[next(i for i, d in enumerate(found) if d is not None)] = None
        return tuple(found)

    return wrong


def raising(rule):
    def wrong(*args, **params):
        raise KeyError("planted")

    return wrong


FAULTS = {
    "sign": lambda rule: each(rule, lambda g: -g),
    "doubled": lambda rule: each(rule, lambda g: g + g),
    "one more": lambda rule: each(rule, lambda g: g + 1),
    "dropped": without_first,
    "raises": raising,
}


def test_every_row_is_proved():
    proof = lemmas()
    assert [c.name for c in proof.checks] == list(TABLE)
    assert [c.name for c in proof.checks if c.verdict != "proved"] == []
    assert bool(proof)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("row", DIFFERENTIABLE, ids=str)
def test_a_wrong_vjp_is_refused_by_name(row, fault):
    proof = lemmas(TABLE | {row.name: replace(row, vjp=FAULTS[fault](row.vjp))})
    assert [c.name for c in proof.checks if c.verdict == "refuted"] == [row.name]
    assert proof.verdict == "refuted"
    assert proof.counterexample.what.startswith(f"{row.name}: d x")


def test_a_wrong_shape_is_refused():
    proof = lemmas({"tanh": replace(TABLE["tanh"], vjp=lambda g, y, x: (g.sum(),))})
    assert proof.verdict == "refuted"
    assert "tanh" in str(proof.counterexample)


def test_a_counterexample_is_a_rational_point_with_both_values():
    proof = lemmas({"tanh": replace(TABLE["tanh"], vjp=lambda g, y, x: (g * (1 + y * y),))})
    point = proof.counterexample.point
    x, g = (float(v) for k, v in sorted(point.values.items(), reverse=True))
    assert float(point.true) == pytest.approx(g * (1 - math.tanh(x) ** 2), rel=1e-5)
    assert float(point.got) == pytest.approx(g * (1 + math.tanh(x) ** 2), rel=1e-5)


def test_a_row_without_examples_is_unknown_and_named():
    proof = lemmas({"new": Primitive("new", "pointwise", "new", lambda m, x: x, lambda g, y, x: (g,))})
    assert proof.verdict == "unknown"
    assert "no example of new" in str(proof)


@pytest.mark.parametrize("name", TABLE)
def test_every_example_uses_its_row(name):
    other = "neg" if name != "neg" else "tanh"
    with pytest.raises(ValueError, match="does not use that row"):
        lemma(TABLE[name], EXAMPLES[other])
    assert lemma(TABLE[name], EXAMPLES[name]).verdict == "proved"


@pytest.mark.parametrize(
    "name", [n for n in EXAMPLES if n not in ("scan", "is_max", "max", "scatter", "place")]
)
def test_the_derivation_equals_sympy_diff(name):
    """The facts that the provers use, and their product and chain rule, against sympy's own."""
    for example in EXAMPLES[name]:
        with fresh():
            results = {}
            for make in (exact.array, symbols.array):
                shapes = enumerate(example.shapes)
                if make is symbols.array and example.positive:
                    xs = [positive_symbols(f"x{k}", *s) for k, s in shapes]
                else:
                    xs = [
                        make(f"x{k}", *s, **({"positive": True} if example.positive else {}))
                        for k, s in shapes
                    ]
                with recording("off"):
                    outs = example.fn(*map(leaf, xs))
                outs = [o.value for o in (outs if isinstance(outs, list) else [outs])]
                g = [make(f"g{k}", *o.shape) for k, o in enumerate(outs)]
                results[make] = xs, g, outs
            xs, g, outs = results[exact.array]
            phi, d = inner(g, outs), Derivation()
            mine = [d(phi, e) for x in xs for e in x.flat]
            xs, g, outs = results[symbols.array]
            phi = sum(
                (a * b for u, v in zip(g, outs, strict=True) for a, b in zip(u.flat, v.flat, strict=True)),
                sp.S.Zero,
            )
            theirs = [from_sympy(sp.diff(phi, e)) for x in xs for e in x.flat]
            assert mine == theirs


def positive_symbols(name, *shape):
    out = np.empty(shape, dtype=object)
    for i in np.ndindex(*shape):
        out[i] = sp.Symbol("_".join([name, *map(str, i)]), positive=True)
    return out


def test_side_conditions_are_stated():
    by_name = {c.name: c.conditions for c in lemmas().checks}
    assert any("kink" in c for c in by_name["relu"])
    assert any("positive" in c for c in by_name["log"])
    assert any("divisor" in c for c in by_name["div"])
    assert by_name["tanh"] == by_name["matmul"] == ()


def test_symbols_with_and_without_a_sign_are_two():
    with fresh():
        assert symbol("x") != symbol("x", positive=True)
