"""Views that reorder or reshape the dimensions: other shapes and strides on the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import errors
from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import Tensor, new_tensor, shown, storage, strides
from rushlight.buffer import offset as offset_of
from rushlight.deep import MOST, reshaped, unsqueezed
from rushlight.device import contiguous_format
from rushlight.dtypes import dtype
from rushlight.layout import infer_size, numel, view_strides, wrap_dim, wrap_dims
from rushlight.layout import sizes as sizes_of
from rushlight.memory import array
from rushlight.ops.kinds.method import method
from rushlight.ops.spec import public
from rushlight.runtime import execute
from rushlight.runtime.deferral import FROM
from rushlight.runtime.execute import restrided
from rushlight.tape.derivative import Derivative
from rushlight.tape.recording import record, record1

_view = execute.view
_alias = execute.alias
_ndarray = np.ndarray
_dtype = dtype

VIEW = Derivative("View", ("x",), (lambda g, x_meta: g.reshape(x_meta.shape),))
RESHAPE_ALIAS = Derivative("ReshapeAlias", ("x",), VIEW.vjps)
UNSAFE_VIEW = Derivative("UnsafeView", ("x",), (lambda g, x_meta: g.reshape(x_meta.shape),))
CLONE = Derivative("Clone", ("x",), (lambda g: g,))
TURNED = Derivative("T", ("x",), (lambda g: g.t(),))
_TRANSPOSE = Derivative("Transpose", ("x",), (lambda g, dim0, dim1: g.transpose(dim0, dim1),))
PERMUTE = Derivative("Permute", ("x",), (lambda g, dims: g.permute(_inverse(dims)),))
UNSQUEEZE = Derivative("Unsqueeze", ("x",), (lambda g, dim: g.squeeze(dim),))
_reshaped = (lambda g, x_meta: g.reshape(x_meta.shape),)
_SQUEEZE = [Derivative(f"SqueezeBackward{n}", ("x",), _reshaped) for n in range(3)]


def _inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    back = [0] * len(dims)
    for at, dim in enumerate(dims):
        back[dim] = at
    return tuple(back)


# ---- shape ----


def view(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same elements in another shape, on the same memory; or, given a dtype, the same bits read as that type.

    Raises:
        RuntimeError: the sizes do not fit, or the strides do not allow it without a copy.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(6).view(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    try:
        a = self._a
    except AttributeError:
        raise errors.wrong_self("view", self) from None
    if len(shape) == 1:
        n = shape[0]
        if type(n) is int:
            # (a single element may have any stride, which the view takes over)
            if n == -1 and a.size > 1 and a.flags.c_contiguous and size is None and dtype is None:
                return _view(self, a.reshape(-1), VIEW, None)
        else:
            shape = n
            if isinstance(shape, _dtype):
                return view_dtype(self, shape)
    if isinstance(shape, tuple) and size is None and dtype is None and _lies_plainly(a):
        for n in shape:
            if type(n) is not int or n < -1:
                break
        else:
            try:
                return _view(self, a.reshape(shape), VIEW, None)
            except ValueError:
                pass
    if dtype is not None:
        return view_dtype(self, dtype)
    return _viewed(self, shape if size is None else size)


def _lies_plainly(a: Any) -> bool:
    """Whether the elements lie in rows, also as far as dimensions of size 1 go, whose strides others take over."""
    if not a.flags.c_contiguous:
        return False
    if 1 in a.shape:
        step = a.itemsize
        for n, stride in zip(a.shape[::-1], a.strides[::-1]):
            if stride != step:
                return False
            step *= n
    return True


def _seen_as(a: Any, shape: Any) -> Any:
    """An array's elements in another shape, on the same memory; False if they do not lie so. None where NumPy's rule may differ.

    (A dimension of size 1 may have any stride, which the others take over.)
    """
    if not isinstance(shape, tuple) or type(a) is not _ndarray or not a.size or 1 in a.shape:
        return None
    count = 1
    for n in shape:
        if type(n) is not int or n < -1 or n == 1:
            return None
        count *= n
    try:
        made = a.reshape(shape, copy=False)
    except ValueError:
        return False if count == a.size else None
    return None if 1 in made.shape else made


def _viewed(self: Tensor, shape: Any) -> Tensor:
    made = _seen_as(self._a, shape)
    if type(made) is _ndarray:
        return _view(self, made, VIEW, None)
    shape = infer_size(sizes_of((shape,), "view"), self._a.size)
    if len(shape) > MOST and self._a.size == numel(shape):
        return reshaped(self, shape, "view")
    steps = view_strides(self._a.shape, strides(self), shape)
    if steps is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return _view(self, restrided(self, shape, steps), VIEW, None)


@method
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor viewed in the shape of `other`."""
    return view(self, other._a.shape)


