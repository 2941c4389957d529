"""The backward walk: nodes in the reverse of the order they were made in, each once.

1. Find what is reachable from the roots; count the gradients that each leaf will get.
2. Take the newest node that has a gradient; run its derivative.
3. Bring each gradient to the shape and dtype of the input it belongs to (this is where
   broadcasting and type promotion are undone), and add it to what that input already has.
4. A leaf whose gradients are all there gets their sum in `.grad`.

No recursion, so depth is bounded by memory alone. Newest-first is also PyTorch's order,
which fixes the order of the additions and with it the bits of the result.
"""

from __future__ import annotations

import heapq
import operator
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.autograd.anomaly import check_nan, note_origin
from rushlight.autograd.fitting import fit
from rushlight.autograd.hook_calls import (
    check_returns_nothing,
    hooked,
    run_hooks,
    run_output_hooks,
    run_prehooks,
)
from rushlight.batched import TAKE_OVER, NeedsBatching
from rushlight.buffer import LEAF, Tensor, is_guarded, new_tensor, storage, strides
from rushlight.dtypes import dtype
from rushlight.graph.expr import Pending
from rushlight.layout import is_dense
from rushlight.memory import LARGE, owned
from rushlight.runtime.deferral import TOTALS
from rushlight.runtime.execute import quiet
from rushlight.tape.modes import MODES
from rushlight.tape.node import Extra, Node, edge_of, requires_grad
from rushlight.tape.recording import ANOMALY


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
    before, around = MODES.grad, _RUNNING.walk
    MODES.grad, _RUNNING.walk = create_graph, walk
    try:
        walk.go(roots)
    finally:
        MODES.grad, _RUNNING.walk = before, around
    if TOTALS and not keep_graph:
        from rushlight.runtime.totals import let_go

        let_go()
    return walk.found


class _Running(threading.local):
    walk: Any = None


_RUNNING = _Running()


def current_walk() -> Any:
    """The backward pass that this thread is in; hooks may ask."""
    return _RUNNING.walk


_NOTHING: frozenset = frozenset()
_AGE = operator.attrgetter("seq")


def _key(edge: Any) -> Any:
    return edge[0] if type(edge) is tuple else edge


def meta_of_edge(edge: Any) -> tuple[tuple[int, ...], dtype]:
    """Shape and dtype that a gradient for `edge` must have."""
    if isinstance(edge, Tensor):
        return edge._a.shape, edge._dtype
    target, number = edge if type(edge) is tuple else (edge, 0)
    return target.metas[number]


