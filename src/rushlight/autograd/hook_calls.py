"""Hooks at work: what the backward walk calls on the way, and what may come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.buffer import Tensor


def run_output_hooks(node: Any, grads: list) -> None:
    """Hooks of the node's output tensors, then what those tensors retain; in place."""
    extra = node.extra
    for number, hooks in (extra.outputs or {}).items():
        for hook in list(hooks.values()):
            grads[number] = hooked(hook, grads[number])
    for number, held in (extra.retained or {}).items():
        t = held()
        if t is not None and grads[number] is not None:
            have = getattr(t, "_grad", None)
            t._grad = grads[number].clone() if have is None else have + grads[number]


def hooked(hook: Any, g: Any) -> Any:
    """The gradient after a tensor's hook saw it."""
    changed = hook(g)
    return g if changed is None else _checked(hook, changed, g)


def run_prehooks(hooks: dict | None, grads: Sequence[Any]) -> Sequence[Any]:
    """The gradients of a node's outputs after its pre-hooks saw them."""
    for hook in list((hooks or {}).values()):
        changed = hook(tuple(grads))
        if changed is not None:
            grads = _checked_all(hook, changed, grads)
    return grads


def run_hooks(hooks: dict | None, grads: Sequence[Any], outputs: Sequence[Any]) -> Sequence[Any]:
    """The gradients of a node's inputs after its hooks saw them."""
    for hook in list((hooks or {}).values()):
        changed = hook(tuple(grads), tuple(outputs))
        if changed is not None:
            grads = _checked_all(hook, changed, grads)
    return grads


def check_returns_nothing(returned: Any) -> None:
    """Refuse what a hook gave back that is called when a gradient has been added."""
    if isinstance(returned, Tensor):
        raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    if returned is not None:
        raise TypeError(f"expected Variable, but hook returned '{type(returned).__name__}'")


def _checked_all(hook: Any, changed: Any, grads: Sequence[Any]) -> Sequence[Any]:
    if not isinstance(changed, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(changed).__name__}'")
    if len(changed) != len(grads):
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(changed)}, but expected {len(grads)})"
        )
    return [None if new is None else _checked(hook, new, g) for new, g in zip(changed, grads)]


def _checked(hook: Any, new: Any, g: Any) -> Any:
    if g is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if not isinstance(new, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(new).__name__}'")
    if new._dtype is not g._dtype:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value (was torch.{g._dtype.legacy}Tensor got "
            f"torch.{new._dtype.legacy}Tensor)"
        )
    if new.shape != g.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    return new


def _name(hook: Any) -> str:
    return getattr(hook, "__name__", "<unknown>")
