"""`torch.utils.model_zoo`: the old name of what `torch.hub` does with files of weights."""

from __future__ import annotations

from typing import Any

from rushlight import hub
from rushlight.hub import load_state_dict_from_url

load_url = load_state_dict_from_url

__all__ = ["load_url"]


def __getattr__(name: str) -> Any:
    return getattr(hub, name)
