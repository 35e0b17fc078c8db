"""Which operations of a step become which part of its picture."""

from __future__ import annotations

import numpy as np
import pytest
from draw_laws import LAWS

import minigrad as mg
from minigrad import cell, sigmoid, split, tanh


@cell(h="n", x="d", W="d 2*n", U="n 2*n", V="d n")
def sliced_after(h, /, x, *, W, U, V):
    """Two gates that are cut out of one activation."""
    z, o = split(sigmoid(x @ W + h @ U), 2)
    h = z * h + o * tanh(x @ V)
    return h


@cell(h="n", x="d", W="d 2*n", U="n 2*n", V="d n")
def sliced_before(h, /, x, *, W, U, V):
    """Two gates that are cut out of one product."""
    z, o = split(x @ W + h @ U, 2)
    z, o = sigmoid(z), sigmoid(o)
    h = z * h + o * tanh(x @ V)
    return h


@pytest.mark.parametrize("which", [sliced_after, sliced_before], ids=lambda c: c.name)
def test_gates_that_are_slices_of_one_product_or_activation_are_drawn_apart(which: mg.Cell):
    scene = mg.draw(which, 1, values=True).scene
    gates = [b.key for b in scene.boxes if b.kind.startswith("gate")]
    text = {a.key: a.text for a in scene.labels}
    assert sorted((text.get(f"{k}-name"), text[f"{k}-act"]) for k in gates if f"{k}-name" in text) == [
        ("o₁", "σ"), ("z₁", "σ"),
    ]  # fmt: skip
    assert len(gates) == 3
    assert {name: law(scene) for name, law in LAWS.items()} == {name: [] for name in LAWS}


def test_such_a_gate_shows_its_own_values():
    u = mg.draw.picture.example_run(sliced_after, 1, 0)
    strips = {s.tip: s.values for s in mg.draw(u, values=True).scene.strips if s.key.startswith("t1-n")}
    (x,), (h,) = u.xs[0], u.states[0]
    both = 1 / (1 + np.exp(-(x.numpy() @ u.params["W"].numpy() + h.numpy() @ u.params["U"].numpy())))
    for mine in np.split(both[0], 2):
        assert any(np.allclose(mine, values) for values in strips.values())


@cell(h="n", x="d", y="d", W="d n", V="d n")
def forgetful(h, /, x, y, *, W, V):
    """A mistake: h, y and V are not read."""
    h = tanh(x @ W)
    return h


def test_what_is_not_read_is_seen():
    scene = mg.draw(forgetful, 2, values=True).scene
    (unread,) = [b for b in scene.boxes if b.tip.startswith("V 4×5")]
    assert unread.tip == "V 4×5; not read"
    ends = {end for line in scene.lines for end in (line.source, line.sink)}
    assert not {unread.key, "s0-0", "t1-x1"} & ends
    assert {"p0", "s0-1", "t1-x0"} <= ends
    assert {name: law(scene) for name, law in LAWS.items()} == {name: [] for name in LAWS}


def test_a_cell_that_reads_no_parameter_shows_all_of_them():
    @cell(h="n", x="n", W="n n")
    def plain_sum(h, /, x, *, W):
        h = h + x
        return h

    assert [b.tip for b in mg.draw(plain_sum, 2).scene.boxes if b.kind.startswith("param")] == [
        "W 5×5; not read"
    ]
