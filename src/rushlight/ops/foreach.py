"""Operations on lists of tensors, one after the other: what optimisers of PyTorch's and of others are written with.

`_foreach_add(xs, ys)` is `[x + y for x, y in zip(xs, ys)]`; instead of `ys` there may be one number or tensor for all. A name that
ends with an underscore writes to the first list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rushlight.buffer import Tensor

__all__: list[str] = []


def _check(first: Any, *others: Any) -> int:
    if not isinstance(first, (list, tuple)):
        raise TypeError(f"expected a list of tensors, but got {type(first).__name__}")
    if not first:
        raise RuntimeError("Tensor list must have at least one tensor.")
    for other in others:
        if isinstance(other, (list, tuple)) and len(other) != len(first):
            raise RuntimeError(
                f"Tensor lists must have the same number of tensors, got {len(first)} and {len(other)}"
            )
    return len(first)


def _each(value: Any, count: int) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value] * count


def _apply(method: str, first: Any, others: tuple, options: dict) -> list:
    count = _check(first, *others)
    columns = [_each(value, count) for value in others]
    return [getattr(x, method)(*row, **options) for x, *row in zip(first, *columns)]


def foreach(method: str) -> Callable[..., tuple[Tensor, ...]]:
    """The function that calls a method of each tensor of a list; further lists give its arguments.

    Example:
        >>> import rushlight as torch
        >>> torch._foreach_mul([torch.ones(2), torch.ones(1)], [2.0, 3.0])
        (tensor([2., 2.]), tensor([3.]))
    """

    def function(self: Any, *others: Any, **options: Any) -> tuple[Tensor, ...]:
        return tuple(_apply(method, self, others, options))

    function.__name__ = function.__qualname__ = f"_foreach_{method}"
    return function


def foreach_(method: str) -> Callable[..., list[Tensor]]:
    """The same in place."""

    def function(self: Any, *others: Any, **options: Any) -> list[Tensor]:
        return _apply(f"{method}_", self, others, options)

    function.__name__ = function.__qualname__ = f"_foreach_{method}_"
    return function


def _scaled(method: str) -> Callable[..., list]:
    """`addcmul` and `addcdiv`, whose last argument may be the factor of the products, or one for each."""

    def apply(first: Any, a: Any, b: Any, value: Any = 1, scalars: Any = None) -> list:
        count = _check(first, a, b)
        factors = _each(value if scalars is None else scalars, count)
        if isinstance(factors, Tensor):
            factors = factors.tolist()
        return [getattr(x, method)(y, z, value=f) for x, y, z, f in zip(first, a, b, factors)]

    return apply


_multiplied, _multiplied_into = _scaled("addcmul"), _scaled("addcmul_")
_divided, _divided_into = _scaled("addcdiv"), _scaled("addcdiv_")


def foreach_addcmul(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> tuple[Tensor, ...]:
    """`x + value * y * z` for each; `value` may be a list."""
    return tuple(_multiplied(self, tensor1, tensor2, value))


def foreach_addcmul_(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> list[Tensor]:
    """The same in place."""
    return _multiplied_into(self, tensor1, tensor2, value)


def foreach_addcdiv(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> tuple[Tensor, ...]:
    """`x + value * y / z` for each; `value` may be a list."""
    return tuple(_divided(self, tensor1, tensor2, value))


def foreach_addcdiv_(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> list[Tensor]:
    """The same in place."""
    return _divided_into(self, tensor1, tensor2, value)


def foreach_lerp(self: Any, tensors1: Any, weight: Any) -> tuple[Tensor, ...]:
    """From each tensor towards another by a part of the way."""
    return tuple(_apply("lerp", self, (tensors1, weight), {}))


def foreach_lerp_(self: Any, tensors1: Any, weight: Any) -> list[Tensor]:
    """The same in place."""
    return _apply("lerp_", self, (tensors1, weight), {})


def foreach_norm(self: Any, ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of each tensor."""
    _check(self)
    return tuple([x.norm(ord) if dtype is None else x.norm(ord, dtype=dtype) for x in self])


def foreach_copy_(self: Any, src: Any, non_blocking: bool = False) -> list[Tensor]:
    """Copy each tensor of one list into that of another."""
    return _apply("copy_", self, (src,), {})


def foreach_zero_(self: Any) -> list[Tensor]:
    """Set all elements of all tensors to zero."""
    return _apply("zero_", self, (), {})


add, add_ = foreach("add"), foreach_("add")
sub, sub_ = foreach("sub"), foreach_("sub")
mul, mul_ = foreach("mul"), foreach_("mul")
div, div_ = foreach("div"), foreach_("div")
pow, pow_ = foreach("pow"), foreach_("pow")
sqrt, sqrt_ = foreach("sqrt"), foreach_("sqrt")
rsqrt, rsqrt_ = foreach("rsqrt"), foreach_("rsqrt")
neg, neg_ = foreach("neg"), foreach_("neg")
abs, abs_ = foreach("abs"), foreach_("abs")
exp, exp_ = foreach("exp"), foreach_("exp")
log, log_ = foreach("log"), foreach_("log")
sign, sign_ = foreach("sign"), foreach_("sign")
reciprocal, reciprocal_ = foreach("reciprocal"), foreach_("reciprocal")
maximum, maximum_ = foreach("clamp_min"), foreach_("clamp_min")
minimum, minimum_ = foreach("clamp_max"), foreach_("clamp_max")
clamp_min, clamp_min_ = foreach("clamp_min"), foreach_("clamp_min")
clamp_max, clamp_max_ = foreach("clamp_max"), foreach_("clamp_max")
