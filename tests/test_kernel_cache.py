"""Whatever is wrong with numba or with the folder of compiled code, a scan runs and gives the right numbers."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import minigrad as mg
from minigrad import fast
from minigrad.cells import cell
from minigrad.fast import cache, kernels

needs_numba = pytest.mark.skipif(kernels.numba() is None, reason="the extra `fast` is not installed")
CODE = "def double(x):\n    return 2 * x\n"


@cell(h="n", x="n", w="n")
def small(h, /, x, *, w):
    """Compiled in little time."""
    return (h + x) * w


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of its own, as in a new process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MINIGRAD_KERNELS", "1")
    new_process()
    yield tmp_path / "minigrad" / "kernels"
    new_process()


def new_process():
    """Forget what is compiled, and what was said."""
    fast.run.forget()
    fast.run._SAID.clear()
    for remembered in (cache._not_kept, kernels._broken, kernels.numba):
        getattr(remembered, "cache_clear", lambda: None)()
    for name in [n for n in sys.modules if n.startswith("minigrad_kernel_")]:
        del sys.modules[name]


def runs():
    """A scan gives the right numbers."""
    xs = np.random.default_rng(0).standard_normal((3, 2, 4))
    h, w = np.zeros((2, 4)), np.linspace(0.1, 0.9, 4)
    found = mg.scan(small, (h,), xs, {"w": w})[1].numpy()
    for x, y in zip(xs, found, strict=True):
        h = (h + x) * w
        np.testing.assert_allclose(y, h, rtol=1e-14)


# ---- the folder, without numba -------------------------------------------------------------------
class Compiler:
    """What numba does: it looks at the function, and keeps something beside its file."""

    def __init__(self, fails=()):
        self.fails, self.asked = fails, []

    def __call__(self, function, keep):
        self.asked.append(keep)
        if keep in self.fails:
            raise ValueError("a damaged index")
        return function


def test_code_is_a_file_that_is_written_once(folder):
    assert cache.kept(CODE, "double", Compiler())(4) == 8
    (file,) = folder.glob("*.py")
    assert file.read_text() == CODE
    before = file.stat().st_mtime_ns
    new_process()
    assert cache.kept(CODE, "double", Compiler())(4) == 8
    assert (list(folder.iterdir()), file.stat().st_mtime_ns) == ([file], before)


@pytest.mark.parametrize(
    "content", ["", CODE[:10], CODE.replace("2", "3"), "def other(): pass\n", "\0\xff"],
    ids=["empty", "cut off", "wrong", "another", "bytes"],
)  # fmt: skip
def test_a_damaged_file_is_written_again_and_never_run(content, folder):
    cache.kept(CODE, "double", Compiler())
    (file,) = folder.glob("*.py")
    file.write_text(content)
    new_process()
    assert cache.kept(CODE, "double", Compiler())(4) == 8
    assert file.read_text() == CODE


def test_what_was_kept_beside_a_file_and_cannot_be_read_is_thrown_away(folder):
    cache.kept(CODE, "double", Compiler())
    (file,) = folder.glob("*.py")
    damaged = folder / "__pycache__" / f"{file.stem}.double-1.py311.nbi"
    damaged.parent.mkdir()
    damaged.write_text("")
    new_process()

    def reads(function, keep):
        if damaged.exists():
            raise EOFError("Ran out of input")
        return function

    assert cache.kept(CODE, "double", reads)(4) == 8  # and no warning, which would be an error


def test_what_cannot_be_kept_is_compiled_and_said_once(folder):
    compiler = Compiler(fails=(True,))
    with pytest.warns(RuntimeWarning, match=r"cannot be kept on disk \(ValueError: a damaged index\); each"):
        assert cache.kept(CODE, "double", compiler)(4) == 8
    for _ in range(2):  # a second warning would be an error
        assert cache.kept(CODE, "double", compiler)(4) == 8
    assert compiler.asked == 3 * [True, True, False]


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def denied(*_, **__):
    raise PermissionError(errno.EACCES, "Permission denied")


NO_PLACE = {
    "full": (tempfile, "NamedTemporaryFile", full), "full at the end": (os, "replace", full),
    "read-only": (tempfile, "NamedTemporaryFile", denied), "no folder": (os, "mkdir", denied),
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_PLACE)
def test_a_folder_without_a_place_is_a_warning(kind, folder, monkeypatch):
    monkeypatch.setattr(*NO_PLACE[kind])
    with pytest.warns(RuntimeWarning, match="^compiled kernels cannot be kept on disk .*(No space|denied)"):
        assert cache.kept(CODE, "double", Compiler())(4) == 8
    assert [f for f in folder.glob("*")] == []


def test_a_file_where_the_folder_should_be(folder, tmp_path):
    (tmp_path / "minigrad").write_text("")
    with pytest.warns(RuntimeWarning, match="^compiled kernels cannot be kept on disk"):
        assert cache.kept(CODE, "double", Compiler())(4) == 8


def test_a_folder_that_goes_away_is_made_again(folder):
    cache.kept(CODE, "double", Compiler())
    (file,) = folder.glob("*.py")
    file.unlink()
    folder.rmdir()
    new_process()
    assert cache.kept(CODE, "double", Compiler())(4) == 8
    assert file.read_text() == CODE


# ---- numba ---------------------------------------------------------------------------------------
@needs_numba
@pytest.mark.parametrize("kind", NO_PLACE)
def test_a_scan_runs_without_a_place(kind, folder, monkeypatch):
    monkeypatch.setattr(*NO_PLACE[kind])
    with pytest.warns(RuntimeWarning, match="^compiled kernels cannot be kept on disk") as said:
        runs()
    assert len(said) == 1


@needs_numba
@pytest.mark.parametrize("ending", ["py", "nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"cut", b"\x80\x04K\x01."], ids=["empty", "cut off", "wrong"])
def test_a_scan_runs_with_damaged_files(ending, content, folder):
    runs()
    damaged = list(folder.rglob(f"*.{ending}"))
    assert damaged
    for file in damaged:
        file.write_bytes(content)
    new_process()
    runs()
    assert all(file.read_bytes() != content for file in damaged if file.exists())


@needs_numba
def test_several_processes_at_once(folder):
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\nfrom test_kernel_cache import runs; runs()"
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [p.communicate()[1] for p in running] == [""] * 2
    assert [p.returncode for p in running] == [0] * 2
    assert not list(folder.glob("*.tmp"))


@needs_numba
def test_a_numba_that_cannot_compile_says_so_once(folder, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no LLVM here")

    monkeypatch.setattr(kernels.numba(), "njit", broken)
    with pytest.warns(RuntimeWarning, match=r"^numba does not compile a loop .*no LLVM here.*; loops run on numpy$"):
        runs()
    fast.run.forget()
    runs()  # a second warning would be an error


@pytest.mark.parametrize(
    "error", ["ImportError('llvmlite is too old')", "SystemError('initialization failed')", "AttributeError('np.bool')"]
)
def test_a_numba_that_does_not_load_says_so_once(error, folder, tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text(f"raise {error}")
    for name in [n for n in sys.modules if n.split(".")[0] == "numba"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning, match="^numba is installed, but does not load"):
        runs()
    fast.run.forget()
    runs()  # a second warning would be an error


def test_a_missing_numba_is_silent(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    runs()  # a warning would be an error
