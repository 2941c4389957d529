"""`torch.ops`: operations by the name of their library. `torch.ops.aten` holds PyTorch's own, and others what `torch.library` was told of."""

from __future__ import annotations

import sys
from typing import Any

from rushlight import absent

__all__ = ["Namespace", "Overload", "Packet", "is_known"]


def _told() -> dict[str, Any]:
    """What the program has told of."""
    library = sys.modules.get("rushlight.library")
    return library._OPERATIONS if library is not None else {}


def is_known(name: str) -> bool:
    """Whether there are operations of this namespace.

    Example:
        >>> from rushlight.namespaces import is_known
        >>> is_known("aten"), is_known("nobodys")
        (True, False)
    """
    return name == "aten" or any(operation.startswith(f"{name}::") for operation in _told())


class Namespace:
    """The operations of one library.

    Example:
        >>> import rushlight as torch
        >>> torch.ops.aten.add.Tensor(torch.ones(2), 1)
        tensor([2., 2.])
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Packet:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _packet(self.name, name)
        if found is None:
            raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{name}'")
        return found


_packets: dict[tuple[str, str], Packet] = {}


def _packet(namespace: str, name: str) -> Packet | None:
    operation = _of_torch(name) if namespace == "aten" else _told().get(f"{namespace}::{name}")
    if operation is None:
        return None
    known = _packets.get((namespace, name))
    if known is None or namespace != "aten" and known.operation is not operation:
        known = _packets[namespace, name] = Packet(namespace, name, operation)
    return known


def _of_torch(name: str) -> Any:
    """The function, or method, that has the name which PyTorch's core gives it; for other names, which libraries keep tables of, one that refuses."""
    rushlight = sys.modules["rushlight"]
    for holder in (rushlight, rushlight.nn.functional, rushlight.special, rushlight.Tensor):
        if (found := getattr(holder, name, None)) is not None and callable(found):
            return found

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(absent.not_here(f"torch.ops.aten.{name}"))

    return refuse


class Packet:
    """An operation in all of its forms: `torch.ops.aten.add`; its attributes are the forms."""

    def __init__(self, namespace: str, name: str, operation: Any) -> None:
        self.__name__ = name
        self._qualified_op_name = f"{namespace}::{name}"
        self.operation = operation

    def __repr__(self) -> str:
        return self._qualified_op_name.replace("::", ".")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.operation(*args, **kwargs)

    def __getattr__(self, name: str) -> Overload:
        if name.startswith("__"):
            raise AttributeError(name)
        form = Overload(self, name)
        setattr(self, name, form)
        return form


class Overload:
    """One form of an operation: `torch.ops.aten.add.Tensor`. Which arguments a form takes is not checked: all take what the operation takes."""

    def __init__(self, packet: Packet, name: str) -> None:
        self.overloadpacket = packet
        self.__name__ = f"{packet.__name__}.{name}"
        self.operation = packet.operation

    def __repr__(self) -> str:
        return f"{self.overloadpacket!r}.{self.__name__.rpartition('.')[2]}"

    def name(self) -> str:
        """The whole name: "aten::add.Tensor", or "aten::add" of the default form."""
        form = self.__name__.rpartition(".")[2]
        return self.overloadpacket._qualified_op_name + ("" if form == "default" else f".{form}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.operation(*args, **kwargs)
