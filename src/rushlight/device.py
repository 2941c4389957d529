"""Where tensors live, and how their memory may be ordered: `device`, `layout`, `memory_format`."""

from __future__ import annotations

from typing import Any

#: the kinds of device PyTorch knows by name; memory is only ever had on the first
_KINDS = (
    "cpu cuda ipu xpu mkldnn opengl opencl ideep hip ve fpga maia xla lazy vulkan mps meta hpu mtia privateuseone"
).split()


class device:
    """A place for tensors: `device("cpu")`, `device("cpu", 0)`. Only the CPU holds memory.

    Raises:
        RuntimeError: the string names no device.

    Example:
        >>> import rushlight as torch
        >>> torch.device("cpu"), torch.ones(1).device == torch.device("cpu")
        (device(type='cpu'), True)
    """

    __slots__ = ("type", "index")
    type: str
    index: int | None

    def __new__(cls, type: Any = None, index: int | None = None) -> device:
        if isinstance(type, device):
            return type
        if isinstance(type, int) and not isinstance(type, bool) and index is None:
            _checked(type)
            raise RuntimeError("Cannot access accelerator device when none is available.")
        if not isinstance(type, str):
            given = "" if type is None else type.__class__.__name__
            raise TypeError(
                f"device() received an invalid combination of arguments - got ({given}), but expected one of:\n * "
                "(torch.device device)\n * (str type, int index = -1)"
            )
        if not type:
            raise RuntimeError("Device string must not be empty")
        name, found = _parse(type)
        if index is not None and found is not None:
            raise RuntimeError(
                f"type (string) must not include an index because index was passed explicitly: {type}"
            )
        made = object.__new__(cls)
        object.__setattr__(made, "type", name)
        object.__setattr__(made, "index", found if index is None else _checked(index))
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"attribute '{name}' of 'torch.device' objects is not writable")

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __repr__(self) -> str:
        at = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{at})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self) -> tuple:
        return device, (self.type,) if self.index is None else (self.type, self.index)

    def __enter__(self) -> device:
        """Make tensors here, unless their factory is told where; what cannot be made here is refused."""
        _BLOCKS.append(ELSEWHERE.place)
        ELSEWHERE.place = None if self.type == "cpu" else self
        return self

    def __exit__(self, *error: Any) -> None:
        ELSEWHERE.place = _BLOCKS.pop()


class _Elsewhere:
    """Where factories are to make tensors that are not told where, if it is not the CPU."""

    place: device | None = None


ELSEWHERE = _Elsewhere()
#: what it was before the blocks that are entered
_BLOCKS: list[device | None] = []


def _parse(text: str) -> tuple[str, int | None]:
    name, colon, digits = text.partition(":")
    if name not in _KINDS:
        if not name or not all(c.isalpha() or c == "_" for c in name):
            raise RuntimeError(f"Invalid device string: '{text}'")
        raise RuntimeError(
            f"Expected one of {', '.join(_KINDS)} device type at start of device string: {name}"
        )
    if not colon:
        return name, None
    if not digits.isascii() or not digits.isdigit() or len(digits) > 1 and digits[0] == "0":
        raise RuntimeError(f"Invalid device string: '{text}'")
    return name, _checked(int(digits))


def _checked(index: int) -> int:
    if index < 0:
        raise RuntimeError("Device index must not be negative")
    if index > 127:
        raise RuntimeError(f"Device index must be between 0 and 127, got {index}")
    return index


class MetaAsked(RuntimeError):
    """A tensor without data is asked for, of something that makes none; see `rushlight.meta`."""


def _no_accelerator(kind: str) -> None:
    if kind == "meta":
        raise MetaAsked("only tensors, modules and the usual factories know the meta device here")
    if kind == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    raise RuntimeError(f"Rushlight holds tensors on the CPU only; device '{kind}' is not available")


_device = device


def check_device(value: Any, operation: str = "") -> None:
    """Accept what means the CPU (None, "cpu", a device); raise for other places as PyTorch without them does."""
    if value is None or value is CPU:
        return
    found = device(value) if isinstance(value, (str, device, int)) else None
    if found is None:
        raise TypeError(
            f"{operation}(): argument 'device' must be torch.device, not {value.__class__.__name__}"
        )
    if found.type != "cpu":
        _no_accelerator(found.type)


CPU = device("cpu")


# ---- the default device ----

_default: device | None = None


def get_default_device() -> device:
    """Where factories make tensors."""
    return ELSEWHERE.place or _default or CPU


def set_default_device(device: Any) -> None:
    """Say where factories make tensors: on the CPU, or on the meta device, which holds none of their data."""
    global _default
    chosen = None if device is None else _device(device)
    if chosen is not None and chosen.type not in ("cpu", "meta"):
        _no_accelerator(chosen.type)
    _default = chosen
    ELSEWHERE.place = chosen if chosen is not None and chosen.type == "meta" else None


class layout:
    """How the elements are stored; every tensor here is `strided`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple:
        return layout_by_name, (self.name,)


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
_LAYOUTS = {made.name: made for made in (strided, sparse_coo, sparse_csr)}


def layout_by_name(name: str) -> layout:
    return _LAYOUTS[name]


def check_layout(value: Any, operation: str = "") -> None:
    if value is None or value is strided:
        return
    if not isinstance(value, layout):
        raise TypeError(f"{operation}(): argument 'layout' must be torch.layout, not {type(value).__name__}")
    raise NotImplementedError(f"{operation}: Rushlight's tensors are strided; {value!r} is not available")


class memory_format:
    """The order of dimensions in memory: `contiguous_format`, `preserve_format`, `channels_last`, `channels_last_3d`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple:
        return format_by_name, (self.name,)


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
_FORMATS = {made.name: made for made in (contiguous_format, preserve_format, channels_last, channels_last_3d)}


def format_by_name(name: str) -> memory_format:
    return _FORMATS[name]
