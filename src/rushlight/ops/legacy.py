"""PyTorch's old constructors: `Tensor(2, 3)`, `FloatTensor([1, 2])`, and the names of typed tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor, storage
from rushlight.device import check_device
from rushlight.device import device as device_type
from rushlight.dtypes import dtype
from rushlight.ops.construct import copied, is_sequence
from rushlight.ops.conversion import to
from rushlight.ops.creation import allocate
from rushlight.runtime.execute import alias
from rushlight.size import Size
from rushlight.storage import TypedStorage, UntypedStorage, size_of


def new(cls: type, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    """`Tensor(sizes)`, `Tensor(data)`: sizes give uninitialised memory, data is copied to the default dtype."""
    made = constructed("new", args, device, kwargs, dtypes.get_default_dtype(), any_tensor=True)
    if cls is Tensor:
        return made
    own: Any = object.__new__(cls)
    own._a, own._dtype, own._buf, own._edge = made._a, made._dtype, storage(made), None
    return own


new_method = staticmethod(new)


def constructed(
    name: str, args: tuple, device: Any, kwargs: dict, kind: dtype, any_tensor: bool = False
) -> Tensor:
    """What an old constructor makes of its arguments: sizes or data."""
    if not args and "size" in kwargs:
        args = (Size(kwargs.pop("size")),)
    if kwargs:
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got an unexpected {next(iter(kwargs))}"
        )
    if device is not None and device_type(device).type != "cpu":
        raise RuntimeError(
            f"legacy constructor expects device type: cpu but device type: {device_type(device).type} was passed"
        )
    check_device(device, name)
    if not args:
        return new_tensor(np.empty(0, kind.numpy), kind)
    first = args[0]
    if isinstance(first, Size) and len(args) == 1:
        return new_tensor(allocate(tuple(first), kind), kind)
    if all(type(arg) is int or isinstance(arg, np.integer) for arg in args):
        return new_tensor(allocate(tuple(int(n) for n in args), kind), kind)
    if len(args) > 1:
        kinds = ", ".join(type(arg).__name__ for arg in args)
        raise TypeError(f"{name}() received an invalid combination of arguments - got ({kinds})")
    if isinstance(first, Tensor):
        if device is not None:
            raise RuntimeError(
                "Legacy tensor constructor of the form torch.Tensor(tensor, device=device) is not supported.  Use "
                "torch.tensor(...) or torch.as_tensor(...) instead."
            )
        if first._dtype is not kind and not any_tensor:
            raise TypeError(
                f"expected a tensor of dtype {kind.name} for {name}, but got one of dtype {first._dtype.name}; convert it "
                f"with .to(torch.{kind.name})"
            )
        return alias(first)
    if isinstance(first, (UntypedStorage, TypedStorage)):
        return _on_storage(first, kind)
    if isinstance(first, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
    if not is_sequence(first):
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    return copied(first, kind)


def _on_storage(source: Any, kind: dtype) -> Tensor:
    buffer = (source.untyped() if isinstance(source, TypedStorage) else source)._buffer
    made = new_tensor(np.empty(0, kind.numpy), kind)
    return made.set_(source, 0, (size_of(buffer) // kind.itemsize,))


# ---- typed tensors ----


class tensortype(type):
    """The type of `FloatTensor` and its like: constructors that `isinstance` asks for a dtype."""

    dtype: dtype
    is_cuda = is_sparse = False

    def __call__(cls, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        return constructed(cls.__name__, args, device, kwargs, cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance._dtype is cls.dtype

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


def _typed(kind: dtype) -> Any:
    name = f"{kind.legacy}Tensor"
    made = tensortype(name, (), {"dtype": kind, "__module__": "torch"})
    made.__doc__ = f"Tensors of {kind.name}: `{name}(sizes)`, `{name}(data)`."
    return made


BoolTensor = _typed(dtypes.bool_)
ByteTensor = _typed(dtypes.uint8)
CharTensor = _typed(dtypes.int8)
ShortTensor = _typed(dtypes.int16)
IntTensor = _typed(dtypes.int32)
LongTensor = _typed(dtypes.int64)
HalfTensor = _typed(dtypes.float16)
BFloat16Tensor = _typed(dtypes.BFLOAT16)
FloatTensor = _typed(dtypes.float32)
DoubleTensor = _typed(dtypes.float64)

_TYPED = {
    f"torch.{made.__name__}": made
    for made in (
        BoolTensor, ByteTensor, CharTensor, ShortTensor, IntTensor, LongTensor, HalfTensor, BFloat16Tensor, FloatTensor,
        DoubleTensor,
    )
}  # fmt: skip


def type_name(kind: dtype) -> str:
    return f"torch.{kind.legacy}Tensor"


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
    """The name of the tensor's type, "torch.FloatTensor"; or the tensor as another type (a dtype, name or class)."""
    if dtype is None:
        return type_name(self._dtype)
    return to(self, _named(dtype))


def _named(wanted: Any) -> dtype:
    """The dtype that a dtype, a class like FloatTensor or its name stands for."""
    if isinstance(wanted, dtypes.dtype):
        return wanted
    if isinstance(wanted, tensortype):
        return wanted.dtype
    if wanted is Tensor or wanted == "torch.Tensor":
        return dtypes.get_default_dtype()
    if isinstance(wanted, str):
        if wanted in _TYPED:
            return _TYPED[wanted].dtype
        if wanted.startswith("torch.cuda."):
            raise RuntimeError(
                "Cannot initialize CUDA without ATen_cuda library: Rushlight holds tensors on the CPU only"
            )
        raise ValueError(f"invalid type: '{wanted}'")
    if isinstance(wanted, type):
        raise ValueError(f"invalid type: '{wanted.__name__}'")
    raise TypeError("dtype must be a type, str, or dtype object")


def set_default_tensor_type(t: Any) -> None:
    """Make a typed tensor's dtype the default one; deprecated in favour of `set_default_dtype`."""
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives.",
        stacklevel=2,
    )
    if not isinstance(t, (str, tensortype)) and t is not Tensor:
        raise TypeError("invalid type object")
    dtypes.set_default_dtype(_named(t))


def typename(obj: Any) -> str:
    """The qualified name of an object's type; "torch.FloatTensor" and the like for tensors."""
    if isinstance(obj, Tensor):
        return type_name(obj._dtype)
    kind = obj if isinstance(obj, type) else type(obj)
    module = kind.__module__
    return kind.__qualname__ if module in (None, "builtins") else f"{module}.{kind.__qualname__}"


__all__ = ["tensortype", "type_", "typename"]
