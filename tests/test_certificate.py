"""Certificates: every cell's holds for the independent checker, and none that was tampered with does."""

import ast
import copy
import json
from pathlib import Path

import pytest

from minigrad import Cell, cell, exp
from minigrad import verify as module
from minigrad.cells import CELLS, affine
from minigrad.prove.certificate import certificate
from minigrad.verify import verify, verify_file

QUICK = ["rnn", "rnn_words", "torch_rnn_tanh", "torch_rnn_relu", "lstm"]


def through_json(c: Cell) -> dict:
    return json.loads(json.dumps(certificate(c)))


@pytest.mark.parametrize("name", QUICK)
def test_the_certificate_of_a_cell_holds(name):
    assert verify(through_json(CELLS[name])) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in CELLS if n not in QUICK])
def test_the_certificate_of_a_larger_cell_holds(name):
    assert verify(through_json(CELLS[name])) == []


def test_a_cell_with_a_read_out_and_one_of_the_users_own_are_certified():
    @cell(h="n", x="d", W="d n", u="n")
    def diagonal(h, /, x, *, W, u):
        z = exp(-(x @ W))
        return z * (u * h) + x @ W / (3 + z)

    assert verify(through_json(CELLS["rnn"].then(affine))) == []
    assert verify(through_json(diagonal)) == []


@pytest.mark.parametrize("argument", CELLS["rnn"].states + CELLS["rnn"].inputs + CELLS["rnn"].params)
def test_a_changed_gradient_is_refused_by_name(argument):
    data = through_json(CELLS["rnn"])
    data["gradients"][argument][0][1][0][0] = "7/3"
    assert verify(data) == [argument]


def test_a_dropped_term_a_changed_program_and_a_changed_function_are_refused():
    data = through_json(CELLS["rnn"])
    dropped, program, function = (copy.deepcopy(data) for _ in range(3))
    dropped["gradients"]["U"][0][1].pop()
    assert verify(dropped) == ["U"]
    (node,) = [n for n in program["nodes"] if n["op"] == "tanh"]
    node["op"] = "sin"
    assert verify(program)
    (atom,) = function["atoms"]
    function["atoms"][atom][0] = "sin"
    assert verify(function)


def test_what_is_not_a_certificate_is_said_to_be_none(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"format": "something else"}')
    with pytest.raises(ValueError, match="not a minigrad certificate"):
        verify_file(str(path))
    data = through_json(CELLS["rnn"])
    data["nodes"][0]["op"] = "unheard of"
    with pytest.raises(ValueError, match="does not know the operation 'unheard of'"):
        verify(data)


def test_the_checker_is_small_and_imports_nothing_of_the_house():
    source = Path(module.__file__).read_text()
    tree = ast.parse(source)
    code = {node.lineno for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.stmt))}
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    code -= {n.lineno for n in texts}
    assert len(code) <= 155  # lines with code on them, docstrings aside
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert not any(m.startswith((".", "minigrad")) for m in imported)
