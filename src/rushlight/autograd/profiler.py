"""`torch.autograd.profiler`: the older names of `torch.profiler`."""

from __future__ import annotations

from typing import Any

from rushlight import late

__all__ = ["profile", "record_function"]

_profiler: Any = late.load("rushlight.profiler")  # by name: an import statement would run against the layers
record_function = _profiler.record_function


class profile(_profiler.profile):
    """:class:`torch.profiler.profile`; a context that notes nothing if it is not `enabled`.

    Example:
        >>> import rushlight as torch
        >>> with torch.autograd.profiler.profile() as p:
        ...     with torch.autograd.profiler.record_function("nothing"):
        ...         pass
        >>> p.key_averages()[0].key
        'nothing'
    """

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.enabled = enabled

    def start(self) -> None:
        """Begin, if it is enabled."""
        if self.enabled:
            super().start()

    def table(self, *args: Any, **kwargs: Any) -> str:
        """The table of `key_averages()`."""
        return self.key_averages().table(*args, **kwargs)


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.autograd.profiler")
