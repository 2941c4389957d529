"""Numbers and functions of matrices: norms, rank, condition, exponential, and tensors taken as matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, WIDE, bool_, int64, promote_types
from rushlight.layout import broadcast, numel, wrap_dim
from rushlight.ops.contractions import adjoint
from rushlight.ops.factorizations import svdvals
from rushlight.ops.joining import cat
from rushlight.ops.lapack import check_float, check_matrix, check_square, check_tensor, copied
from rushlight.ops.linear_algebra import inv, inv_ex, solve, tolerances
from rushlight.ops.matmul import matmul as torch_matmul
from rushlight.ops.norms import vector_norm as reduce_norm
from rushlight.ops.products import matrix_power as torch_matrix_power
from rushlight.ops.spec import primitive, public
from rushlight.runtime.execute import wrap

# ---- norms ----


@public(name="linalg.vector_norm")
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The `ord`-norm of all elements, or over the dimensions `dim`.

    Raises:
        RuntimeError: integers, or a norm without identity of no elements.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.vector_norm(torch.tensor([3., 4.]))
        tensor(5.)
    """
    check_tensor("linalg.vector_norm", "x", 1, x)
    if isinstance(ord, (str, Tensor)) or not isinstance(ord, (int, float)):
        raise TypeError(
            f"linalg_vector_norm(): argument 'ord' (position 2) must be Number, not {type(ord).__name__}"
        )
    if dtype is not None and promote_types(x._dtype, dtype) is not dtype and x._dtype.category >= FLOATING:
        _refuse_narrowing("linalg.vector_norm", x, dtype)
    return reduce_norm(x, ord, dim, keepdim, dtype=dtype)


def _refuse_narrowing(name: str, x: Tensor, kind: Any) -> None:
    if kind.category == x._dtype.category:
        raise RuntimeError(
            f"{name}: the dtype of the input ({x._dtype.legacy}) should be convertible without narrowing to the "
            f"specified dtype ({kind.legacy})"
        )


@public(name="linalg.matrix_norm")
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """Norms of matrices: "fro", "nuc", 2 and -2 (singular values), 1, -1, inf, -inf (column and row sums).

    Raises:
        RuntimeError: `dim` is not two dimensions, or there is no such norm.
        TypeError: `dim` is no tuple.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.matrix_norm(torch.tensor([[3., 0.], [0., 4.]]))
        tensor(5.)
    """
    name = "linalg.matrix_norm"
    check_matrix(name, A)
    check_float(name, A, low=True)
    if isinstance(dim, int) or len(dim) != 2:
        got = dim if isinstance(dim, int) else ", ".join(map(str, dim))
        if isinstance(dim, int):
            raise TypeError(
                f"linalg_matrix_norm(): argument 'dim' (position 3) must be tuple of ints, not {got}"
            )
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {got}")
    i, j = (wrap_dim(d, A._a.ndim) for d in dim)
    if i == j:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return vector_norm(A, 2, (i, j), keepdim, dtype=dtype)
    if isinstance(ord, str) and ord != "nuc" or not isinstance(ord, str) and abs(ord) not in (1, 2, math.inf):
        raise RuntimeError(f"{name}: Order {ord if isinstance(ord, str) else f'{ord:g}'} not supported.")
    if dtype is not None:
        A = A.to(dtype)
    if ord == "nuc" or abs(ord) == 2:
        made = _by_singular_values(A, ord, i, j)
    else:
        made = _by_sums(A, ord, i, j)
    if keepdim:
        for d in sorted((i, j)):
            made = made.unsqueeze(d)
    return made


def _by_singular_values(A: Any, ord: Any, i: int, j: int) -> Any:
    values = svdvals(A.movedim((i, j), (-2, -1)))
    if ord == "nuc" or ord == 2 and not values._a.shape[-1]:
        return values.sum(-1)
    return values.amax(-1) if ord > 0 else values.amin(-1)


def _by_sums(A: Any, ord: Any, i: int, j: int) -> Any:
    summed, other = (i, j) if abs(ord) == 1 else (j, i)
    sums = vector_norm(A, 1, summed, False)
    other -= other > summed
    if ord > 0 and not sums._a.shape[other]:
        return sums.sum(other)
    return sums.amax(other) if ord > 0 else sums.amin(other)


