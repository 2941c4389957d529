"""What each operation is: types, shapes, NumPy meaning and derivative. Knows no target."""

from __future__ import annotations

from typing import Any


def load_library(path: Any) -> None:
    """`torch.ops.load_library`: operations of a compiled library, which are made for PyTorch's own tensors and cannot be loaded.

    Raises:
        OSError: always, as where a library does not fit, so that those who can do without it go on.
    """
    raise OSError(
        f"Could not load this library: {path} (Rushlight loads no compiled operations; "
        "torch.library.custom_op makes some of Python functions)"
    )


def __getattr__(name: str) -> Any:
    from rushlight import late

    if name.startswith("_") or not late.load("rushlight.namespaces").is_known(name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return late.load("rushlight.namespaces").Namespace(name)
