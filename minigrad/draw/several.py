"""Several runs as rows of one picture: columns aligned in time, one gradient scale, wires between the rows.

Runs of which none reads another are compared, the first on top, with a chart of their gradients. Runs that
read one another (layers, an encoder and its decoder) are a network: the first row is the lowest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cells.unroll import Unrolled
from ..engine.core import Tensor
from .between import Lanes, draw_reads
from .chart import Curve, draw_chart
from .compose import staged
from .layout import StepLayout
from .measure import Numbers, measure
from .names import text_width
from .runs import Read, of_runs, reads
from .scene import Scene
from .stage import DECADES, Options, Pen, Stage
from .steps import Recording
from .unlike import notes

ONCE = ("vanished-words", "exploded-words", "scale-0", "said")  # labels that are not said in each row
APART = 30.0  # between rows, and room for a caption
TOP_CHART = 26.0
POINTS = 101  # of a curve, at most


@dataclass
class Row:
    """One run: its stage, and its scene moved to its place."""

    caption: str
    stage: Stage
    scene: Scene
    dy: float = 0.0


def compose_runs(
    runs: dict[str, Unrolled], options: Options, loss: Tensor | None, wanted: bool, title: str | None,
    choose: Callable[[Recording], Sequence[int]],
) -> tuple[Scene, float | None]:  # fmt: skip
    """The scene of several runs, and the largest |sum of the taps' shares - gradient| if gradients are wanted.

    loss: of a network; of runs that are compared each has its own, the mean square of its last output.
    choose: the steps to draw. Raises ValueError for a loss of runs that are compared.
    """
    found, others = reads(list(runs.values()))
    network = bool(found or others)
    if loss is not None and not network:
        raise ValueError(
            "draw: loss=... is of one graph, and these runs are not connected: each is drawn with the mean square "
            "of its last output. If one reads another's states, give it them as mg.stack(run.outputs)"
        )
    recs = dict(zip(runs, of_runs(list(runs.values()), loss, network, wanted), strict=True))
    shown = [choose(rec) for rec in recs.values()]
    numbers = [measure(rec, rec.loss) if wanted and rec.loss is not None else None for rec in recs.values()]
    T = max(len(rec.steps) for rec in recs.values())
    heading = " → ".join(runs) if network else f"{', '.join(runs)}, {T} time step{'s' * (T != 1)}"
    scene = compose_rows(recs, options, numbers, heading if title is None else title, shown, found, others)
    return scene, checked(list(recs.values()), numbers)


def checked(recs: Sequence[Recording], numbers: Sequence[Numbers | None]) -> float | None:
    """The largest difference between a parameter's gradient and the shares of all steps of all rows."""
    shares: dict[int, list[np.ndarray]] = {}
    totals: dict[int, np.ndarray] = {}
    for rec, num in zip(recs, numbers, strict=True):
        for i, p in enumerate(rec.params if num is not None else ()):
            assert num is not None
            if (total := num.total[i]) is not None:
                totals[p.id] = total
                shares.setdefault(p.id, []).extend(g for row in num.share if (g := row[i]) is not None)
    worst = [float(np.abs(np.sum(shares[p], axis=0) - total).max()) for p, total in totals.items() if shares[p]]
    return max(worst, default=0.0) if any(n is not None for n in numbers) else None


def compose_rows(
    recs: dict[str, Recording], options: Options, numbers: Sequence[Numbers | None], title: str,
    shown: Sequence[Sequence[int]], found: Sequence[Read],
    others: Sequence[tuple[int, int]] = (),
) -> Scene:  # fmt: skip
    """The scene of several recordings, by caption; numbers and steps shown: of each of them.

    others: (source, sink) of the runs that another one reads in a way that is not drawn.
    """
    network = bool(found or others)
    stages = [
        Stage(rec if rec.read_by_loss or not network else replace(rec, loss=None), replace(options, name=c), n, s)
        for (c, rec), n, s in zip(recs.items(), one_scale(recs, numbers), shown, strict=True)
    ]
    stages, peak = aligned(stages), max(s.peak for s in stages)
    for s in stages:
        s.peak = peak
    scenes = [staged(s, c, ribbon=False) for c, s in zip(recs, stages, strict=True)]
    words = _legend(scenes, peak)
    rows = [Row(c, s, scene) for c, s, scene in zip(recs, stages, scenes, strict=True)]
    lanes = Lanes([(r.stage, r.scene) for r in rows], found)
    pen = Pen(Scene(title))
    _place(rows if network else rows[::-1], lanes, network)
    for i, row in enumerate(rows):
        _add(pen.scene, row, f"r{i + 1}-")
    draw_reads(pen, lanes, [row.dy for row in rows])
    if peak > 0 and not network:
        _chart(pen, rows)
    names = list(recs)
    words += [f"{names[b]} reads {names[a]} through other operations, which are not drawn" for a, b in others]
    notes(pen, words, "soft")
    pen.scene.description = _describe(rows, found, others)
    return pen.scene


def _legend(scenes: list[Scene], peak: float) -> list[str]:
    """What is said once for all rows, taken out of each of them."""
    texts = []
    if peak > 0:
        texts.append(
            f"one gradient scale for all rows: the widest arrow and the highest bar are {peak:.2g}, log scale, "
            f"{DECADES:.0f} decades"
        )
    for key, meaning in (("vanished", "below 1 %"), ("exploded", "above 100 times")):
        if any(a.key == f"{key}-words" for scene in scenes for a in scene.labels):
            texts.append(f"dashed line: {key}, {meaning} of the norm at the row's last step")
    for scene in scenes:
        texts += [a.text for a in scene.labels if a.key.startswith("said")]
        scene.labels = [a for a in scene.labels if not a.key.startswith(ONCE)]
    return list(dict.fromkeys(texts))


