"""Pictures of recurrent cells, from their own running code: `minigrad.draw(cell, steps=4).save("x.svg")`.

In reading order: `steps` and `graph` find the time steps of a graph, `fold` what is drawn of one,
`rows`, `place` (with `sketch`) and `route` where, `layout` (with `tracks`) gives it coordinates; `stage`
sets the steps side by side, `stamp`, `rails` and `flow` draw on it, `compose` makes the `Scene`; of a long
sequence `elide` leaves steps out, `ribbon` shows them all small, `wrap` makes rows; `dot`
writes that for Graphviz, `render` runs Graphviz, `page` makes a page of it to look around in. `measure`
computes the gradients that are shown, `unlike` finds the steps that differ. Other figures on the same stage:
`rolled` draws one step for all, `several` (with `runs`, `between` and `chart`) runs as rows.
"""

from .._callable import make_callable
from .picture import Picture, RenderError, draw
from .scene import Scene

__all__ = ["Picture", "RenderError", "Scene", "draw"]

make_callable(__name__, draw)
