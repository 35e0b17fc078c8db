"""Recurrent cells as their sources' equations: ten lines each, no loops over time, no flags.

`CELLS` lists every built-in cell by name; tests, the prover and the command line loop over it. `VARIANTS` are
published variations of them, to compare with.
"""

from .cell import Cell, cell
from .example import as_cell
from .gru import gru, gru_concat, torch_gru
from .lstm import lstm, lstm_concat, torch_lstm
from .rnn import affine, generic, rnn, rnn_words, softmax_readout, torch_rnn_relu, torch_rnn_tanh
from .unroll import Unrolled, unroll
from .variants import (
    gru_writes,
    haiku_lstm,
    layer_norm_lstm,
    li_gru,
    lstm_coupled,
    lstm_misprint,
    lstm_peephole,
    mgu,
    min_gru,
)  # fmt: skip

CELLS: dict[str, Cell] = {
    c.name: c
    for c in (
        rnn, rnn_words, lstm, lstm_concat, gru, gru_concat,
        torch_rnn_tanh, torch_rnn_relu, torch_lstm, torch_gru,
    )
}  # fmt: skip
VARIANTS: dict[str, Cell] = {
    c.name: c
    for c in (
        lstm_misprint, gru_writes, mgu, lstm_peephole, lstm_coupled, haiku_lstm, li_gru, min_gru,
        layer_norm_lstm,
    )
}  # fmt: skip

__all__ = [
    "CELLS", "VARIANTS", "Cell", "Unrolled", "affine", "as_cell", "cell", "generic", "gru", "gru_concat", "lstm",
    "lstm_concat", "lstm_misprint", "rnn", "rnn_words", "softmax_readout", "torch_gru", "torch_lstm",
    "torch_rnn_relu", "torch_rnn_tanh", "unroll",
]  # fmt: skip
