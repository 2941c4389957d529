"""`torch.autograd.graph`: the recorded graph itself, and hooks on what it keeps."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rushlight.autograd.engine import current_walk
from rushlight.buffer import Tensor, storage
from rushlight.tape.node import (
    AccumulateGrad,
    Node,
    RemovableHandle,
    accumulator,
    edge_of,
    requires_grad,
)
from rushlight.tape.saving import SAVING

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class GradientEdge(NamedTuple):
    """A place in the graph where a gradient arrives: an output of a node, or a leaf.

    `backward` and `grad` take one wherever they take a tensor.
    """

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The place in the graph where the gradient of `tensor` arrives.

    Raises:
        RuntimeError: the tensor does not require grad.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(2, requires_grad=True)
        >>> torch.autograd.graph.get_gradient_edge(x * 2).node.name()
        'MulBackward0'
    """
    if not requires_grad(tensor):
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients",
        )
    edge = edge_of(tensor)
    if edge is tensor:
        return GradientEdge(accumulator(tensor), 0)
    return GradientEdge(*(edge if type(edge) is tuple else (edge, 0)))


def edge_of_gradient_edge(place: GradientEdge) -> Any:
    """The same place as the tape writes it."""
    node, number = place.node, place.output_nr
    if isinstance(node, AccumulateGrad):
        return node.variable
    return (node, number) if node.several else node


def leaves(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """The leaves that require grad and that these were computed from, each once."""
    seen = set()
    stack = [edge_of(t) for t in tensors]
    while stack:
        edge = stack.pop()
        target = edge[0] if type(edge) is tuple else edge
        if target is None or id(target) in seen:
            continue
        seen.add(id(target))
        if isinstance(target, Node):
            stack.extend(target.edges)
        else:
            yield target


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count a write to the memory of these tensors that Rushlight did not see.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(2)
        >>> torch.autograd.graph.increment_version(x)
        >>> x._version
        1
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        storage(t).version += 1


# ---- what is kept for backward ----


class saved_tensors_hooks:
    """In the block, tensors kept for backward go through `pack_hook`, and back through `unpack_hook`.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.item(), torch.tensor):
        ...     y = x * x
        >>> y.backward()
        >>> x.grad
        tensor(6.)
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if _disabled:
            raise RuntimeError(_disabled[-1])
        SAVING.append((self.pack_hook, self.unpack_hook))

    def __exit__(self, *error: object) -> None:
        SAVING.pop()


class save_on_cpu(saved_tensors_hooks):
    """In the block, tensors kept for backward are kept in the CPU's memory; here they are already."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: t, lambda t: t)


_disabled: list[str] = []


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """In the block, `saved_tensors_hooks` raises RuntimeError with this message.

    Example:
        >>> import rushlight as torch
        >>> with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        ...     with torch.autograd.graph.save_on_cpu():
        ...         pass
        Traceback (most recent call last):
            ...
        RuntimeError: not here
    """
    if SAVING:
        raise RuntimeError(error_message)
    _disabled.append(error_message)
    try:
        yield
    finally:
        _disabled.pop()


class _Copies:
    """What `allow_mutation_on_saved_tensors` has kept: copies, which writes to the tensors do not change."""

    def __init__(self) -> None:
        self.kept: weakref.WeakKeyDictionary[_Place, Tensor] = weakref.WeakKeyDictionary()

    def clear(self) -> None:
        """Forget them: backward through what was computed so far is an error from here on."""
        self.kept.clear()

    def pack(self, t: Tensor) -> _Place:
        place = _Place()
        self.kept[place] = t.clone()
        return place

    def unpack(self, place: _Place) -> Tensor:
        if place not in self.kept:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' contextin which the graph was "
                "originally recorded."
            )
        return self.kept[place]


class _Place:
    """Stands in a node for a tensor that was copied."""


_copying: list[_Copies] = []


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Copies]:
    """In the block, tensors kept for backward may be written to: backward, in the block, sees what they were.

    They are copied when they are kept, so it costs their memory once more.

    Raises:
        RuntimeError: within another such block.

    Example:
        >>> import rushlight as torch
        >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
        ...     x = torch.ones(2, requires_grad=True)
        ...     y = x.clone()
        ...     out = (y**2).sum()
        ...     y = y.sin_()
        ...     out.backward()
        >>> x.grad
        tensor([2., 2.])
    """
    if _copying:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    copies = _Copies()
    _copying.append(copies)
    try:
        with saved_tensors_hooks(copies.pack, copies.unpack):
            yield copies
    finally:
        _copying.pop()
        copies.clear()


# ---- hooks on several tensors ----


class _Handles(RemovableHandle):
    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable, *, mode: str = "all"
) -> RemovableHandle:
    """Call `fn` once in each backward: with the list of all gradients when the last is there, or with the first.

    Args:
        mode: "all" (None stands for gradients that are not computed) or "any".

    Raises:
        ValueError: another mode.
        RuntimeError: a tensor does not require grad.

    Example:
        >>> import rushlight as torch
        >>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        >>> handle = torch.autograd.graph.register_multi_grad_hook([a, b], print)
        >>> (a + b * 2).sum().backward()
        [tensor([1., 1.]), tensor([2., 2.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    if mode == "any":
        once = _once_in_a_walk(fn)
        return _Handles([t.register_hook(once) for t in tensors if requires_grad(t)])
    nodes = [edge[0] if type(edge) is tuple else edge for edge in map(edge_of, tensors)]
    so_far: weakref.WeakKeyDictionary[Any, list] = weakref.WeakKeyDictionary()

    def collect(at: int) -> Callable:
        def hook(g: Tensor) -> None:
            walk = current_walk()
            state = so_far.setdefault(walk, [walk.reaches(nodes), [None] * len(nodes)])
            state[0] -= 1
            state[1][at] = g
            if not state[0]:
                fn(so_far.pop(walk)[1])

        return hook

    return _Handles([t.register_hook(collect(at)) for at, t in enumerate(tensors)])


def _once_in_a_walk(fn: Callable) -> Callable:
    last: list[Any] = [lambda: None]

    @functools.wraps(fn)
    def hook(g: Tensor) -> None:
        walk = current_walk()
        if last[0]() is not walk:
            last[0] = weakref.ref(walk)
            fn(g)

    return hook