class _Walk:
    """One backward pass.

    Attributes:
        pending: node or leaf -> its gradient so far (a list of them for a node with several outputs).
        waiting: every node and leaf that may be reached -> how many gradients are still to come (for leaves).
        ready: a heap of (-sequence number, node).
        found: edge -> gradient, for the targets.
        ends: nodes behind which nothing is wanted.
        leaves: how many may be reached; blind: whether a node leads nowhere.
        sparse: leaf -> the sum of its sparse gradients so far.
    """

    __slots__ = (
        "keep",
        "create",
        "accumulate",
        "targets",
        "goals",
        "useful",
        "found",
        "pending",
        "waiting",
        "ready",
        "ends",
        "leaves",
        "blind",
        "sparse",
        "__weakref__",
    )

    def __init__(self, keep: bool, create: bool, targets: Sequence[Any] | None, accumulate: bool) -> None:
        self.keep = keep
        self.create = create
        self.accumulate = accumulate
        self.targets = None if targets is None else list(targets)
        self.goals: Any = _NOTHING
        self.found: dict[Any, Any] = {}
        self.ends: Any = _NOTHING
        self.leaves = 0
        self.blind = False
        self.pending: dict[Any, Any] = {}
        self.waiting: dict[Any, int] = {}
        self.ready: list[tuple[int, Any]] = []
        self.sparse: dict[Any, Any] = {}

    def go(self, roots: Sequence[tuple[Any, Any]]) -> None:
        self._explore(roots)
        useful = self.useful = None if self.targets is None else self._useful()
        goals = self.goals
        ready, pending, waiting, ends, keep = self.ready, self.pending, self.waiting, self.ends, self.keep
        push, pop = heapq.heappush, heapq.heappop
        try:
            for edge, g in roots:
                shape, kind = edge.metas[0] if isinstance(edge, Node) else meta_of_edge(edge)
                if g._a.shape != shape or g._dtype is not kind:
                    g = fit(g, shape, kind, None)
                self.deliver(edge, g)
        except NeedsBatching:
            return TAKE_OVER.backward(self, roots)
        node = g = None
        while True:
            if node is None:
                if not ready:
                    break
                node = pop(ready)[1]
                g = pending.pop(node)
            edges = node.edges
            extra = node.extra
            if extra is not None or useful is not None or ANOMALY:
                if extra is not None or useful is not None and (node in goals or node not in useful):
                    g = self.before(node, g)
                    if g is None:
                        node = None
                        continue
                special = extra is not None or ANOMALY or node in ends
            else:
                special = False
            if special or not node.promotes and len(edges) > 1:
                grads: Any = self._run(node, g)
            else:
                grads = node.run(g)
            if len(grads) != len(edges):
                raise RuntimeError(
                    f"function {node.name()} returned an incorrect number of gradients "
                    f"(expected {len(edges)}, got {len(grads)})"
                )
            if not keep:
                node.release()
            g = following = (
                None  # the node that this one leads to, and its gradient, which need not be looked for
            )
            for edge, grad in zip(edges, grads):
                if edge is None or grad is None:
                    continue
                if isinstance(edge, Node):
                    shape, kind = edge.metas[0]
                    if grad._a.shape != shape or grad._dtype is not kind:
                        grad = fit(grad, shape, kind, node)
                    if edge is following:
                        g = g + grad
                    elif edge in pending:
                        pending[edge] = pending[edge] + grad
                    elif following is None:
                        following, g = edge, grad
                    else:
                        pending[edge] = grad
                        push(ready, (-edge.seq, edge))
                elif type(edge) is tuple:
                    shape, kind = meta_of_edge(edge)
                    if grad._a.shape != shape or grad._dtype is not kind:
                        grad = fit(grad, shape, kind, node)
                    self.deliver(edge, grad)
                else:
                    if grad._a.shape != edge._a.shape or grad._dtype is not edge._dtype:
                        grad = fit(grad, edge._a.shape, edge._dtype, node)
                    if edge in pending:
                        grad = pending.pop(edge) + grad
                    left = waiting[edge] = waiting[edge] - 1
                    if left:
                        pending[edge] = grad
                    else:
                        self.finish_leaf(edge, grad)
            node = following
            if node is not None and ready and -node.seq > ready[0][0]:  # another is newer
                pending[node] = g
                push(ready, (-node.seq, node))
                node = g = None
            grads = grad = None
        if (
            pending
        ):  # (a caller's own gradient among them: the references here make its leaf take a copy, see `_own`)
            for leaf, g in [*pending.items()]:
                if isinstance(leaf, Tensor):
                    self.finish_leaf(leaf, g)
                    del pending[leaf]
        for leaf in [*self.sparse]:
            self.finish_leaf(leaf, None)

    def _explore(self, roots: Sequence[tuple[Any, Tensor]]) -> None:
        """Find everything that may be reached, and count the gradients of the leaves.

        Nodes need no counting: an edge always leads to an older node, so the newest one that has
        a gradient has all of it.
        """
        waiting = self.waiting
        stack = []
        for edge, _ in roots:
            target = edge[0] if type(edge) is tuple else edge
            waiting[target] = waiting.get(target, 0) + 1
            if waiting[target] == 1:
                if isinstance(target, Node):
                    stack.append(target)
                else:
                    self.leaves += 1
        if self.targets is None:  # (leaves need not be told from what leads nowhere)
            while stack:
                for target in stack.pop().edges:
                    if type(target) is tuple:
                        target = target[0]
                    if target in waiting:
                        waiting[target] += 1
                    elif target is not None:
                        waiting[target] = 1
                        if isinstance(target, Node):
                            stack.append(target)
            return
        while stack:
            leads = False
            for edge in stack.pop().edges:
                if edge is not None:
                    leads = True
                    target = edge[0] if type(edge) is tuple else edge
                    if target in waiting:
                        waiting[target] += 1
                    else:
                        waiting[target] = 1
                        if isinstance(target, Node):
                            stack.append(target)
                        else:
                            self.leaves += 1
            if not leads:
                self.blind = True

    def _useful(self) -> set | None:
        """The nodes that run: those from which a target can be reached, and those whose outputs are to retain it.

        None for all of them, as where the targets are all leaves that there are. Otherwise: taken from the oldest on, a node
        comes after all that its edges lead to.
        """
        assert self.targets is not None
        goals = self.goals = {_key(edge) for edge in self.targets}
        if not self.blind and self.leaves == len(goals):
            for goal in goals:
                if not isinstance(goal, Tensor) or goal not in self.waiting:
                    break
            else:
                return None
        useful: set = set()
        nodes = [node for node in self.waiting if isinstance(node, Node)]
        nodes.sort(key=_AGE)
        for node in nodes:
            for edge in node.edges:
                target = edge[0] if type(edge) is tuple else edge
                if target in goals or target in useful:
                    useful.add(node)
                    break
        if self.accumulate:
            self.ends = {goal for goal in goals if isinstance(goal, Node) and goal not in useful}
        return useful | self.ends

    def reaches(self, nodes: Sequence[Any]) -> int:
        """How many of these nodes and leaves this walk will come to."""
        useful = self.useful
        return sum(
            node in self.waiting and (useful is None or node in useful or node in self.goals)
            for node in nodes
        )

    # ---- one node ----

    def _run(self, node: Any, g: Any) -> Sequence[Any]:
        """Run a node that has hooks, under anomaly detection, of which no gradient is wanted, or whose gradients may be
        refused: then none is delivered.
        """
        try:
            grads = node.touch(g) if node in self.ends else node.run(g)
        except Exception:
            note_origin(node)
            raise
        if any(map(_is_sparse, grads)):
            grads = [
                self._deliver_sparse(edge, grad) if _is_sparse(grad) else grad
                for edge, grad in zip(node.edges, grads)
            ]
        hooks = None if node.extra is None else node.extra.hooks
        if hooks or not node.promotes:
            fitted = [
                None if grad is None or edge is None else fit(grad, *meta_of_edge(edge), node)
                for edge, grad in zip(node.edges, grads)
            ]
            grads = run_hooks(hooks, fitted, g if node.several else (g,))
        if ANOMALY and ANOMALY[-1]:
            check_nan(node, grads)
        return grads

    def before(self, node: Any, g: Any) -> Any:
        """Hooks on the outputs, retained gradients, and gradients that the caller asked for.

        As in PyTorch, a caller gets the gradient from before the hooks if the walk goes on behind the node.
        """
        grads = list(g) if node.several else [g]
        runs = self.useful is None or node in self.useful
        if not runs and node not in self.goals:
            return None
        if runs:
            self._hand_over(node, grads)
        if node.extra is not None:
            run_output_hooks(node, grads)
        if not runs:
            self._hand_over(node, grads)
            return None
        if node.extra is not None and node.extra.prehooks:
            grads[:] = run_prehooks(node.extra.prehooks, grads)
        if all(grad is None for grad in grads):
            return None
        return grads if node.several else grads[0]

    def _hand_over(self, node: Any, grads: list) -> None:
        if self.targets is not None and node in self.goals:
            for edge in self.targets:
                if _key(edge) is node:
                    found = grads[edge[1] if type(edge) is tuple else 0]
                    if found is not None:
                        self.found[edge] = found

    def _deliver_sparse(self, edge: Any, g: Any) -> Any:
        """Bring a sparse gradient to a leaf; for anything else it is made dense, and returned."""
        if not isinstance(edge, Tensor):
            return g.to_dense()
        have = self.sparse.get(edge)
        self.sparse[edge] = g if have is None else have + g
        self.waiting[edge] -= 1
        if not self.waiting[edge]:
            self.finish_leaf(edge, self.pending.pop(edge, None))
        return None

    def deliver(self, edge: Any, g: Any) -> None:
        """One gradient, already of the right shape and dtype, has come for a root or one of several outputs."""
        pending = self.pending
        target, number = edge if type(edge) is tuple else (edge, 0)
        if isinstance(target, Tensor):
            pending[target] = pending[target] + g if target in pending else g
            self.waiting[target] -= 1
            return
        if target not in pending:
            heapq.heappush(self.ready, (-target.seq, target))
        if target.several:
            grads = pending.setdefault(target, [None] * len(target.metas))
            grads[number] = g if grads[number] is None else grads[number] + g
        else:
            pending[target] = pending[target] + g if target in pending else g

    # ---- leaves ----

    def finish_leaf(self, leaf: Tensor, g: Any) -> None:
        """A leaf's gradients are all there: `g` is the sum of those that are dense, if there are any."""
        if self.sparse and leaf in self.sparse:
            part = self.sparse.pop(leaf)
            g = part if g is None else g + part
        if self.targets is not None and leaf not in self.goals:
            return
        extra: Any = getattr(leaf, "_hooks", _NOTHING)
        if extra is _NOTHING:  # (asking for a slot that was never filled takes five times as long)
            extra = leaf._hooks = None
        if extra is not None and extra.hooks:
            for hook in list(extra.hooks.values()):
                g = hooked(hook, g)
        if not self.accumulate:
            self.found[leaf] = g
            return
        if extra is not None and extra.held is not None:
            (g,) = run_prehooks((extra.held.extra or Extra()).prehooks, (g,))
        collects = leaf._edge is LEAF
        if not collects:
            collects = requires_grad(leaf)
            if collects and edge_of(leaf) is not leaf:
                raise RuntimeError("leaf variable has been moved into the graph interior")
        have = getattr(leaf, "_grad", None)
        if not collects:  # it no longer requires a gradient; its hooks run nevertheless
            pass
        elif _is_sparse(g) or _is_sparse(have):
            leaf._grad = _joined(have, g, self.create)
        elif have is None:
            leaf._grad = _copy(g, leaf) if self.create else _own(g, leaf, sys.getrefcount(g))
        elif self.create:
            leaf._grad = have + g
        else:
            _accumulate(have, g)
        if extra is not None:
            for after in list((extra.after or {}).values()):
                check_returns_nothing(after(leaf))
            if extra.held is not None:
                run_hooks((extra.held.extra or Extra()).hooks, (), (g,))


