"""Bad cells and backwards: refused with file and line by every question, never passed in silence."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.cells.find import find_function
from minigrad.cli import main
from minigrad.prove import check_backward, compare, derive, prove
from minigrad.prove.backward.numpyops import Unsupported
from minigrad.prove.effects import ImpureError
from minigrad.prove.purity import check_function

HEAD = """
import datetime, random, time
import numpy as np
import minigrad as mg
from minigrad import cell

SEEN, TABLE, COUNT, RNG = [], np.ones(3), 0, np.random.default_rng(0)

class Config:
    scale = 1.0

def remember(v):
    SEEN.append(v)
    return v

def halved_while_large(h):
    while mg.sum(h * h) > 1:
        h = h / 2
    return h

@cell(h="n", x="d", W="d n")
def bad(h, /, x, *, W):
"""
ALONE = "it must do nothing but compute what it returns"
ARGUMENT = "what changes from run to run must be an argument"
RETURN = "return mg.tanh(x @ W + h)"
BRANCH = "a branch on a tensor's value cannot be recorded"
A_NUMBER, AN_ARRAY = "its value as a number cannot be recorded", "its value as an array cannot be recorded"
SHAPE = r"bad: state h enters with shape \(.*\) float64 and leaves with"
TYPE = "where a tensor is meant; return the new value of h"

IMPURE, TRACE, ShapeError = ImpureError, mg.TraceError, mg.ShapeError

# kind -> (body, the line that is named, error, what the message says)
BAD = {
    "appends to a list": (f"SEEN.append(1)\n{RETURN}", "SEEN.append", IMPURE, f"changes SEEN; {ALONE}"),
    "appends in a helper": ("return mg.tanh(remember(x @ W + h))", "SEEN.append", IMPURE, "changes SEEN"),
    "writes a global": (f"global COUNT\nCOUNT += 1\n{RETURN}", "COUNT +=", IMPURE, "changes COUNT"),
    "writes an array": (f"TABLE[0] += 1\n{RETURN}", "TABLE", IMPURE, "changes TABLE"),
    "writes an attribute": (f"Config.scale *= 2\n{RETURN}", "Config", IMPURE, "changes Config"),
    "prints": (f"print('step')\n{RETURN}", "print", IMPURE, f"calls print; {ALONE}"),
    "opens a file": (f"open(__file__).close()\n{RETURN}", "open", IMPURE, f"calls open; {ALONE}"),
    "changes an argument": (f"h.value[...] = 0\n{RETURN}", "def bad", IMPURE, "its argument h in place"),
    "writes into a tensor": (f"h[0] = 1\n{RETURN}", "h[0]", TypeError, "a tensor is never changed in place"),
    "numpy.random": (f"{RETURN} * np.random.rand()", "return", IMPURE, f"numbers from numpy.random; {ARGUMENT}"),
    "a generator": (f"{RETURN} * RNG.normal()", "return", IMPURE, f"random numbers from RNG; {ARGUMENT}"),
    "a new generator": (f"{RETURN} * np.random.default_rng().normal()", "return", IMPURE, "operating system"),
    "random": (f"{RETURN} * random.gauss(0, 1)", "return", IMPURE, f"draws random numbers .*{ARGUMENT}"),
    "a coin": (f"if random.random() < 2:\n    {RETURN}", "if random", IMPURE, "draws random numbers with"),
    "randn": (f"{RETURN} * mg.randn(1)", "return", IMPURE, "random numbers from minigrad's generator"),
    "the clock": (f"{RETURN} * time.time()", "return", IMPURE, f"reads the clock with time; {ARGUMENT}"),
    "the date": (f"{RETURN} * datetime.datetime.now().day", "return", IMPURE, "reads the clock with now"),
    "the address of an object": (f"{RETURN} * (id(object()) % 9 + id([h]))", "return", IMPURE, "on the same"),
    "if": (f"if h[..., 0].sum() > 0:\n    {RETURN}\nreturn h", "if h", TRACE, BRANCH),
    "while": ("return mg.tanh(halved_while_large(h) + x @ W)", "while", TRACE, BRANCH),
    "bool": (f"{RETURN} * bool(mg.sum(h))", "return", TRACE, BRANCH),
    "float": (f"{RETURN} * float(mg.sum(h))", "return", TRACE, A_NUMBER),
    "int": (f"{RETURN} * int(mg.sum(h))", "return", TRACE, A_NUMBER),
    "item": (f"{RETURN} * mg.sum(h).item()", "return", TRACE, A_NUMBER),
    "numpy()": (f"{RETURN} * h.numpy().max()", "return", TRACE, AN_ARRAY),
    "np.asarray": (f"{RETURN} + np.asarray(h)", "return", TRACE, AN_ARRAY),
    "a ufunc": ("return mg.tensor(np.tanh(x @ W + h))", "return", TypeError, "call minigrad's function"),
    "the raw value": ("return mg.tanh(x @ W) + mg.tensor(h.value)", "return", IMPURE, "keeps numbers of the run"),
    "a branch on it": (f"if h.value.sum() > 0:\n    {RETURN}\nreturn mg.sin(h)", "return mg.tanh", IMPURE, "keeps"),
    "yields": ("yield mg.tanh(h + x @ W)", "def bad", IMPURE, "return the new state, do not yield it"),
    "three states": ("y = h + x @ W\nreturn y, y, y", "def bad", ShapeError, "bad: returned 3 values; it has the"),
    "nothing": ("mg.tanh(x @ W + h)", "def bad", TRACE, f"bad: returned nothing {TYPE}"),
    "a dict": ("return {'h': h + x @ W}", "def bad", TRACE, f"bad: returned a dict {TYPE}"),
    "text": ("return 'h'", "def bad", TRACE, f"bad: returned a str {TYPE}"),
    "a number": ("return 0.0", "def bad", TRACE, f"bad: returned a float {TYPE}"),
    "an array": ("return np.zeros(h.shape)", "def bad", TRACE, f"bad: returned a ndarray {TYPE}"),
    "a state that grows": ("return mg.concatenate([h, x], axis=-1)", "def bad", ShapeError, SHAPE),
    "a batch that shrinks": ("return mg.sum(h + x @ W, axis=0, keepdims=True)", "def bad", ShapeError, SHAPE),
    "shapes that do not fit": ("return mg.tanh(x @ W @ W + h)", "return", ShapeError, "inner sizes"),
    "an exception of its own": ("return {}['h']", "return", KeyError, "h"),
}  # fmt: skip


def rnn_backward(dh, h, x, W):
    return {"W": x.T @ dh, "x": dh @ W.T, "h": dh}


ASKED = {
    "prove": prove,
    "check_backward": lambda c: check_backward(c, rnn_backward),
    "compare": lambda c: compare(CELLS["rnn"], c),
    "derive": derive,
}


@pytest.fixture
def written(tmp_path):
    """(cell, file, number of a line that begins so) of a kind of bad cell."""

    def write(body):
        file = tmp_path / "mine.py"
        file.write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
        spec = importlib.util.spec_from_file_location("mine", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.bad, file

    return write


def number(file, start):
    """The last line that begins so."""
    lines = file.read_text().splitlines()
    return max(k for k, line in enumerate(lines, start=1) if line.strip().startswith(start))


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_cell_is_refused_with_its_file_and_line(kind, written):
    body, start, error, text = BAD[kind]
    cell, file = written(body)
    place = f"(in {file}:{number(file, start)}: {start}"
    with pytest.raises(error, match=rf"{text}(.|\n)*{re.escape(place)}"):
        check_function(cell)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("kind", ["appends to a list", "prints", "random", "if", "a number", "the raw value"])
def test_whatever_is_asked_of_it(kind, asked, written):
    body, _, error, text = BAD[kind]
    cell, file = written(body)
    with pytest.raises(error, match=rf"{text}(.|\n)*\(in {re.escape(str(file))}:\d+: "):
        ASKED[asked](cell)


@pytest.mark.parametrize("command", ["prove", "check", "compare", "derive"])
@pytest.mark.parametrize(
    "kind", ["writes a global", "the clock", "item", "nothing", "an exception of its own"]
)
def test_the_command_says_so_and_leaves_with_2(kind, command, written, capsys):
    body, start, _, text = BAD[kind]
    _, file = written(body)
    (file.parent / "back.py").write_text("def back(dh, h, x, W):\n    return {'W': x.T @ dh}\n")
    rest = {"check": [f"{file.parent / 'back.py'}:back"], "compare": ["rnn"]}.get(command, [])
    with pytest.raises(SystemExit) as exit:
        main([command, f"{file}:bad", *rest])
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert re.search(text, err)
    assert f"{file}:{number(file, start)}: " in err
    assert "fault of minigrad" not in err


def test_the_second_cell_of_a_comparison_too(written, capsys):
    _, file = written(BAD["an exception of its own"][0])
    with pytest.raises(SystemExit) as exit:
        main(["compare", "rnn", f"{file}:bad"])
    assert exit.value.code == 2
    assert "fault of minigrad" not in capsys.readouterr().err


# ---- a bad backward ----------------------------------------------------------------------------------
BACK_HEAD = (
    HEAD[: HEAD.index("@cell")]
    + """
