"""`torch.functional`: functions of `torch` by another name."""

from __future__ import annotations

from rushlight import late
from rushlight.ops.broadcasting import broadcast_tensors
from rushlight.ops.distances import cdist
from rushlight.ops.einsum import einsum
from rushlight.ops.gathering import unravel_index
from rushlight.ops.low_rank import pca_lowrank, svd_lowrank
from rushlight.ops.lu import lu
from rushlight.ops.norms import norm
from rushlight.ops.products import chain_matmul, tensordot
from rushlight.ops.reshaping import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_shapes,
    cartesian_prod,
    meshgrid,
)
from rushlight.ops.searching import unique, unique_consecutive
from rushlight.ops.slicing import split
from rushlight.ops.spectrogram import istft, stft

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "cdist",
    "chain_matmul",
    "einsum",
    "istft",
    "lu",
    "meshgrid",
    "norm",
    "pca_lowrank",
    "split",
    "stft",
    "svd_lowrank",
    "tensordot",
    "unique",
    "unique_consecutive",
    "unravel_index",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.functional")
