"""Nested containers against PyTorch's: leaves, structures, paths, what does not fit."""

import collections

import pytest
import torch
import torch.utils._pytree as theirs

import rushlight
from rushlight.utils import _pytree as ours

BOTH = ((torch, theirs), (rushlight, ours))
Point = collections.namedtuple("Point", "x y")
TREES = {
    "nested": lambda t: {"a": [1, (2, None)], "b": 3},
    "leaf": lambda t: 1,
    "none": lambda t: None,
    "empty": lambda t: [(), {}],
    "ordered": lambda t: collections.OrderedDict(b=1, a=[2]),
    "defaults": lambda t: collections.defaultdict(int, {1: 2}),
    "deque": lambda t: collections.deque([1, 2], maxlen=3),
    "named": lambda t: Point(1, (2,)),
    "size": lambda t: t.ones(2, 3).shape,
    "result": lambda t: [t.ones(2).sort()],
}


@pytest.mark.parametrize("name", TREES)
def test_trees_are_taken_apart_and_put_together(name):
    def seen(t, p):
        tree = TREES[name](t)
        leaves, spec = p.tree_flatten(tree)
        again = p.tree_unflatten(leaves, spec)
        made = p.tree_map(lambda leaf: (leaf,), tree)
        paths = [(str(path), leaf) for path, leaf in p.tree_flatten_with_path(tree)[0]]
        facts = (
            spec.num_leaves,
            spec.num_nodes,
            spec.num_children,
            spec.is_leaf(),
            spec == p.tree_structure(again),
        )
        return str([leaves, spec, spec.context, spec.children(), again, made, paths, facts])

    (expected, found) = [seen(t, p) for t, p in BOTH]
    assert found.replace("rushlight", "torch") == expected


CALLS = {
    "several": lambda p: p.tree_map(lambda a, b: a + b, {"a": 1, "b": 2}, collections.OrderedDict(b=5, a=6)),
    "a tree for a leaf": lambda p: p.tree_map(lambda a, b: (a, b), {"a": 1}, {"a": (1, 2)}),
    "is_leaf": lambda p: p.tree_leaves([1, None, (2,)], is_leaf=lambda x: isinstance(x, tuple)),
    "only types": lambda p: p.tree_map_only((int, float), lambda x: x + 1, [1, "a"]),
    "only passing": lambda p: p.tree_map_only(lambda x: x == "a", lambda x: 0, [1, "a"]),
    "tests": lambda p: [
        p.tree_all(bool, [1, 0]),
        p.tree_any(bool, [1, 0]),
        p.tree_all_only(int, bool, [1, ""]),
        p.tree_any_only(str, bool, [1, ""]),
        p.tree_is_leaf([]),
        p.tree_is_leaf(None),
    ],
    "iter": lambda p: list(p.tree_iter([1, (2,)])),
    "in place": lambda p: p.tree_map_(lambda x: x.append(1) if isinstance(x, list) else None, ({},)),
    "paths": lambda p: p.tree_map_with_path(lambda k, x: (p.keystr(k), x), {"a": [1, Point(2, 3)]}),
    "get": lambda p: [
        p.key_get(tree, path) for tree in [{"a": [Point(1, 2)]}] for path, _ in p.tree_leaves_with_path(tree)
    ],
    "broadcast": lambda p: [
        p._broadcast_to_and_flatten(prefix, p.tree_structure([(1, 2), 3]))
        for prefix in ([1, 2], [1, 2, 3], 1, (1, 2))
    ],
    "pprint": lambda p: p.treespec_pprint(
        p.tree_structure({"a": [1, (2,)], "b": collections.OrderedDict(x=1), "c": collections.deque([1])})
    ),
    "up to": lambda p: p.tree_structure([1, (2, 3)]).flatten_up_to([1, ([3], 4)]),
    "unequal": lambda p: p.tree_structure({"a": 1, "b": 2}) == p.tree_structure({"b": 1, "a": 2}),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_of_trees(name):
    assert CALLS[name](ours) == CALLS[name](theirs)


WRONG = {
    "too few": lambda p: p.tree_unflatten([1], p.tree_structure([1, (2,)])),
    "no structure": lambda p: p.tree_unflatten([1], 3),
    "arity": lambda p: p.tree_map(max, [1, 2], [1]),
    "type": lambda p: p.tree_map(max, [1, 2], (1, 2)),
    "leaf": lambda p: p.tree_map(max, [1, 2], 1),
    "keys": lambda p: p.tree_map(max, {"a": 1}, {"b": 2}),
    "which": lambda p: p.tree_map_only(3, max, [1]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit(name):
    with pytest.raises((ValueError, TypeError)) as expected:
        WRONG[name](theirs)
    with pytest.raises(expected.type) as found:
        WRONG[name](ours)
    assert str(found.value) == str(expected.value)


def test_types_can_be_registered():
    for _, p in BOTH:

        class Pair:
            def __init__(self, a, b):
                self.a, self.b = a, b

        opened, closed = lambda pair: ([pair.a, pair.b], "c"), lambda parts, context: Pair(*parts)
        p.register_pytree_node(Pair, opened, closed)
        leaves, spec = p.tree_flatten([Pair(1, (2,))])
        assert leaves == [1, 2] and spec.child(0).context == "c"
        assert p.tree_map(lambda x: -x, Pair(1, [2])).b == [-2]
        with pytest.raises(ValueError, match="already registered as pytree node"):
            p.register_pytree_node(Pair, opened, closed)
        with pytest.raises(ValueError, match="Did not find a flatten_with_keys_fn"):
            p.tree_flatten_with_path(Pair(1, 2))


def test_types_can_be_registered_with_keys():
    for _, p in BOTH:

        class Box:
            def __init__(self, inside):
                self.inside = inside

        p.register_pytree_node(
            Box,
            lambda box: ([box.inside], None),
            lambda parts, _: Box(*parts),
            flatten_with_keys_fn=lambda box: ([(p.GetAttrKey("inside"), box.inside)], None),
        )
        ((path, leaf),) = p.tree_leaves_with_path(Box(5))
        assert p.keystr(path) == ".inside" and leaf == 5
