"""Write the page docs/claims.md.

python -m minigrad.prove.claims > docs/claims.md
"""

from __future__ import annotations

from collections.abc import Iterable

from . import ClaimCheck, check_claims

HEAD = """# What the articles say, checked

Each claim of the articles about their cells is decided here: **proved** for every size of the arrays, or
**corrected**: not right as it is made, with a certified counterexample or an exact formula. A gate is never
exactly 0 or 1 (see below): "with r = 1" speaks of the formula, and is the limit. Rounding is not part of any
statement, except where floating point is named.

Written by `python -m minigrad.prove.claims`; a test compares.
"""


def markdown(checks: Iterable[ClaimCheck] | None = None) -> str:
    """The page docs/claims.md."""
    lines = [HEAD]
    for c in check_claims() if checks is None else checks:
        lines.append(f"## {c.claim.title}\n\nClaimed in {c.claim.source}.\n")
        for f in c.statements:
            lines.append(f"- **{f.verdict}**: {f.text}." + (f"\n  `{f.shown}`" if f.shown else ""))
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
