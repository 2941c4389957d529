"""`torch.distributed.nn`: collectives through which gradients pass."""

from __future__ import annotations

from rushlight import late

_PLACES = {
    "functional": "all_gather all_reduce all_to_all all_to_all_single broadcast gather reduce reduce_scatter scatter",
}

#: names that PyTorch has and this package lacks are said to be missing
__getattr__, __dir__ = late.names("rushlight.distributed.nn", _PLACES, modules="functional")

__all__ = late.listed(_PLACES)
