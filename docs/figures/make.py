"""Draw the pictures of figures.md again: python docs/figures/make.py [FOLDER]."""

import sys
from pathlib import Path

import numpy as np

import minigrad as mg
from minigrad import cell, tanh
from minigrad.draw import Picture


def compared() -> Picture:
    """Three cells on the same inputs."""
    return mg.draw([mg.cells.rnn, mg.cells.lstm, mg.cells.gru], steps=4, gradients=True)


def rolled() -> Picture:
    """One step for all."""
    return mg.draw(mg.cells.lstm, steps=20, rolled=True)


def layers() -> Picture:
    """A layer of nn with two layers."""
    mg.manual_seed(0)
    return mg.draw(mg.nn.GRU(3, 5, num_layers=2), steps=3, gradients=True)


def encoder_decoder() -> Picture:
    """A run that starts where another one ended."""
    c, rng = mg.cells.lstm, np.random.default_rng(0)
    encoder = mg.unroll(c, c.zero_state(1, n=5), rng.standard_normal((4, 1, 3)), c.init(0, n=5, d=3))
    decoder = mg.unroll(c, encoder.states[-1], rng.standard_normal((3, 1, 3)), c.init(1, n=5, d=3))
    return mg.draw({"encoder": encoder, "decoder": decoder}, gradients=True)


@cell(h="n", x="d", W="d n", U="n n")
def blinking(h, /, x, *, W, U):
    """A cell whose code asks for the numbers: a blank input leaves a fading state."""
    if x.numpy().any():
        h = tanh(x @ W + h @ U)
    else:
        h = 0.9 * h
    return h


def differs() -> Picture:
    """A run whose third step is other code."""
    xs = np.random.default_rng(0).standard_normal((5, 1, 3))
    xs[2] = 0
    return mg.draw(mg.unroll(blinking, blinking.zero_state(1, n=5), xs, blinking.init(0, n=5, d=3)))


def truncated() -> Picture:
    """A gradient that is cut every two steps, of an LSTM with saturated gates."""
    c, xs = mg.cells.lstm, 4 * np.random.default_rng(0).standard_normal((4, 1, 4))
    return mg.draw(mg.unroll(c, c.zero_state(1, n=5), xs, c.init(0, n=5, d=4)), values=True, truncate=2)


def steps() -> Picture:
    """One box for each step, on a slide."""
    return mg.draw(mg.cells.gru, 6, level="steps", gradients=True, theme="slide")


def symbols() -> Picture:
    """The equations in the parts, in an SVG that follows its reader."""
    return mg.draw(mg.cells.lstm, 1, level="symbols", theme="auto")


PICTURES = {
    "compared": compared, "rolled": rolled, "layers": layers, "encoder-decoder": encoder_decoder, "differs": differs,
    "truncated": truncated, "steps": steps, "symbols": symbols,
}  # fmt: skip


def main(folder: Path) -> None:
    """Write every picture into the folder."""
    for name, made in PICTURES.items():
        (folder / f"{name}.svg").write_text(made().svg("wasm"), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