def back(dh, h, i, W, U, b):
    y = np.tanh(i @ W + h @ U + b)
    d = dh * (1 - y * y)
    g = {"W": i.T @ d, "U": h.T @ d, "b": d.sum(axis=0), "i": d @ W.T, "h": d @ U.T}
"""
)
WANTED = "return a dict of arrays, the gradients by argument"
BAD_BACKWARD = {
    "appends to a list": ("SEEN.append(1)\nreturn g", "SEEN.append", IMPURE, f"changes SEEN; {ALONE}"),
    "adds to a global": ("TABLE[0] += 1\nreturn g", "TABLE", IMPURE, "changes TABLE"),
    "prints": ("print(d)\nreturn g", "print", IMPURE, "calls print"),
    "the clock": ("return g | {'b': time.time() * g['b']}", "return g", IMPURE, "reads the clock"),
    "random": ("return g | {'b': random.random() * g['b']}", "return g", IMPURE, "draws random numbers"),
    "numpy.random": ("return g | {'b': np.random.rand() * g['b']}", "return g", IMPURE, "from numpy.random"),
    "a fixed seed": ("r = np.random.default_rng(0)\nreturn g", "r = ", Unsupported, "a gradient is not random"),
    "np.fft": ("f = np.fft.fft(d)\nreturn g", "f = ", Unsupported, "np.fft.fft is not understood here"),
    "np.linalg": ("f = np.linalg.norm(d)\nreturn g", "f = ", Unsupported, "np.linalg.norm is not understood"),
    "np.vectorize": ("f = np.vectorize(abs)(d)\nreturn g", "f = ", Unsupported, "code that wants plain numbers"),
    "if": ("if d.sum() > 0:\n    return g\nreturn g", "if d", Unsupported, "a branch on the value of an array"),
    "float": ("return g | {'b': float(d[0, 0]) * g['b']}", "return g", Unsupported, "a plain number was wanted"),
    "item": ("return g | {'b': d.sum().item() * g['b']}", "return g", Unsupported, r"\.item\(\) is not understood"),
    "yields": ("yield g", "def back", ValueError, f"returned a generator; {WANTED}"),
    "nothing": ("", "def back", ValueError, f"back returned nothing; {WANTED}"),
    "text": ("return g | {'b': 'b'}", "def back", ValueError, f"a str as the gradient of b; {WANTED}"),
    "an exception": ("return {}['W']", "return", RuntimeError, "KeyError: 'W'"),
}  # fmt: skip


def write_backward(folder, body):
    file = folder / "back.py"
    file.write_text(BACK_HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    return file


@pytest.mark.parametrize("kind", BAD_BACKWARD)
def test_a_bad_backward_is_refused_with_its_file_and_line(kind, tmp_path):
    body, start, error, text = BAD_BACKWARD[kind]
    file = write_backward(tmp_path, body)
    with pytest.raises(error, match=rf"{text}(.|\n)*in {re.escape(str(file))}:{number(file, start)}: "):
        check_backward(CELLS["rnn"], find_function(f"{file}:back"))


@pytest.mark.parametrize("kind", BAD_BACKWARD)
def test_the_command_says_so_of_a_backward_too(kind, tmp_path, capsys):
    body, start, _, text = BAD_BACKWARD[kind]
    file = write_backward(tmp_path, body)
    with pytest.raises(SystemExit) as exit:
        main(["check", "rnn", f"{file}:back"])
    err = capsys.readouterr().err
    assert exit.value.code == 2
    assert re.search(text, err)
    assert f"{file}:{number(file, start)}: " in err
    assert "fault of minigrad" not in err


# ---- what is a function is not refused -------------------------------------------------------------
GOOD = {
    "a name bound anew": "h += x @ W\nreturn mg.tanh(h)",
    "a local list": "seen = []\nseen.append(h)\nreturn mg.tanh(seen[0] + x @ W)",
    "a global that is read": "return mg.tanh(x @ W + h) * Config.scale",
    "a fixed seed": "return mg.tanh(x @ W + h) * np.random.default_rng(0).normal()",
    "randn with a seed": "return mg.tanh(x @ W + h) * mg.randn(1, seed=3)",
    "a branch on a shape": "return mg.tanh(x @ W + h) if h.shape[-1] > 1 else h",
    "a helper": "def f(v):\n    return mg.tanh(v)\nreturn f(x @ W + h)",
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_function_is_not_refused(kind, written):
    cell, _ = written(GOOD[kind])
    check_function(cell)
    assert sys.gettrace() is None or "trace" in repr(sys.gettrace())
    assert sys.getprofile() is None


@pytest.mark.parametrize("name", CELLS)
def test_no_cell_of_the_house_is_refused(name):
    check_function(CELLS[name])
