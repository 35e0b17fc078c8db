"""Somebody's hand-written backward, judged: `check_backward(cell, backward)`."""

from .check import BackwardCheck, check_backward, is_sequence

__all__ = ["BackwardCheck", "check_backward", "is_sequence"]
