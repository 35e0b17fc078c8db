"""A bar on a terminal and nothing in a pipe; Ctrl-C leaves a clean line, status 130, and no file."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigrad._progress import bar

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
ROOT = Path(__file__).parent.parent
SECONDS = 60  # for a bar to be seen, on a busy machine


class Terminal:
    """The command, its standard error on a terminal of 100 columns."""

    def __init__(self, folder, *args):
        import termios

        self.end, other = pty.openpty()
        termios.tcsetwinsize(other, (30, 100))
        self.running = subprocess.Popen(
            [sys.executable, "-m", "minigrad", *args], stdout=subprocess.PIPE, stderr=other, cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        os.close(other)
        self.seen = ""

    def until(self, text):
        """Read what is shown until that text is, or nothing more comes."""
        start = time.monotonic()
        while (not text or text not in self.seen) and time.monotonic() - start < SECONDS:
            try:
                more = os.read(self.end, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not more:
                break
            self.seen += more.decode(errors="replace")
        return self.seen

    def close(self):
        """(status, standard output)."""
        self.until("")
        os.close(self.end)
        out = self.running.communicate(timeout=SECONDS)[0].decode()
        return self.running.returncode, out


@pytest.fixture
def terminal(tmp_path):
    """Start the command; it is ended with the test."""
    started = []

    def start(*args):
        started.append(Terminal(tmp_path, *args))
        return started[-1]

    yield start
    for t in started:
        if t.running.poll() is None:
            t.running.kill()
            t.running.wait()
        t.running.stdout.close()


def lines_of(text):
    """The lines that a terminal is left with, carriage returns obeyed; empty ones left out."""
    lines = []
    for part in text.replace("\r\n", "\n").split("\n"):
        shown = ""
        for again in part.split("\r"):
            shown = again + shown[len(again) :]
        lines.append(shown.rstrip())
    return [line for line in lines if line]


def test_a_long_proof_shows_a_bar_that_is_gone_at_the_end(terminal):
    command = terminal("prove", "rnn", "--steps", "800")
    seen = command.until("modular, point")
    assert "rnn  " in seen
    assert "%" in seen
    status, out = command.close()
    assert status == 0
    assert out.startswith("BPTT of rnn: proved")
    assert lines_of(command.seen) == []


def test_ctrl_c_leaves_a_clean_line_status_130_and_no_file(terminal, tmp_path):
    command = terminal("prove", "lstm", "--steps", "100000", "--certificate", "x.json")
    assert "audit" in command.until("audit")
    os.kill(command.running.pid, signal.SIGINT)
    assert command.close() == (130, "")
    assert lines_of(command.seen) == ["Interrupted; nothing was written."]
    assert list(tmp_path.iterdir()) == []


def test_in_a_pipe_there_is_no_bar(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "prove", "rnn", "--steps", "300"], capture_output=True, text=True,
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=SECONDS, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert "\r" not in done.stdout


def test_a_bar_in_a_pipe_writes_nothing_and_its_block_runs(capsys):
    with bar("x") as progress:
        progress("half", 0.5)
    assert capsys.readouterr() == ("", "")


def test_what_fails_inside_a_bar_comes_out_of_it(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(TypeError, match="must be real number"), bar("x") as progress:
        progress("half", math.sqrt("planted"))
    assert lines_of(capsys.readouterr().err) == []
