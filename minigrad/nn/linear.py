"""Linear and Embedding, with torch's parameters and initial distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import functions as f
from ..engine.core import Tensor, as_tensor, tensor
from ..engine.errors import ShapeError
from .layer import Layer, Params


class Linear(Layer):
    """y = x weight^T + bias.  x: (..., in_features) → (..., out_features), as torch.nn.Linear.

    weight: (out_features, in_features), bias: (out_features,), both from U(-1/sqrt(in), 1/sqrt(in)).
    Raises ShapeError if the last axis of x is not in_features.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = None) -> None:
        super().__init__(dtype, in_features=in_features, out_features=out_features)
        k = 1 / np.sqrt(in_features)
        shapes: dict[str, tuple[int, ...]] = {"weight": (out_features, in_features)}
        if bias:
            shapes["bias"] = (out_features,)
        self.params = {
            name: tensor(f.generator().uniform(-k, k, shape), self.dtype, requires_grad=True, name=name)
            for name, shape in shapes.items()
        }

    def __call__(self, x: Any, *, params: Params | None = None) -> Tensor:
        x, p = as_tensor(x), self.params if params is None else params
        if not x.ndim or x.shape[-1] != p["weight"].shape[1]:
            raise ShapeError(f"Linear: input of shape {x.shape}, expected (..., {p['weight'].shape[1]})")
        y = x @ p["weight"].T
        return y + p["bias"] if "bias" in p else y


class Embedding(Layer):
    """Rows of a table.  index: (...) ints → (..., embedding_dim), as torch.nn.Embedding.

    weight: (num_embeddings, embedding_dim), standard normal.
    Raises TypeError if the indices are not integers, IndexError if one is outside the table.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, *, dtype: Any = None) -> None:
        super().__init__(dtype, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        table = f.generator().standard_normal((num_embeddings, embedding_dim))
        self.params = {"weight": tensor(table, self.dtype, requires_grad=True, name="weight")}

    def __call__(self, index: Any, *, params: Params | None = None) -> Tensor:
        index, weight = as_tensor(index), (self.params if params is None else params)["weight"]
        if index.dtype.kind not in "iu":
            raise TypeError(f"Embedding: indices must be integers, not {index.dtype}")
        low, high = (index.value.min(), index.value.max()) if index.value.size else (0, 0)
        if low < 0 or high >= len(weight):
            raise IndexError(f"Embedding: indices run from {low} to {high}, outside [0, {len(weight)})")
        return weight[index]
