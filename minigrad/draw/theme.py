"""Colours, in one table: roles in rows, palettes in columns; and the marks and dashes beside them.

Gates have one fixed colour each, by name. The nearest two of them are 12 units of CIE L*a*b* apart to
readers with normal sight and to those without red, green or blue cones (computed in a test); text on
them has a contrast of 4.5:1. A mark on each rail tells gates apart too, and in `paper` a dash.
"""

from __future__ import annotations

from collections.abc import Mapping

#        role           light      dark       paper (its greys differ when it is printed in black)
_TABLE = {
    "paper":          ("#FFFFFF", "#11161C", "#FFFFFF"),
    "ink":            ("#263238", "#E6EDF3", "#000000"),
    "soft":           ("#546E7A", "#9FB1BB", "#4A4A4A"),
    "frame":          ("#F5F7F9", "#1A222B", "#F7F7F7"),
    "frame_edge":     ("#CFD8DC", "#37474F", "#A6A6A6"),
    "state":          ("#FFFFFF", "#1F2933", "#FFFFFF"),
    "state_edge":     ("#607D8B", "#90A4AE", "#4A4A4A"),
    "op":             ("#FFF3C4", "#3A3212", "#FFFFFF"),
    "op_edge":        ("#B58900", "#E0B94C", "#000000"),
    "param":          ("#ECEFF1", "#222C36", "#F0F0F0"),
    "plain":          ("#5A6B75", "#A9B8C1", "#424D52"),  # a gate or rail without a colour of its own
    "on_gate":        ("#FFFFFF", "#11161C", "#FFFFFF"),
    "gate_inside":    ("#FFFFFF", "#161D25", "#FFFFFF"),
    "gradient":       ("#B2135F", "#FF6CA3", "#91164D"),
    "negative":       ("#2166AC", "#5B9BD5", "#F4F8FF"),  # of values: on paper from white through grey
    "zero":           ("#FFFFFF", "#11161C", "#B4B4B4"),
    "positive":       ("#B2182B", "#E0565B", "#2B0508"),
    "gate0":          ("#CA3739", "#FF8D61", "#CB440A"),  # forget: vermilion
    "gate1":          ("#1178B8", "#51ACD2", "#06263C"),  # input: blue
    "gate2":          ("#25804A", "#70CC87", "#135E36"),  # candidate: green
    "gate3":          ("#7B4797", "#DBACF7", "#4F3161"),  # output: purple
    "gate4":          ("#8B5B00", "#E5B34C", "#8B5800"),  # update: ochre
    "gate5":          ("#1B6063", "#51D3CB", "#003737"),  # reset: teal
}  # fmt: skip
_PALETTE_OF = {"light": 0, "dark": 1, "auto": 0, "paper": 2, "slide": 0}  # theme -> column

THEMES = {name: {role: row[i] for role, row in _TABLE.items()} for name, i in _PALETTE_OF.items()}
FONTS = {"paper": ("Times-Roman", "Times-Bold")}
HELVETICA = ("Helvetica", "Helvetica-Bold")  # names that every Graphviz knows, and writes as font-weight
TYPE = {"slide": 1.5}  # size of type
N_GATES = sum(role.startswith("gate") and role[4:].isdigit() for role in _TABLE)

MARKS = {  # shape, width and height of what stands on a gate's rail; stars differ between versions of Graphviz
    "gate0": ("ellipse", 5.5, 5.5), "gate1": ("box", 5.0, 5.0), "gate2": ("diamond", 7.5, 7.5),
    "gate3": ("triangle", 7.5, 7.0), "gate4": ("invtriangle", 7.5, 7.0), "gate5": ("box", 9.0, 3.0),
}  # fmt: skip
PLAIN_MARK = ("ellipse", 3.6, 3.6)
DASHES = {"paper": {"gate1": "dashed", "gate2": "dotted", "gate4": "dashed", "gate5": "dotted"}}

_GATE_OF_NAME = dict(
    f=0, forget=0, i=1, input=1, c_tilda=2, c_tilde=2, c_hat=2, g=2, n=2, h_tilda=2, h_tilde=2, h_hat=2,
    candidate=2, o=3, output=3, z=4, u=4, update=4, r=5, reset=5,
)  # fmt: skip


class Palette:
    """Colours by role, and between two roles."""

    def __init__(self, colours: Mapping[str, str]) -> None:
        self.colours = colours

    def __getitem__(self, role: str) -> str:
        return self.colours[role]

    def mix(self, a: str, b: str, u: float) -> str:
        """The colour a fraction u of the way from role a to role b, in steps of a hundredth."""
        return mix(self.colours[a], self.colours[b], round(u, 2))


def theme(name: str) -> dict[str, str]:
    """The colours of a theme by role. Raises ValueError for an unknown theme."""
    if name not in THEMES:
        raise ValueError(f"draw: there is no theme {name!r}; pass one of {', '.join(THEMES)}")
    return THEMES[name]


def known_gate(name: str | None) -> int | None:
    """0 forget, 1 input, 2 candidate, 3 output, 4 update, 5 reset; None for another name."""
    return _GATE_OF_NAME.get((name or "").lower())


def gate_roles(names: list[str | None]) -> list[str]:
    """A colour role per gate: by name where the name is known, else the first that is still free."""
    known = [known_gate(n) for n in names]
    taken = {k for k in known if k is not None}
    roles = []
    for k in known:
        if k is None:
            k = next((c for c in (2, 1, 3, 0, 5, 4) if c not in taken), None)
            if k is not None:
                taken.add(k)
        roles.append("plain" if k is None else f"gate{k}")
    return roles


def mix(a: str, b: str, u: float) -> str:
    """The colour a fraction u of the way from a to b."""
    one, two = ([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (a, b))
    return "#" + "".join(f"{round(x + (y - x) * u):02X}" for x, y in zip(one, two, strict=True))


def luminance(colour: str) -> float:
    """Relative luminance, 0 black to 1 white (WCAG 2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)
