"""Calls as PyTorch took them before version 1.5, with the factors in front: `p.add_(-0.1, g)`, `addcmul_(0.5, a, b)`.

PyTorch still takes them, and warns the first time. Nothing is loaded from here before a call has failed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from rushlight.buffer import Tensor
from rushlight.ops.promotion import NUMBERS


class _Old(NamedTuple):
    """The factors that came first, and the tensors after `input`."""

    factors: tuple[str, ...]
    tensors: tuple[str, ...]


_SUM = _Old(("alpha",), ("other",))
_OLD = {
    "add": _SUM,
    "sub": _SUM,
    **{name: _Old(("value",), ("tensor1", "tensor2")) for name in ("addcmul", "addcdiv")},
    "addmm": _Old(("beta", "alpha"), ("mat1", "mat2")),
    "addmv": _Old(("beta", "alpha"), ("mat", "vec")),
    "addr": _Old(("beta", "alpha"), ("vec1", "vec2")),
    **{name: _Old(("beta", "alpha"), ("batch1", "batch2")) for name in ("addbmm", "baddbmm")},
}
_warned: list[str] = []


def reordered(
    called: str, args: Sequence[Any], named: dict[str, Any]
) -> tuple[list[Tensor], dict[str, Any]] | None:
    """The tensors and the factors of a call in the old order; None if it is not one.

    Args:
        called: the operation, with an underscore at its end for the in-place form.
        args: what it was called with, the tensor itself first. Functions take `beta` before it, too.
        named: the arguments by keyword; factors among them cannot stand in front.
    """
    old = _OLD.get(called.removesuffix("_"))
    if old is None or any(name in named for name in old.factors):
        return None
    tensors = [value for value in args if isinstance(value, Tensor)]
    factors = [value for value in args if isinstance(value, NUMBERS)]
    count = len(factors)
    if not 0 < count <= len(old.factors) or len(tensors) != len(old.tensors) + 1:
        return None
    if [type(value) for value in args] not in _orders(args, tensors, factors, len(old.factors) > 1):
        return None
    _warn(called, old, count)
    return tensors, dict(zip(old.factors, factors))


def _orders(args: Sequence[Any], tensors: list, factors: list, in_front: bool) -> list[list[type]]:
    """The orders that were taken: input, factors, tensors; and beta, input, alpha, tensors."""
    kinds, numbers = [type(t) for t in tensors], [type(n) for n in factors]
    orders = [[kinds[0], *numbers, *kinds[1:]]]
    if in_front:
        orders.append([numbers[0], kinds[0], *numbers[1:], *kinds[1:]])
    return orders if len(args) == len(tensors) + len(factors) else []


def _warn(called: str, old: _Old, count: int) -> None:
    if _warned:
        return
    _warned.append(called)
    tensors = [f"Tensor {name}" for name in old.tensors]
    before = [f"Number {name}" for name in old.factors[:count]]
    after = [f"Number {name} = 1" for name in old.factors]
    warnings.warn(
        f"This overload of {called} is deprecated:\n\t{called}({', '.join(before + tensors)})\n"
        "Consider using one of the following signatures instead:\n"
        f"\t{called}({', '.join([*tensors, '*', *after])})",
        UserWarning,
        stacklevel=4,
    )
