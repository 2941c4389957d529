"""A look at a pickle before it is read: whether it would make the unpickler take memory that it has no use for.

What a pickle remembers, it puts at numbered places of a table, and Python makes the table as long as the largest number says: ten
bytes are enough to ask for all the memory there is. A pickler counts the places from 0; each takes a byte at least, so no number
is as large as the pickle is long.
"""

from __future__ import annotations

import pickle

__all__ = ["check"]

_LINE, _LINES = -10, -20


def _arguments() -> list[int | None]:
    """By opcode, what follows it: so many bytes; bytes that a length of 1, 4 or 8 bytes counts (negative); lines."""
    found: list[int | None] = [None] * 256
    for count, opcodes in {
        0: b"(.012NabdetuluQR\x81\x85\x86\x87\x88\x89)]}sol\x8f\x90\x91\x92\x93\x94\x97\x98",
        1: b"Khq\x80\x82",
        2: b"M\x83",
        4: b"Jrj\x84",
        8: b"G\x95",
        -1: b"CU\x8a\x8c",
        -4: b"TBX\x8b",
        -8: b"\x8d\x8e\x96",
        _LINE: b"FILSVPgp",
        _LINES: b"ci",
    }.items():
        for opcode in opcodes:
            found[opcode] = count
    return found


_ARGUMENTS = _arguments()
_PUT, _LONG_PUT, _STOP = b"p"[0], b"r"[0], b"."[0]


def check(data: bytes, start: int = 0) -> None:
    """Raise UnpicklingError if the pickle that begins there remembers something at a place beyond its length.

    What is no pickle is left to the unpickler.
    """
    at, end, largest = start, len(data), 0
    while at < end:
        opcode = data[at]
        argument = _ARGUMENTS[opcode]
        at += 1
        if argument is None or opcode == _STOP:
            break
        if argument >= 0:
            if opcode == _LONG_PUT:
                largest = max(largest, int.from_bytes(data[at : at + 4], "little"))
            at += argument
        elif argument > _LINE:
            at += int.from_bytes(data[at : at - argument], "little") - argument
        else:
            line = data.find(b"\n", at)
            if line < 0:
                break
            if opcode == _PUT:
                largest = max(largest, _number(data[at:line]))
            at = line + 1
            if argument == _LINES:
                at = data.find(b"\n", at) + 1 or end
    if largest > at - start:
        raise pickle.UnpicklingError("a file remembers more than it can hold")


def _number(digits: bytes) -> int:
    """A place as text; what is none is left to the unpickler."""
    return int(digits[:_DIGITS]) if digits[:_DIGITS].isdigit() else 0


#: digits of a number that is larger than any file is long
_DIGITS = 19
