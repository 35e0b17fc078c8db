"""Every theme can be read: contrast of text, colours as the colour-blind see them, one SVG for two schemes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
from draw_laws import LAWS, STRANGERS

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.draw import Scene
from minigrad.draw import render as renderer
from minigrad.draw.theme import DASHES, MARKS, N_GATES, THEMES, contrast

SVG = "{http://www.w3.org/2000/svg}"
ENGINES = [
    pytest.param("dot", marks=pytest.mark.skipif(not renderer.has_dot(), reason="dot is not installed")),
    "wasm",
]
GATES = [f"gate{i}" for i in range(N_GATES)]


# ---- contrast ------------------------------------------------------------------------------------
def backgrounds(scene: Scene) -> set[tuple[str, str]]:
    """(role of the text, role of what lies under it) for every text of a scene."""
    found = set()
    texts = [(a.x, a.y, a.ink) for a in scene.labels if a.text.strip()]
    found |= {(b.ink, b.fill) for b in scene.boxes if b.text}
    for x, y, ink in texts:
        under = "paper"
        for f in scene.frames:
            under = "frame" if f.x0 < x < f.x1 and f.y0 < y < f.y1 else under
        for b in scene.boxes:  # in drawing order: the last one is on top
            under = b.fill if abs(b.x - x) < b.w / 2 and abs(b.y - y) < b.h / 2 else under
        found.add((ink, under))
    return found


@pytest.fixture(scope="module")
def pairs() -> set[tuple[str, str]]:
    """All pairs of the scenes of cells with every colour of gate."""
    shown = [("lstm", "gates", True), ("lstm", "gates", False), ("gru", "ops", False), ("rnn", "ops", True)]
    scenes = [mg.draw(CELLS[c], 2, level=level, values=values).scene for c, level, values in shown]
    return {pair for s in scenes for pair in backgrounds(s)}


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_has_a_contrast_of_4_5_to_what_is_under_it(theme: str, pairs: set[tuple[str, str]]):
    c = THEMES[theme]
    assert {("on_gate", "gate0"), ("soft", "gate_inside"), ("ink", "op"), ("gradient", "state")} <= pairs
    assert {(a, b): round(contrast(c[a], c[b]), 2) for a, b in sorted(pairs) if contrast(c[a], c[b]) < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_every_gate_colour_can_be_read_on_and_read_itself(theme: str):
    c = THEMES[theme]
    for g in [*GATES, "plain"]:
        assert contrast(c["on_gate"], c[g]) >= 4.5
        assert contrast(c[g], c["gate_inside"]) >= 4.5


# ---- colours as they are seen ---------------------------------------------------------------------
SEEN = {  # linear RGB as it is seen: Machado, Oliveira and Fernandes 2009, table 1, severity 1.0
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                       [-0.011820, 0.042940, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                      [0.004733, 0.691367, 0.303900]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}  # fmt: skip
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, seen: str) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as it is seen."""
    v = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    x = XYZ @ np.clip(np.array(SEEN[seen]) @ linear, 0, 1) / XYZ.sum(1)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(theme: str, seen: str, roles: list[str]) -> float:
    """The least distance of two roles' colours."""
    colours = [lab(THEMES[theme][r], seen) for r in roles]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(colours, 2))


@pytest.mark.parametrize("seen", [s for s in SEEN if s != "grey"])
@pytest.mark.parametrize("theme", ["light", "dark", "auto", "slide"])
def test_gates_and_gradients_differ_to_every_eye(theme: str, seen: str):
    assert nearest(theme, seen, [*GATES, "gradient"]) >= 12


def test_on_paper_gates_differ_in_grey_or_in_their_dashes():
    grey = {g: lab(THEMES["paper"][g], "grey")[0] for g in GATES}
    for a, b in combinations(GATES, 2):
        assert abs(grey[a] - grey[b]) >= 5
        if abs(grey[a] - grey[b]) < 12:
            assert DASHES["paper"].get(a) != DASHES["paper"].get(b)