def view_dtype(self: Tensor, kind: Any) -> Tensor:
    """The same memory read as another dtype; the last dimension grows or shrinks with the element size."""
    if not isinstance(kind, _dtype):
        raise TypeError(f"view(): argument 'dtype' must be torch.dtype, not {type(kind).__name__}")
    shape, steps = self._a.shape, strides(self)
    at = offset_of(self)
    if self._dtype.itemsize != kind.itemsize:
        shape, steps, at = _resized_elements(self, kind, shape, steps, at)
    array = shown(storage(self), kind.numpy, shape, steps, at)
    out = _alias(self)  # as in PyTorch, no view that the graph knows
    out._a, out._dtype = array, kind
    return out


def _resized_elements(t: Tensor, kind: Any, shape: tuple, steps: tuple, at: int) -> tuple:
    """Sizes, strides and offset of the same memory in elements of another size."""
    have, want = t._dtype.itemsize, kind.itemsize
    what = f"to view {t._dtype.legacy} as {kind.legacy} (different element sizes)"
    if not shape:
        raise RuntimeError(f"self.dim() cannot be 0 {what}")
    if steps[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {what}, but got {steps[-1]}")
    if have > want:
        ratio = have // want
        return (*shape[:-1], shape[-1] * ratio), (*[s * ratio for s in steps[:-1]], 1), at * ratio
    ratio = want // have
    if shape[-1] % ratio:
        raise RuntimeError(f"self.size(-1) must be divisible by {ratio} {what}, but got {shape[-1]}")
    if at % ratio:
        raise RuntimeError(f"self.storage_offset() must be divisible by {ratio} {what}, but got {at}")
    for dim, step in enumerate(steps[:-1]):
        if step % ratio:
            raise RuntimeError(f"self.stride({dim}) must be divisible by {ratio} {what}, but got {step}")
    return (*shape[:-1], shape[-1] // ratio), (*[s // ratio for s in steps[:-1]], 1), at // ratio


@public(out=False)
def reshape(input, *sizes, shape=None):
    """The same elements in another shape: a view where the strides allow it, else a copy.

    Raises:
        RuntimeError: the sizes hold another number of elements.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(4).reshape(2, 2)
        tensor([[0, 1],
                [2, 3]])
    """
    a = input._a
    if shape is None:
        shape = sizes
        if len(sizes) == 1:
            (n,) = sizes
            if type(n) is not int:
                shape = n
            elif n == -1 and a.size > 1 and a.flags.c_contiguous:
                return _view(input, a.reshape(-1), VIEW, None)
    elif sizes:
        raise TypeError("reshape(): the shape is given twice")
    if isinstance(shape, tuple) and _lies_plainly(a):
        for n in shape:
            if type(n) is not int or n < -1:
                break
        else:
            try:
                return _view(input, a.reshape(shape), VIEW, None)
            except ValueError:
                pass
    made = _seen_as(a, shape)
    if type(made) is _ndarray:
        return _view(input, made, VIEW if a.flags.c_contiguous else RESHAPE_ALIAS, None)
    if made is False and a.size < FROM:
        return _copied_as(input, shape)
    wanted = infer_size(sizes_of((shape,), "reshape"), a.size)
    if len(wanted) > MOST:
        return reshaped(input, wanted, "reshape")
    steps = view_strides(a.shape, strides(input), wanted)
    if steps is not None:
        return _view(
            input, restrided(input, wanted, steps), VIEW if a.flags.c_contiguous else RESHAPE_ALIAS, None
        )
    if type(a) is _ndarray and a.size < FROM:
        return _copied_as(input, wanted)
    return unsafe_view(input.clone(memory_format=contiguous_format), wanted)


def _copied_as(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A copy of what is in memory, in another shape: a clone, seen so."""
    a = t._a
    made = array(shape, a.dtype)
    copied = made.reshape(a.shape)
    copied[...] = a
    out = new_tensor(made, t._dtype)
    if t._edge is not None:
        clone = new_tensor(copied, t._dtype)
        record1(CLONE, t, None, clone)
        record1(UNSAFE_VIEW, clone, None, out)
    return out


def unsafe_view(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A fresh contiguous tensor in another shape, as a tensor of its own."""
    out = new_tensor(t._a.reshape(shape), t._dtype)
    record(UNSAFE_VIEW, (t,), None, out)
    return out


@method
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the shape of `other`."""
    return reshape(self, other._a.shape)


# ---- order of dimensions ----


@public(out=False)
def t(input):
    """A matrix with its two dimensions swapped; vectors and scalars as they are.

    Raises:
        RuntimeError: more than two dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.t(torch.tensor([[1, 2]]))
        tensor([[1],
                [2]])
    """
    a = input._a
    if a.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {a.ndim}D")
    return _view(input, a.T if a.size else _reordered(input, range(a.ndim)[::-1]), TURNED, None)


@public(out=False)
def transpose(input, dim0, dim1):
    """Dimensions `dim0` and `dim1` swapped, on the same memory.

    Raises:
        IndexError: a dimension is out of range.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 3, 4).transpose(0, 2).shape
        torch.Size([4, 3, 2])
    """
    a = input._a
    ndim = a.ndim
    dim0, dim1 = wrap_dim(dim0, ndim), wrap_dim(dim1, ndim)
    if a.size:
        moved = a.swapaxes(dim0, dim1) if ndim else a[...]
    else:
        order = list(range(ndim))
        order[dim0], order[dim1] = dim1, dim0
        moved = _reordered(input, order)
    return _view(input, moved, _TRANSPOSE, {"dim0": dim0, "dim1": dim1})


@public(out=False)
def swapaxes(input, axis0, axis1):
    """:func:`transpose` by NumPy's name."""
    return transpose(input, axis0, axis1)


@public(out=False)
def swapdims(input, dim0, dim1):
    """:func:`transpose` by another name."""
    return transpose(input, dim0, dim1)


#: the dimensions in order, by how many there are
_ORDERS = [list(range(ndim)) for ndim in range(65)]


@public(out=False)
def permute(input, *order, dims=None):
    """The dimensions in another order, on the same memory: `permute(2, 0, 1)`.

    Raises:
        RuntimeError: `dims` does not name every dimension once.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2, 3, 4).permute(2, 0, 1).shape
        torch.Size([4, 2, 3])
    """
    if dims is None:
        if not order:
            raise TypeError('permute() missing 1 required positional arguments: "dims"')
        dims = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
    elif order:
        raise TypeError("permute(): the dimensions are given twice")
    a = input._a
    ndim = a.ndim
    if type(dims) is tuple and len(dims) == ndim and a.size and sorted(dims) == _ORDERS[ndim]:
        if bool not in map(type, dims):
            return _view(input, a.transpose(dims), PERMUTE, {"dims": dims})
    dims = sizes_of((dims,), "permute")
    if len(dims) != a.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {a.ndim} is not equal to len(dims) = {len(dims)}"
        )
    wrapped = tuple([wrap_dim(dim, a.ndim) for dim in dims])
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _view(
        input, a.transpose(wrapped) if a.size else _reordered(input, wrapped), PERMUTE, {"dims": wrapped}
    )


def _reordered(t: Tensor, order: Any) -> np.ndarray:
    """The dimensions of an empty tensor in another order (NumPy does not keep the strides of empty arrays)."""
    shape, steps = t._a.shape, strides(t)
    return restrided(t, tuple([shape[dim] for dim in order]), tuple([steps[dim] for dim in order]))


@public(out=False)
def movedim(input, source, destination):
    """Dimensions `source` moved to the places `destination`; the others keep their order.

    Raises:
        RuntimeError: a dimension is named twice, or there are not as many places as dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.movedim(torch.ones(2, 3, 4), 0, -1).shape
        torch.Size([3, 4, 2])
    """
    if type(source) is int and type(destination) is int:
        ndim = input._a.ndim
        if -ndim <= source < ndim and -ndim <= destination < ndim and 0 < ndim:
            order = list(range(ndim))
            order.insert(destination % ndim, order.pop(source))
            return permute(input, tuple(order))
    froms = (source,) if isinstance(source, int) else tuple(source)
    to = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(froms) != len(to):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(froms)} dims) should contain the same number of "
            f"dims as destination ({list(to)} dims)"
        )
    ndim = input._a.ndim
    for what, dims in (("source", froms), ("destination", to)):
        if len({wrap_dim(d, ndim) for d in dims}) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({list(dims)})")
    froms, to = (tuple(wrap_dim(d, ndim) for d in dims) for dims in (froms, to))
    if ndim == 0:
        return alias(input)
    order = [-1] * ndim
    for a, b in zip(froms, to):
        order[b] = a
    rest = (dim for dim in range(ndim) if dim not in froms)
    return permute(input, [next(rest) if dim < 0 else dim for dim in order])


