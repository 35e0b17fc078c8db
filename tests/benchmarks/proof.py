"""What a proof costs, next to the bars that were set: `python -m tests.benchmarks.proof [--write]`.

Processor time, child processes included, so that what else runs on the machine counts little; the best of
several warm runs. Every row also gives the verdict that it was timed to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import verify
from minigrad.bench.length import exponent
from minigrad.bench.process import ROOT, Setting
from minigrad.bench.report import machine
from minigrad.cells import CELLS, Cell, unroll
from minigrad.cells.find import find_function
from minigrad.prove import certificate, check_backward, check_specification, compare, layers, lemmas, prove
from minigrad.prove.anysize import LOSSES, all_sizes, loss_lemma
from minigrad.prove.claims.equations import LSTM
from minigrad.prove.report import worst
from minigrad.prove.runs.audit import audit
from minigrad.prove.runs.emitted import check_emitted
from minigrad.prove.runs.modular import modular_check
from minigrad.prove.scanrule import scan_rule
from minigrad.prove.step import size_names, step_lemma
from minigrad.prove.witness import sympy_witness

from .timing import Row, Timed, bar_table, timed

PAGE = ROOT / "docs" / "proof-cost.md"
THREE = {name: CELLS[name] for name in ("rnn", "lstm", "gru")}


# ---- the layers ----------------------------------------------------------------------------------
def induction() -> str:
    """Closed form, duality and truncation."""
    return worst(layer(_asked(CELLS["rnn"])).verdict for layer in INDUCTION)


INDUCTION = (layers.closed_form, layers.duality, layers.truncated)


def _asked(cell: Cell, n: int = 2, T: int = 4) -> layers.Asked:
    return layers.Asked(cell, mg.mse, [_sizes(cell, n)], T)


def _sizes(cell: Cell, n: int) -> dict[str, int]:
    """States of n entries, everything else of one."""
    ones = dict.fromkeys([*size_names(cell), "batch"], 1)
    return ones | {k: n for s in cell.states for size in cell.sizes[s] for k in size if k}


def scan() -> str:
    """The scan's vjp, for an undefined step."""
    return "unknown" if scan_rule().wrong else "proved"


def losses() -> str:
    """All losses behind the read-out."""
    return worst(case.verdict for loss in LOSSES.values() for case in loss_lemma(*loss))


def step(cell: Cell) -> str:
    """The any-size step lemma, every case."""
    return worst(case.verdict for case in all_sizes(cell))


def audited(cell: Cell, T: int, n: int = 8, d: int = 4) -> Callable[[], str]:
    """The audit of a graph that is recorded here, once, and not timed."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return mg.tensor(rng.normal(size=shape) / 9, requires_grad=True)

    sizes = {"n": n, "d": d}
    states = tuple(draw(1, *cell.shape(s, sizes)) for s in cell.states)
    xs = tuple(draw(T, 1, *cell.shape(x, sizes)) for x in cell.inputs)
    graph = unroll(cell, states, xs, {p: draw(*cell.shape(p, sizes)) for p in cell.params})

    def run() -> str:
        found = audit(graph)
        assert found.steps == T
        return "proved" if found and found.proved else "unknown"

    return run


def modular(cell: Cell, T: int, n: int = 8, d: int = 4, by: str = "unroll") -> str:
    """The gradient of the whole run at one point modulo p."""
    return modular_check(cell, T=T, sizes={"n": n, "d": d}, trials=1, by=by).verdict


def emitted(cell: Cell) -> str:
    """The fast path's text, forward and backward, against the plain scan modulo p."""
    return check_emitted(cell).verdict


def witness(cell: Cell, T: int, n: int = 2) -> str:
    """The four ways against sympy.diff of the unrolled loss."""
    found, _ = sympy_witness(cell, _sizes(cell, n), T, mg.mse)
    return worst(c.verdict for c in found)


def concrete(cell: Cell, n: int) -> str:
    """The step lemma at one size, entry by entry."""
    found, _ = step_lemma(cell, _sizes(cell, n) | {"d": n, "batch": 2})
    return worst(c.verdict for c in found)


