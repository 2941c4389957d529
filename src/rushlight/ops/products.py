"""Products built from matrix products and multiplication: outer, inner, tensordot, kron, cross, ..."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import bool_
from rushlight.errors import describe
from rushlight.layout import broadcast, numel, wrap_dim
from rushlight.ops.contractions import dot, exact_out, explained, mm, same_out
from rushlight.ops.kinds.contraction import BLAS, product
from rushlight.ops.matmul import matmul, unsafe_view
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import single
from rushlight.runtime.deferral import FROM
from rushlight.runtime.execute import quiet

# ---- outer, inner ----


@public(name="outer")
def outer(input, vec2):
    """The matrix of all products of two vectors' elements.

    Raises:
        RuntimeError: an argument is not a vector.

    Example:
        >>> import rushlight as torch
        >>> torch.outer(torch.tensor([1, 2]), torch.tensor([3, 4]))
        tensor([[3, 4],
                [6, 8]])
    """
    a, b, kind = input._a, getattr(vec2, "_a", None), input._dtype
    if b is not None and kind is vec2._dtype and kind in BLAS and a.ndim == 1 and b.ndim == 1:
        if input._edge is None and vec2._edge is None and a.size * b.size < FROM:
            return new_tensor(quiet(np.multiply.outer, a, b), kind)
    for at, (argument, t) in enumerate((("self", input), ("vec2", vec2)), 1):
        as_tensor(t, "outer", "input" if at == 1 else argument, at)
        if t._a.ndim != 1:
            raise explained(
                f"outer: Expected 1-D argument {argument}, but got {t._a.ndim}-D",
                f"outer: x is {describe(input)} and y is {describe(vec2)}; flatten() them first.",
            )
    return input.view(input._a.size, 1) * vec2


@public(name="ger")
def ger(input, vec2):
    """The same as :func:`outer`."""
    return outer(input, vec2)


def _tensordot_out(out: Tensor, x: Tensor, y: Any = None, *rest: Any) -> None:
    scalar = x._a.ndim == 0 or isinstance(y, Tensor) and y._a.ndim == 0
    if out._dtype is not x._dtype and not scalar:
        raise RuntimeError(
            f"tensordot: Expected the output tensor to have dtype {x._dtype.legacy}, but got an output tensor with "
            f"dtype {out._dtype.legacy}"
        )


@exact_out(_tensordot_out)
@public(name="inner")
def inner(input, other):
    """Sums of products over the last dimensions of both; with a 0-d operand, the product.

    Raises:
        RuntimeError: the last dimensions differ, or the dtypes do.

    Example:
        >>> import rushlight as torch
        >>> torch.inner(torch.ones(2, 3), torch.ones(4, 3)).shape
        torch.Size([2, 4])
    """
    as_tensor(input, "inner", "input", 1)
    as_tensor(other, "inner", "other", 2)
    a, b = input._a, other._a
    if a.ndim == 0 or b.ndim == 0:
        return input * other
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    if a.ndim == 2 == b.ndim and _unrecorded(input, other):
        return new_tensor(quiet(product, a, b.T), input._dtype)
    return _contract(input, other, [-1], [-1])


def _unrecorded(x: Tensor, y: Tensor) -> bool:
    """Whether two tensors of one type that BLAS knows take no part in a graph."""
    return x._edge is None and y._edge is None and x._dtype is y._dtype and x._dtype in BLAS


# ---- tensordot ----


@exact_out(_tensordot_out)
@public(name="tensordot")
def tensordot(a, b, dims=2):
    """Sums of products over several dimensions of each tensor.

    `dims` is a number n (the last n of `a`, the first n of `b`) or two lists of dimensions.

    Raises:
        RuntimeError: contracted sizes differ, or dtypes do.

    Example:
        >>> import rushlight as torch
        >>> torch.tensordot(torch.ones(2, 3, 4), torch.ones(3, 4, 5), dims=2).shape
        torch.Size([2, 5])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist() if dims._a.size > 1 else int(dims.item())
    if isinstance(dims, (tuple, list)):
        first, second = dims
        for argument, at, chosen in (("dims_self", 3, first), ("dims_other", 4, second)):
            if not isinstance(chosen, (tuple, list)):
                raise TypeError(
                    f"tensordot(): argument '{argument}' (position {at}) must be tuple of ints, not "
                    f"{type(chosen).__name__}"
                )
        return _contract(a, b, list(first), list(second))
    if not isinstance(dims, int):
        raise RuntimeError(
            "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] containing two "
            f"lists, but got dims={dims}"
        )
    if dims == 1 and a._a.ndim == 2 == b._a.ndim and a._a.shape[1] == b._a.shape[0] and _unrecorded(a, b):
        return new_tensor(quiet(product, a._a, b._a), a._dtype)
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(a.dim(), b.dim()):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return _contract(a, b, list(range(-dims, 0)), list(range(dims)))


