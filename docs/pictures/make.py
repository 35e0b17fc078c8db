"""Draw the pictures of this folder again: python docs/pictures/make.py [FOLDER]."""

import sys
from pathlib import Path

import minigrad as mg
from minigrad import cell, sigmoid, tanh


@cell(h="n", x="d", W_f="d n", U_f="n n", b_f="n", W_h="d n", U_h="n n", b_h="n")
def minimal_gated(h, /, x, *, W_f, U_f, b_f, W_h, U_h, b_h):
    """Zhou et al. 2016: one gate."""
    f = sigmoid(x @ W_f + h @ U_f + b_f)
    h_hat = tanh(x @ W_h + (f * h) @ U_h + b_h)
    h = (1 - f) * h + f * h_hat
    return h


PICTURES = {
    "lstm.svg": (mg.cells.lstm, 3, {"values": True}),
    "lstm-dark.svg": (mg.cells.lstm, 3, {"values": True, "theme": "dark"}),
    "lstm-plain.svg": (mg.cells.lstm, 4, {}),
    "lstm-ops.svg": (mg.cells.lstm, 1, {"level": "ops"}),
    "gru.svg": (mg.cells.gru, 3, {"values": True}),
    "rnn.svg": (mg.cells.rnn, 4, {"values": True}),
    "minimal_gated.svg": (minimal_gated, 4, {}),
}


def main(folder: Path) -> None:
    """Write every picture into the folder."""
    for name, (which, steps, options) in PICTURES.items():
        mg.draw(which, steps, **options).save(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
