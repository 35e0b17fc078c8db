"""The tour, one stop after the other: learn, sample, draw, prove, derive, write."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from .._output import whole_folder
from ..cells.unroll import unroll
from ..draw import draw
from ..draw.render import has_dot
from ..engine.functions import cross_entropy
from ..prove import derive, prove
from ..text import CharModel, default_text
from .page import Tour, page

MARKER = "tour.json"  # tells a folder that a tour left from one that holds something else
MAX_CHARACTERS = 4_000_000
HIDDEN, BATCH, LENGTH = 128, 32, 32
SHOWN = 4  # characters over which the cell is drawn
PROMPT = "def "


class TourError(ValueError):
    """A text that cannot be learned from; the message names the file and says why."""


def read_text(file: str | None) -> tuple[str, str]:
    """(what the text is, the text): a file of the user's, or the source of Python's standard library."""
    if file is None:
        try:
            return "the source of Python's standard library", default_text()
        except FileNotFoundError as e:
            raise TourError(f"{e}: pass --text FILE") from None
    try:
        with open(file, encoding="utf-8-sig") as f:
            text = f.read(MAX_CHARACTERS)
    except UnicodeDecodeError as e:
        raise TourError(f"{file}: not UTF-8 text (byte {e.object[e.start]:#04x}); save it as UTF-8") from None
    need = 2 * LENGTH + 1
    if len(text) < need:
        raise TourError(f"{file}: {len(text)} characters are too few to learn from; at least {need}")
    return Path(file).name, text


def learn(text: str, steps: int) -> CharModel:
    """A character LSTM after some steps of training, with a progress bar."""
    rows = min(BATCH, (len(text) - 1) // LENGTH)
    pause = 0.1 if sys.stderr.isatty() else 5.0  # seconds between two states of the bar; few lines in a log
    # Two BLAS threads gain nothing on matrices this small; where another process has one of the cores,
    # they were measured ten times slower (0.30 s a step against 0.03 s).
    with (
        threadpool_limits(1, user_api="blas"),
        tqdm(total=steps, unit="step", desc="training", mininterval=pause) as bar,
    ):

        def progress(step: int, bits: float) -> None:
            bar.set_postfix_str(f"{bits:.2f} bits per character", refresh=False)
            bar.update()

        return CharModel.train(text, steps, HIDDEN, rows, LENGTH, progress=progress)


def take(file: str | None, folder: str, steps: int, say: Callable[[str], Any] = print) -> str:
    """Take the tour and leave its folder; the verdict of the proof: proved, refuted or unknown.

    file: UTF-8 text to learn from, or None for the source of Python's standard library.
    Raises TourError for a text that cannot be learned from, OSError for a folder that cannot be made;
    then nothing is left.
    """
    start = time.perf_counter()
    name, text = read_text(file)
    with whole_folder(folder, MARKER) as part:
        say(f"Learning from {name}: {len(text):,} characters.")
        model = learn(text, steps)
        prompt = PROMPT if set(PROMPT) <= set(model.vocabulary) else text[: len(PROMPT)]
        sample = model.sample(600, prompt, temperature=0.8)
        say("It writes:\n" + "\n".join("    " + line for line in sample[:240].splitlines()))
        proof = prove(model.cell, loss=cross_entropy)
        say(f"The BPTT gradient of {model.cell.name}: {proof.verdict}.")
        shown, following = text[:SHOWN], text[1 : SHOWN + 1]
        steps_shown = unroll(model.cell, model.zero_state(), model.one_hot(shown), model.params)
        loss = steps_shown.loss(cross_entropy, list(model.encode(following)))
        pictures = {t: draw(steps_shown, values=True, loss=loss, theme=t) for t in ("light", "dark")}
        tour = Tour(
            text_name=name, text=text, model=model, prompt=prompt, sample=sample, proof=proof,
            derivation=derive(model.core), unrolled=steps_shown, shown=shown, following=following,
            pictures=pictures, files=_save(pictures, part), seconds=time.perf_counter() - start,
        )  # fmt: skip
        _write(part, tour)
    say(f"See {Path(folder) / 'index.html'}")
    return proof.verdict


def _save(pictures: dict[str, Any], folder: Path) -> list[str]:
    """The picture in every form that can be made on this machine; PNG needs Graphviz's own program."""
    forms = ["unrolled.svg", "unrolled.dot", *["unrolled.png"] * has_dot()]
    for name in forms:
        pictures["light"].save(folder / name)
    pictures["dark"].save(folder / "unrolled-dark.svg")
    return [*forms, "unrolled-dark.svg"]


def _write(folder: Path, tour: Tour) -> None:
    facts = {
        "text": tour.text_name,
        "verdict": tour.proof.verdict,
        "bits_per_character": {"first": tour.model.losses[0], "last": tour.final},
        "guessing": math.log2(len(tour.model.vocabulary)),
        "seconds": round(tour.seconds, 1),
        "losses": tour.model.losses,
    }
    files = {
        "index.html": page(tour),
        "proof.json": json.dumps(tour.proof.to_dict(), indent=2),
        "derivation.tex": tour.derivation.latex(),
        "sample.txt": tour.sample,
        MARKER: json.dumps(facts, indent=2),
    }
    for name, content in files.items():
        (folder / name).write_text(content.rstrip("\n") + "\n", encoding="utf-8")