def test_every_gate_has_a_mark_of_its_own_on_its_rail():
    assert len(set(MARKS.values())) == len(MARKS) == N_GATES
    scene = mg.draw(CELLS["lstm"], 2).scene
    dots = {(b.fill, (b.shape, b.w, b.h)) for b in scene.boxes if re.match(r"joint gate", b.kind)}
    assert dots == {(g, MARKS[g]) for g in ("gate0", "gate1", "gate2", "gate3")}


def test_on_paper_values_are_ordered_from_light_to_dark_without_colour():
    c = THEMES["paper"]
    low, middle, high = (lab(c[r], "grey")[0] for r in ("negative", "zero", "positive"))
    assert low > middle + 20 > high + 40


# ---- the themes in the file ----------------------------------------------------------------------
@pytest.mark.parametrize("theme", ["dark", "auto"])
def test_a_theme_of_colours_changes_colours_only(theme: str):
    light, other = (mg.draw(CELLS["lstm"], 2, values=True, theme=t) for t in ("light", theme))
    assert light.scene == other.scene
    bare = [re.sub(r"#[0-9A-Fa-f]{6,8}", "#", p.dot) for p in (light, other)]
    assert bare[0] == bare[1]


def test_on_paper_lines_are_dashed_and_the_type_has_serifs():
    dot = mg.draw(CELLS["lstm"], 2, theme="paper").dot
    rails = [line for line in dot.splitlines() if 'class="rail"' in line]
    assert {re.search(r'style="(\w+)"', r)[1] for r in rails if "style" in r} == {"dashed", "dotted"}
    assert sum("style" not in r for r in rails) == 4  # forget and output: two steps each
    assert 'fontname="Times-Roman"' in dot
    assert "Helvetica" not in dot


def painted(svg: str) -> list[tuple[str, str, str]]:
    """(kind, property, colour) of all that is painted, in order; names of white as a number."""
    shapes = [e for e in ET.fromstring(svg).iter() if e.tag.removeprefix(SVG) in ("polygon", "path", "ellipse", "text")]
    words = {"white": "#ffffff", "black": "#000000", "transparent": "none"}
    return [
        (e.tag.removeprefix(SVG), k, words.get(v, v).lower())
        for e in shapes for k in ("fill", "stroke") if (v := e.get(k))
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_auto_is_the_light_picture_and_its_style_sheet_makes_the_dark_one(engine: str):
    light, dark, auto = (mg.draw(CELLS["gru"], 2, values=True, theme=t).svg(engine) for t in ("light", "dark", "auto"))
    assert painted(auto) == painted(light)
    variables = re.search(r"prefers-color-scheme:dark\)\{\.mg\{(.*?)\}", auto)[1]
    table = dict(v.removeprefix("--mg-").split(":") for v in variables.split(";"))

    def at_night(tag: re.Match) -> str:
        text, classes = tag[0], re.search(r' class="([^"]*)"', tag[0])
        for name in (classes[1].split() if classes else ()):
            prop, role = name.split("-", 1)
            assert f".mg .{name}{{{prop}:var(--mg-{role})}}" in auto
            text = re.sub(rf'\b{prop}="[^"]*"', f'{prop}="{table[role]}"', text)
        return text

    night = re.sub(r"<(polygon|path|ellipse|text)\b[^>]*>", at_night, auto)
    assert painted(night) == painted(dark)


def test_auto_in_dot_is_light():
    light, auto = (mg.draw(CELLS["rnn"], 2, theme=t).dot for t in ("light", "auto"))
    assert light == auto


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["lstm", "minimal_gated"])
def test_every_theme_obeys_the_laws(name: str, theme: str):
    scene = mg.draw({**CELLS, **STRANGERS}[name], 3, values=True, theme=theme).scene
    assert {n: law(scene)[:3] for n, law in LAWS.items() if law(scene)} == {}