def _contract(x: Any, y: Any, first: list[int], second: list[int]) -> Any:
    """Bring the contracted dimensions together and multiply matrices.

    1. Sum at once over dimensions that the other operand has only one of.
    2. Permute x to (kept, contracted) and y to (contracted, kept).
    """
    as_tensor(x, "tensordot", "input", 1)
    as_tensor(y, "tensordot", "other", 2)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    if x._dtype is not y._dtype:
        raise RuntimeError("both inputs should have same dtype")
    xdims = [wrap_dim(d, x._a.ndim) for d in first]
    ydims = [wrap_dim(d, y._a.ndim) for d in second]
    size = 1
    left, right = x, y
    for i, j, m, n in zip(xdims, ydims, [x._a.shape[d] for d in xdims], [y._a.shape[d] for d in ydims]):
        if n == 1:
            left = left.sum(i, True, dtype=left._dtype)
        elif m == 1:
            right = right.sum(j, True, dtype=right._dtype)
        elif m != n:
            at = xdims.index(i)
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {m} in dim {first[at]} and second has size "
                f"{n} in dim {second[at]}"
            )
        else:
            size *= m
    for dims in (xdims, ydims):
        if len(set(dims)) != len(dims):
            twice = next(d for n, d in enumerate(dims) if d in dims[:n])
            raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    kept_x = [d for d in range(x._a.ndim) if d not in xdims]
    kept_y = [d for d in range(y._a.ndim) if d not in ydims]
    shape = [x._a.shape[d] for d in kept_x] + [y._a.shape[d] for d in kept_y]
    left, right = left.permute(kept_x + xdims), right.permute(ydims + kept_y)
    if not shape and xdims:
        flat = [t if t._a.ndim == 1 else t.reshape(size) for t in (left, right)]
        made = dot(*flat)
        return made.view(()) if made._edge is not None else made
    rows = left.reshape(numel(left._a.shape[: len(kept_x)]), size)
    columns = right.reshape(size, numel(right._a.shape[len(xdims) :]))
    return mm(rows, columns).reshape(shape)


# ---- kron ----


@public(name="kron")
def kron(input, other):
    """The Kronecker product: `other` multiplied by each element of `input`, laid out in blocks.

    Example:
        >>> import rushlight as torch
        >>> torch.kron(torch.tensor([1, 10]), torch.tensor([1, 2]))
        tensor([ 1,  2, 10, 20])
    """
    as_tensor(input, "kron", "input", 1)
    as_tensor(other, "kron", "other", 2)
    ndim = max(input._a.ndim, other._a.ndim)
    a = (1,) * (ndim - input._a.ndim) + input._a.shape
    b = (1,) * (ndim - other._a.ndim) + other._a.shape
    outer_shape = tuple(n for size in a for n in (size, 1))
    inner_shape = tuple(n for size in b for n in (1, size))
    made = unsafe_view(input, outer_shape) * unsafe_view(other, inner_shape)
    return unsafe_view(made, tuple(m * n for m, n in zip(a, b)))


# ---- trace ----


#: elements of a diagonal that Python's own numbers add faster than NumPy
_SHORT = 16


