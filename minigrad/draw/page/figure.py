"""Graphviz's SVG made ready for a page: a group for each box, and nothing said twice."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from ..scene import Box, Label, Scene, Strip

SVG = "{http://www.w3.org/2000/svg}"
_PAINTS = ("fill", "stroke")
_SAID_ONCE = ("font-family", "{http://www.w3.org/XML/1998/namespace}space")  # in page.css
ET.register_namespace("", SVG[1:-1])


def figure(scene: Scene, svg: str) -> str:
    """The SVG element of a scene: each box is a group that holds its pieces, with its key as id.

    svg: as Graphviz writes it; what its style sheet says of colours is not said again beside it.
    """
    root = ET.fromstring(svg)
    for name in ("width", "height", "role", "aria-labelledby"):
        root.attrib.pop(name, None)
    for child in list(root):
        if child.tag in (f"{SVG}title", f"{SVG}desc"):
            root.remove(child)
    _unwrap(root)
    _group(root, scene)
    for e in root.iter():
        if (anchor := e.attrib.pop("text-anchor", "middle")) != "middle":  # the page's style says middle
            e.set("style", f"text-anchor:{anchor}")
        for k in (*_SAID_ONCE, *(p for p in _PAINTS if f"{p}-" in e.get("class", ""))):
            e.attrib.pop(k, None)
        if e.tag not in (f"{SVG}text", f"{SVG}style"):
            e.text = None
        e.tail = None
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _unwrap(root: ET.Element) -> None:
    """Graphviz's links that hold a tooltip, as the group's own children; the page says what they said."""
    for parent in list(root.iter(f"{SVG}g")):
        for child in list(parent):
            links = child.findall(f"{SVG}a") if child.get("id", "").startswith("a_") else []
            if links:
                place = list(parent).index(child)
                parent.remove(child)
                for i, e in enumerate(e for a in links for e in a):
                    parent.insert(place + i, e)


def _group(root: ET.Element, scene: Scene) -> None:
    """The pieces of each box inside its group; the groups of boxes after all others."""
    graph = next(g for g in root.iter(f"{SVG}g") if g.get("class", "").startswith("graph"))
    graph.set("class", f"graph {root.get('class', '')}".strip())  # the map's copy of it needs its colours too
    by_id = {g.get("id"): g for g in graph}
    pieces: list[Box | Strip | Label] = [*scene.boxes, *scene.strips, *scene.labels]
    for piece in pieces:
        g, whole = by_id.get(piece.key), by_id.get(piece.lies_in or "")
        if g is not None and whole is not None:
            graph.remove(g)
            whole.extend(list(g))
    for box in scene.boxes:
        if box.key in by_id and box.lies_in is None:
            by_id[box.key].set("class", f"box {box.kind}".strip())
