"""Discrete Fourier transforms: complex to complex, real to half of a complex spectrum, and back.

Single precision is computed in double, and rounded once.

The transform of a vector of length n has the elements X[k] = sum over j of x[j] exp(-2 pi i j k / n); the inverse, the other
sign. A real vector's spectrum is Hermitian, X[n - k] = conj(X[k]), so half of it says all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX, FLOATING, complex64, complex128, default_float, float32, float64
from rushlight.layout import wrap_dim
from rushlight.ops.padding import constant_pad_nd
from rushlight.ops.spec import primitive, public
from rushlight.ops.writing import in_rows

# ---- how results lie ----


def _batch_order(steps: Sequence[int], dims: Sequence[int]) -> list[int]:
    """The dimensions that are not transformed, as PyTorch's results order them: from large steps to small.

    Which of two with the same step comes first is the doing of C++'s `std::partition`: last ones fill the gaps that
    transformed dimensions leave.
    """
    order, at, end = list(range(len(steps))), 0, len(steps)
    while at < end:
        if order[at] not in dims:
            at += 1
            continue
        end -= 1
        while end > at and order[end] in dims:
            end -= 1
        order[at], order[end] = order[end], order[at]
    return sorted(order[:at], key=lambda d: -steps[d])


def _laid(a: np.ndarray, factor: float, kind: np.dtype, order: Sequence[int]) -> np.ndarray:
    """The array times `factor` as numbers of this kind, with its dimensions in this order in memory."""
    made = np.empty([a.shape[d] for d in order], kind)
    out = made.transpose(np.argsort(order)) if order else made
    if factor == 1:
        np.copyto(out, a, casting="same_kind")
    else:
        np.multiply(a, factor, out=out, casting="same_kind")
    return out


def _order(x: np.ndarray, dims: Sequence[int], last: Sequence[int] = ()) -> list[int]:
    """Batch dimensions first, then the transformed ones: from large steps to small, but for those that have to come last."""
    batch = _batch_order(x.strides, (*dims, *last))
    return [*batch, *sorted(dims, key=lambda d: -x.strides[d]), *last]


# ---- primitives: `factor` is what results are multiplied with, `forward` the sign ----


def _along(function: Callable, a: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    a = a.astype(np.complex128)
    for dim in dims:
        a = function(a, axis=dim)
    return a


@primitive(
    "FftC2C",
    vjp=(lambda g, dims, factor, forward: fft_c2c(g, dims=dims, factor=factor, forward=not forward),),
)
def fft_c2c(x, *, dims, factor, forward):
    """The transform of complex numbers along `dims`; its adjoint is the one of the other sign."""
    if not dims:
        return x.copy("K")
    function = np.fft.fft if forward else _unscaled_inverse
    return _laid(_along(function, x, dims), factor, x.dtype, _order(x, dims))


def _unscaled_inverse(a: np.ndarray, axis: int) -> np.ndarray:
    return np.fft.ifft(a, axis=axis, norm="forward")


def _from_real_gradient(g: Any, x_meta: Any, dims: tuple[int, ...], factor: float) -> Any:
    """The adjoint of taking half of the spectrum: the other half's gradient is zero."""
    last = dims[-1]
    missing = x_meta.shape[last] - g.shape[last]
    if missing:
        g = constant_pad_nd(g, (0, 0) * (g.ndim - 1 - last) + (0, missing))
    return fft_c2c(g, dims=dims, factor=factor, forward=False).real


@primitive(
    "FftR2C", vjp=(lambda g, x_meta, dims, factor, half: _from_real_gradient(g, x_meta, dims, factor),)
)
def fft_r2c(x, *, dims, factor, half):
    """The spectrum of real numbers along `dims`, or half of it along the last of them."""
    *others, last = dims
    a = (np.fft.rfft if half else np.fft.fft)(x.astype(np.float64), axis=last)
    kind = np.dtype(np.complex64 if x.dtype == np.float32 else np.complex128)
    return _laid(_along(np.fft.fft, a, others) if others else a, factor, kind, _order(x, others, (last,)))


def _real_gradient(g: Any, dim: int, factor: float, size: int) -> Any:
    """Each element of the half stands for two, but for the first and, where it has no partner, the last."""
    half = fft_r2c(g, dims=(dim,), factor=factor, half=True)
    twice = size - half.shape[dim]
    if twice <= 0:
        return half
    last = half.shape[dim] - 1 - twice
    parts = [half.narrow(dim, 0, 1), half.narrow(dim, 1, twice) * 2, half.narrow(dim, 1 + twice, last)]
    from rushlight.ops.joining import cat

    return cat(parts, dim)


