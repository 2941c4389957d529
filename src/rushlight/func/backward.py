"""The backward walk with gradients of a batch: one walk for all entries, each node run on all of them at once."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from rushlight.autograd.engine import meta_of_edge
from rushlight.batched import NeedsBatching
from rushlight.buffer import Tensor
from rushlight.func.dispatch import innermost
from rushlight.ops.joining import stack


def walk_batched(walk: Any, roots: Sequence[tuple[Any, Any]]) -> None:
    """What `walk` would do with ordinary gradients; see `rushlight.autograd.engine`."""
    walk.pending.clear()
    walk.ready.clear()
    for edge, g in roots:
        walk.deliver(edge, fitted(g, *meta_of_edge(edge)))
    while walk.ready:
        node = heapq.heappop(walk.ready)[1]
        g = walk.pending.pop(node)
        if node.extra is not None or walk.useful is not None:
            g = walk.before(node, g)
            if g is None:
                continue
        grads = run(node, g)
        if not walk.keep:
            node.release()
        for edge, grad in zip(node.edges, grads):
            if edge is not None and grad is not None:
                walk.deliver(edge, fitted(grad, *meta_of_edge(edge)))
    for leaf in [target for target in walk.pending if isinstance(target, Tensor)]:
        walk.finish_leaf(leaf, walk.pending.pop(leaf))


def run(node: Any, g: Any) -> Sequence[Any]:
    """The gradients of a node's inputs: of all entries at once, or else of one after the other."""
    try:
        return node.run(g)
    except NeedsBatching:
        pass
    grads = list(g) if node.several else [g]
    at = innermost(grads)
    if at is None:
        raise NeedsBatching
    rows = []
    for n in range(at.size):
        entry = [grad.inner[n] if at.has(grad) else grad for grad in grads]
        rows.append(run(node, entry if node.several else entry[0]))
    return [_stacked(at, column) for column in zip(*rows)]


def _stacked(at: Any, column: tuple) -> Any:
    given = [g for g in column if g is not None]
    return (
        at.out(stack([given[0].new_zeros(given[0].shape) if g is None else g for g in column]))
        if given
        else None
    )


def fitted(g: Any, shape: tuple[int, ...], kind: Any) -> Any:
    """The gradient in the input's shape and dtype: sums what was broadcast, casts what was promoted."""
    have = tuple(g.shape)
    if have != shape:
        lead = len(have) - len(shape)
        dims = [*range(lead), *[lead + d for d, n in enumerate(shape) if n == 1 and have[lead + d] != 1]]
        g = (g.sum(dims, True) if dims else g).reshape(shape)
    if g.dtype is not kind:
        g = g.real if g.dtype.is_complex and not kind.is_complex else g
        g = g.to(kind)
    return g
