"""The bars of docs/pictures/peers.md, measured: `pytest tests/benchmarks -m slow -k pictures -s`."""

from __future__ import annotations

import pytest

from . import pictures
from .picture_peers import counted

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("T", sorted(pictures.BARS))
def test_a_picture_of_any_length_is_there_in_time_and_small(T: int):
    found = pictures.cost(T)
    print(f"\n{T} steps: {found['total']:.2f} s, {found['SVG by dot, bytes']:,} bytes")
    assert found["total"] < pictures.BARS[T]
    assert max(found["SVG by dot, bytes"], found["SVG by wasm, bytes"]) < pictures.MOST_BYTES


def test_time_and_size_are_linear_in_the_steps_that_are_drawn():
    short, long = (pictures.cost(T, elide=False) for T in (40, 160))
    assert long["total"] / short["total"] < 6
    assert long["SVG by dot, bytes"] / short["SVG by dot, bytes"] == pytest.approx(4, rel=0.1)


def test_the_command_of_a_peer_draws_and_says_so(tmp_path):
    found = pictures.peer("minigrad", 3, tmp_path)
    svg = (tmp_path / "minigrad-3.svg").read_bytes()
    assert found["bytes"] == len(svg)
    assert (tmp_path / "minigrad-3.png").read_bytes().startswith(b"\x89PNG")
    assert found["nodes"] > 0


def test_nodes_and_edges_are_counted_once():
    text = 'digraph {\n graph [a=b]\n node [c=d]\n "x" [label=1]\n x2 [label="a -> b"]\n "x" [e=f]\n "x" -> x2 [g=h]\n}'
    assert counted(text) == (2, 1)
