"""Values held between bounds, replaced, or mixed from three tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX, FLOATING, INTEGER, WIDE_UNSIGNED, dtype
from rushlight.errors import invalid_combination
from rushlight.layout import kept_strides
from rushlight.numerics.fused import multiply_add
from rushlight.ops.kinds.binary import OTHER, check_operands
from rushlight.ops.kinds.elementwise import not_implemented, same
from rushlight.ops.kinds.pointwise import pointwise
from rushlight.ops.kinds.strict import real_gradient
from rushlight.ops.promotion import NUMBERS, check_tensors, checked_number, result_type
from rushlight.ops.spec import public

# ---- bounds ----


def _refuse(kernel: str, *more: Any) -> Any:
    unsupported = not_implemented(kernel, *more, *WIDE_UNSIGNED)

    def refuse(d: dtype) -> Exception | None:
        if d.category == COMPLEX:
            return NotImplementedError("clamp is not supported for complex types")
        return unsupported(d)

    return refuse


def _outside(x: Any, low: Any, high: Any) -> Any:
    """Where a bound took effect, or x is nan; at the bound itself x counts as inside."""
    if low is None:
        return (x <= high).logical_not()
    if high is None:
        return (x >= low).logical_not()
    return ((x >= low) & (x <= high)).logical_not()


def bounded(x: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """min(max(x, low), high): a nan stays, and where the bounds cross the upper one wins.

    Of two equal operands NumPy returns the second, so x comes second: -0.0 stays between 0 and 1.
    """
    if type(x) is not np.ndarray:  # of numbers, and of what stands for an array in a kernel
        x = x if low is None else np.maximum(low, x)
        return x if high is None else np.minimum(high, x)
    if x.size > _FEW and _simple(low) and _simple(high):
        return x.clip(low, high)
    if low is not None:
        x = np.maximum(_bound(low, x), x)
    return x if high is None else np.minimum(_bound(high, x), x)


#: elements from which NumPy's clip, which makes vectors of both bounds, is faster
_FEW = 512


def _simple(bound: Any) -> bool:
    """Whether clip does with this bound what is said above: not at a zero, whose sign it loses."""
    return type(bound) is float and 0 < abs(bound) < 1e30


def _bound(value: Any, x: np.ndarray) -> Any:
    """A number as an array, which NumPy takes in half the time; of x's shape, where it makes vectors only of those."""
    if type(value) is not int and type(value) is not float or x.dtype.char not in "fdl":
        return value
    if x.size <= _FEW or not x.flags.c_contiguous:
        return np.array(value, x.dtype)
    bound = np.empty(x.shape, x.dtype)
    bound.fill(value)
    return bound


def _scalar_clamp(node: str, kernel: str) -> Any:
    @pointwise(
        node,
        rule=same,
        refuse=_refuse(kernel),
        vjp=(lambda g, x, low, high: g.masked_fill(_outside(x, low, high), 0),),
    )
    def clamp_numbers(x, *, low, high):
        return bounded(x, low, high)

    return clamp_numbers


clamp_numbers = _scalar_clamp("ClampBackward1", "clamp_scalar_cpu")
clamp_min_number = _scalar_clamp("ClampMinBackward0", "clamp_min_scalar_cpu")
clamp_max_number = _scalar_clamp("ClampMaxBackward0", "clamp_max_scalar_cpu")


@pointwise(
    "ClampBackward0",
    rule=same,
    refuse=_refuse("clamp_cpu", BOOL),
    vjp=(
        lambda g, x, low, high: g.masked_fill(_outside(x, low, high), 0),
        lambda g, x, low, high: g.masked_fill(((x < low) & (low < high)).logical_not(), 0),
        lambda g, x, low, high: g.masked_fill(((x > high) | (low > high)).logical_not(), 0),
    ),
)
def clamp_tensors(x, low, high):
    # a nan bound counts; np.minimum and np.maximum pass it on
    return bounded(x, low, high)


