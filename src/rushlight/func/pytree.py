"""Nested containers of values: taken apart into a list of leaves, and put together again.

Lists, tuples, named tuples, dictionaries (also ordered ones and those with defaults) and deques are containers;
everything else is a leaf. A structure prints as PyTorch's does in its messages: in short `(*, {'a': *})`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Structure:
    """The shape of a nested container: its type, what tells it apart from others of that type, and its parts.

    Attributes:
        kind: the container's type; None for a leaf.
        context: a dictionary's keys, a named tuple's class, a deque's length.
        parts: the structures of what it holds.
    """

    kind: type | None
    context: Any
    parts: tuple[Structure, ...]

    @property
    def leaves(self) -> int:
        return 1 if self.kind is None else sum(part.leaves for part in self.parts)

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        inside = [str(part) for part in self.parts]
        if self.kind is tuple:
            return f"({', '.join(inside)}{',' * (len(inside) == 1)})"
        if self.kind is list:
            return f"[{', '.join(inside)}]"
        if self.kind in (dict, OrderedDict, defaultdict):
            keys = self.context[1] if self.kind is defaultdict else self.context
            body = "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(keys, inside)) + "}"
            return body if self.kind is dict else f"{self.kind.__name__}({body})"
        return f"{self.kind.__name__}({', '.join(inside)})"

    def __repr__(self, indent: int = 0) -> str:
        if self.kind is None:
            return "*"
        inside = [part.__repr__(indent + 2) for part in self.parts]
        context = None if self.kind in (tuple, list) else self.context
        return (
            f"TreeSpec({self.kind.__name__}, {context}, [" + (",\n" + " " * (indent + 2)).join(inside) + "])"
        )


LEAF = Structure(None, None, ())


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(type(value), "_fields")


def _opened(value: Any) -> tuple[Any, Sequence[Any]] | None:
    """A container's context and contents; None for a leaf."""
    kind = type(value)
    if kind is tuple or kind is list:
        return None, value
    if kind is dict or kind is OrderedDict:
        return list(value), list(value.values())
    if kind is defaultdict:
        return [value.default_factory, list(value)], list(value.values())
    if kind is deque:
        return value.maxlen, list(value)
    if _is_named_tuple(value):
        return kind, value
    return None


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a nested container, and its structure."""
    opened = _opened(tree)
    if opened is None:
        return [tree], LEAF
    context, contents = opened
    leaves: list[Any] = []
    parts = []
    for part in contents:
        inside, structure = flatten(part)
        leaves += inside
        parts.append(structure)
    return leaves, Structure(type(tree), context, tuple(parts))


def unflatten(leaves: Sequence[Any], structure: Structure) -> Any:
    """The nested container of this structure that holds `leaves`."""
    if structure.kind is None:
        return leaves[0]
    contents = []
    start = 0
    for part in structure.parts:
        contents.append(unflatten(leaves[start : start + part.leaves], part))
        start += part.leaves
    return _closed(structure, contents)


def _closed(structure: Structure, contents: list[Any]) -> Any:
    kind: Any = structure.kind
    if kind is dict or kind is OrderedDict:
        return kind(zip(structure.context, contents))
    if kind is defaultdict:
        factory, keys = structure.context
        return defaultdict(factory, zip(keys, contents))
    if kind is deque:
        return deque(contents, maxlen=structure.context)
    if kind is tuple or kind is list:
        return kind(contents)
    return structure.context(*contents)


def leaves_of(tree: Any) -> list[Any]:
    return flatten(tree)[0]


def mapped(function: Callable, tree: Any) -> Any:
    """The same containers, with `function` applied to every leaf."""
    leaves, structure = flatten(tree)
    return unflatten([function(leaf) for leaf in leaves], structure)


def broadcast(prefix: Any, structure: Structure) -> list[Any] | None:
    """The leaves of `prefix`, each as often as `structure` has leaves in its place; None if the two do not fit."""
    if structure.kind is None or _opened(prefix) is None:
        return [prefix] * structure.leaves if _opened(prefix) is None else None
    context, contents = _opened(prefix)  # type: ignore[misc]
    if type(prefix) is not structure.kind or len(contents) != len(structure.parts):
        return None
    if context != structure.context:
        return None
    found: list[Any] = []
    for part, inside in zip(contents, structure.parts):
        spread = broadcast(part, inside)
        if spread is None:
            return None
        found += spread
    return found