@public(name="linalg.norm")
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector norm or a matrix norm, by the number of dimensions (or of entries of `dim`).

    Raises:
        RuntimeError: `dim` names neither one nor two dimensions, or without it there are not one or two.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.norm(torch.tensor([[3., 4.], [0., 0.]]), dim=1)
        tensor([5., 0.])
    """
    check_tensor("linalg.norm", "A", 1, A)
    named = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if ord is None:
        return vector_norm(A, 2, named, keepdim, dtype=dtype)
    if named is not None and len(named) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(named)}"
        )
    if named is None and A._a.ndim not in (1, 2):
        if not isinstance(ord, str) or A._a.ndim > 2:
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{A._a.ndim}D."
            )
    if isinstance(ord, str):
        if named is not None and len(named) == 1:
            raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {named[0]}")
        return matrix_norm(A, ord, (-2, -1) if named is None else named, keepdim, dtype=dtype)
    if (A._a.ndim if named is None else len(named)) == 2:
        return matrix_norm(A, ord, (-2, -1) if named is None else named, keepdim, dtype=dtype)
    return vector_norm(A, ord, named, keepdim, dtype=dtype)


@public
def frobenius_norm(input, dim, keepdim=False):
    """The root of the sum of the squares over `dim`, a dimension or two: :func:`linalg.vector_norm`.

    Example:
        >>> import rushlight as torch
        >>> torch.frobenius_norm(torch.tensor([[3., 4.]]), [0, 1])
        tensor(5.)
    """
    return vector_norm(input, 2, dim if isinstance(dim, int) else list(dim) or None, keepdim)


@public
def nuclear_norm(input, dim=None, keepdim=False):
    """The sum of the singular values of the matrices in the two dimensions `dim`: :func:`linalg.matrix_norm`.

    Example:
        >>> import rushlight as torch
        >>> torch.nuclear_norm(torch.tensor([[3., 0.], [0., 4.]]))
        tensor(7.)
    """
    if dim is None or isinstance(dim, bool):
        return matrix_norm(input, "nuc", (-2, -1), bool(dim) or keepdim)
    return matrix_norm(input, "nuc", tuple(dim), keepdim)


@public(name="linalg.cond")
def cond(input, p=None):
    """Condition numbers: the norm of a matrix times that of its inverse.

    Raises:
        RuntimeError: fewer than two dimensions, or no such norm.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.cond(torch.tensor([[2., 0.], [0., 1.]]))
        tensor(2.)
    """
    check_tensor("linalg.cond", "input", 1, input)
    if input._a.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or not isinstance(p, str) and abs(p) == 2:
        values = svdvals(input)
        first, last = values.narrow(-1, 0, 1), values.narrow(-1, values._a.shape[-1] - 1, 1)
        return (last / first if p == -2 else first / last).squeeze(-1)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square("linalg.cond", input)
    check_float("linalg.cond", input)
    if p == "nuc":
        return matrix_norm(input, p) * matrix_norm(inv(input), p)
    inverted = inv_ex(input)[0]
    made = matrix_norm(input, p) * matrix_norm(inverted, p)
    return made.nan_to_num(math.inf, math.inf, -math.inf)


@public(name="linalg.matrix_rank")
def matrix_rank(input, tol=None, hermitian=False, *, atol=None, rtol=None):
    """The number of singular values above max(atol, rtol * the largest).

    Raises:
        RuntimeError: fewer than two dimensions, or no floats.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.matrix_rank(torch.ones(3, 3))
        tensor(1)
    """
    check_tensor("linalg.matrix_rank", "input", 1, input)
    if input._a.ndim < 2:
        raise RuntimeError(
            "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions."
        )
    if input._dtype.category < FLOATING or input._dtype in WIDE:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if tol is not None:
        atol, rtol = tol, 0.0
    atol, rtol = tolerances(input, atol, rtol)
    x = input.detach()
    lead = x._a.shape[:-2]
    if not x._a.size:
        return x.new_zeros(lead, dtype=int64)
    if hermitian:
        from rushlight.ops.factorizations import eigvalsh

        sizes = eigvalsh(x).abs()._a
    else:
        sizes = svdvals(x)._a
    cut = np.maximum(atol._a, rtol._a * sizes.max(-1))
    return wrap(np.asarray((sizes > cut[..., None]).sum(-1)))


# ---- exponential ----

#: coefficients of the [13/13] Padé approximant of exp
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
#: the 1-norm up to which the approximant is exact to double precision
_THETA = 5.371920351148152


def _exponential(a: np.ndarray) -> np.ndarray:
    """Scaling and squaring: N. J. Higham, SIAM J. Matrix Anal. Appl. 26 (2005) 1179."""
    if not a.size:
        return a.copy()
    size = np.abs(a).sum(-2).max(-1)
    finite = np.isfinite(size)
    power = np.where(finite & (size > _THETA), np.ceil(np.log2(np.maximum(size, _THETA) / _THETA)), 0).astype(
        int
    )
    a = np.where(finite[..., None, None], a, 0) / (2.0**power)[..., None, None]
    b, eye = _PADE, np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    out = np.linalg.solve(even - odd, even + odd)
    for step in range(int(power.max(initial=0))):
        out = np.where((step < power)[..., None, None], out @ out, out)
    return np.where(finite[..., None, None], out, np.nan)


def _exp_gradient(g: Any, a: Any) -> Any:
    """The derivative in direction g is the corner of exp([[A^H, g], [0, A^H]])."""
    n, turned = a._a.shape[-1], adjoint(a)
    top, bottom = cat((turned, g), -1), cat((turned.new_zeros(turned._a.shape), turned), -1)
    return matrix_exp_(cat((top, bottom), -2)).narrow(-2, 0, n).narrow(-1, n, n)


@primitive("LinalgMatrixExp", vjp=(lambda g, a: _exp_gradient(g, a),))
def matrix_exp_(a):
    exact = np.complex128 if a.dtype.kind == "c" else np.float64
    return _exponential(a.astype(exact)).astype(a.dtype)


@public(name="linalg.matrix_exp", out=False)
def matrix_exp(A):
    """The exponentials of square matrices, computed in double precision.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.matrix_exp(torch.zeros(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    check_square("linalg.matrix_exp", A)
    check_float("linalg.matrix_exp", A, low=True)
    return matrix_exp_(A)


@public(name="matrix_exp", out=False)
def torch_matrix_exp(input):
    """The exponentials of square matrices: :func:`linalg.matrix_exp`."""
    return matrix_exp(input)


@public(name="linalg.matrix_power", takes={"n": "int"})
def matrix_power(A, n):
    """Square matrices to an integer power: :func:`matrix_power`."""
    return torch_matrix_power(A, n)


# ---- small products ----


@public(name="linalg.vecdot", takes={"dim": "int"})
def vecdot(x, y, *, dim=-1):
    """Sums of conj(x) * y along `dim`; other dimensions are broadcast.

    Raises:
        RuntimeError: integers, or different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.vecdot(torch.ones(2, 3), torch.ones(3))
        tensor([3., 3.])
    """
    check_tensor("linalg.vecdot", "x", 1, x)
    check_tensor("linalg.vecdot", "y", 2, y)
    check_float("linalg.vecdot", x, low=True)
    if x._dtype is not y._dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {x._dtype.legacy} and y of "
            f"type {y._dtype.legacy} instead"
        )
    broadcast(x._a.shape, y._a.shape)
    return (x.conj() * y).sum(dim)


@public(name="linalg.diagonal", out=False)
def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """A view of the diagonals of matrices."""
    check_tensor("linalg.diagonal", "A", 1, A)
    return A.diagonal(offset, dim1, dim2)


@public(name="linalg.matmul")
def matmul(input, other):
    """The matrix product: :func:`matmul`."""
    return torch_matmul(input, other)


@public(name="linalg.vander", out=False, takes={"N": "int?"})
def vander(x, *, N=None):
    """Powers 0 to N - 1 of each element, along a new last dimension.

    Raises:
        RuntimeError: `N` of 1 or less, or a bool tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.vander(torch.tensor([2, 3]), N=3)
        tensor([[1, 2, 4],
                [1, 3, 9]])
    """
    check_tensor("linalg.vander", "x", 1, x)
    n = N if N is not None else x._a.shape[-1] if x._a.ndim else 0
    if n < 1 or x._a.ndim == 0 and n <= 1:
        raise RuntimeError("N must be greater than 1.")
    if x._dtype is bool_:
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got Bool"
        )
    if x._dtype.category < FLOATING and x._dtype is not int64:
        x = x.to(int64)
    x = x.unsqueeze(0) if not x._a.ndim else x
    spread = x.unsqueeze(-1).expand(*x._a.shape, n - 1)
    ones = x.new_ones(*x._a.shape, 1)
    return cat((ones, spread.cumprod(-1)), -1)


