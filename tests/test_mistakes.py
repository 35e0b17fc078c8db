"""Published mistakes: each file's backward is refused for the reason it states; right ones are not."""

import runpy
from pathlib import Path

import pytest

from minigrad.prove import check_backward

FOLDER = Path(__file__).parents[1] / "examples" / "mistakes"
FILES = {p.stem: p for p in sorted(FOLDER.glob("*.py")) if p.stem != "__main__"}
PAGE = FOLDER.parents[1] / "docs" / "mistakes.md"
WRONG = [name for name in FILES if name != "doubted_but_right"]


def test_there_are_at_least_six():
    assert len(WRONG) >= 6


@pytest.mark.parametrize("name", WRONG)
def test_a_published_mistake_is_refused_with_its_reason(name):
    found = runpy.run_path(str(FILES[name]))
    check = check_backward(found["cell"], found["backward"])
    assert check.verdict == "refuted"
    reasons = {f.argument: f.what for f in check.findings}
    assert sorted(reasons) == sorted(found["REASONS"])
    assert [name for name, why in found["REASONS"].items() if why not in reasons[name]] == []
    assert all(f.point is not None for f in check.findings)


def test_right_backwards_that_readers_doubted_are_proved():
    found = runpy.run_path(str(FILES["doubted_but_right"]))
    verdicts = {f.__name__: check_backward(c, f).verdict for c, f in found["CHECKED"]}
    assert verdicts == {"backward": "proved", "lstm_backward": "proved", "proposed": "refuted"}


def test_the_page_is_what_the_command_prints(capsys):
    runpy.run_path(str(FOLDER), run_name="__main__")
    assert PAGE.read_text() == capsys.readouterr().out, (
        "docs/mistakes.md is old: python examples/mistakes > docs/mistakes.md"
    )


def test_every_file_says_where_it_was_published():
    for file in FILES.values():
        assert "https://github.com/" in runpy.run_path(str(file))["__doc__"], file