@primitive("Trace", vjp=(lambda g, x_meta: spread_trace(g, shape=x_meta.shape),))
def trace_(x):
    kind = x.dtype
    if kind.kind in "iu":
        return np.asarray(x.trace(dtype=np.int64))
    if kind.kind == "f" and 0 < min(x.shape) <= _SHORT:
        return np.array(math.fsum(x.diagonal().tolist()), kind)
    exact = np.complex128 if kind.kind == "c" else np.float64
    return np.asarray(x.trace(dtype=exact)).astype(kind)


@primitive("TraceBackwardBackward0", vjp=(lambda g: trace_(g),))
def spread_trace(x, *, shape):
    out = np.zeros(shape, x.dtype)
    np.einsum("ii->i", out[: min(shape), : min(shape)])[...] = x
    return out


@public(name="trace", out=False)
def trace(input):
    """The sum of a matrix's diagonal.

    Raises:
        RuntimeError: not a matrix.

    Example:
        >>> import rushlight as torch
        >>> torch.trace(torch.tensor([[1, 2], [3, 4]]))
        tensor(5)
    """
    if input._a.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._a.ndim}")
    if input._dtype is bool_:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    return trace_(input)


# ---- chains of matrices ----


@public(name="chain_matmul")
def chain_matmul(*matrices):
    """The product of several matrices in the cheapest order; use :func:`linalg.multi_dot`.

    Raises:
        RuntimeError: there is no matrix, something is none, or sizes do not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.chain_matmul(torch.ones(2, 3), torch.ones(3, 1))
        tensor([[3.],
                [3.]])
    """
    if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for t in matrices:
        if isinstance(t, Tensor) and t._a.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {t._a.ndim}, expected 2 instead.")
    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use "
        "torch.linalg.multi_dot instead, which accepts a list of two or more tensors rather than multiple "
        "parameters.",
        stacklevel=3,
    )
    return matrices[0].clone() if len(matrices) == 1 else multi_dot(matrices)


def _multi_dot_out(out: Tensor, tensors: Any) -> None:
    kind = tensors[0]._dtype if isinstance(tensors, (tuple, list)) and tensors else out._dtype
    if out._dtype is not kind:
        raise RuntimeError(
            f"multi_dot(): expected out tensor to have dtype {kind.cpp} but got {out._dtype.cpp}"
        )


@exact_out(_multi_dot_out)
@public(name="linalg.multi_dot")
def multi_dot(tensors):
    """The product of two or more matrices, in the order that needs the fewest multiplications.

    The first and last may be vectors, which count as a row and a column.

    Raises:
        RuntimeError: fewer than two, other ranks, sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 4), torch.ones(4)])
        tensor([12., 12.])
    """
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for at, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {at} in argument 0, but got {type(t).__name__}")
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    chain, shape = _as_matrices(list(tensors))
    _check_chain(chain)
    made = mm(*chain) if len(chain) == 2 else _multiply_chain(chain, _best_splits(chain), 0, len(chain) - 1)
    return made.view(shape) if len(shape) < 2 else made


def _as_matrices(chain: list[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """The chain with vectors at its ends made matrices, and the shape of the result."""
    shape: tuple[int, ...] = ()
    first, last = chain[0], chain[-1]
    for word, t in (("first", first), ("last", last)):
        if t._a.ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {word} tensor must be 1D or 2D but got {t._a.ndim}D")
    if first._a.ndim == 1:
        chain[0] = first.unsqueeze(0)
    else:
        shape += first._a.shape[:1]
    if last._a.ndim == 1:
        chain[-1] = last.unsqueeze(-1)
    else:
        shape += last._a.shape[1:]
    return chain, shape


def _check_chain(chain: list[Any]) -> None:
    for at, t in enumerate(chain):
        if t._a.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {at} must be 2D but got {t._a.ndim}D")
        if t._dtype is not chain[0]._dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{chain[0]._dtype.cpp} and tensor {at} {t._dtype.cpp}"
            )
    for at, (x, y) in enumerate(zip(chain, chain[1:])):
        if x._a.shape[1] != y._a.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {at} and {at + 1} with shapes {list(x._a.shape)} and {list(y._a.shape)} cannot "
                "be multiplied"
            )


