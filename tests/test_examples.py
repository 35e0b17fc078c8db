"""The examples run as they stand, from an empty folder, and say what their readers are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

SAYS = {
    "01_autograd": [
        "by the engine [0.41997434 1.         0.07065082]",
        "inner = _1 + b",
        "out = tanh(inner)",
    ],
    "02_your_own_cell": [
        "t = 4  h_tilde",
        "|dL/dU_h| =",
        "mgu: argument x: shape (1, 5), expected (d,) with d = 2",
    ],
    "03_prove": ["proved: backward is the backward of rnn", "refuted: slipped", "U where its transpose is"],
    "04_echo": ["repeats 100.0%", "252 of the 300 terms"],
}


def run(example: Path, folder: Path, *args: str) -> subprocess.CompletedProcess:
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(example), *args]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_example_is_known_numbered_and_short():
    assert [e.stem for e in EXAMPLES] == sorted(SAYS)
    assert {e.stem: n for e in EXAMPLES if (n := len(e.read_text().splitlines())) >= 60} == {}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_an_example_runs_and_says_what_it_should(example, tmp_path):
    done = run(example, tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0
    assert [s for s in SAYS[example.stem] if s not in done.stdout] == []


def test_the_picture_of_the_second_example_is_saved_where_it_is_asked_for(tmp_path):
    assert run(EXAMPLES[1], tmp_path, "cell.svg").returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["cell.svg"]
    assert "h_tilde" in (tmp_path / "cell.svg").read_text()
