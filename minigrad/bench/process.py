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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class Setting(NamedTuple):
    """one: on one core, with one thread each; else all. pythons: peer -> another environment's Python."""

    one: bool = True
    pythons: tuple[tuple[str, str], ...] = ()


class Failed(RuntimeError):
    """A process ended with an error: ours is one of minigrad, a peer's is told and the rest is measured."""

    @property
    def last(self) -> str:
        """The last line that it wrote."""
        return str(self).splitlines()[-1]


def results(function: str, arguments: Any, how: Setting, python: str, limit: float, **env: str) -> Iterator[Any]:
    """What function(*arguments) of this package yields, "module:name", one by one; it is stopped after `limit` s.

    Raises Failed, with the end of what it wrote, if the process fails.
    """
    settings = os.environ | (ONE if how.one else {}) | env
    command = [python, "-m", "minigrad.bench", function, json.dumps([how.one, *arguments])]
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        if not hasattr(os, "killpg"):
            return process.kill()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the compilers that it has started

    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process,
    ):
        late = threading.Timer(limit, stop)
        late.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield json.loads(line)
            process.wait()
        finally:
            late.cancel()
            if process.poll() is None:
                stop()
        if process.returncode and not stopped.is_set():
            errors.seek(0)
            raise Failed(f"{function} {arguments} ended with {process.returncode}:\n{errors.read()[-2000:].strip()}")


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
