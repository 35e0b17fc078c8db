"""What `minigrad train` does besides training: the bar, the files, Ctrl-C, and what is said at the end."""

from __future__ import annotations

import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from .._output import check_writable, whole_file
from .chart import curve_picture, smoothed
from .checkpoint import built_in, load, save
from .text import TextError, read_text
from .training import Settings, Training

STEPS = 1000  # where nothing else is asked for
MEAN = 20  # steps over which a shown loss is averaged


def run(training: Training, steps: int, after: Callable[[], bool] = lambda: False) -> None:
    """Train until `steps` steps are taken, with a progress bar, or until after(), called each step, is true."""
    tokens = training.settings.batch * training.settings.length
    pause = 0.1 if sys.stderr.isatty() else 5.0  # seconds between two states of the bar; few lines in a log
    # Two BLAS threads gain nothing on matrices this small; where another process has one of the cores,
    # they were measured ten times slower (0.30 s a step against 0.03 s, hidden 128).
    with (
        threadpool_limits(1, user_api="blas"),
        tqdm(
            total=steps * tokens, initial=training.steps * tokens, desc="training", unit=" characters",
            unit_scale=True, mininterval=pause, dynamic_ncols=True,
        ) as bar,
    ):  # fmt: skip
        while training.steps < steps:
            training.step()
            bits = latest(training.losses)
            bar.set_postfix_str(f"step {training.steps}, {bits:.2f} bits per character", refresh=False)
            bar.update(tokens)
            if after():
                break


@dataclass(frozen=True)
class Job:
    """How far to train, where to save and how often, and the command that would go on from there."""

    steps: int
    out: str
    every: int
    go_on: list[str]


def asked_for(file: str, options: dict[str, Any], given: set[str]) -> tuple[Training, Job]:
    """The training and the job that the options of `minigrad train FILE` ask for; `given` by the user's own hand.

    Raises TextError, CheckpointError or OSError for a file that does not do, ValueError for other options.
    """
    resume, text = options["resume"], read_text(file)
    own = options["cell"] if "cell" in given else None
    settings = {f.name: options[f.name] for f in fields(Settings)}
    out = options["out"] or resume or f"{Path(file).stem}.safetensors"
    if out != resume and os.path.exists(out):
        raise ValueError(
            f"{out}: is there already; go on with it by --resume {out}, or name another file with --out"
        )
    try:
        if resume:
            training = load(resume, own).resume(text, **{k: v for k, v in settings.items() if k in given})
        else:
            training = Training(text, Settings(**settings), options["cell"])
    except TextError as e:
        raise TextError(f"{file}: {e}") from None
    passes, chunks = options["epochs"], training.reader.chunks
    steps = options["steps"] or (STEPS if passes is None else math.ceil(passes * chunks))
    if training.steps >= steps:
        raise ValueError(f"{resume}: {training.steps} steps are taken already; pass --steps above that, not {steps}")
    go_on = ["minigrad", "train", file, "--resume", out, "--steps", str(steps)]
    if own is not None and built_in(own.name) is not own:
        go_on += ["--cell", f"{own.fn.__code__.co_filename}:{own.name}"]
    return training, Job(steps, out, options["every"], go_on)


def train(training: Training, job: Job, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Train, saving every so many steps and at the end; the facts of the run, as JSON has them.

    Ctrl-C ends the step that runs, saves, and says by which command to go on. A picture of the losses is
    left beside the checkpoint. Raises FloatingPointError for a loss that is no number, and leaves the last
    checkpoint as it is; OSError, before any training, if a file cannot be written.
    """
    begin, model, curve = training.steps, training.model, str(Path(job.out).with_suffix(".svg"))
    for path in (job.out, curve):
        check_writable(path)
    size = sum(p.value.size for p in model.params.values())
    say(
        f"{training.reader.x.size:,} characters, {len(model.vocabulary)} different; {model.core.name}, "
        f"{model.layers} layer(s) of {model.hidden}, {size:,} parameters"
    )
    start = time.perf_counter()
    _run_and_save(training, job)
    seconds, losses = time.perf_counter() - start, training.losses
    guessing = math.log2(len(model.vocabulary))
    with whole_file(curve) as part:
        part.write_text(curve_picture(losses, guessing), encoding="utf-8")
    tokens = (training.steps - begin) * training.settings.batch * training.settings.length
    facts = {
        "checkpoint": job.out, "curve": curve, "steps": training.steps,
        "interrupted": training.steps < job.steps,
        "bits_per_character": {"first": losses[0], "last": latest(losses), "guessing": guessing},
        "characters_per_second": tokens / seconds, "seconds": seconds,
    }  # fmt: skip
    _tell(facts, job, say)
    return facts


def _run_and_save(training: Training, job: Job) -> None:
    """Train until the job is done or Ctrl-C is pressed; what fails says which step the file holds."""
    saved = f"{job.out} holds step {training.steps}" if training.steps else "Nothing was saved"
    with stop_asked() as stop:

        def after() -> bool:
            nonlocal saved
            if training.steps % job.every == 0 or training.steps == job.steps or stop:
                save(training, job.out)
                saved = f"{job.out} holds step {training.steps}"
            return bool(stop)

        try:
            run(training, job.steps, after)
        except FloatingPointError as e:
            raise FloatingPointError(f"{e}. {saved}.") from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Interrupted at once. {saved}.") from None


def latest(losses: list[float]) -> float:
    """The mean of the last losses."""
    return smoothed(losses[-MEAN:], MEAN)[-1]


def _tell(facts: dict[str, Any], job: Job, say: Callable[[str], Any]) -> None:
    bits, out = facts["bits_per_character"], facts["checkpoint"]
    say(
        f"step {facts['steps']}: {bits['last']:.2f} bits per character (the first: {bits['first']:.2f}, guessing: "
        f"{bits['guessing']:.2f}); {facts['characters_per_second']:,.0f} characters a second"
    )
    say(f"saved: {out}, {facts['curve']}")
    if facts["interrupted"]:
        say(f"Stopped before step {job.steps}. Go on with:\n    {shlex.join(job.go_on)}")
    else:
        say(f"Let it write:\n    {shlex.join(['minigrad', 'sample', out])}")


@contextmanager
def stop_asked() -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C is pressed in the block; pressed again, it interrupts at once."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
