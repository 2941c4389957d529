"""DLPack: sharing memory with other libraries through capsules.

NumPy makes and reads the capsules. It has no bfloat16, so tensors of that type pass as uint16, with the type's code in
the capsule's descriptor changed: DLTensor is {data: 8 bytes, device: 8, ndim: 4, dtype: (code: 1, bits: 1, lanes: 2),
...}, at the start of a "dltensor" and 32 bytes into a "dltensor_versioned".
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, expose, new_tensor, storage
from rushlight.device import device as device_of
from rushlight.dtypes import BFLOAT16
from rushlight.ops.construct import from_numpy
from rushlight.tape.node import requires_grad

_CODE_AT = {b"dltensor": 20, b"dltensor_versioned": 32 + 20}
_UINT, _BFLOAT = 1, 4


class DLDeviceType(enum.IntEnum):
    """DLPack's numbers of the kinds of device."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17


# ---- out ----


def dlpack(
    self: Tensor,
    *,
    stream: Any = -1,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """A capsule that shares this tensor's memory.

    Raises:
        BufferError: the tensor requires grad, or shows read-only memory and the consumer could not know.
        TypeError: `stream` is neither None nor an integer.

    Example:
        >>> import numpy as np, rushlight as torch
        >>> np.from_dlpack(torch.ones(2))
        array([1., 1.], dtype=float32)
    """
    if requires_grad(self):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return _capsule(self, stream, max_version, dl_device, copy)


def _capsule(
    self: Tensor, stream: Any = -1, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
) -> Any:
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    if stream is not None and stream != -1:
        raise AssertionError("stream should be None on cpu.")
    if dl_device is not None and tuple(map(int, dl_device)) != (1, 0):
        raise BufferError(
            f"Rushlight holds tensors on the CPU only; device {tuple(map(int, dl_device))} is not available"
        )
    expose(storage(self))
    a = self._a.copy() if copy else self._a
    versioned = max_version is not None and max_version[0] >= 1
    if self._dtype is not BFLOAT16:
        return a.__dlpack__(max_version=max_version) if versioned else a.__dlpack__()
    bits = a.view(np.uint16)
    capsule = bits.__dlpack__(max_version=max_version) if versioned else bits.__dlpack__()
    _code(capsule).value = _BFLOAT
    return capsule


def dlpack_device(self: Tensor) -> tuple[DLDeviceType, int]:
    """Where the memory is, in DLPack's numbers: (kDLCPU, 0)."""
    return DLDeviceType.kDLCPU, 0


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule that shares the tensor's memory; `from_dlpack` reads it, once.

    Example:
        >>> import rushlight as torch
        >>> torch.from_dlpack(torch.utils.dlpack.to_dlpack(torch.ones(2)))
        tensor([1., 1.])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"_to_dlpack(): argument 'data' (position 1) must be Tensor, not {type(tensor).__name__}"
        )
    return _capsule(tensor)  # (whether or not it requires grad, as in PyTorch)


# ---- in ----


class _Producer:
    """A capsule as NumPy wants it: behind a method."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class _Writable:
    """An array's memory, which it keeps, as memory that can be written."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {
            "data": (array.__array_interface__["data"][0], False)
        }


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of any object with `__dlpack__` (a NumPy array, say), or of a capsule.

    Args:
        device: where to put it; only the CPU.
        copy: whether to copy; by default, and for False, memory is shared.

    Raises:
        BufferError: the object cannot be shared: it requires grad, or its elements are none a tensor has.
        RuntimeError: not a capsule, or one that was read before; memory on another device.

    Example:
        >>> import numpy as np, rushlight as torch
        >>> a = np.zeros(2)
        >>> t = torch.from_dlpack(a)
        >>> a[0] = 7
        >>> t
        tensor([7., 0.], dtype=torch.float64)
    """
    if device is not None and device_of(device).type != "cpu":
        raise BufferError(f"Rushlight holds tensors on the CPU only; device '{device}' is not available")
    capsule = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        capsule = _ask(ext_tensor, copy)
    elif copy:
        raise RuntimeError("cannot copy when converting from a capsule; clone() the tensor that it gives")
    name = _name(capsule)
    if name not in _CODE_AT:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            "might have already constructed a tensor from it once."
        )
    code = _code(capsule)
    half = code.value == _BFLOAT
    if half:
        code.value = _UINT
    a = np.from_dlpack(_Producer(capsule))
    if name == b"dltensor":
        # Such a capsule cannot say that memory is read-only: NumPy takes all of it to be, PyTorch none.
        a = np.asarray(_Writable(a))
    if half:
        a = a.view(BFLOAT16.numpy)
        return new_tensor(a, BFLOAT16)
    return from_numpy(a)


def _ask(producer: Any, copy: bool | None) -> Any:
    where = producer.__dlpack_device__()
    if int(where[0]) not in (DLDeviceType.kDLCPU, DLDeviceType.kDLCUDAHost, DLDeviceType.kDLROCMHost):
        raise BufferError(
            f"memory on device {tuple(map(int, where))} cannot be shared: Rushlight uses the CPU only"
        )
    wanted = {} if copy is None else {"copy": copy}
    try:
        return producer.__dlpack__(max_version=(1, 0), **wanted)
    except TypeError:
        return producer.__dlpack__(**wanted)


# ---- capsules ----


def _name(capsule: Any) -> bytes | None:
    """The capsule's name; None for what is no capsule."""
    if type(capsule).__name__ != "PyCapsule":
        return None
    import ctypes  # late: it takes longer to import than a third of Rushlight

    _api = ctypes.pythonapi
    _api.PyCapsule_GetName.restype = ctypes.c_char_p
    _api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    return _api.PyCapsule_GetName(capsule)


def _code(capsule: Any) -> Any:
    """The type code in the capsule's descriptor."""
    import ctypes

    name, _api = _name(capsule), ctypes.pythonapi
    assert name is not None
    _api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    _api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_uint8.from_address(_api.PyCapsule_GetPointer(capsule, name) + _CODE_AT[name])