def shell(*command: str) -> str:
    """The verdict of `minigrad prove CELL`, started as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split(": ", 1)[1].split()[0]


def hand_written_step() -> str:
    """check_backward on a published backward of the LSTM's step."""
    file = ROOT / "examples" / "mistakes" / "doubted_but_right.py"
    return check_backward(CELLS["torch_lstm"], find_function(f"{file}:lstm_backward")).verdict


def hand_written_sequence(is_: Any, h0: Any, dhs: Any, W: Any, U: Any, b: Any) -> dict[str, Any]:
    """BPTT of the RNN, with its own loops over time, as people write it."""
    hs = [h0]
    for x in is_:
        hs.append(np.tanh(x @ W + hs[-1] @ U + b))
    dW, dU, db, dh = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(h0)
    for t in reversed(range(len(is_))):
        da = (dh + dhs[t]) * (1 - hs[t + 1] ** 2)
        dW += is_[t].T @ da
        dU += hs[t].T @ da
        db += da.sum(axis=0)
        dh = da @ U.T
    return {"W": dW, "U": dU, "b": db, "h": dh}


def compared(other: str) -> str:
    """The LSTM with another way to write it."""
    return compare(CELLS["lstm"], CELLS[other]).verdict


SAME = "equal up to a map of weights"


def verified(cell: Cell) -> Callable[[], str]:
    """The independent checker on a certificate that has been through JSON."""
    data = json.loads(json.dumps(certificate(cell)))
    return lambda: "refuted" if verify.verify(data) else "proved"


def gradcheck(T: int, n: int, d: int = 4) -> str:
    """torch.autograd.gradcheck of an LSTM in torch: what finite differences cost, and all that they say."""
    import torch

    from minigrad.bench.equations import EQUATIONS
    from minigrad.bench.torches import functions

    rng = np.random.default_rng(0)
    shapes = [(4 * n, d), (4 * n, n), (4 * n,), (4 * n,), (T, 1, d)]
    leaves = [torch.tensor(rng.normal(size=s) / 3, requires_grad=True) for s in shapes]

    def run(wi: Any, wh: Any, bi: Any, bh: Any, x: Any) -> Any:
        state = (torch.zeros(1, n, dtype=torch.float64),) * 2
        params = {"weight_ih": wi, "weight_hh": wh, "bias_ih": bi, "bias_hh": bh}
        for t in range(T):
            state = EQUATIONS["lstm"](functions(torch), state, x[t], params)
        return (state[0] ** 2).sum()

    return "agrees" if torch.autograd.gradcheck(run, leaves) else "differs"


def bars() -> list[Row]:
    """Every bar of the proof, and what else a user waits for."""
    lstm = CELLS["lstm"]
    rows = [Row("primitive lemmas", "whole table", 1, lambda: lemmas().verdict)]
    rows += [Row("any-size step lemma", name, 0.2, partial(step, c)) for name, c in THREE.items()]
    rows += [
        Row("any-size loss lemma", "read-out, 3 losses", 0.5, losses),
        Row("induction", "closed form, duality, truncation", 0.1, induction),
        Row("scan rule", "undefined step", 1, scan),
        *(Row("emitted code", k, 1, partial(emitted, c), "agrees") for k, c in THREE.items()),
        Row("audit", "lstm, T = 1000", 1, audited(lstm, 1000)),
        Row("modular run", "lstm, n = 8, T = 1000", 5, partial(modular, lstm, 1000), "agrees"),
        Row("modular run", "the same by scan", 5, partial(modular, lstm, 1000, by="scan"), "agrees"),
    ]
    for T in (1, 2, 3):
        rows += [
            Row("sympy.diff", f"{k}, n = 2, T = {T}", 10, partial(witness, c, T)) for k, c in THREE.items()
        ]
    rows += [Row("prove(cell)", k, 0.5, lambda c=c: prove(c).verdict) for k, c in THREE.items()]
    rows += [Row("minigrad prove", k, 2, partial(shell, "prove", k)) for k in THREE]
    rows += [
        Row("check_backward", "torch_lstm, one step", None, hand_written_step),
        Row("check_backward", "rnn, whole sequence", None, _sequence),
        Row("compare", "lstm, lstm_concat", None, partial(compared, "lstm_concat"), SAME),
        Row("compare", "lstm, torch_lstm", None, partial(compared, "torch_lstm"), SAME),
        Row("check_specification", "lstm", None, lambda: check_specification(lstm, LSTM).verdict),
    ]
    return rows + [Row("verify", k, None, verified(c)) for k, c in THREE.items()]


