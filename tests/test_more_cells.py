"""Every row of the table, and every function that users call, in a cell that is proved for all sizes."""

from __future__ import annotations

import inspect
import re

import pytest
from in_floats import GENERAL, InFloats, rows_of
from more_cells import MORE
from own_cells import OWN
from planted import planted, wrong_rules

from minigrad.engine import functions
from minigrad.engine.core import TABLE
from minigrad.prove.anysize import IN_PARTS, all_sizes, step_lemma

LARGE = {"sixty_nodes", "normed_gates"}
CASES = {"one_unit": 10, "shifted": 3}  # of entries that are told apart: no general case
ROWS = {n: rows_of(c) for n, c in MORE.items() if n not in CASES}
NOT_IN_A_CELL = {
    "scan": "a loop inside a step: scanrule.py proves the row",
    "place": "it is the vjp of index; no function makes it", "scatter": "it is the vjp of gather",
    "alias": "made by grad and program, not by a cell's code", "cast": "reals have no precision",
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_a_cell_is_proved_for_all_sizes(name):
    found = all_sizes(MORE[name])
    assert [str(c) for c in found if c.verdict != "proved"] == []
    assert not [k for c in found for k in c.conditions if "!=" in k]
    assert (IN_PARTS in found[0].conditions) == (name in LARGE)
    if name in CASES:
        assert len(found) == CASES[name]
    else:
        assert found[0].case == {}


def test_every_row_is_in_a_cell_that_is_proved():
    with_vjp = {n for n, row in TABLE.items() if row.vjp is not None}
    assert with_vjp - {r for rows in ROWS.values() for r in rows} == {*NOT_IN_A_CELL}


def test_every_function_is_in_a_cell():
    source = "".join(inspect.getsource(c.fn) for c in (*MORE.values(), *OWN.values()))
    makes_data, losses = {"manual_seed", "ones", "randn", "zeros"}, {"cross_entropy", "mse", "nll"}
    used = {n for n in functions.__all__ if re.search(rf"\W{n}\(", source)}
    assert {*functions.__all__} - used == makes_data | losses


FEW = {"add": 2, "mul": 2, "reshape": 2, "sum": 2, "matmul": 2, "index": 2}
PLANTS = [
    pytest.param(MORE[n], row, name, id=f"{n}-{row}-{name}")
    for row in sorted({r for rows in ROWS.values() for r in rows})
    for n in sorted([n for n, rows in ROWS.items() if row in rows and n not in LARGE])[: FEW.get(row, 1)]
    for name in ("sign", "factor")
]


@pytest.mark.parametrize(("c", "row", "name"), PLANTS)
def test_a_wrong_rule_is_refused(c, row, name):
    """The arguments named are those whose gradient changes in floating point."""
    run = InFloats(c, GENERAL)
    right = run.gradients()
    with planted(TABLE[row], wrong_rules(TABLE[row])[name]):
        spoilt = run.changed(right)
        found = step_lemma(c)
    assert spoilt
    assert set(found.wrong) == spoilt
    assert found.verdict == "refuted"


@pytest.mark.parametrize(("name", "row"), [("sixty_nodes", "tanh"), ("normed_gates", "sigmoid")])
def test_a_wrong_rule_in_a_large_cell_is_not_proved(name, row):
    """It may be wrong only for values that its part never meets, so the verdict can be unknown."""
    with planted(TABLE[row], wrong_rules(TABLE[row])["sign"]):
        found = step_lemma(MORE[name])
    assert found.verdict in ("unknown", "refuted")
    assert found.wrong
