"""What the operations of linear algebra share: checks, errors, and LAPACK through NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, WIDE
from rushlight.errors import wrong_type


class _LinAlgError(RuntimeError):
    """A matrix for which there is no answer: singular, not positive-definite, not finite."""


LinAlgError = _LinAlgError  # PyTorch's name for it, and the name it has in tracebacks


# ---- checks ----


def check_tensor(name: str, argument: str, position: int, t: Any) -> None:
    if not isinstance(t, Tensor):
        raise wrong_type(name.replace(".", "_"), argument, position, t)


def check_matrix(name: str, t: Any, argument: str = "A") -> None:
    check_tensor(name, argument if argument != "A" else "input", 1, t)
    if t._a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")


def check_square(name: str, t: Any) -> None:
    check_matrix(name, t)
    m, n = t._a.shape[-2:]
    if m != n:
        raise RuntimeError(f"{name}: A must be batches of square matrices, but they are {m} by {n} matrices")


def check_float(name: str, t: Tensor, low: bool = False) -> None:
    """Floating or complex; unless `low`, no half types."""
    if t._dtype.category < FLOATING:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {t._dtype.legacy}"
        )
    if not low and t._dtype in WIDE:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {t._dtype.legacy}")


def check_kernel(kernel: str, t: Tensor) -> None:
    """The types that LAPACK knows: float32, float64 and their complex counterparts."""
    if t._dtype.category < FLOATING or t._dtype in WIDE:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


def check_same_dtype(name: str, x: Tensor, y: Tensor) -> None:
    if x._dtype is not y._dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {x._dtype.legacy} and B of type "
            f"{y._dtype.legacy} instead"
        )


# ---- arrays ----


def column_major(a: np.ndarray) -> np.ndarray:
    """The same matrices with columns contiguous, as LAPACK leaves them."""
    if a.ndim < 2:
        return a
    return a.swapaxes(-1, -2).copy("C").swapaxes(-1, -2)


def hermitian(a: np.ndarray) -> np.ndarray:
    turned = a.swapaxes(-1, -2)
    return turned.conj() if a.dtype.kind == "c" else turned


def batch_of(*arrays: np.ndarray) -> tuple[int, ...]:
    return np.broadcast_shapes(*[a.shape[:-2] for a in arrays])


def batch_element(index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """How messages name one matrix of a batch; nothing if there is only one."""
    return f"(Batch element {int(np.ravel_multi_index(index, shape))}): " if shape else ""


def first_failing(test: Callable[[np.ndarray], int], a: np.ndarray) -> tuple[tuple[int, ...], int] | None:
    """The first matrix of a batch for which `test` gives a number above 0, and the number."""
    for index in np.ndindex(a.shape[:-2]):
        found = test(a[index])
        if found:
            return index, found
    return None


def copied(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """For an `out=` that PyTorch copies the result to: in rows where it is resized, and of any type."""
    result = plain(*args, **kwargs)
    if isinstance(result, Tensor):
        return result.contiguous()
    return type(result)([t.contiguous().to(out._dtype) for t, out in zip(result, outs)])


# ---- LU with partial pivoting ----

_BLOCK = 48


def lu(a: np.ndarray, pivot: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L and U in one array, pivots from 1, and info: LAPACK's getrf, on a batch at once.

    NumPy does not show its getrf. Right-looking blocks: factor some columns, exchange rows,
    solve for the rows of U to their right, and take the product off the rest. Golub and
    Van Loan, Matrix Computations, 3.2.11.
    """
    shape = a.shape
    count = int(np.prod(shape[:-2], dtype=int))
    m, n = shape[-2:]
    a = np.array(a, order="C").reshape(count, m, n)
    k = min(m, n)
    pivots = np.tile(np.arange(1, k + 1, dtype=np.int32), (count, 1))
    info = np.zeros(count, np.int32)
    each = np.arange(count)
    for start in range(0, k, _BLOCK):
        stop = min(start + _BLOCK, k)
        for j in range(start, stop):
            if pivot:
                at = np.argmax(np.abs(a[:, j:, j]), axis=1) + j
                pivots[:, j] = at + 1
                row = a[each, at].copy()
                a[each, at] = a[:, j]
                a[:, j] = row
            head = a[:, j, j]
            zero = head == 0
            info[zero & (info == 0)] = j + 1
            a[:, j + 1 :, j] /= np.where(zero, 1, head)[:, None]
            a[:, j + 1 :, j + 1 : stop] -= a[:, j + 1 :, j, None] * a[:, j, None, j + 1 : stop]
        if stop < n:
            lower = unit_lower(a[:, start:stop, start:stop])
            a[:, start:stop, stop:] = np.linalg.solve(lower, a[:, start:stop, stop:])
            a[:, stop:, stop:] -= a[:, stop:, start:stop] @ a[:, start:stop, stop:]
    return a.reshape(shape), pivots.reshape(*shape[:-2], k), info.reshape(shape[:-2])


