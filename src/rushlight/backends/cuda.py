"""`torch.backends.cuda`: switches that programs set; without a GPU they change nothing."""

from __future__ import annotations

__all__ = ["is_built", "matmul"]


class _Products:
    """How a GPU would multiply matrices."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Products()


def is_built() -> bool:
    """Whether this library knows CUDA: no."""
    return False
