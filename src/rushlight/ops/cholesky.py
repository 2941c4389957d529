"""Cholesky's factor: of a matrix, the inverse and the solutions that it gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.layout import broadcast
from rushlight.ops import lapack
from rushlight.ops.contractions import adjoint
from rushlight.ops.lapack import (
    LinAlgError,
    batch_element,
    check_float,
    check_kernel,
    check_square,
    check_tensor,
    column_major,
    copied,
    first_failing,
    hermitian,
)
from rushlight.ops.linear_algebra import identity_where, info_of, triangular_
from rushlight.ops.spec import primitive, public
from rushlight.ops.writing import in_rows
from rushlight.runtime.execute import wrap


def _cholesky_gradient(g: Any, out: Any, upper: bool) -> Any:
    """L^-H sym(tril(L^H g), its diagonal halved) L^-1. Murray, arXiv:1602.07527."""
    if upper:
        g, out = adjoint(g), adjoint(out)
    inner = adjoint(out) @ g
    half = (inner.tril() + inner.tril(-1)) * 0.5
    half = triangular_(adjoint(out), half + adjoint(half), upper=True, left=True, unitriangular=False)
    return triangular_(out, half, upper=False, left=False, unitriangular=False) * 0.5


def _failing_minor(a: np.ndarray) -> int:
    """The order of the first leading minor that is not positive-definite, or 0."""
    try:
        np.linalg.cholesky(a)
        return 0
    except np.linalg.LinAlgError:
        low, high = 0, a.shape[-1]
    while high - low > 1:
        middle = (low + high) // 2
        try:
            np.linalg.cholesky(a[:middle, :middle])
            low = middle
        except np.linalg.LinAlgError:
            high = middle
    return high


def _cholesky(x: np.ndarray, upper: bool, name: str) -> np.ndarray:
    try:
        made = np.linalg.cholesky(x, upper=upper)
    except np.linalg.LinAlgError:
        made = None
    if made is None or not np.isfinite(np.einsum("...ii->...i", made)).all():
        raise _not_positive(x, upper, name) from None
    return column_major(made)


def _not_positive(x: np.ndarray, upper: bool, name: str) -> LinAlgError:
    triangle = hermitian(x) if upper else x
    index, order = first_failing(_failing_minor, triangle) or ((0,) * (x.ndim - 2), 1)
    return LinAlgError(
        f"{name}: {batch_element(index, x.shape[:-2])}The factorization could not be completed because the input is "
        f"not positive-definite (the leading minor of order {order} is not positive-definite)."
    )


@primitive("LinalgCholeskyEx", vjp=(_cholesky_gradient,))
def cholesky_(x, *, upper, name):
    return _cholesky(x, upper, name)


@primitive("Cholesky", vjp=(_cholesky_gradient,))
def old_cholesky_(x, *, upper, name):
    return _cholesky(x, upper, name)


@public(name="linalg.cholesky", takes={"upper": "bool"})
def cholesky(input, *, upper=False):
    """The lower (or upper) triangular L of A = L L^H for Hermitian positive-definite A.

    Raises:
        LinAlgError: a matrix is not positive-definite.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.cholesky(torch.tensor([[4., 2.], [2., 2.]]))
        tensor([[2., 0.],
                [1., 1.]])
    """
    check_square("linalg.cholesky", input)
    check_float("linalg.cholesky", input, low=True)
    check_kernel("cholesky_cpu", input)
    return cholesky_(input, upper=bool(upper), name="linalg.cholesky")


@public(name="cholesky", out=copied, takes={"upper": "bool"})
def torch_cholesky(input, upper=False):
    """Cholesky's factor: :func:`linalg.cholesky`."""
    check_square("cholesky", input)
    check_kernel("cholesky_cpu", input)
    return old_cholesky_(input, upper=bool(upper), name="cholesky")


