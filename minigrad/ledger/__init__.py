"""The ledger of BPTT: `minigrad.ledger(run, of="h", wrt="U")`, a gradient through time as the sum of its terms.

In reading order: `graph` cuts the recorded graph at the states, `terms` goes back through the pieces, `factors`
measures their Jacobians, `book` holds the `Ledger`, `table` and `figure` show it.
"""

from .._callable import make_callable
from .book import Ledger, Row, ledger
from .factors import Factor

__all__ = ["Factor", "Ledger", "Row", "ledger"]

make_callable(__name__, ledger)
