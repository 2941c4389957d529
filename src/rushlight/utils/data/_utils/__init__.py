"""`torch.utils.data._utils`: where PyTorch keeps what makes batches; programs with a collation of their own import it from there."""

from __future__ import annotations

from rushlight.utils.data._utils import collate

__all__ = ["collate"]
