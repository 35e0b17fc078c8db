"""A function of this package in a process of its own: with so many threads, in some Python, for so long."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Setting(NamedTuple):
    """one: on one core, with one thread each; else all. pythons: peer -> another environment's Python."""

    one: bool = True
    pythons: tuple[tuple[str, str], ...] = ()


def results(function: str, arguments: Any, how: Setting, python: str, limit: float, **env: str) -> Iterator[Any]:
    """What function(*arguments) of this package yields, "module:name", one by one; it is stopped after `limit` s.

    Raises RuntimeError, with the end of what it wrote, if the process fails.
    """
    settings = os.environ | (dict.fromkeys(POOLS, "1") if how.one else {}) | env
    with tempfile.TemporaryFile("w+") as errors:
        command = [python, "-m", "minigrad.bench", function, json.dumps([how.one, *arguments])]
        end = time.monotonic() + limit
        with subprocess.Popen(
            command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process:
            late = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
            late.start()
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    yield json.loads(line)
                process.wait()
            finally:
                late.cancel()
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        over = process.returncode == -signal.SIGKILL and time.monotonic() >= end
        if process.returncode and not over:
            errors.seek(0)
            raise RuntimeError(f"{function} {arguments} ended with {process.returncode}:\n{errors.read()[-2000:]}")


def python_of(peer: str, how: Setting) -> str:
    """The Python that a peer runs in."""
    return dict(how.pythons).get(peer, sys.executable)


def main(function: str, arguments: str) -> None:
    """Called in the process: a line of JSON for each result; what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    one, *rest = json.loads(arguments)
    if one and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, name = function.split(":")
    for result in getattr(importlib.import_module(f".{module}", __package__), name)(*rest):
        print(json.dumps(result), file=out, flush=True)
