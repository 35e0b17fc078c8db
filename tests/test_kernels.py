"""With numba, loops are compiled whole, and give the same to rounding; without, nothing changes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from own_cells import OWN

import minigrad as mg
from minigrad import fast
from minigrad.cells import CELLS
from minigrad.engine.tree import leaves
from minigrad.fast import cache, kernels
from minigrad.prove.runs.emitted import scans_of


def step(cell, dtype):
    """Value and gradients of one training step, and the code that gave them."""
    params = {k: mg.tensor(v.numpy(), dtype) for k, v in cell.init(0, n=6, d=3).items()}
    xs = mg.tensor(np.random.default_rng(1).standard_normal((5, 4, 3)), dtype)
    state = cell.zero_state(4, n=6, dtype=dtype)
    fast.run.forget()
    results = mg.value_and_grad(lambda p, x: (mg.scan(cell, state, x, p)[1] ** 2).sum(), (0, 1))(params, xs)
    return [t.numpy() for t in leaves(results)], fast.source(cell, state, xs, params)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of its own; numba is looked for anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "numba", kernels.numba.__wrapped__)
    cache._not_kept.cache_clear()
    yield tmp_path / "minigrad" / "kernels"
    fast.run.forget()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru_concat", "torch_gru"])
def test_compiled_loops_give_the_same(name, dtype, folder, monkeypatch):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    found, text = step(CELLS[name], dtype)
    assert text.count("for t in range(") == 2
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    expected, text = step(CELLS[name], dtype)
    assert "for t in range(" not in text
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, 30 * np.finfo(dtype).eps, 30 * np.finfo(dtype).eps * np.abs(b).max())


def test_compiled_kernels_are_kept_between_processes(folder):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    code = """if True:
        import numba.core.caching as c
        import minigrad as mg, numpy as np
        from minigrad.cells import CELLS
        loaded = []
        load = c.Cache.load_overload
        c.Cache.load_overload = lambda *a: (loaded.append(load(*a)), loaded[-1])[1]
        for cell in (CELLS["lstm"], CELLS["rnn"]):
            mg.scan(cell, cell.zero_state(4, n=6), np.ones((3, 4, 2)), cell.init(0, n=6, d=2))
        print([x is not None for x in loaded])
    """
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert "True" not in said[0]
    assert "False" not in said[1]
    assert said[0] != "[]\n" != said[1]
    texts = [file.read_text() for file in folder.glob("*.py")]
    assert sum("panels(" in text for text in texts) == 2
    assert sum("def kernel(" in text for text in texts) == 2  # what both loops call is compiled once


def test_a_folder_that_cannot_be_written_is_a_warning(folder, tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="^compiled kernels cannot be kept on disk") as said:
        found, text = step(CELLS["lstm"], "float64")
    assert len(said) == 1
    assert "for t in range(" in text
    monkeypatch.setenv("MINIGRAD_KERNELS", "0")
    for a, b in zip(found, step(CELLS["lstm"], "float64")[0], strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-14)


def test_arrays_with_gaps_that_cannot_be_written_are_read(folder, monkeypatch):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    one = CELLS["rnn"]
    params = {k: v.numpy() for k, v in one.init(0, n=6, d=3).items()}
    wide = np.random.default_rng(0).standard_normal((5, 4, 6))[:, :, ::2]
    for a in (wide, *params.values()):
        a.flags.writeable = False
    results = []
    for kernels_ in "10":
        monkeypatch.setenv("MINIGRAD_KERNELS", kernels_)
        fast.run.forget()
        results.append(mg.scan(one, one.zero_state(4, n=6), wide, params)[1].numpy())
    np.testing.assert_allclose(*results, 1e-12, 1e-14)


def test_what_has_no_compiled_form_runs_on_numpy(folder):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    assert not any(s.compiled.loop.kernels for s in scans_of(OWN["smooth_mixture"]))


def test_a_missing_numba_is_silent(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # import raises ModuleNotFoundError
    assert kernels.numba() is None
    assert "for t in range(" not in step(CELLS["lstm"], "float64")[1]


@pytest.mark.parametrize(
    "error", ["ImportError('llvmlite is too old')", "ModuleNotFoundError('no llvmlite', name='llvmlite')"]
)
def test_a_broken_numba_says_so(error, folder, tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text(f"raise {error}")
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(
        RuntimeWarning, match=r"^numba is installed, but does not load \(.*llvmlite.*\); loops run on numpy$"
    ):
        assert kernels.numba() is None
