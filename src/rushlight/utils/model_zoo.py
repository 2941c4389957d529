"""`torch.utils.model_zoo`: the old name of what `torch.hub` does with files of weights."""

from __future__ import annotations

from rushlight.hub import load_state_dict_from_url

load_url = load_state_dict_from_url

__all__ = ["load_url"]
