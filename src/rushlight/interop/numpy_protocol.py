"""NumPy's protocols: how `np.asarray(t)`, `np.sin(t)` and `array + t` see a tensor.

As in PyTorch: a function of NumPy's computes on the tensor's array and, if it wraps results at all (ufuncs,
`np.cumsum`), gives a tensor on the result's memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.ops.construct import from_numpy
from rushlight.ops.values import numpy

#: above an array's, so that `array + t` is asked of the tensor first
PRIORITY = 1000


def array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """The elements as a NumPy array: on the same memory unless another dtype or a copy is asked for.

    Raises:
        RuntimeError: the tensor requires grad.
        TypeError: bfloat16, which NumPy does not have.
        ValueError: `copy` is False but a copy is needed.

    Example:
        >>> import numpy as np, rushlight as torch
        >>> t = torch.zeros(2)
        >>> np.asarray(t)[0] = 5
        >>> t
        tensor([5., 0.])
    """
    shown = numpy(self)
    if dtype is None:
        return shown.copy() if copy else shown
    kind = np.dtype(dtype)
    if copy is False and kind != shown.dtype:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return shown.astype(kind, copy=bool(copy))


def array_wrap(self: Tensor, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What a NumPy function gives for a tensor: a tensor on the result's memory; uint8 for bool."""
    if array.dtype == bool:
        array = array.astype(np.uint8)
    return from_numpy(np.asarray(array))
