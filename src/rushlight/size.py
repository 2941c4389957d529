"""`Size`: the tuple that shapes are."""

from __future__ import annotations

import operator
from typing import Any


def _whole(at: int, size: Any) -> Any:
    """A size that is of no class of ints: as it is where it stands for one, else the int that it holds."""
    if isinstance(size, int) or hasattr(size, "node"):
        return size
    try:
        return operator.index(size)
    except TypeError:
        raise TypeError(
            f"torch.Size() takes an iterable of 'int' (item {at} is '{type(size).__name__}')"
        ) from None


class Size(tuple):
    """A tensor's shape: a tuple of ints with `numel()`; slices and sums of it are `Size` too.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2, 3).shape
        torch.Size([2, 3])
    """

    __slots__ = ()

    def __new__(cls, sizes: Any = ()) -> Size:
        made = super().__new__(cls, sizes)
        for size in made:
            if type(size) is not int and not isinstance(size, int):
                return super().__new__(cls, [_whole(at, size) for at, size in enumerate(made)])
        return made

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        count = 1
        for size in self:
            count *= size
        return count

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other))) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: Any) -> Size:
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self) -> tuple:
        return Size, (tuple(self),)