def _sequence() -> str:
    return check_backward(CELLS["rnn"], hand_written_sequence).verdict


# ---- how cost grows ------------------------------------------------------------------------------
class Growth(NamedTuple):
    """One line of the second table: run(size) for each size."""

    what: str
    by: str
    sizes: Sequence[int]
    run: Callable[[int], Callable[[], str]]


def growths() -> list[Growth]:
    """What is flat, what is linear, and what was given up for growing faster."""
    lstm = CELLS["lstm"]
    return [
        Growth("any-size step", "n", (2, 4, 8, 16), lambda n: partial(_layer, layers.every_size, lstm, n, 4)),
        Growth("any-size step", "T", LONG, lambda T: partial(_layer, layers.every_size, lstm, 2, T)),
        Growth("induction and scan rule", "T", LONG, lambda T: partial(_any_length, lstm, T)),
        Growth("audit", "T", (*LONG, 2000), lambda T: audited(lstm, T)),
        Growth("modular run, n = 8", "T", LONG, lambda T: partial(modular, lstm, T)),
        Growth("modular run, T = 125", "n", (2, 4, 8, 16), lambda n: partial(modular, lstm, 125, n)),
        Growth("step, entry by entry", "n = d", (1, 2, 3, 4), lambda n: partial(concrete, lstm, n)),
        Growth("sympy.diff, rnn, n = 2", "T", (1, 2, 3, 4), lambda T: partial(witness, CELLS["rnn"], T)),
    ]


LONG = (125, 250, 500, 1000)


def _layer(layer: layers.Layer, cell: Cell, n: int, T: int) -> str:
    return layer(_asked(cell, n, T)).verdict


def _any_length(cell: Cell, T: int) -> str:
    return worst(_layer(layer, cell, 2, T) for layer in (*INDUCTION, layers.scan))


# ---- tables --------------------------------------------------------------------------------------
def growth_table(found: Sequence[tuple[Growth, Sequence[Timed]]]) -> str:
    """The times by size, and the exponent that fits them."""
    lines = ["| what | grows in | seconds at each size | exponent |", "|---|---|---|---|"]
    for g, row in found:
        times = ", ".join(f"{s}: {t.seconds:.3g}" for s, t in zip(g.sizes, row, strict=True))
        lines.append(f"| {g.what} | {g.by} | {times} | {exponent(g.sizes, [t.seconds for t in row]):.2f} |")
    return "\n".join(lines)


def grown() -> list[tuple[Growth, list[Timed]]]:
    """Every growth, measured."""
    return [(g, [timed(Row(g.what, f"{g.by} = {s}", None, g.run(s))) for s in g.sizes]) for g in growths()]


def peer_table(sizes: Sequence[int] = (2, 4, 8, 16), T: int = 8) -> str:
    """A gradient check by finite differences of one LSTM, and its time over the whole proof's."""
    gradcheck(1, 1)  # torch takes seconds to begin
    whole = timed(Row("prove", "lstm", None, lambda: prove(CELLS["lstm"]).verdict)).seconds
    lines = ["| torch gradcheck, T = 8, n | seconds | over prove(lstm) |", "|---|---|---|"]
    for n in sizes:
        found = timed(Row("gradcheck", f"n = {n}", None, partial(gradcheck, T, n)))
        assert found.verdict == "agrees"
        lines.append(f"| {n} | {found.seconds:.3g} | {found.seconds / whole:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and perhaps write the page."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--write", action="store_true", help="put the tables into docs/proof-cost.md")
    given = args.parse_args()
    tables = [machine(Setting()), bar_table([timed(row) for row in bars()]), growth_table(grown()), peer_table()]
    text = "\n\n".join(tables)
    print(text)
    if given.write:
        begin, end = "<!-- tables -->", "<!-- end -->"
        before, rest = PAGE.read_text(encoding="utf-8").split(begin)
        PAGE.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