@public(out=False)
def moveaxis(input, source, destination):
    """:func:`movedim` by NumPy's name."""
    return movedim(input, source, destination)


_ALIAS = Derivative("Alias", ("x",), (lambda g: g,))


def alias(t: Tensor) -> Tensor:
    """The whole tensor as a view."""
    return _view(t, t._a[...], _ALIAS, None)


# ---- dimensions of size one ----


@public(out=False)
def unsqueeze(input, dim):
    """A dimension of size 1 put in at `dim`, on the same memory.

    Raises:
        IndexError: `dim` is out of range.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(3).unsqueeze(0).shape
        torch.Size([1, 3])
    """
    a = input._a
    dim = wrap_dim(dim, a.ndim + 1)
    shape = a.shape
    if len(shape) == MOST:
        return unsqueezed(input, dim)
    if a.flags.c_contiguous and a.size and 1 not in shape:  # (a dimension of size 1 may have any stride)
        array = a.reshape((*shape[:dim], 1, *shape[dim:]))
    else:
        steps = strides(input)
        step = shape[dim] * steps[dim] if dim < len(shape) else 1
        array = restrided(input, (*shape[:dim], 1, *shape[dim:]), (*steps[:dim], step, *steps[dim:]))
    return _view(input, array, UNSQUEEZE, {"dim": dim})


