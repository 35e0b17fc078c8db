"""Random cells: right ones are proved and agree with the complex step, planted mistakes are never proved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from planted import planted, wrong_rules
from random_cells import Written, cells

import minigrad as mg
from minigrad.cells import unroll
from minigrad.engine.core import TABLE, leaf, recording
from minigrad.engine.grad import reachable, sweep
from minigrad.prove import prove
from minigrad.prove.anysize import all_sizes, step_lemma, step_outputs, token_inputs

SIZES = {"n": 3, "m": 4, "d": 2, "q": 5}
BATCH, MOST = 2, 1e3  # larger numbers have no digits left to compare


def few(n: int) -> settings:
    """So many examples, always the same ones, so that what is green stays green."""
    return settings(
        max_examples=n, derandomize=True, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )  # fmt: skip


def numbers(c: Written, T: int = 0) -> dict[str, np.ndarray]:
    """Random values for every argument; of the inputs T after another, or for T = 0 those of one step."""
    rng = np.random.default_rng(len(c.source))
    tokens = token_inputs(c)
    out = {}
    for name in c.states + c.inputs + c.params:
        lead = (T,) * bool(T and name in c.inputs) + (BATCH,) * (name not in c.params)
        shape = lead + c.shape(name, SIZES)
        whole = name in tokens or name == "k"
        out[name] = rng.integers(SIZES["q"], size=shape) if whole else rng.uniform(-0.9, 0.9, shape)
    return out


# ---- one run over time, by three ways --------------------------------------------------------------
def weighed(parts: list[mg.Tensor]) -> mg.Tensor:
    """A loss to which every entry contributes with a weight of its own."""
    rng = np.random.default_rng(5)
    return sum((mg.sum(p * leaf(rng.uniform(0.5, 1.5, p.shape))) for p in parts), start=mg.tensor(0.0))


def by_unrolling(c: Written, values: dict[str, mg.Tensor]) -> mg.Tensor:
    run = unroll(
        c, tuple(values[s] for s in c.states), tuple(values[x] for x in c.inputs),
        {p: values[p] for p in c.params},
    )  # fmt: skip
    with recording("all"):
        return weighed([*run.states[-1], mg.stack(run.outputs)])


def by_scan(c: Written, values: dict[str, mg.Tensor], fast: bool) -> mg.Tensor:
    final, ys = mg.scan(
        c, tuple(values[s] for s in c.states), tuple(values[x] for x in c.inputs),
        {p: values[p] for p in c.params}, fast=fast,
    )  # fmt: skip
    return weighed([*final, ys])


WAYS = {
    "unrolled": by_unrolling,
    "scan": lambda c, v: by_scan(c, v, fast=False),
    "fast scan": lambda c, v: by_scan(c, v, fast=True),
}


def swept(outs: list[mg.Tensor], cotangents: list[np.ndarray], args: dict[str, mg.Tensor]):
    """What the engine's sweep gives for each argument that holds numbers."""
    wrt = {k: x for k, x in args.items() if x.requires_grad}
    found = sweep(outs, [leaf(g) for g in cotangents], list(wrt.values()), graph=False)
    return {
        k: np.zeros(x.shape) if g is None else g.numpy() for (k, x), g in zip(wrt.items(), found, strict=True)
    }


def leaves(values: dict[str, np.ndarray]) -> dict[str, mg.Tensor]:
    return {k: leaf(v, v.dtype.kind == "f", k) for k, v in values.items()}


