"""Writing, reading and choosing by mask: masked_fill, masked_select, nonzero, where."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY, FLOATING
from rushlight.layout import broadcast, numel
from rushlight.ops.kinds.elementwise import layout_of, placed
from rushlight.ops.kinds.overlap import apart, exact_out
from rushlight.ops.kinds.pointwise import where_kept
from rushlight.ops.positions import implemented
from rushlight.ops.promotion import NUMBERS, operand, result_type
from rushlight.ops.scattering import value_of
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM_COSTLY, launch, tensor_on
from rushlight.runtime.repeated import repeated
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative
from rushlight.tape.modes import direct
from rushlight.tape.recording import record

# ---- writing ----


def _masked(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A copy of `x`, broadcast with the mask."""
    if x.shape == mask.shape:
        return x.copy()
    shape = broadcast(x.shape, mask.shape)
    return np.array(np.broadcast_to(x, shape), order="C")


def _chosen_value(x: np.ndarray, mask: np.ndarray, value: Any) -> np.ndarray:
    return np.where(mask, x.dtype.type(value) if isinstance(value, NUMBERS) else value, x)


def _unmasked(g: Any, mask: Any) -> Any:
    """`g` where nothing was filled in."""
    if direct(g) and type(mask._a) is np.ndarray and g._a.flags.c_contiguous:
        shape = g._a.shape
        if broadcast(shape, mask._a.shape) == shape:
            return new_tensor(where_kept(~mask._a, g._a), g._dtype)
    return g.masked_fill(mask, 0)


@primitive("MaskedFillBackward0", vjp=(_unmasked, None), elementwise=_chosen_value)
def masked_fill_number(x, mask, *, value):
    out = _masked(x, mask)
    if mask.shape == out.shape:
        np.putmask(out, mask, value)
    else:
        np.copyto(out, value, where=mask)
    return out


@primitive(
    "MaskedFillBackward1",
    vjp=(_unmasked, None, lambda g, mask: where(mask, g, 0).sum()),
    promotes=False,
    elementwise=_chosen_value,
)
def masked_fill_tensor(x, mask, value):
    out = _masked(x, mask)
    np.copyto(out, convert(value, BY_NUMPY[x.dtype]), where=mask)
    return out


def _check_masked_fill(t: Tensor, mask: Any, value: Any) -> Any:
    """The value in t's type."""
    mask = as_tensor(mask, "masked_fill", "mask", 1)
    if isinstance(value, Tensor) and value._a.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value._a.ndim} dimension(s)."
        )
    if mask._dtype is not dtypes.bool_:
        kind = mask._dtype.cpp
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {kind}")
    if mask._a.shape != t._a.shape:
        broadcast(t._a.shape, mask._a.shape)
    implemented(t, "masked_fill")
    if type(value) is float and t._dtype.category == FLOATING and abs(value) < 1e4:
        return np.array(value, t._dtype.numpy)
    return value_of(value, t, "masked_fill", "")


def _masked_fill_into(self, mask, value):
    number = _check_masked_fill(self, mask, value)
    a, m = self._a, mask._a
    if m.shape != a.shape and broadcast(a.shape, m.shape) != a.shape:
        raise RuntimeError(
            f"output with shape {list(a.shape)} doesn't match the broadcast shape "
            f"{list(broadcast(a.shape, m.shape))}"
        )
    if m.shape == a.shape:
        np.putmask(a, apart(m, a), number)
    else:
        np.copyto(a, number, where=apart(m, a))
    return True


@public(out=False, into=_masked_fill_into)
def masked_fill(input, mask, value):
    """A copy of `input` with `value` (a number or 0-d tensor) where `mask` is True; shapes broadcast.

    Raises:
        RuntimeError: the mask is not of type bool.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2, 3]).masked_fill(torch.tensor([True, False, True]), 0)
        tensor([0, 2, 0])
    """
    if isinstance(mask, Tensor) and mask._a.shape != input._a.shape:
        broadcast(mask._a.shape, input._a.shape)  # the mask is "tensor a" in the message
    number = _check_masked_fill(input, mask, value)
    if isinstance(value, Tensor):
        return masked_fill_tensor(input, mask, value)
    return masked_fill_number(input, mask, value=number)


def _scatter_mask(a: np.ndarray, mask: np.ndarray, source: np.ndarray) -> None:
    mask = np.broadcast_to(mask, a.shape)
    count = int(np.count_nonzero(mask))
    if source.size < count:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    a[mask] = source.reshape(-1)[:count]


