"""A character model: layers of a recurrent cell, scanned over real text, that predict the next character.

The cell that is trained is the one that is drawn and proved: of a model of one layer, `model.cell` is the cell
with its read-out, `model.of_cell(0)` its parameters, `model.one_hot(text)` its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cells import affine, lstm
from ..cells.cell import Cell
from ..engine import functions as f
from ..engine.core import Tensor, no_grad
from ..engine.scan import scan

DTYPE = "float32"
State = tuple[tuple[Tensor, ...], ...]  # of each layer, the cell's states


@dataclass
class CharModel:
    """p(next character | those before) = softmax(h_t W_hq + b_q), with h_t the output of the top layer.

    That is its first state, unless the cell returns an output after its states. Each layer reads the
    output of the one below, the lowest the characters as one-hot rows.
    vocabulary: the known characters, sorted; core: the cell without read-out; hidden: its size;
    params: by name, those of the cell with the layer's number as torch has it: W_xi_l0, W_xi_l1.
    """

    vocabulary: str
    core: Cell
    hidden: int
    layers: int
    params: dict[str, Tensor]

    @classmethod
    def new(cls, text: str, hidden: int = 128, layers: int = 1, cell: Cell = lstm, seed: int = 0) -> CharModel:
        """An untrained model of the characters in `text`; the same for the same seed.

        cell: with one input and a first state of one axis each, of sizes by two different names.
        Raises ValueError for an empty text, another cell, or a size below 1.
        """
        if not text:
            raise ValueError("the text is empty: there is nothing to learn from")
        if layers < 1:
            raise ValueError(f"layers={layers}; pass at least 1")
        model = cls("".join(sorted(set(text))), cell, hidden, layers, {})
        rng = np.random.default_rng(seed)
        for k in range(layers):
            drawn = cell.init(rng, DTYPE, **model.sizes(k))
            model.params |= {f"{p}_l{k}": v for p, v in drawn.items()}
        model.params |= affine.init(rng, DTYPE, n=hidden, q=len(model.vocabulary))
        for name, p in model.params.items():
            p.name = name
        return model

    @property
    def dtype(self) -> str:
        """The dtype of the parameters, and so of all numbers."""
        return str(self.params["b_q"].dtype)

    @property
    def cell(self) -> Cell:
        """The cell with its read-out: what maps the state and a one-hot character to the next logits."""
        return self.core.then(affine)

    def sizes(self, layer: int) -> dict[str, int]:
        """The sizes of the cell in a layer, by their names: all are `hidden`, but for the lowest input."""
        return _sizes(self.core, len(self.vocabulary) if layer == 0 else self.hidden, self.hidden)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, by name."""
        n, q = self.hidden, len(self.vocabulary)
        core = {
            f"{p}_l{k}": self.core.shape(p, self.sizes(k)) for k in range(self.layers) for p in self.core.params
        }
        return core | {p: affine.shape(p, {"n": n, "q": q}) for p in affine.params}

    def of_cell(self, layer: int) -> dict[str, Tensor]:
        """The parameters of the cell in a layer by the cell's names; in the top layer the read-out's too."""
        found = {p: self.params[f"{p}_l{layer}"] for p in self.core.params}
        return found | self.readout if layer == self.layers - 1 else found

    @property
    def readout(self) -> dict[str, Tensor]:
        """The parameters of the read-out."""
        return {p: self.params[p] for p in affine.params}

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
        return f.one_hot(self.encode(text), len(self.vocabulary), self.dtype)

    def zero_state(self, *lead: int) -> State:
        """The states of all layers before the first character."""
        return tuple(self.core.zero_state(*lead, dtype=self.dtype, **self.sizes(k)) for k in range(self.layers))

    def loss(self, state: State, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, State]:
        """(mean cross-entropy in nats, final state). x, y: (T, batch) places in the vocabulary."""
        h, final = f.one_hot(x, len(self.vocabulary), self.dtype), []
        for k, before in enumerate(state):
            params = {p: self.params[f"{p}_l{k}"] for p in self.core.params}
            after, h = scan(self.core, before, h, params)
            final.append(after)
        logits = affine(h, **self.readout)  # all steps at once
        return f.cross_entropy(logits, y), tuple(final)

    def step(self, state: State, x: Tensor) -> tuple[Tensor, State]:
        """(logits of the next character, state) after one character. x: (d,), a row of `one_hot`."""
        final = []
        for k, before in enumerate(state):
            params = {p: self.params[f"{p}_l{k}"] for p in self.core.params}
            after, x = self.core.step(before, x, params)
            final.append(after)
        return affine(x, **self.readout), tuple(final)

    def sample(self, n: int, prompt: str = "", seed: int = 0, temperature: float = 1.0) -> str:
        """The prompt and n characters drawn after it, from softmax(logits / temperature).

        Without a prompt the text begins as after a line break. Raises ValueError for unknown characters in
        the prompt or a temperature that is not above 0.
        """
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}; pass a number above 0")
        rng, state = np.random.default_rng(seed), self.zero_state()
        text, fresh = [prompt], prompt or ("\n" if "\n" in self.vocabulary else self.vocabulary[0])
        with no_grad():
            for _ in range(n):
                for x in self.one_hot(fresh):
                    logits, state = self.step(state, x)
                z = logits.numpy().astype("float64") / temperature
                p = np.exp(z - z.max())
                fresh = self.vocabulary[rng.choice(len(p), p=p / p.sum())]
                text.append(fresh)
        return "".join(text)


def _sizes(cell: Cell, d: int, n: int) -> dict[str, int]:
    """d for the name of the input's size, n for all others. Raises ValueError if the cell does not have them."""
    axes = [cell.sizes[a] for a in cell.states[:1] + cell.inputs]
    names = [next(iter(a[0])) for a in axes if len(a) == 1 and list(a[0].values()) == [1]]
    if not cell.states or len(cell.inputs) != 1 or len({*names} - {""}) != 2:
        declared = ", ".join(f'{a}="{cell.shape_text(a)[1:-1].rstrip(",")}"' for a in cell.states + cell.inputs)
        raise ValueError(
            f"{cell.name}{cell.signature} with {declared}: a character model needs a cell with one input and a "
            'first state of one axis each, of different names, such as @cell(h="n", x="d", ...)'
        )
    known = {name for a in cell.sizes.values() for size in a for name in size if name}
    return dict.fromkeys(sorted(known), n) | {names[1]: d}
