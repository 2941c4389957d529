"""Tensors on the "meta" device: sizes, strides and a dtype, and no data.

They stand for a model that is not there yet, or need not be: `torch.func.functional_call` gives a module without data the
parameters to run with, and `Module.to_empty` gives it memory. Filling one does nothing; computing with one is refused, where PyTorch
computes the sizes of the result.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rushlight.buffer import LEAF, Tensor, as_plain
from rushlight.device import device
from rushlight.dtypes import FLOATING, dtype, get_default_dtype
from rushlight.layout import contiguous_strides, numel, wrap_dim
from rushlight.nn.parameter import Parameter
from rushlight.size import Size

__all__ = ["Meta", "MetaParameter", "made", "moved", "parameter"]

META = device("meta")
WHOLE = int  # within the class below, `int` is a method


def _no_data(self: Tensor) -> NoReturn:
    raise NotImplementedError(
        "Cannot copy out of meta tensor; no data! Rushlight computes nothing with tensors on the meta device."
    )


def _no_item(self: Tensor, *args: Any) -> NoReturn:
    raise RuntimeError("Tensor.item() cannot be called on meta tensors")


def _unfilled(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Nothing: there is nothing to fill."""
    return self


def _as(name: str) -> Any:
    """`Tensor.float()` and the like."""
    import rushlight

    return lambda self, *args, **kwargs: moved(self, (getattr(rushlight, name),), {})


class Meta(Tensor):
    """A tensor without data: see above."""

    __slots__ = ("sizes", "steps")
    __torch_function__ = staticmethod(as_plain)

    sizes: tuple[WHOLE, ...]
    steps: tuple[WHOLE, ...]

    _a = property(_no_data)
    _buf = property(_no_data)

    # ---- what it is ----

    device = property(lambda self: META)
    is_meta = property(lambda self: True)
    is_cpu = property(lambda self: False)
    shape = property(lambda self: Size(self.sizes))
    ndim = property(lambda self: len(self.sizes))
    nbytes = property(lambda self: numel(self.sizes) * self._dtype.itemsize)
    data = property(lambda self: self.detach())
    dim = ndimension = lambda self: len(self.sizes)
    numel = nelement = lambda self: numel(self.sizes)
    data_ptr = storage_offset = lambda self: 0

    def size(self, dim: WHOLE | None = None) -> Any:
        return Size(self.sizes) if dim is None else self.sizes[wrap_dim(dim, len(self.sizes))]

    def stride(self, dim: WHOLE | None = None) -> Any:
        return self.steps if dim is None else self.steps[wrap_dim(dim, len(self.sizes))]

    def is_contiguous(self, **options: Any) -> Any:
        return self.steps == contiguous_strides(self.sizes)

    def __len__(self) -> WHOLE:
        if not self.sizes:
            raise TypeError("len() of a 0-d tensor")
        return self.sizes[0]

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        facts = ["...", "device='meta'", f"size={tuple(self.sizes)}"]
        if self._dtype is not get_default_dtype():
            facts.append(f"dtype={self._dtype}")
        if self.requires_grad:
            facts.append("requires_grad=True")
        return f"tensor({', '.join(facts)})"

    item = __bool__ = __int__ = __float__ = __complex__ = __index__ = _no_item
    tolist = _no_data

    def numpy(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )

    __array__ = numpy

    # ---- others like it ----

    def to(self, *args: Any, **kwargs: Any) -> Any:
        return moved(self, args, kwargs)

    def cpu(self, *args: Any, **kwargs: Any) -> NoReturn:
        _no_data(self)

    def detach(self) -> Any:
        return _like(self, self._dtype)

    clone = contiguous = lambda self, **options: self.detach()
    float, double, half, bfloat16 = _as("float32"), _as("float64"), _as("float16"), _as("bfloat16")
    long, int, bool = _as("int64"), _as("int32"), _as("bool")

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = self.detach().requires_grad_(self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return made, (self.sizes, self._dtype, self.requires_grad, self.steps)

    # ---- filling ----

    copy_ = fill_ = zero_ = uniform_ = normal_ = bernoulli_ = random_ = exponential_ = trunc_normal_ = (
        _unfilled
    )
    mul_ = add_ = sub_ = div_ = clamp_ = erfinv_ = _unfilled


class MetaParameter(Meta, Parameter):
    """A parameter without data."""

    __slots__ = ()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = parameter(self, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return parameter, (self.detach(), self.requires_grad)


for _kind, _name in ((Meta, "Tensor"), (MetaParameter, "Parameter")):
    _kind.__name__ = _kind.__qualname__ = _name
Meta.__module__ = "rushlight"


# ---- making ----


def _filled(t: Any, sizes: tuple, steps: tuple, kind: dtype, requires: bool) -> Any:
    t.sizes, t.steps, t._dtype, t._edge = tuple(sizes), tuple(steps), kind, LEAF if requires else None
    return t


def made(sizes: tuple, kind: dtype, requires_grad: bool = False, steps: tuple | None = None) -> Meta:
    """A tensor without data of these sizes."""
    if requires_grad and kind.category < FLOATING:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    steps = contiguous_strides(sizes) if steps is None else steps
    return _filled(object.__new__(Meta), sizes, steps, kind, requires_grad)


def parameter(data: Any, requires_grad: bool) -> MetaParameter:
    """`Parameter(data)`."""
    if requires_grad and data._dtype.category < FLOATING:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return _filled(object.__new__(MetaParameter), data.sizes, data.steps, data._dtype, requires_grad)


def _like(t: Tensor, kind: dtype) -> Meta:
    return made(tuple(t.shape), kind, False, tuple(t.stride()))


def moved(t: Tensor, args: tuple, kwargs: dict) -> Any:
    """`t.to(*args, **kwargs)`, where `t` or the place is without data.

    Raises:
        NotImplementedError: the place has data.
    """
    kind, place = kwargs.get("dtype"), kwargs.get("device")
    for value in args:
        if isinstance(value, Tensor):
            kind, place = value._dtype, value.device
        elif isinstance(value, dtype):
            kind = value
        elif isinstance(value, (str, device)):
            place = value
    if place is not None and device(place).type != "meta":
        _no_data(t)
    kind = kind or t._dtype
    return t if isinstance(t, Meta) and kind is t._dtype else _like(t, kind)
