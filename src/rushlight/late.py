"""What is loaded when it is first asked for, so that `import rushlight` stays quick.

Most programs use a few of the operations. A module of the others is imported when one of its names is first looked up, in
a package (`names`) or in a class (`module`, `put`). From then on the name is what it would be had the module been imported
at once, and costs what that costs.

Note [Late imports]: they are done with the engine's lock held, because forks wait for that lock: the child would wait for
ever for an import that another thread was in the middle of. Two threads must not wait for one another, though: one that
has the engine's lock, for a module, and one that is in the middle of importing that module, for the engine's lock. So the
engine's lock comes first, and who is importing already does without.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from types import FunctionType
from typing import Any

from rushlight import absent
from rushlight.lock import LOCK

__all__ = ["listed", "load", "module", "modules", "names", "put", "put_all"]


def load(name: str) -> Any:
    """A module that may not be loaded yet; see Note [Late imports]."""
    if _importing():
        return import_module(name)
    with LOCK:
        return import_module(name)


def _importing() -> bool:
    """Whether the body of some module is running in this thread."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_load_unlocked" and code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


# ---- in a package ----


def names(
    package: str, places: dict[str, str], modules: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`, which know names that are elsewhere.

    Args:
        places: module within the package -> the names in it, separated by spaces; `name=own` where the module has
            another name for it, `module:Class` where they are the members of a class.
        modules: modules of the package that are asked for themselves.
    """
    homes = {name: (name, "") for name in modules.split()} | _homes(places)

    def find(name: str) -> Any:
        if name not in homes:
            raise absent.of_module(package, name)
        home, own = homes[name]
        found = load(f"{package}.{home}")
        if own:
            found = attrgetter(own)(found)
            setattr(sys.modules[package], name, found)
        return found

    def everything() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, everything


def _homes(places: dict[str, str]) -> dict[str, tuple[str, str]]:
    """name -> (module, name in it, or path)."""
    homes = {}
    for home, entries in places.items():
        for entry in entries.split():
            name, _, own = entry.partition("=")
            module, _, owner = home.partition(":")
            homes[name] = module, f"{owner}.{own or name}".lstrip(".")
    return homes


def listed(places: dict[str, str]) -> list[str]:
    """The names in such places."""
    return list(_homes(places))


def modules(package: str, *known: str) -> Callable[[str], Any]:
    """A package's `__getattr__` which knows these of its modules, and says of other names that they are missing."""
    return names(package, {}, " ".join(known))[0]


# ---- in a class ----


class Place:
    """A name in a module that may not be loaded yet; its attributes are places too: `module("ops.sorting").sort.inplace`."""

    __slots__ = ("_module", "_path")

    def __init__(self, module: str, path: tuple[str, ...] = ()) -> None:
        self._module = module
        self._path = path

    def __getattr__(self, name: str) -> Place:
        if name.startswith("__"):
            raise AttributeError(name)
        return Place(self._module, (*self._path, name))


def module(name: str) -> Any:
    """Stands for `rushlight.<name>` where members of a class are listed."""
    return Place(f"rushlight.{name}")


def _found(place: Place) -> Any:
    found: Any = load(place._module)
    for name in place._path:
        found = getattr(found, name)
    return found


class Method:
    """Stands for a method in its class until somebody looks it up."""

    __slots__ = ("_owner", "_name", "_place")

    def __init__(self, owner: type, name: str, place: Place) -> None:
        self._owner = owner
        self._name = name
        self._place = place

    def settle(self) -> Any:
        """Put the method itself in its place, unless something else is there by now."""
        found = _found(self._place)
        if isinstance(found, FunctionType) and found.__name__ not in vars(self._owner):
            found.__name__ = self._name  # what its maker called it says nothing
        if vars(self._owner).get(self._name) is self:
            setattr(self._owner, self._name, found)
        return found

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.settle().__get__(instance, owner)


class Property(Method):
    """Stands for a property, which may be set and deleted, too."""

    __slots__ = ()

    def __set__(self, instance: Any, value: Any) -> None:
        self.settle().__set__(instance, value)

    def __delete__(self, instance: Any) -> None:
        self.settle().__delete__(instance)


def put(owner: type, name: str, member: Any) -> None:
    """Give a class a member. One that is a place is looked up when it is first used; it is a property where its name says so."""
    if isinstance(member, Place):
        kind = Property if member._path[-1].endswith("_property") else Method
        member = kind(owner, name, member)
    setattr(owner, name, member)


def put_all(owner: type) -> None:
    """Look up whatever is late in a class, for who reads all of it."""
    for member in list(vars(owner).values()):
        if isinstance(member, Method):
            member.settle()
