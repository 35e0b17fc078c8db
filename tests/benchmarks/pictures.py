"""The pictures of docs/pictures/peers.md: what they cost, next to torchviz, torchview and torchlens.

    python -m tests.benchmarks.pictures            print the tables
    python -m tests.benchmarks.pictures --write    and renew the page and its pictures

Each peer runs in a process of its own, which is stopped after a minute of processor time, and so is its dot;
one that is not installed is left out. All times are processor time: other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path

import minigrad as mg

from .picture_peers import NEEDS, PEERS
from .timing import clock

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
PAGE = FOLDER / "peers.md"
LENGTHS = (3, 20, 100)
LIMIT = 60  # seconds of processor time that a process may take
SHOWN = {  # peers' pictures on the page, and ours
    ("torchviz", 3), ("torchview", 3), ("torchview", 20), ("torchlens", 3), ("torchlens", 20), ("minigrad", 3),
    ("minigrad", 20), ("minigrad", 100),
}  # fmt: skip
BARS = {20: 0.3, 100: 1.0, 1000: 3.0}  # seconds until the SVG is there
MOST_BYTES = 5_000_000  # at 1,000 steps


def peer(name: str, T: int, folder: Path) -> dict[str, float]:
    """What the worker said of a peer, as far as it came in time; empty if it is not installed or failed."""
    folder.mkdir(exist_ok=True)
    if importlib.util.find_spec(NEEDS[name]) is None:
        return {}
    command = [sys.executable, "-m", "tests.benchmarks.picture_peers", name, str(T), str(folder)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    worker = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        env=os.environ | {"PYTHONPATH": paths},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT)),
    )  # fmt: skip
    return {
        k: v for line in worker.stdout.splitlines() if line[0] == "{" for k, v in json.loads(line).items()
    }


def peer_table(folder: Path, lengths: tuple[int, ...] = LENGTHS) -> str:
    """One row for each tool and length: nodes, edges, seconds of wall time, size of the SVG."""
    lines = [
        "| tool | steps | nodes | edges | graph, s | SVG, s | SVG, kB |", "|---|---|---|---|---|---|---|"
    ]  # fmt: skip
    cases = [(name, T) for name in PEERS for T in lengths]
    folders = [folder / str(i) for i in range(len(cases))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda case, own: peer(*case, own), cases, folders)
    for (name, T), found in zip(cases, results, strict=True):
        if not found and importlib.util.find_spec(NEEDS[name]) is not None:
            lines.append(f"| {name} | {T} | | | | failed | |")
        if found:
            svg = (
                f"{found['svg']:.2f} | {found['bytes'] / 1000:,.0f}"
                if "svg" in found
                else f"> {LIMIT} | none"
            )
            graph = f"{found['nodes']:,.0f} | {found['edges']:,.0f} | {found['graph']:.2f}"
            lines.append(f"| {name} | {T} | {graph} | {svg} |")
    return "\n".join(lines)


def cost(T: int, elide: bool | None = None, runs: int = 3) -> dict[str, float]:
    """Processor time of the parts of one picture of an LSTM with values and gradients, best of some runs."""
    found: dict[str, float] = {}
    for _ in range(runs):
        start = clock()
        picture = mg.draw(mg.cells.lstm, T, values=True, elide=elide)
        times = {"scene": clock() - start}
        parts: list[tuple[str, Callable[[], str]]] = [
            ("DOT", lambda p=picture: p.dot), ("SVG by dot", lambda p=picture: p.svg("dot")),
            ("SVG by wasm", lambda p=picture: p.svg("wasm")),
        ]  # fmt: skip
        for name, part in parts:
            start = clock()
            times[f"{name}, bytes"] = len(part().encode())
            times[name] = clock() - start
        times["total"] = times["scene"] + times["DOT"] + times["SVG by dot"]
        found = {k: min(v, found.get(k, v)) for k, v in times.items()}
    return found


def cost_table(lengths: tuple[int, ...] = (4, 20, 100, 1000)) -> str:
    """Seconds of processor time for each length; every step drawn up to 100."""
    parts = ("scene", "DOT", "SVG by dot", "SVG by wasm", "total")
    lines = [f"| steps | {', s | '.join(parts)}, s | bar, s | DOT, kB | SVG, kB |", "|---" * 9 + "|"]
    for T in lengths:
        for elide in (None, False) if T == 100 else (None,):
            found = cost(T, elide, 3 if T < 1000 else 1)
            kind = f"{T:,}" if T <= 40 else f"{T:,}, every one" if elide is False else f"{T:,}, four of them"
            seconds = " | ".join(f"{found[p]:.2f}" for p in parts)
            bar = f"{BARS[T]:g}" if T in BARS else ""
            sizes = " | ".join(f"{found[f'{p}, bytes'] / 1000:,.0f}" for p in ("DOT", "SVG by dot"))
            lines.append(f"| {kind} | {seconds} | {bar} | {sizes} |")
    return "\n".join(lines)


def surroundings() -> str:
    """Date and versions."""
    found = [
        f"{p} {version(p)}"
        for p in ("torch", "torchviz", "torchview", "torchlens")
        if importlib.util.find_spec(p)
    ]
    said = (
        subprocess.run(["dot", "-V"], capture_output=True, text=True)
        .stderr.split(" version ")[-1]
        .split(" ")[0]
    )
    tools = ", ".join([f"Python {platform.python_version()}", *found, f"Graphviz {said}"])
    return f"{date.today()}; {tools}; {platform.machine()}, a shared machine"


def write(tables: dict[str, str], folder: Path) -> None:
    """Put the tables between their marks on the page, and the pictures beside it."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, rest = text.split(f"<!-- {name} -->\n")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{rest.split('<!-- end -->', 1)[1]}"
    PAGE.write_text(text, encoding="utf-8")
    (FOLDER / "peers").mkdir(exist_ok=True)
    for name, T in sorted(SHOWN):
        for png in folder.glob(f"*/{name}-{T}.png"):
            shutil.copy(png, FOLDER / "peers")


def main() -> None:
    """Measure, print, and perhaps write the page."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--write", action="store_true", help="renew docs/pictures/peers.md")
    given = args.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {"when": surroundings(), "cost": cost_table(), "peers": peer_table(folder)}
        print("\n\n".join(tables.values()))
        if given.write:
            write(tables, folder)


if __name__ == "__main__":
    main()
