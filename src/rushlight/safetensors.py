"""Tensors in the safetensors format: what `safetensors.torch` has, for Rushlight's tensors.

Needs the `safetensors` library, which writes files and checks those that are read. What is loaded from a file is not read
but mapped: pages come from the disk when they are first looked at, and what is written to a tensor stays in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor, storage
from rushlight.dtypes import dtype
from rushlight.memory import address

__all__ = [
    "load",
    "load_file",
    "load_model",
    "save",
    "save_file",
    "save_model",
    "storage_ptr",
    "storage_size",
]

#: the format's names of types
_KINDS: dict[str, dtype] = {
    "BOOL": dtypes.bool_,
    "U8": dtypes.uint8,
    "U16": dtypes.uint16,
    "U32": dtypes.uint32,
    "U64": dtypes.uint64,
    "I8": dtypes.int8,
    "I16": dtypes.int16,
    "I32": dtypes.int32,
    "I64": dtypes.int64,
    "F16": dtypes.float16,
    "BF16": dtypes.BFLOAT16,
    "F32": dtypes.float32,
    "F64": dtypes.float64,
    "C64": dtypes.complex64,
}


def _library() -> Any:
    """The safetensors library; ImportError that says how to get it."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "rushlight.safetensors needs the safetensors library: pip install 'rushlight[safetensors]'"
        ) from error
    return safetensors


def _kind(name: str, tensor: str) -> dtype:
    found = _KINDS.get(name)
    if found is None:
        raise NotImplementedError(
            f"safetensors: {tensor!r} is of type {name}, which Rushlight does not have; the nearest that it reads are "
            "F16 and BF16"
        )
    return found


# ---- reading ----


def load_file(
    filename: str | os.PathLike[str], device: Any = "cpu", *, backend: str = "mmap"
) -> dict[str, Tensor]:
    """The tensors of a file by name, their memory mapped from it: nothing is read before it is used.

    Writing to a tensor changes neither the file nor what another call loads.

    Args:
        device: must be the CPU.
        backend: "mmap", or "pread" to read everything at once.

    Raises:
        SafetensorError: the file is not in the format (the library's own error).
        NotImplementedError: a type that Rushlight does not have.
    """
    _check_device(device)
    path = os.fspath(filename)
    with _library().safe_open(path, framework="np"):
        pass  # the library has checked the header, and that it describes the whole file
    if os.path.getsize(path) <= 8:
        return {}
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    memory = np.memmap(path, np.uint8, mode="c") if backend == "mmap" else np.fromfile(path, np.uint8)
    header.pop("__metadata__", None)
    entries = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
    return {name: _shown(name, memory[8 + size :], entry) for name, entry in entries}


def _check_device(device: Any) -> None:
    if str(device) != "cpu":
        raise RuntimeError(f"safetensors: device {device!r} is not supported; only 'cpu' is")