@primitive("FftC2R", vjp=(_real_gradient,))
def fft_c2r(x, *, dim, factor, size):
    """The `size` real numbers of which `x` is half of the spectrum, by the inverse sign."""
    kind = np.dtype(np.float32 if x.dtype == np.complex64 else np.float64)
    a = np.fft.irfft(x.astype(np.complex128), size, dim, norm="forward")
    return _laid(a, factor, kind, _order(x, (dim,)))


# ---- arguments ----


def _promoted(x: Tensor, to_complex: bool) -> Tensor:
    """As floating or complex numbers; RuntimeError for types that cannot be transformed."""
    kind = x._dtype
    if kind.category < FLOATING:
        kind = default_float(kind)
    if kind not in (float32, float64, complex64, complex128):
        raise RuntimeError(f"Unsupported dtype {kind.legacy}")
    if to_complex and kind.category < COMPLEX:
        kind = complex64 if kind is float32 else complex128
    return x.to(kind)


def _real(name: str, x: Tensor) -> Tensor:
    if x._dtype.category == COMPLEX:
        raise RuntimeError(f"{name} expects a real input tensor, but got {x._dtype.legacy}")
    return _promoted(x, False)


def _factor(norm: str | None, count: int, inverse: bool) -> float:
    if norm not in (None, "backward", "ortho", "forward"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") != inverse else 1.0


def _resized(x: Tensor, dims: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """Cut, or filled up with zeros, to these sizes; -1 leaves one as it is."""
    for dim, size in zip(dims, sizes):
        have = x._a.shape[dim]
        if size == -1 or size == have:
            continue
        if size < have:
            x = x.narrow(dim, 0, size)
        else:
            x = constant_pad_nd(x, (0, 0) * (x._a.ndim - 1 - dim) + (0, size - have))
    return x


def _dim(dim: int, rank: int) -> int:
    if not rank:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, rank)


def _length(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def _one(x: Tensor, n: int | None, dim: int) -> tuple[Tensor, int, int]:
    """The input with `n` elements along a dimension, which is counted from the start."""
    dim = _dim(dim, x._a.ndim)
    size = x._a.shape[dim] if n is None else n
    _length(size)
    return _resized(x, (dim,), (size,)), size, dim


def _several(x: Tensor, s: Any, dim: Any) -> tuple[list[int], list[int]]:
    """The dimensions to transform, and the sizes asked for (-1: none)."""
    s = [s] if isinstance(s, int) else s
    dim = [dim] if isinstance(dim, int) else dim
    rank = x._a.ndim
    if dim is not None:
        dims = [_dim(d, rank) for d in dim]
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > rank:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {rank} dimensions.")
        dims = list(range(rank - len(s), rank))
    else:
        dims = list(range(rank))
    sizes = [-1] * len(dims) if s is None else list(s)
    for d, n in zip(dims, sizes):
        if n != -1:
            _length(n)
        elif x._a.shape[d] < 1:
            _length(x._a.shape[d])
    return dims, sizes


def _count(x: Tensor, dims: Sequence[int]) -> int:
    return math.prod(x._a.shape[d] for d in dims)


# ---- of one dimension ----


def _complex_one(input: Any, n: Any, dim: Any, norm: Any, forward: bool) -> Any:
    x, size, dim = _one(_promoted(input, False), n, dim)
    factor = _factor(norm, size, not forward)
    if x._dtype.category == COMPLEX:
        return fft_c2c(x, dims=(dim,), factor=factor, forward=forward)
    made = fft_r2c(x, dims=(dim,), factor=factor, half=False)
    return made if forward else made.conj()


#: the kinds of arguments, along one dimension, several and two
_LINE = {"n": "int?", "dim": "int", "norm": "str?"}
_SPACE = {"s": "ints?", "dim": "ints?", "norm": "str?"}
_PLANE = _SPACE | {"dim": "ints"}


@public(name="fft.fft", out=in_rows, takes=_LINE)
def fft(input, n=None, dim=-1, norm=None):
    """The Fourier transform along `dim`.

    Args:
        n: how many elements to take: the input is cut, or filled up with zeros.
        norm: "backward" (None), "ortho" or "forward": which of a transform and its inverse divides by n, or both by its
            root.

    Raises:
        RuntimeError: half precision, `n` below 1, another `norm`.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.fft(torch.tensor([1., 0., -1., 0.]))
        tensor([0.+0.j, 2.+0.j, 0.+0.j, 2.+0.j])
    """
    return _complex_one(input, n, dim, norm, True)


def _as_conjugate(plain: Any, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """The rule for `out=` of `ifft`: in rows, unless PyTorch gets the inverse as a conjugate, which keeps its order."""
    result = plain(*args, **kwargs)
    given = args[0] if args else kwargs["input"]
    return result.contiguous() if given._dtype.category == COMPLEX else result


@public(name="fft.ifft", out=_as_conjugate, takes=_LINE)
def ifft(input, n=None, dim=-1, norm=None):
    """The inverse of :func:`fft`."""
    return _complex_one(input, n, dim, norm, False)


@public(name="fft.rfft", out=in_rows, takes=_LINE)
def rfft(input, n=None, dim=-1, norm=None):
    """The first half of a real tensor's Fourier transform, n // 2 + 1 elements.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.rfft(torch.tensor([1., 0., -1., 0.]))
        tensor([0.+0.j, 2.+0.j, 0.+0.j])
    """
    x, size, dim = _one(_real("rfft", input), n, dim)
    return fft_r2c(x, dims=(dim,), factor=_factor(norm, size, False), half=True)


@public(name="fft.ihfft", takes=_LINE)
def ihfft(input, n=None, dim=-1, norm=None):
    """The first half of a real tensor's inverse Fourier transform: the inverse of :func:`hfft`."""
    x, size, dim = _one(_real("ihfft", input), n, dim)
    return fft_r2c(x, dims=(dim,), factor=_factor(norm, size, True), half=True).conj()


def _to_real(x: Tensor, n: int | None, dim: int, norm: Any, forward: bool) -> Any:
    """Real numbers from half a spectrum: `n` of them, by default 2 (m - 1) of m elements."""
    dim = _dim(dim, x._a.ndim)
    size = 2 * (x._a.shape[dim] - 1) if n is None else n
    _length(size)
    x = _resized(x, (dim,), (size // 2 + 1,))
    return fft_c2r(x.conj() if forward else x, dim=dim, factor=_factor(norm, size, not forward), size=size)


@public(name="fft.irfft", out=in_rows, takes=_LINE)
def irfft(input, n=None, dim=-1, norm=None):
    """The inverse of :func:`rfft`: `n` real numbers (by default an even count) from half of their spectrum.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.irfft(torch.tensor([0., 2., 0.]))
        tensor([ 1.,  0., -1.,  0.])
    """
    return _to_real(_promoted(input, True), n, dim, norm, False)


@public(name="fft.hfft", out=in_rows, takes=_LINE)
def hfft(input, n=None, dim=-1, norm=None):
    """The Fourier transform, which is real, of a Hermitian signal of which the first half is given."""
    return _to_real(_promoted(input, True), n, dim, norm, True)


# ---- of several ----


def _complex_several(input: Any, s: Any, dim: Any, norm: Any, forward: bool) -> Any:
    x = _promoted(input, True)
    dims, sizes = _several(x, s, dim)
    x = _resized(x, dims, sizes)
    return fft_c2c(x, dims=tuple(dims), factor=_factor(norm, _count(x, dims), not forward), forward=forward)


def _needs_axis(name: str, dims: list[int]) -> None:
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")


def _half_several(name: str, input: Any, s: Any, dim: Any, norm: Any, forward: bool) -> Any:
    """Half the spectrum along the last dimension, and the transform along the others."""
    x = _real(name, input)
    dims, sizes = _several(x, s, dim)
    _needs_axis(name, dims)
    x = _resized(x, dims, sizes)
    factor = _factor(norm, _count(x, dims), not forward)
    if forward:
        return fft_r2c(x, dims=tuple(dims), factor=factor, half=True)
    made = fft_r2c(x, dims=(dims[-1],), factor=factor, half=True).conj()
    return fft_c2c(made, dims=tuple(dims[:-1]), factor=1.0, forward=False) if dims[1:] else made


def _real_several(name: str, input: Any, s: Any, dim: Any, norm: Any, forward: bool) -> Any:
    """The transform along all dimensions but the last, then the real numbers along that."""
    x = _promoted(input, True)
    dims, sizes = _several(x, s, dim)
    _needs_axis(name, dims)
    last = sizes[-1] if sizes[-1] != -1 else 2 * (x._a.shape[dims[-1]] - 1)
    _length(last)
    x = _resized(x, dims, [*sizes[:-1], last // 2 + 1])
    factor = _factor(norm, _count(x, dims[:-1]) * last, not forward)
    if dims[1:]:
        x = fft_c2c(x, dims=tuple(dims[:-1]), factor=1.0, forward=forward)
    return fft_c2r(x.conj() if forward else x, dim=dims[-1], factor=factor, size=last)


@public(name="fft.fftn", out=in_rows, takes=_SPACE)
def fftn(input, s=None, dim=None, norm=None):
    """:func:`fft` along several dimensions: `dim`, or as many last ones as `s` has sizes, or all."""
    return _complex_several(input, s, dim, norm, True)


@public(name="fft.ifftn", out=in_rows, takes=_SPACE)
def ifftn(input, s=None, dim=None, norm=None):
    """The inverse of :func:`fftn`."""
    return _complex_several(input, s, dim, norm, False)


@public(name="fft.rfftn", out=in_rows, takes=_SPACE)
def rfftn(input, s=None, dim=None, norm=None):
    """:func:`fftn` of a real tensor; half of it, along the last of the dimensions."""
    return _half_several("rfftn", input, s, dim, norm, True)


@public(name="fft.ihfftn", out=in_rows, takes=_SPACE)
def ihfftn(input, s=None, dim=None, norm=None):
    """The inverse of :func:`hfftn`."""
    return _half_several("ihfftn", input, s, dim, norm, False)


@public(name="fft.irfftn", out=in_rows, takes=_SPACE)
def irfftn(input, s=None, dim=None, norm=None):
    """The inverse of :func:`rfftn`."""
    return _real_several("irfftn", input, s, dim, norm, False)


@public(name="fft.hfftn", out=in_rows, takes=_SPACE)
def hfftn(input, s=None, dim=None, norm=None):
    """The Fourier transform, which is real, of a signal that is Hermitian along the last of the dimensions."""
    return _real_several("hfftn", input, s, dim, norm, True)


@public(name="fft.fft2", out=in_rows, takes=_PLANE)
def fft2(input, s=None, dim=(-2, -1), norm=None):
    """:func:`fftn` of the last two dimensions."""
    return _complex_several(input, s, dim, norm, True)


@public(name="fft.ifft2", out=in_rows, takes=_PLANE)
def ifft2(input, s=None, dim=(-2, -1), norm=None):
    """:func:`ifftn` of the last two dimensions."""
    return _complex_several(input, s, dim, norm, False)


@public(name="fft.rfft2", out=in_rows, takes=_PLANE)
def rfft2(input, s=None, dim=(-2, -1), norm=None):
    """:func:`rfftn` of the last two dimensions."""
    return _half_several("rfftn", input, s, dim, norm, True)


@public(name="fft.irfft2", out=in_rows, takes=_PLANE)
def irfft2(input, s=None, dim=(-2, -1), norm=None):
    """:func:`irfftn` of the last two dimensions."""
    return _real_several("irfftn", input, s, dim, norm, False)


@public(name="fft.hfft2", out=in_rows, takes=_PLANE)
def hfft2(input, s=None, dim=(-2, -1), norm=None):
    """:func:`hfftn` of the last two dimensions."""
    return _real_several("hfftn", input, s, dim, norm, True)


@public(name="fft.ihfft2", out=in_rows, takes=_PLANE)
def ihfft2(input, s=None, dim=(-2, -1), norm=None):
    """:func:`ihfftn` of the last two dimensions."""
    return _half_several("ihfftn", input, s, dim, norm, False)


# ---- frequencies ----


def _shifts(x: Tensor, dim: Any, inverse: bool) -> Any:
    dims = range(x._a.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = [wrap_dim(d, x._a.ndim) for d in dims]
    return x.roll([(x._a.shape[d] + inverse) // 2 for d in dims], dims) if dims else x.clone()


@public(name="fft.fftshift", out=False)
def fftshift(input, dim=None):
    """The spectrum with frequency 0 in the middle.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.fftshift(torch.fft.fftfreq(4))
        tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    return _shifts(input, dim, False)


@public(name="fft.ifftshift", out=False)
def ifftshift(input, dim=None):
    """The inverse of :func:`fftshift`."""
    return _shifts(input, dim, True)


def _frequencies(n: int, d: float, count: int, start: int, options: dict) -> Tensor:
    from rushlight.ops.sequences import arange

    made = arange(count, **options)
    if start < count:
        made[start:] -= n
    return made.mul_(1.0 / (n * d))


def fftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies of the elements of a transform of `n` samples that are `d` apart.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.fftfreq(4)
        tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return _placed(n, d, n, (n + 1) // 2, options)


def rfftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies of the elements of half a spectrum of `n` samples that are `d` apart."""
    return _placed(n, d, n // 2 + 1, n // 2 + 1, options)


def _placed(n: int, d: float, count: int, start: int, options: dict) -> Tensor:
    from rushlight.dtypes import get_default_dtype

    options = dict(options)
    out, grad = options.pop("out", None), options.pop("requires_grad", False)
    if options.get("dtype") is None:
        options["dtype"] = get_default_dtype()
    made = _frequencies(n, d, count, start, options)
    if out is not None:
        return out.resize_(made.shape).copy_(made)
    return made.requires_grad_() if grad else made
