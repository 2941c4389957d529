"""Small kernels at once: one call with one argument, which names the arrays instead of their addresses.

To find the address of an array from Python takes as long as to add up a thousand numbers, and so does every argument of a
foreign call. So a call gives one block of 8-byte words, and a few instructions make of it what Note [Kernel] in `jit` says:

    the kernel's address, how many arrays there are, bytes of scratch memory, words of parameters, how many phases
    the parameters that all phases share: of each array, which come first, the address of the object's field that holds its
    address; then room for the address of scratch memory
    for each phase: its tasks, words of parameters, and these
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache

from rushlight.memory import HEADER
from rushlight.native import jit

#: bytes of scratch memory that may lie on the caller's stack
_STACKED = 1 << 14

_TEXT = """
define internal void @copy(ptr %from, ptr %to, i64 %words) {
entry:
  %some = icmp sgt i64 %words, 0
  br i1 %some, label %word, label %done
word:
  %n = phi i64 [ 0, %entry ], [ %n1, %word ]
  %from.n = getelementptr i64, ptr %from, i64 %n
  %value = load i64, ptr %from.n
  %to.n = getelementptr i64, ptr %to, i64 %n
  store i64 %value, ptr %to.n
  %n1 = add i64 %n, 1
  %more = icmp slt i64 %n1, %words
  br i1 %more, label %word, label %done
done:
  ret void
}
define void @direct(ptr %block) {
entry:
  %kernel = load ptr, ptr %block
  %at1 = getelementptr i64, ptr %block, i64 1
  %arrays = load i64, ptr %at1
  %at2 = getelementptr i64, ptr %block, i64 2
  %bytes = load i64, ptr %at2
  %at3 = getelementptr i64, ptr %block, i64 3
  %words = load i64, ptr %at3
  %at4 = getelementptr i64, ptr %block, i64 4
  %phases = load i64, ptr %at4
  %given = getelementptr i64, ptr %block, i64 5
  %params = alloca i64, i64 MOST, align 16
  %scratch = alloca i8, i64 %bytes, align 64
  store i64 IN_USE, ptr %scratch
  call void @copy(ptr %given, ptr %params, i64 %words)
  %scratch.at = getelementptr i64, ptr %params, i64 %arrays
  store ptr %scratch, ptr %scratch.at
  br label %array
array:
  %n = phi i64 [ 0, %entry ], [ %n1, %array ]
  %slot = getelementptr ptr, ptr %params, i64 %n
  %field = load ptr, ptr %slot
  %data = load i64, ptr %field
  store i64 %data, ptr %slot
  %n1 = add i64 %n, 1
  %more = icmp slt i64 %n1, %arrays
  br i1 %more, label %array, label %ready
ready:
  %told.to = getelementptr i64, ptr %params, i64 %words
  %first = getelementptr i64, ptr %given, i64 %words
  br label %phase
phase:
  %done = phi i64 [ 0, %ready ], [ %done1, %phase ]
  %at = phi ptr [ %first, %ready ], [ %following, %phase ]
  %tasks = load i64, ptr %at
  %told.words.at = getelementptr i64, ptr %at, i64 1
  %told.words = load i64, ptr %told.words.at
  %told = getelementptr i64, ptr %at, i64 2
  call void @copy(ptr %told, ptr %told.to, i64 %told.words)
  call void %kernel(ptr %params, i64 0, i64 %tasks)
  %following = getelementptr i64, ptr %told, i64 %told.words
  %done1 = add i64 %done, 1
  %again = icmp slt i64 %done1, %phases
  br i1 %again, label %phase, label %end
end:
  ret void
}
"""
#: words of parameters at most
_MOST = 512


@cache
def _start() -> Callable[[bytes], None]:
    # (what marks the piece of scratch memory that belongs to the caller's thread as in use, where there are pieces)
    text = _TEXT.replace("MOST", str(_MOST)).replace("IN_USE", "-2")
    function = jit.load("direct", text, lambda: text, ("direct",))
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function.address)


def caller(
    address: int, arrays: int, scalars: bytes, phases: Sequence[tuple[int, bytes]], scratch: int
) -> Callable[..., None] | None:
    """A kernel's job as a function of its arrays, NumPy's own; None where it is not small, or addresses are not found so.

    Args:
        address: of the kernel.
        arrays: how many there are.
        scalars: the parameters after them and the scratch memory, whole words.
        phases: of each, its tasks and the parameters after the scalars.
        scratch: bytes of scratch memory; its first word says that one piece of it is in use.
    """
    words = arrays + 1 + len(scalars) // 8
    if HEADER is None or scratch > _STACKED or words + max([len(told) // 8 for _, told in phases]) > _MOST:
        return None
    header, start = HEADER, _start()
    head = struct.pack("=5q", address, arrays, max(scratch, 8), words, len(phases))
    rest = bytes(8) + scalars + b"".join([struct.pack("=2q", n, len(told) // 8) + told for n, told in phases])
    pack = struct.Struct(f"={len(head)}s{arrays}q{len(rest)}s").pack
    if arrays == 2:

        def call2(x: object, y: object) -> None:
            start(pack(head, id(x) + header, id(y) + header, rest))

        return call2

    def call(*given: object) -> None:
        start(pack(head, *[id(a) + header for a in given], rest))

    return call
