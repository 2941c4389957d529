"""`torch.utils.data._utils.collate`: :mod:`rushlight.utils.data.collate` under the name that it has in PyTorch."""

from __future__ import annotations

from rushlight.utils.data.collate import default_collate, default_convert

__all__ = ["default_collate", "default_convert"]
