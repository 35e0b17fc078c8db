"""minigrad: write a recurrent cell once, as its equations; see it unrolled, prove its BPTT gradient.

These are the public names. `minigrad.prove`, `draw` and `ledger` load sympy or graphviz when first used;
importing minigrad loads numpy alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .domains import floats as _floats  # noqa: F401  registers the numbers that train
from .domains import source as _source  # noqa: F401  registers the numbers that print programs
from .engine.core import Tensor as Tensor
from .engine.core import no_grad as no_grad
from .engine.core import tensor as tensor
from .engine.errors import ShapeError as ShapeError
from .engine.errors import TraceError as TraceError
from .engine.forward import jvp as jvp
from .engine.functions import *  # noqa: F403
from .engine.grad import grad as grad
from .engine.grad import hessian as hessian
from .engine.grad import hvp as hvp
from .engine.grad import jacobian as jacobian
from .engine.grad import ones_like as ones_like
from .engine.grad import value_and_grad as value_and_grad
from .engine.grad import vjp as vjp
from .engine.grad import zeros_like as zeros_like
from .engine.program import Program as Program
from .engine.program import trace as trace
from .engine.bptt import RUNNER as _RUNNER
from .engine.scan import Truncation as Truncation
from .engine.scan import scan as scan
from .cells.cell import Cell as Cell
from .cells.cell import cell as cell
from .cells.example import as_cell as as_cell
from .cells.unroll import unroll as unroll
from . import cells as cells

if TYPE_CHECKING:  # for editors; modules that are called like functions cannot be shown to them
    from . import fast as fast
    from . import nn as nn

_LAZY = {"fast", "nn", "prove", "draw", "ledger"}  # the last three load sympy or graphviz


def _first_scan(*args: Any) -> Any:
    """The first scan loads the fast runner, which then takes this place in the engine's slot."""
    from .fast.run import run_fast

    _RUNNER[0] = run_fast
    return run_fast(*args)


_RUNNER[0] = _first_scan


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
