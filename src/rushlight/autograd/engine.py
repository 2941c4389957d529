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

from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, dtype
from rushlight.layout import is_dense
from rushlight.tape.modes import MODES
from rushlight.tape.node import ANOMALY, Node


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
    """One backward pass.

    Attributes:
        pending: node or leaf -> its gradient so far (a list of them for a node with several outputs).
        waiting: node or leaf -> how many gradients are still to come.
        ready: a heap of (-sequence number, node).
        found: edge -> gradient, for the targets.
    """

    __slots__ = ("keep", "create", "accumulate", "targets", "goals", "found", "pending", "waiting", "ready")

    def __init__(self, keep: bool, create: bool, targets: Sequence[Any] | None, accumulate: bool) -> None:
        self.keep = keep
        self.create = create
        self.accumulate = accumulate
        self.targets = None if targets is None else list(targets)
        self.found: dict[Any, Any] = {}
        self.pending: dict[Any, Any] = {}
        self.waiting: dict[Any, int] = {}
        self.ready: list[tuple[int, Any]] = []

    def go(self, roots: Sequence[tuple[Any, Tensor]]) -> None:
        self._count([_key(edge) for edge, _ in roots])
        useful = None if self.targets is None else self._useful()
        waiting = self.waiting
        for edge, _ in roots:
            waiting[_key(edge)] += 1
        for edge, g in roots:
            self._deliver(edge, g, None)
        ready, pending, deliver, pop = self.ready, self.pending, self._deliver, heapq.heappop
        while ready:
            node = pop(ready)[1]
            g = pending.pop(node)
            if node.extra is not None or useful is not None:
                g = self._before(node, g)
                if g is None or useful is not None and node not in useful:
                    self._skip(node)
                    continue
            grads = self._run(node, g) if node.extra is not None or ANOMALY else node.run(g)
            edges = node.edges
            if len(grads) != len(edges):
                raise RuntimeError(
                    f"function {node.name()} returned an incorrect number of gradients "
                    f"(expected {len(edges)}, got {len(grads)})"
                )
            if not self.keep:
                node.release()
            g = None
            for edge, grad in zip(edges, grads):
                if edge is not None:
                    deliver(edge, grad, node)
            grads = grad = None

    def _count(self, roots: list[Any]) -> None:
        waiting = self.waiting
        stack = []
        for root in roots:
            if root not in waiting:
                waiting[root] = 0
                stack.append(root)
        while stack:
            node = stack.pop()
            if isinstance(node, Tensor):
                continue
            for edge in node.edges:
                if edge is not None:
                    target = edge[0] if type(edge) is tuple else edge
                    if target in waiting:
                        waiting[target] += 1
                    else:
                        waiting[target] = 1
                        stack.append(target)

    def _useful(self) -> set:
        """The nodes from which a target can be reached; the others need not run."""
        assert self.targets is not None
        self.goals = {_key(edge) for edge in self.targets}
        users: dict[Any, list[Node]] = {}
        for node in self.waiting:
            if isinstance(node, Node):
                for edge in node.edges:
                    if edge is not None:
                        users.setdefault(_key(edge), []).append(node)
        useful: set = set()
        stack = [goal for goal in self.goals if goal in self.waiting]
        while stack:
            for user in users.get(stack.pop(), ()):
                if user not in useful:
                    useful.add(user)
                    stack.append(user)
        return useful

    # ---- one node ----

    def _run(self, node: Any, g: Any) -> Sequence[Any]:
        """Run a node that has hooks, or under anomaly detection."""
        try:
            grads = node.run(g)
        except Exception:
            _note_origin(node)
            raise
        extra = node.extra
        if extra is not None and extra.hooks:
            grads = _run_hooks(extra.hooks, grads, g if node.several else (g,))
        if ANOMALY and ANOMALY[-1]:
            _check_nan(node, grads)
        return grads

    def _before(self, node: Any, g: Any) -> Any:
        """Hooks on the outputs, retained gradients, and gradients that the caller asked for."""
        grads = list(g) if node.several else [g]
        if node.extra is not None:
            _run_output_hooks(node, grads)
        if self.targets is not None and node in self.goals:
            for edge in self.targets:
                if _key(edge) is node:
                    found = grads[edge[1] if type(edge) is tuple else 0]
                    if found is not None:
                        self.found[edge] = found
        if all(grad is None for grad in grads):
            return None
        return grads if node.several else grads[0]

    def _skip(self, node: Node) -> None:
        """No gradient comes through `node`: tell those who wait for it. (Not recursive: see `_deliver`.)"""
        stack = [node]
        while stack:
            for edge in stack.pop().edges:
                if edge is not None and self._arrived(edge[0] if type(edge) is tuple else edge):
                    stack.append(edge[0] if type(edge) is tuple else edge)

    def _deliver(self, edge: Any, g: Any, source: Any) -> None:
        """One gradient has come for `edge`, or word that none will (None)."""
        target, number = edge if type(edge) is tuple else (edge, 0)
        if g is not None:
            shape, kind = (target._a.shape, target._dtype) if isinstance(target, Tensor) else target.metas[number]
            if g._a.shape != shape or g._dtype is not kind:
                g = fit(g, shape, kind, source)
            pending = self.pending
            if isinstance(target, Tensor) or not target.several:
                have = pending.get(target)
                pending[target] = g if have is None else have + g
                have = None
            else:
                grads = pending.get(target)
                if grads is None:
                    grads = pending[target] = [None] * len(target.metas)
                grads[number] = g if grads[number] is None else grads[number] + g
        g = None
        if self._arrived(target):
            self._skip(target)

    def _arrived(self, target: Any) -> bool:
        """Count one arrival; start what has everything. True if `target` is a node that got nothing."""
        left = self.waiting[target] = self.waiting[target] - 1
        if left:
            return False
        if isinstance(target, Tensor):
            if target in self.pending:
                self._finish_leaf(target)
            return False
        if target in self.pending:
            heapq.heappush(self.ready, (-target.seq, target))
            return False
        return True

    # ---- leaves ----

    def _finish_leaf(self, leaf: Tensor) -> None:
        g = self.pending.pop(leaf)
        hooks = getattr(leaf, "_hooks", None)
        if hooks:
            for hook in list(hooks.values()):
                changed = hook(g)
                if changed is not None:
                    g = _checked(changed, leaf._a.shape, "hook")
        if self.targets is not None and not any(leaf is target for target in self.targets):
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


