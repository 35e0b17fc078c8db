"""A character model: a recurrent cell, scanned over real text, that predicts the next character.

    model = CharModel.train(default_text(), steps=300)
    print(model.losses[-1], model.sample(200, prompt="def "))

The cell that is trained is the one that is drawn and proved: `model.cell` is the cell with its read-out,
`model.params` its parameters, `model.one_hot(text)` its inputs. Repeatable for a given seed.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .cells import affine, lstm
from .cells.cell import Cell
from .engine import functions as f
from .engine.core import Tensor, no_grad
from .engine.scan import scan
from .nn.optim import Adam, clip_grad_norm

DTYPE = "float32"
State = tuple[Tensor, ...]
Progress = Callable[[int, float], object]  # called after each step: (step from 1, bits per character)

_MODULES = ("argparse", "ast", "inspect", "pathlib", "subprocess", "tarfile", "textwrap", "typing")


def default_text() -> str:
    """Real text that is on every machine: the source of modules of Python's own standard library.

    Raises FileNotFoundError on a Python that was installed without its sources.
    """
    files = [importlib.import_module(name).__file__ or "" for name in _MODULES]
    texts = [Path(file).read_text(encoding="utf-8") for file in files if file.endswith(".py")]
    if not texts:
        raise FileNotFoundError("this Python has no sources of its standard library; give a text of your own")
    return "\n".join(texts)


def batches(codes: np.ndarray, batch: int, length: int) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """(inputs, targets, first), for ever; inputs and targets: (length, batch) ints, targets one later.

    The text is cut into `batch` rows that are read side by side, so that the state after one chunk is
    the state before the next; `first` tells that the rows start anew, from a state of zeros.
    """
    width = (len(codes) - 1) // batch
    x = codes[: batch * width].reshape(batch, width).T
    y = codes[1 : batch * width + 1].reshape(batch, width).T
    while True:
        for start in range(0, width - length + 1, length):
            yield x[start : start + length], y[start : start + length], start == 0


@dataclass
class CharModel:
    """p(next character | those before) = softmax(h_t W_hq + b_q), with h_t the cell's first state.

    vocabulary: the known characters, sorted; core: the cell without read-out; hidden: its size n;
    params: those of core and the read-out, by name; losses: bits per character at each training step.
    """

    vocabulary: str
    core: Cell
    hidden: int
    params: dict[str, Tensor]
    losses: list[float] = field(default_factory=list)

    @classmethod
    def new(cls, text: str, hidden: int = 128, cell: Cell = lstm, seed: int = 0) -> CharModel:
        """An untrained model of the characters in `text`.

        cell: declared with one input of size d and a first state of size n, as all of `CELLS` are.
        Raises ValueError for an empty text or another cell.
        """
        if not text:
            raise ValueError("the text is empty: there is nothing to learn from")
        if [cell.shape_text(a) for a in cell.states[:1] + cell.inputs] != ["(n,)", "(d,)"]:
            raise ValueError(
                f"{cell.name}{cell.signature}: a character model needs a cell with one input of size d and "
                "a first state of size n, declared by these names"
            )
        vocabulary = "".join(sorted(set(text)))
        k = len(vocabulary)
        return cls(vocabulary, cell, hidden, cell.then(affine).init(seed, DTYPE, n=hidden, d=k, q=k))

    @classmethod
    def train(
        cls, text: str, steps: int = 300, hidden: int = 128, batch: int = 32, length: int = 32,
        lr: float = 2e-2, clip: float = 1.0, cell: Cell = lstm, seed: int = 0,
        progress: Progress | None = None,
    ) -> CharModel:  # fmt: skip
        """A model trained on `text` for `steps` chunks of `length` characters in `batch` rows.

        See `new` and `fit`, of which this is the two in a row.
        """
        model = cls.new(text, hidden, cell, seed)
        model.fit(text, steps, batch, length, lr, clip, progress)
        return model

    @property
    def cell(self) -> Cell:
        """The cell with its read-out: what maps the state and a one-hot character to the next logits."""
        return self.core.then(affine)

    def encode(self, text: str) -> np.ndarray:
        """The characters' places in the vocabulary. Raises ValueError naming unknown characters."""
        known, codes = (
            np.frombuffer(s.encode("utf-32-le", "surrogatepass"), np.uint32) for s in (self.vocabulary, text)
        )
        places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        if (wrong := known[places] != codes).any():
            unknown = sorted({text[i] for i in np.flatnonzero(wrong)})
            raise ValueError(
                f"unknown characters {unknown[:10]}; the model knows only those of its training text"
            )
        return places

    def one_hot(self, text: str) -> Tensor:
        """The cell's inputs for a text: (len(text), d) rows with a single 1."""
        return f.one_hot(self.encode(text), len(self.vocabulary), DTYPE)

    def zero_state(self, *lead: int) -> State:
        """The state before the first character."""
        return self.core.zero_state(*lead, dtype=DTYPE, n=self.hidden, d=len(self.vocabulary))

    def loss(self, state: State, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, State]:
        """(mean cross-entropy in nats, final state). x, y: (T, batch) places in the vocabulary."""
        xs = f.one_hot(x, len(self.vocabulary), DTYPE)
        state, h = scan(self.core, state, xs, {p: self.params[p] for p in self.core.params})
        logits = affine(h, **{p: self.params[p] for p in affine.params})  # all steps at once
        return f.cross_entropy(logits, y), state

    def fit(
        self, text: str, steps: int = 300, batch: int = 32, length: int = 32, lr: float = 2e-2,
        clip: float = 1.0, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Train further: Adam, gradient norm clipped at `clip`, BPTT cut between chunks.

        The state is carried from chunk to chunk, without its gradient. `losses` grows by one entry a step.
        Raises ValueError if the text is shorter than one chunk or a number is not positive,
        FloatingPointError if the loss is no longer finite.
        """
        for what, n in (("steps", steps), ("batch", batch), ("length", length)):
            if n < 1:
                raise ValueError(f"{what}={n}; pass at least 1")
        needed = batch * length + 1
        if len(text) < needed:
            raise ValueError(
                f"the text has {len(text)} characters; {batch} rows of {length} characters need {needed}. "
                "Pass a longer text, or a smaller batch or length"
            )
        adam, state = Adam(lr), self.zero_state(batch)
        chunks = batches(self.encode(text), batch, length)
        for step, (x, y, first) in zip(range(1, steps + 1), chunks, strict=False):
            loss, state = self.loss(self.zero_state(batch) if first else state, x, y)
            bits = loss.item() / math.log(2)
            if not math.isfinite(bits):
                raise FloatingPointError(f"the loss is {bits} at step {step}; use a learning rate below {lr}")
            loss.backward()
            state = tuple(s.detach() for s in state)
            grads, _ = clip_grad_norm({n: p.grad for n, p in self.params.items()}, clip)
            self.params = adam.step(self.params, grads)
            self.losses.append(bits)
            if progress is not None:
                progress(step, bits)

    def sample(self, n: int, prompt: str = "", seed: int = 0, temperature: float = 1.0) -> str:
        """The prompt and n characters drawn after it, from softmax(logits / temperature).

        Without a prompt the text begins as after a line break. Raises ValueError for unknown characters in
        the prompt or a temperature that is not above 0.
        """
        if temperature <= 0:
            raise ValueError(f"temperature={temperature}; pass a number above 0")
        rng, cell, state = np.random.default_rng(seed), self.cell, self.zero_state()
        text, fresh = prompt, prompt or ("\n" if "\n" in self.vocabulary else self.vocabulary[0])
        with no_grad():
            for _ in range(n):
                for x in self.one_hot(fresh):
                    *state, logits = cell(*state, x, **self.params)
                z = logits.numpy().astype("float64") / temperature
                p = np.exp(z - z.max())
                fresh = self.vocabulary[rng.choice(len(p), p=p / p.sum())]
                text += fresh
        return text
