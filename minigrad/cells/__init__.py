"""Recurrent cells as their sources' equations: ten lines each, no loops over time, no flags.

`CELLS` lists every built-in cell by name; tests, the prover and the command line loop over it.
"""

from .cell import Cell, cell
from .example import as_cell
from .gru import gru, gru_concat, torch_gru
from .lstm import lstm, lstm_concat, torch_lstm
from .rnn import affine, generic, rnn, rnn_words, softmax_readout, torch_rnn_relu, torch_rnn_tanh
from .unroll import Unrolled, unroll
from .variants import lstm_misprint

CELLS: dict[str, Cell] = {
    c.name: c
    for c in (
        rnn, rnn_words, lstm, lstm_concat, gru, gru_concat,
        torch_rnn_tanh, torch_rnn_relu, torch_lstm, torch_gru,
    )
}  # fmt: skip

__all__ = [
    "CELLS", "Cell", "Unrolled", "affine", "as_cell", "cell", "generic", "gru", "gru_concat", "lstm",
    "lstm_concat", "lstm_misprint", "rnn", "rnn_words", "softmax_readout", "torch_gru", "torch_lstm",
    "torch_rnn_relu", "torch_rnn_tanh", "unroll",
]  # fmt: skip
