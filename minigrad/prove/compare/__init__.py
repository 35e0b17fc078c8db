"""Two cells, side by side: equal, equal up to a map of weights, or different, and where."""

from .comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
