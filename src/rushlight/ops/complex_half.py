"""complex32: which operations PyTorch's CPU kernels have for it, and how those are computed.

NumPy sees the memory of complex32 as pairs that it can move but not compute with, so the
operations that are defined run on complex64 and are rounded once. All others refuse in
PyTorch's words; the tables here say which are which, for elementwise operations and for primitives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY, complex32, complex64, dtype, float16, float32
from rushlight.runtime.casting import convert

#: elementwise operations that PyTorch computes for complex32
_ELEMENTWISE = frozenset({
    "abs", "add", "add_scaled", "addcmul_values", "conj", "conj_physical", "eq", "isfinite", "isinf", "isnan",
    "mul", "ne", "neg", "negative", "positive", "rsub_number", "rsub_tensors", "sgn", "sub", "sub_scaled", "where_values",
})  # fmt: skip
#: primitives that PyTorch computes for complex32, most of them by moving elements
_PRIMITIVES = frozenset({
    "all_dims", "any_dims", "as_strided_backward", "as_strided_gather", "as_strided_scatter_of", "block_diag_of",
    "cat_along", "complex_parts", "count_dims", "diag_embed_of", "diagonal_backward",
    "diagonal_scatter_of", "dist_all", "index", "index_add_rows", "index_copy_rows", "index_fill_number",
    "index_fill_tensor", "index_put_places", "index_select_along", "masked_fill_number", "masked_fill_tensor",
    "masked_select_of", "narrow_copy_of", "nonzero_positions", "repeat_dims", "roll_dims",
    "select_backward", "select_scatter_of", "slice_backward", "slice_scatter_of", "split_backward", "spread_trace",
    "stack_along", "std_dims", "std_mean_dims", "tril_of", "triu_of", "unbind_backward", "unfold_backward", "var_dims",
    "var_mean_dims", "vector_norm_dims",
})  # fmt: skip
#: PyTorch's kernels, where they are not called after the operation
_KERNELS = {
    "exp": "exp_vml_cpu", "expm1": "expm1_vml_cpu", "log": "log_vml_cpu", "log2": "log2_vml_cpu",
    "log10": "log10_vml_cpu", "log1p": "log1p_vml_cpu", "sqrt": "sqrt_vml_cpu", "sin": "sin_vml_cpu",
    "cos": "cos_vml_cpu", "tan": "tan_vml_cpu", "tanh": "tanh_vml_cpu", "asin": "asin_vml_cpu",
    "acos": "acos_vml_cpu", "atan": "atan_vml_cpu", "pow": "pow", "square": "pow", "float_power": "pow", "exp2": "exp2", "true_divide": "div_cpu", "addcdiv_values": "addcdiv_cpu_out",
    "pow_number": "pow", "finite_values": "nan_to_num", "ldexp_values": "pow", "det_": "lu_cpu", "matmul": "addmm_impl_cpu_", "vdot": "vdot",
    "sum_all": "sum_cpu", "sum_dims": "sum_cpu", "mean_all": "sum_cpu", "mean_dims": "sum_cpu", "prod_all": "prod_out_cpu",
    "prod_dim": "prod_out_cpu", "cumsum_dim": "cumsum_out_cpu", "cumprod_dim": "cumprod_out_cpu",
    "gather_along": "scatter_gather_tensor_cpu", "gather_sparsely": "scatter_gather_tensor_cpu", "scatter_src": "scatter_gather_tensor_cpu",
    "scatter_value": "scatter_gather_scalar_cpu", "scatter_add_along": "scatter_gather_tensor_cpu",
    "take_flat": "take_cpu", "put_elements": "put_cpu", "flip_dims": "flip_cpu", "softmax_dim": "softmax_lastdim_kernel_impl",
    "log_softmax_dim": "log_softmax_lastdim_kernel_impl", "cross_": "cross", "logsumexp_dims": "exp_vml_cpu",
    "trace_": "trace", "rot90_dims": "flip_cpu", "masked_scatter_elements": "masked_scatter",
    "logcumsumexp_dim": "logcumsumexp_out_cpu", "add_mm": "addmm_impl_cpu_", "add_bmm": "baddbmm_cpu",
}  # fmt: skip


# ---- arithmetic that rounds after every step, as these kernels of PyTorch do ----


def _half(a: np.ndarray) -> np.ndarray:
    return a.astype(np.float16).astype(np.float32)


def _complex(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    out = np.empty(real.shape, np.complex64)
    out.real, out.imag = _half(real), _half(imag)
    return out


def _times(x: Any, y: Any) -> np.ndarray:
    x, y = np.asarray(x), np.asarray(y)
    return _complex(x.real * y.real - x.imag * y.imag, x.real * y.imag + x.imag * y.real)


def _plus(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _complex(x.real + y.real, x.imag + y.imag)


def _scale(alpha: Any) -> np.ndarray:
    alpha = np.asarray(alpha, np.complex64)
    return _complex(alpha.real, alpha.imag)


#: elementwise operations -> how they are computed, where computing in complex64 is not how PyTorch does it
STEPWISE = {
    "add_scaled": lambda x, y, *, alpha: _plus(x, _times(_scale(alpha), y)),
    "sub_scaled": lambda x, y, *, alpha: _plus(x, _times(_scale(-alpha), y)),
    "rsub_tensors": lambda x, y, *, alpha: _plus(y, _times(_scale(-alpha), x)),
    "rsub_number": lambda x, y, *, alpha: _plus(y, _times(_scale(-alpha), x)),
    "addcmul_values": lambda x, y, z, *, value: _plus(x, _times(_times(_scale(value), y), z)),
}

# ---- refusing and computing ----


def refusal(name: str, kernel: str | None = None) -> NotImplementedError:
    return NotImplementedError(
        f"\"{kernel or _KERNELS.get(name, f'{name}_cpu')}\" not implemented for 'ComplexHalf'"
    )


def stumbled(error: Exception) -> bool:
    """Whether an error is NumPy's (or Python's) about pairs, and not ours about the call."""
    return isinstance(error, KeyError) or any(part in str(error) for part in _STUMBLES)


_STUMBLES = ("ufunc", "dtype([", "void", "'tuple'", "non-numeric", "unsupported operand", "Cannot cast")


def check_elementwise(name: str, kernel: str | None) -> None:
    """NotImplementedError for an elementwise operation that PyTorch does not compute for complex32."""
    if name not in _ELEMENTWISE:
        raise refusal(name, kernel)


def uses(values: Sequence[Any]) -> bool:
    """Whether complex32 is among the tensors (and lists of tensors) given."""
    for value in values:
        if isinstance(value, Tensor):
            if value._dtype is complex32:
                return True
        elif isinstance(value, (tuple, list)) and uses(value):
            return True
    return False


def widened(name: str, inputs: Sequence[Any], attrs: dict) -> tuple[list, dict]:
    """The arrays and attributes with which a primitive computes in complex64; NotImplementedError if it must not."""
    empty = all(t is None or t._a.size == 0 for t in inputs)
    if (
        name not in _PRIMITIVES
        and not empty
        and not any(_is_kind(value, complex64) for value in attrs.values())
    ):
        raise refusal(name)
    return [t if t is None else _wide(t) for t in inputs], {
        key: _wide_attribute(value) for key, value in attrs.items()
    }


def _is_kind(value: Any, kind: dtype) -> bool:
    return value is kind or isinstance(value, np.dtype) and value == kind.numpy


def _wide(t: Tensor) -> np.ndarray:
    return convert(t._a, complex64) if t._dtype is complex32 else t._a


def _wide_attribute(value: Any) -> Any:
    if isinstance(value, (np.void, np.ndarray)) and value.dtype == complex32.numpy:
        return convert(np.asarray(value), complex64)[()]
    if not _is_kind(value, complex32):
        return value
    return complex64 if value is complex32 else complex64.numpy


def narrowed(a: Any, attrs: dict) -> Tensor:
    """A computed result in the type that complex32 gives, unless another was asked for."""
    a = np.asarray(a)
    if a.dtype == complex32.numpy:
        return new_tensor(a, complex32)
    kind = (
        None if any(_is_kind(value, BY_NUMPY[a.dtype]) for value in attrs.values()) else _NARROW.get(a.dtype)
    )
    return new_tensor(a, BY_NUMPY[a.dtype]) if kind is None else new_tensor(convert(a, kind), kind)


_NARROW = {complex64.numpy: complex32, float32.numpy: float16}
