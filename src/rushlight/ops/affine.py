"""Products added to a tensor: `addmm`, `addmv`, `addr`, `baddbmm`, `addbmm`.

All compute beta * input + alpha * product, in one rounding for half types. With beta = 0 the
input is not looked at, so that its NaNs do not matter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import COMPLEX, FLOATING, INTEGER, REDUCED, bool_, dtype, float32
from rushlight.errors import describe
from rushlight.layout import numel
from rushlight.ops.contractions import (
    adjoint,
    adjoint_times,
    check_batches,
    check_inner,
    check_matrix_vector,
    completes,
    exact_out,
    explained,
    in_columns,
    one_vector_dtype,
    same_out,
    times_adjoint,
)
from rushlight.ops.kinds.contraction import BLAS, multiply, product, refuse
from rushlight.ops.kinds.elementwise import in_order
from rushlight.ops.promotion import NUMBERS, result_type
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.ops.writing import in_place_of, store_out
from rushlight.runtime.execute import enter
from rushlight.tape.recording import record
from rushlight.tape.writes import check_write

_F32 = np.dtype(np.float32)


# ---- the arithmetic ----


def affine(x: np.ndarray, product: Any, beta: Any, alpha: Any) -> np.ndarray:
    """beta * x + alpha * product(), broadcast, in x's dtype; half types arrive as float32."""
    made: Any = product() if alpha else None
    if made is not None and alpha != 1:
        made = np.multiply(made, made.dtype.type(alpha), out=made)
    if not beta:
        return made
    if made is None:
        return x * x.dtype.type(beta)
    return np.add(made, x if beta == 1 else x * x.dtype.type(beta), out=made)


def _add_product(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, beta: Any, alpha: Any, shape: tuple
) -> np.ndarray:
    """beta * x + alpha * (y @ z) for arrays of one dtype."""
    kind = x.dtype
    if kind.kind != "b" and kind.itemsize == 2 and kind.kind not in "iu":
        return _add_product(x.astype(_F32), y.astype(_F32), z.astype(_F32), beta, alpha, shape).astype(kind)
    made = affine(x, lambda: multiply(y, z), beta, alpha)
    if made is None or made.shape != shape:
        whole = np.zeros(shape, kind)
        return whole if made is None else np.add(whole, made, out=whole)
    return made


def check_scalar(name: str, argument: str, value: Any, kind: dtype) -> Any:
    """`beta` or `alpha` as a number of the kind that the tensors have."""
    if isinstance(value, Tensor) and not value._a.ndim and not value.requires_grad:
        value = value.item()
    if not isinstance(value, NUMBERS):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}")
    if isinstance(value, (complex, np.complexfloating)) and kind.category < COMPLEX:
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {kind.cpp} without overflow")
        value = value.real
    return int(value) if kind.category <= INTEGER else value


def conjugate(number: Any) -> Any:
    return number.conjugate() if isinstance(number, complex) else number


def scaled(t: Any, number: Any) -> Any:
    return t if number == 1 else t * number


def check_expands(t: Tensor, shape: tuple[int, ...]) -> None:
    """Whether `t` can be expanded to `shape`; PyTorch's sentence if not."""
    have = t._a.shape
    if len(have) > len(shape):
        raise RuntimeError(
            f"expand(torch.{t._dtype.legacy}Tensor{{{list(have)}}}, size={list(shape)}): the number of sizes provided "
            f"({len(shape)}) must be greater or equal to the number of dimensions in the tensor ({len(have)})"
        )
    for back in range(1, len(have) + 1):
        if have[-back] not in (1, shape[-back]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[-back]}) must match the existing size ({have[-back]}) at "
                f"non-singleton dimension {len(shape) - back}.  Target sizes: {list(shape)}.  Tensor sizes: "
                f"{list(have)}"
            )


