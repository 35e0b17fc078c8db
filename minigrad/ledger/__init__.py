"""The ledger of BPTT: `minigrad.ledger(run, of="h", wrt="U")`, a gradient through time as the sum of its terms.

In reading order: `graph` cuts the recorded graph at the states, `terms` goes back through the pieces, `factors`
measures their Jacobians, `rows` and `book` hold what is found; `words` and `table` say it, `figure` (with
`caption`, `paths`, `panel` and `axis`) draws it.
"""

from .._callable import make_callable
from .book import Ledger, ledger
from .factors import Factor
from .rows import Row

__all__ = ["Factor", "Ledger", "Row", "ledger"]

make_callable(__name__, ledger)
