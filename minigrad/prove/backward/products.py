"""numpy's products on arrays of symbolic size: @, dot, outer, einsum, tensordot."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from ...domains.sizes import SIZES, Sized
from .layout import drop, insert, reshape
from .numpyops import Unsupported, sum_, transpose


def matmul(a: Sized, b: Sized) -> Sized:
    """a @ b. Raises ValueError for arrays without axes, as numpy."""
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: an operand has no axes; use * for scaling")
    row, column = a.ndim == 1, b.ndim == 1
    a, b = insert(a, 0) if row else a, insert(b, 1) if column else b
    y = SIZES.matmul(a, b)
    gone = ({y.ndim - 2} if row else set()) | ({y.ndim - 1} if column else set())
    return drop(y, gone)


def dot(a: Sized, b: Sized) -> Sized:
    """np.dot: the last axis of a against the last but one of b."""
    if not a.ndim or not b.ndim:
        return a * b
    return (
        matmul(a, b) if a.ndim <= 2 and b.ndim <= 2 else tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))
    )


def outer(a: Sized, b: Sized) -> Sized:
    """np.outer, which flattens both."""
    a, b = (x if x.ndim == 1 else reshape(x, (-1,)) for x in (a, b))
    return insert(a, 1) * insert(b, 0)


def einsum(spec: str, *xs: Sized) -> Sized:
    """np.einsum, without a letter twice in one operand."""
    if not isinstance(spec, str):
        raise Unsupported("np.einsum other than by letters")
    spec = _spelled_out(spec.replace(" ", ""), xs)
    left, arrow, right = spec.partition("->")
    terms = left.split(",")
    letters = list(dict.fromkeys("".join(terms)))
    if any(len(set(t)) != len(t) for t in terms):
        raise Unsupported(f"np.einsum({spec!r}): a letter twice in one operand")
    if len(terms) != len(xs) or any(len(t) != x.ndim for t, x in zip(terms, xs, strict=False)):
        raise ValueError(f"einsum {spec!r} of shapes {', '.join(str(x.shape) for x in xs)}")
    if not arrow:
        right = "".join(sorted(c for c in letters if left.count(c) == 1))
    total = SIZES.number(1)
    for t, x in zip(terms, xs, strict=True):
        v = transpose(x, sorted(range(len(t)), key=lambda i, t=t: letters.index(t[i])))
        for at, c in enumerate(letters):
            v = v if c in t else insert(v, at)
        total = total * v
    summed = sum_(total, tuple(i for i, c in enumerate(letters) if c not in right))
    kept = [c for c in letters if c in right]
    return transpose(summed, [kept.index(c) for c in right])


def _spelled_out(spec: str, xs: Sequence[Sized]) -> str:
    """The spec with letters in the place of each ellipsis."""
    if "..." not in spec:
        return spec
    left, _, right = spec.partition("->")
    terms = left.split(",")
    more = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=True)]
    free = [c for c in string.ascii_letters if c not in spec][: max(more, default=0)]
    out = [t.replace("...", "".join(free[len(free) - n :])) for t, n in zip(terms, more, strict=True)]
    if "->" not in spec:
        right = "..." + "".join(sorted(c for c in set(left) - {",", "."} if left.count(c) == 1))
    return f"{','.join(out)}->{right.replace('...', ''.join(free))}"


def tensordot(a: Sized, b: Sized, axes: Any = 2) -> Sized:
    """np.tensordot."""
    pairs = (range(a.ndim - axes, a.ndim), range(axes)) if isinstance(axes, int) else axes
    left, right = ([p] if isinstance(p, int) else list(p) for p in pairs)
    s, t = [chr(97 + i) for i in range(a.ndim)], [chr(110 + i) for i in range(b.ndim)]
    for i, j in zip(left, right, strict=True):
        t[j] = s[i]
    out = [c for k, c in enumerate(s) if k - a.ndim not in left and k not in left]
    out += [c for k, c in enumerate(t) if k - b.ndim not in right and k not in right]
    return einsum(f"{''.join(s)},{''.join(t)}->{''.join(out)}", a, b)
