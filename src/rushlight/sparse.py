"""`torch.sparse`: tensors of which only some elements are kept, each with its place (the COO layout).

A sparse tensor has `indices()` (d, nnz) and `values()` (nnz, ...); what is at one place twice counts as the sum. They can be made,
converted, added, scaled, transposed, summed and multiplied by dense matrices, with gradients for values and matrices: what programs on graphs
need. Anything else says that it is missing; `to_dense()` gives an ordinary tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rushlight
from rushlight import func
from rushlight.absent import of_module
from rushlight.batched import TAKE_OVER
from rushlight.buffer import Tensor
from rushlight.coordinates import WHOLE, Sparse, _made, _missing, summed
from rushlight.device import check_device
from rushlight.dtypes import as_dtype
from rushlight.layout import wrap_dim
from rushlight.ops.spec import primitive

__all__ = [
    "FloatTensor",
    "DoubleTensor",
    "IntTensor",
    "LongTensor",
    "addmm",
    "mm",
    "softmax",
    "log_softmax",
    "sum",
]

# ---- making ----


def coo_tensor(
    indices: Any, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: Any = None, is_coalesced: Any = None,
) -> Sparse:  # fmt: skip
    """A sparse tensor with `values` at `indices`, (d, nnz); the sizes are those that hold them, if none are given.

    Raises:
        RuntimeError: indices and values of different numbers, or indices outside the sizes.

    Example:
        >>> import rushlight as torch
        >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
        tensor([[0., 0., 3.],
                [4., 0., 0.]])
    """
    check_device(device, "sparse_coo_tensor")
    kind = None if dtype is None else as_dtype(dtype, "sparse_coo_tensor")
    if values is None:
        sizes = tuple(indices)
        places = rushlight.zeros((len(sizes), 0), dtype=rushlight.int64)
        return _made(places, rushlight.zeros(0, dtype=kind), sizes, False).requires_grad_(requires_grad)
    places = rushlight.as_tensor(indices).to(rushlight.int64)
    entries = values if isinstance(values, Tensor) else rushlight.tensor(values)
    entries = entries if kind is None else entries.to(kind)
    if places.dim() != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(places.shape)}")
    if entries.dim() == 0:
        entries = entries.expand(places.size(1))
    if entries.size(0) != places.size(1):
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {places.size(1)}, nnz from values: "
            f"{entries.size(0)}"
        )
    found = tuple([WHOLE(n) + 1 for n in places.amax(1)]) if places.size(1) else (0,) * places.size(0)
    sizes = tuple(size) if size is not None else found + tuple(entries.shape[1:])
    _check_places(places, sizes, entries)
    made = _made(places, _kept(entries), sizes, bool(is_coalesced))
    return made.requires_grad_() if requires_grad else made


def of_places(places: Tensor, entries: Tensor, sizes: tuple) -> Sparse:
    """A sparse tensor of gradients that came together: what is at one place twice is not added up yet."""
    return _made(places.to(rushlight.int64), _kept(entries), sizes, False)


def _kept(entries: Tensor) -> Tensor:
    """The values as part of a sparse tensor: in the graph, if they are."""
    return _keep(entries) if entries.requires_grad else entries.detach()


@primitive("SparseCooTensorWithDimsAndTensors", vjp=(lambda g: g,))
def _keep(x):
    return x


def _check_places(places: Tensor, sizes: tuple, entries: Tensor) -> None:
    d = places.size(0)
    if len(sizes) != d + entries.dim() - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({d}) + dense_dim ({entries.dim() - 1}), but got {len(sizes)}"
        )
    for dim, (row, n) in enumerate(zip(places, sizes)):
        if row.numel() and row.min() < 0:
            raise RuntimeError(f"found negative index {WHOLE(row.min())} for dim {dim}")
        if row.numel() and row.max() >= n:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {n} but found index {WHOLE(row.max())}"
            )


def sparsified(t: Tensor, sparse_dim: Any) -> Sparse:
    """The elements of a tensor that are not zero; see `Tensor.to_sparse`."""
    d = t.dim() if sparse_dim is None else sparse_dim
    marks = t.ne(0)
    if d < t.dim():
        marks = marks.flatten(d).any(-1)
    places = marks.nonzero().t().contiguous()
    return _made(places, t[tuple(places.unbind(0))], tuple(t.shape), True)


def _typed(kind: str) -> Callable:
    """`torch.sparse.FloatTensor(indices, values, size)`, PyTorch's older form."""

    def make(*args: Any, device: Any = None) -> Sparse:
        return coo_tensor(*args, dtype=getattr(rushlight, kind), device=device)

    return make


FloatTensor, DoubleTensor = _typed("float32"), _typed("float64")
IntTensor, LongTensor = _typed("int32"), _typed("int64")

# ---- functions ----


