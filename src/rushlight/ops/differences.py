"""What neighbours along a dimension give: differences, and areas by the trapezoidal rule."""

from __future__ import annotations

from typing import Any

from rushlight import errors
from rushlight.buffer import Tensor
from rushlight.dtypes import bool_
from rushlight.ops.creation import zeros_like
from rushlight.ops.joining import cat
from rushlight.ops.kinds.reduction import one_dim, same_scalar_type
from rushlight.ops.promotion import NUMBERS
from rushlight.ops.spec import public


def _neighbours(x: Any, dim: int) -> tuple[Any, Any]:
    """The elements from the second on, and those before the last."""
    n = x.shape[dim]
    return x.narrow(dim, min(1, n), max(n - 1, 0)), x.narrow(dim, 0, max(n - 1, 0))


# ---- diff ----


def _into_out(plain: Any, outs: tuple, args: tuple, kwargs: dict) -> Any:
    order = args[1] if len(args) > 1 else kwargs.get("n", 1)
    return same_scalar_type(plain, outs, args, kwargs) if order == 0 else plain(*args, **kwargs)


@public(out=_into_out, takes={"n": "int", "prepend": "Tensor?", "append": "Tensor?"})
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """The n-th difference between neighbours along `dim`; of bools, whether they differ.

    Raises:
        RuntimeError: a tensor without dimensions, or a negative `n`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 3, 2]).diff()
        tensor([ 2, -1])
    """
    if not input._a.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = one_dim(dim, input._a.ndim, "diff")
    for more in (prepend, append):
        if more is not None:
            _check_piece(input, more, dim)
    if n == 0:
        return zeros_like(input).copy_(input)
    pieces = [t for t in (prepend, input, append) if t is not None]
    out = input if len(pieces) == 1 else cat(pieces, dim)
    if not out.shape[dim]:
        return out
    if n >= out.shape[dim]:
        none = out.narrow(dim, 0, 0)
        return none.logical_xor(none) if out._dtype is bool_ else none - none
    for _ in range(n):
        later, earlier = _neighbours(out, dim)
        out = later.logical_xor(earlier) if out._dtype is bool_ else later - earlier
    return out


def _check_piece(input: Tensor, more: Tensor, dim: int) -> None:
    if more._a.ndim != input._a.ndim:
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for d, (m, k) in enumerate(zip(more._a.shape, input._a.shape)):
        if m != k and d != dim:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; input.size({d}) = {k}, but got tensor.size({d}) = {m}"
            )


# ---- areas ----


def _widths(y: Tensor, x: Any, dx: Any, dim: int, name: str) -> Any:
    """The distances between the abscissas, ready to be multiplied with neighbours of y."""
    if x is None:
        if not isinstance(dx, NUMBERS) or isinstance(dx, complex) or isinstance(dx, bool):
            raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
        return dx
    if x._dtype is bool_:
        raise RuntimeError(f"{name}: received a bool input for `x`, but bool is not supported")
    if not x._a.ndim:
        raise IndexError(f"{name}: expected `x` to have at least one dimension")
    if x._a.ndim == 1:
        if x._a.shape[0] != y._a.shape[dim]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        later, earlier = _neighbours(x, 0)
        return (later - earlier).view(-1, *[1] * (y._a.ndim - 1 - dim))
    if x._a.ndim < y._a.ndim:
        x = x.view(*[1] * (y._a.ndim - x._a.ndim), *x._a.shape)
        later, earlier = _neighbours(x, dim)
    else:
        later, earlier = _neighbours(x, dim - y._a.ndim)
    return later - earlier


def _checked(y: Tensor, x: Any, dim: Any, name: str) -> int:
    for t in (y, x):
        if not isinstance(t, Tensor) and (t is y or t is not None):
            raise errors.WrongArgument("y", "Tensor", t, True)
    if y._dtype is bool_:
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    return one_dim(dim, y._a.ndim, name)


@public(out=False)
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The area under y along `dim` by the trapezoidal rule, for abscissas x or a spacing dx.

    Example:
        >>> import rushlight as torch
        >>> torch.trapezoid(torch.tensor([0., 1., 2.]))
        tensor(2.)
    """
    return _area(y, x, dx, dim, "trapezoid")


@public(out=False)
def trapz(y: Tensor, x: Any = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The older name of `trapezoid`."""
    return _area(y, x, dx, dim, "trapz")


def _area(y: Tensor, x: Any, dx: Any, dim: int, name: str) -> Tensor:
    if isinstance(y, Tensor) and not y._a.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = _checked(y, x, dim, name)
    if y._a.shape[dim] == 0:
        return y.new_zeros([n for d, n in enumerate(y._a.shape) if d != dim])
    if x is None:
        dx = _widths(y, x, dx, dim, name)
        return (y.sum(dim) - (y.select(dim, 0) + y.select(dim, -1)) * 0.5) * dx
    later, earlier = _neighbours(y, dim)
    return ((earlier + later) * _widths(y, x, dx, dim, name)).sum(dim) / 2.0


@public(out=False)
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The areas under y up to each place along `dim`, by the trapezoidal rule.

    Example:
        >>> import rushlight as torch
        >>> torch.cumulative_trapezoid(torch.tensor([0., 1., 2.]))
        tensor([0.5000, 2.0000])
    """
    dim = _checked(y, x, dim, "cumulative_trapezoid")
    later, earlier = _neighbours(y, dim)
    if x is None:
        return ((later + earlier) * (_widths(y, x, dx, dim, "cumulative_trapezoid") / 2)).cumsum(dim)
    widths = _widths(y, x, dx, dim, "cumulative_trapezoid")
    return ((later + earlier) * widths).cumsum(dim) / 2.0
