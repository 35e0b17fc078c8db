"""`draw`: a cell or a recorded graph as a picture, unrolled over time."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._output import whole_file
from ..cells.cell import Cell
from ..cells.unroll import Unrolled, unroll
from ..engine.core import Tensor, recording, tensor
from ..engine.functions import mean
from .adaptive import Serial
from .compose import staged
from .cuts import cuts_of, truncated
from .dot import to_dot
from .elide import MOST, chosen
from .graph import of_tensors
from .measure import measure
from .render import FORMATS, WIDEST, RenderError, render
from .rolled import compose_rolled
from .runs import Drawable, as_runs
from .scene import Scene
from .several import compose_runs
from .stage import Options, Stage
from .steps import Recording, of_unrolled
from .theme import TYPE
from .theme import theme as theme_colours
from .wrap import comfortable, wrapped

if TYPE_CHECKING:
    from .page import Highlight

MAX_STEPS = 1000  # that are all drawn
MAX_ELIDED = 10_000  # of which a few are drawn
MAX_NODES = 60_000
LEVELS = ("gates", "ops", "steps", "symbols")
TEXTS = ("dot", "html")  # what can be saved besides the formats of Graphviz


@dataclass(frozen=True)
class Picture:
    """A drawn graph: `.scene` (plain data), `.dot` (text), `.svg()`, `.save(path)`; notebooks show it."""

    scene: Scene
    theme: str = "light"
    check: float | None = field(default=None)  # largest |sum of the taps' shares - gradient|
    stage: Stage | None = field(default=None, repr=False, compare=False)  # what the scene was drawn from

    @cached_property
    def dot(self) -> str:
        """Graphviz source, with every position in it."""
        return to_dot(self.scene, self.theme)

    def svg(self, engine: str = "auto") -> str:
        """SVG text. engine: "dot" (the system's Graphviz), "wasm" (Graphviz as WebAssembly), or "auto"."""
        return self._render("svg", engine).decode()

    def html(self, paths: Sequence[Highlight] = ()) -> str:
        """One self-contained HTML page, to look around in; without JavaScript the picture and a table.

        paths: what a click lights, such as the terms of a sum. The theme "light" follows the reader's
        preference for light or dark. Raises ValueError for a path with keys that the scene does not have.
        """
        from .page import page

        return page(self.scene, self.stage, lambda name: replace(self, theme=name).svg(), self.theme, paths)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write .svg, .png, .pdf, .html or .dot, by the suffix; the file is whole or not there at all.

        Raises ValueError for another suffix, RenderError for PNG and PDF without dot, OSError if the
        path cannot be written.
        """
        suffix = Path(path).suffix.lower().lstrip(".")
        if suffix not in (*FORMATS, *TEXTS):
            raise ValueError(
                f"draw: cannot save {os.fspath(path)!r}: its suffix says the format, and can be "
                f"{', '.join('.' + f for f in (*FORMATS, *TEXTS))}"
            )
        with whole_file(path) as part:
            text = self.dot if suffix == "dot" else self.html() if suffix == "html" else None
            part.write_bytes(self._render(suffix) if text is None else text.encode())
        return Path(path)

    def _render(self, format: str, engine: str = "auto") -> bytes:
        scene, (w, h) = self.scene, _extent(self.scene)
        if w > WIDEST.get(format, math.inf) and self.stage is not None and self.stage.rec.timed:
            scene = wrapped(self.stage, scene, comfortable(w, h))
        words, size = (scene.title, scene.description), _extent(scene)
        if format == "svg" and self.theme == "auto":
            colours = Serial()
            raw = render(to_dot(scene, "auto", colours), format, size, *words, engine)
            return colours.resolved(raw.decode()).encode()
        return render(self.dot if scene is self.scene else to_dot(scene, self.theme), format, size, *words, engine)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from .page import framed

        return {
            "text/html": framed(self.html(), self.scene.title),
            "image/svg+xml": self.svg(),
            "text/plain": repr(self),
        }

    def __repr__(self) -> str:
        s = self.scene
        return f"Picture({s.title!r}: {len(s.frames)} steps, {len(s.boxes)} boxes, {len(s.lines)} lines)"


def _extent(scene: Scene) -> tuple[float, float]:
    x0, y0, x1, y1 = scene.bounds()
    return x1 - x0, y1 - y0


def draw(
    what: Drawable,
    steps: int = 4,
    *,
    level: str = "gates",
    values: bool = False,
    gradients: bool | None = None,
    shapes: bool = True,
    saturated: bool = True,
    truncate: int | None = None,
    loss: Tensor | None = None,
    elide: bool | None = None,
    show: Sequence[int] | None = None,
    lens: int | None = None,
    wrap: float | None = None,
    rolled: bool = False,
    theme: str = "light",
    seed: int = 0,
    title: str | None = None,
) -> Picture:
    """A picture of a cell unrolled over `steps` steps, of an `Unrolled`, or of the graph of tensors.

    level: "gates" (the textbook's parts), "ops" (every operation), "steps" (one box for each step) or
    "symbols" (the parts with their equations); values: show numbers as strips;
    gradients: show dL/d(state) and each step's share of dL/d(parameter), by default if values are
    shown and there is a loss; shapes: write them; saturated: hatch the entries of gates below 0.05 and
    above 0.95. truncate: cut the gradient every so many steps, and show what is lost. loss: a single
    number made from the graph; for a cell or an Unrolled the mean square of the last output. theme: light,
    dark, auto (an SVG that follows its reader; other formats are light), paper (safe in print without
    colour) or slide. For a cell, sizes are small and numbers random, from `seed`; an Unrolled has its own
    number of steps.
    Of more than 40 steps the first two and the last two are drawn, and a gap that says how many it stands
    for. elide: True for that at any length, False for every step; show: the steps to draw; lens: a step
    to draw with its neighbours and the two ends. wrap: rows of steps, no wider than this many points (or
    one step); a PNG or PDF that would be too wide for its format is in rows in any case.
    Several cells, runs or a layer of `nn` are rows of one picture with columns aligned in time: a list, or a
    dict by caption. Runs that read one another's states or outputs are wired, and have one loss; others are
    compared on one gradient scale, each with a loss of its own. rolled: one step that stands for all, its
    states led back through a delay.
    Raises TypeError for what has no graph, ValueError for steps outside 1..10,000 (1,000 if every one is
    drawn) or unknown options.
    """
    if level not in LEVELS:
        raise ValueError(f"draw: there is no level {level!r}; pass one of {', '.join(LEVELS)}")
    theme_colours(theme)
    _check_steps(steps)
    options = Options(level, values, shapes, saturated, TYPE.get(theme, 1.0))
    wanted = (values or truncate is not None) if gradients is None else gradients
    runs = as_runs(what, lambda cell: example_run(cell, steps, seed), steps, seed)
    if runs is not None and len(runs) > 1:
        if rolled or wrap is not None or truncate is not None:
            raise ValueError("draw: rolled=True, wrap=... and truncate=... are for one run; draw these runs one by one")

        def choose(rec: Recording) -> Sequence[int]:
            _check_steps(len(rec.steps))
            _check_size(rec, shown := chosen(rec, elide, show, lens))
            return shown

        scene, check = compose_runs(runs, options, loss, wanted, title, choose)
        return Picture(scene, theme, check)
    if rolled and (gradients or not (truncate is wrap is show is lens is None)):
        raise ValueError("draw: rolled=True draws one step, so gradients, truncate, wrap, show and lens say nothing")
    what = what if runs is None else next(iter(runs.values()))
    rec, name = _recording(what, steps, seed, loss, wanted)
    options = replace(options, name=name)
    _check_wrap(wrap)
    shown = chosen(rec, elide, show, lens)
    _check_size(rec, shown)
    numbers = measure(rec, rec.loss) if wanted and rec.loss is not None else None
    if gradients and numbers is None:
        raise ValueError(
            "draw: gradients=True needs a loss, a single number made from this graph, and states or "
            "parameters that require a gradient; pass loss=..., and make them with requires_grad=True"
        )
    T = len(rec.steps)
    heading = title if title is not None else f"{name}, {T} time step{'s' * (T != 1)}" if rec.timed else name
    if truncate is not None:
        if numbers is None:
            raise ValueError("draw: truncate=... cuts a gradient; leave out gradients=False, or pass loss=...")
        whole, rec = numbers, truncated(rec, truncate)
        numbers = measure(rec, rec.loss) if rec.loss is not None else None
        if numbers is not None:
            options = replace(options, cuts=cuts_of(rec, truncate, whole, numbers))
    if rolled:
        return Picture(compose_rolled(rec, options, heading), theme)
    stage = Stage(rec, options, numbers, shown)
    scene = staged(stage, heading)
    if wrap is not None:
        scene = wrapped(stage, scene, wrap)
    return Picture(scene, theme, numbers.check if numbers else None, stage)


def _recording(what: Any, steps: int, seed: int, loss: Tensor | None, wanted: bool) -> tuple[Recording, str]:
    if isinstance(what, Cell):
        what = example_run(what, steps, seed)
    if isinstance(what, Unrolled):
        _check_steps(what.steps)
        if loss is None and wanted:
            with recording("all"):
                loss = mean(what.outputs[-1] * what.outputs[-1])
        return of_unrolled(what, loss), what.cell.name
    tensors = [what] if isinstance(what, Tensor) else list(what) if isinstance(what, (list, tuple)) else []
    if not tensors or not all(isinstance(t, Tensor) for t in tensors):
        raise TypeError(f"draw takes a Cell, an Unrolled, a Tensor or a list of Tensors, not {_kind(what)}")
    if all(t.op is None for t in tensors):
        raise TypeError(
            "draw: this tensor has no graph: it is a leaf, or was made where nothing is recorded. Compute "
            "it from a leaf with requires_grad=True, or draw unroll(cell, ...)"
        )
    rec = of_tensors([*tensors, *([loss] if loss is not None else [])])
    _check_steps(len(rec.steps))
    return rec, tensors[0].name or "graph"


def _kind(x: Any) -> str:
    if isinstance(x, (list, tuple)):
        return f"a list of {', '.join(sorted({type(v).__name__ for v in x})) or 'nothing'}"
    return f"{type(x).__name__}" + ("; decorate it with @cell(...) to make a Cell" if callable(x) else "")


def _check_steps(steps: int) -> None:
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool):
        raise TypeError(f"draw: steps={steps!r}; pass a whole number of time steps")
    if steps < 1:
        raise ValueError(f"draw: steps={steps}; a picture has at least 1 time step")
    if steps > MAX_ELIDED:
        raise ValueError(
            f"draw: steps={steps:,} is more than the {MAX_ELIDED:,} of which a picture is made; the steps are "
            "alike, so draw a few of them, or the part of the sequence that matters"
        )


def _check_wrap(wrap: float | None) -> None:
    if wrap is None:
        return
    if not isinstance(wrap, (int, float, np.integer, np.floating)) or isinstance(wrap, bool):
        raise TypeError(f"draw: wrap={wrap!r}; pass the width of a row in points, such as wrap=1600")
    if not wrap > 0:
        raise ValueError(f"draw: wrap={wrap}; the width of a row is more than 0 points")


def _check_size(rec: Recording, shown: Sequence[int]) -> None:
    if len(shown) > MAX_STEPS:
        raise ValueError(
            f"draw: {len(shown):,} steps one by one are more than the {MAX_STEPS:,} that can be drawn; leave "
            f"elide=False away (more than {MOST} steps are then drawn with a gap), or choose some with show=[...]"
        )
    n = sum(len(rec.steps[t - 1].nodes) for t in shown)
    widest = max(len(s.nodes) for s in rec.steps)
    if widest > 400 or n > MAX_NODES:
        raise ValueError(
            f"draw: {n:,} operations, {widest:,} of them in one time step; at most {MAX_NODES:,} and "
            "400 can be drawn. Iterate over a tensor inside `with Watch():` so that steps are "
            "known, or draw fewer of them"
        )


def example_run(cell: Cell, steps: int, seed: int) -> Unrolled:
    """The cell on random inputs and parameters of small sizes: batch 1, the state's size 5, then 4, 3, ..."""
    names = list(
        dict.fromkeys(
            n for a in (*cell.states, *cell.inputs, *cell.params) for s in cell.sizes[a] for n in s if n
        )
    )
    sizes = {n: (5, 4, 3, 6, 2)[i % 5] for i, n in enumerate(names)}
    rng = np.random.default_rng(seed)
    xs = tuple(rng.standard_normal((steps, 1, *cell.shape(x, sizes))) for x in cell.inputs)
    start = tuple(tensor(s, requires_grad=True, name=s.name) for s in cell.zero_state(1, **sizes))
    params = cell.init(seed, **sizes)
    try:
        return unroll(cell, start, xs, params)
    except (TypeError, IndexError):  # an input of single numbers may be one of indices, such as words
        words = tuple(np.arange(steps)[:, None] % 2 if x.ndim == 2 else x for x in xs)
        if all(w is x for w, x in zip(words, xs, strict=True)):
            raise
        return unroll(cell, start, words, params)


__all__ = ["FORMATS", "Picture", "RenderError", "draw"]