def _one_sided(node: str, kernel: str, larger: bool) -> Any:
    def x_gradient(g: Any, x: Any, bound: Any) -> Any:
        return g.masked_fill((x >= bound if larger else x <= bound).logical_not(), 0)

    def bound_gradient(g: Any, x: Any, bound: Any) -> Any:
        return g.masked_fill((x < bound if larger else x > bound).logical_not(), 0)

    @pointwise(node, rule=same, refuse=_refuse(kernel), vjp=(x_gradient, bound_gradient))
    def clamp_one(x, bound):
        return np.maximum(x, bound) if larger else np.minimum(x, bound)

    return clamp_one


_low_only = _one_sided("ClampBackward0", "maximum_cpu", True)
_high_only = _one_sided("ClampBackward0", "minimum_cpu", False)
clamp_min_tensor = _one_sided("ClampMinBackward1", "maximum_cpu", True)
clamp_max_tensor = _one_sided("ClampMaxBackward1", "minimum_cpu", False)


_PLAIN = (int, float, type(None))


def _plain(bound: Any) -> bool:
    return bound is None or type(bound) in (int, float) and -1e38 < bound < 1e38


def _whole(bound: Any) -> bool:
    return bound is None or type(bound) is int and -(2**53) < bound < 2**53


def _numbers(operation: Any, input: Tensor, low: Any, high: Any) -> Tensor:
    kind = input._dtype
    if (kind is dtypes.float32 or kind is dtypes.float64) and _plain(low) and _plain(high):
        return operation.at(kind, input, low=low, high=high)
    if kind is dtypes.int64 and _whole(low) and _whole(high):
        return operation.at(kind, input, low=low, high=high)
    promoted = result_type(input, *[bound for bound in (low, high) if bound is not None])
    inner = dtypes.float32 if promoted in dtypes.REDUCED else promoted
    error = operation.refuse(promoted)
    if error is not None:
        raise error
    low, high = [None if bound is None else checked_number(bound, inner) for bound in (low, high)]
    return operation.at(promoted, input, low=low, high=high)


def _alike(bound: Any, other: Any) -> Any:
    """A 0-d tensor beside a number as a number, unless it wants a gradient."""
    if (
        isinstance(bound, Tensor)
        and isinstance(other, NUMBERS)
        and not bound.dim()
        and not bound.requires_grad
    ):
        return bound.item()
    return bound


@public
def clamp(input, min=None, max=None):
    """`input` held between `min` and `max`, numbers or tensors; None leaves that side open.

    Raises:
        RuntimeError: neither bound is given.

    Example:
        >>> import rushlight as torch
        >>> torch.clamp(torch.tensor([-1.0, 0.5, 2.0]), 0, 1)
        tensor([0.0000, 0.5000, 1.0000])
    """
    if (
        type(input) is Tensor
        and type(min) in _PLAIN
        and type(max) in _PLAIN
        and (min is not None or max is not None)
    ):
        return _numbers(clamp_numbers, input, min, max)
    min, max = _alike(min, max), _alike(max, min)
    kinds = {isinstance(bound, Tensor) for bound in (min, max) if bound is not None}
    if not kinds:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if (
        len(kinds) > 1
        or not isinstance(input, Tensor)
        or not all(b is None or isinstance(b, (Tensor, *NUMBERS)) for b in (min, max))
    ):
        raise invalid_combination("clamp", input, *[bound for bound in (min, max) if bound is not None])
    if kinds == {False}:
        return _numbers(clamp_numbers, input, min, max)
    if max is None:
        return _low_only(input, min)
    return _high_only(input, max) if min is None else clamp_tensors(input, min, max)


clip = clamp


@public(overloaded=True)
def clamp_min(input, min):
    """The larger of each element and `min`, a number or a tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.clamp_min(torch.tensor([-1, 2]), 0)
        tensor([0, 2])
    """
    check_operands("clamp_min", input, min, OTHER)
    if isinstance(min, Tensor):
        return clamp_min_tensor(input, min)
    return _numbers(clamp_min_number, input, min, None)


