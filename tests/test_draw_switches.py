"""Switches of the picture: what each shows or hides, and that what is said is so."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad import Cell, tensor
from minigrad.cells import CELLS
from minigrad.draw import Scene, draw
from minigrad.draw import render as renderer
from minigrad.draw.limits import EXPLODED, VANISHED
from minigrad.draw.scene import HIGH, LOW
from minigrad.draw.theme import THEMES

ALL = {**CELLS, **STRANGERS}
FEW = ("rnn", "gru", "lstm", "minimal_gated")  # the others are slow to lay out
EVERY = [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in sorted(ALL)]
LOUD = 15 * np.random.default_rng(0).standard_normal((3, 1, 4))  # inputs that saturate gates
ENGINES = [
    pytest.param("dot", marks=pytest.mark.skipif(not renderer.has_dot(), reason="dot is not installed")),
    "wasm",
]


def broken(scene: Scene) -> dict[str, list]:
    return {n: found[:3] for n, law in LAWS.items() if (found := law(scene))}


def words(scene: Scene) -> dict[str, str]:
    return {a.key: a.text for a in scene.labels}


def unrolled(c: Cell, T: int, recurrent: float | None = None, x: np.ndarray | None = None) -> mg.cells.Unrolled:
    """A cell, perhaps with a multiple of the identity as recurrent matrix and no bias."""
    params = c.init(0, n=5, d=4)
    if recurrent is not None:
        square = tensor(recurrent * np.eye(5), requires_grad=True)
        params |= {k: square for k, v in params.items() if v.shape == (5, 5)}
        params |= {k: tensor(np.zeros(5), requires_grad=True) for k, v in params.items() if v.shape == (5,)}
    xs = np.random.default_rng(0).standard_normal((T, 1, 4)) if x is None else x
    return mg.unroll(c, tuple(tensor(s, requires_grad=True) for s in c.zero_state(1, n=5)), xs, params)


# ---- shapes --------------------------------------------------------------------------------------
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("name", ["lstm", "minimal_gated"])
def test_shapes_are_written_or_not_and_the_rest_stays(name: str, values: bool):
    full, bare = (draw(ALL[name], 2, values=values, shapes=s).scene for s in (True, False))
    assert any("×" in t for t in words(full).values())
    assert not any(re.search(r"\d×\d", t) for t in words(bare).values())
    assert [b.key for b in full.boxes] == [b.key for b in bare.boxes]
    assert {k for k in words(full) if k.endswith("-name")} == {k for k in words(bare) if k.endswith("-name")}
    assert broken(bare) == {}


# ---- saturated gates -----------------------------------------------------------------------------
def cells_of(dot: str, key: str) -> list[tuple[str, float]]:
    """Colours of a strip, and their shares of its width."""
    node = next(line for line in dot.splitlines() if line.startswith(f'  "{key}" '))
    parts = [p.split(";") for p in re.search(r'fillcolor="([^"]+)"', node)[1].split(":")]
    known = [float(p[1]) for p in parts if len(p) > 1]
    return [(p[0], float(p[1]) if len(p) > 1 else 1 - sum(known) if known else 1 / len(parts)) for p in parts]


@pytest.mark.parametrize("theme", THEMES)
def test_a_saturated_entry_is_hatched_and_no_other(theme: str):
    picture = draw(unrolled(CELLS["lstm"], 3, x=LOUD), values=True, theme=theme)
    strips = [s for s in picture.scene.strips if s.hatched]
    seen = set()
    for s in strips:
        found = cells_of(picture.dot, s.key)
        for i, v in enumerate(s.values):
            n = len(s.values)
            inside = [c for c, share, x in _spans(found) if i / n <= x + share / 2 < (i + 1) / n]
            seen.add(low_high := (v > HIGH) - (v < LOW))
            assert len(inside) == 1 if low_high == 0 else len(inside) >= 3
            assert len(set(inside)) == (1 if low_high == 0 else 2)
    assert seen == {-1, 0, 1}


def _spans(cells: list[tuple[str, float]]) -> list[tuple[str, float, float]]:
    """(colour, share, where it begins)."""
    starts = np.cumsum([0.0, *(share for _, share in cells)])
    return [(c, share, x) for (c, share), x in zip(cells, starts, strict=False)]


def test_only_sigmoids_are_hatched_and_the_switch_turns_it_off():
    u = unrolled(CELLS["lstm"], 3, x=LOUD)
    on, off = (draw(u, values=True, saturated=s) for s in (True, False))
    hatched = {s.key for s in on.scene.strips if s.hatched}
    names = {k.removesuffix("-act") for k, text in words(on.scene).items() if text == "σ"}
    assert hatched == {f"{n}-value" for n in names} != set()
    assert not any(s.hatched for s in off.scene.strips)
    assert ";" not in "".join(re.findall(r'fillcolor="[^"]+"', off.dot))
    assert "hatched: a gate below 0.05 or above 0.95" in words(on.scene).values()
    assert not any("hatched" in t for t in words(off.scene).values())


def test_the_tooltip_of_a_hatched_strip_counts_the_saturated_entries():
    u = unrolled(CELLS["lstm"], 2, x=LOUD[:2])
    scene = draw(u, values=True).scene
    gate = next(n for n in u.nodes if n.name == "F" and n.note.step == 2).value[0]
    n = int(((gate < LOW) | (gate > HIGH)).sum())
    tips = [s.tip for s in scene.strips if s.hatched and f"; {n} of 5 saturated" in s.tip and s.hue == "gate0"]
    assert n > 0
    assert tips


@pytest.mark.parametrize("engine", ENGINES)
def test_hatching_is_in_the_svg_as_stripes(engine: str):
    u = unrolled(CELLS["gru"], 3, x=LOUD)
    count = [len(re.findall("<polygon", draw(u, values=True, saturated=s).svg(engine))) for s in (False, True)]
    assert count[1] > count[0] + 4


# ---- what is not finite ---------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_what_is_not_finite_is_a_word_beside_its_strip(value: float, word: str):
    x = np.zeros((2, 1, 4))
    x[1, 0, 2] = value
    with np.errstate(all="ignore"):
        scene = draw(unrolled(CELLS["lstm"], 2, x=x), values=True).scene
    odd = {k: t for k, t in words(scene).items() if k.endswith("-odd")}
    assert odd["t2-x0-value-odd"] == word
    assert not any(k.startswith("t1-") for k in odd)
    assert broken(scene) == {}


# ---- the check, and the limits of the profile -----------------------------------------------------
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_the_check_in_the_picture_is_the_difference_that_was_measured(name: str):
    picture = draw(ALL[name], 3, values=True)
    text = next(t for t in words(picture.scene).values() if t.startswith("Σ taps"))
    assert text == f"Σ taps = W.grad, max error {picture.check:.1e}"
    assert picture.check < 1e-15
    assert not any(t.startswith("Σ") for t in words(draw(ALL[name], 3).scene).values())


@pytest.mark.parametrize(("recurrent", "kind"), [(0.4, "vanished"), (2.2, "exploded")])
def test_a_limit_parts_the_bars_by_their_norms(recurrent: float, kind: str):
    u = unrolled(CELLS["rnn"], 8, recurrent, np.full((8, 1, 4), 1e-5))
    scene = draw(u, values=True).scene
    norm = {t: float(text.split()[1]) for t in range(9) if (text := words(scene).get(f"s0-{t}-norm"))}
    limit = norm[8] * (VANISHED if kind == "vanished" else EXPLODED)
    line = next(e for e in scene.lines if e.key == f"{kind}-0")
    tops = {t: next(b.y + b.h / 2 for b in scene.boxes if b.key == f"bar-s0-{t}") for t in norm}
    above = {t for t, y in tops.items() if y > line.points[0][1]}
    assert above == {t for t, n in norm.items() if n > limit}
    assert 0 < len(above) < 9
    assert line.dashed
    assert any(t.startswith(f"{kind}: ") for t in words(scene).values())
    assert broken(scene) == {}


def test_a_gradient_that_stays_has_no_limit_in_its_picture():
    scene = draw(CELLS["rnn"], 1, values=True, loss=None).scene
    assert not any(e.kind == "limit" for e in scene.lines if e.key.startswith("exploded"))


# ---- names from the user, in every theme and file -------------------------------------------------
NAMES = ["<b>bold</b>", 'say "no"', "back\\slash", "x" * 200, "שלום עולם", "</script><script>alert(1)</script>",
         'fill="#000001"', "</style><b>", "\\N"]  # fmt: skip


@pytest.mark.parametrize("theme", ["auto", "paper", "slide"])
def test_a_name_stays_a_name_in_every_theme(theme: str):
    for text in NAMES:
        W = tensor(np.ones((2, 2)), requires_grad=True, name=text)
        with mg.engine.core.recording("all"):
            y = mg.tanh(tensor(np.ones((1, 2)), name=text) @ W)
        y.name = text
        picture = draw(y, title=text, theme=theme)
        assert broken(picture.scene) == {}
        for engine in ("wasm", "dot") if renderer.has_dot() else ("wasm",):
            root = ET.fromstring(picture.svg(engine))
            tags = {e.tag.rpartition("}")[2] for e in root.iter()}
            assert not tags & {"script", "b"}
            assert root[0].text == text
            shown = "".join(root.itertext())
            assert all(a.text.replace(" ", "\xa0") in shown.replace(" ", "\xa0") for a in picture.scene.labels)


# ---- truncated backpropagation -------------------------------------------------------------------
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["rnn", "lstm", "minimal_gated"])
def test_a_truncated_picture_has_the_gradient_of_a_truncated_scan(name: str, k: int):
    c, T = ALL[name], 5
    u = unrolled(c, T)
    scene = draw(u, truncate=k)
    state, _ = mg.scan(c, u.states[0] if len(c.states) > 1 else u.states[0][0],
                       mg.cat([x[0].reshape(1, 1, 4) for x in u.xs], 0), u.params, truncate=k)  # fmt: skip
    h = state[0] if isinstance(state, tuple) else state
    names = list(c.params)
    found = _gradients(mg.mean(h * h), [u.params[n] for n in names])
    whole = _gradients(mg.mean(u.outputs[-1] * u.outputs[-1]), [u.params[n] for n in names])
    rec, numbers = scene.stage.rec, scene.stage.numbers
    for n, now, before in zip(names, found, whole, strict=True):
        i = rec.param_names.index(n)
        np.testing.assert_allclose(numbers.total[i], now, rtol=1e-10, atol=1e-13)
        lost = np.linalg.norm(now - before) / np.linalg.norm(before)
        assert scene.stage.options.cuts.lost[i] == pytest.approx(lost, abs=1e-12)
    assert scene.check < 1e-14


def _gradients(y: mg.Tensor, params: list[mg.Tensor]) -> list[np.ndarray]:
    for p in params:
        p.grad = None
    y.backward()
    return [np.asarray(getattr(p.grad, "value", p.grad)) for p in params]


@pytest.mark.parametrize("name", EVERY)
def test_no_gradient_arrow_crosses_a_cut_and_the_lines_stand_where_it_is_cut(name: str):
    scene = draw(ALL[name], 5, truncate=2).scene
    cuts = [e for e in scene.lines if e.kind == "cut"]
    assert [e.key for e in cuts] == ["cut-3", "cut-5"]
    for e in cuts:
        x = e.points[0][0]
        assert scene.frames[int(e.key[4:]) - 2].x1 < x < scene.frames[int(e.key[4:]) - 1].x0
    back = [e for e in scene.lines if e.kind.startswith("grad")]
    assert {e.key.rpartition("-")[2] for e in back} <= {"1", "2", "4"}
    assert broken(scene) == {}


def test_the_lost_share_is_written_beside_the_parameters_and_below():
    picture = draw(CELLS["lstm"], 4, truncate=2)
    cuts, text = picture.stage.options.cuts, list(words(picture.scene).values())
    assert f"truncate=2: the gradient is cut at step 3; {cuts.total:.0%} of W.grad is lost" in text
    assert sum(t.startswith("lost ") for t in text) == 4
    assert "the gradient is cut at step 3" in picture.scene.description
    assert 0 < cuts.total < 1


def test_nothing_is_lost_where_nothing_is_cut():
    picture = draw(CELLS["gru"], 3, truncate=3)
    assert picture.stage.options.cuts.total == 0
    assert not any(e.kind == "cut" for e in picture.scene.lines)
    assert "truncate=3 over T=3 steps: nothing is dropped" in words(picture.scene).values()


def test_truncation_without_a_gradient_says_what_to_do():
    with pytest.raises(ValueError, match=r"truncate=\.\.\. cuts a gradient; leave out gradients=False"):
        draw(CELLS["rnn"], 2, truncate=1, gradients=False)
    with pytest.raises(ValueError, match=r"truncate=0; pass a number of steps of at least 1"):
        draw(CELLS["rnn"], 2, truncate=0)
