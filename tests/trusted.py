"""How many lines have to be trusted: `python -m tests.trusted` prints the table of docs/proof.md."""

from __future__ import annotations

import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "minigrad"
BASE = {  # what is trusted -> the files that say it
    "what runs: dispatch, sweep, recording, the loop over time": [
        "engine/core.py", "engine/sweep.py", "engine/program.py", "engine/bptt.py", "engine/scan.py",
        "engine/adjoint.py",
    ],
    "arrays of symbolic size: what an operation means, and their normal form": [
        "domains/blocks.py", "domains/contractions.py", "domains/atoms.py", "domains/sizes.py",
        "domains/layout.py", "domains/lookups.py", "domains/merging.py", "domains/kinks.py",
    ],
    "calculus at every size": ["prove/derivative.py"],
    "polynomials, and calculus entry by entry": [
        "domains/polynomial.py", "domains/generators.py", "domains/elementary.py", "domains/exact.py",
    ],
    "words that do not commute": ["prove/words.py"],
    "what is claimed": [
        "prove/layers.py", "prove/lemmas.py", "prove/scanrule.py", "prove/anysize.py", "prove/cases.py",
        "prove/opaque.py", "prove/parts.py",
        "prove/induction.py",
    ],
    "that the graph which ran is that step": ["prove/runs/audit.py", "prove/runs/forms.py"],
    "that the emitted code is that step": [
        "prove/runs/everysize.py", "prove/runs/textrun.py", "prove/runs/rows.py", "prove/runs/emittedstep.py",
        "prove/backward/numpylike.py", "fast/run.py", "fast/views.py",
    ],
    "instead of all of these, for a certificate": ["verify.py"],
}  # fmt: skip
LAYOUT = (
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.COMMENT,
    tokenize.ENCODING,
)


def code_lines(path: Path) -> int:
    """Lines that hold code: not blank, no comment, no docstring."""
    lines: set[int] = set()
    begins = True  # a statement
    with tokenize.open(path) as f:
        for token in tokenize.generate_tokens(f.readline):
            if token.type in LAYOUT:
                begins = begins or token.type == tokenize.NEWLINE
                continue
            if not (begins and token.type == tokenize.STRING):
                lines.update(range(token.start[0], token.end[0] + 1))
            begins = False
    return len(lines) - 1  # the end of the file is a token of its own


def counts() -> dict[str, int]:
    """Lines of code of each part of the base."""
    return {what: sum(code_lines(ROOT / file) for file in files) for what, files in BASE.items()}


if __name__ == "__main__":
    for what, n in counts().items():
        print(f"| {what} | {', '.join(f'`{file}`' for file in BASE[what])} | {n} |")
