"""Products of matrices and vectors: `mm`, `bmm`, `mv`, `dot` and `vdot`.

They are strict: exact ranks, equal dtypes, no broadcasting. Their functions take the
case that BLAS does at once, since that case decides what a small product costs; everything
else goes to a checked form, which also makes the errors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.batched import HASTY
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import COMPLEX, dtype, int64
from rushlight.errors import describe
from rushlight.graph.expr import array_of
from rushlight.ops.kinds.contraction import (
    BLAS,
    SMALL_FACTOR,
    batched,
    dotted,
    multiply,
    product,
    refuse,
    times_vector,
)
from rushlight.ops.spec import as_tensor, public
from rushlight.runtime.execute import enter, quiet
from rushlight.runtime.small_products import WORTH
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.recording import record2

_make = object.__new__


def completes(general: Any) -> Callable:
    """Declare a function with a short path as the public form of `general`, which does the rest."""

    def declare(function: Any) -> Any:
        function.operation = general.operation
        function.inplace = general.inplace
        function.operation.function = function
        HASTY.add(function.__code__)
        return function

    return declare


def explained(sentence: str, reason: str) -> RuntimeError:
    """PyTorch's sentence on the first line, what it means here on the second."""
    return RuntimeError(f"{sentence}\n{reason}")


def same_out(out: Any, input: Any, *rest: Any) -> None:
    """`out=` of a product must have the product's own dtype."""
    if isinstance(out, Tensor) and out._dtype is not input._dtype:
        wanted, got = input._dtype.cpp, out._dtype.cpp
        raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {got} instead")


def exact_out(check: Callable) -> Callable:
    """Declare that `out=` of an operation must pass `check(out, first tensor, ...)`."""

    def declare(operation: Any) -> Any:
        @functools.wraps(operation)
        def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if out is None:
                return operation(*args, **kwargs)
            if isinstance(out, Tensor) and args and isinstance(args[0], (Tensor, tuple, list)):
                check(out, *args)
            return operation(*args, out=out, **kwargs)

        return completes(operation)(function)

    return declare


def adjoint(t: Any) -> Any:
    """The conjugate transpose of a matrix, or of each matrix of a batch."""
    return conjugated(t.mT)


def conjugated(t: Any) -> Any:
    return t.conj() if t._dtype.category == COMPLEX else t


def _recorded(derivative: Derivative, x: Tensor, y: Tensor, a: np.ndarray, kind: dtype) -> Tensor:
    out = new_tensor(a, kind)
    if x._edge is not None or y._edge is not None:
        record2(derivative, x, y, None, out)
    return out


# ---- mm ----


def in_columns(a: Any) -> bool:
    """Whether a matrix lies in memory column after column, without gaps."""
    step, stride = a.strides
    return step == a.itemsize and stride == step * a.shape[0]


def _blas(g: Any, t: Any) -> bool:
    """Whether a product with a gradient is BLAS's, and not recorded."""
    return not MODES.grad and g._dtype in BLAS and g._dtype is t._dtype and g._dtype.category != COMPLEX


def times_adjoint(g: Any, y: Any, columns: bool = False) -> Any:
    """g y^H: the gradient of the left factor; its memory in columns if that of the factor is, as in PyTorch."""
    if columns:
        if _blas(g, y):
            return new_tensor(quiet(product, y._a, array_of(g._a).T).T, g._dtype)
        return mm(conjugated(y), g.t()).t()
    if _blas(g, y):
        return new_tensor(quiet(product, g._a, y._a.T), g._dtype)
    return mm(g, adjoint(y))


def adjoint_times(x: Any, g: Any, columns: bool = False) -> Any:
    """x^H g: the gradient of the right factor; its memory in columns if that of the factor is, as in PyTorch.

    So a parameter that is turned for the product gets its gradient in rows, like its own.
    """
    if columns:
        if _blas(g, x):
            return new_tensor(quiet(product, array_of(g._a).T, x._a).T, g._dtype)
        return mm(g.t(), conjugated(x)).t()
    if _blas(g, x):
        return new_tensor(quiet(product, x._a.T, g._a), g._dtype)
    return mm(adjoint(x), g)


def _mm(left: bool, right: bool) -> Derivative:
    """The derivative for factors that lie in columns or do not."""
    return Derivative(
        "Mm", ("x", "y"), (lambda g, y: times_adjoint(g, y, left), lambda g, x: adjoint_times(x, g, right))
    )


