"""The page: the picture, what is known of it as data, and the scripts that show it, in one file."""

from __future__ import annotations

import html
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..names import clean
from ..scene import Scene
from ..stage import Stage
from ..theme import theme
from .facts import Fact, facts, original
from .figure import figure
from .walk import Frame, backward, walk

SCRIPTS = ("view.js", "light.js", "page.js")  # one after the other, in one scope
_INTERFACE = ("paper", "ink", "soft", "frame", "frame_edge", "state_edge", "gradient")  # colours of the page itself


@dataclass(frozen=True)
class Highlight:
    """A path that a page can light: its name, the keys of its boxes, lines and labels in the Scene, its value."""

    name: str
    keys: tuple[str, ...]
    value: str = ""


def page(
    scene: Scene, stage: Stage | None, svg: Callable[[str], str], theme_name: str = "light",
    paths: Sequence[Highlight] = (),
) -> str:  # fmt: skip
    """The HTML text. svg: Graphviz's SVG of the scene in a theme; stage: what the scene was drawn from.

    With the theme "light" or "auto" the page follows the reader's preference for light or dark.
    Raises ValueError for a path with keys that the scene does not have.
    """
    _check(paths, scene)
    both = theme_name in ("light", "auto")
    picture = figure(scene, svg("auto" if both else theme_name))
    light, dark = (theme(name) for name in (("light", "dark") if both else (theme_name, theme_name)))
    colours = {f"--{role}": (light[role], dark[role]) for role in _INTERFACE}
    known = facts(scene, stage)
    data = _data(scene, stage, known, paths)
    return _environment().get_template("page.html").render(
        title=clean(scene.title), description=clean(scene.description), svg=Markup(picture), colours=colours,
        scheme="light dark" if both else ("dark" if theme_name == "dark" else "light"), css=_file("page.css"),
        script=Markup("").join(map(_file, SCRIPTS)), data=_script_safe(data), rows=_rows(scene, known),
        last=len(data["shown"]), paths=paths,
    )  # fmt: skip


def framed(text: str, title: str, height: int = 640) -> str:
    """A page as a frame of its own inside another page, such as a notebook."""
    return (
        f'<iframe srcdoc="{html.escape(text)}" title="{html.escape(clean(title))}" width="100%" '
        f'height="{height}" style="border:0" sandbox="allow-scripts"></iframe>'
    )


def _check(paths: Sequence[Highlight], scene: Scene) -> None:
    keys = {b.key for b in scene.boxes} | {e.key for e in scene.lines} | {a.key for a in scene.labels}
    for p in paths:
        if unknown := [k for k in p.keys if k not in keys]:
            raise ValueError(
                f"page: the path {p.name!r} has the key {unknown[0]!r}, which is not in the picture; keys are those "
                "of Picture.scene.boxes, .lines and .labels"
            )


def _data(
    scene: Scene, stage: Stage | None, known: dict[str, Fact], paths: Sequence[Highlight]
) -> dict[str, Any]:
    """What the scripts know: boxes, lines, and the frames of the tours."""
    drawn = sorted({int(f.key.rsplit("-", 1)[1]) for f in scene.frames})  # of all rows
    kinds: dict[int, int] = {}
    walks: list[list[Frame]] = []
    for t in drawn if stage is not None else ():
        found = walk(stage.steps[t - 1].drawn, stage.rec.states)
        if found not in walks:
            walks.append(found)
        kinds[t] = walks.index(found)
    return dict(
        title=clean(scene.title), T=stage.T if stage is not None else len(drawn), shown=drawn, kinds=kinds,
        nodes={k: f.as_json() for k, f in known.items()},
        lines=_lines(scene),
        walks=[[vars(f) for f in w] for w in walks],
        back=[vars(f) for f in (backward(stage) if stage is not None else ())],
        paths=[vars(p) for p in paths],
    )  # fmt: skip


def _lines(scene: Scene) -> list[dict[str, str]]:
    """The lines; a box that is drawn again at the beginning of a row comes from the one before."""
    keys = {b.key for b in scene.boxes if b.lies_in is None}
    copies = sorted(k for k in keys if original(k) != k and original(k) in keys)
    again = [dict(key=f"{k}-again", source=original(k), sink=k, kind="again") for k in copies]
    return [dict(key=e.key, source=e.source, sink=e.sink, kind=e.kind) for e in scene.lines] + again


def _script_safe(data: Any) -> Markup:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}))


def _rows(scene: Scene, known: dict[str, Fact]) -> list[dict[str, str]]:
    """The table: each box, and the names of the boxes that it reads."""
    into: dict[str, list[str]] = defaultdict(list)
    for e in _lines(scene):
        if "grad" not in e["kind"].split():
            into[e["sink"]].append(e["source"])
    return [
        dict(
            name=f.name, word=f.word, step="" if f.step is None else str(f.step), shape=f.shape, norm=f.norm,
            equation="; ".join(f.equations), reads=", ".join(known[k].name for k in _sources(key, into, known)),
        )
        for key, f in known.items()
    ]  # fmt: skip


def _sources(key: str, into: dict[str, list[str]], known: dict[str, Fact]) -> list[str]:
    """The boxes that a box reads, through the dots where wires meet."""
    found: list[str] = []
    stack = list(reversed(into[key]))
    while stack:
        k = stack.pop()
        if k in known:
            found.append(k)
        else:
            stack += into[k]
    return list(dict.fromkeys(found))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("minigrad.draw.page", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=False,
    )  # fmt: skip


def _file(name: str) -> Markup:
    source, *_ = _environment().loader.get_source(_environment(), name)
    return Markup(source)