def one_scale(recs: dict[str, Recording], numbers: Sequence[Numbers | None]) -> list[Numbers | None]:
    """The numbers with one peak for the strips of gradients, and one check."""
    peak = max((n.peak for n in numbers if n is not None), default=0.0)
    check = checked(list(recs.values()), numbers) or 0.0
    return [None if n is None else replace(n, peak=peak, check=check) for n in numbers]


def aligned(stages: Sequence[Stage]) -> list[Stage]:
    """The stages with each step as wide as the widest of its time in any row."""
    made: dict[tuple[int, float], StepLayout] = {}
    widest: dict[int, float] = {}
    for s in stages:
        for t in s.shown:
            widest[t] = max(widest.get(t, 0.0), s.steps[t - 1].width)
    for s in stages:
        steps = list(s.steps)
        for t in s.shown:
            key = id(steps[t - 1]), widest[t]
            s.steps[t - 1] = made.setdefault(key, _widened(steps[t - 1], widest[t]))
    return [s.part(s.first, s.last) for s in stages]


def _widened(s: StepLayout, width: float) -> StepLayout:
    """A step in the middle of a wider column."""
    dx = (width - s.width) / 2
    return replace(
        s, width=width, spots={k: replace(v, x=v.x + dx) for k, v in s.spots.items()},
        paths=tuple(replace(p, points=tuple((x + dx, y) for x, y in p.points)) for p in s.paths),
    )  # fmt: skip


def _place(upwards: list[Row], lanes: Lanes, network: bool) -> None:
    """Set the rows one above the other, with room for the wires between them."""
    top = 0.0
    for i, row in enumerate(upwards):
        _, y0, _, y1 = row.scene.bounds()
        row.dy = top - y0
        top += y1 - y0 + APART
        if network:
            lanes.start[i] = top
            top += lanes.room(i)


def _add(scene: Scene, row: Row, prefix: str) -> None:
    """Copy a row's parts into the picture, under keys of their own."""
    part, dy = row.scene, row.dy
    def inside(key: str | None) -> str | None:
        return None if key is None else prefix + key

    scene.frames += [replace(f, key=prefix + f.key, y0=f.y0 + dy, y1=f.y1 + dy) for f in part.frames]
    scene.boxes += [replace(b, key=prefix + b.key, y=b.y + dy, lies_in=inside(b.lies_in)) for b in part.boxes]
    scene.strips += [replace(s, key=prefix + s.key, y=s.y + dy, lies_in=inside(s.lies_in)) for s in part.strips]
    scene.labels += [replace(a, key=prefix + a.key, y=a.y + dy, lies_in=inside(a.lies_in)) for a in part.labels]
    scene.lines += [
        replace(e, key=prefix + e.key, source=prefix + e.source, sink=prefix + e.sink,
                points=tuple((x, y + dy) for x, y in e.points)) for e in part.lines
    ]  # fmt: skip
    x0, _, _, y1 = part.bounds()
    size = 15 * row.stage.options.type
    w = text_width(row.caption, size, True) + 4
    Pen(scene).label(f"{prefix}caption", x0 + w / 2, y1 + dy + 12, w, row.caption, "ink", size, True)


def _chart(pen: Pen, rows: list[Row]) -> None:
    """The gradient of the whole state by time, one curve for each row, above all rows.

    Over the columns; where these have gaps, over a time axis of its own, with all steps or POINTS of them.
    """
    T = max(row.stage.T for row in rows)
    left, right = (f(row.stage.state_x(t) for row in rows for t in row.stage.stops) for f in (min, max))
    whole = any(row.stage.gaps for row in rows)
    curves = []
    for row in rows:
        stage, points = row.stage, []
        for t in np.unique(np.linspace(0, stage.T, POINTS).round().astype(int)) if whole else stage.stops:
            norms = [n for s in stage.rec.carried[t] if (n := stage.norm(s)) is not None]
            if norms:
                x = left + (right - left) * t / T if whole else stage.state_x(t)
                points.append((int(t), float(x), math.sqrt(sum(n * n for n in norms))))
        curves.append(Curve(row.caption, tuple(points)))
    when = f"from step 0 to {T}" if whole else "after each step"
    draw_chart(pen, curves, pen.scene.bounds()[3] + TOP_CHART, when)


def _describe(rows: list[Row], found: Sequence[Read], others: Sequence[tuple[int, int]]) -> str:
    end = "bottom" if found or others else "top"
    text = f"{len(rows)} runs as rows, the first at the {end}: {', '.join(r.caption for r in rows)}."
    for a, b in sorted({(r.source, r.sink) for r in found}):
        times = sorted({r.t for r in found if (r.source, r.sink) == (a, b)})
        what = "as its input" if times[-1] else "as its initial state"
        what += " and initial state" if times[0] == 0 < times[-1] else ""
        text += f" {rows[b].caption} reads {rows[a].caption} {what}."
    for a, b in others:
        text += f" {rows[b].caption} reads {rows[a].caption} through other operations, which are not drawn."
    return text + "".join(f" {r.caption}: {r.scene.description}" for r in rows)
