"""The emitted source of a cell shows this cell's names and lines, whatever was compiled before."""

from __future__ import annotations

import re

import pytest
from fast_laws import arguments
from hypothesis import given
from random_cells import cells, written
from test_random_cells import few

from minigrad import fast
from minigrad.cells import CELLS

NAME = re.compile(r"\b([A-Za-z]+)(\d*)\b")


@pytest.fixture(autouse=True)
def _without_a_compiler(monkeypatch):
    """Which would take minutes for so many cells; the names are the same."""
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    fast.run.forget()


def compiled(c, **how):
    """The scans of a cell's training step, as they are compiled now or have been."""
    values = arguments(c, 2)
    state, xs = (tuple(values[k] for k in names) for names in (c.states, c.inputs))
    return fast.scanned(c, state, xs, {k: values[k] for k in c.params}, **how)


def sources(c, **how):
    return [scan.source for scan in compiled(c, **how)]


def files(c):
    """The files that the lines of the emitted functions come from."""
    parts = [s.compiled for s in compiled(c)]
    functions = [f for p in parts for f in (p.loop.function, p.before.run, p.after.run)]
    notes = [n for f in functions for n in getattr(f, "__globals__", {}).get("__notes__", {}).values() if n is not None]
    return {note.file for note in notes if note.file}


def twin(c):
    """The same equations, in other words and on other lines."""
    own = {*c.states, *c.inputs, *c.params, *re.findall(r"\bv\d+", c.source)}
    renamed = NAME.sub(lambda m: f"other_{m[0]}" if m[0] in own else m[0], c.source)
    return written("\n\n" + renamed)


def test_the_text_does_not_depend_on_what_was_compiled_before():
    fresh = {}
    for name, c in sorted(CELLS.items()):
        fast.run.forget()
        fresh[name] = sources(c)
    fast.run.forget()
    for name, c in sorted(CELLS.items(), reverse=True):
        assert sources(c) == fresh[name]
    for name, c in sorted(CELLS.items()):
        assert sources(c) == fresh[name]


@few(15)
@given(cells(most=4))
def test_a_twin_in_other_words_has_its_own(c):
    other = twin(c)
    for one in (c, other, c):
        text = "".join(sources(one))
        assert ("other_" in text) == (one is other)
        assert files(one) <= {one.fn.__code__.co_filename}


@few(10)
@given(cells(most=2))
def test_a_cell_at_the_address_of_one_that_is_gone(c):
    """Cells are known by what they are, not by where they are in memory."""
    for k in range(4):
        one = twin(c) if k % 2 else written(c.source)
        text = "".join(sources(one))
        assert ("other_" in text) == bool(k % 2)
        assert files(one) <= {one.fn.__code__.co_filename}
        del one


@pytest.mark.parametrize("how", [{"reverse": True}, {"truncate": 1}], ids=str)
def test_the_same_cell_twice_has_the_same_text(how):
    for name in ("lstm", "gru"):
        first = sources(CELLS[name], **how)
        fast.run.forget()
        assert sources(CELLS[name], **how) == first
