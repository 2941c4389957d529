"""`torch.cuda` as it is in PyTorch without CUDA: it says that there is none, and what needs a GPU raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from rushlight import late

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "OutOfMemoryError",
    "amp",
    "current_device",
    "current_stream",
    "default_generators",
    "default_stream",
    "device",
    "device_count",
    "empty_cache",
    "get_arch_list",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_gencode_flags",
    "get_rng_state",
    "get_rng_state_all",
    "get_sync_debug_mode",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_current_stream_capturing",
    "is_initialized",
    "is_tf32_supported",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "set_sync_debug_mode",
    "stream",
    "synchronize",
]

_PLACES = {
    "old_types": (
        "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor"
    ),
    "old_memory": (
        "max_memory_cached memory_cached memory_snapshot memory_summary reset_accumulated_memory_stats "
        "reset_max_memory_allocated reset_max_memory_cached"
    ),
}

#: read when it is first asked for
__getattr__, __dir__ = late.names("rushlight.cuda", _PLACES, modules="amp nvtx")


class OutOfMemoryError(RuntimeError):
    """The memory of a GPU is used up; programs catch it, and nothing raises it."""


def is_available() -> bool:
    """Whether tensors can live on a GPU: never.

    Example:
        >>> import rushlight as torch
        >>> "cuda" if torch.cuda.is_available() else "cpu"
        'cpu'
    """
    return False


def device_count() -> int:
    """How many GPUs there are: none."""
    return 0


def is_initialized() -> bool:
    """Whether a GPU has been used: never."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU knows bfloat16: there is no GPU."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator, were there one; the CPU's is left as it is."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs, of which there are none."""
    int(seed)


def seed() -> None:
    """Seed the GPU's generator at random, were there one."""


def seed_all() -> None:
    """Seed the generators of all GPUs at random, of which there are none."""


def empty_cache() -> None:
    """Give back a GPU's unused memory; nothing here. (The pool of this process is `rushlight.memory`'s.)"""


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU's memory in use: 0."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of a GPU's memory that were in use: 0."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """Bytes of a GPU's memory that are kept: 0."""
    return 0


# ---- lists of what GPUs have: empty ----


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes of a GPU's memory that were kept: 0."""
    return 0


def is_current_stream_capturing() -> bool:
    """Whether what a GPU is told is being written down: never."""
    return False


#: the generators of all GPUs
default_generators: tuple = ()


def memory_stats(device: Any = None) -> dict[str, Any]:
    """How a GPU's memory is used: nothing to tell."""
    return {}


def get_arch_list() -> list[str]:
    """The kinds of GPU that this library was built for: none."""
    return []


def get_gencode_flags() -> str:
    """How it was built for them: not at all."""
    return ""


def is_tf32_supported() -> bool:
    """Whether the GPU knows TF32: there is no GPU."""
    return False


def get_rng_state_all() -> list:
    """The states of all GPUs' generators, of which there are none."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Go on from the states of all GPUs' generators, of which there are none."""


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Go on from the state of a GPU's generator, were there one."""


def set_stream(stream: Any) -> None:
    """Use another stream of work; nothing, as there is none."""


class StreamContext:
    """A context in which a stream is the current one; of no effect, as there is none."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        pass


def stream(stream: Any) -> StreamContext:
    """A context in which this stream is the current one; of no effect, as there is none."""
    return StreamContext(stream)


class device:
    """A context in which another GPU is in use; RuntimeError when it is entered with one, as there is none."""

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None else device

    def __enter__(self) -> None:
        if self.idx != -1:
            raise RuntimeError("PyTorch was compiled without CUDA support")

    def __exit__(self, *error: Any) -> None:
        pass


class Stream:
    """A GPU's stream of work; RuntimeError, as there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class Event:
    """A point in a stream; RuntimeError, as there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("Tried to instantiate dummy base class Event")


# ---- what needs a GPU ----


def _needs_gpu(name: str, does: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("Torch not compiled with CUDA enabled")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"{does}; AssertionError, as there is none."
    return refuse


init = _needs_gpu("init", "Prepare the GPU")
synchronize = _needs_gpu("synchronize", "Wait for a GPU")
current_device = _needs_gpu("current_device", "The number of the GPU in use")
set_device = _needs_gpu("set_device", "Use another GPU")
get_device_name = _needs_gpu("get_device_name", "A GPU's name")
get_device_properties = _needs_gpu("get_device_properties", "What a GPU is")
get_device_capability = _needs_gpu("get_device_capability", "What a GPU can do")
current_stream = _needs_gpu("current_stream", "A GPU's stream of work that is in use")
default_stream = _needs_gpu("default_stream", "A GPU's first stream of work")
initial_seed = _needs_gpu("initial_seed", "The seed of a GPU's generator")
get_rng_state = _needs_gpu("get_rng_state", "The state of a GPU's generator")
mem_get_info = _needs_gpu("mem_get_info", "A GPU's free and whole memory")
ipc_collect = _needs_gpu("ipc_collect", "Give back memory that was shared with other processes")
set_per_process_memory_fraction = _needs_gpu(
    "set_per_process_memory_fraction", "Limit the memory of this process on a GPU"
)
set_sync_debug_mode = _needs_gpu("set_sync_debug_mode", "Say what becomes of waits for a GPU")
get_sync_debug_mode = _needs_gpu("get_sync_debug_mode", "What becomes of waits for a GPU")
reset_peak_memory_stats = _needs_gpu("reset_peak_memory_stats", "Measure the most bytes anew")
