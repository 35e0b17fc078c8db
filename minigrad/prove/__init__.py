"""What is claimed of a cell's gradient, and the verdict: `minigrad.prove(cell)`, and what is behind it."""

from .._callable import make_callable
from .backward import BackwardCheck, check_backward
from .certificate import certificate
from .compare import Comparison, compare
from .derive import Derived, derive
from .lemmas import lemmas
from .report import Check, Proof
from .same import equal
from .specification import SpecificationCheck, check_specification
from .theorem import prove

make_callable(__name__, prove)

__all__ = [
    "BackwardCheck", "Check", "Comparison", "Derived", "Proof", "SpecificationCheck", "certificate", "check_backward",
    "check_specification", "compare", "derive", "equal", "lemmas", "prove",
]  # fmt: skip