def _in_either_order(called: str) -> Callable:
    """Declare an in-place form that also takes its factors in front; see `old_signatures`."""

    def declare(function: Callable) -> Callable:
        @functools.wraps(function)
        def inplace(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except TypeError:
                from rushlight.ops import old_signatures  # which few programs need

                older = old_signatures.reordered(called, args, kwargs)
                if older is None:
                    raise
                return function(*older[0], **older[1], **kwargs)

        return inplace

    return declare


def _in_place(name: str, plain: Any) -> Any:
    """The in-place form, which does not broadcast the tensor it writes to."""
    general = plain.inplace

    @in_place_of(plain)
    @_in_either_order(name + "_")
    def inplace(self: Any, x: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            shape = _result_shape(name, x, y)
            if shape is not None and shape != self._a.shape:
                raise RuntimeError(
                    f"Bad in-place call: input tensor size {list(self._a.shape)} and output tensor size {list(shape)} "
                    "should match"
                )
        return general(self, x, y, beta=beta, alpha=alpha)

    return inplace


def _result_shape(name: str, x: Tensor, y: Tensor) -> tuple[int, ...] | None:
    a, b = x._a.shape, y._a.shape
    if name == "addmv":
        return a[:1] if len(a) == 2 else None
    rank = 3 if name == "baddbmm" else 2
    return (*a[:-1], b[-1]) if len(a) == len(b) == rank else None


# ---- addmm ----


@primitive(
    "Addmm",
    vjp=(
        lambda g, beta: scaled(g, conjugate(beta)),
        lambda g, z, alpha, columns: scaled(times_adjoint(g, z, columns[0]), conjugate(alpha)),
        lambda g, y, alpha, columns: scaled(adjoint_times(y, g, columns[1]), conjugate(alpha)),
    ),
)
def add_mm(x, y, z, *, beta, alpha, columns):
    return _add_product(x, y, z, beta, alpha, (y.shape[0], z.shape[1]))


@public(name="addmm")
def checked_addmm(input, mat1, mat2, *, beta=1, alpha=1):
    for at, (argument, t) in enumerate((("input", input), ("mat1", mat1), ("mat2", mat2)), 1):
        as_tensor(t, "addmm", argument, at)
    kind = input._dtype
    if mat2._dtype is not kind:
        raise _differing("self", "mat2", input, mat2)
    if mat1._dtype is not kind:
        raise _differing("mat1", "mat2", mat1, mat2)
    for t, argument in ((mat1, "mat1"), (mat2, "mat2")):
        if t._a.ndim != 2:
            raise RuntimeError(f"{argument} must be a matrix, got {t._a.ndim}-D tensor")
    check_inner("mm", mat1, mat2)
    shape = (mat1._a.shape[0], mat2._a.shape[1])
    check_expands(input, shape)
    beta, alpha = check_scalar("addmm", "beta", beta, kind), check_scalar("addmm", "alpha", alpha, kind)
    if numel(shape) and mat1._a.size:
        refuse("addmm_impl_cpu_", kind)
    columns = in_columns(mat1._a), in_columns(mat2._a)
    return add_mm(input, mat1, mat2, beta=beta, alpha=alpha, columns=columns)


#: the attributes of a node without factors of its own, by which operands lie in columns
PRODUCTS = {
    (left, right): {"beta": 1, "alpha": 1, "columns": (left, right)}
    for left in (False, True)
    for right in (False, True)
}


@completes(checked_addmm)
def addmm(input, mat1, mat2, *rest, beta=1, alpha=1, out=None):
    """beta * input + alpha * (mat1 @ mat2); `input` is broadcast to (n, p).

    Raises:
        RuntimeError: not two matrices, sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.addmm(torch.ones(2), torch.eye(2), torch.eye(2), alpha=3)
        tensor([[4., 1.],
                [1., 4.]])
    """
    if rest:  # the factors are in front
        given = {name: value for name, value in (("beta", beta), ("alpha", alpha)) if value != 1}
        return checked_addmm(input, mat1, mat2, *rest, out=out, **given)
    try:
        kind = input._dtype
        if (
            beta == 1
            and alpha == 1
            and out is None
            and kind in BLAS
            and kind is mat1._dtype
            and kind is mat2._dtype
            and mat1._a.ndim == 2
            and mat2._a.ndim == 2
        ):
            a = enter(product, mat1._a, mat2._a)
            enter(np.add, a, input._a, a)
            made = new_tensor(a, kind)
            if input._edge is not None or mat1._edge is not None or mat2._edge is not None:
                columns = in_columns(mat1._a), in_columns(mat2._a)
                record(add_mm.derivative, (input, mat1, mat2), PRODUCTS[columns], made)
            return made
    except (AttributeError, ValueError, RuntimeError, TypeError):
        pass
    if out is None:
        return checked_addmm(input, mat1, mat2, beta=beta, alpha=alpha)
    same_out(out, input)
    return checked_addmm(input, mat1, mat2, beta=beta, alpha=alpha, out=out)


def _differing(first: str, second: str, x: Tensor, y: Tensor) -> RuntimeError:
    return explained(
        f"{first} and {second} must have the same dtype, but got {x._dtype.legacy} and {y._dtype.legacy}",
        f"addmm: {first} is {describe(x)} and {second} is {describe(y)}; convert one of them.",
    )


# ---- addmv ----


@primitive(
    "Addmv",
    vjp=(
        lambda g, beta: scaled(g, conjugate(beta)),
        lambda g, z, alpha: scaled(g.outer(z.conj()), conjugate(alpha)),
        lambda g, y, alpha: scaled(adjoint(y).mv(g), conjugate(alpha)),
    ),
)
def add_mv(x, y, z, *, beta, alpha):
    return _add_product(x, y, z, beta, alpha, y.shape[:1])


def _addmv_out(out: Tensor, input: Tensor, *rest: Any) -> None:
    one_vector_dtype(out._dtype, input._dtype, input._dtype)


@exact_out(_addmv_out)
@public(name="addmv")
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta * input + alpha * (mat @ vec); `input` is broadcast to (n).

    Example:
        >>> import rushlight as torch
        >>> torch.addmv(torch.ones(2), torch.eye(2), torch.tensor([1., 2.]))
        tensor([2., 3.])
    """
    for at, (argument, t) in enumerate((("input", input), ("mat", mat), ("vec", vec)), 1):
        as_tensor(t, "addmv", argument, at)
    check_matrix_vector(input, mat, vec)
    kind = input._dtype
    one_vector_dtype(kind, mat._dtype, vec._dtype)
    beta, alpha = check_scalar("addmv", "beta", beta, kind), check_scalar("addmv", "alpha", alpha, kind)
    if mat._a.size:
        refuse("addmv_impl_cpu", kind)
    return add_mv(input, mat, vec, beta=beta, alpha=alpha)


# ---- addr ----


@primitive(
    "Addr",
    vjp=(
        lambda g, beta: scaled(g, conjugate(beta)),
        lambda g, z, alpha: scaled(g.mv(z.conj()), conjugate(alpha)),
        lambda g, y, alpha: scaled(g.t().mv(y.conj()), conjugate(alpha)),
    ),
    promotes=False,
)
def add_r(x, y, z, *, beta, alpha, kind):
    inner = float32 if kind in REDUCED else kind
    x, y, z = (a.astype(inner.numpy, copy=False) for a in (x, y, z))
    if kind is bool_:
        product = np.outer(y, z) & bool(alpha)
        made = (x & bool(beta)) | product if beta else product
    else:
        made = np.multiply(inner.numpy.type(alpha), np.outer(y, z))
        made = (made + inner.numpy.type(beta) * x if beta else made).astype(kind.numpy, copy=False)
    return in_order(made, np.broadcast_to(x, made.shape), y[:, None], z)


@public(name="addr")
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta * input + alpha * outer(vec1, vec2); `input` is broadcast to (n, m).

    Raises:
        RuntimeError: a vector has not one dimension, or a number is a fraction and the tensors hold
            integers.

    Example:
        >>> import rushlight as torch
        >>> torch.addr(torch.zeros(2, 2), torch.tensor([1., 2.]), torch.tensor([3., 4.]))
        tensor([[3., 4.],
                [6., 8.]])
    """
    for at, (argument, t) in enumerate((("input", input), ("vec1", vec1), ("vec2", vec2)), 1):
        as_tensor(t, "addr", argument, at)
        if at > 1 and t._a.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {argument}, but got {t._a.ndim}-D")
    check_expands(input, (vec1._a.size, vec2._a.size))
    kind = result_type(input, vec1, vec2)
    for argument, value in (("beta", beta), ("alpha", alpha)):
        if kind.category < FLOATING and isinstance(value, (float, complex)):
            raise RuntimeError(
                f"For integral input tensors, argument {argument} must not be a floating point number."
            )
    beta, alpha = check_scalar("addr", "beta", beta, kind), check_scalar("addr", "alpha", alpha, kind)
    return add_r(input, vec1, vec2, beta=beta, alpha=alpha, kind=kind)


_general_addr_inplace = addr.inplace


@in_place_of(addr)
@_in_either_order("addr_")
def _addr_inplace(self: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place form of :func:`addr`; writes to this matrix."""
    if self._a.ndim != 2:
        raise RuntimeError(f"2D tensor expected, got {self._a.ndim}D tensor for input")
    return _general_addr_inplace(self, vec1, vec2, beta=beta, alpha=alpha)


# ---- batches ----


@primitive(
    "Baddbmm",
    vjp=(
        lambda g, beta: scaled(g, conjugate(beta)),
        lambda g, z, alpha: scaled(g.bmm(adjoint(z)), conjugate(alpha)),
        lambda g, y, alpha: scaled(adjoint(y).bmm(g), conjugate(alpha)),
    ),
)
def add_bmm(x, y, z, *, beta, alpha):
    return _add_product(x, y, z, beta, alpha, (*y.shape[:2], z.shape[2]))


def _batch_checks(name: str, input: Any, batch1: Any, batch2: Any) -> tuple[int, ...]:
    """The checks in PyTorch's order; the shape of one product of the batch comes back."""
    for at, (argument, t) in enumerate((("input", input), ("batch1", batch1), ("batch2", batch2)), 1):
        as_tensor(t, name, argument, at)
    a, b = batch1._a, batch2._a
    for t, least in ((b, 3), (a, 2)):
        if t.ndim < least:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(t.ndim, 1)}, {max(t.ndim, 1) - 1}], but "
                "got 2)"
            )
    return a.shape[0], a.shape[1], b.shape[2]


