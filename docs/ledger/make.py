"""Draw the pictures of docs/ledger.md again: python docs/ledger/make.py [FOLDER]."""

import sys
from pathlib import Path

import numpy as np

import minigrad as mg
from minigrad.ledger import Ledger


def run(cell: mg.Cell, T: int, n: int, d: int, seed: int = 5, **fixed: float) -> mg.cells.Unrolled:
    """A cell on random inputs from a random state; fixed: parameters that are one number everywhere."""
    rng = np.random.default_rng(seed)
    start = tuple(0.6 * rng.standard_normal(s.shape) for s in cell.zero_state(1, n=n, d=d))
    params = cell.init(seed, n=n, d=d)
    params |= {p: mg.tensor(np.full(params[p].shape, v), requires_grad=True, name=p) for p, v in fixed.items()}
    xs = tuple(0.8 * rng.standard_normal((T, 1, *cell.shape(x, {"n": n, "d": d}))) for x in cell.inputs)
    return mg.unroll(cell, start, xs, params)


def every_output(r: mg.cells.Unrolled) -> mg.Tensor:
    """A loss that reads every step."""
    return r.loss(lambda o, y: ((o - y) ** 2).sum(), [0.3] * r.steps)


RNN, LSTM, GRU = mg.cells.rnn, mg.cells.lstm, mg.cells.gru


def ledgers() -> dict[str, Ledger]:
    """The ledgers of the page, by the name of the picture."""
    lstm, five = run(LSTM, 4, 5, 4), run(LSTM, 5, 3, 2)
    return {
        "rnn": mg.ledger(run(RNN, 4, 1, 1, W=0.7, U=0.9, b=0.0), "h", "U"),
        "lstm": mg.ledger(lstm, "H", "W_hf"),
        "initial": mg.ledger(lstm, "H", "C"),
        "loss": mg.ledger(five, every_output(five), "W_hf"),
        "rnn-20": mg.ledger(run(RNN, 20, 1, 1, seed=1, W=0.5, U=1.1, b=0.0), "h", "U").sorted("size"),
        "lstm-20": mg.ledger(run(LSTM, 20, 5, 4), "H", "W_hf"),
        "gru-100": mg.ledger(run(GRU, 100, 5, 4), "H", "W_hz"),
    }


def main(folder: Path) -> None:
    """Write every picture into the folder."""
    for name, book in ledgers().items():
        book.save(folder / f"{name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
