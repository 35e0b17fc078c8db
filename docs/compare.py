"""Write the page docs/compare.md: pairs of cells, each with the verdict of `minigrad compare`.

python docs/compare.py > docs/compare.md
"""

import textwrap

from minigrad.cells.find import find_cell
from minigrad.prove import Comparison, compare

PAIRS = {  # a, b -> what is asked
    ("lstm", "lstm_concat"): "a matrix for each of h and x, or one for both",
    ("lstm", "torch_lstm"): "the LSTM of article 001, and torch's",
    ("torch_lstm", "haiku_lstm"): "torch's LSTM and Haiku's, which adds 1 to the forget gate",
    ("rnn", "torch_rnn_tanh"): "one bias or two",
    ("gru", "gru_writes"): "z is the share that is kept, or the share that is written",
    ("gru", "torch_gru"): "the reset gate before the recurrent product, or after it",
    ("gru_concat", "gru"): "equation (9) of article 001, and its code",
    ("lstm_misprint", "lstm_concat"): "the LSTM as article 002 prints it, and as article 001 does",
    ("lstm_coupled", "lstm_concat"): "an input gate that is one minus the forget gate",
    ("lstm_concat", "lstm_peephole"): "gates that see the cell state",
    ("mgu", "gru_writes"): "one gate for both gates of a GRU",
    ("lstm", "gru"): "two states or one",
}
LONGEST = 90  # characters of a condition in the table
HEAD = """# Is it the same cell?

Frameworks and papers write the same cell with other weights, or other cells under the same name. `minigrad compare`
proves that two are one function for every size, as they are or under a map of weights that it finds, or shows where
they differ, with a point in certified arithmetic. *Different* means: no weights of one give the other, gate for gate.
Maps are in numpy's notation, with [a, b] for blocks side by side and [a; b] for blocks one below the other; a term
that differs is written by its indices, sum_k<n being the sum over the n values of k.

Written by `python docs/compare.py > docs/compare.md`; a test compares.
"""


def page() -> str:
    """The page: a table of the pairs, and after it what the command prints of each."""
    found = {pair: compare(*map(find_cell, pair)) for pair in PAIRS}
    rows = [
        f"| [{a}, {b}](#{a}-and-{b}) | {PAIRS[a, b]} | {c.verdict} | {relation(c)} |"
        for (a, b), c in found.items()
    ]
    table = ["| cells | what differs in the writing | verdict | one in the other |", "| --- | --- | --- | --- |", *rows]
    parts = [section(a, b, c) for (a, b), c in found.items()]
    return "\n".join([HEAD, *table, "", *parts])


def relation(c: Comparison) -> str:
    """Which of the two is a case of the other, for the table."""
    directions = [d for d in (c.forward, c.backward) if d is not None]
    if c:
        return "each is the other"
    every = [f"every {d.source} is some {d.target}" for d in directions if d.exact]
    where = [f"a {d.source} is some {d.target} where {d.requires}" for d in directions if d.proved and not d.exact]
    return "; ".join([*every, *(w for w in where if len(w) < LONGEST)]) or "neither"


def section(a: str, b: str, c: Comparison) -> str:
    """What is asked of two cells, and what the command prints."""
    asked, printed = PAIRS[a, b], textwrap.indent(str(c), "    ")
    return f"## {a} and {b}\n\n{asked[0].upper()}{asked[1:]}.\n\n    $ minigrad compare {a} {b}\n{printed}\n"


if __name__ == "__main__":
    print(page(), end="")
