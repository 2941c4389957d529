"""Layers that are a function with settings: each is a row of facts, and `Stateless` makes the module of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rushlight.nn.modules.module import Module

__all__ = ["NEEDED", "Stateless"]


class _Needed:
    """The type of NEEDED."""

    def __repr__(self) -> str:
        return "NEEDED"


#: the default of a setting that must be given
NEEDED: Any = _Needed()


class Stateless(Module):
    """A module without parameters: `forward(*inputs)` is `function(*inputs, **settings)`.

    A subclass says in `settings` which arguments its constructor takes, in order, and their defaults; they become
    attributes of the same names. `inputs` are the names of what `forward` takes. `shown` is the format of `extra_repr`, in which `inplace=True` is added by itself.

    Example:
        >>> from rushlight.nn.modules.stateless import Stateless
        >>> class Shift(Stateless):
        ...     settings = {"by": 1.0}
        ...     function = lambda x, by: x + by
        ...     shown = "by={by}"
        >>> Shift(by=3)
        Shift(by=3)
    """

    settings: ClassVar[dict[str, Any]] = {}
    inputs: ClassVar[tuple[str, ...]] = ("input",)
    function: ClassVar[Callable]
    shown: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.__dict__.update(_filled(f"{type(self).__name__}.__init__()", self.settings, args, kwargs))
        self.prepare()

    def prepare(self) -> None:
        """Change or check the settings once they are set."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        if named:
            inputs = self.in_order(inputs, named)
        values = self.__dict__
        return type(self).function(*inputs, **{name: values[name] for name in self.settings})

    def in_order(self, inputs: tuple, named: dict[str, Any]) -> tuple:
        """All inputs of `forward`, some of which were given by name."""
        needed = dict.fromkeys(self.inputs, NEEDED)
        return tuple(_filled(f"{type(self).__name__}.forward()", needed, inputs, named).values())

    def extra_repr(self) -> str:
        text = self.shown.format_map(self.__dict__)
        if not self.__dict__.get("inplace"):
            return text
        return f"{text}, inplace=True" if text else "inplace=True"


def _filled(owner: str, settings: dict[str, Any], args: tuple, kwargs: dict) -> dict[str, Any]:
    """The settings with the arguments given to `owner`; TypeError in Python's words."""
    if len(args) > len(settings):
        least = 1 + sum(default is NEEDED for default in settings.values())
        most = 1 + len(settings)
        takes = (
            f"{most} positional argument{'s' * (most > 1)}"
            if least == most
            else f"from {least} to {most} positional arguments"
        )
        raise TypeError(f"{owner} takes {takes} but {len(args) + 1} were given")
    given = dict(zip(settings, args))
    for name, value in kwargs.items():
        if name not in settings:
            raise TypeError(f"{owner} got an unexpected keyword argument '{name}'")
        if name in given:
            raise TypeError(f"{owner} got multiple values for argument '{name}'")
        given[name] = value
    missing = [f"'{name}'" for name, default in settings.items() if default is NEEDED and name not in given]
    if missing:
        count = f"{len(missing)} required positional argument{'s' * (len(missing) > 1)}"
        raise TypeError(f"{owner} missing {count}: {' and '.join(missing)}")
    return settings | given
