"""`torch.backends.cuda`: switches that programs set; without a GPU they change nothing."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator

__all__ = [
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "is_built",
    "is_flash_attention_available",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "sdp_kernel",
]


class _Products:
    """How a GPU would multiply matrices."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Products()


def is_built() -> bool:
    """Whether this library knows CUDA: no."""
    return False


# ---- which kernels may compute attention: there is one here, whatever is said ----

#: what is allowed, by the names that `nn.attention.SDPBackend` has for it
ATTENTION = {
    "FLASH_ATTENTION": True,
    "EFFICIENT_ATTENTION": True,
    "MATH": True,
    "CUDNN_ATTENTION": True,
}


def _switch(kind: str, name: str) -> tuple[Callable[[], bool], Callable[[bool], None]]:
    """The functions that tell and set whether one is allowed."""

    def allowed() -> bool:
        return ATTENTION[kind]

    def allow(enabled: bool) -> None:
        ATTENTION[kind] = bool(enabled)

    for made, called in ((allowed, f"{name}_sdp_enabled"), (allow, f"enable_{name}_sdp")):
        made.__name__ = made.__qualname__ = called
    allowed.__doc__ = f"Whether a GPU's {name} attention may be used."
    allow.__doc__ = f"Say whether a GPU's {name} attention may be used."
    return allowed, allow


flash_sdp_enabled, enable_flash_sdp = _switch("FLASH_ATTENTION", "flash")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = _switch("EFFICIENT_ATTENTION", "mem_efficient")
math_sdp_enabled, enable_math_sdp = _switch("MATH", "math")
cudnn_sdp_enabled, enable_cudnn_sdp = _switch("CUDNN_ATTENTION", "cudnn")


def is_flash_attention_available() -> bool:
    """Whether there is a GPU's flash attention: no."""
    return False


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[dict]:
    """A context in which only these kernels may be used: the older form of `torch.nn.attention.sdpa_kernel`."""
    warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager will be removed. Please "
        "see `torch.nn.attention.sdpa_kernel()` for the new context manager, with updated signature.",
        FutureWarning,
        stacklevel=3,
    )
    before = dict(ATTENTION)
    ATTENTION.update(
        FLASH_ATTENTION=enable_flash,
        EFFICIENT_ATTENTION=enable_mem_efficient,
        MATH=enable_math,
        CUDNN_ATTENTION=enable_cudnn,
    )
    try:
        yield {}
    finally:
        ATTENTION.update(before)
