"""`minigrad bench`: the peers compute the same, what is not there is named, the table has its ratios."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.bench import peers, speed
from minigrad.cells import CELLS, VARIANTS
from minigrad.cli import main

SMALL = (5, 3, 4, 6)


@pytest.mark.parity
@pytest.mark.parametrize("train", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("cell", speed.LAYERS + speed.NO_LAYER)
def test_the_peers_compute_the_same(cell, train):
    """Value and all gradients, or the outputs, to single precision: all peers against the torch loop."""
    pytest.importorskip("torch")
    expected = peers.torch_loop(cell, *SMALL, train)()
    assert len(expected) == (2 + len(peers.the_cell(cell).params) if train else 1)
    for name in ("minigrad", "torch.nn", "jax.lax.scan"):
        try:
            found = peers.PEERS[name](cell, *SMALL, train)()
        except peers.NoPeer:
            assert name != "minigrad"
            continue
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in sorted(peers.PEERS) if n not in ("minigrad", "torch loop")])
def test_a_peer_without_the_layer_says_so(name):
    with pytest.raises(peers.NoPeer, match=f"{name} has no mgu"):
        peers.PEERS[name]("mgu", *SMALL)


@pytest.mark.parametrize("name", ["torch.nn", "torch loop", "jax.lax.scan"])
def test_a_peer_that_is_not_installed_says_so(name, monkeypatch):
    def missing(library):
        raise ImportError(library)

    monkeypatch.setattr(peers, "import_module", missing)
    with pytest.raises(peers.NoPeer, match=rf"{name}: \w+ is not installed"):
        peers.PEERS[name]("lstm", *SMALL)


def test_the_table_has_times_ratios_and_their_geometric_mean():
    times = {("minigrad", "mgu"): [2.0, 8.0], ("torch loop", "mgu"): [4.0, 4.0], ("GEMM floor", "rnn"): [1.0, 1.0]}
    lines = speed.table(times, speed.GRID[:2]).splitlines()
    assert "| mgu torch loop | 4 | 4 |" in lines
    assert "| torch loop, mgu | 0.50 | 2.00 | 1.00 |" in lines
    assert lines[-1] == "| **torch loop, all** |  |  | **1.00** (worst 2.00) |"


def test_the_command_times_what_is_asked_for_and_names_what_is_skipped(tmp_path, capsys):
    page = tmp_path / "speed.md"
    mark = f"{'numba' if speed.kernels() else 'numpy'} inference"
    page.write_text(f"# Speed\n<!-- {mark} -->\nold\n<!-- end -->\nrest\n", encoding="utf-8")
    asked = ["--cells", "mgu", "--peers", "minigrad,GEMM floor", "--grid", "0", "--seconds", "0", "--inference"]
    with pytest.raises(SystemExit, match="0"):
        main(["bench", *asked, "--page", str(page)])
    out, err = capsys.readouterr()
    assert "inference alone" in out
    assert "| mgu minigrad | " in out
    assert err == "skipped: GEMM floor has no mgu\n"
    text = page.read_text(encoding="utf-8")
    assert out.strip() in text
    assert "old" not in text
    assert text.endswith("<!-- end -->\nrest\n")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--cells", "lstn", "there is no cell 'lstn'; choose among rnn"),
        ("--peers", "minigrad,keras", "there is no peer 'keras'; choose among minigrad, torch.nn"),
        ("--grid", "9", "there is no size '9'; choose among 0, 1"),
    ],
)
def test_what_there_is_not_is_refused(option, value, why, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", option, value])
    assert why in capsys.readouterr().err


def test_a_page_without_the_mark_is_refused(tmp_path):
    page = tmp_path / "speed.md"
    page.write_text("# Speed\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no line <!-- numpy --> to put the table after; write it"):
        speed.put(page, "numpy", "")


def test_the_cells_without_a_fused_layer_are_built_in():
    assert set(speed.NO_LAYER) <= set(CELLS | VARIANTS)
    assert {peers.the_cell(c).name for c in speed.LAYERS} <= set(CELLS)


def test_the_sizes_are_those_that_the_help_lists(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "--help"])
    text = "".join(capsys.readouterr().out.split())
    assert ",".join(str(s).replace(" ", "") for s in speed.GRID) in text
