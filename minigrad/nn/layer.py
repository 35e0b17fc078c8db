"""What every layer shares: its parameters by name, and how they are read, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.core import Tensor, tensor
from ..engine.errors import ShapeError

Params = Mapping[str, Tensor]


class Layer:
    """A function of its inputs and of the parameters in `params`; subclasses are called."""

    params: dict[str, Tensor]
    dtype: np.dtype

    def __init__(self, dtype: Any, **sizes: int) -> None:
        for what, n in sizes.items():
            if not isinstance(n, int) or n < 1:
                raise ValueError(f"{self.name}: {what}={n!r}; pass a whole number of at least 1")
        self.dtype = np.dtype("float64" if dtype is None else dtype)
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"{self.name}: dtype {self.dtype} holds no parameters; pass float32 or float64")

    @property
    def name(self) -> str:
        """The name of the kind of layer."""
        return type(self).__name__

    def parameters(self) -> Iterator[Tensor]:
        """The parameters, in torch's order."""
        return iter(self.params.values())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(name, parameter), in torch's order."""
        return iter(self.params.items())

    def zero_grad(self) -> None:
        """Forget what `backward()` has added up in the parameters' `.grad`."""
        for p in self.params.values():
            p.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """The parameters by torch's names, detached."""
        return {name: p.detach() for name, p in self.params.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the parameters by arrays, nested lists, or torch tensors with the same names and shapes.

        The values are cast to the layer's dtype. Nothing is replaced if anything does not fit: raises
        ValueError for missing or unexpected names, ShapeError for a shape.
        """
        wrong = [f"missing {n}" for n in self.params if n not in state]
        wrong += [f"unexpected {n}" for n in state if n not in self.params]
        if wrong:
            raise ValueError(
                f"{self.name}.load_state_dict: {', '.join(wrong)}; its parameters are {list(self.params)}"
            )
        new = {n: tensor(state[n], self.dtype, requires_grad=True, name=n) for n in self.params}
        for n, old in self.params.items():
            if new[n].shape != old.shape:
                raise ShapeError(
                    f"{self.name}.load_state_dict: {n} has shape {new[n].shape}, this layer needs {old.shape}"
                )
        self.params = new