def _is_sparse(g: Any) -> bool:
    return type(g) is not Tensor and g is not None and g.is_sparse


def _joined(have: Any, g: Any, create: bool) -> Any:
    """The sum of gradients of which one is sparse, as is the sum if both are."""
    if have is None:
        return g if create else g.detach()
    if not _is_sparse(g):
        return g + have
    return have + g if create else have.add_(g)


def _accumulate(have: Any, g: Any) -> None:
    """`have.add_(g)`, at once where both are plain and alike."""
    a, b, buffer = have._a, g._a, storage(have)
    if is_guarded(buffer) or 0 in a.strides:
        have.add_(g)
    elif have._dtype is g._dtype and a.shape == b.shape and a.flags.writeable and have._edge is None:
        quiet(np.add, a, b, a)
        buffer.version += 1
    else:
        have.add_(g)


#: references to a gradient that only this walk knows of, when its leaf is finished: in the list that the node
#: returned, the loop over it (twice), `_finish_leaf`, and the two calls. Later releases of CPython count otherwise.
_UNSHARED = 6 if sys.version_info < (3, 14) else 0


def _own(g: Any, leaf: Tensor, references: int) -> Any:
    """The gradient as memory of the leaf's own, laid out as the leaf is.

    `g` itself is kept if nobody else holds it and its memory is not a view's.
    """
    a, like = g._a, leaf._a
    if references <= _UNSHARED and g._edge is None and a.strides == like.strides and _alone(g):
        return g
    if a.nbytes < LARGE and like.flags.c_contiguous:
        return new_tensor(np.array(a, order="C"), g._dtype)
    return _copy(g.detach(), leaf)


def _alone(g: Tensor) -> bool:
    """Whether no other tensor and no array shows the memory of `g`, which may be pending."""
    a, buffer = g._a, g._buf
    if type(a) is Pending:
        return buffer is None or sys.getrefcount(buffer) <= _OWN_BUFFER
    return buffer is None and owned(a)


#: references to a buffer of one tensor's: that tensor's, and two of who asks
_OWN_BUFFER = 3


def _copy(g: Any, leaf: Tensor) -> Any:
    if is_dense(leaf._a.shape, strides(leaf)):
        return leaf.detach().new_empty_strided(leaf._a.shape, strides(leaf)).copy_(g)
    return g.clone()
