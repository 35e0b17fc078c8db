"""derive: every printed formula, run modulo a prime, is exactly what the engine computes there.

The lines are run with residues modulo 2^61 - 1 for numbers and random oracles for tanh, exp and the like, at random
points: what agrees there is equal as a formula, but for a chance of about degree / 2^61 (domains/field.py).
"""

import numpy as np
import pytest
from derived_run import FUNCTIONS, WRITTEN, Run, T

from minigrad.cells import rnn
from minigrad.domains.field import FIELD, Mod, P, fresh
from minigrad.engine.core import leaf, recording
from minigrad.engine.grad import sweep
from minigrad.prove import derive

KINKS = {"kinks", "mixed", "own-kinks", "own-diagonal_rnn", "torch_rnn_relu"}  # no order modulo a prime
FLOATS = {"own-token_rnn"}  # looks whole numbers up
SMOOTH = [p for p in WRITTEN if p.id not in KINKS | FLOATS and not derive(p.values[0]).opaque]


class Residue:
    """A number modulo p, with the operators that a printed line uses."""

    def __init__(self, value):
        self.value = int(FIELD.number(value).a) if isinstance(value, (float, np.floating)) else int(value) % P

    def _with(self, other, operation):
        return NotImplemented if isinstance(other, np.ndarray) else Residue(operation(self.value, of(other)))

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other):
        return self._with(other, lambda a, b: b - a)

    def __truediv__(self, other):
        return self._with(other, lambda a, b: a * pow(b, -1, P))

    def __rtruediv__(self, other):
        return self._with(other, lambda a, b: b * pow(a, -1, P))

    def __neg__(self):
        return Residue(-self.value)

    def __pow__(self, exponent):
        return Residue(FIELD.power(Mod(self.value, 1), exponent).a)

    __radd__, __rmul__ = __add__, __mul__


def of(x):
    return (x if isinstance(x, Residue) else Residue(x)).value


residues = np.vectorize(Residue, otypes=[object])
whole = np.vectorize(of, otypes=[object])


def oracle(name):
    return lambda x: residues(getattr(FIELD, name)(Mod(whole(x), 1)).a)


def logsumexp(x, axis, keepdims):
    return residues(FIELD.logsumexp(Mod(whole(x), 1), axis, keepdims).a)


class Exact(Run):
    """The printed lines on residues; within `fresh()`."""

    sizes = (4, 2, 8, 16)  # 1 / n is printed, and is exact in floats
    functions = FUNCTIONS | {n: oracle(n) for n in ("tanh", "exp", "log", "sqrt", "softplus", "sin", "cos")} | {
        "sigmoid": lambda x: (oracle("tanh")(x * residues(0.5)) + 1) * residues(0.5),
        "logsumexp": logsumexp,
        "D": lambda v: np.diagflat(v) + residues(np.zeros((v.size, v.size), int)),
    }  # fmt: skip

    def draw(self, *shape):
        return residues(FIELD.random(*shape).a)

    def leaf(self, values, grad=False):
        return leaf(Mod(whole(values), 1), grad)

    def values(self, t):
        return residues(t.value.a)


@pytest.mark.parametrize("c", SMOOTH)
def test_every_printed_gradient_is_exactly_the_engines(c):
    with fresh(seed=1):
        run = Exact(c)
        run.forward()
        found, true = run.backward(), run.engine()
        assert found.keys() == true.keys()
        for name, right in true.items():
            got = whole(found[name])
            assert (got.reshape(right.shape) == whole(right)).all(), name
        for t in range(1, T + 1):
            for s, v in zip(c.states, run.unrolled.states[t], strict=True):
                assert (whole(run.env[s][t]) == v.value.a).all()


@pytest.mark.parametrize("c", SMOOTH)
def test_every_printed_jacobian_is_exactly_the_engines(c):
    with fresh(seed=2):
        run = Exact(c)
        run.forward()
        run.engine()
        params = {k: run.leaf(v) for k, v in run.params.items()}
        for t in range(1, T + 1):
            old = [leaf(v.value, True) for v in run.unrolled.states[t - 1]]
            with recording("grad"):
                new, _ = c.advance(old, [run.leaf(x[t - 1]) for x in run.xs.values()], params)
            for o, y in zip(c.states, new, strict=True):
                units = [run.leaf(u.reshape(y.shape)) for u in np.eye(y.value.size)]
                rows = [sweep([y], [u], old, graph=False) for u in units]
                for i, s in enumerate(c.states):
                    zero = np.zeros(old[i].value.size)
                    true = np.stack([whole(zero if r[i] is None else run.values(r[i]).ravel()) for r in rows])
                    assert (whole(run.env[f"J_{o}_{s}"][t] * np.ones_like(true)) == true).all(), (o, s)


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [(2, "1 - h[t]**2", "1 + h[t]**2"), (3, " @ J_h_h[t]", ""), (4, "h[t-1].T", "h[t].T")],
)
def test_a_wrong_line_is_seen(section, old, new):
    with fresh(seed=3):
        run = Exact(rnn)
        run.lines[section] = [(left, right.replace(old, new)) for left, right in run.lines[section]]
        run.forward()
        found, true = run.backward(), run.engine()
        assert any((whole(found[k]).reshape(v.shape) != whole(v)).any() for k, v in true.items())