@public(overloaded=True)
def clamp_max(input, max):
    """The smaller of each element and `max`, a number or a tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.clamp_max(torch.tensor([-1, 2]), 0)
        tensor([-1,  0])
    """
    check_operands("clamp_max", input, max, OTHER)
    if isinstance(max, Tensor):
        return clamp_max_tensor(input, max)
    return _numbers(clamp_max_number, input, None, max)


# ---- what is not finite ----


def _replaced(x: np.ndarray, nan: Any, posinf: Any, neginf: Any, limits: Any) -> np.ndarray:
    kind = x.dtype.type
    high = kind(limits.max if posinf is None else posinf)
    low = kind(limits.min if neginf is None else neginf)
    return np.where(
        np.isnan(x),
        kind(0 if nan is None else nan),
        np.where(x == np.inf, high, np.where(x == -np.inf, low, x)),
    )


@pointwise("NanToNum", rule=same, vjp=(lambda g, x: g * x.isfinite(),))
def finite_values(x, *, nan, posinf, neginf, limits):
    if x.dtype.kind in "biu":
        return x.copy("K")
    if x.dtype.kind != "c":
        return _replaced(x, nan, posinf, neginf, limits)
    out = np.empty_like(x)
    out.real = _replaced(x.real, nan, posinf, neginf, limits)
    out.imag = _replaced(x.imag, nan, posinf, neginf, limits)
    return out


finite_values.strides_of = kept_strides


def _nan_to_num_out(out: Tensor, result: Tensor, inputs: list) -> None:
    if out._dtype is not result._dtype:
        raise RuntimeError(
            f"nan_to_num: dtype of out: {out._dtype.legacy} should be same as input: {result._dtype.legacy}"
        )


@public(check=_nan_to_num_out, takes={"nan": "float?", "posinf": "float?", "neginf": "float?"})
def nan_to_num(input, nan=None, posinf=None, neginf=None):
    """nan replaced by `nan` (0), infinities by `posinf` and `neginf` (the type's limits).

    Example:
        >>> import rushlight as torch
        >>> torch.nan_to_num(torch.tensor([float("nan"), 1.0, float("inf")]), posinf=9.0)
        tensor([0., 1., 9.])
    """
    limits = dtypes.finfo(input._dtype) if input._dtype.category >= FLOATING else None
    return real_gradient(
        "nan_to_num", finite_values(input, nan=nan, posinf=posinf, neginf=neginf, limits=limits)
    )


# ---- mixtures of three ----


@pointwise(
    "LerpBackward0",
    rule=same,
    refuse=not_implemented("lerp_kernel_scalar", BOOL, INTEGER),
    vjp=(
        lambda g, weight: g * (1 - weight.conjugate()),
        lambda g, weight: g * weight.conjugate(),
    ),
)
def lerp_number(x, end, *, weight):
    """From the nearer end, so that a weight of 1 gives `end` exactly."""
    weight = np.array(weight, x.dtype)
    step = end - x
    if abs(weight) < 0.5:
        return multiply_add(x, step, weight)
    return multiply_add(end, step, np.asarray(weight - weight.dtype.type(1)))


@pointwise(
    "LerpBackward1",
    rule=same,
    refuse=not_implemented("lerp_kernel_tensor", BOOL, INTEGER),
    vjp=(
        lambda g, weight: g * (1 - weight).conj(),
        lambda g, weight: g * weight.conj(),
        lambda g, x, end: g * (end - x).conj(),
    ),
)
def lerp_tensor(x, end, weight):
    step = end - x
    return np.where(np.abs(weight) < 0.5, multiply_add(x, weight, step), multiply_add(end, step, weight - 1))


