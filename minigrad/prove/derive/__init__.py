"""The derivation of a cell's backward as a person would write it."""

from .derivation import derive
from .derived import Derived

__all__ = ["Derived", "derive"]
