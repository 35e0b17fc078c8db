"""docs/proof.md names files that exist, and the trusted base is no larger than it says."""

from __future__ import annotations

import re
from pathlib import Path

import trusted

PAGE = (trusted.ROOT.parent / "docs" / "proof.md").read_text(encoding="utf-8")
PLACES = (trusted.ROOT, trusted.ROOT.parent, trusted.ROOT.parent / "tests")


def test_the_files_that_the_page_names_exist():
    files = set(re.findall(r"`([\w/]+\.py)`", PAGE))
    assert len(files) > 20
    assert [f for f in sorted(files) if not any((place / f).exists() for place in PLACES)] == []


def test_the_trusted_base_is_no_larger_than_the_page_says():
    said = {
        what: (re.findall(r"`([\w/]+\.py)`", files), int(most))
        for what, files, most in re.findall(r"^\| ([^|`]+) \| (`[^|]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    }
    assert {what: files for what, (files, _) in said.items()} == trusted.BASE
    more = {what: n for what, n in trusted.counts().items() if n > said[what][1]}
    assert more == {}, "delete some of these lines, or say in docs/proof.md that there are more"


def test_lines_of_code_are_neither_blank_nor_comments_nor_docstrings(tmp_path: Path):
    file = tmp_path / "some.py"
    file.write_text('"""Doc\n\nstring."""\n\na = 1  # why\n# why\ndef f():\n    """Doc."""\n    return """x\n\ny"""\n')
    assert trusted.code_lines(file) == 5