_MM = {(left, right): _mm(left, right) for left in (False, True) for right in (False, True)}


@public(name="mm")
def checked_mm(input, mat2):
    as_tensor(input, "mm", "input", 1)
    as_tensor(mat2, "mm", "mat2", 2)
    a, b, kind = input._a, mat2._a, input._dtype
    if a.ndim != 2:
        raise _rank("mm", "self must be a matrix", input, mat2)
    if b.ndim != 2:
        raise _rank("mm", "mat2 must be a matrix", input, mat2)
    check_inner("mm", input, mat2)
    if kind is not mat2._dtype:
        raise explained(
            f"expected m1 and m2 to have the same dtype, but got: {kind.cpp} != {mat2._dtype.cpp}",
            f"mm: A is {describe(input)} and B is {describe(mat2)}; convert one of them, as in A.to(B.dtype).",
        )
    made = np.zeros((a.shape[0], b.shape[1]), kind.numpy) if not a.size or not b.size else None
    if made is None:
        refuse("addmm_impl_cpu_", kind)
        made = quiet(multiply, a, b)
    return _recorded(_MM[in_columns(a), in_columns(b)], input, mat2, made, kind)


def _rank(name: str, sentence: str, x: Tensor, y: Tensor) -> RuntimeError:
    return explained(
        sentence,
        f"{name}: A is {describe(x)} and B is {describe(y)}, but {name} takes exactly two matrices and does not "
        "broadcast; matmul (A @ B) takes vectors and batches too.",
    )


def check_inner(name: str, x: Tensor, y: Tensor) -> None:
    (m, n), (p, q) = x._a.shape, y._a.shape
    if n == p:
        return
    fix = ""
    if m == p:
        fix = f" Did you mean A.T @ B or {name}(A.T, B)?"
    elif n == q:
        fix = f" Did you mean A @ B.T or {name}(A, B.T)?"
    raise explained(
        f"mat1 and mat2 shapes cannot be multiplied ({m}x{n} and {p}x{q})",
        f"{name}: A is {m}x{n} and B is {p}x{q}, but A's {n} columns must equal B's {p} rows.{fix}",
    )


@completes(checked_mm)
def mm(input, mat2, *, out=None):
    """The product of two matrices, (n, m) and (m, p), of one dtype; nothing is broadcast.

    Raises:
        RuntimeError: not two matrices, sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.mm(torch.tensor([[1., 2.]]), torch.tensor([[3.], [4.]]))
        tensor([[11.]])
    """
    try:
        kind = input._dtype
        a = input._a
        b = mat2._a
        if kind in BLAS and kind is mat2._dtype and a.ndim == 2 and b.ndim == 2 and out is None:
            c = enter(a.dot, b) if a.size < SMALL_FACTOR else enter(product, a, b)
        elif kind is int64 and kind is mat2._dtype and a.ndim == 2 and b.ndim == 2 and out is None:
            c = multiply(a, b) if a.size else None
        else:
            c = None
    except (AttributeError, ValueError, RuntimeError):
        c = None
    if c is not None:
        made = _make(Tensor)
        made._a = c
        made._dtype = kind
        made._buf = None
        made._edge = None
        if input._edge is not None or mat2._edge is not None:
            record2(_MM[in_columns(a), in_columns(b)], input, mat2, None, made)
        return made
    if out is None:
        return checked_mm(input, mat2)
    same_out(out, input)
    return checked_mm(input, mat2, out=out)


# ---- bmm ----


BMM = Derivative("Bmm", ("x", "y"), (lambda g, y: bmm(g, adjoint(y)), lambda g, x: bmm(adjoint(x), g)))


def check_batches(x: Tensor, y: Tensor) -> None:
    """Whether two batches of matrices can be multiplied; PyTorch's sentences if not."""
    a, b = x._a, y._a
    if a.ndim != 3:
        raise _batch_rank("batch1 must be a 3D tensor", x, y)
    if b.ndim != 3:
        raise _batch_rank("batch2 must be a 3D tensor", x, y)
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise explained(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {a.shape[2]}] but got: "
            f"[{b.shape[0]}, {b.shape[1]}].",
            f"bmm: A is {describe(x)} and B is {describe(y)}; both need as many matrices, and A's columns must equal "
            "B's rows.",
        )


def _batch_rank(sentence: str, x: Tensor, y: Tensor) -> RuntimeError:
    return explained(
        sentence,
        f"bmm: A is {describe(x)} and B is {describe(y)}, but bmm takes exactly two batches of matrices and does not "
        "broadcast; matmul (A @ B) does.",
    )


