"""Arguments that are ints: one by one, or as a sequence."""

from __future__ import annotations

from typing import Any


def listed(given: tuple, named: Any, name: str, argument: str) -> Any:
    """The ints that a method got one by one, as a sequence, or by name."""
    if not given:
        if named is None:
            raise TypeError(f'{name}() missing 1 required positional arguments: "{argument}"')
        return named
    return given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def ints(value: Any, name: str, argument: str) -> tuple[int, ...]:
    """One int or a sequence of them, as a tuple; TypeError for anything else. (A bool may not be the first.)"""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        if item is items[0] and isinstance(item, bool) or not hasattr(item, "__index__"):
            raise TypeError(
                f"{name}(): argument '{argument}' must be tuple of ints, not {type(item).__name__}"
            )
    return tuple(item.__index__() for item in items)
