"""Tensors on files: `torch.from_file`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.device import check_device
from rushlight.dtypes import get_default_dtype
from rushlight.ops.construct import from_numpy

__all__ = ["from_file"]


def from_file(
    filename: str,
    shared: bool | None = None,
    size: int | None = 0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """The first `size` elements of a file, mapped into memory.

    Args:
        shared: whether what is written to the tensor is written to the file, and seen by others who map it. Then a file that is
            missing is made, and one that is too short is extended.

    Raises:
        RuntimeError: there is no such file, or it is too short, and it is not shared.

    Example:
        >>> import os, tempfile, numpy as np, rushlight as torch
        >>> name = os.path.join(tempfile.mkdtemp(), "numbers")
        >>> np.arange(3.0).tofile(name)
        >>> torch.from_file(name, size=2, dtype=torch.float64)
        tensor([0., 1.], dtype=torch.float64)
    """
    check_device(device, "from_file")
    kind = get_default_dtype() if dtype is None else dtype
    count, name = size or 0, os.fspath(filename)
    nbytes = count * kind.itemsize
    if nbytes < 0:
        raise RuntimeError(f"unable to mmap {nbytes} bytes from file <{name}>: Cannot allocate memory (12)")
    try:
        held = os.path.getsize(name)
    except OSError as error:
        if not shared:
            raise RuntimeError(
                f"unable to open file <{name}> in read-only mode: {error.strerror} ({error.errno})"
            ) from None
        held = None
    if held is not None and held < nbytes and not shared:
        raise RuntimeError(
            f"file <{name}> size <{held}> is smaller than the required mapping size <{nbytes}>"
        )
    if not count:
        found = np.empty(0, kind.numpy)
    else:
        mode: Any = "c" if not shared else "w+" if held is None else "r+"
        found = np.asarray(np.memmap(name, kind.numpy, mode, shape=(count,)))
    made = from_numpy(found)
    return made.requires_grad_() if requires_grad else made
