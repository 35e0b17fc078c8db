"""Long sequences: what is left out is said, what is drawn is the same picture, and it all adds up."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.cli import cli
from minigrad.draw import Scene
from minigrad.draw import render as renderer
from minigrad.draw.elide import chosen, stops
from minigrad.draw.measure import measure
from minigrad.draw.picture import _recording

ALL = {**CELLS, **STRANGERS}
needs_dot = pytest.mark.skipif(not renderer.has_dot(), reason="the program dot is not installed")


def broken(scene: Scene) -> dict[str, list]:
    """The laws that a scene breaks, with the first places."""
    return {name: found[:3] for name, law in LAWS.items() if (found := law(scene))}


def drawn(scene: Scene) -> list[int]:
    """The time steps with a frame."""
    return [int(f.key.removeprefix("step-")) for f in scene.frames]


CHOICES = [
    (40, {}, range(1, 41)),
    (41, {}, [1, 2, 40, 41]),
    (5, {"elide": True}, [1, 2, 4, 5]),
    (4, {"elide": True}, range(1, 5)),
    (50, {"elide": False}, range(1, 51)),
    (60, {"lens": 30}, [1, 29, 30, 31, 60]),
    (60, {"lens": 1}, [1, 2, 60]),
    (60, {"lens": 60}, [1, 59, 60]),
    (9, {"show": [7, 3, 3]}, [3, 7]),
    (9, {"show": np.array([1, 9])}, [1, 9]),
]


@pytest.mark.parametrize(("steps", "options", "expected"), CHOICES, ids=lambda v: str(v)[:20])
def test_which_steps_are_drawn_and_every_other_one_is_in_a_gap_that_says_so(steps, options, expected):
    scene = mg.draw(CELLS["rnn"], steps, **options).scene
    assert drawn(scene) == list(expected)
    tips = [b.tip for b in scene.boxes if b.kind == "gap"]
    hidden = [t for tip in tips for n in [re.findall(r"\d+", tip)] for t in range(int(n[0]), int(n[-1]) + 1)]
    assert sorted([*drawn(scene), *hidden]) == list(range(1, steps + 1))
    said = [int(a.text.split()[0]) for a in scene.labels if re.fullmatch(r"gap-\d+-text0", a.key)]
    assert sum(said) == len(hidden)
    assert all(f"{tip.split(', not')[0].split()[1]} " in scene.description for tip in tips)


def test_of_every_kind_of_step_one_is_drawn():
    W = mg.tensor(np.ones((3, 3)), requires_grad=True, name="W")
    h = mg.tensor(np.ones((1, 3)), name="h")
    with mg.engine.core.recording("all"), mg.engine.watch.Watch():
        for t, x in enumerate(mg.randn(60, 1, 3, seed=0)):
            h = mg.tanh(x @ W + h) if t != 30 else mg.sigmoid(x @ W + h)
    rec, _ = _recording([h], 4, 0, None, False)
    assert 31 in chosen(rec, None, None, None)


@pytest.mark.parametrize("options", [{}, {"lens": 40}, {"show": [3, 50, 51]}], ids=["ends", "lens", "show"])
@pytest.mark.parametrize("name", sorted(ALL))
def test_pictures_with_gaps_obey_the_laws(name: str, options: dict):
    assert (
        broken(mg.draw(ALL[name], 80, values=name in ("lstm", "gru", "multiplicative"), **options).scene)
        == {}
    )


def test_a_step_beside_a_gap_is_drawn_as_it_is_without():
    kept, whole = (mg.draw(CELLS["lstm"], 6, values=True, elide=e).scene for e in (True, False))
    for t in (1, 2, 5, 6):
        one, two = (
            sorted((b.key, b.x - f.x0, b.y, b.w, b.h) for b in s.boxes if b.key.startswith(f"t{t}-"))
            for s in (kept, whole) for f in s.frames if f.key == f"step-{t}"
        )  # fmt: skip
        assert [b[0] for b in one] == [b[0] for b in two]
        np.testing.assert_allclose([b[1:] for b in one], [b[1:] for b in two], atol=1e-6)
    texts = [{a.key: a.text for a in s.labels if re.match(r"s\d-|p\d", a.key)} for s in (kept, whole)]
    assert texts[0].items() <= texts[1].items()


def test_the_tap_of_a_gap_is_the_share_of_its_steps_together():
    rec, _ = _recording(CELLS["lstm"], 60, 0, None, True)
    numbers = measure(rec, rec.loss)
    assert numbers is not None
    scene = mg.draw(CELLS["lstm"], 60, values=True).scene
    taps = [e for e in scene.lines if e.kind == "tap gap"]
    assert len(taps) == 4
    for p, tap in enumerate(taps):
        said = float(re.search(r"steps 3 to 58's share of dL/d\(.*: norm (.*)", tap.tip)[1])
        group = [
            i
            for i, n in enumerate(rec.param_names)
            if f"({n}," in tap.tip or f" {n}," in tap.tip or f" {n})" in tap.tip
        ]
        whole = np.sqrt(
            sum(float((sum(numbers.share[t][i] for t in range(2, 58)) ** 2).sum()) for i in group)
        )
        assert said == pytest.approx(whole, rel=1e-3), p
    # what is drawn and what is not add up to the gradient
    for i in range(len(rec.params)):
        total = sum(numbers.share[t][i] for t in range(60))
        np.testing.assert_allclose(total, numbers.total[i], atol=1e-12)


def test_the_states_beside_steps_are_drawn():
    assert stops([1, 2, 9, 10], 0, 10) == [0, 1, 2, 8, 9, 10]
    assert stops([5], 0, 10) == [0, 4, 5, 10]


BAD = [
    (dict(show=[0]), ValueError, r"show=0 is not a step of this sequence; they are 1 to 6"),
    (dict(show=[7]), ValueError, r"show=7 is not a step"),
    (dict(show=[]), ValueError, r"show=\[\] draws no step"),
    (dict(show=["a"]), TypeError, r"show='a'; pass whole numbers, time steps from 1 to 6"),
    (dict(lens=7), ValueError, r"lens=7 is not a step"),
    (dict(lens=1.5), TypeError, r"lens=1\.5"),
    (dict(lens=3, show=[3]), ValueError, r"pass one of them"),
    (dict(elide=False, lens=3), ValueError, r"elide=False draws every step"),
    (dict(steps=1001, elide=False), ValueError, r"1,001 steps one by one are more than the 1,000.*show="),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD, ids=lambda v: str(v)[:30])
def test_bad_choices_say_what_is_wrong(options: dict, error: type, text: str):
    with pytest.raises(error, match=text):
        mg.draw(CELLS["rnn"], **{"steps": 6, **options})


# ---- the ribbon ----------------------------------------------------------------------------------
def strip(scene: Scene, key: str) -> np.ndarray:
    """The numbers of a strip."""
    return np.array(next(s.values for s in scene.strips if s.key == key))


@pytest.mark.parametrize("T", [41, 300])
def test_the_ribbon_has_one_column_for_each_step_with_the_engines_numbers(T: int):
    rec, _ = _recording(CELLS["lstm"], T, 0, None, True)
    numbers = measure(rec, rec.loss)
    assert numbers is not None
    scene = mg.draw(CELLS["lstm"], T, values=True).scene
    (place,) = (i for i, n in enumerate(rec.steps[0].nodes) if n.name == "F")
    key = next(s.key for s in scene.strips if s.tip.startswith("mean of F ") and "mean" not in s.key)
    np.testing.assert_allclose(strip(scene, key), [s.nodes[place].value.mean() for s in rec.steps])
    for i in range(5):
        np.testing.assert_allclose(
            strip(scene, f"ribbon-s0-{i}"), [r[0].value[0, i] for r in rec.carried[1:]]
        )
    norms = np.array([[numbers.norm(s) for s in row] for row in rec.carried[1:]])
    decades = int(re.search(r"log scale of (\d+) decades", " ".join(s.tip for s in scene.strips))[1])
    for k in range(2):
        parts = strip(scene, f"ribbon-g{k}")
        seen = parts > 0
        np.testing.assert_allclose(
            10 ** ((parts[seen] - 1) * decades) * norms.max(), norms[seen, k], rtol=1e-6
        )
        assert (norms[~seen, k] <= norms.max() * 10.0**-decades).all()


def test_of_a_very_long_sequence_a_column_is_the_mean_of_several_steps_and_says_so():
    T = 1500
    u_scene = mg.draw(CELLS["rnn"], T, values=True, gradients=False).scene
    rec, _ = _recording(CELLS["rnn"], T, 0, None, False)
    row = strip(u_scene, "ribbon-s0-0")
    assert len(row) == 1000
    whole = np.array([r[0].value[0, 0] for r in rec.carried[1:]])
    np.testing.assert_allclose(row, [p.mean() for p in np.array_split(whole, 1000)])
    assert {a.key: a.text for a in u_scene.labels}[
        "ribbon-steps"
    ] == "1,500 steps, 1.5 to a column (their mean)"


def test_the_ribbon_marks_the_steps_that_are_drawn():
    scene = mg.draw(CELLS["gru"], 200, values=True, lens=100).scene
    boxes = {b.key: b for b in scene.boxes}
    row = next(s for s in scene.strips if s.key == "ribbon-s0-0")
    pitch, left = row.w / 200, row.x - row.w / 2
    for a, b in ((1, 1), (99, 101), (200, 200)):
        mark, lens = boxes[f"mark-{a}"], boxes[f"lens-{a}"]
        assert mark.x - mark.w / 2 == pytest.approx(left + pitch * (a - 1))
        assert mark.x + mark.w / 2 == pytest.approx(left + pitch * b)
        frames = [f for f in scene.frames if a <= int(f.key[5:]) <= b]
        assert lens.x - lens.w / 2 < frames[0].x0 < frames[-1].x1 < lens.x + lens.w / 2


def test_without_numbers_there_is_no_ribbon_and_without_a_gap_neither():
    for options in ({"steps": 60}, {"steps": 40, "values": True}):
        assert not any(s.key.startswith("ribbon") for s in mg.draw(CELLS["rnn"], **options).scene.strips)


# ---- rows ----------------------------------------------------------------------------------------
def rows(scene: Scene) -> list[list[int]]:
    """The steps that stand at one height, from the top down."""
    found: dict[float, list[int]] = {}
    for f in scene.frames:
        found.setdefault(f.y1, []).append(int(f.key.removeprefix("step-")))
    return [found[y] for y in sorted(found, reverse=True)]


@pytest.mark.parametrize("name", sorted(ALL))
def test_rows_obey_the_laws_and_hold_every_step_once(name: str):
    scene = mg.draw(ALL[name], 5, values=True, wrap=1300).scene
    assert broken(scene) == {}
    assert [t for row in rows(scene) for t in row] == [1, 2, 3, 4, 5]
    keys = [p.key for part in (scene.boxes, scene.lines, scene.strips, scene.labels) for p in part]
    assert len(keys) == len(set(keys))


def test_rows_are_no_wider_than_they_may_be_and_say_where_they_go_on():
    scene = mg.draw(CELLS["rnn"], 10, values=True, wrap=1200).scene
    x0, _, x1, _ = scene.bounds()
    assert x1 - x0 <= 1200
    assert len(rows(scene)) > 2
    assert len(rows(mg.draw(CELLS["rnn"], 3, wrap=1).scene)) == 3
    assert len(rows(mg.draw(CELLS["rnn"], 3, wrap=1e6).scene)) == 1
    turns = [b.text for b in sorted(scene.boxes, key=lambda b: (-b.y, b.x)) if b.kind.startswith("turn")]
    n = len(rows(scene))
    assert turns == [f"row {r}" for i in range(1, n + 1) for r in (i - 1, i + 1) if 1 <= r <= n]
    names = {a.key: a.text for a in scene.labels}
    for i, row in enumerate(rows(scene)[:-1], start=2):
        assert names[f"s0-{row[-1]}-name"] == names[f"s0-{row[-1]}-name@{i}"]
    assert scene.description.endswith(f"Drawn in {n} rows.")


def test_a_row_shows_what_the_same_steps_show_in_one_row():
    wide, high = (mg.draw(CELLS["lstm"], 6, values=True, wrap=w).scene for w in (None, 2000))
    assert len(rows(high)) > 1
    for part in ("boxes", "strips", "labels", "lines"):
        one, two = ({p.key: p for p in getattr(s, part)} for s in (wide, high))
        joined = {k for k, p in one.items() if re.match(r"profile|grad-s\d-|scale|p\d-t\d+.*-rail", k)}
        assert set(one) - set(two) <= joined
        for key in set(one) & set(two) - {"profile"}:
            for what in ("text", "values", "w", "width", "fill", "ink", "tip"):
                assert getattr(one[key], what, None) == getattr(two[key], what, None), key


@needs_dot
@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_a_png_or_pdf_too_wide_for_its_format_is_in_rows(suffix: str, tmp_path: Path, monkeypatch):
    picture = mg.draw(CELLS["rnn"], 8)
    seen = []
    monkeypatch.setitem(renderer.WIDEST, suffix, 1000.0)
    monkeypatch.setattr(
        "minigrad.draw.picture.render", lambda dot, format, size, *_: seen.append(size) or b"\x89PNG"
    )
    picture.save(tmp_path / f"x.{suffix}")
    x0, y0, x1, y1 = picture.scene.bounds()
    assert seen[0][0] < (x1 - x0) * 0.7
    assert seen[0][1] > (y1 - y0) * 1.9


@needs_dot
def test_a_long_png_is_not_clipped(tmp_path: Path):
    data = mg.draw(CELLS["rnn"], 80, elide=False).save(tmp_path / "x.png").read_bytes()
    w, h = struct.unpack(">II", data[16:24])
    assert max(w, h) < 32_000
    assert 0.7 < w / h < 3


@pytest.mark.parametrize(
    ("wrap", "error", "text"),
    [("wide", TypeError, r"wrap='wide'; pass the width"), (True, TypeError, "wrap=True"), (0, ValueError, "wrap=0;"),
     (float("nan"), ValueError, "wrap=nan")],
    ids=str,
)  # fmt: skip
def test_a_width_that_is_none_says_so(wrap, error: type, text: str):
    with pytest.raises(error, match=text):
        mg.draw(CELLS["rnn"], 2, wrap=wrap)


def test_the_command_draws_long_sequences(tmp_path: Path):
    def svg(*options: str) -> str:
        path = tmp_path / "x.svg"
        result = CliRunner().invoke(cli, ["draw", "rnn", "--steps", "50", "-o", str(path), *options])
        assert result.exit_code == 0, result.output
        return path.read_text()

    def steps(text: str) -> list[int]:
        return [int(t) for t in re.findall(r'<g id="step(?:-|&#45;)(\d+)" class="cluster', text)]

    assert steps(svg()) == [1, 2, 49, 50]
    assert steps(svg("--lens", "20", "--values")) == [1, 19, 20, 21, 50]
    assert steps(svg("--every", "--wrap", "1500")) == list(range(1, 51))


def test_a_slimmer_svg_says_the_same():
    raw = (
        '<svg width="9pt"><g id="a&#45;b"><polygon fill="#fff" stroke="transparent" stroke-width="0.5" points="1,2"/>'
        '<text text-anchor="middle" x="1" font-family="Times" font-size="9">&amp;#45; x</text>'
        '<text text-anchor="start" x="1" font-family="Arial">y</text>'
        '<text text-anchor="middle" font-family="Times">z</text></g></svg>'
    )
    assert renderer.slim(raw) == (
        '<svg font-family="Times" text-anchor="middle" width="9pt"><g id="a-b"><polygon fill="#fff" points="1,2"/>'
        '<text x="1" font-size="9">&amp;#45; x</text><text text-anchor="start" x="1" font-family="Arial">y</text>'
        "<text>z</text></g></svg>"
    )
