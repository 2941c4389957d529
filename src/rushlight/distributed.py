"""`torch.distributed` as it is in a PyTorch built without it: it says that it is not available."""

from __future__ import annotations

from rushlight import late

__all__ = ["is_available", "is_initialized", "is_torchelastic_launched"]


def is_available() -> bool:
    """Whether processes can compute together: never.

    Example:
        >>> import rushlight as torch
        >>> torch.distributed.get_rank() if torch.distributed.is_available() else 0
        0
    """
    return False


def is_initialized() -> bool:
    """Whether this process belongs to a group: never."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether `torchrun` started this process: it cannot have."""
    return False


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.distributed")
