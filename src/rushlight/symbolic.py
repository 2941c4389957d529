"""Numbers that PyTorch's tracing knows by name only: here all numbers are known, and these classes have no instances.

Programs ask `isinstance(n, (int, torch.SymInt))`, and compute with `torch.sym_max` and its kin, which take Python's numbers.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterable
from typing import Any, NoReturn

__all__ = [
    "SymBool",
    "SymFloat",
    "SymInt",
    "sym_float",
    "sym_int",
    "sym_ite",
    "sym_max",
    "sym_min",
    "sym_not",
    "sym_sqrt",
    "sym_sum",
]


class _Symbol:
    """A class that is there to be asked for."""

    def __new__(cls, node: Any = None) -> NoReturn:
        raise NotImplementedError(
            f"torch.{cls.__name__}: Rushlight runs programs as they are and traces none, so that all their numbers are Python's"
        )


class SymInt(_Symbol):
    """A size that a trace does not know: no number is one.

    Example:
        >>> import rushlight as torch
        >>> isinstance(torch.ones(3).shape[0], torch.SymInt)
        False
    """


class SymFloat(_Symbol):
    """A float that a trace does not know: no number is one."""


class SymBool(_Symbol):
    """A truth value that a trace does not know: no value is one."""


def sym_int(a: Any) -> int:
    """A number without its fraction.

    Example:
        >>> import rushlight as torch
        >>> torch.sym_int(2.7), torch.sym_max(1, 2.5), torch.sym_not(True)
        (2, 2.5, False)
    """
    return builtins.int(a)


def sym_float(a: Any) -> float:
    """A number as a float."""
    return builtins.float(a)


def sym_max(a: Any, b: Any) -> Any:
    """The larger number; a float if one of them is."""
    larger = builtins.max(a, b)
    return builtins.float(larger) if builtins.float in (type(a), type(b)) else larger


def sym_min(a: Any, b: Any) -> Any:
    """The smaller number; a float if one of them is."""
    smaller = builtins.min(a, b)
    return builtins.float(smaller) if builtins.float in (type(a), type(b)) else smaller


def sym_not(a: Any) -> bool:
    """Whether it is not so."""
    return not a


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """`t if b else f`."""
    return t if b else f


def sym_sqrt(a: Any) -> float:
    """The square root."""
    return math.sqrt(a)


def sym_sum(args: Iterable[Any]) -> Any:
    """The sum of numbers."""
    return builtins.sum(args)
