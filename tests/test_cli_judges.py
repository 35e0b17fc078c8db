"""The commands that judge: check, compare, verify, prove --certificate; the exit status is the answer."""

import json

import pytest
from click.testing import CliRunner

from minigrad.cli import cli

RIGHT = """
import numpy as np
def backward(dh, h, i, W, U, b):
    y = np.tanh(i @ W + h @ U + b)
    d = dh * (1 - y * y)
    return {"W": i.T @ d, "U": h.T @ d, "b": d.sum(axis=0), "i": d @ W.T, "h": d @ U.T}
"""


def run(*words: object):
    return CliRunner().invoke(cli, [str(w) for w in words])


def test_check_accepts_a_right_backward_and_refuses_a_wrong_one(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(RIGHT)
    found = run("check", "rnn", f"{file}:backward")
    assert found.exit_code == 0
    assert found.output.startswith("proved")
    file.write_text(RIGHT.replace("d @ U.T", "d @ U"))
    found = run("check", "rnn", f"{file}:backward")
    assert found.exit_code == 1
    assert "U where its transpose is meant" in found.output


@pytest.mark.parametrize(
    ("a", "b", "status", "text"),
    [
        ("lstm", "lstm", 0, "equal"),
        ("lstm", "torch_lstm", 0, "equal up to a map of weights"),
        ("gru", "torch_gru", 1, "different"),
    ],
)
def test_compare_answers(a, b, status, text):
    found = run("compare", a, b)
    assert (found.exit_code, found.output.partition(":")[0]) == (status, text)


def test_a_certificate_is_left_and_verified(tmp_path):
    file = tmp_path / "rnn.json"
    assert run("prove", "rnn", "--certificate", file).exit_code == 0
    assert run("verify", file).output == "the certificate holds\n"
    file.write_text(file.read_text().replace('"tanh"', '"sin"'))
    found = run("verify", file)
    assert found.exit_code == 1
    assert found.output.startswith("wrong: ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("check", "rnn", "nothing.py"), "which function"),
        (("check", "rnn", "nothing.py:f"), "cannot be read"),
        (("compare", "rnn", "rnm"), "there is no built-in cell 'rnm'"),
        (("verify", "nothing.json"), "does not exist"),
        (("prove", "rnn", "--certificate", "no/such/folder/x.json"), "no/such/folder"),
    ],
)
def test_wrong_usage_is_said(words, text):
    found = run(*words)
    assert found.exit_code != 0
    assert text in found.output


def test_check_and_compare_print_json(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(RIGHT.replace("d @ U.T", "d @ U"))
    found = run("check", "rnn", f"{file}:backward", "--json")
    assert found.exit_code == 1
    (finding,) = json.loads(found.output)["findings"]
    assert finding["gradient"] == "dh"
    assert finding["numpy"][-1].endswith("@ U.T")
    same = json.loads(run("compare", "lstm", "torch_lstm", "--json").output)
    assert "W_xi" in same["weights"]["weight_ih"]
    assert same["point"] is None
    other = json.loads(run("compare", "gru", "torch_gru", "--json").output)
    assert other["verdict"] == "different"
    assert other["mismatches"][0]["b"]
    assert other["point"]["returned"] != other["point"]["right"]
