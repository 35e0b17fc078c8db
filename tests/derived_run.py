"""The lines that `derive` prints, run on numbers, and cells whose derivations have every kind of line."""

import re

import numpy as np
import own_cells
import pytest

from minigrad import (
    cell,
    concatenate,
    layer_norm,
    maximum,
    relu,
    sigmoid,
    softmax,
    softplus,
    sqrt,
    stack,
    tanh,
    where,
)
from minigrad import exp as exponential
from minigrad.cells import CELLS, affine, lstm, rnn, unroll
from minigrad.engine.core import leaf
from minigrad.engine.grad import sweep
from minigrad.prove import derive
from minigrad.prove.step import size_names

T = 3


# ---- cells that use what the built-in ones do not ----------------------------------------------
@cell(h="n", x="d", W="d n", U="n n", alpha="")
def leaky(h, /, x, *, W, U, alpha):
    return (1 - alpha) * h + alpha * tanh(x @ W + h @ U)


@cell(h="n", x="d", A="n", W="d n")
def diagonal(h, /, x, *, A, W):
    return exponential(-softplus(A)) * h + x @ W


@cell(h="n", x="d", W="d n", U="n n", g="n", b="n")
def normalised(h, /, x, *, W, U, g, b):
    return tanh(layer_norm(x @ W + h @ U, g, b))


@cell(h="n", x="d", W="d n", U="n n")
def softmax_gate(h, /, x, *, W, U):
    p = softmax(h @ U)
    return p * tanh(x @ W) + (1 - p) * h


@cell(h="n", c="n", x="d", W="d n", U="n n", p="n")
def peephole(h, c, /, x, *, W, U, p):
    f = sigmoid(x @ W + h @ U + p * c)
    c = f * c + (1 - f) * tanh(h)
    return f * tanh(c), c


@cell(h="n", x="d", W="d n", U="n n")
def twice(h, /, x, *, W, U):
    a = tanh(h @ U + x @ W)
    return tanh(a @ U + a @ U.T) * a


@cell(h="n", x="d", W="d n", U="n n", V="n n")
def stacked_weights(h, /, x, *, W, U, V):
    return sigmoid(concatenate([x, h], axis=-1) @ concatenate([W, U @ V], axis=0))


@cell(h="n", x="d", W="d n", U="n n")
def kinks(h, /, x, *, W, U):
    a = relu(h @ U - 0.5)
    b = maximum(x @ W, h)
    return where(a > b, a, b) / sqrt(1 + a * a)


@cell(h="n", m="n", x="d", W="d n")
def passed_on(h, m, /, x, *, W):
    return tanh(x @ W + m), m


@cell(h="n", x="d", W="d n", U="n n")
def written_out(h, /, x, *, W, U):
    z = x @ W + h @ U
    return 1 / (1 + exponential(-z))


@cell(h="n", x="d", W="d n", U="n n", u="n n")
def own_output(h, /, x, *, W, U, u):
    new = tanh(x @ W + h @ U)
    y = new * h + h @ u
    return new, y


@cell(h="n", x="d", W="d n", U="n n")
def deep(h, /, x, *, W, U):
    a = tanh(h @ U + x @ W)
    for _ in range(5):
        a = a * tanh(a @ U) + a
    return a


@cell(h="n", x="d", W="d n", v="n")
def scored(h, /, x, *, W, v):
    s = sigmoid((h * v).sum(axis=-1, keepdims=True))
    return s * h + (1 - s) * tanh(x @ W)


@cell(h="n", k="n", x="d", W="d n")
def mixed(h, k, /, x, *, W):
    both = stack([h, k]).max(axis=0)
    return tanh(both + x @ W), h * k


@cell(h="n", x="d", W="d n", U="n n", u="n")
def scaled(h, /, x, *, W, U, u):
    return 2 * tanh(u * (h @ U) + (h * u) @ U - (x @ W)) / (1 + (h @ U) ** 2)


@cell(h="n", x="d", W_σ="d n", U="n n", β="")
def greek(h, /, x, *, W_σ, U, β):
    """Names in other letters: σ(Wx), ₂, 100 % of `$x_t$`; <b>and</b> the künstliche ö."""
    h̃ = tanh(x @ W_σ + h @ U)
    grün = β * h̃
    return grün + (1 - β) * h


OWN = [
    scaled, greek,
    leaky, diagonal, normalised, softmax_gate, peephole, twice, stacked_weights, kinks, passed_on,
    written_out, own_output, deep, scored, mixed,
    rnn.then(affine), lstm.then(cell(H="n", V="n q")(lambda H, *, V: H @ V)),
]  # fmt: skip
ALL = [pytest.param(c, id=c.name) for c in [*CELLS.values(), *OWN]]
WRITTEN = [*ALL, *(pytest.param(c, id=f"own-{c.name}") for c in own_cells.OWN.values())]


# ---- running what is printed -------------------------------------------------------------------
def code_lines(text):
    """section number -> its formulas, each as (left, right)."""
    found, section, open_lines = {}, 0, None
    for line in text.splitlines():
        if head := re.match(r"(\d)\. ", line):
            section = int(head[1])
        formula = line.split("    #")[0].strip()
        if open_lines is not None:
            open_lines.append(formula)
            if formula == ")":
                left, _, right = " ".join(open_lines).partition(" = ")
                found[section].append((left.strip(), right))
                open_lines = None
        elif line.startswith("    ") and not formula.startswith("#") and " = " in formula and section < 5:
            if formula.endswith("= ("):
                open_lines = [formula]
                found.setdefault(section, [])
            else:
                left, _, right = formula.partition(" = ")
                found.setdefault(section, []).append((left.strip(), right))
    return found


