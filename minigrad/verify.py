"""A small checker of step-lemma certificates that shares no code with the prover.

It interprets the program on polynomials (sympy's), differentiates by its own rules, evaluates the claimed
gradients, and compares. Nothing of minigrad is imported. What it rests on: this file, sympy's polynomial
rings, numpy's handling of object arrays, and the lemma in prove/certificate.py on sufficient sizes.
"""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from sympy import QQ
from sympy.polys.rings import ring

FORMAT = "minigrad step lemma 1"
POINTWISE = ("tanh", "sigmoid", "exp", "log", "sqrt", "sin", "cos", "sign")


class Checker:
    """A certificate at its sizes; `check` says which gradients are not what they are claimed to be."""

    def __init__(self, data: dict[str, Any], spare: int) -> None:
        self.data = data
        leaves = [*data["inputs"], *data["cotangents"]]
        total = sum(prod(self.shape(x["axes"])) for x in leaves)
        self.ring, *gens = ring([f"v{i}" for i in range(total + spare)], QQ)
        self.one, self.free = self.ring(1), iter(gens)
        self.values: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}  # tensor of the formulas -> (argument, its choice of blocks, axes)
        self.atoms: dict[Any, Any] = {}  # (function, argument) -> generator
        self.of: dict[Any, Any] = {}  # and back
        self.known: dict[Any, Any] = {}
        for x in leaves:
            shape = self.shape(x["axes"])
            entries = [next(self.free) for _ in range(prod(shape))]
            self.values[x["name"]] = np.array(entries, object).reshape(shape)
            for choice, terms in x["entries"]:
                self.tags[terms[0][1][0][0]] = (x["name"], choice, x["axes"])

    def n(self, block: Any) -> int:
        """Entries of a block, or of a size written as blocks."""
        if isinstance(block, dict):
            return sum(map(self.n, block["size"]))
        return block if isinstance(block, int) else self.data["sizes"][block]

    def shape(self, axes: list[list[Any]]) -> tuple[int, ...]:
        """The shape of an array of these blocks."""
        return tuple(sum(map(self.n, axis)) for axis in axes)

    # ---- functions as new generators, and their derivatives ----
    def atom(self, fn: str, u: Any) -> Any:
        """fn(u), with the few identities that the normal forms use."""
        u = self.ring(u)
        if fn == "exp" and len(u) > 1:
            return prod((self.atom("exp", self.ring({m: c})) for m, c in u.terms()), start=self.one)
        if fn == "exp" and len(u) == 1 and (p := abs(int(u.LC.numerator))) > 1:
            return self.atom("exp", u / p) ** p
        if fn == "exp" and self.of.get(u, ("",))[0] == "log":
            return self.of[u][1]
        if fn == "recip" and (u.is_ground or u.LC != 1):
            return self.one / u.LC if u.is_ground else self.atom("recip", u / u.LC) / u.LC
        if fn == "recip" and len(u) == 1 and sum(u.LM) > 1:
            powers = zip(self.ring.gens, u.LM, strict=True)
            return prod((self.atom("recip", g) ** e for g, e in powers if e), start=self.one)
        if fn in ("tanh", "sin", "sign", "sigmoid") and (fn, -u) in self.atoms:
            mirrored = self.atoms[fn, -u]
            return self.one - mirrored if fn == "sigmoid" else -mirrored
        if (fn, u) not in self.atoms:
            self.atoms[fn, u] = g = next(self.free)
            self.of[g] = (fn, u)
        return self.atoms[fn, u]

    def slope(self, fn: str, y: Any, u: Any) -> Any:
        """f'(u), with y = f(u)."""
        rules = {
            "tanh": lambda: 1 - y**2, "sigmoid": lambda: y - y**2, "exp": lambda: y,
            "recip": lambda: -(y**2), "log": lambda: self.atom("recip", u), "sign": lambda: self.ring(0),
            "sqrt": lambda: self.atom("recip", y) / 2, "sin": lambda: self.atom("cos", u),
            "cos": lambda: -self.atom("sin", u),
        }  # fmt: skip
        return rules[fn]()

    def derivative(self, e: Any, x: Any) -> Any:
        """d e / d x by the chain rule over generators."""
        out = e.diff(x)
        for i in sorted({i for m in e.itermonoms() for i, k in enumerate(m) if k}):
            g = self.ring.gens[i]
            if g in self.of:
                if (g, x) not in self.known:
                    fn, u = self.of[g]
                    du = self.derivative(u, x)
                    self.known[g, x] = self.slope(fn, g, u) * du if du else du
                out += e.diff(g) * self.known[g, x]
        return out

    # ---- the program, forward ----
    def run(self) -> list[Any]:
        """The outputs of the program on its inputs' generators."""
        env = [self.values[x["name"]] for x in self.data["inputs"]]
        env += [np.array(self.formula(c, {}), object) for c in self.data["constants"]]
        for node in self.data["nodes"]:
            xs = [env[i] for i in node["args"]]
            env.append(np.asarray(self.apply(node["op"], xs, node["params"]), object))
        return [env[i] for i in self.data["outputs"]]

    def apply(self, op: str, xs: list[Any], p: dict[str, Any]) -> Any:
        """One operation on arrays of polynomials."""

        def each(fn: str, x: Any) -> Any:
            return np.vectorize(lambda e: self.atom(fn, e), otypes=[object])(x)

        def total(x: Any) -> Any:
            return np.asarray(np.sum(x, axis=tuple(p["axis"]), keepdims=p["keepdims"]), object)

        def key(k: Any) -> Any:
            ends = (None if v is None else self.n(v) for v in k["slice"]) if isinstance(k, dict) else ()
            return slice(*ends) if isinstance(k, dict) else k

        x, shape = xs[0], tuple(map(self.n, p.get("shape", ())))
        rules = {
            "add": lambda: x + xs[1], "sub": lambda: x - xs[1], "mul": lambda: x * xs[1], "neg": lambda: -x,
            "div": lambda: x * each("recip", xs[1]), "matmul": lambda: x @ xs[1], "alias": lambda: x,
            "relu": lambda: x * (1 + each("sign", x)) / 2, "abs": lambda: x * each("sign", x),
            "softplus": lambda: each("log", 1 + each("exp", x)), "sum": lambda: total(x),
            "power": lambda: x ** p["exponent"] if p["exponent"] >= 0 else each("recip", x) ** -p["exponent"],
            "logsumexp": lambda: each("log", total(each("exp", x))),
            "concat": lambda: np.concatenate(xs, axis=int(p["axis"])), "reshape": lambda: x.reshape(shape),
            "broadcast": lambda: np.broadcast_to(x, shape), "index": lambda: x[(..., *map(key, p["key"]))],
            "transpose": lambda: x.transpose(
                *range(x.ndim)[: -len(p["axes"])], *(a % x.ndim for a in p["axes"])),
        }  # fmt: skip
        if op not in rules and op not in POINTWISE:
            raise ValueError(f"this checker does not know the operation {op!r}")
        return each(op, x) if op in POINTWISE else rules[op]()

    # ---- the claimed formulas ----
    def formula(self, terms: list[Any], free: dict[int, int]) -> Any:
        """A claimed sum of products at given free indices."""
        out = self.ring(0)
        for c, factors, dims in terms:
            for bound in itertools.product(*(range(self.n(d)) for d in dims)):
                term = self.one * QQ(*Fraction(c).as_integer_ratio())
                for name, idx, power in factors:
                    at = tuple(bound[i] if i >= 0 else free[i] for i in idx)
                    term *= self.factor(name, at, power > 0) ** abs(power)
                out += term
        return out

    def factor(self, name: str, at: tuple[int, ...], positive: bool) -> Any:
        """One entry of a tensor of the formulas, or one over it."""
        if name in self.data["atoms"]:
            fn, u = self.data["atoms"][name]
            v = self.formula(u, {-1 - k: i for k, i in enumerate(at)})
            if fn == "exp":
                return self.atom("exp", v if positive else -v)
            v = v if fn == "let" else self.atom(fn, v)
        elif name == "delta" or name.startswith("#"):
            v = self.one * (int(at[0] == at[1]) if name == "delta" else self.n(name[1:]))
        else:
            argument, choice, axes = self.tags[name]
            own = iter(at)
            starts = [sum(map(self.n, axis[:k])) for axis, k in zip(axes, choice, strict=True)]
            moved = [next(own) if axis[k] != 1 else 0 for axis, k in zip(axes, choice, strict=True)]
            v = self.values[argument][tuple(map(sum, zip(starts, moved, strict=True)))]
        return v if positive else self.atom("recip", v)

    def check(self) -> list[str]:
        """The arguments whose claimed gradient is wrong; empty if the certificate holds."""
        pairs = zip(self.run(), self.data["cotangents"], strict=True)
        phi = sum((self.one * (out * self.values[d["name"]]).sum() for out, d in pairs), self.ring(0))
        wrong: dict[str, None] = {}
        for x in self.data["inputs"]:
            for choice, terms in self.data["gradients"][x["name"]]:
                axes = zip(x["axes"], choice, strict=True)
                spans = [(sum(map(self.n, axis[:k])), self.n(axis[k])) for axis, k in axes]
                for at in itertools.product(*(range(n) for _, n in spans)):
                    v = self.values[x["name"]][tuple(s + i for (s, _), i in zip(spans, at, strict=True))]
                    claimed = self.formula(terms, {i - len(at): k for i, k in enumerate(at)})
                    if self.derivative(phi, v) != claimed:
                        wrong[x["name"]] = None
        return list(wrong)


def verify(data: dict[str, Any]) -> list[str]:
    """The arguments whose claimed gradient is wrong; an empty list if the certificate holds.

    Raises ValueError for data of another format, or an operation that this checker does not know.
    """
    if data.get("format") != FORMAT:
        raise ValueError(f"not a minigrad certificate: its format is not {FORMAT!r}")
    for spare in (32, 128, 512, 2048):  # generators for functions: polynomials are slower with more
        try:
            return Checker(data, spare).check()
        except StopIteration:
            continue
    raise ValueError("the certificate has more functions than this checker has room for")


def verify_file(path: str) -> list[str]:
    """`verify` for a JSON file."""
    with open(path, encoding="utf-8") as f:
        return verify(json.load(f))