@public(name="linalg.cholesky_ex", takes={"upper": "bool"})
def cholesky_ex(input, *, upper=False, check_errors=False):
    """Cholesky's factor, and for each matrix 0 or the order of its first minor that is not positive."""
    check_square("linalg.cholesky_ex", input)
    check_float("linalg.cholesky_ex", input, low=True)
    check_kernel("cholesky_cpu", input)
    info = info_of(hermitian(input._a) if upper else input._a, _failing_minor)
    if check_errors or not info.any():
        made = cholesky_(input, upper=bool(upper), name="linalg.cholesky_ex")
    else:
        usable = input.masked_fill(wrap(info != 0).view(*info.shape, 1, 1), 0) + identity_where(input, info)
        made = cholesky_(usable, upper=bool(upper), name="linalg.cholesky_ex")
    return lapack.cholesky_ex((made, wrap(info)))


def _cholesky_inverse_gradient(g: Any, x: Any, out: Any, upper: bool) -> Any:
    both = g + adjoint(g)
    if upper:
        return -(x @ (out @ both @ out)).triu()
    return -((out @ both @ out) @ x).tril()


@primitive("CholeskyInverse", vjp=(_cholesky_inverse_gradient,))
def cholesky_inverse_(x, *, upper):
    factor = np.triu(x) if upper else hermitian(np.tril(x))
    zero = np.einsum("...ii->...i", factor) == 0
    if zero.any():
        index = tuple(int(i) for i in np.argwhere(zero)[0])
        raise LinAlgError(
            f"cholesky_inverse: {batch_element(index[:-1], x.shape[:-2])}The diagonal element {index[-1] + 1} is zero, "
            "the inversion could not be completed because the input matrix is singular."
        )
    eye = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    root = lapack.solve_upper(factor, eye)
    return column_major(root @ hermitian(root))


@public(name="cholesky_inverse", takes={"upper": "bool"})
def cholesky_inverse(input, upper=False):
    """The inverse of L L^H (or U^H U) from its Cholesky factor."""
    check_square("cholesky_inverse", input)
    check_kernel("cholesky_inverse_out_cpu", input)
    return cholesky_inverse_(input, upper=bool(upper))


def _cholesky_solve_vjp(g: Any, b: Any, x: Any, out: Any, upper: bool) -> tuple:
    gb = cholesky_solve_(g, x, upper=upper)
    common = gb @ adjoint(out)
    common = -(common + adjoint(common))
    return gb, (x @ common).triu() if upper else (common @ x).tril()


@primitive("CholeskySolve", vjp=_cholesky_solve_vjp)
def cholesky_solve_(b, x, *, upper):
    factor = np.triu(x) if upper else hermitian(np.tril(x))
    half = lapack.solve_triangle(hermitian(factor), b, False, False)
    return column_major(lapack.solve_upper(factor, half))


@public(name="cholesky_solve", out=in_rows, takes={"upper": "bool"})
def cholesky_solve(input, input2, upper=False):
    """X of A X = B from A's Cholesky factor.

    Raises:
        RuntimeError: fewer than two dimensions, sizes that do not fit, or types that differ.

    Example:
        >>> import rushlight as torch
        >>> a = torch.tensor([[4.0, 2.0], [2.0, 3.0]])
        >>> torch.cholesky_solve(torch.tensor([[2.0], [3.0]]), torch.linalg.cholesky(a))
        tensor([[0.],
                [1.]])
    """
    name = "cholesky_solve"
    check_tensor(name, "input", 1, input)
    check_tensor(name, "input2", 2, input2)
    for argument, t in (("b", input), ("u", input2)):
        if t._a.ndim < 2:
            raise RuntimeError(
                f"{argument} should have at least 2 dimensions, but has {t._a.ndim} dimensions instead"
            )
    check_square(name, input2)
    if input._a.shape[-2] != input2._a.shape[-1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {input2._a.shape[-1]} by {input2._a.shape[-1]} but each b "
            f"matrix is {input._a.shape[-2]} by {input._a.shape[-1]}"
        )
    if input._dtype is not input2._dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {input._dtype.legacy} and A of type "
            f"{input2._dtype.legacy} instead."
        )
    check_kernel("cholesky_solve_cpu", input2)
    lead = broadcast(input._a.shape[:-2], input2._a.shape[:-2])
    B = input.expand(*lead, *input._a.shape[-2:])
    return cholesky_solve_(B, input2.expand(*lead, *input2._a.shape[-2:]), upper=bool(upper))