def _masked_scatter_source(g: Any, mask: Tensor, source_meta: Any) -> Any:
    """The gradients at the mask, in order, and zeros for what was not used."""
    chosen = g.masked_select(mask)
    count = numel(source_meta.shape)
    rest = count - chosen._a.size
    if rest > 0:
        from rushlight.ops.joining import cat

        chosen = cat([chosen, g.new_zeros((rest,))])
    return chosen.reshape(source_meta.shape)


@primitive(
    "MaskedScatter",
    vjp=(lambda g, mask: g.masked_fill(mask, 0), None, _masked_scatter_source),
)
def masked_scatter_elements(x, mask, source):
    out = _masked(x, mask)
    _scatter_mask(out, mask, source)
    return out


def _check_masked_scatter(t: Tensor, mask: Any, source: Any) -> None:
    mask, source = (
        as_tensor(mask, "masked_scatter", "mask", 1),
        as_tensor(source, "masked_scatter", "source", 2),
    )
    if mask._dtype is dtypes.uint8:
        warnings.warn(
            "masked_scatter_ received a mask with dtype torch.uint8, this behavior is now deprecated,please use a mask "
            "with dtype torch.bool instead.",
            UserWarning,
            stacklevel=4,
        )
    if t._dtype is not source._dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{t._dtype.legacy} and {source._dtype.legacy}"
        )
    if mask._dtype is not dtypes.bool_:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask._dtype.legacy}"
        )
    implemented(t, "masked_scatter")


def _masked_scatter_into(self, mask, source):
    _check_masked_scatter(self, mask, source)
    a = self._a
    if mask._a.shape != a.shape:
        mask = mask.expand(a.shape)
    _scatter_mask(a, apart(mask._a, a), apart(source._a, a))
    return True


@public(out=False, into=_masked_scatter_into)
def masked_scatter(input, mask, source):
    """A copy of `input` with the elements of `source`, in order, where `mask` is True.

    Raises:
        RuntimeError: `source` has fewer elements than there are places.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1., 2.]))
        tensor([1., 0., 2.])
    """
    _check_masked_scatter(input, mask, source)
    return masked_scatter_elements(input, mask, source)


# ---- reading ----


@primitive(
    "MaskedSelect",
    vjp=(lambda g, x_meta, mask: masked_select_backward(g, x_meta, mask), None),
)
def masked_select_of(x, mask):
    shape = broadcast(mask.shape, x.shape)
    return np.broadcast_to(x, shape)[np.broadcast_to(mask, shape)]


def masked_select_backward(g: Any, x_meta: Any, mask: Tensor) -> Any:
    shape = broadcast(x_meta.shape, mask._a.shape)
    return g.new_zeros(shape).masked_scatter(mask, g)


@public(check=exact_out("masked_select(): self and result must have the same scalar type"))
def masked_select(input, mask):
    """The elements where `mask` is True, as a vector; shapes broadcast.

    Raises:
        RuntimeError: the mask is not of type bool, or the shapes do not broadcast.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2, 3]).masked_select(torch.tensor([True, False, True]))
        tensor([1, 3])
    """
    mask = as_tensor(mask, "masked_select", "mask", 1)
    if mask._dtype is not dtypes.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    implemented(input, "masked_select")
    return masked_select_of(input, mask)


@primitive("Nonzero", vjp=NOT_DIFFERENTIABLE)
def nonzero_positions(x):
    found = np.array(np.nonzero(x), np.int64) if x.ndim else np.zeros((0, int(bool(x))), np.int64)
    count = found.shape[1]
    if found.size:
        return found.T
    return np.ndarray((count, x.ndim), np.int64, found, 0, (8, 8 * count))


