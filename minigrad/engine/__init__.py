"""The engine: tensors, the table of primitives, differentiation, programs, scan. Knows only numpy."""
