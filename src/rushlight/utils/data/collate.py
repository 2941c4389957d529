"""Samples made a batch: tensors stacked, numbers made tensors, and so on inside lists, tuples and dicts."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import rushlight
from rushlight.buffer import Tensor

__all__ = ["default_collate", "default_convert"]

_WRONG = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def _plain_array(value: Any) -> bool:
    """Whether a NumPy array (or scalar) holds what tensors can hold."""
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "SUOV"


def default_convert(data: Any) -> Any:
    """NumPy arrays as tensors, also inside lists, tuples and dicts; anything else as it is.

    Example:
        >>> import numpy as np
        >>> from rushlight.utils.data import default_convert
        >>> default_convert([1, np.zeros(2)])
        [1, tensor([0., 0.], dtype=torch.float64)]
    """
    if isinstance(data, Tensor):
        return data
    if _plain_array(data):
        return rushlight.as_tensor(data)
    if isinstance(data, Mapping):
        return _mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence(data, [default_convert(value) for value in data])
    return data


def default_collate(batch: Sequence) -> Any:
    """A list of samples as one batch: what is a tensor in each becomes a tensor with one more dimension.

    Raises:
        TypeError: samples of a kind that cannot be joined.
        RuntimeError: sequences or tensors of different sizes.

    Example:
        >>> from rushlight.utils.data import default_collate
        >>> default_collate([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}])
        {'x': tensor([1, 2]), 'y': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return rushlight.stack(batch, 0)
    if isinstance(first, np.ndarray):
        if not _plain_array(first):
            raise TypeError(_WRONG.format(first.dtype))
        return default_collate([rushlight.as_tensor(array) for array in batch])
    if isinstance(first, np.generic) and _plain_array(first):
        return rushlight.as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return rushlight.tensor(batch, dtype=rushlight.float64)
    if isinstance(first, int):
        return rushlight.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(values) for values in zip(*batch)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        joined = [default_collate(values) for values in zip(*batch)]
        return joined if isinstance(first, tuple) else _sequence(first, joined)
    raise TypeError(_WRONG.format(type(first)))


def _mapping(like: Any, values: dict) -> Any:
    """A mapping of the same type where that can be made, else a dict."""
    try:
        if isinstance(like, MutableMapping):
            made = copy.copy(like)
            made.update(values)
            return made
        return type(like)(values)
    except TypeError:
        return values


def _sequence(like: Any, values: list) -> Any:
    """A sequence of the same type where that can be made, else a list."""
    try:
        if isinstance(like, MutableSequence):
            made = copy.copy(like)
            made[:] = values
            return made
        return type(like)(values)
    except TypeError:
        return values
