"""Nested tuples, lists, dicts and NamedTuples of leaves: flatten, and build again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import ShapeError


def flatten(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, leaf) of each leaf, in order; None has no leaves."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        items = [(f"{path}.{k}" if path else str(k), v) for k, v in tree.items()]
    elif isinstance(tree, (tuple, list)):
        names = getattr(tree, "_fields", range(len(tree)))
        items = [(f"{path}.{k}" if path else str(k), v) for k, v in zip(names, tree, strict=True)]
    else:
        return [(path, tree)]
    return [leaf for p, v in items for leaf in flatten(v, p)]


def leaves(tree: Any) -> list[Any]:
    """The leaves, in order."""
    found: list[Any] = []
    spread(tree, found)
    return found


def spread(tree: Any, found: list[Any]) -> Any:
    """The form of a tree, as a key: equal for trees that differ in their leaves only, which `found` is given."""
    if not isinstance(tree, _FORMS):
        found.append(tree)
        return True
    if tree is None:
        return None
    keys = tuple(tree) if isinstance(tree, dict) else len(tree)
    values = tree.values() if isinstance(tree, dict) else tree
    return tree.__class__, keys, *[spread(v, found) for v in values]


def rebuild(tree: Any, values: Iterable[Any]) -> Any:
    """A tree of the same form whose leaves are `values`, in order."""
    return _build(tree, iter(values))


def _build(tree: Any, it: Iterator[Any]) -> Any:
    if not isinstance(tree, _FORMS):
        return next(it)
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {k: _build(v, it) for k, v in tree.items()}
    parts = [_build(v, it) for v in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def matched(tree: Any, other: Any, who: str = "tree_map") -> list[Any]:
    """The leaves of `other` in the order of those of `tree`: dicts are matched by key.

    Raises ShapeError naming the place where their forms differ.
    """
    if isinstance(tree, dict) and isinstance(other, dict) and tree.keys() == other.keys():
        return [leaf for k in tree for leaf in matched(tree[k], other[k], f"{who}.{k}")]
    if isinstance(tree, _NODES) and isinstance(other, _NODES) and len(tree) == len(other):
        pairs = enumerate(zip(tree, other, strict=True))
        return [leaf for k, (a, b) in pairs for leaf in matched(a, b, f"{who}.{k}")]
    if isinstance(tree, _FORMS) or isinstance(other, _FORMS):
        if tree is None and other is None:
            return []
        raise ShapeError(f"{who}: {_form(other)} is given where {_form(tree)} is expected")
    return [other]


_NODES = (tuple, list)
_FORMS = (tuple, list, dict, type(None))


def _form(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict with keys {list(tree)}"
    if isinstance(tree, _NODES):
        return f"a {type(tree).__name__} of {len(tree)}"
    return "nothing" if tree is None else "one value"


def tree_map(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`fn` of the leaves at each place, in a tree of the same form. Raises ShapeError if forms differ."""
    if not others:
        return rebuild(tree, map(fn, leaves(tree)))
    columns = [leaves(tree), *(matched(tree, other) for other in others)]
    return rebuild(tree, [fn(*xs) for xs in zip(*columns, strict=True)])
