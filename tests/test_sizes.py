"""Arrays of symbolic size are what numpy's arrays are at every concrete size: row by row of the table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from at_sizes import AtSizes

from minigrad.domains.blocks import COMPARED, Shape, Size, without_common
from minigrad.domains.floats import FLOATS
from minigrad.domains.sizes import ATOMS, SIZES, Sized, Undecided, array, fresh, size_of, sized_tensor
from minigrad.engine.bptt import Layout
from minigrad.engine.core import TABLE, leaf
from minigrad.engine.functions import (
    concatenate,
    exp,
    log,
    matmul,
    mean,
    one_hot,
    reshape,
    split,
    tanh,
    where,
)
from minigrad.engine.program import record

n, d, b = Size(("n",)), Size(("d",)), Size(("b",))
B, N, D, ND, N4, ONE = ("b",), ("n",), ("d",), ("n", "d"), ("n",) * 4, (1,)
AXES_OF_SIZES = [
    {"b": 2, "n": 3, "d": 4}, {"b": 1, "n": 3, "d": 2}, {"b": 2, "n": 1, "d": 3}, {"b": 3, "n": 2, "d": 1},
    {"b": 1, "n": 1, "d": 1}, {"b": 3, "n": 3, "d": 3},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh():
    with fresh():
        yield


# ---- every row -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Case:
    """A row applied to opaque arrays of these axes. below: which inputs are indices, and their bound."""

    row: str
    axes: tuple[tuple[Any, ...], ...]
    params: dict[str, Any] = field(default_factory=dict)
    positive: bool = False
    below: dict[int, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = ("x".join("+".join(map(str, a)) for a in x) or "scalar" for x in self.axes)
        return f"{self.row}-{'-'.join(shapes)}"


def _step(s, x, w):
    new = tanh(w * x + s)
    return [new, s, new * s]


def _scan_params(reverse: bool) -> dict[str, Any]:
    program, _ = record(_step, [leaf(np.full(shape, 0.5)) for shape in ((2, 2), (2, 2), (2,))])
    return {"program": program, "layout": Layout(1, 1, 2, reverse, fast=False)}


def _pointwise() -> list[Case]:
    two = ("add", "sub", "mul", "div", "maximum", "greater", "greater_equal", "equal")
    forms = [
        ((B, N), (B, N)), ((B, N), (N,)), ((), (B, ND)), ((B, ONE), (ONE, N4)), ((N,), ()),
        ((ONE, N), (B, ONE)),
    ]  # fmt: skip
    one = "neg tanh sigmoid softplus exp sin cos sign abs relu alias stop_gradient".split()
    exponents = (0, 1, 2, 3, -1, -2, 0.5, -1.5, 0.25)
    return [
        *(Case(row, form, positive=row == "div") for row in two for form in forms),
        *(Case(row, (x,)) for row in one for x in ((B, N), (ND,), ())),
        *(Case(row, ((B, ND),), positive=True) for row in ("log", "sqrt")),
        *(Case("power", ((B, N),), {"exponent": q}, positive=True) for q in exponents),
        Case("pow", ((B, N), (N,)), positive=True),
        Case("cast", ((B, N),), {"dtype": "float64"}),
        Case("where", ((B, N), (B, N), ()), below={0: 2}),
        Case("where", ((N,), (B, N), (B, N)), below={0: 2}),
    ]


def _contractions() -> list[Case]:
    products = [
        ((B, N), (N, D)), ((B, ND), (ND, N)), ((B, N, D), (D, N)), ((B, N), (N, N4)),
        ((B, ONE, N), (B, N, ONE)), ((B, ONE), (ONE, D)),
    ]  # fmt: skip
    sums = [
        ((B, ND), (-1,)), ((B, N), (-2,)), ((B, N, D), (-3, -1)), ((B, ND), (-2, -1)), ((B, ONE), (-1,)),
    ]  # fmt: skip
    return [
        *(Case("matmul", form) for form in products),
        *(
            Case(row, (x,), {"axis": axis, "keepdims": keep})
            for row in ("sum", "logsumexp", "max") for x, axis in sums for keep in (True, False)
        ),
        *(Case("is_max", ((B, ND),), {"axis": axis}) for axis in ((-1,), (-2,))),
    ]  # fmt: skip


def _layouts() -> list[Case]:
    whole = slice(None)
    keys = {
        (B, ND): (whole, slice(n, n + d)), (ND, B): (slice(0, n), whole),
        (B, N4): (whole, slice(n, 3 * n)), (B, (1, "n")): (whole, slice(1, 1 + n)),
        (B, (1, 1, 1)): (whole, slice(0, 3, 2)), (B, (1, 1)): (whole, 1),
    }  # fmt: skip
    shapes = [((B, N), (b, 1, n)), ((B, ONE, ND), (n + d,)), ((ONE, B), (b,)), ((), (1, 1))]
    return [
        *(Case("reshape", (x,), {"shape": shape, "ndim": min(2, len(x))}) for x, shape in shapes),
        *(Case("reshape", (x,), {"shape": shape, "ndim": len(x)}) for x, shape in _merges()),
        Case("broadcast", ((N,),), {"shape": (b, n), "ndim": 1}),
        Case("broadcast", ((B, ONE),), {"shape": (n, b, d), "ndim": 2}),
        *(Case("transpose", ((B, N, ND),), {"axes": a}) for a in ((-1, -3, -2), (-2, -1), (-3, -1, -2))),
        Case("concat", ((B, N), (B, D), (B, ONE)), {"axis": -1}),
        Case("concat", ((B, N), (D, N)), {"axis": -2}),
        *(Case("stack", ((B, N), (B, N)), {"axis": axis}) for axis in (-1, -2, -3)),
        Case("unstack", ((B, (1, 1)),), {"axis": -1}),
        Case("unstack", (((1, 1, 1), N),), {"axis": -2}),
        *(Case("index", (x,), {"key": key}) for x, key in keys.items()),
        Case("place", ((B, N),), {"keys": ((whole, slice(d, d + n)),), "shape": (b, d + n)}),
        Case("place", ((B,), (B,)), {"keys": ((whole, 1), (whole, 1)), "shape": (b, 2)}),
        *(Case("scan", ((B, N), ((1, 1, 1), B, N), (N,)), _scan_params(back)) for back in (False, True)),
    ]


def _merges():
    """Reshapes that merge axes and take them apart: forms of many heads, of gates, of time and batch."""
    two, four = (1, 1), (1, 1, 1, 1)
    return [
        ((B, N, D), (b * n, d)), ((B, N, D), (b, n * d)), ((B, N, D), (b * n * d,)), ((B, N4), (b, 4, n)),
        ((B, N4), (b, 2, 2 * n)), ((B, N4), (b * 4, n)), ((B, four, N), (b, 4 * n)), ((B, N, two), (b, 2 * n)),
        ((B, N, two), (2 * b * n,)), ((B, ND, D), ((n + d) * b, d)), ((B, ND, D), (b, (n + d) * d)),
        ((B, ND, two), (b * (n + d) * 2, 1)), ((two, ND, B), (2 * (n + d) * b,)), ((four, N), (2, 2, n)),
        ((B, (("n", "d"),)), (b, n, d)), ((B, (("n", "d"), "d")), (b, n + 1, d)), ((B, N, ("d", "d")), (b, 2 * n, d)),
    ]  # fmt: skip


def _look_ups() -> list[Case]:
    gathered = [((N, D), (B,), 2, 1), ((N, D), (B, D), 2, 2), ((N,), (B, D), 1, 2), ((N, D), (), 2, 0)]
    return [
        *(Case("gather", (x, i), {"ndim": k, "at": at}, below={1: n}) for x, i, k, at in gathered),
        Case("scatter", ((B, D), (B,)), {"shape": (n, d), "at": 1}, below={1: n}),
        Case("scatter", ((B,), (B,)), {"shape": (n,), "at": 1}, below={1: n}),
        Case("one_hot", ((B, D),), {"n": n, "dtype": "float64"}, below={0: n}),
        Case("one_hot", ((B,),), {"n": 1, "dtype": "float64"}, below={0: 1}),
        Case("gather", ((ONE, N), (B,)), {"ndim": 2, "at": 1}, below={1: 1}),
    ]


CASES = [*_pointwise(), *_contractions(), *_layouts(), *_look_ups()]
PART_OF_ANOTHER = {"pick"}  # of unstack: a choice among its outputs
UNDECIDED = [  # what a row does at some size, but not at every size
    (Case("reshape", ((B, N),), {"shape": (n, b), "ndim": 2}), "an axis would begin inside an old one"),
    (Case("reshape", ((B, N),), {"shape": (1, 2), "ndim": 2}), "an axis would begin inside an old one"),
    (Case("index", ((B, N),), {"key": (slice(None), 0)}), "entry 0 of the symbolic size n"),
    (Case("index", ((B, N),), {"key": (slice(None), slice(0, 2))}), "entry 1 of the symbolic size n"),
    (Case("index", ((B, ND),), {"key": (slice(None), slice(0, d))}), "inside a block"),
    (Case("index", ((B, N),), {"key": (slice(None), slice(0, n, 2))}), "a slice with step 2"),
    (Case("unstack", ((B, N),), {"axis": -2}), "a loop or an index over the symbolic size b"),
    (Case("matmul", ((B, ND), (("d", "n"), N))), "in another order"),
    (Case("gather", ((B, N, D), (B,)), {"ndim": 2, "at": 1}), "a look-up other than"),
    (Case("scatter", ((B, N, D), (B,)), {"shape": (n, n, d), "at": 1}), "a look-up other than"),
    (Case("one_hot", ((B,),), {"n": n + d, "dtype": "float64"}), "not one block"),
    (Case("scan", ((B, N), (D, B, N), (N,)), _scan_params(False)), "an index over the symbolic size d"),
]


def test_every_row_is_tried():
    """A new row needs a case here, or a line among those that no case can be made for."""
    assert {c.row for c in CASES} | PART_OF_ANOTHER == set(TABLE)


def on_values(case, m, arrays, params):
    y = TABLE[case.row].value(m, *arrays, **params)
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_on_symbolic_sizes_is_numpys_at_every_size(case):
    for seed, sizes in enumerate(AXES_OF_SIZES):
        with fresh():
            at = AtSizes(sizes, seed)
            drawn = [
                at.draw("xyz"[i], *axes, positive=case.positive, below=case.below.get(i))
                for i, axes in enumerate(case.axes)
            ]
            symbolic = on_values(case, SIZES, [x for x, _ in drawn], case.params)
            params = {k: at.number(v) for k, v in case.params.items()}
            data = [v.astype(bool) if case.row == "where" and i == 0 else v for i, (_, v) in enumerate(drawn)]
            expected = on_values(case, FLOATS, data, params)
            assert len(symbolic) == len(expected)
            for s, e in zip(symbolic, expected, strict=True):
                assert at.shape(s.axes) == np.shape(e)
                np.testing.assert_allclose(at.value(s), e, rtol=1e-10, atol=1e-12, err_msg=f"{sizes}")


@pytest.mark.parametrize(("case", "message"), UNDECIDED, ids=lambda c: str(c) if isinstance(c, Case) else "")
def test_what_depends_on_the_size_is_undecided(case, message):
    arrays = [array("xyz"[i], *axes) for i, axes in enumerate(case.axes)]
    with pytest.raises(Undecided, match=message):
        on_values(case, SIZES, arrays, case.params)


def test_a_function_without_a_rule_is_undecided_by_name():
    with pytest.raises(Undecided, match="fft has no rule for arrays of symbolic size"):
        SIZES.fft(array("x", N))


def test_shapes_that_fit_at_no_general_size_are_refused():
    with pytest.raises(ValueError, match="sizes n and d cannot be broadcast"):
        array("x", N) + array("y", D)
    with pytest.raises(ValueError, match="inner sizes n and d differ"):
        SIZES.matmul(array("x", B, N), array("y", D, N))
    with pytest.raises(ValueError, match="differ outside axis"):
        SIZES.concat([array("x", B, N), array("y", D, N)], -1)
    with pytest.raises(ValueError, match=r"broadcast of .* to \(1, n\)"):
        SIZES.broadcast(array("x", B, N), (1, n), 2)
    with pytest.raises(Undecided, match="in another order"):
        array("x", ND) + array("y", ("d", "n"))


# ---- constants, exactly at kinks, what is assumed ------------------------------------------------
def test_constants_are_exact():
    e = (array("x", N) * 0.1 + np.float32(0.5) + 2).entries[(0,)]
    assert str(e) == "1/10 x[j] + 5/2"
    lifted = SIZES.lift(np.array([[1.0, 0.25]]))
    assert lifted.shape == (1, 2)
    assert str(lifted.entries[0, 1]) == "1/4"


@pytest.mark.parametrize(("row", "result"), [("greater", 0), ("greater_equal", 1), ("equal", 1), ("sub", 0)])
def test_comparing_a_thing_with_itself_is_exact(row, result):
    x = array("x", N)
    y = TABLE[row].value(SIZES, x * 2, x + x)
    assert str(y.entries[(0,)]) == str(result)
    assert not SIZES.conditions


def test_kinks_ties_indices_and_bases_are_conditions():
    assert not SIZES.conditions
    x, y = sized_tensor("x", B, N), sized_tensor("y", B, N)
    for make, words in [
        (lambda: where(x > 0, x, -x), "kink"),
        (lambda: x.max(axis=-1), "share a maximum"),
        (lambda: one_hot(leaf(array("i", B, dtype=np.dtype("int64"))), n), "in range"),
        (lambda: y**x, "the base of a power whose exponent is an array is positive"),
        (lambda: log(x), "arguments of log, of roots"),
        (lambda: 1 / x, "no divisor is 0"),
    ]:
        before = set(SIZES.assumed)
        make()
        (new,) = SIZES.assumed - before
        assert words in new


def test_what_shows_that_it_is_positive_needs_no_condition():
    x = sized_tensor("x", B, N)
    y = log(1 + x * x) + 1 / (1 + exp(x)) + 1 / (x**2 + 0.5) ** 0.5 + log(exp(x).sum()) + x / n
    assert y.shape == (b, n)
    assert not SIZES.conditions
    log(1 + x)
    assert SIZES.conditions


def test_the_base_of_a_power_is_taken_to_be_positive():
    x = array("x", N)
    SIZES.power(x, array("y", N))
    assert str(SIZES.sign(x * 3).entries[(0,)]) == "1"
    assert str(SIZES.sign(array("z", N)).entries[(0,)]) != "1"


def test_a_block_is_fresh():
    with fresh() as domain:
        SIZES.tanh(array("x", N))
        SIZES.abs(array("x", N))
        assert n != 1
        assert len(domain.conditions) == 2
        assert ATOMS.definitions
    with fresh() as domain:
        assert not domain.conditions
        assert not ATOMS.definitions


# ---- sizes -------------------------------------------------------------------------------------
def test_sizes_add_and_split():
    assert n + d == d + n
    assert n + n == 2 * n == n * 2
    assert (4 * n) // 4 == n
    assert n + d - d == n
    assert n + 1 - 1 == n
    assert 1 + n - n == 1
    assert (4 * n) % 4 == 0
    assert size_of((1, 1)) == 2
    assert hash(n + d) == hash(d + n)
    assert repr(4 * n + d + 2) == "4*n+d+2"
    assert not COMPARED


def test_comparisons_that_some_size_would_turn_round_are_noted():
    assert n != d
    assert (n + d) != 2 * n  # the same question: they have n in common
    assert COMPARED == {(("n",), ("d",)), (("d",), ("n",))}
    assert 3 * n != 1  # never equal, so nothing to note
    assert n + d != n
    assert n != 0
    assert n + 2 != 1
    assert n >= 1
    assert len(COMPARED) == 2
    assert n != 1
    assert n + 1 != 4
    assert (("n",), (1,)) in COMPARED
    assert (("n",), (1, 1, 1)) in COMPARED
    assert SIZES.conditions == {"n != d", "d != n", "n != 1", "n != 3"}


def test_shapes_are_compared_without_questions_that_do_not_matter():
    assert Shape((n, d)) != (n, d, d)
    assert Shape((n, d)) == (n, d)
    assert (n, 2) == Shape((n, 2))
    assert not COMPARED
    assert Shape((n, d)) != Shape((d, n))
    assert COMPARED
    assert hash(Shape((n, d))) == hash(Shape((n, d)))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: n < 3, "size n is larger than 2 depends on the size"),
        (lambda: n < d, "size n is larger than d"),
        (lambda: n - d, "which is larger is not known"),
        (lambda: 3 - n, "which is larger is not known"),
        (lambda: n // 2, "not known to divide evenly"),
        (lambda: n % 2, "not known to divide evenly"),
        (lambda: 12 % n, "write the sizes of a reshape out"),
        (lambda: range(n), "a loop or an index over the symbolic size n"),
        (lambda: n.place(-2), "entry -2 of the symbolic size n"),
        (lambda: n.indices(slice(0, 5, 2)), "a slice with step 2"),
        (lambda: (n + 1) * d <= 6, r"size n\*d\+d is larger than 6 depends"),
        (lambda: range(n * d), r"an index over the symbolic size n\*d"),
        (lambda: n * d // b, r"size n\*d // b: not known to divide evenly"),
        (lambda: math.sqrt(n), "the symbolic size n as a float; write its root"),
    ],
)
def test_questions_that_have_no_answer_are_undecided(ask, message):
    with pytest.raises(Undecided, match=message):
        ask()


def test_sizes_multiply_and_divide():
    assert str(SIZES.number(n * d * 2).entries[()]) == "2 d n"
    assert (n * d, n * d * 4 // n, (n + d) * b // (n + d)) == (d * n, 4 * d, b)
    assert (4 * n * d) // (2 * n) == 2 * d
    assert n * d != 0
    assert n * d >= 1
    assert not COMPARED
    assert n * d != 1
    assert COMPARED == {((("d", "n"),), (1,))}
    assert n != "n"
    assert repr(2 * n * d + b) == "2*n*d+b"


def test_a_size_as_a_number_is_a_tensor():
    """For a factor such as 1 / sqrt(n), which no axis has."""
    for number, text in [
        (n**0.5, "sqrt#0"), (1 / (n + d), "let#1^-1"), (n / 2, "1/2 n"), (n * 0.1, "1/10 n"), (-1 * n, "-n")
    ]:  # fmt: skip
        assert str(number.value.entries[()]) == text


def test_common_blocks_cancel():
    assert without_common((1, "n", "d"), ("d", 1, "m")) == (("n",), ("m",))
    assert without_common(("n", "n"), ("n", "n")) == ((), ())


# ---- the engine's doors on symbolic sizes ----------------------------------------------------------
def test_the_functions_users_call_run_unchanged():
    h, x = sized_tensor("h", B, N), sized_tensor("x", B, D)
    hx = concatenate([h, x], axis=-1)
    assert hx.shape == (b, n + d)
    assert hx[..., :n].shape == (b, n)
    assert hx[..., n:].shape == (b, d)
    four = matmul(h, sized_tensor("W", N, N4))
    assert [p.shape for p in split(four, 4)] == [(b, n)] * 4
    assert mean(h).value.entries[()] == SIZES.sum(h.value / n / b, (-1, -2)).entries[()]
    assert reshape(h, b, 1, n)[:, 0].shape == (b, n)
    assert h[None].shape == (1, b, n)
    assert len(sized_tensor("xs", (1, 1, 1), B)) == 3


def test_a_branch_on_a_value_is_undecided():
    x = sized_tensor("x", B, N)
    with pytest.raises(Undecided, match="a branch on the value of a tensor"):
        bool(mean(x) > 0)


def test_rows_of_a_sequence_are_taken_one_by_one():
    xs = array("x", (1, 1, 1), B)
    rows = [xs[t] for t in range(len(xs))]
    assert SIZES.stack(rows, -2).entries == xs.entries
    assert isinstance(rows[0], Sized)
