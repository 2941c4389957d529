"""`torch.nn.attention`: which of PyTorch's kernels may compute attention. There is one here, whatever is said."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import Any

from rushlight import late
from rushlight.backends.cuda import ATTENTION

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """PyTorch's kernels for `scaled_dot_product_attention`."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    __str__ = enum.Enum.__str__


@contextlib.contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[dict]:
    """A context in which only these kernels may be used, which changes nothing here but what `torch.backends.cuda` answers.

    Raises:
        AssertionError: no `SDPBackend`, and no list of them.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.nn.attention import SDPBackend, sdpa_kernel
        >>> with sdpa_kernel(SDPBackend.MATH):
        ...     torch.backends.cuda.flash_sdp_enabled()
        False
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    chosen = backends if isinstance(backends, list) else [backends]
    before = dict(ATTENTION)
    ATTENTION.update({name: SDPBackend[name] in chosen for name in before})
    try:
        yield {}
    finally:
        ATTENTION.update(before)


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.nn.attention")
