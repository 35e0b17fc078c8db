"""Equations as text, LaTeX or plain, held against a cell's code."""

from .check import NAMED, SpecificationCheck, check_specification

__all__ = ["NAMED", "SpecificationCheck", "check_specification"]