@public(out=False)
def squeeze(input, dim=None):
    """Without its dimensions of size 1: all of them, or those in `dim` that are of size 1.

    Raises:
        IndexError: `dim` is out of range.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(1, 3, 1).squeeze().shape
        torch.Size([3])
        >>> torch.ones(1, 3, 1).squeeze(0).shape
        torch.Size([3, 1])
    """
    shape = input._a.shape
    if dim is None:
        gone, form = [i for i, n in enumerate(shape) if n == 1], 0
    elif isinstance(dim, (tuple, list)):
        gone, form = [i for i in wrap_dims(dim, len(shape)) if shape[i : i + 1] == (1,)], 2
    else:
        gone, form = [i for i in (wrap_dim(dim, len(shape)),) if shape[i : i + 1] == (1,)], 1
    if input._a.size:
        array = input._a.squeeze(tuple(gone))
    else:
        steps = strides(input)
        kept = [i for i in range(len(shape)) if i not in gone]
        array = restrided(input, tuple([shape[i] for i in kept]), tuple([steps[i] for i in kept]))
    return _view(input, array, _SQUEEZE[form], None)


# ---- detach ----


@asking
def detach(input: Tensor) -> Tensor:
    """The same memory outside the graph: writes on either side show on the other, gradients stop here.

    Example:
        >>> import rushlight as torch
        >>> w = torch.ones(2, requires_grad=True)
        >>> w.detach().requires_grad
        False
    """
    try:
        return _alias(input)
    except AttributeError:
        raise errors.wrong_type("detach", "input", 1, input) from None
    except NeedsBatching:
        return TAKE_OVER.function("detach", detach, (input,), {})
