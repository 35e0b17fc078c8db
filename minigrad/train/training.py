"""Training by truncated BPTT, one chunk of text after the other; it can stop after any step and go on.

Source: truncated BPTT, Williams & Peng 1990, h = h' = length; the clipped norm, Pascanu et al. 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..cells import lstm
from ..cells.cell import Cell
from ..nn.optim import Adam, clip_grad_norm
from .model import CharModel
from .text import Reader, fingerprint


@dataclass(frozen=True)
class Settings:
    """What a run is made of, besides its text and its cell; together they determine every number of it.

    batch rows of `length` characters a step; lr: Adam's rate; clip: the largest norm of the gradient.
    """

    hidden: int = 256
    layers: int = 2
    batch: int = 32
    length: int = 64
    lr: float = 4e-3
    clip: float = 1.0
    seed: int = 0


class Training:
    """A model, its optimiser, its place in the text, and the losses so far, in bits per character.

    The state is carried from chunk to chunk, without its gradient. Raises TextError for a text shorter than one
    batch, ValueError for a number that is not positive.
    """

    def __init__(self, text: str, settings: Settings, cell: Cell = lstm, model: CharModel | None = None) -> None:
        s = self.settings = settings
        self.model = model or CharModel.new(text, s.hidden, s.layers, cell, s.seed)
        self.fingerprint = fingerprint(text)
        rng = np.random.default_rng((s.seed, 1))  # not the numbers that the parameters were drawn from
        self.reader = Reader(self.model.encode(text), s.batch, s.length, rng)
        self.adam = Adam(s.lr)
        self.state = self.model.zero_state(s.batch)
        self.losses: list[float] = []

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.losses)

    def step(self) -> float:
        """Read one chunk, change the parameters; the loss before the change, in bits per character.

        Raises FloatingPointError, and changes no parameter, if the loss or its gradient is no finite number.
        """
        model, s = self.model, self.settings
        x, y, first = self.reader.read()
        state = model.zero_state(s.batch) if first else self.state
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
            loss, after = model.loss(state, x, y)
            bits = loss.item() / math.log(2)
            self._check("loss", bits)
            for p in model.params.values():
                p.grad = None
            loss.backward()
            grads, norm = clip_grad_norm({n: p.grad for n, p in model.params.items()}, s.clip)
            self._check("norm of the gradient", norm)
            model.params = self.adam.step(model.params, grads)
        self.state = tuple(tuple(v.detach() for v in layer) for layer in after)
        self.losses.append(bits)
        return bits

    def _check(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the {what} is {value} at step {self.steps + 1}; train again with a rate (lr) below "
                f"{self.settings.lr:g}"
            )
