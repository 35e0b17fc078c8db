"""`minigrad spec`: equations in a file against the code of a cell, from the command line."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest

from minigrad.cells import CELLS
from minigrad.cli import main
from minigrad.prove import derive

EQUATIONS = sorted((Path(__file__).parents[1] / "examples" / "equations").glob("*.tex"))


@pytest.fixture
def spec(capsys):
    """Run the command: (status, standard output, standard error)."""

    def run(*args):
        with pytest.raises(SystemExit) as left:
            main(["spec", *map(str, args)])
        return left.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("file", EQUATIONS, ids=lambda f: f.stem)
def test_the_command_that_an_example_names_proves_it(spec, file, monkeypatch):
    monkeypatch.chdir(file.parents[2])
    (line,) = (x for x in file.read_text().splitlines() if "minigrad spec" in x)
    status, out, _ = spec(*shlex.split(line.partition("minigrad spec")[2]))
    assert status == 0
    assert out.startswith("proved: ")


def test_the_map_of_weights_and_the_gate_of_the_opposite_sense_are_printed(spec):
    _, out, _ = spec("gru", EQUATIONS[0])
    assert r"proved: z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z)   [1 - Z]" in out
    assert "W_z = -W_xz.T" in out


def test_a_wrong_equation_is_refuted_with_its_reason(spec):
    status, out, _ = spec("torch_gru", EQUATIONS[0])
    assert status == 1
    assert "r acts after the product with weight_hh[2*n:] in torch_gru, before the product with U" in out


def test_equations_come_from_a_pipe_too(spec, monkeypatch):
    lines = "\n".join(f"{x.left.tex} = {x.right.tex}" for x in derive(CELLS["lstm"]).equations)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    status, out, _ = spec("lstm", "-")
    assert (status, out.count("proved")) == (0, 7)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no equation in this text; write one in each line"),
        ("h_t = (x_t", "column"),
        ("h_t = \\nosuch(x_t)", "nosuch"),
        (b"\xff\xfe", "can't decode byte 0xff"),
    ],
)
def test_what_cannot_be_read_is_bad_input(spec, tmp_path, text, match):
    file = tmp_path / "e.tex"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    status, out, err = spec("rnn", file)
    assert (status, out) == (2, "")
    assert match in err
    assert "Traceback" not in err


def test_a_file_that_is_not_there(spec):
    status, _, err = spec("rnn", "nowhere.tex")
    assert status == 2
    assert "nowhere.tex" in err
