"""`torch.utils.dlpack`: sharing memory with other libraries."""

from rushlight.interop.dlpack import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
