"""`torch.cpu`: what `torch.cuda` says of GPUs, of the CPU. Work on it is done when a call returns, so streams are empty words."""

from __future__ import annotations

from typing import Any

from rushlight import late

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


def is_available() -> bool:
    """Whether there is a CPU: always.

    Example:
        >>> import rushlight as torch
        >>> torch.cpu.is_available(), torch.cpu.device_count(), torch.cpu.current_device()
        (True, 1, 'cpu')
    """
    return True


def is_initialized() -> bool:
    """Whether it is in use: always."""
    return True


def device_count() -> int:
    """How many devices the CPU counts as: one."""
    return 1


def current_device() -> str:
    """The device in use: "cpu"."""
    return "cpu"


def set_device(device: Any) -> None:
    """Use another device, of which there is none."""


def synchronize(device: Any = None) -> None:
    """Wait until all work is done, as it is."""


class Stream:
    """Work that is done in order; on the CPU, all of it is."""

    def __init__(self, priority: int = -1) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        """Wait for another stream's work, which is done."""

    def record_event(self) -> None:
        """Note the present point, to which nobody need come back."""

    def wait_event(self, event: Any) -> None:
        """Wait for such a point, which is passed."""


class Event:
    """A point in a stream."""

    def query(self) -> bool:
        """Whether it is passed: always."""
        return True

    def record(self, stream: Any = None) -> None:
        """Be the present point."""

    def synchronize(self) -> None:
        """Wait until it is passed, as it is."""

    def wait(self, stream: Any = None) -> None:
        """Let a stream wait for it, which need not."""


_CURRENT = Stream()


class StreamContext:
    """A context in which a stream is the current one."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        global _CURRENT
        self._before = _CURRENT
        _CURRENT = self.stream or _CURRENT

    def __exit__(self, *error: Any) -> None:
        global _CURRENT
        _CURRENT = self._before


def stream(stream: Stream) -> StreamContext:
    """A context in which this stream is the current one."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream in use."""
    return _CURRENT


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.cpu")