def _best_splits(chain: list[Any]) -> list[list[int]]:
    """Where to split each part of the chain. Cormen et al., Introduction to Algorithms, 15.2."""
    sizes = [t._a.shape[0] for t in chain] + [chain[-1]._a.shape[1]]
    n = len(chain)
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return split


def _multiply_chain(chain: list[Any], split: list[list[int]], i: int, j: int) -> Any:
    if i == j:
        return chain[i]
    k = split[i][j]
    return mm(_multiply_chain(chain, split, i, k), _multiply_chain(chain, split, k + 1, j))


@public(name="matrix_power")
def matrix_power(input, n):
    """Square matrices to an integer power by repeated squaring; negative powers invert first.

    Raises:
        RuntimeError: not square.
        LinAlgError: a negative power of a singular matrix.

    Example:
        >>> import rushlight as torch
        >>> torch.matrix_power(torch.tensor([[1., 1.], [0., 1.]]), 5)
        tensor([[1., 5.],
                [0., 1.]])
    """
    as_tensor(input, "matrix_power", "input", 1)
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    shape = input._a.shape
    if len(shape) < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    if shape[-1] != shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{shape[-2]} by {shape[-1]} matrices"
        )
    if n == 0:
        return input.clone().copy_(_identity(input))
    if n < 0:
        from rushlight.ops.linear_algebra import inv

        input, n = inv(input), -n
    if n == 1:
        return input.clone()
    made = None
    while n:
        n, odd = divmod(n, 2)
        if odd:
            made = input if made is None else matmul(made, input)
        if n:
            input = matmul(input, input)
    return made


def _identity(t: Any) -> Any:
    made = t.new_zeros(t._a.shape)
    np.einsum("...ii->...i", made._a)[...] = 1
    return made


# ---- cross ----


@primitive(
    "LinalgCross",
    vjp=(
        lambda g, y, dim: cross_(y.conj(), g, dim=dim),
        lambda g, x, dim: cross_(g, x.conj(), dim=dim),
    ),
)
def cross_(x, y, *, dim):
    shape = broadcast(x.shape, y.shape)
    kind = x.dtype
    x, y = single(x), single(y)
    a = [np.take(x, i, dim) for i in range(3)]
    b = [np.take(y, i, dim) for i in range(3)]
    out = np.empty(shape, kind)
    parts = np.moveaxis(out, dim, 0)
    for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        parts[i] = a[j] * b[k] - a[k] * b[j]
    return out


@exact_out(same_out)
@public(name="linalg.cross", takes={"dim": "int"})
def linalg_cross(input, other, *, dim=-1):
    """The cross product of 3-vectors along `dim`; other dimensions are broadcast.

    Raises:
        RuntimeError: ranks or dtypes differ, or `dim` does not have 3 elements.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]))
        tensor([0, 0, 1])
    """
    as_tensor(input, "linalg_cross", "input", 1)
    as_tensor(other, "linalg_cross", "other", 2)
    a, b = input._a, other._a
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    at = wrap_dim(dim, a.ndim)
    if a.ndim == 0 or a.shape[at] != 3 or b.shape[at] != 3:
        m, n = (a.shape[at], b.shape[at]) if a.ndim else (1, 1)
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {m} and {n}")
    broadcast(a.shape, b.shape)
    if input._dtype is not other._dtype:
        raise RuntimeError(f"expected scalar type {input._dtype.legacy} but found {other._dtype.legacy}")
    if input._dtype is bool_:
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    return cross_(input, other, dim=at)


@exact_out(same_out)
@public(name="cross", takes={"dim": "int?"})
def cross(input, other, dim=None):
    """The cross product along `dim`, by default the first dimension of three elements.

    Raises:
        RuntimeError: no dimension of three elements, or shapes that do not go together.

    Example:
        >>> import rushlight as torch
        >>> torch.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]), dim=0)
        tensor([0, 0, 1])
    """
    if dim is None:
        shape = input._a.shape
        dim = next((d for d, size in enumerate(shape) if size == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly "
            "or simply use torch.linalg.cross.\nThe default value of dim will change to agree with that of "
            "linalg.cross in a future release.",
            stacklevel=3,
        )
    return linalg_cross(input, other, dim=dim)
