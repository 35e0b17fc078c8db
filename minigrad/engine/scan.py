"""scan: a step repeated over time. It is recorded once; the scan's row (bptt.py) then runs it and pulls back.

Tensors that the step closes over are found while it is traced and become constants of the scan:
their gradient is never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bptt import Layout, run_scan
from .checkpoint import Segments, scan_segments
from .core import STATE, Tensor, as_tensor, leaf
from .errors import ShapeError, TraceError
from .memo import remembered, world
from .program import Program, record
from .tree import flatten, leaves, matched, rebuild, spread, tree_map
from .truncation import Truncation as Truncation


def scan(
    step: Callable,
    state: Any,
    xs: Any,
    params: Any = None,
    *,
    truncate: int | None = None,
    reverse: bool = False,
    fast: bool = True,
    checkpoint: int | None = None,
) -> tuple[Any, Any]:
    """(final state, outputs stacked over time) of a Cell, or of step(state, x, params) -> (state, output).

    state: tensors or nested tuples and dicts of them; xs: the same, each with time as first axis, (T, ...);
    params: the same, used by every step. The output of a step may be nested too, or None.
    truncate: cut the gradient every k steps (see Truncation: `Truncation(T, k)` says what is dropped).
    reverse: run from the last step to the first.
    fast: False runs the recorded step, one after the other; the results are the same to rounding.
    checkpoint: store the states at the borders of segments of k steps only, and run each segment again in
    the backward pass; True: about sqrt(T) steps. Results are the same to rounding. An LSTM of T = 100,000,
    n = 128, d = 16, batch 8, float32 trains in 131 MiB if each step gives its loss, in 514 MiB if the states
    are stacked (the process at its peak, 2026-11-21); what a loss makes of those stacks comes on top.
    Raises ShapeError if the sequences differ in length, are empty, or the step changes its state's shape;
    ValueError for a bad truncate or checkpoint, or if neither of the two is a multiple of the other.
    Source: the derivative is BPTT, Werbos 1990; the symmetry of carry, sequence and constant.
    """
    flat: list[Any] = []
    forms = spread(state, flat), (n := len(flat)), spread(xs, flat), (q := len(flat)), spread(params, flat)
    flat = [v if v.__class__ is Tensor else as_tensor(v) for v in flat]
    T = _length(flat[n:q], xs)
    cut = frozenset(() if truncate is None else (t - 1 for t in Truncation(T, truncate).cuts))
    if checkpoint is not None:
        segments = Segments(T, checkpoint, truncate)
        if segments.k < T:
            state, xs, params = rebuild((state, xs, params), flat)
            return scan_segments(scan, step, state, xs, params, segments, reverse=reverse, fast=fast)
    flat[:n] = _in_one_domain(flat, n)
    t, trees = -1 if reverse else 0, (state, xs, params)
    program, captured, output = _recorded_step(step, trees, forms, flat, t)
    layout = Layout(n, q - n, len(program.outputs) - n, reverse, cut, fast)
    parts = run_scan([*flat, *captured], program, layout)
    return rebuild(state, parts[:n]), rebuild(output, parts[n:])


_recorded: dict[Any, tuple[Program, list[int], Any]] = {}


def _recorded_step(
    step: Callable, trees: Any, forms: Any, flat: list[Tensor], t: int
) -> tuple[Program, list[Tensor], Any]:
    """The program (state, x, params) -> (new state, output), what it captured, the form of the output.

    A step is recorded once per shapes, as long as what it reads stays the same (memo.py).
    trees: (state, xs, params), of these forms and of these tensors; t: the step that is an example.
    """
    _, n, _, q, _ = forms
    read = world(step)
    key: Any = None
    if read is not None:
        shapes = [v.value.shape for v in flat]
        shapes[n:q] = [x[1:] for x in shapes[n:q]]
        kinds = [(v.value.dtype, v.m) for v in flat]
        key = (read[0], getattr(step, "__name__", ""), forms, tuple(shapes), tuple(kinds))
        if (found := _recorded.get(key)) is not None:
            return found[0], [read[1][i] for i in found[1]], found[2]
    looked = STATE.looked
    now = [v[t] if n <= i < q else v for i, v in enumerate(flat)]
    program, captured, output = _record_step(step, *rebuild(trees, now))
    if read is not None and STATE.looked == looked:
        at = {x.id: i for i, x in enumerate(read[1])}
        if all(x.id in at for x in captured):
            remembered(_recorded, key, lambda: (program, [at[x.id] for x in captured], output))
    return program, captured, output


def _record_step(step: Callable, state: Any, x: Any, params: Any) -> tuple[Program, list[Tensor], Any]:
    """The step as `_recorded_step` gives it, recorded now."""
    output: list[Any] = []
    function = getattr(step, "step", step)  # a Cell knows its step

    def one_step(s: Any, x: Any, p: Any) -> list[Any]:
        result = function(s, x, p)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TraceError(
                f"scan: the step returned {_describe(result)}; it must return (new state, output), "
                "and (new state, None) if there is no output"
            )
        new, y = result
        output.append(tree_map(lambda _: 0, y))  # its form; a recording keeps no values
        return [*_checked_state(s, new), *leaves(y)]

    one_step.__name__ = getattr(step, "name", getattr(step, "__name__", "step"))
    examples = rebuild((state, x, params), [v.detach() for v in leaves((state, x, params))])
    paths = [path.rpartition(".")[2] for tree in examples for path, _ in flatten(tree)]
    # a dict's keys are names; the rest is named by the step's own variables
    program, captured = record(one_step, examples, [p if p.isidentifier() else None for p in paths])
    return program, captured, tree_map(lambda _: 0, output[0])  # its form; the tensors are not kept


def _in_one_domain(flat: list[Tensor], n: int) -> list[Tensor]:
    """The first n, the state, in the most general number domain of all: it holds such numbers after a step."""
    if not n:
        raise ShapeError("scan: the state is empty; a step without state is an ordinary function of all xs")
    m = max([v.m for v in flat], key=lambda d: d.rank)

    def lifted(v: Tensor) -> Tensor:
        return v if v.m is m or v.dtype.kind in "iub" else v + leaf(m.zeros((), m.lift(v.value)))

    return [lifted(v) for v in flat[:n]]


def _length(seqs: list[Tensor], xs: Any) -> int:
    lengths = {x.shape[0] if x.ndim else None for x in seqs}
    if len(lengths) == 1 and (T := lengths.pop()):
        return T
    named = {path or "xs": x.shape for (path, _), x in zip(flatten(xs), seqs, strict=True)}
    for name, shape in named.items():
        if not shape:
            raise ShapeError(f"scan: the sequence {name} has no time axis (its shape is ())")
    if not named:
        raise ShapeError(
            "scan: no sequence given, so the number of steps is unknown; pass xs of shape (T, ...)"
        )
    if len({shape[0] for shape in named.values()}) > 1:
        sizes = {name: shape[0] for name, shape in named.items()}
        raise ShapeError(f"scan: the sequences differ in length: {sizes}; the first axis of each is time")
    raise ShapeError("scan: the sequence has T = 0 steps; at least one is needed")


def _describe(result: Any) -> str:
    return f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"


def _checked_state(old: Any, new: Any) -> list[Tensor]:
    """The leaves of the new state, in the order of the old. Raises ShapeError if a step changes it."""
    news = [as_tensor(b) for b in matched(old, new, "scan: the new state")]
    for (path, a), b in zip(flatten(old), news, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ShapeError(
                f"scan: state {path or '0'} enters with shape {a.shape} {a.dtype} and leaves with "
                f"{b.shape} {b.dtype}; a step must keep them"
            )
    return news
