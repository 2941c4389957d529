"""Complex numbers: their parts, as pairs of real ones, conjugates, directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, shown, storage, strides
from rushlight.buffer import offset as offset_of
from rushlight.dtypes import ALL, BY_NUMPY, COMPLEX, complex32, dtype, float16, float32, float64
from rushlight.layout import broadcast
from rushlight.ops.kinds.elementwise import floating, in_order, same_out, unary
from rushlight.ops.promotion import check_tensors
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime import execute
from rushlight.tape.derivative import Derivative
from rushlight.tape.recording import record
from rushlight.tape.writes import TURNS


def _nothing(d: dtype) -> tuple[dtype, dtype]:
    return d, d


_conjugated = unary(
    "conj_physical",
    numpy=lambda x: np.conjugate(x) if x.dtype.kind == "c" else x.copy("K"),
    dtype=_nothing,
    vjp=lambda g: g.conj(),
)

_conjugate = unary("conj", numpy=np.conjugate, dtype=_nothing, vjp=lambda g: g.conj())
_COMPLEX = [d.category == COMPLEX for d in ALL]


def conj(input: Tensor) -> Tensor:
    """The complex conjugate; `input` itself if it is real.

    Example:
        >>> import rushlight as torch
        >>> torch.conj(torch.tensor([1 + 2j]))
        tensor([1.-2.j])
    """
    return _conjugate.method(input) if _COMPLEX[input._dtype.index] else input


@public(check=same_out)
def conj_physical(input):
    """The complex conjugate; `input` itself if it is real.

    Example:
        >>> import rushlight as torch
        >>> torch.conj_physical(torch.tensor([1 + 2j]))
        tensor([1.-2.j])
    """
    return _conjugated.method(input) if _COMPLEX[input._dtype.index] else input


# ---- parts, as views ----


def _part(name: str) -> Any:
    """`real` or `imag`: PyTorch records them as a selection from `view_as_real`."""

    def gradient(g: Any) -> Any:
        zeros = g.new_zeros(g.shape)
        return complex(g, zeros) if name == "real" else complex(zeros, g)

    derivative = Derivative("Select", ("x",), (gradient,))

    def part(input: Tensor) -> Tensor:
        a = (
            input._a[name]
            if input._dtype is complex32
            else input._a.real
            if name == "real"
            else input._a.imag
        )
        out = execute.view(input, a, None, None)
        out._dtype = input._dtype.to_real()
        if input._edge is not None:
            record(derivative, (input,), None, out)
        return out

    return part


_real, _imag = _part("real"), _part("imag")


def real(input: Tensor) -> Tensor:
    """The real parts, showing the same memory; `input` itself if it is real.

    Example:
        >>> import rushlight as torch
        >>> torch.real(torch.tensor([1 + 2j]))
        tensor([1.])
    """
    return _real(input) if _COMPLEX[input._dtype.index] else input


def imag(input: Tensor) -> Tensor:
    """The imaginary parts, showing the same memory; RuntimeError for real tensors.

    Example:
        >>> import rushlight as torch
        >>> torch.imag(torch.tensor([1 + 2j]))
        tensor([2.])
    """
    if not _COMPLEX[input._dtype.index]:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _imag(input)


def _get_real(self: Tensor) -> Tensor:
    return real(self)


def _get_imag(self: Tensor) -> Tensor:
    return imag(self)


def _set_real(self: Tensor, value: Any) -> None:
    real(self).copy_(value)


def _set_imag(self: Tensor, value: Any) -> None:
    imag(self).copy_(value)


real_property = property(_get_real, _set_real, doc="The real parts, as a view.")
imag_property = property(_get_imag, _set_imag, doc="The imaginary parts, as a view.")


def _checked(function: Any) -> Any:
    """The function as `torch` has it, which says what it was given instead of a tensor."""
    made = public(out=False)(function)
    made.__module__ = "rushlight"
    return made


conj_function, real_function, imag_function = _checked(conj), _checked(real), _checked(imag)


# ---- complex numbers as pairs of real ones ----

_AS_REAL = Derivative("ViewAsReal", ("x",), (lambda g: view_as_complex(g.contiguous()),))
_AS_COMPLEX = Derivative("ViewAsComplex", ("x",), (lambda g: view_as_real(g.resolve_conj()),))


def _reread(t: Tensor, kind: dtype, shape: tuple, steps: tuple, at: int, derivative: Derivative) -> Tensor:
    out = execute.view(t, shown(storage(t), kind.numpy, shape, steps, at), None, None)
    out._dtype = kind
    out._edge.replayed = derivative.node.__name__
    record(derivative, (t,), None, out)
    return out


@public(out=False)
def view_as_real(input):
    """A complex tensor as a real one on the same memory, with a last dimension of real and imaginary part.

    Raises:
        RuntimeError: the tensor is not complex.

    Example:
        >>> import rushlight as torch
        >>> torch.view_as_real(torch.tensor([1 + 2j]))
        tensor([[1., 2.]])
    """
    if input._dtype.category != COMPLEX:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    steps = tuple([2 * step for step in strides(input)])
    at = 2 * offset_of(input)
    return _reread(input, input._dtype.to_real(), (*input._a.shape, 2), (*steps, 1), at, _AS_REAL)


@public(out=False)
def view_as_complex(input):
    """A real tensor whose last dimension is (real, imaginary), as a complex one on the same memory.

    Raises:
        RuntimeError: another type than half, float or double, a last dimension that does not hold pairs
            side by side, or other strides or an offset that are odd.

    Example:
        >>> import rushlight as torch
        >>> torch.view_as_complex(torch.tensor([[1.0, 2.0]]))
        tensor([1.+2.j])
    """
    if input._dtype.name not in ("float32", "float64", "float16"):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{input._dtype.legacy}"
        )
    shape, steps, at = input._a.shape, strides(input), offset_of(input)
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if steps[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(step % 2 for step in steps[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if at % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    halves = tuple([step // 2 for step in steps[:-1]])
    return _reread(input, input._dtype.to_complex(), shape[:-1], halves, at // 2, _AS_COMPLEX)


TURNS[1], TURNS[-1] = view_as_real, view_as_complex

# ---- direction ----


def _real_result(d: dtype) -> tuple[dtype, dtype]:
    d = floating(d)[0]
    return d, d.to_real() if d.category == COMPLEX else d


def _angles(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return np.arctan2(x.imag.astype("d"), x.real.astype("d")).astype(x.real.dtype)
    return np.where(np.isnan(x), x, np.where(x < 0, x.dtype.type(np.pi), x.dtype.type(0)))


def _angle_gradient(g: Any, x: Any) -> Any:
    if not x.is_complex():
        return g.new_zeros(g.shape)
    return (g * x / x.abs().square() * 1j).masked_fill(x == 0, 0)


angle = unary(
    "angle",
    numpy=_angles,
    dtype=_real_result,
    vjp=_angle_gradient,
    doc="""The angle of complex numbers in radians; pi for negative real ones, else 0.""",
)


# ---- making complex numbers ----


def _check_parts(name: str, x: Any, y: Any, first: str, second: str) -> None:
    check_tensors(name, **{first: x, second: y})
    if x._dtype not in (float16, float32, float64) or y._dtype not in (float16, float32, float64):
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {x._dtype.legacy} and {y._dtype.legacy}"
        )
    if x._dtype is not y._dtype:
        raise RuntimeError(
            f"Expected object of scalar type {x._dtype.legacy} but got scalar type {y._dtype.legacy} for second argument"
        )
    broadcast(x._a.shape, y._a.shape)


@primitive("Complex", vjp=(lambda g: g.real, lambda g: g.imag))
def complex_parts(x, y):
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), BY_NUMPY[x.dtype].to_complex().numpy)
    if out.dtype.names:
        out["real"], out["imag"] = x, y
    else:
        out.real, out.imag = x, y
    return in_order(out, x, y)


@primitive("Polar", vjp=lambda g, y, out: _polar_gradient(g, out, y))
def polar_parts(x, y):
    if x.dtype.char == "e":
        raise NotImplementedError("\"polar_cpu\" not implemented for 'Half'")
    wide = x.astype("d"), y.astype("d")
    out = np.empty(
        np.broadcast_shapes(x.shape, y.shape), np.complex64 if x.dtype.char == "f" else np.complex128
    )
    out.real, out.imag = wide[0] * np.cos(wide[1]), wide[0] * np.sin(wide[1])
    return in_order(out, x, y)


def _polar_gradient(g: Any, out: Any, y: Any) -> tuple:
    """With out = r e^(iy): dr = Re(conj(g) e^(iy)), dy = Re(conj(g) i out)."""
    direction = complex(y.cos(), y.sin())
    return (g.conj() * direction).real, (g.conj() * out * 1j).real


def _parts_out(out: Tensor, result: Tensor, inputs: list) -> None:
    if out._dtype is not result._dtype:
        raise RuntimeError(
            f"Expected object of scalar type {result._dtype.legacy} but got scalar type {out._dtype.legacy} for "
            "argument 'out'"
        )


@public(check=_parts_out)
def complex(real, imag):
    """Complex numbers from their parts, which must be of one type, float32 or float64.

    Example:
        >>> import rushlight as torch
        >>> torch.complex(torch.tensor([1.0]), torch.tensor([2.0]))
        tensor([1.+2.j])
    """
    _check_parts("complex", real, imag, "real", "imag")
    return complex_parts(real, imag)


@public(check=_parts_out)
def polar(abs, angle):
    """Complex numbers from their sizes and angles (radians).

    Example:
        >>> import rushlight as torch
        >>> torch.polar(torch.tensor([2.0]), torch.tensor([0.0]))
        tensor([2.+0.j])
    """
    _check_parts("polar", abs, angle, "abs", "angle")
    return polar_parts(abs, angle)


def resolve_conj(input: Tensor) -> Tensor:
    """`input` itself: conjugates are computed when they are made."""
    return as_tensor(input, "resolve_conj", "input", 1)


def resolve_neg(input: Tensor) -> Tensor:
    """`input` itself: negatives are computed when they are made."""
    return as_tensor(input, "resolve_neg", "input", 1)


def is_conj(input: Tensor) -> bool:
    """False: conjugates are computed when they are made, so no tensor waits to be conjugated."""
    return False


def is_neg(input: Tensor) -> bool:
    """False: negatives are computed when they are made."""
    return False
