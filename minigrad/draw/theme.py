"""Colours, in one table: roles in rows, themes in columns.

Gates have one fixed colour each, by name, told apart by colour-blind readers (Okabe and Ito's hues,
darkened or lightened until text on them has a contrast of 4.5:1).
"""

from __future__ import annotations

#        role           light      dark
_TABLE = {
    "paper":          ("#FFFFFF", "#11161C"),
    "ink":            ("#263238", "#E6EDF3"),
    "soft":           ("#546E7A", "#9FB1BB"),
    "frame":          ("#F5F7F9", "#1A222B"),
    "frame_edge":     ("#CFD8DC", "#37474F"),
    "state":          ("#FFFFFF", "#1F2933"),
    "state_edge":     ("#607D8B", "#90A4AE"),
    "op":             ("#FFF3C4", "#3A3212"),
    "op_edge":        ("#B58900", "#E0B94C"),
    "param":          ("#ECEFF1", "#222C36"),
    "plain":          ("#5A6B75", "#A9B8C1"),  # a gate or rail without a colour of its own
    "on_gate":        ("#FFFFFF", "#11161C"),
    "gate_inside":    ("#FFFFFF", "#161D25"),
    "gradient":       ("#B3145A", "#FF6FA5"),
    "negative":       ("#2166AC", "#5B9BD5"),
    "positive":       ("#B2182B", "#E0565B"),
    "zero":           ("#FFFFFF", "#11161C"),
    "gate0":          ("#C2410C", "#FF8A5C"),  # forget: vermillion
    "gate1":          ("#0B6FA8", "#5BB8E0"),  # input: blue
    "gate2":          ("#1B7F4B", "#63C783"),  # candidate: green
    "gate3":          ("#7E4A9E", "#C79BDD"),  # output: purple
    "gate4":          ("#8A5A00", "#E3B04B"),  # update: ochre
    "gate5":          ("#00767A", "#4FD0C7"),  # reset: teal
}  # fmt: skip

THEMES = {name: {role: row[i] for role, row in _TABLE.items()} for i, name in enumerate(("light", "dark"))}
N_GATES = sum(role.startswith("gate") and role[4:].isdigit() for role in _TABLE)

_GATE_OF_NAME = dict(
    f=0, forget=0, i=1, input=1, c_tilda=2, c_tilde=2, c_hat=2, g=2, n=2, h_tilda=2, h_tilde=2, h_hat=2,
    candidate=2, o=3, output=3, z=4, u=4, update=4, r=5, reset=5,
)  # fmt: skip


def theme(name: str) -> dict[str, str]:
    """The colours of a theme by role. Raises ValueError for an unknown theme."""
    if name not in THEMES:
        raise ValueError(f"draw: there is no theme {name!r}; pass one of {', '.join(THEMES)}")
    return THEMES[name]


def gate_roles(names: list[str | None]) -> list[str]:
    """A colour role per gate: by name where the name is known, else the first that is still free."""
    known = [_GATE_OF_NAME.get((n or "").lower()) for n in names]
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
