"""Views of a part along one dimension, one or many at a time: `select`, `narrow`, `split`, `unbind`, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor, strides
from rushlight.buffer import offset as offset_of
from rushlight.dtypes import INTEGER
from rushlight.layout import wrap_dim
from rushlight.ops.construct import is_sequence
from rushlight.ops.indexing import select as select_at
from rushlight.ops.indexing import slice_backward, slice_view
from rushlight.ops.kinds.overlap import exact_out
from rushlight.ops.spec import primitive, public
from rushlight.runtime import execute
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import MULTIPLE
from rushlight.tape.recording import record

_FAR = 1 << 63
#: more views than this in one call are refused, before they fill the memory
_MANY = 1 << 28


# ---- one part ----


@public(out=False)
def select(input, dim, index):
    """The view at one index of a dimension, which is dropped.

    Raises:
        IndexError: no such dimension or index.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(6).view(2, 3).select(1, 2)
        tensor([2, 5])
    """
    if input._a.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, input._a.ndim)
    index = _integer(index, "select", "index", 3)
    size = input._a.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._a.shape)} at dimension {dim}"
        )
    return select_at(input, dim, index)


@public(out=False)
def narrow(input, dim, start, length):
    """The view of `length` places from `start` along a dimension.

    Raises:
        RuntimeError: a negative length, or more than there are.
    """
    shape = input._a.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor):
        if start._a.ndim or start._dtype.category != INTEGER:
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start.item()
    length = _integer(length, "narrow", "length", 4)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    dim = wrap_dim(dim, len(shape))
    size, start = shape[dim], _integer(start, "narrow", "start", 3)
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    if start < 0:
        start += size
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return slice_view(input, dim, start, start + length, 1)


@primitive(
    "NarrowCopy",
    vjp=(
        lambda g, x_meta, dim, start, stop: slice_backward(
            g, shape=x_meta.shape, dim=dim, part=slice(start, stop)
        ),
    ),
)
def narrow_copy_of(x, *, dim, start, stop):
    return np.array(x[(slice(None),) * dim + (slice(start, stop),)], order="C")


@public(check=exact_out("Expected self.dtype() == output.dtype() to be true, but got false.", read=False))
def narrow_copy(input, dim, start, length):
    """:func:`narrow` as a copy.

    Raises:
        RuntimeError: the dimension does not exist, or the range leaves it.

    Example:
        >>> import rushlight as torch
        >>> torch.narrow_copy(torch.tensor([1, 2, 3]), 0, 1, 2)
        tensor([2, 3])
    """
    shape = input._a.shape
    if shape and dim >= len(shape):
        raise RuntimeError(
            "Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false."
        )
    dim = wrap_dim(dim, len(shape))
    shown = narrow(input.detach(), dim, start, length)
    start = start + shape[dim] if start < 0 else start
    return narrow_copy_of(input, dim=dim, start=start, stop=start + shown._a.shape[dim])


def _integer(value: Any, operation: str, argument: str, position: int) -> int:
    try:
        if not isinstance(value, bool):
            found = value.__index__()
            if -_FAR <= found < _FAR:
                return found
            raise RuntimeError("Overflow when unpacking long long")
    except (AttributeError, TypeError):
        pass
    raise TypeError(
        f"{operation}(): argument '{argument}' (position {position}) must be int, not {type(value).__name__}"
    )


# ---- all parts at once ----


@primitive("SplitBackward", vjp=lambda g, sizes, dim: g.split_with_sizes(sizes, dim))
def split_backward(*pieces, shape, sizes, dim):
    """The parts side by side again, zeros for those that are missing."""
    kind = next(piece.dtype for piece in pieces if piece is not None)
    out = np.zeros(shape, kind)
    at = 0
    for size, piece in zip(sizes, pieces):
        if piece is not None:
            out[(slice(None),) * dim + (slice(at, at + size),)] = piece
        at += size
    return out


@primitive("StackBackward", vjp=lambda g, dim: g.unbind(dim))
def unbind_backward(*pieces, shape, dim):
    """The parts stacked again, zeros for those that are missing."""
    kind = next(piece.dtype for piece in pieces if piece is not None)
    out = np.zeros(shape, kind)
    for at, piece in enumerate(pieces):
        if piece is not None:
            out[(slice(None),) * dim + (at,)] = piece
    return out


def _joined(g: Any, x_meta: Any, sizes: Any, dim: int) -> Any:
    return (split_backward(*g, shape=x_meta.shape, sizes=sizes, dim=dim),)


_SPLIT = Derivative("Split", ("x",), _joined, several=True)
_SPLIT_SIZES = Derivative("SplitWithSizes", ("x",), _joined, several=True)
_UNSAFE_SPLIT = Derivative("UnsafeSplit", ("x",), _joined, several=True)
_UNSAFE_SPLIT_SIZES = Derivative("UnsafeSplitWithSizes", ("x",), _joined, several=True)
_UNBIND = Derivative(
    "Unbind", ("x",), lambda g, x_meta, dim: (unbind_backward(*g, shape=x_meta.shape, dim=dim),), several=True
)


def views(
    base: Tensor, arrays: Sequence[np.ndarray], derivative: Derivative, attrs: dict
) -> tuple[Tensor, ...]:
    """Several views from one recorded operation; PyTorch lets none of them be written to in place."""
    unrecorded = None if MODES.grad else derivative
    execute.viewed(base, arrays)
    made = tuple([execute.view(base, a, unrecorded, None, MULTIPLE) for a in arrays])
    if base._edge is not None:
        record(derivative, (base,), attrs, made)
    return made


def _parts(a: np.ndarray, t: Tensor, sizes: Sequence[int], dim: int) -> list[np.ndarray]:
    before = (slice(None),) * dim
    parts, at = [], 0
    for size in sizes:
        if a.size and size:
            parts.append(a[(*before, slice(at, at + size))])
        else:
            shape, steps = a.shape, strides(t)
            shape = (*shape[:dim], size, *shape[dim + 1 :])
            parts.append(execute.restrided(t, shape, steps, offset_of(t) + at * steps[dim]))
        at += size
    return parts


def _split(t: Tensor, sizes: Sequence[int], dim: int, derivative: Derivative) -> tuple[Tensor, ...]:
    sizes = tuple(sizes)
    return views(t, _parts(t._a, t, sizes, dim), derivative, {"sizes": sizes, "dim": dim})


def _sizes_of(t: Tensor, split_size: int, dim: int) -> list[int]:
    size = t._a.shape[dim]
    if split_size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={split_size}")
    if split_size == 0:
        if size:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {size}"
            )
        return [0]
    whole, rest = divmod(size, split_size)
    return [split_size] * whole + ([rest] if rest or not whole else [])


def _check_dim(t: Tensor, dim: Any, operation: str) -> int:
    if t._a.ndim == 0:
        raise RuntimeError(f"{operation} expects at least a 1-dimensional tensor")
    return wrap_dim(dim, t._a.ndim)


@public(out=False)
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None):
    """Views of consecutive parts along a dimension, each of a given size (the last may be smaller), or of given sizes.

    Raises:
        RuntimeError: the size is not positive, or the sizes do not fill the dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(5).split(2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if not isinstance(tensor, Tensor):
        return tensor.split(split_size_or_sections, dim)
    wanted = split_size_or_sections if split_size is None else split_size
    if isinstance(wanted, (list, tuple)):
        return split_with_sizes(tensor, wanted, dim)
    dim = _check_dim(tensor, dim, "split")
    return _split(tensor, _sizes_of(tensor, _integer(wanted, "split", "split_size", 1), dim), dim, _SPLIT)


def _check_sizes(t: Tensor, sizes: Any, dim: int, operation: str) -> list[int]:
    sizes = [_integer(size, operation, "split_sizes", 2) for size in sizes]
    if any(size < 0 for size in sizes):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
        )
    if sum(sizes) != t._a.shape[dim]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {t._a.shape[dim]} (input tensor's size at dimension "
            f"{dim}), but got split_sizes={sizes}"
        )
    return sizes


