"""The backward walk: nodes in the reverse of the order they were made in, each once.

1. Count, for every node reachable from the roots, how many gradients it will get.
2. Take the newest node whose gradients are all there; run its derivative.
3. Bring each gradient to the shape and dtype of the input it belongs to (this is where
   broadcasting and type promotion are undone), and add it to what that input already has.
4. A leaf whose gradients are all there gets their sum in `.grad`.

No recursion, so depth is bounded by memory alone. Newest-first is also PyTorch's order,
which fixes the order of the additions and with it the bits of the result.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Sequence
from typing import Any

from rushlight.buffer import LEAF, Tensor, storage
from rushlight.dtypes import FLOATING, REDUCED  # noqa: F401
from rushlight.layout import is_dense
from rushlight.tape.modes import MODES
from rushlight.tape.node import ANOMALY, Meta, Node, edge_of, meta_of


def run_backward(
    roots: Sequence[tuple[Any, Tensor]],
    keep_graph: bool,
    create_graph: bool,
    targets: Sequence[Any] | None = None,
    accumulate: bool = True,
) -> dict[Any, Any]:
    """Send gradients from the roots down to the leaves.

    Args:
        roots: (edge, gradient) pairs.
        targets: edges whose gradient is wanted, or None for all leaves.
        accumulate: whether leaves get it in `.grad`; otherwise it is returned by edge.
    """
    walk = _Walk(keep_graph, create_graph, targets, accumulate)
    before = MODES.grad
    MODES.grad = create_graph
    try:
        walk.go(roots)
    finally:
        MODES.grad = before
    return walk.found


def _key(edge: Any) -> Any:
    return edge[0] if type(edge) is tuple else edge


class _Walk:
    def __init__(self, keep: bool, create: bool, targets: Sequence[Any] | None, accumulate: bool) -> None:
        self.keep = keep
        self.create = create
        self.accumulate = accumulate
        self.targets = None if targets is None else set(targets)
        self.found: dict[Any, Any] = {}
        self.pending: dict[Any, Any] = {}  # Node or leaf -> its gradient(s) so far
        self.waiting: dict[Any, int] = {}  # Node or leaf -> gradients still to come
        self.ready: list[tuple[int, Node]] = []

    def go(self, roots: Sequence[tuple[Any, Tensor]]) -> None:
        self._count([_key(edge) for edge, _ in roots])
        useful = None if self.targets is None else self._useful()
        for edge, g in roots:
            self.waiting[_key(edge)] = self.waiting.get(_key(edge), 0) + 1
        for edge, g in roots:
            self._deliver(edge, g)
        while self.ready:
            node = heapq.heappop(self.ready)[1]
            g = self.pending.pop(node)
            if useful is None or node in useful:
                self._run(node, g, useful)
            else:
                self._skip(node)

    def _count(self, roots: list[Any]) -> None:
        waiting = self.waiting
        seen = set(roots)
        stack = list(seen)
        while stack:
            node = stack.pop()
            if isinstance(node, Tensor):
                continue
            for edge in node.edges:
                if edge is None:
                    continue
                target = edge[0] if type(edge) is tuple else edge
                waiting[target] = waiting.get(target, 0) + 1
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        self.seen = seen

    def _useful(self) -> set:
        """The nodes from which a target can be reached; the others need not run."""
        assert self.targets is not None
        goals = {_key(edge) for edge in self.targets}
        users: dict[Any, list[Node]] = {}
        for node in self.seen:
            if isinstance(node, Node):
                for edge in node.edges:
                    if edge is not None:
                        users.setdefault(_key(edge), []).append(node)
        useful: set = set()
        stack = [goal for goal in goals if goal in self.seen]
        while stack:
            for user in users.get(stack.pop(), ()):
                if user not in useful:
                    useful.add(user)
                    stack.append(user)
        self.goals = goals
        return useful

    # ---- one node ----

    def _run(self, node: Any, g: Any, useful: set | None) -> None:
        if not node.several:
            g = g[0] if type(g) is list else g
        g = self._before(node, g)
        if g is None:
            return self._skip(node)
        try:
            grads = node.run(g)
        except Exception as error:
            if node.traceback is not None:
                _note_origin(node, error)
            raise
        if not self.keep:
            node.release()
        if node.hooks is not None:
            grads = _run_hooks(node, grads, g)
        if ANOMALY and ANOMALY[-1]:
            _check_nan(node, grads)
        edges = node.edges
        if len(grads) != len(edges):
            raise RuntimeError(
                f"function {node.name()} returned an incorrect number of gradients "
                f"(expected {len(edges)}, got {len(grads)})"
            )
        for edge, grad in zip(edges, grads):
            if edge is not None:
                self._deliver(edge, grad, node)

    def _before(self, node: Any, g: Any) -> Any:
        """Hooks on the outputs, retained gradients, and gradients that the caller asked for."""
        if node.prehooks is not None:
            g = _run_prehooks(node, g)
        if node.retained is not None:
            for number, t in node.retained.items():
                grad = g[number] if node.several else g
                t = t()
                if t is not None and grad is not None:
                    t._grad = grad if getattr(t, "_grad", None) is None else t._grad + grad
        if self.targets is not None and node in self.goals:
            for edge in self.targets:
                if _key(edge) is node:
                    self._find(edge, g[edge[1]] if type(edge) is tuple else g)
        if node.several and all(grad is None for grad in g):
            return None
        return g

    def _find(self, edge: Any, g: Any) -> None:
        if g is not None:
            self.found[edge] = g

    def _skip(self, node: Node) -> None:
        for edge in node.edges:
            if edge is not None:
                self._deliver(edge, None)

    def _deliver(self, edge: Any, g: Any, source: Any = None) -> None:
        """One gradient has come for `edge`, or word that none will (None)."""
        target, number = edge if type(edge) is tuple else (edge, 0)
        leaf = not isinstance(target, Node)
        if g is not None:
            meta = meta_of(target) if leaf else target.metas[number]
            if g._a.shape != meta.shape or g._dtype is not meta.dtype:
                g = fit(g, meta, source)
            self._add(target, number, g, leaf)
        left = self.waiting[target] = self.waiting[target] - 1
        if left:
            return
        if leaf:
            if target in self.pending:
                self._finish_leaf(target, self.pending.pop(target))
        elif target in self.pending:
            heapq.heappush(self.ready, (-target.seq, target))
        else:
            self._skip(target)

    def _add(self, target: Any, number: int, g: Any, leaf: bool) -> None:
        pending = self.pending
        if leaf or not target.several:
            have = pending.get(target)
            pending[target] = g if have is None else have + g
            return
        grads = pending.get(target)
        if grads is None:
            grads = pending[target] = [None] * len(target.metas)
        grads[number] = g if grads[number] is None else grads[number] + g

    # ---- leaves ----

    def _finish_leaf(self, leaf: Tensor, g: Any) -> None:
        hooks = getattr(leaf, "_hooks", None)
        if hooks:
            for hook in list(hooks.values()):
                changed = hook(g)
                if changed is not None:
                    g = _checked(changed, meta_of(leaf), "hook")
        if self.targets is not None and leaf not in self.targets:
            return
        if not self.accumulate:
            self.found[leaf] = g
            return
        have = getattr(leaf, "_grad", None)
        if have is None:
            leaf._grad = g if self.create else _own(g, leaf, sys.getrefcount(g))
        elif self.create:
            leaf._grad = have + g
        else:
            have.add_(g)
        after = leaf.__dict__.get("_post_hooks")
        if after:
            for hook in list(after.values()):
                hook(leaf)


def _own(g: Any, leaf: Tensor, references: int) -> Any:
    """The gradient as memory of the leaf's own, laid out as the leaf is.

    `g` is kept without a copy if nobody else holds it (four references: the walk's two
    variables, the argument here and the count's own) and its memory is not a view's.
    """
    a, like = g._a, leaf._a
    if references <= 4 and g._buf is None and a.base is None and g._edge is None and a.strides == like.strides:
        return g
    if is_dense(like.shape, like.strides):
        out = leaf.detach().new_empty_strided(like.shape, tuple(s // like.itemsize for s in like.strides))
        return out.copy_(g.detach())
    return g.detach().clone()


# ---- fitting a gradient to its input ----


def fit(g: Any, meta: Meta, source: Any) -> Any:
    """The gradient in the input's shape and dtype: sums what was broadcast, casts what was promoted."""
    if g._a.shape != meta.shape:
        g = sum_to(g, meta.shape, source)
    kind = meta.dtype
    if g._dtype is not kind:
        if g._dtype.is_complex and not kind.is_complex:
            g = g.real
        if g._dtype is not kind:
            g = g.to(kind)
    return g


def sum_to(g: Any, shape: tuple[int, ...], source: Any) -> Any:
    """The sum of `g` over the dimensions along which `shape` was broadcast."""
    have = g._a.shape
    lead = len(have) - len(shape)
    fits = lead >= 0 and all(n == m or n == 1 for n, m in zip(shape, have[lead:]))
    if not fits:
        name = source.name() if source is not None else "a function"
        raise RuntimeError(
            f"Function {name} returned an invalid gradient at index 0 - got {list(have)} "
            f"but expected shape compatible with {list(shape)}"
        )
    dims = list(range(lead)) + [lead + i for i, n in enumerate(shape) if n == 1 and have[lead + i] != 1]
    if dims:
        g = g.sum(dims, True)
    return g.reshape(shape) if g._a.shape != shape else g


def _checked(g: Any, meta: Meta, what: str) -> Any:
    if not isinstance(g, Tensor):
        raise TypeError(f"expected the {what} to return a Tensor or None, but got {type(g).__name__}")
    if g._a.shape != meta.shape:
        raise RuntimeError(f"{what} has changed the size of value: {list(meta.shape)} became {list(g._a.shape)}")
    return g


# ---- hooks ----


def _run_prehooks(node: Any, g: Any) -> Any:
    for hook in list(node.prehooks.values()):
        if getattr(hook, "output", None) is not None:
            g = _tensor_hook(node, hook, g)
            continue
        changed = hook(tuple(g) if node.several else (g,))
        if changed is not None:
            changed = changed if isinstance(changed, tuple) else (changed,)
            g = list(changed) if node.several else changed[0]
    return g


def _tensor_hook(node: Any, hook: Any, g: Any) -> Any:
    """A hook registered on one output tensor."""
    number = hook.output
    have = g[number] if node.several else g
    if have is None:
        return g
    changed = hook(have)
    if changed is None:
        return g
    changed = _checked(changed, node.metas[number], "hook")
    if not node.several:
        return changed
    g = list(g)
    g[number] = changed
    return g


def _run_hooks(node: Any, grads: Sequence[Any], g: Any) -> Sequence[Any]:
    outputs = tuple(g) if node.several else (g,)
    for hook in list(node.hooks.values()):
        changed = hook(tuple(grads), outputs)
        if changed is not None:
            grads = changed if isinstance(changed, tuple) else (changed,)
    return grads


# ---- anomaly detection ----


def _note_origin(node: Any, error: Exception) -> None:
    import warnings

    trace = "".join(node.traceback)
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{trace}", stacklevel=4
    )


def _check_nan(node: Any, grads: Sequence[Any]) -> None:
    for number, grad in enumerate(grads):
        if grad is not None and grad._dtype.category >= FLOATING and bool(grad.isnan().any()):
            error = RuntimeError(f"Function '{node.name()}' returned nan values in its {number}th output.")
            if node.traceback is not None:
                _note_origin(node, error)
            raise error


__all__ = ["run_backward", "fit", "sum_to", "edge_of", "LEAF", "storage"]
