"""A small checker of certificates that shares no code with the prover: nothing of minigrad is imported.

A certificate is a tape in index notation. A slot is a tensor with named dimensions: an argument, a number, a
constant, a cotangent of an output, or an operation on earlier slots, summed over its bound indices. `claims`
says in which slot the cotangent c_k of slot k is. For each k that an output depends on, one identity is checked
in sympy's polynomials: c_k = sum of c_y dy/dk over the operations y that use k, with dy/dk from FACTS, and with
c_y and the arguments of y opaque. So each c_k is right, from the last to the first; docs/proof.md has the rest.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from functools import cache, reduce
from itertools import product
from operator import add, or_
from typing import Any

from sympy import QQ
from sympy.polys.rings import ring

FORMAT, NUMBER = "minigrad certificate 2", re.compile(r"-?[0-9]{1,40}(/[0-9]{1,40})?")
STATEMENT = (
    "For {}: the gradients of {} are the cotangents of the outputs times its partial derivatives, for every size "
    "{}, over the real numbers, where it is defined and differentiable: away from poles, kinks and ties, indices "
    "in range, and the base of a power positive where its exponent is an array."
)
BOOLEANS = ("greater", "greater_equal", "equal")
OPAQUE = ("add", "sub", "mul", "where", "logsumexp")  # opaque even where their derivative is checked
LEAVES = ("argument", "cotangent", "constant", "number")
RING, *SYMBOLS = ring([f"v{i}" for i in range(512)], QQ)


def need(holds: Any, what: str) -> None:
    """Raise ValueError unless it holds."""
    if not holds:
        raise ValueError(what)


def _small(x: Any, k: int = 1) -> Any:
    """x, if its k-th power does not take long. Raises ValueError if it does."""
    size = sum(1 + (c.numerator * c.denominator).bit_length() for c in x.values())
    need(size * len(x) ** max(k - 1, 0) <= 20_000, "an identity has a formula of more than 20000 bits: too large")
    return x


# ---- facts: f(name, ...) is an opaque value, the same for the same arguments; x, y, k are polynomials ----
def _sign(f: Any, x: Any) -> Any:
    return RING((x.LC > 0) - (x.LC < 0)) if x.is_ground else f("sign", x) if x.LC > 0 else -f("sign", -x)


def _recip(f: Any, x: Any) -> Any:
    need(x, "a division by zero")
    return RING(1 / x.LC) if x.is_ground else f("recip", x / x.LC) / x.LC


def _power(f: Any, x: Any, k: Any) -> Any:
    if not k.is_ground or k.LC.denominator != 1:
        return f("power", x, k)
    need(abs(k.LC) <= 16, f"the exponent {k} is beyond 16")
    return _small(x, int(k.LC)) ** int(k.LC) if k.LC >= 0 else _small(_recip(f, x), -int(k.LC)) ** -int(k.LC)


def _log_of_base(f: Any, x: Any) -> Any:
    f.known["sign", x] = RING(1)  # a positive one, as the statement says
    return f("log", x)


FACTS: dict[str, tuple[Any, ...]] = {  # the value, and a partial derivative for each argument; f makes opaque values
    "add": (lambda f, x, y: x + y, lambda f, x, y: 1, lambda f, x, y: 1),
    "sub": (lambda f, x, y: x - y, lambda f, x, y: 1, lambda f, x, y: -1),
    "mul": (lambda f, x, y: x * y, lambda f, x, y: y, lambda f, x, y: x),
    "div": (lambda f, x, y: x * _recip(f, y), lambda f, x, y: _recip(f, y), lambda f, x, y: -x * _recip(f, y) ** 2),
    "output": (lambda f, x: x, lambda f, x: 1),
    "pow": (_power, lambda f, x, k: k * _power(f, x, k - 1), lambda f, x, k: _power(f, x, k) * _log_of_base(f, x)),
    "tanh": (lambda f, x: f("tanh", x), lambda f, x: 1 - f("tanh", x) ** 2),
    "sigmoid": (lambda f, x: f("sigmoid", x), lambda f, x: f("sigmoid", x) * (1 - f("sigmoid", x))),
    "softplus": (lambda f, x: f("softplus", x), lambda f, x: f("sigmoid", x)),
    "exp": (lambda f, x: f("exp", x), lambda f, x: f("exp", x)),
    "log": (lambda f, x: f("log", x), _recip),
    "logsumexp": (None, lambda f, x, y: f("exp", x - y)),  # y: its own value, always opaque
    "sqrt": (lambda f, x: f("sqrt", x), lambda f, x: _recip(f, 2 * f("sqrt", x))),
    "sin": (lambda f, x: f("sin", x), lambda f, x: f("cos", x)),
    "cos": (lambda f, x: f("cos", x), lambda f, x: -f("sin", x)),
    "where": (lambda f, c, x, y: c * x + (1 - c) * y, None, lambda f, c, x, y: c, lambda f, c, x, y: 1 - c),
    "sign": (_sign, None),  # None: locally constant
    "greater": (lambda f, x, y: RING(0) if x == y else (1 + _sign(f, x - y)) / 2, None, None),
    "greater_equal": (lambda f, x, y: RING(1) if x == y else (1 + _sign(f, x - y)) / 2, None, None),
    "equal": (lambda f, x, y: RING(int(x == y)), None, None),
}


class Point:
    """The tape at some sizes; the entries of the slots in `free` are opaque."""

    def __init__(self, tape: Any, free: set[int], sizes: dict[str, int]) -> None:
        self.tape, self.free, self.sizes, self.known, self.left = tape, free, sizes, dict[Any, Any](), iter(SYMBOLS)

    def __call__(self, *key: Any) -> Any:
        """The opaque value with this key."""
        if key not in self.known:
            self.known[key] = next(self.left, None)
            need(self.known[key] is not None, f"an identity has more than {len(SYMBOLS)} symbols: too large")
        return self.known[key]

    def indices(self, dims: list[str]) -> Any:
        """All indices of a tensor with these dimensions."""
        return product(*(range(self.sizes[d]) for d in dims))

    def entry(self, at: Any, index: Any) -> Any:
        """The entry of at = [slot, places], at these places of an index."""
        slot, i, e = at[0], tuple(index[k] for k in at[1]), self.tape[at[0]]
        if e["op"] not in LEAVES and slot not in self.free and (slot, i) not in self.known:
            self.known[slot, i] = _small(sum((FACTS[e["op"]][0](self, *(self.entry(a, i + j) for a in e["args"]))
                                              for j in self.indices(e["sum"])), RING(0)))  # fmt: skip
        return RING(QQ(*map(int, e["name"].split("/")))) if e["op"] == "number" else self(slot, i)


class Certificate:
    """A certificate; `holds` says whether a claim of it does. Raises ValueError if it is not well formed."""

    def __init__(self, data: Any) -> None:
        need(data["format"] == FORMAT, f"its format is {data['format']!r}; this checker knows {FORMAT!r}")
        self.tape, self.live, slots = data["tape"], set[int](), defaultdict[str, list[int]](list)
        for slot, e in enumerate(self.tape):
            self.look_at(slot, e)
            slots[e["op"]].append(slot)
        self.forward = set(slots["output"])
        for slot in reversed(range(len(self.tape))):
            self.forward |= {a for a, _ in self.tape[slot]["args"]} if slot in self.forward else set()
        self.claims = {k: data["claims"][str(k)] for k in self.live & self.forward | {*slots["argument"]}}
        for k, c in self.claims.items():
            need(self.fits(c, self.tape[k]["dims"]), f"slot {k}: its cotangent {c} does not fit")
        given = [[d, [*range(len(self.tape[d]["dims"]))]] for d in slots["cotangent"]]
        need(given and [self.claims.get(o) for o in slots["output"]] == given, "an output has no cotangent of its own")
        used = {a for y in self.forward for a, _ in self.tape[y]["args"]}
        need(not used & {*slots["output"], *slots["cotangent"]}, "the cell uses an output, or the cotangent of one")
        self.dims = sorted({d for e in self.tape for d in e["dims"] + e["sum"]})
        names = dict.fromkeys(self.tape[i]["name"] for i in slots["argument"])
        said = STATEMENT.format(data["cell"], ", ".join(names), ", ".join(self.dims))
        need(data["statement"] == said, f"its statement is not what the tape is about: {said}")

    def fits(self, at: Any, dims: list[str]) -> bool:
        """Whether the dimensions of at = [slot, places] are those of dims at these places, all different."""
        good = at[0] in range(len(self.tape)) and len({*at[1]}) == len(at[1]) and {*at[1]} <= {*range(len(dims))}
        return good and [dims[i] for i in at[1]] == self.tape[at[0]]["dims"]

    def look_at(self, slot: int, e: Any) -> None:
        """Raise ValueError unless the slot is well formed; note whether it has a derivative."""
        op, args, dims, slopes = e["op"], e["args"], e["dims"] + e["sum"], FACTS.get(e["op"], (None,))[1:]
        need(op in FACTS or (op in LEAVES and not e["sum"]), f"slot {slot}: the operation {op!r} is not known here")
        need(len(args) == len(slopes), f"slot {slot}: {op} of {len(args)} arguments")
        need(all(type(d) is str for d in dims) and len(dims) <= 6, f"slot {slot}: the dimensions {dims}")
        need(all(0 <= a[0] < slot and self.fits(a, dims) for a in args), f"slot {slot}: {args} do not fit {dims}")
        need(op != "where" or self.tape[args[0][0]]["op"] in BOOLEANS, f"slot {slot}: where without a comparison")
        need(op != "number" or (NUMBER.fullmatch(e["name"]) and not dims), f"slot {slot}: the number {e['name']!r}")
        if op == "argument" or any(d and a in self.live for d, (a, _) in zip(slopes, args, strict=True)):
            self.live.add(slot)

    def holds(self, k: int) -> bool:
        """Whether the claim of slot k is right, at every size."""
        tape, users = self.tape, {y for y in self.forward & self.live if k in [a for a, _ in self.tape[y]["args"]]}
        free = {self.claims[y][0] for y in users}
        free |= self.forward & self.live - {y for y in users if tape[y]["op"] not in OPAQUE}

        @cache
        def bound(slot: int) -> Counter[str]:
            """At most how many bound indices of each dimension a term of the slot's formula has."""
            e, inner = tape[slot], (bound(a) for a, _ in tape[slot]["args"] if a not in free)
            return Counter(e["sum"]) + reduce(or_ if e["op"] in ("add", "sub") else add, inner, Counter())

        more: Counter[str] = reduce(or_, map(bound, users | {self.claims[k][0]} - free), Counter())
        need(more.total() <= 4, f"slot {k}: more than 4 sums in one formula")
        own = reduce(or_, (Counter(tape[i]["dims"]) for i in {k} | users), Counter(dict.fromkeys(self.dims, 2)))
        grid = product(*(range(own[d] + more[d], own[d] + 2 * more[d] + 1) for d in self.dims))
        return all(self.agree(k, users, Point(tape, free, dict(zip(self.dims, at, strict=True)))) for at in grid)

    def agree(self, k: int, users: set[int], p: Point) -> bool:
        """Whether the claim of slot k is right at some sizes."""
        true = {index: RING(0) for index in p.indices(self.tape[k]["dims"])}
        for y, e in [(y, self.tape[y]) for y in users]:
            value = [[y, range(len(e["dims"]))]] if e["op"] == "logsumexp" else []
            for index in p.indices(e["dims"] + e["sum"]):
                xs = [p.entry(a, index) for a in e["args"] + value]
                for (a, places), slope in zip(e["args"], FACTS[e["op"]][1:], strict=True):
                    if a == k and slope:
                        true[tuple(index[i] for i in places)] += p.entry(self.claims[y], index) * slope(p, *xs)
        return all(true[index] == p.entry(self.claims[k], index) for index in true)


def verify(data: Any) -> list[str]:
    """The arguments whose claimed gradient is wrong, and slots of the cell whose cotangent is; [] if all holds.

    Raises ValueError for what is not a well-formed certificate.
    """
    try:
        c = Certificate(data)
        inside = [k for k in sorted(c.claims) if c.tape[k]["op"] != "output"]
        return [c.tape[k]["name"] or f"slot {k}" for k in inside if not c.holds(k)]
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as e:
        raise ValueError(f"it is not a well-formed certificate ({type(e).__name__}: {e})") from e


def verify_file(path: str) -> list[str]:
    """`verify` for a JSON file. Raises OSError if it cannot be read, ValueError if it holds no certificate."""
    with open(path, encoding="utf-8") as f:
        try:
            data = json.load(f)
        except (ValueError, RecursionError) as e:
            raise ValueError(f"it is not JSON: {e}") from None
    return verify(data)