# ---- tensors as matrices ----


@public(name="linalg.tensorinv", out=copied, takes={"ind": "int"})
def tensorinv(input, ind=2):
    """The inverse of a tensor taken as a matrix: its first `ind` dimensions against the others.

    Raises:
        RuntimeError: `ind` is not above 0, or this is no square matrix.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.tensorinv(2 * torch.eye(4).reshape(2, 2, 4)).shape
        torch.Size([4, 2, 2])
    """
    check_tensor("linalg.tensorinv", "input", 1, input)
    check_float("tensorinv", input)
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    first, rest = input._a.shape[:ind], input._a.shape[ind:]
    if numel(first) != numel(rest):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{numel(rest)} != {numel(first)}"
        )
    return inv(input.reshape(numel(first), numel(rest))).reshape(*rest, *first)


@public(name="linalg.tensorsolve")
def tensorsolve(A, B, dims=None):
    """X of tensordot(A, X, X.ndim) = B, A taken as a matrix.

    Raises:
        RuntimeError: `A` is no square matrix.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.tensorsolve(2 * torch.eye(4).reshape(2, 2, 4), torch.ones(2, 2))
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    check_tensor("linalg.tensorsolve", "A", 1, A)
    check_tensor("linalg.tensorsolve", "B", 2, B)
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A._a.ndim - len(dims), A._a.ndim)))
    rest, first = A._a.shape[B._a.ndim :], A._a.shape[: B._a.ndim]
    if numel(rest) != numel(B._a.shape):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {numel(rest)} != {numel(first)}"
        )
    return solve(A.reshape(numel(B._a.shape), numel(rest)), B.flatten()).reshape(rest)


__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]