def _same_types(first: Any, second: Any, name: str) -> None:
    if first._dtype is not second._dtype:
        raise RuntimeError(
            f"expected dtype {first._dtype.cpp} for `{name}` but got dtype {second._dtype.cpp}"
        )


@public
def lerp(input, end, weight):
    """`input + weight * (end - input)`; `weight` is a number or a tensor.

    Raises:
        RuntimeError: different dtypes, or integers.

    Example:
        >>> import rushlight as torch
        >>> torch.lerp(torch.tensor([0.0]), torch.tensor([10.0]), 0.25)
        tensor([2.5000])
    """
    if not isinstance(end, Tensor):
        raise TypeError(f"lerp(): argument 'end' (position 2) must be Tensor, not {type(end).__name__}")
    _same_types(input, end, "end")
    if isinstance(weight, Tensor):
        _same_types(input, weight, "weight")
        return lerp_tensor(input, end, weight)
    if not isinstance(weight, NUMBERS):
        raise invalid_combination("lerp", input, end, weight)
    return lerp_number(input, end, weight=weight.item() if isinstance(weight, np.generic) else weight)


@pointwise(
    "Addcmul",
    rule=same,
    refuse=not_implemented("addcmul_cpu_out", BOOL, *WIDE_UNSIGNED),
    vjp=(
        lambda g: g,
        lambda g, tensor2, value: g * (tensor2 * value).conj(),
        lambda g, tensor1, value: g * (tensor1 * value).conj(),
    ),
)
def addcmul_values(x, tensor1, tensor2, *, value):
    return multiply_add(x, tensor1 if value == 1 else x.dtype.type(value) * tensor1, tensor2)


@pointwise(
    "Addcdiv",
    rule=same,
    vjp=(
        lambda g: g,
        lambda g, tensor2, value: g * (value / tensor2).conj(),
        lambda g, tensor1, tensor2, value: -g * (value * tensor1 / (tensor2 * tensor2)).conj(),
    ),
)
def addcdiv_values(x, tensor1, tensor2, *, value):
    return x + (tensor1 if value == 1 else x.dtype.type(value) * tensor1) / tensor2


def _scale(value: Any, promoted: dtype) -> Any:
    if type(value) is int and value == 1:
        return 1
    value = value.item() if isinstance(value, (np.generic, Tensor)) else value
    checked_number(value, promoted)
    return int(value) if promoted.category == INTEGER else value


def _common_type(x: Tensor, y: Tensor, z: Tensor) -> dtype:
    return x._dtype if x._dtype is y._dtype is z._dtype else result_type(x, y, z)


@public
def addcmul(input, tensor1, tensor2, *, value=1):
    """`input + value * tensor1 * tensor2`.

    Example:
        >>> import rushlight as torch
        >>> torch.addcmul(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([3.0]), value=10)
        tensor([61.])
    """
    check_tensors("addcmul", input=input, tensor1=tensor1, tensor2=tensor2)
    promoted = _common_type(input, tensor1, tensor2)
    if promoted.category:
        value = _scale(value, promoted)
    return addcmul_values.at(promoted, input, tensor1, tensor2, value=value)


@public
def addcdiv(input, tensor1, tensor2, *, value=1):
    """`input + value * tensor1 / tensor2`.

    Raises:
        RuntimeError: integers divided by integers.

    Example:
        >>> import rushlight as torch
        >>> torch.addcdiv(torch.tensor([1.0]), torch.tensor([6.0]), torch.tensor([3.0]))
        tensor([3.])
    """
    check_tensors("addcdiv", input=input, tensor1=tensor1, tensor2=tensor2)
    if tensor1._dtype.category < FLOATING and tensor2._dtype.category < FLOATING:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a "
            "true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value "
            "* torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter implementation: (input + value "
            "* tensor1 / tensor2), for all dtypes."
        )
    promoted = _common_type(input, tensor1, tensor2)
    return addcdiv_values.at(promoted, input, tensor1, tensor2, value=_scale(value, promoted))
