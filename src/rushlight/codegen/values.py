"""Values of LLVM's text: their kinds, types, and constants."""

from __future__ import annotations

import struct
from typing import NamedTuple

#: NumPy's characters of the kinds, and their types in registers
REGISTER = {
    "?": "i1",
    "b": "i8",
    "B": "i8",
    "h": "i16",
    "H": "i16",
    "i": "i32",
    "I": "i32",
    "q": "i64",
    "Q": "i64",
    "e": "half",
    "E": "i16",  # (LLVM moves its own bfloat16 by functions that are not there, where the processor knows none)
    "f": "float",
    "d": "double",
    "p": "ptr",
}
SIZES = {
    "?": 1,
    "b": 1,
    "B": 1,
    "h": 2,
    "H": 2,
    "i": 4,
    "I": 4,
    "q": 8,
    "Q": 8,
    "e": 2,
    "E": 2,
    "f": 4,
    "d": 8,
    "p": 8,
}
FLOATS = frozenset("eEfd")
SIGNED = frozenset("bhiq")
UNSIGNED = frozenset("?BHIQ")


class V(NamedTuple):
    """A value of the text: name (or literal), kind, lanes."""

    name: str
    kind: str
    lanes: int = 1

    @property
    def type(self) -> str:
        return type_of(self.kind, self.lanes)


def type_of(kind: str, lanes: int = 1) -> str:
    """LLVM's name of the type in registers."""
    element = REGISTER[kind]
    return element if lanes == 1 else f"<{lanes} x {element}>"


def literal(value: float | int | bool, kind: str) -> str:
    """A scalar constant, exact to the last bit."""
    if kind == "?":
        return "true" if value else "false"
    if kind in FLOATS:
        # (a float is written as the double of the same value, in hexadecimal)
        if kind == "f":
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        elif kind != "d":
            raise TypeError("constants of half types are made by converting one of float32")
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    bits = 8 * SIZES[kind]
    value = int(value) & (1 << bits) - 1
    return str(value - (1 << bits) if value >> bits - 1 else value)
