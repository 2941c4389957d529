"""Solving: inverses, systems of equations, determinants, least squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.device import contiguous_format
from rushlight.dtypes import COMPLEX, FLOATING, WIDE
from rushlight.layout import broadcast
from rushlight.ops import lapack
from rushlight.ops.contractions import adjoint
from rushlight.ops.lapack import (
    LinAlgError,
    batch_element,
    batch_of,
    check_float,
    check_kernel,
    check_same_dtype,
    check_square,
    check_tensor,
    column_major,
    first_failing,
    hermitian,
    zero_pivot,
)
from rushlight.ops.spec import primitive, public
from rushlight.runtime.execute import quiet, wrap

# ---- inverse ----


@primitive("LinalgInvEx", vjp=(lambda g, out: -(adjoint(out) @ g @ adjoint(out)),))
def inverse_of(x, *, name):
    try:
        return column_major(np.linalg.inv(x))
    except np.linalg.LinAlgError:
        index, at = first_failing(zero_pivot, x) or ((0,) * (x.ndim - 2), x.shape[-1])
        raise LinAlgError(
            f"{name}: {batch_element(index, x.shape[:-2])}The diagonal element {at} is zero, the inversion could not "
            "be completed because the input matrix is singular."
        ) from None


@public(name="linalg.inv")
def inv(input):
    """The inverses of square matrices.

    Raises:
        RuntimeError: not square.
        LinAlgError: a matrix is singular.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.inv(torch.tensor([[2., 0.], [0., 4.]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    check_square("linalg.inv", input)
    check_float("linalg.inv", input)
    return inverse_of(input, name="linalg.inv")


@public(name="inverse")
def inverse(input):
    """The inverses of square matrices: :func:`linalg.inv`."""
    return inv(input)


@public(name="linalg.inv_ex")
def inv_ex(A, *, check_errors=False):
    """The inverses, and for each matrix 0 or the first zero pivot; where that is set the values are NaN."""
    check_square("linalg.inv_ex", A)
    check_float("linalg.inv_ex", A)
    info = info_of(A._a, zero_pivot)
    if check_errors or not info.any():
        return lapack.inv_ex((inverse_of(A, name="linalg.inv_ex"), wrap(info)))
    usable = A.masked_fill(wrap(info != 0).view(*info.shape, 1, 1), 0) + identity_where(A, info)
    made = inverse_of(usable, name="linalg.inv_ex").masked_fill(
        wrap(info != 0).view(*info.shape, 1, 1), np.nan
    )
    return lapack.inv_ex((made, wrap(info)))


def info_of(a: np.ndarray, test: Any) -> np.ndarray:
    info = np.zeros(a.shape[:-2], np.int32)
    for index in np.ndindex(info.shape):
        info[index] = quiet(test, a[index])
    return info


def identity_where(t: Tensor, info: np.ndarray) -> Any:
    """Identity matrices where `info` is set, zeros elsewhere."""
    return wrap(np.where(info[..., None, None] != 0, np.eye(t._a.shape[-1]), 0).astype(t._a.dtype))


# ---- systems of equations ----


def _solve_vjp(g: Any, a: Any, out: Any, vector: bool, left: bool, name: str) -> tuple:
    """gB = A^-H g and gA = -gB X^H; for X A = B the same, transposed."""
    if not left:
        gb = adjoint(solve_(a, adjoint(g), vector=False, left=True, name=name))
        return -(adjoint(out) @ gb), gb
    gb = solve_(adjoint(a), g, vector=vector, left=True, name=name)
    if vector:
        return -(gb.unsqueeze(-1) @ out.unsqueeze(-2).conj()), gb
    return -(gb @ adjoint(out)), gb


@primitive("LinalgSolveEx", vjp=_solve_vjp)
def solve_(a, b, *, vector, left, name):
    try:
        if vector:
            made = np.linalg.solve(a, b[..., None])[..., 0]
            return np.array(made, order="F") if made.ndim > 1 else np.array(made)
        if left:
            return column_major(np.linalg.solve(a, b))
        turned = np.linalg.solve(a.swapaxes(-1, -2), b.swapaxes(-1, -2))
        return np.ascontiguousarray(turned).swapaxes(-1, -2).copy("C")
    except np.linalg.LinAlgError:
        index, _ = first_failing(zero_pivot, a) or ((0,) * (a.ndim - 2), 0)
        raise LinAlgError(
            f"torch.{name}: {batch_element(index, a.shape[:-2])}The solver failed because the input matrix is singular."
        ) from None


def is_vector(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether B is one vector, or a batch of vectors, rather than matrices."""
    return b.ndim == 1 or a.ndim - 1 == b.ndim and b.shape == a.shape[:-1]


def check_system(name: str, A: Any, B: Any, left: bool, vector: bool) -> None:
    a, b = A._a, B._a
    rows = b.shape[-1] if vector else b.shape[-2] if left else b.shape[-1]
    if a.shape[-1] != rows:
        m, n = (b.shape[-1], 1) if vector else b.shape[-2:]
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({a.shape[-2]}x{a.shape[-1]} and {m}x{n})"
        )


@public(name="linalg.solve")
def solve(A, B, *, left=True):
    """X of A X = B (or X A = B if `left` is false); `B` may be vectors, batches are broadcast.

    Raises:
        RuntimeError: not square, or sizes that do not fit.
        LinAlgError: a matrix is singular.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.solve(torch.tensor([[2., 0.], [0., 4.]]), torch.tensor([2., 4.]))
        tensor([1., 1.])
    """
    return _solve(A, B, left, "linalg.solve")


def _solve(A: Any, B: Any, left: bool, name: str) -> Any:
    check_tensor(name, "A", 1, A)
    check_tensor(name, "B", 2, B)
    check_float(name, A, low=True)
    check_same_dtype(name, A, B)
    check_square(name, A)
    vector = is_vector(A._a, B._a)
    if not vector and B._a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    if vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. In this case {name} "
            "is equivalent to B / A.squeeze(-1)"
        )
    check_system(name, A, B, left, vector)
    check_kernel("lu_cpu", A)
    lead = broadcast(A._a.shape[:-2], B._a.shape[:-1] if vector else B._a.shape[:-2])
    A = A.expand(*lead, *A._a.shape[-2:])
    B = B.expand(*lead, *B._a.shape[-1 if vector else -2 :])
    return solve_(A, B, vector=vector, left=left, name=name)


@public(name="linalg.solve_ex")
def solve_ex(A, B, *, left=True, check_errors=False):
    """X of A X = B, and for each matrix 0 or its first zero pivot."""
    check_square("linalg.solve_ex", A)
    info = info_of(A._a, zero_pivot)
    if check_errors or not info.any():
        return lapack.solve_ex((_solve(A, B, left, "linalg.solve_ex"), wrap(info)))
    made = _solve(A + identity_where(A, info), B, left, "linalg.solve_ex")
    return lapack.solve_ex((made * float("nan"), wrap(info)))


def _triangle(t: Any, upper: bool, unit: bool) -> Any:
    made = t.triu(int(unit)) if upper else t.tril(-int(unit))
    return made


def _triangular_vjp(
    g: Any, a: Any, out: Any, upper: bool, left: bool, unitriangular: bool, needs: Any
) -> tuple:
    options = {"upper": not upper, "left": left, "unitriangular": unitriangular}
    gb = triangular_(adjoint(a), g, **options)
    ga = -(gb @ adjoint(out)) if left else -(adjoint(out) @ gb)
    return _triangle(ga, upper, unitriangular), gb


@primitive("LinalgSolveTriangular", vjp=_triangular_vjp)
def triangular_(a, b, *, upper, left, unitriangular):
    if left:
        return column_major(lapack.solve_triangle(a, b, upper, unitriangular))
    turned = lapack.solve_triangle(a.swapaxes(-1, -2), b.swapaxes(-1, -2), not upper, unitriangular)
    return column_major(turned.swapaxes(-1, -2))


@public(name="linalg.solve_triangular", takes={"upper": "bool", "left": "bool", "unitriangular": "bool"})
def solve_triangular(input, B, *, upper, left=True, unitriangular=False):
    """X of A X = B for triangular A, of which the other triangle is not looked at.

    Raises:
        RuntimeError: fewer than two dimensions, or sizes that do not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.solve_triangular(torch.tensor([[1., 1.], [0., 2.]]), torch.tensor([[3.], [2.]]), upper=True)
        tensor([[2.],
                [1.]])
    """
    name = "linalg.solve_triangular"
    check_tensor(name, "B", 2, B)
    check_tensor(name, "input", 1, input)
    check_same_dtype(name, input, B)
    check_square(name, input)
    if B._a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    check_system(name, input, B, left, False)
    check_kernel("triangular_solve_cpu", input)
    lead = broadcast(input._a.shape[:-2], B._a.shape[:-2])
    A = input.expand(*lead, *input._a.shape[-2:])
    B = B.expand(*lead, *B._a.shape[-2:])
    return triangular_(A, B, upper=bool(upper), left=bool(left), unitriangular=bool(unitriangular))


@public(name="triangular_solve")
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """X of A X = B for triangular A, and A: the older form of :func:`linalg.solve_triangular`."""
    matrix = A.mT if transpose else A
    made = solve_triangular(matrix, input, upper=upper != transpose, unitriangular=unitriangular)
    # (PyTorch gives the matrices as LAPACK had them: as many as there are results, column after column)
    given = A.mT.expand(*made._a.shape[:-2], *A._a.shape[-2:]).clone(memory_format=contiguous_format)
    return lapack.triangular_solve((made, given.mT))


# ---- determinants ----


def _det_gradient(g: Any, a: Any, out: Any) -> Any:
    """conj(det) g A^-H; for a singular matrix the adjugate, from the singular values."""
    scale = (g * out.conj()).unsqueeze(-1).unsqueeze(-1)
    if not (out._a == 0).any() and np.isfinite(a._a).all():
        return scale * adjoint(inverse_of(a, name="linalg.det"))
    from rushlight.ops.factorizations import svd

    u, s, vh = svd(a, full_matrices=True)
    turn = (u.det() * vh.det()).conj().unsqueeze(-1)
    others = _products_of_others(s).to(a._dtype)
    return g.unsqueeze(-1).unsqueeze(-1) * (u * (turn * others).unsqueeze(-2)) @ vh


def _products_of_others(s: Any) -> Any:
    """For each singular value, the product of all the others."""
    n = s._a.shape[-1]
    spread = s.unsqueeze(-2).expand(*s._a.shape[:-1], n, n)
    return spread.masked_fill(wrap(np.eye(n, dtype=bool)), 1).prod(-1)


@primitive("LinalgDet", vjp=(lambda g, a, out: _det_gradient(g, a, out),))
def det_(a):
    return np.asarray(np.linalg.det(a), a.dtype)


@public(name="linalg.det")
def det(A):
    """The determinants of square matrices.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.det(torch.tensor([[1., 2.], [3., 5.]])).round()
        tensor(-1.)
    """
    check_square("linalg.det", A)
    check_float("linalg.det", A, low=True)
    check_kernel("lu_cpu", A)
    return det_(A)


@public(name="det")
def torch_det(input):
    """The determinants of square matrices: :func:`linalg.det`."""
    return det(input)


def _slogdet_vjp(g: Any, a: Any, out: Any) -> tuple:
    """With sign = exp(i t): d(log|det|) + i dt = trace(A^-1 dA)."""
    to_sign, to_log = g
    total = None
    if to_log is not None:
        total = to_log.to(a._dtype)
    if to_sign is not None and a._dtype.category == COMPLEX:
        turned = (to_sign * out[0].conj()).imag * 1j
        total = turned if total is None else total + turned
    if total is None:
        return (a * 0,)
    return (total.unsqueeze(-1).unsqueeze(-1) * adjoint(inverse_of(a, name="linalg.slogdet")),)


@primitive("LinalgSlogdet", vjp=_slogdet_vjp, several=True)
def slogdet_(a):
    sign, log = np.linalg.slogdet(a)
    return np.asarray(sign, a.dtype), np.asarray(log, a.real.dtype)


@public(name="linalg.slogdet")
def slogdet(A):
    """Signs (for complex matrices, phases) and logarithms of the absolute values of determinants.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.slogdet(torch.eye(2) * -1).sign
        tensor(1.)
    """
    check_square("linalg.slogdet", A)
    check_float("linalg.slogdet", A)
    return lapack.slogdet(slogdet_(A))


@public(name="slogdet")
def torch_slogdet(input):
    """Signs and logarithms of determinants: :func:`linalg.slogdet`."""
    return lapack.old_slogdet(slogdet(input))


@public(name="logdet", out=False)
def logdet(input):
    """The logarithms of determinants: NaN where negative, -inf where zero."""
    check_square("logdet", input)
    check_float("logdet", input)
    sign, log = slogdet_(input)
    if input._dtype.category == COMPLEX:
        return sign.log() + log
    return log.where(sign != -1, wrap(np.array(np.nan, input._a.dtype)))


# ---- least squares ----


def _pinv_gradient(g: Any, a: Any, out: Any) -> Any:
    """Golub and Pereyra, The differentiation of pseudo-inverses, 1973."""
    m, n = a._a.shape[-2:]
    p, ph, gh = out, adjoint(out), adjoint(g)
    if m <= n:
        k = gh @ p
        kp = k @ ph
        return -adjoint(p @ k) + kp - (a @ p) @ kp + (ph @ p) @ (gh - k @ a)
    k = p @ gh
    pk = ph @ k
    return -adjoint(k @ p) + (gh - a @ k) @ p @ ph + pk - (pk @ p) @ a


@primitive("LinalgPinv", vjp=(_pinv_gradient, None, None))
def pinv_(a, atol, rtol, *, hermitian_input):
    if a.size == 0:
        return np.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    if not np.isfinite(a).all():
        raise LinAlgError(
            "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
        )
    if hermitian_input:
        values, u = np.linalg.eigh(a)
        size, vh = np.abs(values), hermitian(u)
    else:
        u, size, vh = np.linalg.svd(a, full_matrices=False)
        values = size
    cut = np.maximum(np.asarray(atol), np.asarray(rtol) * size.max(-1, initial=0))[..., None]
    inverse_values = np.divide(1, values, where=size > cut, out=np.zeros_like(values))
    return np.ascontiguousarray((hermitian(vh) * inverse_values[..., None, :]) @ hermitian(u)).astype(a.dtype)


def tolerances(t: Tensor, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """Absolute and relative tolerances with PyTorch's defaults: eps max(m, n), if nothing is given."""
    eps = np.finfo(t._a.dtype).eps * max(t._a.shape[-2:])
    if rtol is None:
        given = atol is not None and (np.asarray(atol._a if isinstance(atol, Tensor) else atol) > 0)
        rtol = np.where(given, 0.0, eps) if given is not False else eps
    real = t._a.real.dtype

    def tensor(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.detach()
        return wrap(np.array(0.0 if value is None else value, real))

    return tensor(atol), tensor(rtol)


@public(name="linalg.pinv")
def pinv(input, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """Moore and Penrose's inverse; singular values at most max(atol, rtol * the largest) count as zero.

    Raises:
        RuntimeError: fewer than two dimensions, or no floats.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.pinv(torch.tensor([[2., 0.], [0., 0.]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.0000]])
    """
    check_tensor("linalg.pinv", "input", 1, input)
    if input._a.ndim < 2 or input._dtype.category < FLOATING or input._dtype in WIDE:
        raise RuntimeError(
            f"linalg.pinv({input._dtype.legacy}{{{list(input._a.shape)}}}): expected a tensor with 2 or more dimensions "
            "of float, double, cfloat or cdouble types"
        )
    if hermitian:
        check_square("linalg.pinv", input)
    atol, rtol = tolerances(input, atol, rcond if rtol is None else rtol)
    return pinv_(input, atol, rtol, hermitian_input=bool(hermitian))


@public(name="pinverse", out=False)
def pinverse(input, rcond=1e-15):
    """Moore and Penrose's inverse: :func:`linalg.pinv`."""
    return pinv(input, rcond)


def _lstsq_vjp(g: Any, a: Any, b: Any, out: Any) -> tuple:
    to_solution, to_rest = g[:2]
    to_a = to_b = None
    if to_solution is not None:
        inverted = pinv(a)
        to_a = _pinv_gradient(to_solution @ adjoint(b), a, inverted)
        to_b = adjoint(inverted) @ to_solution
    if to_rest is not None and to_rest._a.size:
        # The solution makes the residuals least, so they change with A and B alone.
        rest = 2 * (b - a @ out[0]) * to_rest.unsqueeze(-2)
        to_a = -(rest @ adjoint(out[0])) if to_a is None else to_a - rest @ adjoint(out[0])
        to_b = rest if to_b is None else to_b + rest
    return to_a, to_b


@primitive("LinalgLstsq", vjp=_lstsq_vjp, several=True, differentiable=(0, 1))
def lstsq_(a, b, *, rcond, driver):
    lead, own = batch_of(a, b), a.shape[:-2]
    m, n, k = a.shape[-2], a.shape[-1], b.shape[-1]
    rank = np.zeros(own, np.int64)
    solution = np.zeros((*lead, n, k), a.dtype)
    values = np.zeros((*own, min(m, n)), a.real.dtype)
    wide_a = np.broadcast_to(a, (*lead, m, n))
    wide_b = np.broadcast_to(b, (*lead, m, k))
    for index in np.ndindex(lead):
        at = tuple([i if size > 1 else 0 for i, size in zip(index, own)])
        solution[index], _, rank[at], values[at] = np.linalg.lstsq(wide_a[index], wide_b[index], rcond)
    rest = np.zeros(0, a.real.dtype)
    if m > n and driver != "gelsy" and (rank == n).all() and driver is not None:
        rest = (np.abs(wide_b - wide_a @ solution) ** 2).sum(-2)
    return column_major(solution), rest, rank, values


@public(name="linalg.lstsq", takes={"driver": "str?"})
def lstsq(input, b, rcond=None, *, driver=None):
    """The X that makes A X - B smallest; also residuals, ranks and singular values.

    Raises:
        RuntimeError: too few dimensions, sizes or types that do not fit, or another driver than those of
            LAPACK.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.lstsq(torch.ones(3, 1), torch.tensor([[1.], [2.], [3.]])).solution
        tensor([[2.]])
    """
    name = "torch.linalg.lstsq"
    check_tensor("linalg.lstsq", "input", 1, input)
    check_tensor("linalg.lstsq", "b", 2, b)
    if input._a.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if b._a.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if not 0 <= input._a.ndim - b._a.ndim <= 1:
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1"
        )
    if input._dtype is not b._dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype {input._dtype.legacy} and "
            f"other's dtype {b._dtype.legacy}"
        )
    if input._dtype.category < FLOATING or input._dtype in WIDE:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    vector = is_vector(input._a, b._a)
    columns = b.unsqueeze(-1) if vector else b
    if input._a.shape[-2] != columns._a.shape[-2]:
        which = (
            "input.size(-2) should match other.size(-1)"
            if vector
            else "input.size(-2) should match other.size(-2)"
        )
        raise RuntimeError(f"{name}: {which}")
    driver = driver or "gelsy"
    if rcond is None:
        rcond = float(np.finfo(input._a.dtype).eps) * max(input._a.shape[-2:])
    solution, rest, rank, values = lstsq_(input, columns, rcond=rcond, driver=driver)
    empty = input.new_zeros(0, dtype=values._dtype)
    if driver == "gels":
        rank = rank.new_zeros(0)
    if driver in ("gels", "gelsy"):
        values = empty
    return lapack.lstsq((solution.squeeze(-1) if vector else solution, rest, rank, values))
