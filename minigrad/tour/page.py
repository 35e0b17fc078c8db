"""The page of a tour: one self-contained HTML file, readable in light and in dark, nothing loaded."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..cells.unroll import Unrolled
from ..draw import Picture
from ..engine.functions import softmax
from ..prove import Derived, Proof
from ..prove.derive.derived import CONVENTION, INDUCTION
from ..prove.derive.writing import Text, terms
from ..train import CharModel
from ..train.chart import loss_curve, smoothed
from .mathml import equations, prose


@dataclass(frozen=True)
class Tour:
    """What a tour found: a model and its sample, the drawn steps, the proof and the derivation.

    shown, following: the characters over which the cell is drawn, and the one after each.
    pictures: of those steps, by theme; files: the names they were saved under.
    """

    text_name: str
    text: str
    model: CharModel
    losses: list[float]
    prompt: str
    sample: str
    proof: Proof
    derivation: Derived
    unrolled: Unrolled
    shown: str
    following: str
    pictures: dict[str, Picture]
    files: list[str]
    seconds: float

    @property
    def final(self) -> float:
        """The loss in bits per character, a mean over the last 20 steps."""
        return smoothed(self.losses, 20)[-1]


def page(tour: Tour) -> str:
    """The page as HTML. Every text is escaped; the pictures are SVG that minigrad made."""
    env = Environment(
        loader=PackageLoader("minigrad.tour", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    model, places = tour.model, tour.model.encode(tour.following)
    chance = math.log2(len(model.vocabulary))
    likely = [softmax(o).numpy()[k] for o, k in zip(tour.unrolled.outputs, places, strict=True)]
    return env.get_template("page.html").render(
        tour=tour,
        model=model,
        code=inspect.getsource(model.core.fn).replace("  # fmt: skip", "").rstrip(),
        chance=chance,
        chart=Markup(loss_curve(tour.losses, chance)),
        svgs={theme: Markup(picture.svg()) for theme, picture in tour.pictures.items()},
        reads=list(zip(tour.shown, tour.following, likely, strict=True)),
        convention=prose(CONVENTION.tex),
        formulas=[
            (title, said(words), equations((x.left.tex, rows(x.right.tex)) for x in lines))
            for title, words, lines in tour.derivation.sections
        ],
        induction=[(name, prose(claim.tex)) for name, claim in INDUCTION],
        n_params=sum(p.value.size for p in model.params.values()),
    )


def said(text: Text) -> str:
    """A sentence with its formulas set, if it has any."""
    return prose(text.tex) if text.has_formulas else text.code


def rows(tex: str) -> list[str]:
    """A right side as one row, or if it is long, as one for each of its terms."""
    return terms(tex) if len(tex) > 250 else [tex]
