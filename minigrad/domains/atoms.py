"""Functions of sums of indexed products, as opaque tensors: tanh of an entry is an entry of tanh#7.

Each function of each argument (up to the names of its free indices) gets one tensor, so that equal
values have equal names. Kept in every normal form:

    tanh, sin, sign odd, cos even; tanh(v/2) = 2 sigmoid(v) - 1; 1/(1 + exp(v)) = 1 - sigmoid(v);
    exp(a + b) = exp(a) exp(b); exp(log u) = u; powers of single products multiplied out.

`is_zero` uses more, where two sums seem to differ. Not known: all other relations, so that different
normal forms may be the same function. Nothing holds at a kink of sign.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from .contractions import DELTA, ONE, Factors, Monomial, Sum

Relation = Callable[[str, tuple[int, ...], int], "tuple[Factors, Sum] | None"]  # a factor with its power


class Atoms:
    """The functions met so far: name -> (function, its argument with the free indices -1, -2, ...)."""

    def __init__(self) -> None:
        self.definitions: dict[str, tuple[str, Sum]] = {}
        self.names: dict[Any, str] = {}
        self.positive: set[str] = set()  # signs that are assumed to be 1

    def clear(self) -> None:
        """Forget everything."""
        for known in (self.definitions, self.names, self.positive):
            known.clear()

    def named(self, fn: str, u: Sum) -> tuple[str, tuple[int, ...]]:
        """The name of the tensor fn(u), and the indices of u that it takes, in its order."""
        orders = list(itertools.permutations(u.free()))
        forms = [u.rename({v: -1 - k for k, v in enumerate(order)}) for order in orders]
        best = min(range(len(forms)), key=lambda i: sorted(forms[i].terms.items())) if len(forms) > 1 else 0
        name = self.names.setdefault((fn, forms[best]), f"{fn}#{len(self.names)}")
        self.definitions.setdefault(name, (fn, forms[best]))
        return name, orders[best]

    def argument(self, name: str, idx: tuple[int, ...]) -> tuple[str, Sum]:
        """(function, argument) of an atom at these indices; ("", 0) for a tensor that is not one."""
        fn, u = self.definitions.get(name, ("", Sum()))
        return fn, u.rename({-1 - k: i for k, i in enumerate(idx)})

    def _only(self, fs: tuple, dims: tuple) -> tuple[str, Sum]:
        """`argument` of a monomial that is a single factor."""
        return self.argument(*fs[0][0]) if len(fs) == 1 and fs[0][1] == 1 and not dims else ("", Sum())

    def atom(self, fn: str, u: Sum) -> Sum:
        """fn(u), for fn one of tanh, exp, log, sqrt, sin, cos, sign."""
        if fn == "exp":
            return self._exp(u)
        if not u and fn != "log":
            return Sum.number(fn == "cos")
        if fn in ("tanh", "sin", "sign", "cos") and _leading(u) < 0:
            v = self.atom(fn, -u)
            return v if fn == "cos" else -v
        if fn == "tanh" and all(Fraction(c).denominator % 2 == 0 for c in u.terms.values()):
            # a gate is one term, not two
            return self._new("sigmoid", u.scale(2)).scale(2) - Sum.number(1)
        if fn == "sign":
            u = u.scale(1 / Fraction(_leading(u)))
            known = set(u.terms) == {ONE} or self._sign(u) in self.positive
            return Sum.number(1) if known else self._new(fn, u)
        return self._new(fn, u)

    def assume_positive(self, u: Sum) -> None:
        """From here on, sign(u) is 1."""
        if u and _leading(u) > 0:
            self.positive.add(self._sign(u.scale(1 / Fraction(_leading(u)))))

    def is_positive(self, u: Sum) -> bool:
        """Whether each term shows that it is not negative, and one that it is positive; False says nothing."""
        signs = [
            min((self._least(name, p) for (name, _), p in fs), default=1) if c > 0 else -1
            for (fs, _), c in u.terms.items()
        ]
        if signs and min(signs) >= 0 and max(signs) == 1:
            return True
        return bool(u) and _leading(u) > 0 and self._sign(u.scale(1 / Fraction(_leading(u)))) in self.positive

    def _least(self, name: str, p: int) -> int:
        """1 for a factor that is positive, 0 for one that is not negative, else -1."""
        fn, u = self.definitions.get(name, ("", Sum()))
        if name.startswith("#") or fn in ("exp", "sigmoid", "sqrt") or (fn == "let" and self.is_positive(u)):
            return 1
        return 0 if p % 2 == 0 and p > 0 else -1

    def _sign(self, u: Sum) -> str:
        return self.named("sign", u)[0]

    def _new(self, fn: str, u: Sum) -> Sum:
        return Sum.factor(*self.named(fn, u))

    def _exp(self, u: Sum) -> Sum:
        out = Sum.number(1)
        for (fs, dims), c in u.terms.items():
            c = Fraction(c)
            fn, inner = self._only(fs, dims)
            if fn == "log" and c.denominator == 1:
                out = out * self.power(inner, c.numerator)
            else:
                name, order = self.named("exp", Sum({(fs, dims): Fraction(1, c.denominator)}))
                out = out * Sum.factor(name, order, c.numerator)
        return out

    def power(self, u: Sum, q: Any) -> Sum:
        """u to a rational power; a negative one of a proper sum is an opaque tensor to that power.

        Raises ZeroDivisionError for a negative power of zero.
        """
        q = Fraction(q)
        n = q.numerator
        if q.denominator == 2:
            return self.power(self.atom("sqrt", u), n)
        if q.denominator > 2:
            return self._exp(self.atom("log", u).scale(q))
        if n >= 0:
            return u.power(n)
        if not u:
            raise ZeroDivisionError("division by an expression that is zero")
        if len(u.terms) == 1:
            (((fs, dims), c),) = u.terms.items()
            if not dims and not any(name == DELTA for (name, _), _ in fs):
                return Sum({(tuple((k, p * n) for k, p in fs), ()): 1}).scale(Fraction(c) ** n)
        if (v := self._logistic(u)) is not None:  # 1 / (c + c exp(v)) = (1 - tanh(v/2)) / (2c)
            half = Sum.number(1) - self.atom("tanh", v.scale(Fraction(1, 2)))
            return half.scale(Fraction(1, 2) / Fraction(u.terms[ONE])).power(-n)
        lead = Fraction(_leading(u))
        name, order = self.named("let", u.scale(1 / lead))
        return Sum.factor(name, order, n).scale(lead**n)

    def _logistic(self, u: Sum) -> Sum | None:
        """v if u is c + c exp(v)."""
        rest = [(key, c) for key, c in u.terms.items() if key != ONE]
        if len(rest) != 1 or len(u.terms) != 2 or rest[0][0][1] or u.terms[ONE] != rest[0][1]:
            return None
        v = Sum()
        for (name, idx), p in rest[0][0][0]:
            fn, inner = self.argument(name, idx)
            if fn != "exp":
                return None
            v = v + inner.scale(p)
        return v

    # ---- more relations, for sums that seem to differ --------------------------------------------
    def is_zero(self, e: Sum) -> bool:
        """Whether relations between atoms show that the sum is zero everywhere; False says nothing.

        Used: sign^2 = 1, sqrt(u)^2 = u, exp(log(u)/k)^k = u, sin^2 = 1 - cos^2, exp(v) sigmoid(v) = exp(v) -
        sigmoid(v), exp(-v) sigmoid(v) = 1 - sigmoid(v), the same of tanh(v/2), sigmoid(log u) = u/(1 + u),
        and that e is 0 where u e is, for 1/u outside sums. Those of logarithms come last: they make terms.
        """
        for relations in ((self._power_of,), (self._power_of, self._of_logs)):
            for _ in range(32):  # each round uses every relation once, and powers are small
                new = self._cleared(self._round(e, relations))
                if new == e or not new:
                    break
                e = new
            if not new:
                break
        return not new

    def _round(self, e: Sum, relations: Sequence[Relation]) -> Sum:
        out = Sum()
        for key, c in e.terms.items():
            out = out + self._rewritten(key, c, relations)
        return out

    def _rewritten(self, key: Monomial, c: Any, relations: Sequence[Relation]) -> Sum:
        fs, dims = key
        opened = {i: -(10**6) - i for i in range(len(dims))}
        factors = {(n, tuple(opened.get(i, i) for i in idx)): p for (n, idx), p in fs}
        for (name, idx), p in factors.items():
            value = next(filter(None, (relation(name, idx, p) for relation in relations)), None)
            value = value or self._with_exponentials(name, idx, factors)
            if value is None:
                continue
            used, new = value
            rest = {k: p - used.get(k, 0) for k, p in factors.items()}
            whole = Sum.product(rest, {}, c) * new
            return whole.bind({opened[i]: d for i, d in enumerate(dims)})
        return Sum({key: c})

    def _power_of(self, name: str, idx: tuple[int, ...], p: int) -> tuple[Factors, Sum] | None:
        """(the factor with the power used up, what it equals)."""
        fn, u = self.argument(name, idx)
        if fn == "sign" and p not in (0, 1):
            return {(name, idx): p - p % 2}, Sum.number(1)
        if fn == "sin" and p > 1:
            return {(name, idx): 2}, Sum.number(1) - self.atom("cos", u).power(2)
        if fn == "sqrt" and p not in (0, 1):
            return {(name, idx): p - p % 2}, self.power(u, p // 2)
        if fn == "exp" and len(u.terms) == 1:
            ((key, c),) = u.terms.items()
            k = Fraction(c).denominator
            inner, w = self._only(*key)
            if inner == "log" and c * k == 1 and not 0 <= p < k:
                return {(name, idx): p - p % k}, self.power(w, p // k)
        return None

    def _with_exponentials(
        self, name: str, idx: tuple[int, ...], factors: Factors
    ) -> tuple[Factors, Sum] | None:
        """sigmoid(v) beside exp(v) or exp(-v), and tanh(v/2) = 2 sigmoid(v) - 1 likewise."""
        fn, v = self.argument(name, idx)
        if fn not in ("sigmoid", "tanh") or factors[name, idx] < 1:
            return None
        one = Sum.number(1)
        for sign in (1, -1):
            e = self._exp(v.scale(sign if fn == "sigmoid" else 2 * sign))
            fs, _ = next(iter(e.terms))
            if e.terms == {(fs, ()): 1} and fs and all(p * factors.get(k, 0) >= p * p for k, p in fs):
                other = (e - one).scale(sign) if fn == "tanh" else e if sign == 1 else one
                return dict(fs) | {(name, idx): 1}, other - Sum.factor(name, idx)
        return None

    def _of_logs(self, name: str, idx: tuple[int, ...], p: int) -> tuple[Factors, Sum] | None:
        """tanh(u) or sigmoid(u) as a quotient, if exp of it holds only powers: sigmoid(log w) = w / (1 + w)."""
        fn, u = self.argument(name, idx)
        if fn not in ("tanh", "sigmoid") or p < 1:
            return None
        twice = 2 if fn == "tanh" else 1
        for (fs, dims), c in u.terms.items():
            if self._only(fs, dims)[0] != "log" or Fraction(c * twice).denominator != 1:
                return None
        e, one = self._exp(u.scale(twice)), Sum.number(1)
        return {(name, idx): 1}, (e - one if fn == "tanh" else e) * self.power(e + one, -1)

    def _cleared(self, e: Sum) -> Sum:
        """e times u for each factor 1/u whose indices are all free: 0 where e is 0, and nowhere else."""
        while True:
            worst: dict[tuple[str, tuple[int, ...]], int] = {}
            for fs, _ in e.terms:
                for (name, idx), p in fs:
                    if p < 0 and name.startswith("let#") and all(i < 0 for i in idx):
                        worst[name, idx] = min(p, worst.get((name, idx), 0))
            if not worst:
                return e
            (key, p) = next(iter(worst.items()))
            _, u = self.argument(*key)
            out = Sum()
            for (fs, dims), c in e.terms.items():
                factors = dict(fs)
                up = factors.pop(key, 0) - p
                out = out + Sum.product(factors, dict(enumerate(dims)), c) * u.power(up)
            e = out


def _leading(u: Sum) -> Any:
    return u.terms[min(u.terms, key=_shape_key)]


def _shape_key(key: Monomial) -> tuple:
    """An order of monomials that does not depend on how the free indices are called."""
    fs, dims = key
    return sorted((n, tuple(i if i >= 0 else -1 for i in idx), p) for (n, idx), p in fs), dims, key