def fit(g: Any, shape: tuple[int, ...], kind: dtype, source: Any) -> Any:
    """The gradient in the input's shape and dtype: sums what was broadcast, casts what was promoted."""
    if g._a.shape != shape:
        g = sum_to(g, shape, source)
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
    if lead < 0 or not all(n == m or n == 1 for n, m in zip(shape, have[lead:])):
        name = source.name() if source is not None else "a function"
        raise RuntimeError(
            f"Function {name} returned an invalid gradient at index 0 - got {list(have)} "
            f"but expected shape compatible with {list(shape)}"
        )
    dims = list(range(lead)) + [lead + i for i, n in enumerate(shape) if n == 1 and have[lead + i] != 1]
    if dims:
        g = g.sum(dims, True)
    return g.reshape(shape) if g._a.shape != shape else g


def _checked(g: Any, shape: tuple[int, ...], what: str) -> Any:
    if not isinstance(g, Tensor):
        raise TypeError(f"expected the {what} to return a Tensor or None, but got {type(g).__name__}")
    if g._a.shape != shape:
        raise RuntimeError(f"{what} has changed the size of value")
    return g


# ---- hooks ----


def _run_output_hooks(node: Any, grads: list) -> None:
    """Pre-hooks of the node, hooks of its output tensors, then what those tensors retain; in place."""
    extra = node.extra
    for number, hooks in (extra.outputs or {}).items():
        for hook in list(hooks.values()):
            if grads[number] is not None:
                changed = hook(grads[number])
                if changed is not None:
                    grads[number] = _checked(changed, node.metas[number][0], "hook")
    for hook in list((extra.prehooks or {}).values()):
        changed = hook(tuple(grads))
        if changed is not None:
            grads[:] = changed if isinstance(changed, tuple) else (changed,)
    for number, held in (extra.retained or {}).items():
        t = held()
        if t is not None and grads[number] is not None:
            have = getattr(t, "_grad", None)
            t._grad = grads[number].clone() if have is None else have + grads[number]


def _run_hooks(hooks: dict, grads: Sequence[Any], outputs: Sequence[Any]) -> Sequence[Any]:
    for hook in list(hooks.values()):
        changed = hook(tuple(grads), tuple(outputs))
        if changed is not None:
            grads = changed if isinstance(changed, tuple) else (changed,)
    return grads


# ---- anomaly detection ----


def _note_origin(node: Any) -> None:
    if node.extra is None or node.extra.traceback is None:
        return
    import warnings

    trace = "".join(node.extra.traceback)
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{trace}", stacklevel=6
    )


def _check_nan(node: Any, grads: Sequence[Any]) -> None:
    for number, grad in enumerate(grads):
        if grad is not None and grad._dtype.category >= FLOATING and bool(grad.isnan().any()):
            _note_origin(node)
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {number}th output.")