@public(name="bmm")
def checked_bmm(input, mat2):
    as_tensor(input, "bmm", "input", 1)
    as_tensor(mat2, "bmm", "mat2", 2)
    check_batches(input, mat2)
    kind = input._dtype
    if kind is not mat2._dtype:
        raise RuntimeError(f"expected scalar type {kind.legacy} but found {mat2._dtype.legacy}")
    a, b = input._a, mat2._a
    if a.size and b.size:
        refuse("bmm", kind)
        made = quiet(multiply, a, b)
    else:
        made = np.zeros((a.shape[0], a.shape[1], b.shape[2]), kind.numpy)
    return _recorded(BMM, input, mat2, made, kind)


@completes(checked_bmm)
def bmm(input, mat2, *, out=None):
    """The products of two batches of matrices, (b, n, m) and (b, m, p); nothing is broadcast.

    Raises:
        RuntimeError: not two batches, sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.bmm(torch.ones(2, 1, 3), torch.ones(2, 3, 1)).flatten()
        tensor([3., 3.])
    """
    try:
        kind = input._dtype
        a = input._a
        b = mat2._a
        if kind in BLAS and kind is mat2._dtype and out is None:
            m, n = a.shape, b.shape
            if len(m) == 3 and len(n) == 3 and m[0] == n[0] and m[2] == n[1]:
                made = _make(Tensor)
                if m[0] == 1 and a.size < SMALL_FACTOR:
                    made._a = enter(a[0].dot, b[0])[
                        None
                    ]  # in half of the time that `matmul` takes to find it
                else:
                    made._a = enter(batched, a, b)
                made._dtype = kind
                made._buf = made._edge = None
                if input._edge is not None or mat2._edge is not None:
                    record2(BMM, input, mat2, None, made)
                return made
    except (AttributeError, RuntimeError):
        pass
    if out is None:
        return checked_bmm(input, mat2)
    same_out(out, input)
    return checked_bmm(input, mat2, out=out)


# ---- mv ----


_MV = Derivative("Mv", ("x", "y"), (lambda g, y: g.outer(y.conj()), lambda g, x: mv(adjoint(x), g)))


def check_matrix_vector(t: Any, x: Tensor, y: Tensor) -> None:
    """Whether t + x y makes sense for a vector t, a matrix x and a vector y; `t` may be None."""
    a, b = x._a, y._a
    if a.ndim != 2 or b.ndim != 1 or t is not None and t._a.ndim > 1:
        of_t = 1 if t is None else t._a.ndim
        raise explained(
            f"vector + matrix @ vector expected, got {of_t}, {a.ndim}, {b.ndim}",
            f"mv: A is {describe(x)} and v is {describe(y)}, but a matrix and a vector are needed; matmul (A @ B) "
            "takes other ranks.",
        )
    size = a.shape[0] if t is None or not t._a.ndim else t._a.shape[0]
    if a.shape[1] != b.shape[0] or size not in (1, a.shape[0]):
        raise explained(
            f"size mismatch, got input ({size}), mat ({a.shape[0]}x{a.shape[1]}), vec ({b.shape[0]})",
            f"mv: A is {a.shape[0]}x{a.shape[1]} and v has {b.shape[0]} elements, but A's {a.shape[1]} columns must "
            "equal them.",
        )


def one_vector_dtype(t: dtype, x: dtype, y: dtype) -> None:
    if t is not x or x is not y:
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {t.legacy}, {x.legacy}, and {y.legacy}"
        )


@public(name="mv")
def checked_mv(input, vec):
    as_tensor(input, "mv", "input", 1)
    as_tensor(vec, "mv", "vec", 2)
    check_matrix_vector(None, input, vec)
    a, b, kind = input._a, vec._a, input._dtype
    one_vector_dtype(vec._dtype, kind, vec._dtype)
    if a.size:
        refuse("addmv_impl_cpu", kind)
        made = quiet(multiply, a, b)
    else:
        made = np.zeros(a.shape[0], kind.numpy)
    return _recorded(_MV, input, vec, made, kind)


