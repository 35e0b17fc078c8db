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
