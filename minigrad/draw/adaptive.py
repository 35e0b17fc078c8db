"""One SVG for a light and a dark page: every colour is a CSS variable, and the dark ones are beside it.

Graphviz knows no CSS. So it is given serial numbers as colours; in what it writes each number becomes
the light colour (for readers of SVG without CSS) and a class that refers to the variable.
"""

from __future__ import annotations

import re

from .theme import Palette, theme

_SHAPE = re.compile(r"<(?:polygon|polyline|path|ellipse|text)\b[^<>]*>")
_COLOUR = re.compile(r'\b(fill|stroke)="#([0-9a-fA-F]{6})"')


class Serial(Palette):
    """A palette of serial numbers, which remembers what each of them stands for."""

    def __init__(self) -> None:
        self.light, self.dark = Palette(theme("light")), Palette(theme("dark"))
        self.names: dict[str, int] = {}
        self.colour: list[tuple[str, str, str]] = []  # name, light, dark

    def __getitem__(self, role: str) -> str:
        return self._number(role, self.light[role], self.dark[role])

    def mix(self, a: str, b: str, u: float) -> str:
        """The number of a mixture of two roles."""
        name = f"{a}-{b}-{round(100 * u)}"
        return self._number(name, self.light.mix(a, b, u), self.dark.mix(a, b, u))

    def _number(self, name: str, light: str, dark: str) -> str:
        if name not in self.names:
            self.names[name] = len(self.colour)
            self.colour.append((name, light, dark))
        return f"#{self.names[name] + 1:06X}"  # from 1: Graphviz writes 0 as a word

    def resolved(self, svg: str) -> str:
        """The SVG with colours for numbers, and a style sheet that has both."""
        svg = _SHAPE.sub(self._classed, svg)
        light, dark, rules = [], [], []
        for name, a, b in self.colour:
            if f"fill-{name}" in svg or f"stroke-{name}" in svg:
                light.append(f"--mg-{name}:{a}")
                dark.append(f"--mg-{name}:{b}")
                rules += [f".mg .{k}-{name}{{{k}:var(--mg-{name})}}" for k in ("fill", "stroke")]
        style = (
            f"<style>.mg{{color-scheme:light dark;{';'.join(light)}}}\n"
            f"@media (prefers-color-scheme:dark){{.mg{{{';'.join(dark)}}}}}\n{''.join(rules)}</style>"
        )
        end = svg.index("<style>")
        return svg[:end].replace("<svg ", '<svg class="mg" ', 1) + style + "\n" + svg[end:]

    def _classed(self, tag: re.Match) -> str:
        classes: list[str] = []

        def real(m: re.Match) -> str:
            name, light, _ = self.colour[int(m[2], 16) - 1]
            classes.append(f"{m[1]}-{name}")
            return f'{m[1]}="{light}"'

        text = _COLOUR.sub(real, tag[0])
        if not classes:
            return text
        end = -2 if text.endswith("/>") else -1
        return f'{text[:end]} class="{" ".join(classes)}"{text[end:]}'