@exact_out(same_out)
@public(name="baddbmm")
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta * input + alpha * bmm(batch1, batch2); `input` is broadcast to (b, n, p).

    Raises:
        RuntimeError: shapes do not fit, or types differ.

    Example:
        >>> import rushlight as torch
        >>> torch.baddbmm(torch.ones(2), torch.ones(1, 2, 3), torch.ones(1, 3, 2))
        tensor([[[4., 4.],
                 [4., 4.]]])
    """
    shape = _batch_checks("baddbmm", input, batch1, batch2)
    check_expands(input, shape)
    kind = input._dtype
    if kind is not batch1._dtype or kind is not batch2._dtype:
        if kind is batch1._dtype:
            raise RuntimeError(f"expected scalar type {kind.legacy} but found {batch2._dtype.legacy}")
        names = [t._dtype.cpp for t in (input, batch1, batch2)]
        raise RuntimeError(
            "Input dtypes must be the same, got: input {}, batch1: {}, batch2: {}".format(*names)
        )
    check_batches(batch1, batch2)
    beta, alpha = check_scalar("baddbmm", "beta", beta, kind), check_scalar("baddbmm", "alpha", alpha, kind)
    if numel(shape):
        refuse("baddbmm", kind)
    return add_bmm(input, batch1, batch2, beta=beta, alpha=alpha)


@primitive(
    "Addbmm",
    vjp=(
        lambda g, beta: scaled(g, conjugate(beta)),
        lambda g, y_meta, z, alpha: scaled(_as_batch(g, y_meta).bmm(adjoint(z)), conjugate(alpha)),
        lambda g, y, y_meta, alpha: scaled(adjoint(y).bmm(_as_batch(g, y_meta)), conjugate(alpha)),
    ),
)
def add_sum_bmm(x, y, z, *, beta, alpha):
    # A sum of products of matrices is one product: the batch joins the inner dimension.
    rows = y.transpose(1, 0, 2).reshape(y.shape[1], -1)
    return _add_product(x, rows, z.reshape(rows.shape[1], z.shape[2]), beta, alpha, (y.shape[1], z.shape[2]))


def _as_batch(g: Any, meta: Any) -> Any:
    return g.unsqueeze(0).expand(meta.shape[0], *g._a.shape)


def _addbmm_out(out: Tensor, input: Tensor, *rest: Any) -> None:
    if out._dtype is not input._dtype:
        raise _differing("self", "mat2", out, input)


@exact_out(_addbmm_out)
@public(name="addbmm")
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta * input + alpha * the sum of the products of a batch; `input` is broadcast to (n, p).

    Raises:
        RuntimeError: shapes do not fit, or types differ.

    Example:
        >>> import rushlight as torch
        >>> torch.addbmm(torch.zeros(2, 2), torch.ones(5, 2, 3), torch.ones(5, 3, 2))
        tensor([[15., 15.],
                [15., 15.]])
    """
    shape = _batch_checks("addbmm", input, batch1, batch2)[1:]
    check_expands(input, shape)
    a, b, kind = batch1._a, batch2._a, input._dtype
    if a.ndim != 3:
        raise RuntimeError("batch1 must be a 3D tensor")
    if a.shape[0] != b.shape[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {a.shape[0]} and {b.shape[0]}"
        )
    if a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for bmm ({a.shape[1]}x{a.shape[2]} and {b.shape[1]}x{b.shape[2]})"
        )
    for first, x in (("self", input), ("mat1", batch1)):
        if x._dtype is not batch2._dtype:
            raise _differing(first, "mat2", x, batch2)
    beta, alpha = check_scalar("addbmm", "beta", beta, kind), check_scalar("addbmm", "alpha", alpha, kind)
    if numel(shape):
        refuse("addmm_impl_cpu_", kind)
    return add_sum_bmm(input, batch1, batch2, beta=beta, alpha=alpha)


_general_addbmm_inplace = addbmm.inplace


@in_place_of(addbmm)
@_in_either_order("addbmm_")
def _addbmm_inplace(self: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place form of :func:`addbmm`; a tensor of another shape takes the result's, as PyTorch's does."""
    made = addbmm(self.detach(), batch1.detach(), batch2.detach(), beta=beta, alpha=alpha)
    if made._a.shape == self._a.shape:
        return _general_addbmm_inplace(self, batch1, batch2, beta=beta, alpha=alpha)
    check_write(self, "addbmm_")
    store_out(self, made)
    return self


for _name, _operation in (("addmm", addmm), ("addmv", addmv), ("baddbmm", baddbmm)):
    _in_place(_name, _operation)

__all__ = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]