@public(
    check=exact_out("nonzero: Expected out tensor to have scalar type {wanted} but got scalar type{got}"),
    takes={"as_tuple": "bool"},
)
def nonzero(input, *, as_tuple=False):
    """The positions of the elements that are not zero: (n, ndim), or a tuple of ndim vectors.

    Example:
        >>> import rushlight as torch
        >>> torch.nonzero(torch.tensor([[0, 1], [2, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    implemented(input, "nonzero_count_cpu")
    if as_tuple:
        return nonzero_positions(input if input._a.ndim else input.unsqueeze(0)).unbind(1)
    return nonzero_positions(input)


@public(out=False)
def argwhere(input):
    """The positions of the elements that are not zero: (n, ndim)."""
    return nonzero(input)


# ---- where ----

_WHERE = Derivative(
    "Where",
    ("condition", "x", "y"),
    (None, lambda g, condition: where(condition, g, 0), lambda g, condition: where(condition, 0, g)),
    promotes=False,
)


_CHOICES = (Tensor, *NUMBERS)
#: elements up to which a mask is faster than a choice
_FEW = 1024


@public(check=exact_out("Expected out type to be {wanted} but got {got}", read=False))
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is True, else `other`; all three broadcast, and either may be a number.

    With the condition alone: `nonzero(condition, as_tuple=True)`.

    Raises:
        RuntimeError: the condition is not of type bool, or the shapes do not broadcast.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([-1., 2.])
        >>> torch.where(x > 0, x, 0)
        tensor([0., 2.])
    """
    if input is None and other is None and isinstance(condition, Tensor):
        return condition.nonzero(as_tuple=True)
    if (
        not isinstance(condition, Tensor)
        or not isinstance(input, _CHOICES)
        or not isinstance(other, _CHOICES)
    ):
        got = ", ".join(type(v).__name__ for v in (condition, input, other) if v is not None)
        raise TypeError(
            f"where() received an invalid combination of arguments - got ({got}), but expected one of:\n"
            " * (Tensor condition)\n * (Tensor condition, Tensor input, Tensor other, *, Tensor out = None)\n"
            " * (Tensor condition, Number self, Tensor other)\n * (Tensor condition, Tensor input, Number other)\n"
            " * (Tensor condition, Number self, Number other)\n"
        )
    return _chosen(condition, input, other)


def _one_of(chosen: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.size >= _FEW:
        return np.where(chosen, a, b)
    made = np.array(b)
    np.putmask(made, chosen, a)  # in half the time of np.where
    return made


#: of arrays of one type and shape, row-major
_choice = repeated(("where", np.where), _one_of)


def _chosen(condition: Tensor, x: Any, y: Any) -> Tensor:
    chosen = condition._a
    if condition._dtype is not dtypes.bool_:
        chosen = _as_condition(condition)
    same = isinstance(x, Tensor) and isinstance(y, Tensor) and x._dtype is y._dtype
    kind = x._dtype if same else result_type(x, y)
    if isinstance(x, Tensor) and not isinstance(y, Tensor):  # a step of its own, recorded as such
        x = x.to(kind)
    elif isinstance(y, Tensor) and not isinstance(x, Tensor):
        y = y.to(kind)
    out = None
    # (NumPy guesses which of the two comes next, wrongly for every other random element)
    if chosen.size >= FROM_COSTLY and condition._dtype is dtypes.bool_:
        kinds = dtypes.bool_, kind, kind
        made = launch("where", np.where, (condition, x, y), kinds, kind, None, operand, least=FROM_COSTLY)
        out = None if made is None else tensor_on(made, kind)
    if out is None:
        a, b = (x._a, y._a) if same else (operand(x, kind), operand(y, kind))
        try:
            if (
                a.shape == b.shape == chosen.shape
                and a.flags.c_contiguous
                and b.flags.c_contiguous
                and chosen.flags.c_contiguous
                and a.dtype is b.dtype
                and type(a) is type(b) is np.ndarray
            ):
                try:
                    made = _choice((), chosen, a, b)
                except RuntimeError:  # another thread is in the quiet context
                    made = _one_of(chosen, a, b)
            else:
                made = placed(
                    np.asarray(np.where(chosen, a, b), kind.numpy),
                    (
                        layout_of(condition, dtypes.bool_),
                        layout_of(x, kind),
                        layout_of(y, kind),
                    ),
                )
        except ValueError:
            broadcast(broadcast(chosen.shape, np.shape(a)), np.shape(b))
            raise
        out = new_tensor(made, kind)
    if kind.category >= FLOATING:
        x, y = x if isinstance(x, Tensor) else None, y if isinstance(y, Tensor) else None
        if x is not None and x._edge is not None or y is not None and y._edge is not None:
            record(_WHERE, (condition, x, y), None, out)
    return out


def _as_condition(condition: Tensor) -> np.ndarray:
    if condition._dtype is not dtypes.uint8:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition._dtype.legacy}"
        )
    warnings.warn(
        "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future version "
        "of PyTorch. Use a boolean condition instead.",
        UserWarning,
        stacklevel=4,
    )
    return condition._a.astype(np.bool_)


def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor where `condition` is True, else `other`."""
    return where(condition, self, other)
