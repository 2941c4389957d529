"""Views as copies: `permute_copy(x, dims)` is `x.permute(dims)` in memory of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import dtype
from rushlight.ops import broadcasting, complexes, slicing, striding, views
from rushlight.ops.kinds.strict import same_type
from rushlight.ops.spec import public
from rushlight.tape.node import Node, edge_of


def _copy_of(name: str, view: Callable, doc: str) -> Any:
    """The copying form of a view: same arguments, same derivative, fresh contiguous memory."""

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        shown = view(input, *args, **kwargs)
        return tuple(map(_copied, shown)) if isinstance(shown, tuple) else _copied(shown)

    function.__name__ = name
    function.__doc__ = doc
    return public(function, name=name, check=same_type)


def _several_of(name: str, view: Callable, doc: str) -> Any:
    """The same for views that come in a tuple; with `out=` PyTorch returns None."""
    made = _copy_of(name, view, doc)

    @functools.wraps(made)
    def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return made(*args, **kwargs)
        made(*args, out=out, **kwargs)
        return None

    return function


def _copied(shown: Tensor) -> Tensor:
    """The elements of a view in fresh memory, with the view's node, renamed."""
    out = new_tensor(np.array(shown._a, order="C"), shown._dtype)
    edge = edge_of(shown)
    node = edge[0] if type(edge) is tuple else edge
    if isinstance(node, Node):
        if not node.name().endswith("_copy"):
            kind: Any = type(node)
            node.__class__ = _renamed(kind)
        out._edge = edge
    return out


@functools.cache
def _renamed(kind: type) -> Any:
    return type(f"{kind.__name__}_copy", (kind,), {"__slots__": ()})


def _view_or_copy(input: Tensor, *shape: Any, **kwargs: Any) -> Tensor:
    """`view_copy` also takes sizes that no view could show."""
    if shape and isinstance(shape[0], dtype) or "dtype" in kwargs:
        return views.view(input, *shape, **kwargs)
    return views.reshape(input, *shape, **kwargs)


alias_copy = _copy_of("alias_copy", views.alias, "The whole tensor, copied.")
as_strided_copy = _copy_of(
    "as_strided_copy", striding.as_strided, ":func:`as_strided`, its elements copied to fresh memory."
)
detach_copy = _copy_of("detach_copy", views.detach, ":func:`detach`, its elements copied to fresh memory.")
diagonal_copy = _copy_of(
    "diagonal_copy", striding.diagonal, ":func:`diagonal`, its elements copied to fresh memory."
)
expand_copy = _copy_of(
    "expand_copy", broadcasting.expand, ":func:`Tensor.expand`, its elements copied to fresh memory."
)
permute_copy = _copy_of(
    "permute_copy", views.permute, ":func:`permute`, its elements copied to fresh memory."
)
select_copy = _copy_of("select_copy", slicing.select, ":func:`select`, its elements copied to fresh memory.")
split_copy = _several_of("split_copy", slicing.split, ":func:`split`, its elements copied to fresh memory.")
split_with_sizes_copy = _several_of(
    "split_with_sizes_copy",
    slicing.split_with_sizes,
    ":func:`split_with_sizes`, its elements copied to fresh memory.",
)
squeeze_copy = _copy_of(
    "squeeze_copy", views.squeeze, ":func:`squeeze`, its elements copied to fresh memory."
)
t_copy = _copy_of("t_copy", views.t, ":func:`t`, its elements copied to fresh memory.")
transpose_copy = _copy_of(
    "transpose_copy", views.transpose, ":func:`transpose`, its elements copied to fresh memory."
)
unbind_copy = _several_of(
    "unbind_copy", slicing.unbind, ":func:`unbind`, its elements copied to fresh memory."
)
unfold_copy = _copy_of(
    "unfold_copy", striding.unfold, ":func:`Tensor.unfold`, its elements copied to fresh memory."
)
unsqueeze_copy = _copy_of(
    "unsqueeze_copy", views.unsqueeze, ":func:`unsqueeze`, its elements copied to fresh memory."
)
view_copy = _copy_of("view_copy", _view_or_copy, ":func:`Tensor.view`, its elements copied to fresh memory.")
view_as_real_copy = _copy_of(
    "view_as_real_copy", complexes.view_as_real, ":func:`view_as_real`, its elements copied to fresh memory."
)
view_as_complex_copy = _copy_of(
    "view_as_complex_copy",
    complexes.view_as_complex,
    ":func:`view_as_complex`, its elements copied to fresh memory.",
)