@public(out=False, takes={"dim": "int"})
def split_with_sizes(input, split_sizes, dim=0):
    """Views of consecutive parts along a dimension, of the given sizes, which must fill it."""
    dim = _check_dim(input, dim, "split")
    return _split(input, _check_sizes(input, split_sizes, dim, "split_with_sizes"), dim, _SPLIT_SIZES)


@public(out=False, takes={"chunks": "int", "dim": "int"})
def chunk(input, chunks, dim=0):
    """At most `chunks` views of consecutive equal parts along a dimension; the last may be smaller.

    Raises:
        RuntimeError: `chunks` is not positive, or the tensor has no dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(5).chunk(2)
        (tensor([0, 1, 2]), tensor([3, 4]))
    """
    dim, sizes = _chunked(input, chunks, dim)
    return _split(input, sizes, dim, _SPLIT if sizes[0] or len(sizes) == 1 else _SPLIT_SIZES)


def _chunked(t: Tensor, chunks: Any, dim: Any) -> tuple[int, list[int]]:
    if t._a.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = _integer(chunks, "chunk", "chunks", 1)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = wrap_dim(dim, t._a.ndim)
    size = -(-t._a.shape[dim] // chunks)
    if size == 0:
        _check_count(chunks)
    return dim, [0] * chunks if size == 0 else _sizes_of(t, size, dim)


def _check_count(count: int) -> None:
    if count > _MANY:
        raise RuntimeError(f"can't allocate memory: {count} views were asked for")


def _unsafe(t: Tensor, sizes: Sequence[int], dim: int, derivative: Derivative) -> tuple[Tensor, ...]:
    """Parts that show the memory but are no views to autograd: the caller promises to write to one alias only."""
    arrays = _parts(t._a, t, sizes, dim)
    buffer = execute.viewed(t, arrays)
    made = tuple([new_tensor(a, t._dtype) for a in arrays])
    for part in made:
        part._buf = buffer
    record(derivative, (t,), {"sizes": tuple(sizes), "dim": dim}, made)
    return made


@public(out=False, takes={"dim": "int"})
def unsafe_split(input, split_size, dim=0):
    """:func:`split`, not tracked as views."""
    dim = _check_dim(input, dim, "split")
    return _unsafe(input, _sizes_of(input, split_size, dim), dim, _UNSAFE_SPLIT)


@public(out=False, takes={"dim": "int"})
def unsafe_split_with_sizes(input, split_sizes, dim=0):
    """:func:`split_with_sizes`, not tracked as views."""
    dim = _check_dim(input, dim, "split")
    return _unsafe(input, _check_sizes(input, split_sizes, dim, "split_with_sizes"), dim, _UNSAFE_SPLIT_SIZES)


@public(out=False, takes={"chunks": "int", "dim": "int"})
def unsafe_chunk(input, chunks, dim=0):
    """:func:`chunk`, not tracked as views."""
    dim, sizes = _chunked(input, chunks, dim)
    return _unsafe(input, sizes, dim, _UNSAFE_SPLIT)


@public(out=False)
def unbind(input, dim=0):
    """Views at every index of a dimension, which is dropped.

    Raises:
        IndexError: there is no such dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).unbind()
        (tensor([1, 2]), tensor([3, 4]))
    """
    a = input._a
    dim = wrap_dim(dim, a.ndim)
    if a.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    if a.size:
        before = (slice(None),) * dim
        arrays = [a[(*before, at, ...)] for at in range(a.shape[dim])]
    else:
        shape, steps, start = a.shape, strides(input), offset_of(input)
        rest = (*shape[:dim], *shape[dim + 1 :]), (*steps[:dim], *steps[dim + 1 :])
        arrays = [execute.restrided(input, *rest, start + at * steps[dim]) for at in range(shape[dim])]
    return views(input, arrays, _UNBIND, {"dim": dim})


# ---- splits made of slices ----


@public(out=False, takes={"dim": "int"})
def tensor_split(
    input,
    indices_or_sections=None,
    dim=0,
    *,
    indices=None,
    sections=None,
    tensor_indices_or_sections=None,
):
    """Views of consecutive parts: a number of nearly equal ones, or cut before the given indices.

    Raises:
        RuntimeError: no dimension to split, or a number of parts below one.
    """
    if input._a.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim = wrap_dim(dim, input._a.ndim)
    size = input._a.shape[dim]
    given = [indices_or_sections, indices, sections, tensor_indices_or_sections]
    if sum(cut is not None for cut in given) != 1:
        raise TypeError("tensor_split() takes one of indices and sections")
    cuts = next(cut for cut in given if cut is not None)
    if isinstance(cuts, Tensor):
        if cuts._dtype.name != "int64":
            raise RuntimeError(
                f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got {cuts._dtype.legacy}"
            )
        if cuts._a.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
                f"got a tensor with {cuts._a.ndim} dims"
            )
        cuts = cuts.tolist()
    if is_sequence(cuts):
        edges = [0, *[_integer(cut, "tensor_split", "indices", 2) for cut in cuts], size]
    else:
        sections = _integer(cuts, "tensor_split", "sections", 2)
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        _check_count(sections)
        least, more = divmod(size, sections)
        edges = [at * least + min(at, more) for at in range(sections + 1)]
    return tuple([slice_view(input, dim, low, high, 1) for low, high in zip(edges, edges[1:])])


