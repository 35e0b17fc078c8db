"""The equations beside a picture are the cell's own: evaluated as they are written, they give its numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from draw_laws import STRANGERS, random_cell

from minigrad import Cell, cell, tanh
from minigrad.cells import CELLS
from minigrad.draw.equations import LONGEST, Equations
from minigrad.draw.fold import fold
from minigrad.draw.names import pretty
from minigrad.draw.picture import example_run
from minigrad.draw.steps import Recording, of_unrolled

ALL = CELLS | {c.name: c for c in STRANGERS.values()}
FUNCTIONS = {
    "tanh": np.tanh, "σ": lambda v: 1 / (1 + np.exp(-v)), "relu": lambda v: np.maximum(v, 0), "exp": np.exp,
    "√": np.sqrt, "Σ": lambda v: v.sum(-1, keepdims=True),
    "lse": lambda v: np.log(np.exp(v).sum(-1, keepdims=True)),
}  # fmt: skip
SIGNS = (
    (" + ", "+"), (" − ", "-"), (" ⊙ ", "*"), (" · ", "*"), (" ÷ ", "/"), ("e−", "e-"), (", ", ","), (" ", "**"),
)  # fmt: skip
NAME = re.compile(r"[^\W\d][\w\u0300-\u036f]*[₀-₉]*|[√Σ]")


class Rows(np.ndarray):
    """Arrays whose matrix product binds more tightly than *, as it does on paper."""

    def __pow__(self, other):
        return self @ other


def recorded(c: Cell) -> Recording:
    return of_unrolled(example_run(c, 2, 0))


def known(rec: Recording, t: int) -> dict[str, np.ndarray]:
    """The numbers of all names of step t, by the name as it is shown."""
    found = {pretty(n): p.value for n, p in zip(rec.param_names, rec.params, strict=True)}
    found |= {
        pretty(n, t - 1): s.value for n, s in zip(rec.states, rec.carried[t - 1], strict=True) if s is not None
    }
    found |= {pretty(n, t): x.value for n, x in zip(rec.inputs, rec.steps[t - 1].inputs, strict=True)}
    return found | {pretty(n.name, t): n.value for n in rec.steps[t - 1].nodes if n.name}


def evaluate(text: str, names: dict[str, np.ndarray]) -> np.ndarray:
    """A right side as numbers: ⊙ multiplies entries, a space is a matrix product, [a, b] concatenates."""
    scope: dict = {f"v{i}": np.asarray(v).view(Rows) for i, v in enumerate(names.values())}
    scope |= {f"f{i}": f for i, f in enumerate(FUNCTIONS.values())}
    place = {n: f"v{i}" for i, n in enumerate(names)} | {n: f"f{i}" for i, n in enumerate(FUNCTIONS)}
    for sign, python in SIGNS:
        text = text.replace(sign, python)
    text = NAME.sub(lambda m: place.get(m[0], m[0]), text.replace("ᵀ", ".T"))
    text = re.sub(r"\[(\d+:\d+)\]", r"[...,\1]", text)
    text = re.sub(r"(?<![\w)])\[([^\[\]]*)\]", r"cat(\1)", text)
    return eval(text, {**scope, "cat": lambda *a: np.concatenate(a, -1).view(Rows)})


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_equation_gives_the_number_of_its_node(name: str):
    rec = recorded(ALL[name])
    equations, names = Equations(rec, 2), known(rec, 2)
    step, count = rec.steps[1], 0
    for p in fold(step, "ops", rec.names()).parts.values():
        text = equations.of_node(p.head)
        if text.endswith("…") or "…)" in text:
            continue
        right = text.partition(" = ")[2] or text
        np.testing.assert_allclose(evaluate(right, names), step.nodes[p.head].value, rtol=1e-12, atol=1e-14)
        count += 1
    assert count


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_part_has_one_line_for_each_name_and_its_own_last(name: str):
    rec = recorded(ALL[name])
    equations = Equations(rec, 2)
    for p in fold(rec.steps[1], "gates", rec.names()).parts.values():
        if p.kind == "joint":
            continue
        lines = equations.of_part(p)
        left = [text.partition(" = ")[0] for text in lines[:-1]]
        assert len({*left, lines[-1]}) == len(lines)
        assert lines[-1] == equations.of_node(p.head)
        if p.name:
            assert lines[-1].startswith(f"{pretty(p.name, 2)} = ")


def test_an_lstm_has_the_equations_of_its_code():
    rec = recorded(CELLS["lstm"])
    equations = Equations(rec, 2)
    shown = [equations.of_part(p)[0] for p in fold(rec.steps[1], "gates").parts.values() if p.name]
    assert shown == [
        "I₂ = σ(X₂ W_xi + H₁ W_hi + b_i)", "F₂ = σ(X₂ W_xf + H₁ W_hf + b_f)", "O₂ = σ(X₂ W_xo + H₁ W_ho + b_o)",
        "C\u0303₂ = tanh(X₂ W_xc + H₁ W_hc + b_c)", "C₂ = F₂ ⊙ C₁ + I₂ ⊙ C\u0303₂", "H₂ = O₂ ⊙ tanh(C₂)",
    ]  # fmt: skip


def test_a_node_that_is_read_twice_again_and_again_does_not_grow_without_end():
    @cell(h="n", x="n")
    def doubling(h, /, x):
        for _ in range(40):
            x = tanh(x + x * x)
        return h + x

    rec = recorded(doubling)
    texts = [Equations(rec, 1).of_node(i) for i in range(len(rec.steps[0].nodes))]
    assert max(map(len, texts)) <= LONGEST
    assert texts[-1] == "h₁ = h₀ + x₁"


@pytest.mark.parametrize("seed", range(6))
def test_random_cells_have_equations_with_matching_brackets(seed: int):
    rec = recorded(random_cell(seed, 24))
    for p in fold(rec.steps[1], "gates").parts.values():
        if p.kind != "joint":
            for text in Equations(rec, 2).of_part(p):
                assert text.endswith("…") or text.count("(") == text.count(")")