def _shown(name: str, data: np.ndarray, entry: dict[str, Any]) -> Tensor:
    """The tensor that a part of the file is; copied only if it does not lie where its type may."""
    kind = _kind(entry["dtype"], name)
    start, stop = entry["data_offsets"]
    part = np.asarray(data[start:stop])
    if start == stop or address(part) % kind.numpy.itemsize:
        part = part.copy()
    return new_tensor(part.view(kind.numpy).reshape(entry["shape"]), kind)


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a file, by name.

    Raises:
        SafetensorError: the bytes are not in the format (the library's own error).
    """
    found = {}
    for name, view in _library().deserialize(data):
        kind = _kind(view["dtype"], name)
        array = np.frombuffer(bytearray(view["data"]), np.uint8).view(kind.numpy)
        found[name] = new_tensor(array.reshape(view["shape"]), kind)
    return found


# ---- writing ----


def save_file(
    tensors: dict[str, Tensor], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors to a file, by name.

    Raises:
        ValueError: something is no tensor, or not contiguous.
        RuntimeError: tensors share memory, which the format cannot say; `save_model` leaves out all but one.
    """
    _library().numpy.save_file(_arrays(tensors), os.fspath(filename), metadata=metadata)


def save(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file that holds these tensors; raises as `save_file`."""
    return _library().numpy.save(_arrays(tensors), metadata=metadata)


def _arrays(tensors: Any) -> dict[str, np.ndarray]:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(t)}")
    shared = [set(names) for names in _sharing(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            "\n            Some tensors share memory, this will lead to duplicate memory on disk and potential differences "
            f"when loading them again: {shared}.\n            A potential way to correctly save your model is to use "
            "`save_model`.\n            More information at "
            "https://huggingface.co/docs/safetensors/torch_shared_tensors\n            "
        )
    return {name: _array(name, t) for name, t in tensors.items()}


def _array(name: str, t: Tensor) -> np.ndarray:
    if not t.is_contiguous():
        raise ValueError(
            f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It either means you are trying "
            "to save tensors which are reference of each other in which case it's recommended to save only the full tensors, "
            "and reslice at load time, or simply call `.contiguous()` on your tensor to pack it before saving."
        )
    if t._dtype not in _KINDS.values():
        nearest = "complex64" if t.is_complex() else "float32"
        raise NotImplementedError(
            f"safetensors: the format has no {t._dtype}, the type of {name!r}; convert it, as to {nearest}"
        )
    return t._a


def _sharing(tensors: dict[str, Tensor]) -> list[list[str]]:
    """The names, in groups whose tensors overlap in memory."""
    areas = []
    for name, t in tensors.items():
        if t._a.size:
            low, high = np.lib.array_utils.byte_bounds(t._a)
            areas.append((low, high, name))
    groups: list[list[str]] = []
    reached = -1
    for low, high, name in sorted(areas):
        if low < reached:
            groups[-1].append(name)
        else:
            groups.append([name])
        reached = max(reached, high)
    return groups


# ---- models ----


def _fills(t: Tensor) -> bool:
    """Whether the tensor is all of its storage."""
    buffer = storage(t)
    buffer.locate()
    return t._a.nbytes == buffer.nbytes


def _left_out(state: dict[str, Tensor], preferred: Iterable[str] = ()) -> dict[str, str]:
    """Names that need not be saved, and the name that stands for each: the first of those that share memory."""
    wanted = set(preferred)
    found = {}
    for names in _sharing(state):
        if len(names) == 1:
            continue
        whole = sorted(name for name in names if _fills(state[name]))
        if not whole:
            raise RuntimeError(
                "Error while trying to find names to remove to save state dict, but found no suitable name to keep for "
                f"saving amongst: {set(names)}. None is covering the entire storage.Refusing to save/load the model since "
                "you could be storing much more memory than needed. Please refer to "
                "https://huggingface.co/docs/safetensors/torch_shared_tensors for more information. Or open an issue."
            )
        kept = next((name for name in whole if name in wanted), whole[0])
        found.update({name: kept for name in sorted(names) if name != kept})
    return found


def save_model(
    model: Any, filename: str, metadata: dict[str, str] | None = None, force_contiguous: bool = True
) -> None:
    """Write a module's parameters and buffers; of several that share memory, one.

    Args:
        force_contiguous: write tensors that are not contiguous as if they were.
    """
    state = dict(model.state_dict())
    notes = dict(metadata or {})
    for name, kept in _left_out(state).items():
        notes.setdefault(name, kept)
        del state[name]
    if force_contiguous:
        state = {name: t.contiguous() for name, t in state.items()}
    save_file(state, filename, notes or None)


def load_model(
    model: Any,
    filename: str | os.PathLike[str],
    strict: bool = True,
    device: Any = "cpu",
    *,
    backend: str = "mmap",
) -> tuple[set[str], list[str]]:
    """Read a module's parameters and buffers; the names that the file lacks, and those that the module does.

    Raises:
        RuntimeError: there are such names, if strict.
    """
    state = load_file(filename, device, backend=backend)
    left_out = _left_out(dict(model.state_dict()), state)
    keys = model.load_state_dict(state, strict=False)
    missing, unexpected = set(keys.missing_keys), list(keys.unexpected_keys)
    for name in left_out:
        if name in missing:
            missing.remove(name)
        else:
            unexpected.append(name)
    if strict and (missing or unexpected):
        raise RuntimeError(_mismatch(model, missing, unexpected))
    return missing, unexpected


def _mismatch(model: Any, missing: set[str], unexpected: list[str]) -> str:
    lines = [f"Error(s) in loading state_dict for {type(model).__name__}:"]
    for what, names in (("Missing", missing), ("Unexpected", unexpected)):
        if names:
            listed = ", ".join(f'"{name}"' for name in sorted(names))
            lines.append(f"    {what} key(s) in state_dict: {listed}")
    return "\n".join(lines)


# ---- memory ----


def storage_ptr(tensor: Tensor) -> int:
    """Where the memory begins that a tensor is a view of.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.safetensors import storage_ptr, storage_size
        >>> x = torch.zeros(4)
        >>> storage_ptr(x[2:]) == storage_ptr(x), storage_size(x[2:])
        (True, 16)
    """
    return tensor.untyped_storage().data_ptr()


def storage_size(tensor: Tensor) -> int:
    """How many bytes that memory has."""
    return tensor.untyped_storage().nbytes()
