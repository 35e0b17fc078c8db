"""What the first call costs: of a cell of one's own over T = 1024 steps, next to compilers of an unrolled loop.

A compiler that is not done when its time is over is stopped: "> 60 s" is what was measured, nothing is
extrapolated. Time on the wall, caches on disk empty unless it says warm.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from . import others
from .measure import Say
from .peers import PEERS, RUNNERS
from .problem import NoPeer, Size, Step
from .process import Failed, Setting, python_of, results
from .tables import BLANK, markdown, short

CELL = "lstm_peephole"
LONG, SHORT = 1024, (16, 64)
CACHES = ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
UNROLLED = "jax unrolled"
COMPILERS = (UNROLLED, "torch.compile")
FIRST = {"numpy runner": 0.3, "numba runner": 5.0}  # seconds, at most
BARS = {"numpy runner": 50.0, "numba runner": 10.0}  # how many times less than each compiler's


class Call(NamedTuple):
    """Seconds of the first call and of the second; None where it was stopped, after `least` seconds or more."""

    first: float | None
    second: float | None
    least: float = 0.0

    @property
    def compiling(self) -> float:
        """At least so many seconds went into compiling."""
        return self.least if self.first is None else self.first - (self.second or 0.0)

    def cells(self) -> list[str]:
        """First call, second call, compiling: as text."""
        if self.first is None:
            return [f"> {self.least:.0f}", BLANK, f"> {self.least:.0f}"]
        return [short(self.first), BLANK if self.second is None else short(self.second), short(self.compiling)]


def calls(peer: str, size: Sequence[int]) -> Iterator[float | str | None]:
    """In the process of a peer: None when all is ready, seconds of the first step and of the second; or why not."""
    make: Callable[..., Step] = others.jax_unrolled if peer == UNROLLED else PEERS[peer].step
    try:
        step = make(CELL, *size, True)
    except NoPeer as e:
        yield str(e)
        return
    yield None
    for _ in range(2):
        start = time.perf_counter()
        step()
        yield time.perf_counter() - start


def first_call(peer: str, T: int, cache: str, limit: float, how: Setting) -> Call | str:
    """The first calls of a peer whose caches on disk are in that folder; or why there are none."""
    env = dict.fromkeys(CACHES, cache) | dict(PEERS[peer].settings if peer in PEERS else ())
    python = python_of("jax.lax.scan" if peer == UNROLLED else peer, how)
    end, least, found = time.monotonic() + limit, 0.0, []
    try:
        for one in results("first:calls", [peer, Size(T, 8, 32, 64)], how, python, limit, **env):
            if isinstance(one, str):
                return one
            if one is None:
                least = end - time.monotonic()
            else:
                found.append(one)
    except Failed as e:
        if peer in RUNNERS:
            raise
        return f"{peer} fails: {e.last}"
    first, second = [*found, None, None][:2]
    return Call(first, second, least)


def table(how: Setting, limit: float, say: Say, long: int = LONG, short: tuple[int, ...] = SHORT) -> str:
    """First calls, what of them is compiling, and the bars."""
    asked = [(peer, T, False) for peer in ("numpy runner", "jax.lax.scan", *COMPILERS) for T in (*short, long)]
    numba = [("numba runner", T, warm) for T in (*short, long) for warm in (False, True)]
    found: dict[tuple[str, int], Call] = {}
    said: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for peer, T, warm in numba + asked:
            start = time.perf_counter()
            one = first_call(peer, T, f"{folder}/{peer.replace(' ', '-')}-{T}", limit, how)
            if isinstance(one, Call):
                name = f"{peer}, warm cache" if warm else peer
                say(f"first call: {name}, T = {T}, {time.perf_counter() - start:.0f} s")
                found[name, T] = one
            elif one not in said:
                say(f"skipped: {one}")
                said.add(one)
    heads = ["", "T", "first call, s", "second call, s", "compiling, s"]
    rows = [[name, str(T), *call.cells()] for (name, T), call in found.items()]
    return f"{markdown(heads, rows)}\n\n{bars({who: call for (who, T), call in found.items() if T == long}, long)}"


def bars(found: dict[str, Call], T: int) -> str:
    """Each bar, and whether it is met: of the calls at that T."""
    rows = []
    for runner, most in FIRST.items():
        text, met = BLANK, "not measured"
        if runner in found:
            seconds = found[runner].compiling
            text, met = f"{seconds:.2f} s", "met" if seconds <= most else "NOT met"
        rows.append([runner, f"its first call less its second, T = {T}", f"≤ {most:g} s", text, met])
    for runner, least in BARS.items():
        for compiler in COMPILERS:
            text, met = BLANK, "not measured"
            if runner in found and compiler in found:
                done = found[compiler].first is not None
                times = found[compiler].compiling / found[runner].compiling
                text = f"{'' if done else '> '}{times:.0f} times less"
                met = "met" if times >= least else "NOT met" if done else "not decided"
            rows.append([runner, f"{compiler}, T = {T}", f"≥ {least:g} times less", text, met])
    return markdown(["runner", "against", "bar", "measured", ""], rows)
