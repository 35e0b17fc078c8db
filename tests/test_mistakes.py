"""Published mistakes: each file's backward is refused for the reason it states; right ones are not."""

import runpy
from pathlib import Path

import pytest

from minigrad.cells import CELLS
from minigrad.prove import check_backward

FOLDER = Path(__file__).parents[1] / "examples" / "mistakes"
FILES = {p.stem: p for p in sorted(FOLDER.glob("*.py"))}
WRONG = [name for name in FILES if name != "doubted_but_right"]


def test_there_are_at_least_six():
    assert len(WRONG) >= 6


@pytest.mark.parametrize("name", WRONG)
def test_a_published_mistake_is_refused_with_its_reason(name):
    found = runpy.run_path(str(FILES[name]))
    check = check_backward(found["cell"], found["backward"])
    assert check.verdict == "refuted"
    reasons = {f.argument: f.reason for f in check.findings}
    assert sorted(reasons) == sorted(found["REASONS"])
    assert [name for name, why in found["REASONS"].items() if why not in reasons[name]] == []
    assert all(f.point is not None for f in check.findings)


def test_right_backwards_that_readers_doubted_are_proved():
    found = runpy.run_path(str(FILES["doubted_but_right"]))
    assert check_backward(CELLS["rnn"], found["backward"]).verdict == "proved"
    assert check_backward(CELLS["torch_lstm"], found["lstm_backward"]).verdict == "proved"
