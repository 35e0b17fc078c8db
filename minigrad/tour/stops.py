"""The tour, one stop after the other: learn, sample, draw, prove, derive, write."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._output import whole_folder
from ..cells.unroll import unroll
from ..draw import draw
from ..draw.render import has_dot
from ..engine.functions import cross_entropy
from ..prove import derive, prove
from ..train import Settings, TextError, Training, default_text, read_text
from ..train.command import run
from .page import Tour, page

MARKER = "tour.json"  # tells a folder that a tour left from one that holds something else
MAX_CHARACTERS = 4_000_000
HIDDEN, BATCH, LENGTH, RATE = 128, 32, 32, 2e-2
SHOWN = 4  # characters over which the cell is drawn
PROMPT = "def "


def text_of(file: str | None) -> tuple[str, str]:
    """(what the text is, the text): a file of the user's, or the source of Python's standard library.

    Raises TextError for a text that cannot be learned from.
    """
    if file is None:
        try:
            return "the source of Python's standard library", default_text()
        except FileNotFoundError as e:
            raise TextError(f"{e}: pass --text FILE") from None
    text = read_text(file, MAX_CHARACTERS)
    need = 2 * LENGTH + 1
    if len(text) < need:
        raise TextError(f"{file}: {len(text)} characters are too few to learn from; at least {need}")
    return Path(file).name, text


def learn(text: str, steps: int) -> Training:
    """A character LSTM of one layer after some steps of training, with a progress bar."""
    rows = min(BATCH, (len(text) - 1) // LENGTH)
    training = Training(text, Settings(HIDDEN, layers=1, batch=rows, length=LENGTH, lr=RATE))
    run(training, steps)
    return training


def take(file: str | None, folder: str, steps: int, say: Callable[[str], Any] = print) -> str:
    """Take the tour and leave its folder; the verdict of the proof: proved, refuted or unknown.

    file: UTF-8 text to learn from, or None for the source of Python's standard library.
    Raises TextError for a text that cannot be learned from, OSError for a folder that cannot be made;
    then nothing is left.
    """
    start = time.perf_counter()
    name, text = text_of(file)
    with whole_folder(folder, MARKER) as part:
        say(f"Learning from {name}: {len(text):,} characters.")
        training = learn(text, steps)
        model = training.model
        prompt = PROMPT if set(PROMPT) <= set(model.vocabulary) else text[: len(PROMPT)]
        sample = model.sample(600, prompt, temperature=0.8)
        say("It writes:\n" + "\n".join("    " + line for line in sample[:240].splitlines()))
        proof = prove(model.cell, loss=cross_entropy)
        say(f"The BPTT gradient of {model.cell.name}: {proof.verdict}.")
        shown, following = text[:SHOWN], text[1 : SHOWN + 1]
        steps_shown = unroll(model.cell, model.zero_state()[0], model.one_hot(shown), model.of_cell(0))
        loss = steps_shown.loss(cross_entropy, list(model.encode(following)))
        pictures = {t: draw(steps_shown, values=True, loss=loss, theme=t) for t in ("light", "dark")}
        tour = Tour(
            text_name=name, text=text, model=model, losses=training.losses, prompt=prompt, sample=sample, proof=proof,
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
        "bits_per_character": {"first": tour.losses[0], "last": tour.final},
        "guessing": math.log2(len(tour.model.vocabulary)),
        "seconds": round(tour.seconds, 1),
        "losses": tour.losses,
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
