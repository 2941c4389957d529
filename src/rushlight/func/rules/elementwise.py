"""Elementwise operations on a batch: the same operation, with the entries' dimensions aligned from the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.func.dispatch import At, rule, tensors_in
from rushlight.ops.promotion import result_type

_NAMES = """
abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan
atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp
clamp_max clamp_min clip complex conj_physical copysign cos cosh deg2rad digamma div divide elu eq erf erfc
erfinv exp exp2 expm1 fix float_power floor floor_divide fmax fmin fmod frac frexp gcd ge gelu greater greater_equal gt
hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 imag isclose isfinite isinf isnan isneginf
isposinf isreal lcm ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2 logaddexp
logaddexp2 logical_and logical_not logical_or logical_xor logit logsigmoid lt maximum minimum mish mul
multiply mvlgamma nan_to_num ne neg negative nextafter not_equal polar polygamma positive pow rad2deg real
reciprocal relu relu6 remainder round rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink
special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_chebyshev_polynomial_t
special_chebyshev_polynomial_u special_chebyshev_polynomial_v special_chebyshev_polynomial_w
special_hermite_polynomial_h special_hermite_polynomial_he special_laguerre_polynomial_l special_legendre_polynomial_p
special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1
special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_shifted_chebyshev_polynomial_t
special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w
special_spherical_bessel_j0
special_entr special_erfcx special_i0e special_i1 special_i1e special_log_ndtr special_ndtr special_ndtri
special_xlog1py special_zeta sqrt square sub subtract tan tanh threshold true_divide trunc where xlogy
to float double half bfloat16 int long short char byte bool chalf cfloat cdouble type_as clone contiguous detach data
alias_copy detach_copy cpu fill zero_ fill_ copy_ conj resolve_conj resolve_neg
zeros_like ones_like empty_like full_like
""".split()

_OPERATORS = """
add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv div rdiv idiv floordiv rfloordiv ifloordiv mod rmod
imod pow rpow ipow neg pos abs invert eq ne lt le gt ge and rand iand or ror ior xor rxor ixor lshift rlshift ilshift
rshift rrshift irshift
""".split()


def _rank(x: Any) -> int:
    return x.ndim if isinstance(x, Tensor) else 0


def aligned(at: At, x: Any, rank: int) -> Any:
    """All entries of `x`, with dimensions of size 1 put before the entries' own to make them `rank`."""
    if not at.has(x):
        return x
    inner = x.inner
    missing = rank + 1 - inner.ndim
    return inner[(slice(None),) + (None,) * missing] if missing > 0 else inner


@rule(*_NAMES, *[f"__{name}__" for name in _OPERATORS])
def elementwise(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Line the operands up and compute all entries at once; what is written to must belong to the batch."""
    name = at.name
    if name.startswith("__i") and name not in ("__invert__",) or name.endswith("_") and name[0] != "_":
        return inplace(at, function, args, kwargs)
    operands = list(tensors_in((args, kwargs)))
    rank = max(map(_rank, operands))
    common = _promoted(at, operands)
    args = tuple([_operand(at, x, rank, common) for x in args])
    kwargs = {key: _operand(at, x, rank, common) for key, x in kwargs.items()}
    return at.out(function(*args, **kwargs))


def _operand(at: At, x: Any, rank: int, common: Any) -> Any:
    if common is not None and isinstance(x, Tensor) and x.dtype is not common and x.dtype is not BOOL:
        x = x.to(common)
    return aligned(at, x, rank)


BOOL = new_tensor(np.zeros((), bool), result_type(True, True)).dtype


def _promoted(at: At, operands: list[Tensor]) -> Any:
    """The operands' common type, if having the batch's dimension changes how they count: None if it does not.

    An entry without dimensions yields to a tensor with some; the tensor of all entries would not.
    """
    kinds = {t.dtype for t in operands}
    if len(kinds) == 1 or not any(at.has(t) and not t.ndim for t in operands):
        return None
    return result_type(
        *[new_tensor(np.empty((1,) * min(t.ndim, 1), t.dtype.numpy), t.dtype) for t in operands]
    )


def inplace(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Write all entries of the first argument, aligning the others with it."""
    self = args[0]
    if not at.has(self):
        return NotImplemented
    rank = self.ndim
    others = [aligned(at, x, rank) for x in args[1:]]
    named = {key: aligned(at, x, rank) for key, x in kwargs.items()}
    function(self.inner, *others, **named)
    return self


rule(*[name + "_" for name in _NAMES if name[-1] != "_" and name + "_" not in (*_NAMES, "detach_")])(inplace)


@rule("masked_fill")
def masked_fill(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, mask, value = (*args, *kwargs.values())
    if not isinstance(value, Tensor) or not at.has(value):
        return elementwise(at, function, (x, mask, value), {})
    return value.to(x.dtype).where(mask, x) if not value.ndim else NotImplemented


@rule("masked_fill_")
def masked_fill_inplace(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, mask, value = (*args, *kwargs.values())
    if not isinstance(value, Tensor) or not at.has(value):
        return inplace(at, function, (x, mask, value), {})
    return x.copy_(x.masked_fill(mask, value))