def mm(sparse: Tensor, dense: Tensor, reduce: Any = None) -> Tensor:
    """A sparse matrix times a dense one, with gradients for both.

    Example:
        >>> import rushlight as torch
        >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.ones(2, 1))
        tensor([[1.],
                [1.]])
    """
    if reduce is not None:
        raise _missing("_sparse_mm_reduce_impl")
    if not isinstance(sparse, Sparse):
        return rushlight.mm(sparse, dense)
    return sparse.mm(dense)


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta mat + alpha (mat1 mat2) for a sparse `mat1`."""
    made = mm(mat1, mat2)
    made = made if alpha == 1 else made * alpha
    return mat + made if beta == 1 else mat * beta + made


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """The sum of all elements, or over `dim`: sparse, unless nothing sparse is left."""
    return summed(input, dim, dtype)


def _by_row(function: Callable, input: Tensor, dim: int, dtype: Any) -> Sparse:
    """A function along `dim` of the elements that are kept."""
    whole = input.coalesce()
    at = wrap_dim(dim, input.dim())
    entries = whole.entries if dtype is None else whole.entries.to(dtype)
    rest = [n for n in range(whole.sparse_dim()) if n != at]
    if at >= whole.sparse_dim():
        return _made(whole.places, function(entries, at - whole.sparse_dim() + 1), whole.sizes, True)
    line = whole.places.new_zeros(whole._nnz())
    for n in rest:
        line = line * whole.sizes[n] + whole.places[n]
    _, line = rushlight.unique(line, return_inverse=True)
    top = rushlight.full((WHOLE(line.max()) + 1 if line.numel() else 0,), -float("inf"), dtype=entries.dtype)
    top = top.scatter_reduce(0, line, entries.detach(), "amax")
    e = (entries - top[line]).exp()
    total = e.new_zeros(top.shape).index_add(0, line, e)
    made = e / total[line] if function is rushlight.softmax else entries - top[line] - total.log()[line]
    return _made(whole.places, made, whole.sizes, True)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Sparse:
    """softmax along `dim` of the elements that are kept; the others count as minus infinity."""
    return _by_row(rushlight.softmax, input, dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Sparse:
    """The logarithm of :func:`softmax`."""
    return _by_row(rushlight.log_softmax, input, dim, dtype)


def spmm(input: Tensor, mat2: Tensor) -> Any:
    """:func:`mm` by its older name."""
    return mm(input, mat2)


# ---- functions of `torch` that are given sparse tensors ----


def _take_over(before: Callable) -> Callable:
    """What is done for an operation that asked for memory: a method of the sparse tensor, if there is one."""

    def take_over(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        flat = [v for a in args for v in (a if isinstance(a, (list, tuple)) else (a,))]
        if not any(isinstance(value, Sparse) for value in (*flat, *kwargs.values())):
            return before(name, function, args, kwargs)
        if name in ("cat", "concat", "concatenate"):
            return _joined(*args, **kwargs)
        if name == "addmm" and not isinstance(args[0], Sparse):
            return addmm(*args, **kwargs)
        if isinstance(args[0], Sparse) and (own := vars(Sparse).get(name)) is not None:
            return own(*args, **kwargs)
        if name == "add" and len(args) == 2 and isinstance(args[1], Sparse):
            return args[1].added_to(args[0], **kwargs)
        if name == "sub" and len(args) == 2 and isinstance(args[1], Sparse):
            return args[1].added_to(args[0], alpha=-kwargs.get("alpha", 1))
        if name == "mul" and len(args) == 2:
            return args[1].mul(args[0])
        if name in ("mm", "matmul") and isinstance(args[1], Sparse):
            return args[1].__rmatmul__(args[0])
        raise _missing(name)

    return take_over


def _take_over_inplace(before: Callable) -> Callable:
    """The same for what writes to its first argument."""

    def take_over(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        if not any(isinstance(value, Sparse) for value in (*args, *kwargs.values())):
            return before(name, function, args, kwargs)
        if not isinstance(args[0], Sparse) and len(args) == 2 and isinstance(args[1], Sparse):
            if name == "add_":
                return args[1].add_into(args[0], **kwargs)
            if name == "sub_":
                return args[1].add_into(args[0], alpha=-kwargs.get("alpha", 1))
            if name == "copy_":
                return args[0].copy_(args[1].to_dense())
        raise _missing(name)

    return take_over


def _joined(tensors: Any, dim: int = 0) -> Sparse:
    parts = [t.coalesce() for t in tensors]
    at, offset, places = wrap_dim(dim, parts[0].dim()), 0, []
    for part in parts:
        shift = part.places.new_zeros((part.sparse_dim(), 1))
        shift[at] = offset
        places.append(part.places + shift)
        offset += part.sizes[at]
    sizes = (*parts[0].sizes[:at], offset, *parts[0].sizes[at + 1 :])
    made = _made(rushlight.cat(places, 1), rushlight.cat([p.entries for p in parts]), sizes, False)
    return made if at else _made(made.places, made.entries, sizes, True)


assert func  # what is done for batches is set by it; sparse tensors come before
TAKE_OVER.of_batch = _take_over(TAKE_OVER.of_batch)
TAKE_OVER.of_batch_inplace = _take_over_inplace(TAKE_OVER.of_batch_inplace)


def __getattr__(name: str) -> Any:
    raise of_module("rushlight.sparse", name)