def gradient(c: Written, run, values: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """(loss, its gradient by argument)."""
    args = leaves(values)
    loss = run(c, args)
    return loss.item(), swept([loss], [np.ones(())], args)


def slope(c: Written, values: dict[str, np.ndarray], along: dict[str, np.ndarray], h: float = 1e-30) -> float:
    """The derivative of the loss along a direction, by the complex step: to rounding error."""
    moved = {k: leaf(v + 1j * h * along[k] if k in along else v, name=k) for k, v in values.items()}
    return by_unrolling(c, moved).value.imag / h


def agrees_over_time(c: Written, T: int) -> None:
    values = numbers(c, T)
    with np.errstate(all="ignore"):
        results = {name: gradient(c, run, values) for name, run in WAYS.items()}
        loss, grads = results["unrolled"]
        size = max(abs(loss), *(np.max(np.abs(g), initial=0) for g in grads.values()))
        assume(size < MOST)
        rng = np.random.default_rng(2)
        along = {k: rng.uniform(-1, 1, g.shape) for k, g in grads.items()}
        expected = slope(c, values, along)
    got = sum(np.sum(grads[k] * along[k]) for k in grads)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-10 * (1 + size))
    for other, found in results.values():
        assert other == pytest.approx(loss, rel=1e-10, abs=1e-12)
        for k, g in grads.items():
            np.testing.assert_allclose(found[k], g, rtol=1e-8, atol=1e-10 * (1 + size), err_msg=k)


# ---- one planted mistake ---------------------------------------------------------------------------
def step_gradients(c: Written) -> dict[str, np.ndarray]:
    """The vjp of one step in floating point, for cotangents of every output."""
    rng = np.random.default_rng(3)
    with recording("grad"), np.errstate(all="ignore"):
        args = leaves(numbers(c))
        outs = step_outputs(c, args)
        return swept(outs, [rng.uniform(0.5, 1.5, o.shape) for o in outs], args)


def rows_of(c: Written) -> list[str]:
    """The rows of the table in the cell's graph that have a vjp."""
    with recording("all"):
        nodes = reachable(step_outputs(c, leaves(numbers(c))))
    return sorted({t.op.name for t in nodes if t.op is not None and t.op.vjp is not None})


def is_not_proved_with_a_mistake(c: Written, data: st.DataObject) -> None:
    row = TABLE[data.draw(st.sampled_from(rows_of(c)), "row")]
    rules = wrong_rules(row)
    name = data.draw(st.sampled_from(sorted(rules)), "mistake")
    right = step_gradients(c)
    with planted(row, rules[name]):
        try:
            wrong = step_gradients(c)
            assume(any(not np.allclose(wrong[k], g, rtol=1e-6, atol=1e-9) for k, g in right.items()))
        except (mg.ShapeError, ValueError):
            pass  # its shapes do not even fit
        found = step_lemma(c)
    assert found.verdict != "proved", f"{row.name} with the mistake {name!r}"
    assert found.wrong or found.misfit


# ---- the laws --------------------------------------------------------------------------------------
def is_proved(c: Written) -> None:
    assert [str(case) for case in all_sizes(c) if case.verdict != "proved"] == []


@few(80)
@given(cells(most=5))
def test_a_random_cell_is_proved_for_every_size(c):
    is_proved(c)


@few(50)
@given(cells(), st.integers(2, 3))
def test_its_gradient_over_time_is_that_of_the_complex_step_by_every_way(c, T):
    agrees_over_time(c, T)


@few(60)
@given(cells(), st.data())
def test_with_one_planted_mistake_it_is_not_proved(c, data):
    is_not_proved_with_a_mistake(c, data)


@few(6)
@given(cells(most=3))
def test_the_whole_proof_of_a_random_cell(c):
    assert prove(c).verdict == "proved"


@pytest.mark.slow
@few(500)
@given(cells(most=8), st.integers(2, 3), st.data())
def test_many_random_cells(c, T, data):
    is_proved(c)
    agrees_over_time(c, T)
    is_not_proved_with_a_mistake(c, data)


def test_a_failing_cell_prints_as_lines_to_paste():
    found: list[Written] = []

    @few(1)
    @given(cells())
    def draw(c):
        found.append(c)

    draw()
    text = repr(found[0])
    assert text.startswith('\n@cell(h="')
    assert "\ndef drawn(h, " in text
    assert eval(compile(text, "pasted", "exec"), {"mg": mg, "cell": mg.cell}) is None
