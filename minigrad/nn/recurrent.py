"""RNN, LSTM and GRU: layers of the cells `torch_*`, each scanned over time.

Constructor, call, parameter names and initial distribution are torch's; the equations are the cells'.
"""

from __future__ import annotations

from typing import Any

from ..cells import torch_gru, torch_lstm, torch_rnn_relu, torch_rnn_tanh
from ..cells.cell import Cell, as_tuple
from ..engine import functions as f
from ..engine.core import Tensor, as_tensor
from ..engine.errors import ShapeError
from ..engine.scan import scan
from .layer import Layer, Params

_ONLY = {"dropout": 0.0, "bidirectional": False, "proj_size": 0, "device": None}  # torch's defaults


class Recurrent(Layer):
    """num_layers layers of one cell over a sequence; each layer reads the states of the one below.

    layer(input, hx=None) returns (output, final state).
    input: (T, batch, input_size), or (batch, T, input_size) with batch_first, or (T, input_size);
    hx: h0 (num_layers, batch, hidden_size), for an LSTM (h0, c0), without batch for unbatched input;
    zeros if None. output: the last layer's h at each step, in the layout of the input.

    The parameters of layer l are weight_ih_l{l}, weight_hh_l{l}, and with bias bias_ih_l{l}, bias_hh_l{l},
    all drawn from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)); `manual_seed` makes them repeatable.
    dtype: float64 if None. Raises ShapeError or TypeError for an input or state that does not fit,
    NotImplementedError for torch's dropout, bidirectional and proj_size.
    """

    def __init__(
        self, cell: Cell, input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool,
        dtype: Any, others: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(dtype, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self._check_options(others)
        self.cell, self.bias, self.batch_first = cell, bias, batch_first
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.params = {}
        for layer in range(num_layers):
            for name, p in cell.init(f.generator(), self.dtype, **self._sizes(layer)).items():
                if bias or not name.startswith("bias"):
                    p.name = f"{name}_l{layer}"
                    self.params[p.name] = p

    def __repr__(self) -> str:
        return f"{self.name}({self.input_size}, {self.hidden_size}, num_layers={self.num_layers})"

    def __call__(self, input: Any, hx: Any = None, *, params: Params | None = None) -> tuple[Tensor, Any]:
        x, params = as_tensor(input), self.params if params is None else params
        self._check_input(x)
        swap = self.batch_first and x.ndim == 3
        y = x.swapaxes(0, 1) if swap else x
        initial = self._initial(hx, y.shape[1:-1])
        final = []
        for layer in range(self.num_layers):
            last, y = scan(self.cell, tuple(s[layer] for s in initial), y, self.of_cell(params, layer))
            final.append(last)
        states = tuple(f.stack(s) for s in zip(*final, strict=True))
        return (y.swapaxes(0, 1) if swap else y), (states if len(states) > 1 else states[0])

    def _sizes(self, layer: int) -> dict[str, int]:
        return {"d": self.hidden_size if layer else self.input_size, "n": self.hidden_size}

    def of_cell(self, params: Params, layer: int) -> dict[str, Tensor]:
        """The cell's parameters for one layer; the biases of a layer without are zero."""
        def zero(p: str) -> Tensor:
            return f.zeros(self.cell.shape(p, self._sizes(layer)), dtype=self.dtype)

        return {
            p: params[f"{p}_l{layer}"] if self.bias or not p.startswith("bias") else zero(p)
            for p in self.cell.params
        }

    def _initial(self, hx: Any, batch: tuple[int, ...]) -> tuple[Tensor, ...]:
        """The initial states, each (num_layers, *batch, hidden_size)."""
        shape, names = (self.num_layers, *batch, self.hidden_size), [f"{s}0" for s in self.cell.states]
        if hx is None:
            return tuple(f.zeros(shape, dtype=self.dtype) for _ in names)
        states = tuple(map(as_tensor, as_tuple(hx)))
        if len(states) != len(names):
            raise ShapeError(f"{self.name}: {len(states)} initial state(s) given; pass ({', '.join(names)})")
        for name, s in zip(names, states, strict=True):
            if s.shape != shape:
                raise ShapeError(f"{self.name}: initial state {name} of shape {s.shape}, expected {shape}")
            self._check_dtype(f"initial state {name}", s)
        return states

    def _check_input(self, x: Tensor) -> None:
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "(batch, T, {0}) or (T, {0})" if self.batch_first else "(T, batch, {0}) or (T, {0})"
            expected = axes.format(self.input_size)
            raise ShapeError(f"{self.name}: input of shape {x.shape}, expected {expected}")
        self._check_dtype("input", x)

    def _check_dtype(self, what: str, x: Tensor) -> None:
        if x.dtype != self.dtype:
            raise TypeError(
                f"{self.name}: {what} of dtype {x.dtype}, but the parameters are {self.dtype}; "
                f"convert it with tensor(..., dtype='{self.dtype}'), or make the layer with another dtype"
            )

    def _check_options(self, others: dict[str, Any]) -> None:
        for what, value in others.items():
            if what not in _ONLY:
                raise TypeError(f"{self.name}: unknown argument {what}")
            if value != _ONLY[what]:
                raise NotImplementedError(
                    f"{self.name}: {what}={value!r} is not supported, only torch's default {_ONLY[what]!r}"
                )


class RNN(Recurrent):
    """torch.nn.RNN: h = tanh (or relu) of x W^T + b + h U^T + b'. Call and parameters: see Recurrent."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, *, dtype: Any = None, **others: Any,
    ) -> None:  # fmt: skip
        cells = {"tanh": torch_rnn_tanh, "relu": torch_rnn_relu}
        if nonlinearity not in cells:
            raise ValueError(f"RNN: nonlinearity={nonlinearity!r}; pass 'tanh' or 'relu'")
        cell = cells[nonlinearity]
        super().__init__(cell, input_size, hidden_size, num_layers, bias, batch_first, dtype, others)


class LSTM(Recurrent):
    """torch.nn.LSTM: gate blocks i, f, g, o; the state is (h, c). Call and parameters: see Recurrent."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, *, dtype: Any = None, **others: Any,
    ) -> None:  # fmt: skip
        super().__init__(torch_lstm, input_size, hidden_size, num_layers, bias, batch_first, dtype, others)


class GRU(Recurrent):
    """torch.nn.GRU: gate blocks r, z, n; reset after the product. Call and parameters: see Recurrent."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, *, dtype: Any = None, **others: Any,
    ) -> None:  # fmt: skip
        super().__init__(torch_gru, input_size, hidden_size, num_layers, bias, batch_first, dtype, others)