def unit_lower(a: np.ndarray) -> np.ndarray:
    """The lower triangle with ones on the diagonal."""
    out = np.tril(a, -1)
    np.einsum("...ii->...i", out)[...] = 1
    return out


def permutation(pivots: np.ndarray, m: int) -> np.ndarray:
    """The row order that a sequence of exchanges leads to: row i of P^T A is row order[i] of A."""
    flat = pivots.reshape(int(np.prod(pivots.shape[:-1], dtype=int)), pivots.shape[-1])
    order = np.tile(np.arange(m), (len(flat), 1))
    each = np.arange(len(flat))
    for j in range(flat.shape[1]):
        at = flat[:, j] - 1
        order[each, at], order[each, j] = order[each, j].copy(), order[each, at].copy()
    return order.reshape(*pivots.shape[:-1], m)


def zero_pivot(a: np.ndarray) -> int:
    """The first zero on U's diagonal, counted from 1; 0 if A is not singular."""
    return int(lu(a)[2]) if a.size else 0


# ---- triangular systems ----


def solve_upper(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """X of triu(A) X = B, by halves: X2 first, then X1 with U12 X2 taken off."""
    n = a.shape[-1]
    if n <= 64:
        return _substitute(np.triu(a), b)
    h = n // 2
    low = solve_upper(a[..., h:, h:], b[..., h:, :])
    high = solve_upper(a[..., :h, :h], b[..., :h, :] - a[..., :h, h:] @ low)
    return np.concatenate((high, low), -2)


def _substitute(u: np.ndarray, b: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(u, b)
    except np.linalg.LinAlgError:
        pass
    x = np.array(np.broadcast_to(b, np.broadcast_shapes(u.shape[:-2], b.shape[:-2]) + b.shape[-2:]))
    for i in range(u.shape[-1] - 1, -1, -1):
        x[..., i, :] /= u[..., i, i, None]
        x[..., :i, :] -= u[..., :i, i, None] * x[..., None, i, :]
    return x


def solve_triangle(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """X of A X = B for a triangle of A; the other triangle is not looked at."""
    if unit:
        a = np.array(a)
        np.einsum("...ii->...i", a)[...] = 1
    if upper:
        return solve_upper(a, b)
    return solve_upper(a[..., ::-1, ::-1], b[..., ::-1, :])[..., ::-1, :]


# ---- results ----

inv_ex = return_types._named("linalg_inv_ex", "inverse", "info")
solve_ex = return_types._named("linalg_solve_ex", "result", "info")
cholesky_ex = return_types._named("linalg_cholesky_ex", "L", "info")
slogdet = return_types._named("linalg_slogdet", "sign", "logabsdet")
old_slogdet = return_types._named("slogdet", "sign", "logabsdet")
lstsq = return_types._named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
qr = return_types._named("linalg_qr", "Q", "R")
old_qr = return_types._named("qr", "Q", "R")
svd = return_types._named("linalg_svd", "U", "S", "Vh")
old_svd = return_types._named("svd", "U", "S", "V")
eig = return_types._named("linalg_eig", "eigenvalues", "eigenvectors")
eigh = return_types._named("linalg_eigh", "eigenvalues", "eigenvectors")
lu_result = return_types._named("linalg_lu", "P", "L", "U")
lu_factor = return_types._named("linalg_lu_factor", "LU", "pivots")
lu_factor_ex = return_types._named("linalg_lu_factor_ex", "LU", "pivots", "info")
triangular_solve = return_types._named("triangular_solve", "solution", "cloned_coefficient")
