"""Nested containers of values: taken apart into a list of leaves, and put together again.

PyTorch keeps this where an underscore marks it as its own, but libraries use it: `from torch.utils._pytree import
tree_map`. Lists, tuples, named tuples, dictionaries (also ordered ones and those with defaults), deques, sizes, the results
of functions with several, and types that were registered are containers; everything else, None too, is a leaf.
"""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple

from rushlight.return_types import Result
from rushlight.size import Size

__all__ = [
    "GetAttrKey",
    "LeafSpec",
    "MappingKey",
    "SequenceKey",
    "TreeSpec",
    "key_get",
    "keystr",
    "register_pytree_node",
    "tree_all",
    "tree_all_only",
    "tree_any",
    "tree_any_only",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_is_leaf",
    "tree_iter",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_map_only_",
    "tree_map_with_path",
    "tree_structure",
    "tree_unflatten",
    "treespec_pprint",
]

IsLeaf = Callable[[Any], bool] | None
_MAPPINGS = (dict, OrderedDict, defaultdict)


# ---- containers ----


class _Kind(NamedTuple):
    """How containers of a type are opened and closed.

    Attributes:
        open: a container -> its contents and what else tells it from others of its type.
        close: contents and the rest -> the container.
        keys: a container and the rest -> by which keys the contents are found; None where nobody said.
    """

    open: Callable[[Any], tuple[Sequence[Any], Any]]
    close: Callable[[Any, Any], Any]
    keys: Callable[[Any, Any], Sequence[Any]] | None


def _positions(value: Any, context: Any) -> list[SequenceKey]:
    return [SequenceKey(at) for at in range(len(value))]


def _dict_keys(value: Any, context: Any) -> list[MappingKey]:
    return [MappingKey(key) for key in value]


def _sequence(kind: type) -> _Kind:
    return _Kind(lambda value: (value, None), lambda contents, _: kind(contents), _positions)


def _dict_flatten(value: Any) -> tuple[list[Any], list[Any]]:
    return list(value.values()), list(value)


def _dict_flatten_with_keys(value: Any) -> tuple[list[tuple[MappingKey, Any]], list[Any]]:
    """What classes that libraries derive from `dict` are registered with."""
    return [(MappingKey(key), content) for key, content in value.items()], list(value)


def _dict_unflatten(contents: Iterable[Any], keys: list[Any]) -> dict:
    return dict(zip(keys, contents))


def _mapping(kind: type) -> _Kind:
    return _Kind(_dict_flatten, lambda contents, keys: kind(zip(keys, contents)), _dict_keys)


_KINDS: dict[Any, _Kind] = {
    tuple: _sequence(tuple),
    list: _sequence(list),
    Size: _sequence(tuple),
    **{kind: _mapping(kind) for kind in (dict, OrderedDict)},
    defaultdict: _Kind(
        lambda value: (list(value.values()), [value.default_factory, list(value)]),
        lambda contents, context: defaultdict(context[0], zip(context[1], contents)),
        _dict_keys,
    ),
    deque: _Kind(
        lambda value: (list(value), value.maxlen),
        lambda contents, length: deque(contents, maxlen=length),
        _positions,
    ),
}
_NAMED_TUPLE = _Kind(
    lambda value: (value, type(value)),
    lambda contents, kind: kind(*contents),
    lambda value, kind: [GetAttrKey(name) for name in kind._fields],
)
_RESULTS = _Kind(lambda value: (value, type(value)), lambda contents, kind: kind(tuple(contents)), _positions)


def _is_namedtuple_instance(tree: Any) -> bool:
    return isinstance(tree, tuple) and hasattr(type(tree), "_fields")


