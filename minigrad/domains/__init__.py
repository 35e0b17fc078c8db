"""Kinds of numbers: each file registers the array type it speaks for with the engine."""