@completes(checked_mv)
def mv(input, vec, *, out=None):
    """The product of a matrix (n, m) and a vector (m); nothing is broadcast.

    Raises:
        RuntimeError: not a matrix and a vector, sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.mv(torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([1., 10.]))
        tensor([21., 43.])
    """
    try:
        kind = input._dtype
        a = input._a
        b = vec._a
        if kind in BLAS and kind is vec._dtype and a.ndim == 2 and b.ndim == 1 and out is None:
            c = enter(a.dot, b) if a.size < WORTH else enter(times_vector, a, b)
            return _recorded(_MV, input, vec, c, kind)
    except (AttributeError, ValueError, RuntimeError):
        pass
    if out is None:
        return checked_mv(input, vec)
    if isinstance(out, Tensor):
        one_vector_dtype(out._dtype, input._dtype, vec._dtype)
    return checked_mv(input, vec, out=out)


# ---- dot ----


_DOT = Derivative("Dot", ("x", "y"), (lambda g, y: g * y.conj(), lambda g, x: g * x.conj()))
_VDOT = Derivative("Vdot", ("x", "y"), (lambda g, y: g.conj() * y, lambda g, x: g * x))


def _check_vectors(name: str, x: Any, y: Any, second: str) -> None:
    as_tensor(x, name, "input", 1)
    as_tensor(y, name, second, 2)
    a, b = x._a, y._a
    if a.ndim != 1 or b.ndim != 1:
        raise explained(
            f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors",
            f"{name}: x is {describe(x)} and y is {describe(y)}; for batches of vectors use linalg.vecdot.",
        )
    if x._dtype is not y._dtype:
        raise explained(
            f"dot : expected both vectors to have same dtype, but found {x._dtype.legacy} and {y._dtype.legacy}",
            f"{name}: x is {describe(x)} and y is {describe(y)}; convert one of them, as in x.to(y.dtype).",
        )
    if a.shape != b.shape:
        raise explained(
            f"inconsistent tensor size, expected tensor [{a.shape[0]}] and src [{b.shape[0]}] to have the same number "
            f"of elements, but got {a.shape[0]} and {b.shape[0]} elements respectively",
            f"{name}: both vectors must be equally long; nothing is broadcast.",
        )
    refuse("vdot" if name == "vdot" and x._dtype.category == COMPLEX else "dot", x._dtype)


@public(name="dot")
def checked_dot(input, tensor):
    _check_vectors("dot", input, tensor, "tensor")
    return _recorded(_DOT, input, tensor, quiet(multiply, input._a, tensor._a), input._dtype)


@completes(checked_dot)
def dot(input, tensor, *, out=None):
    """The sum of the products of two vectors' elements, without conjugation; nothing is broadcast.

    Raises:
        RuntimeError: not two vectors, different lengths, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.dot(torch.tensor([1, 2]), torch.tensor([3, 4]))
        tensor(11)
    """
    try:
        kind = input._dtype
        a = input._a
        b = tensor._a
        if kind in BLAS and kind is tensor._dtype and a.ndim == 1 and b.ndim == 1 and out is None:
            product = dotted(a, b)
            made = _make(Tensor)
            made._a = np.asarray(enter(a.dot, b)) if product is None else product
            made._dtype = kind
            made._buf = made._edge = None
            if input._edge is not None or tensor._edge is not None:
                record2(_DOT, input, tensor, None, made)
            return made
    except (AttributeError, ValueError, RuntimeError):
        pass
    if out is None:
        return checked_dot(input, tensor)
    _same_dot_out(out, input)
    return checked_dot(input, tensor, out=out)


def _same_dot_out(out: Any, x: Tensor) -> None:
    if isinstance(out, Tensor) and out._dtype is not x._dtype:
        raise RuntimeError(f"result dtype {out._dtype.legacy} does not match input dtype {x._dtype.legacy}")


@public(name="vdot")
def checked_vdot(input, other):
    _check_vectors("vdot", input, other, "other")
    a = input._a.conj() if input._dtype.category == COMPLEX else input._a
    return _recorded(_VDOT, input, other, quiet(multiply, a, other._a), input._dtype)


@completes(checked_vdot)
def vdot(input, other, *, out=None):
    """The sum of the products of two vectors' elements, those of the first conjugated.

    Example:
        >>> import rushlight as torch
        >>> torch.vdot(torch.tensor([1j, 2]), torch.tensor([1j, 2]))
        tensor(5.+0.j)
    """
    if out is None:
        return checked_vdot(input, other)
    _same_dot_out(out, input)
    return checked_vdot(input, other, out=out)


__all__ = ["adjoint", "bmm", "dot", "mm", "mv", "vdot"]
