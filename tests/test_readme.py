"""The README keeps its word: its example runs, its two commands are those in use, its claims have tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_example_runs_and_prints_what_its_comments_say(tmp_path, monkeypatch, capsys):
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "(16, 16)"
    assert second.startswith("BPTT of mgu: proved")
    assert "h_tilde" in (tmp_path / "mgu.svg").read_text(encoding="utf-8")


def test_there_are_two_commands_of_one_line_each():
    run, test = blocks("sh")
    assert run == "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/minigrad tour\n"
    assert test == "python3 -m venv .venv && .venv/bin/pip install -q -e '.[tests]' && .venv/bin/pytest -n auto\n"
    assert PROJECT["scripts"] == {"minigrad": "minigrad.cli:main"}


def test_ci_runs_the_test_command_and_nothing_after_it():
    ci = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"grep -E '(.*)' README.md", ci)[1]
    assert re.findall(f"{pattern}.*", README, flags=re.MULTILINE) == [blocks("sh")[1].rstrip()]
    assert ci.rstrip().endswith('\neval "$tests"')


def test_every_dependency_is_explained():
    needed = [re.match(r"[\w-]+", d)[0] for d in PROJECT["dependencies"]]
    explained = re.findall(r"^- `([\w-]+)`: \w", section("What it needs"), flags=re.MULTILINE)
    assert sorted(explained) == sorted(needed)


def test_every_claim_names_a_test_that_is_there():
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", README)
    assert len(named) >= 5
    missing = [f"{file}::{name}" for file, name in named if f"\ndef {name}(" not in (ROOT / file).read_text()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"(?:\]\(|src(?:set)?=\")([^)#\"]+)", page.read_text(encoding="utf-8"))
    assert [x for x in links if not x.startswith("https://") and not (page.parent / x).exists()] == []
