"""What is loaded when it is first asked for, so that `import rushlight` stays quick."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from rushlight import absent


def function(module: str, name: str) -> Any:
    """The function `name` of `rushlight.<module>`, imported on the first call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(f"rushlight.{module}"), name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name.removeprefix("torch_")
    call.__doc__ = f"See `rushlight.{module}.{name}`."
    return call


def modules(package: str, *known: str) -> Callable[[str], Any]:
    """A package's `__getattr__` which imports these of its modules."""

    def find(name: str) -> Any:
        if name in known:
            return import_module(f"{package}.{name}")
        raise absent.of_module(package, name)

    return find


def names(package: str, homes: dict[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` which imports the module that each of these names is in."""

    def find(name: str) -> Any:
        if name not in homes:
            raise absent.of_module(package, name)
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(import_module(package), name, found)
        return found

    return find