def flat(x):
    return np.reshape(x, (1, -1))


def total(x, axis=None, keepdims=False):
    """Python's sum of what is printed over the steps, and numpy's over axes."""
    return np.sum(x, axis, keepdims=keepdims) if isinstance(x, np.ndarray) else sum(x)


def logsumexp(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


FUNCTIONS = {
    "D": np.diagflat, "eye": np.eye, "ones": np.ones, "flat": flat,
    "concat": lambda xs, axis: np.concatenate(xs, axis),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0), "where": np.where,
    "softplus": lambda x: np.log1p(np.exp(x)), "sum": total, "logsumexp": logsumexp,
    "stack": lambda *xs, axis: np.stack(xs, axis), "max": np.max,
    **{f: getattr(np, f) for f in ("tanh", "exp", "log", "sqrt", "sign", "maximum")},
}  # fmt: skip


class Run:
    """The printed lines, run on numbers over T steps, and the engine on the same."""

    functions, sizes = FUNCTIONS, (3, 2, 4, 5)

    def draw(self, *shape):
        return self.rng.uniform(-1, 1, shape)

    def leaf(self, values, grad=False):
        return leaf(values, grad)

    def values(self, t):
        return t.value

    def __init__(self, c, form=None):
        self.cell, self.derived = c, derive(c)
        self.lines = code_lines(self.derived.text()) if form is None else form(self.derived)
        self.rng = np.random.default_rng(3)
        sizes = dict(zip(size_names(c), self.sizes, strict=False))
        self.params = {p: self.draw(*c.shape(p, sizes)) for p in c.params}
        self.first = {s: self.draw(1, *c.shape(s, sizes)) for s in c.states}
        self.xs = {x: self.draw(T, 1, *c.shape(x, sizes)) for x in c.inputs}
        self.env = dict(self.functions) | sizes | self.params | {"steps": range(1, T + 1)}
        self.env |= {s: {0: v} for s, v in self.first.items()}
        self.env |= {x: {t: v[t - 1] for t in range(1, T + 1)} for x, v in self.xs.items()}
        self.weights = self.draw(T + 1, 1, 20)

    def do(self, section, t):
        self.env["t"] = t
        for left, right in self.lines.get(section, []):
            if not left.startswith("dL/"):
                self.env.setdefault(left.partition("[")[0], {})
                self.fill_opaque(t)
                exec(f"{left} = {right}", self.env)

    def fill_opaque(self, t):
        """The factors that are named and not written out: their arguments are printed, and run too."""
        for o in self.derived.opaque:
            name = o.text.code.partition("[")[0]
            try:
                values = [eval(a.code, self.env) for a in o.arguments]
            except (KeyError, NameError):
                continue
            self.env.setdefault(name, {})[t] = o.jacobian(*values)

    def forward(self):
        for t in range(1, T + 1):
            self.do(1, t)
            self.do(2, t)

    def backward(self):
        states, outputs = self.cell.states, self.derived.outputs
        read = (*outputs, *states)[0]
        for s in states:
            self.env[f"g_{s}"] = {t: np.zeros_like(self.first[s]) for t in range(T + 1)}
            self.env[f"delta_{s}"] = {}
        given = f"delta_{read}" if outputs else f"g_{read}"
        self.env[given] = {t: self.weights[t][:, : self.env[read][t].shape[-1]] for t in range(1, T + 1)}
        self.env[given][0] = np.zeros_like(self.env[given][1])
        recursion = self.lines[3]
        if outputs:
            for t in range(1, T + 1):
                self.env["t"] = t
                for left, right in recursion:
                    if left.startswith("g_"):
                        exec(f"{left} = {right}", self.env)
        for s in states:
            self.env[f"delta_{s}"][T] = self.env[f"g_{s}"][T]
        for t in range(T, 0, -1):
            self.env["t"] = t
            for left, right in recursion:
                if left.startswith("delta_"):
                    exec(f"{left} = {right}", self.env)
        for t in range(1, T + 1):
            self.do(4, t)
        found = {left[4:]: eval(right, self.env) for left, right in self.lines[4] if left.startswith("dL/")}
        return found | {s: self.env[f"delta_{s}"][0] for s in states}

    def engine(self):
        params = {k: self.leaf(v, True) for k, v in self.params.items()}
        state = tuple(self.leaf(v, True) for v in self.first.values())
        done = unroll(self.cell, state, tuple(self.leaf(v) for v in self.xs.values()), params)
        seeds = [self.leaf(self.weights[t][:, : o.shape[-1]]) for t, o in enumerate(done.outputs, start=1)]
        wanted = params | dict(zip(self.cell.states, state, strict=True))
        found = sweep(list(done.outputs), seeds, list(wanted.values()), graph=False)
        self.unrolled = done
        return {
            k: np.zeros(x.shape) if g is None else self.values(g)
            for (k, x), g in zip(wanted.items(), found, strict=True)
        }