def _kind_of(value: Any) -> _Kind | None:
    """How a container is opened; None for a leaf."""
    kind = type(value)
    found = _KINDS.get(kind)
    if found is not None or not isinstance(value, tuple):
        return found
    if issubclass(kind, Result):
        return _RESULTS
    return _NAMED_TUPLE if _is_namedtuple_instance(value) else None


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[list[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable | None = None,
    from_dumpable_context: Callable | None = None,
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Let the instances of a class be containers.

    Args:
        flatten_fn: an instance -> its contents and what else is needed to make it again.
        unflatten_fn: contents and the rest -> an instance.
        flatten_with_keys_fn: an instance -> pairs of key and content, and the rest.
        serialized_type_name, to_dumpable_context, from_dumpable_context: taken, and not used: structures are not written to files.

    Raises:
        ValueError: the class is registered already.
    """
    if cls in _KINDS:
        raise ValueError(f"{cls} is already registered as pytree node.")
    by_key = flatten_with_keys_fn
    keys = None if by_key is None else lambda value, context: [key for key, _ in by_key(value)[0]]
    _KINDS[cls] = _Kind(flatten_fn, unflatten_fn, keys)


#: by this name too; older programs use it
_register_pytree_node = register_pytree_node


# ---- structures ----


@dataclass(frozen=True)
class TreeSpec:
    """The shape of a nested container: its type, what tells it apart from others of that type, and its parts.

    Attributes:
        type: the container's type; None for a leaf.
        context: a dictionary's keys, a named tuple's class, a deque's length.
    """

    type: type | None
    context: Any
    _children: list[TreeSpec]

    @functools.cached_property
    def num_leaves(self) -> int:
        return sum(part.num_leaves for part in self._children) if self.type else 1

    @property
    def num_nodes(self) -> int:
        return 1 + sum(part.num_nodes for part in self._children)

    @property
    def num_children(self) -> int:
        return len(self._children)

    def children(self) -> list[TreeSpec]:
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        return self._children[index]

    def is_leaf(self) -> bool:
        return self.type is None

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        return tree_unflatten(leaves, self)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """What `tree` has where this structure has leaves; ValueError where it is not built alike."""
        if self.type is None:
            return [tree]
        contents = self._matched(tree)
        return [leaf for part, inside in zip(self._children, contents) for leaf in part.flatten_up_to(inside)]

    def _matched(self, tree: Any) -> Sequence[Any]:
        kind = _kind_of(tree)
        mappings = self.type in _MAPPINGS and type(tree) in _MAPPINGS
        if type(tree) is not self.type and not mappings:
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        contents, context = kind.open(tree)  # type: ignore[union-attr]
        if len(contents) != len(self._children):
            raise ValueError(f"Node arity mismatch; expected {len(self._children)}, but got {len(contents)}.")
        if mappings:
            keys = self.context[1] if self.type is defaultdict else self.context
            missing, extra = set(keys) - set(tree), set(tree) - set(keys)
            if missing or extra:
                raise ValueError(
                    "Node keys mismatch"
                    + (f"; missing key(s): {missing}" if missing else "")
                    + (f"; extra key(s): {extra}" if extra else "")
                    + "."
                )
            return [tree[key] for key in keys]
        if self.type is not deque and context != self.context:
            raise ValueError(
                f"Node context mismatch for custom node type {self.type!r}."
                if self.type in _KINDS
                else f"Node type mismatch; expected {self.context!r}, but got {context!r}."
            )
        return contents

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves, *self._children))

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self, indent: int = 0) -> str:
        if self.type is None:
            return "*"
        parts = [part.__repr__(indent + 2) for part in self._children]
        named = isinstance(self.context, type) and hasattr(self.context, "_fields")
        name = "namedtuple" if named else self.type.__name__
        context = None if issubclass(self.type, Result) else self.context
        between = ",\n" + " " * (indent + 2)
        return f"TreeSpec({name}, {context}, [{between.join(parts)}])"


LEAF = TreeSpec(None, None, [])


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return LEAF


def treespec_pprint(treespec: TreeSpec) -> str:
    """A structure as the container it is of, with a star for each leaf: `(*, {'a': *})`."""
    return repr(tree_unflatten([_Star()] * treespec.num_leaves, treespec))


class _Star:
    def __repr__(self) -> str:
        return "*"


# ---- apart, and together ----


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a nested container, and its structure; what `is_leaf` says is a leaf is not opened.

    Example:
        >>> from rushlight.utils._pytree import tree_flatten
        >>> tree_flatten([1, (2,)])[0]
        [1, 2]
    """
    leaves: list[Any] = []
    return leaves, _flattened(tree, is_leaf, leaves)


def _flattened(tree: Any, is_leaf: IsLeaf, leaves: list[Any]) -> TreeSpec:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind_of(tree)
    if kind is None:
        leaves.append(tree)
        return LEAF
    contents, context = kind.open(tree)
    return TreeSpec(type(tree), context, [_flattened(part, is_leaf, leaves) for part in contents])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The nested container of this structure that holds `leaves`.

    Raises:
        TypeError: `treespec` is no structure.
        ValueError: there are more leaves, or fewer.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"Expected `treespec` to be an instance of PyTreeSpec but got item of type {type(treespec)}."
        )
    given = list(leaves)
    if len(given) != treespec.num_leaves:
        raise ValueError(
            f"treespec.unflatten(leaves): `leaves` has length {len(given)} but the spec refers to a pytree that holds "
            f"{treespec.num_leaves} items ({treespec})."
        )
    return _closed(iter(given), treespec)


def _closed(leaves: Iterator[Any], spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    contents = [_closed(leaves, part) for part in spec._children]
    kind = _KINDS.get(spec.type) or (_RESULTS if issubclass(spec.type, Result) else _NAMED_TUPLE)
    return kind.close(contents, spec.context)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a nested container."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterator[Any]:
    """The leaves of a nested container, one after the other."""
    yield from tree_leaves(tree, is_leaf)


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    """The structure of a nested container."""
    return tree_flatten(tree, is_leaf)[1]


def tree_is_leaf(tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether something is no container."""
    return is_leaf is not None and is_leaf(tree) or _kind_of(tree) is None


def _broadcast_to_and_flatten(tree: Any, treespec: TreeSpec, is_leaf: IsLeaf = None) -> list[Any] | None:
    """The leaves of `tree`, each as often as `treespec` has leaves in its place; None if the two do not fit."""
    if tree_is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    contents, context = _kind_of(tree).open(tree)  # type: ignore[union-attr]
    if (type(tree), context, len(contents)) != (treespec.type, treespec.context, treespec.num_children):
        return None
    found: list[Any] = []
    for part, inside in zip(contents, treespec._children):
        spread = _broadcast_to_and_flatten(part, inside, is_leaf)
        if spread is None:
            return None
        found += spread
    return found


# ---- every leaf ----


def tree_map(func: Callable, tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """The same containers, with `func` applied to every leaf, and to what others have in its place.

    Example:
        >>> from rushlight.utils._pytree import tree_map
        >>> tree_map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
        {'x': 11, 'y': [22]}
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten(map(func, leaves, *others))


def tree_map_(func: Callable, tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """`func` called with every leaf, for what it does; gives the tree back."""
    leaves, spec = tree_flatten(tree, is_leaf)
    for parts in zip(leaves, *[spec.flatten_up_to(rest) for rest in rests]):
        func(*parts)
    return tree


def _chosen(which: Any) -> Callable[[Any], bool]:
    """A test from one, from a type, or from several types."""
    if isinstance(which, (type, tuple, UnionType)):
        return lambda leaf: isinstance(leaf, which)
    if callable(which):
        return which
    raise TypeError("Argument must be a type, a tuple of types, or a callable.")


def tree_map_only(which: Any, /, func: Callable, tree: Any, is_leaf: IsLeaf = None) -> Any:
    """`tree_map` of the leaves of some types, or of those that pass a test; the others stay."""
    test = _chosen(which)
    return tree_map(lambda leaf: func(leaf) if test(leaf) else leaf, tree, is_leaf=is_leaf)


def tree_map_only_(which: Any, /, func: Callable, tree: Any, is_leaf: IsLeaf = None) -> Any:
    """`tree_map_` of the leaves of some types, or of those that pass a test."""
    test = _chosen(which)
    return tree_map_(lambda leaf: func(leaf) if test(leaf) else leaf, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether all leaves pass a test."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether some leaf passes a test."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(types: Any, /, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether all leaves of these types pass a test."""
    return all(pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, types))


def tree_any_only(types: Any, /, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether some leaf of these types passes a test."""
    return any(pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, types))


# ---- where leaves are ----


@dataclass(frozen=True)
class SequenceKey:
    """A place in a list."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        return sequence[self.idx]


@dataclass(frozen=True)
class MappingKey:
    """A place in a dictionary."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        return mapping[self.key]


@dataclass(frozen=True)
class GetAttrKey:
    """An attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        return getattr(obj, self.name)


def keystr(kp: Iterable[Any]) -> str:
    """A path as Python writes it: `['a'][0]`."""
    return "".join(map(str, kp))


def key_get(obj: Any, kp: Iterable[Any]) -> Any:
    """What is found at the end of a path."""
    for key in kp:
        obj = key.get(obj)
    return obj


def tree_leaves_with_path(tree: Any, is_leaf: IsLeaf = None) -> list[tuple[tuple, Any]]:
    """The leaves of a nested container, each with the path to it.

    Example:
        >>> from rushlight.utils._pytree import keystr, tree_leaves_with_path
        >>> [(keystr(path), leaf) for path, leaf in tree_leaves_with_path({"a": [1, 2]})]
        [("['a'][0]", 1), ("['a'][1]", 2)]
    """
    return list(_paths((), tree, is_leaf))


def _paths(path: tuple, tree: Any, is_leaf: IsLeaf) -> Iterator[tuple[tuple, Any]]:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind_of(tree)
    if kind is None:
        yield path, tree
        return
    if kind.keys is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {type(tree)}. Please pass a flatten_with_keys_fn argument to "
            "register_pytree_node."
        )
    contents, context = kind.open(tree)
    for key, part in zip(kind.keys(tree, context), contents):
        yield from _paths((*path, key), part, is_leaf)


def tree_flatten_with_path(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[tuple[tuple, Any]], TreeSpec]:
    """The leaves of a nested container with the paths to them, and its structure."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(func: Callable, tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """`tree_map`, with the path to the leaf as the first argument."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten(func(*entry, *rest) for entry, *rest in zip(found, *others))
