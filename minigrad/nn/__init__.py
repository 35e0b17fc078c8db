"""Layers with torch's names, weights and calls, built on the cells; and optimisers on dicts of tensors.

A layer holds its parameters in `layer.params`, a dict by torch's names. Tensors never change, so an
optimiser returns a new dict:

    opt = nn.optim.Adam(lr=1e-2)
    mse(layer(x), y).backward()
    layer.params = opt.step(layer.params)

`layer(x, params=other)` runs the layer with other parameters, for `grad` and its relatives.
"""

from . import optim
from .layer import Layer
from .linear import Embedding, Linear
from .recurrent import GRU, LSTM, RNN, Recurrent

__all__ = ["GRU", "LSTM", "RNN", "Embedding", "Layer", "Linear", "Recurrent", "optim"]
