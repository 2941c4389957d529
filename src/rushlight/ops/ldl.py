"""L D L^T of symmetric and Hermitian matrices, which need not be definite.

D has blocks of one and two rows. Bunch and Kaufman's pivots (Mathematics of Computation 31, 1977, algorithm A), kept as LAPACK's
sytrf and hetrf keep them: a positive pivot says with which row this one was exchanged; two equal negative ones belong to a block
of two, whose second row was exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.dtypes import COMPLEX, FLOATING
from rushlight.ops.lapack import (
    LinAlgError,
    batch_element,
    check_float,
    check_kernel,
    check_square,
    column_major,
)
from rushlight.ops.spec import primitive, public
from rushlight.tape.derivative import no_derivative

#: what keeps the elements of L from growing
_ALPHA = (1 + 17**0.5) / 8


def _size(x: np.ndarray) -> np.ndarray:
    """LAPACK's measure of an element: for complex ones |re| + |im|."""
    return np.abs(x.real) + np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)


def _factored(a: np.ndarray, hermitian: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """One matrix, of which the lower triangle is looked at: D and L in one, the pivots, and 0 or the first zero of D."""
    n = len(a)
    whole = _mirrored(a, hermitian)
    pivots = np.zeros(n, np.int32)
    info = k = 0
    while k < n:
        row, two = _pivot(whole, k)
        if not two and whole[k, k] == 0 and not whole[k + 1 :, k].any():
            info = info or k + 1
        last = k + two
        if row != last:
            _exchange(whole, k, last, row)
        pivots[k : last + 1] = -(row + 1) if two else row + 1
        _eliminate(whole, k, last + 1, hermitian)
        k = last + 1
    return np.tril(whole), pivots, info


def _mirrored(a: np.ndarray, hermitian: bool) -> np.ndarray:
    """The matrix whose lower triangle this is."""
    low = np.tril(a, -1)
    diagonal = np.diag(a).real if hermitian else np.diag(a)
    return low + (low.conj().T if hermitian else low.T) + np.diag(diagonal)


def _pivot(a: np.ndarray, k: int) -> tuple[int, bool]:
    """Which row comes next, and whether in a block of two; a[k:, k:] is what is left."""
    own = _size(a[k, k])
    below = _size(a[k + 1 :, k])
    if not below.size or max(own, below.max()) == 0 or own != own:
        return k, False
    row = k + 1 + int(below.argmax())
    largest = below.max()
    if own >= _ALPHA * largest:
        return k, False
    others = _size(a[row, k:]).copy()
    others[row - k] = 0
    if own * others.max() >= _ALPHA * largest * largest:
        return k, False
    return row, bool(_size(a[row, row]) < _ALPHA * others.max())


def _exchange(a: np.ndarray, k: int, i: int, j: int) -> None:
    """Rows and columns i and j of what is left from k on."""
    left = a[k:, k:]
    i, j = i - k, j - k
    left[[i, j]] = left[[j, i]]
    left[:, [i, j]] = left[:, [j, i]]


def _eliminate(a: np.ndarray, k: int, end: int, hermitian: bool) -> None:
    """Divide the columns k to `end` by their block of D, and take their product off the rest, which stays symmetric."""
    block, columns = a[k:end, k:end], a[end:, k:end].copy()
    if not columns.size or not block.any():
        return
    multiples = columns / block if end - k == 1 else columns @ _inverse(block)
    rest = a[end:, end:] - multiples @ (columns.conj().T if hermitian else columns.T)
    a[end:, end:] = _mirrored(rest, hermitian)
    a[end:, k:end] = multiples


def _inverse(d: np.ndarray) -> np.ndarray:
    """Of a block of two, by way of its elements over the one beside the diagonal, which is the largest."""
    b, c = d[0, 1], d[1, 0]
    scaled = np.array([[d[1, 1] / c, -b / c], [-np.ones_like(c), d[0, 0] / c]])
    return scaled / (d[0, 0] * (d[1, 1] / c) - b)


def _solved(a: np.ndarray, pivots: np.ndarray, b: np.ndarray, hermitian: bool) -> np.ndarray:
    """One system: L forwards, the blocks of D, L^T backwards; rows are exchanged on the way."""
    b = b.copy()
    turn: Callable = np.conj if hermitian else np.asarray
    blocks = []
    k = 0
    while k < len(a):
        end = k + 1 if pivots[k] > 0 else k + 2
        row = abs(int(pivots[k])) - 1
        b[[end - 1, row]] = b[[row, end - 1]]
        b[end:] -= a[end:, k:end] @ b[k:end]
        blocks.append((k, end, row))
        k = end
    for k, end, row in reversed(blocks):
        d = a[k:end, k:end].copy()
        if end - k == 2:
            d[0, 1] = turn(d[1, 0])
        elif hermitian:
            d = d.real
        b[k:end] = b[k:end] / d if end - k == 1 else _inverse(d) @ b[k:end]
        b[k:end] -= turn(a[end:, k:end]).T @ b[end:]
        b[[end - 1, row]] = b[[row, end - 1]]
    return b


@primitive("LinalgLdlFactorEx", vjp=(no_derivative("linalg_ldl_factor_ex"),), several=True)
def ldl_factor_(x, *, hermitian):
    made = np.zeros_like(x, order="C")
    pivots, info = np.zeros(x.shape[:-1], np.int32), np.zeros(x.shape[:-2], np.int32)
    for index in np.ndindex(x.shape[:-2]):
        made[index], pivots[index], info[index] = _factored(x[index], hermitian)
    return column_major(made), pivots, info


def _ldl_solve_vjp(g: Any, LD: Any, pivots: Any, hermitian: bool) -> Any:
    """A^-H g, which is A^-1 g for Hermitian A, and the conjugate of A^-1 conj(g) for symmetric A."""
    if hermitian or LD._dtype.category != COMPLEX:
        return ldl_solve_(LD, pivots, g, hermitian=hermitian)
    return ldl_solve_(LD, pivots, g.conj(), hermitian=False).conj()


@primitive("LinalgLdlSolve", vjp=(no_derivative("linalg_ldl_solve: LD"), None, _ldl_solve_vjp))
def ldl_solve_(LD, pivots, B, *, hermitian):
    lead = np.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    a = np.broadcast_to(LD, lead + LD.shape[-2:])
    p = np.broadcast_to(pivots, lead + pivots.shape[-1:])
    out = np.array(np.broadcast_to(B, lead + B.shape[-2:]))
    for index in np.ndindex(lead):
        out[index] = _solved(a[index], p[index], out[index], hermitian)
    return column_major(out)


def _check(name: str, A: Any) -> None:
    check_square("torch.linalg.ldl_factor_ex", A)
    check_float("torch.linalg.ldl_factor_ex", A, low=True)
    check_kernel("ldl_factor_kernel_cpu", A)


def _refuse_singular(name: str, info: np.ndarray) -> None:
    if info.any():
        index = tuple(int(i) for i in np.argwhere(info)[0]) if info.ndim else ()
        raise LinAlgError(
            f"{name}: {batch_element(index, info.shape)}D[{int(info[index])},{int(info[index])}] is zero, so systems with this "
            "matrix have no unique solution. linalg.ldl_factor_ex gives the factors all the same"
        )


@public(name="linalg.ldl_factor_ex", takes={"hermitian": "bool"})
def ldl_factor_ex(input, *, hermitian=False, check_errors=False):
    """As :func:`linalg.ldl_factor`, and for each matrix 0 or the first zero on D's diagonal.

    Raises:
        LinAlgError: there is one, with `check_errors`.
    """
    _check("torch.linalg.ldl_factor_ex", input)
    made = ldl_factor_(input, hermitian=bool(hermitian) and input._dtype.category == COMPLEX)
    if check_errors:
        _refuse_singular("torch.linalg.ldl_factor_ex", made[2]._a)
    return return_types.linalg_ldl_factor_ex(made)


@public(name="linalg.ldl_factor", takes={"hermitian": "bool"})
def ldl_factor(input, *, hermitian=False):
    """L and D of P^T A P = L D L^T (or L D L^H) in one matrix, and the pivots, for symmetric (or Hermitian) A.

    The lower triangle is looked at.

    Raises:
        LinAlgError: D has a zero on its diagonal.

    Example:
        >>> import rushlight as torch
        >>> a = torch.tensor([[0., 2.], [2., 0.]])
        >>> torch.linalg.ldl_solve(*torch.linalg.ldl_factor(a), torch.tensor([[2.], [4.]]))
        tensor([[2.],
                [1.]])
    """
    made = ldl_factor_ex(input, hermitian=hermitian)
    _refuse_singular("torch.linalg.ldl_factor", made[2]._a)
    return return_types.linalg_ldl_factor(made[:2])


@public(name="linalg.ldl_solve", takes={"pivots": "Tensor", "B": "Tensor", "hermitian": "bool"})
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """X of A X = B, from :func:`linalg.ldl_factor`'s result.

    Raises:
        RuntimeError: shapes or types that do not go together.
    """
    check_square("torch.linalg.ldl_solve", LD)
    a, b = LD._a, B._a
    if b.ndim < 2:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-max(b.ndim, 1)}, {max(b.ndim, 1) - 1}], but got -2)"
        )
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for torch.linalg.ldl_solve: each A matrix is {a.shape[-1]} by {a.shape[-1]} but each b "
            f"matrix is {b.shape[-2]} by {b.shape[-1]}"
        )
    if LD._dtype is not B._dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {B._dtype.legacy} and A of type "
            f"{LD._dtype.legacy} instead."
        )
    if pivots._dtype.category >= FLOATING:
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Expected pivots to be integers. Got {pivots._dtype.legacy}"
        )
    if pivots._a.shape != a.shape[:-1]:
        raise RuntimeError(
            "torch.linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots._a.shape)} instead"
        )
    check_float("torch.linalg.ldl_solve", LD, low=True)
    check_kernel("ldl_solve_kernel_cpu", LD)
    _check_pivots(pivots._a)
    return ldl_solve_(LD, pivots, B, hermitian=bool(hermitian) and LD._dtype.category == COMPLEX)


def _check_pivots(pivots: np.ndarray) -> None:
    """RuntimeError for what no factorisation gives: rows that are not there, half a block of two."""
    n = pivots.shape[-1]
    paired = np.zeros(pivots.shape[:-1], bool)
    fine = (np.abs(pivots.astype(np.int64)) <= n).all() and (pivots != 0).all()
    for k in range(n):
        first = (pivots[..., k] < 0) & ~paired
        fine = fine and (k + 1 < n or not first.any())
        if k + 1 < n:
            fine = fine and not (first & (pivots[..., min(k + 1, n - 1)] != pivots[..., k])).any()
        paired = first
    if not fine:
        raise RuntimeError(
            "torch.linalg.ldl_solve: pivots are not those of a factorisation; pass the result of ldl_factor"
        )


__all__ = ["ldl_factor", "ldl_factor_ex", "ldl_solve"]
