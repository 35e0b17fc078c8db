"""The errors of the house: each says what, where, and what to do."""


class ShapeError(ValueError):
    """Shapes that do not fit together; the message names the operation or argument and the shapes."""


class TraceError(ValueError):
    """A function that cannot be recorded as a program, or a program that cannot be replayed."""
