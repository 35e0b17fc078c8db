"""Write the page docs/mistakes.md: what `minigrad check` says of each file beside this one.

python examples/mistakes > docs/mistakes.md
"""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

from minigrad.cells import Cell
from minigrad.prove import BackwardCheck, check_backward
from minigrad.prove.backward.findings import Finding

HERE = Path(__file__).parent
FILES = [p for p in sorted(HERE.glob("*.py")) if p.stem != "__main__"]
HEAD = """# Published mistakes, checked

Backwards of recurrent networks as they were published, in books, courses, notebooks and libraries, and what
`minigrad check` says of each. Where the original is a formula, or is not at hand, the file says how it was
written down. A wrong gradient is shown at a point of certified arithmetic, for the smallest number of steps that
shows it; a right one is proved for every size and every number of steps.

Check one yourself, here or with a backward of your own:

    minigrad check examples/mistakes/d2l_bptt_product.py:cell examples/mistakes/d2l_bptt_product.py:backward

Written by `python examples/mistakes > docs/mistakes.md`; a test compares.
"""


def page() -> str:
    """The page, from what the checks find now."""
    return "\n".join([HEAD, *(part for file in FILES for part in section(file))])


def section(file: Path) -> Iterator[str]:
    """One file: where it was published and what is claimed, the verdict, the mistake and the right line."""
    found = runpy.run_path(str(file))
    title, _, said = found["__doc__"].strip().partition("\n")
    link = f"[{file.name}](../examples/mistakes/{file.name})"
    yield f"## {title.rstrip('.')}\n\n{linked(said.strip())}\n\nThe file: {link}.\n"
    for cell, backward in found.get("CHECKED", [(found["cell"], found["backward"])]):
        yield from verdict(cell, backward.__name__, check_backward(cell, backward))


def linked(text: str) -> str:
    """Addresses as links."""
    return re.sub(r"https://[^\s,;)]+", lambda m: f"<{m[0].rstrip('.:')}>{m[0][len(m[0].rstrip('.:')):]}", text)


def verdict(cell: Cell, name: str, check: BackwardCheck) -> Iterator[str]:
    """What the check says: each mistake once, with the gradients it is in, a point, and the right lines."""
    yield f"**{check.verdict}**: `{name}`, as a backward of `{cell.name}`.\n"
    groups: dict[tuple[str, int | None], list[Finding]] = {}
    for f in check.findings:
        groups.setdefault((f.what, f.T), []).append(f)
    for (what, T), findings in groups.items():
        first = findings[0]
        gradients = ", ".join(f"`d{f.argument}`" for f in findings)
        yield f"- {gradients}{f', from T = {T} steps on' if T and T > 1 else ''}: {what}."
        yield f"  For `d{first.argument}`, {first.point}. Right:\n"
        yield "\n".join(f"      {line}" for line in first.numpy) + "\n"


if __name__ == "__main__":
    print(page(), end="")