def _split_along(name: str, ndim: int, dim: int) -> Any:
    def function(
        input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
    ) -> tuple:
        cuts: Any = next((c for c in (indices_or_sections, indices, sections) if c is not None), None)
        if cuts is None:
            raise TypeError(f'{name}() missing 1 required positional arguments: "indices_or_sections"')
        have = input._a.ndim
        if have < ndim:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {ndim} dimension, but got a tensor "
                f"with {have} dimensions!"
            )
        along = 0 if name == "hsplit" and have == 1 else dim
        if isinstance(cuts, str):
            raise errors.invalid_combination(name, input, cuts)
        if not is_sequence(cuts):
            size = input._a.shape[along]
            if cuts <= 0 or size % cuts:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {along}, but the size of the dimension {size} is not "
                    f"divisible by the split_size {cuts}!"
                )
        return tensor_split(input, cuts, along)

    function.__name__ = name
    function.__doc__ = (
        f"Views of consecutive equal parts along dimension {dim}, or cut before the given indices."
    )
    return public(function, name=name, out=False)


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 2, 0)
dsplit = _split_along("dsplit", 3, 2)


def _method_of(function: Any) -> Any:
    def method(self: Tensor, *given: Any, **named: Any) -> tuple:
        """The function of the same name; the indices may also be separate arguments."""
        return function(self, *given if len(given) < 2 else (given,), **named)

    method.__name__ = method.__qualname__ = function.__name__
    return method


hsplit_method, vsplit_method, dsplit_method = map(_method_of, (hsplit, vsplit, dsplit))

__all__ = ["chunk", "narrow", "select", "split", "unbind"]
