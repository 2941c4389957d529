"""Small arrays by NumPy's own loops, one after the other, without what NumPy does around each.

To find out how to compute nine elements takes NumPy 200 to 900 ns, to compute them 10. Where the same is asked for again and again,
what it came to is written down: steps, each a loop of a ufunc and the elements it goes over. A kernel goes through them, called as
`direct` calls all. The bits are NumPy's, because the loops are.

Note [Loops]: a ufunc's loops are C functions, `void(char **args, npy_intp const *dimensions, npy_intp const *steps, void *data)`, in
a table in its object, which NumPy's headers describe (`PyUFuncObject` in `ufuncobject.h`). `loop` compares what each gives with what
the ufunc does.

A step is 16 words: the loop, its data, how many elements, how often; then of each of three operands: bytes from element to element;
bytes from one time to the next; the number of the array among the parameters (the scratch memory comes after the arrays; -1: the
parameters themselves, where constants are); bytes from its beginning.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from rushlight.memory import HEADER
from rushlight.native import direct, jit

_LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)
_WORDS = 16
#: arrays that a job may have
_MOST_ARRAYS = 4

_THROUGH = """
define internal void @through(ptr %params, ptr %first, i64 %count) {
entry:
  %args = alloca [3 x ptr]
  br label %step
step:
  %n = phi i64 [ 0, %entry ], [ %n1, %after ]
  %at = phi ptr [ %first, %entry ], [ %at1, %after ]
  %more = icmp slt i64 %n, %count
  br i1 %more, label %begin, label %end
begin:
  %loop = load ptr, ptr %at
  %data.at = getelementptr i64, ptr %at, i64 1
  %data = load ptr, ptr %data.at
  %number = getelementptr i64, ptr %at, i64 2
  %times.at = getelementptr i64, ptr %at, i64 3
  %times = load i64, ptr %times.at
  %steps = getelementptr i64, ptr %at, i64 4
  br label %time
time:
  %t = phi i64 [ 0, %begin ], [ %t1, %call ]
  %again = icmp slt i64 %t, %times
  br i1 %again, label %operand, label %after
operand:
  %k = phi i64 [ 0, %time ], [ %k1, %placed ]
  %left = icmp slt i64 %k, 3
  br i1 %left, label %place, label %call
place:
  %next.at = getelementptr i64, ptr %at, i64 7
  %next.k = getelementptr i64, ptr %next.at, i64 %k
  %next = load i64, ptr %next.k
  %array.k = getelementptr i64, ptr %next.k, i64 3
  %array = load i64, ptr %array.k
  %begin.k = getelementptr i64, ptr %next.k, i64 6
  %begins = load i64, ptr %begin.k
  %own = icmp slt i64 %array, 0
  br i1 %own, label %placed, label %other
other:
  %slot = getelementptr ptr, ptr %params, i64 %array
  %memory = load ptr, ptr %slot
  br label %placed
placed:
  %base = phi ptr [ %params, %place ], [ %memory, %other ]
  %gone = mul i64 %t, %next
  %offset = add i64 %gone, %begins
  %there = getelementptr i8, ptr %base, i64 %offset
  %arg = getelementptr ptr, ptr %args, i64 %k
  store ptr %there, ptr %arg
  %k1 = add i64 %k, 1
  br label %operand
call:
  call void %loop(ptr %args, ptr %number, ptr %steps, ptr %data)
  %t1 = add i64 %t, 1
  br label %time
after:
  %n1 = add i64 %n, 1
  %at1 = getelementptr i64, ptr %at, i64 16
  br label %step
end:
  ret void
}
"""
_KERNEL = """
define void @kernelARRAYS(ptr %params, i64 %first, i64 %last) {
  %steps = getelementptr i64, ptr %params, i64 BEHIND
  call void @through(ptr %params, ptr %steps, i64 %last)
  ret void
}
"""
_MOVE = """
define void @NAME(ptr %args, ptr %number, ptr %steps, ptr %data) {
entry:
  %count = load i64, ptr %number
  %from = load ptr, ptr %args
  %to.at = getelementptr ptr, ptr %args, i64 1
  %to = load ptr, ptr %to.at
  %from.step = load i64, ptr %steps
  %to.step.at = getelementptr i64, ptr %steps, i64 1
  %to.step = load i64, ptr %to.step.at
  br label %next
next:
  %n = phi i64 [ 0, %entry ], [ %n1, %one ]
  %x.at = phi ptr [ %from, %entry ], [ %x.at1, %one ]
  %y.at = phi ptr [ %to, %entry ], [ %y.at1, %one ]
  %more = icmp slt i64 %n, %count
  br i1 %more, label %one, label %end
one:
  %x = load SOURCE, ptr %x.at, align 1
  %y = CHANGED
  store RESULT %y, ptr %y.at, align 1
  %x.at1 = getelementptr i8, ptr %x.at, i64 %from.step
  %y.at1 = getelementptr i8, ptr %y.at, i64 %to.step
  %n1 = add i64 %n, 1
  br label %next
end:
  ret void
}
"""
#: takes elements where the first operand, of one byte, is not zero
_TAKE = """
define void @takeBYTES(ptr %args, ptr %number, ptr %steps, ptr %data) {
entry:
  %count = load i64, ptr %number
  %chosen = load ptr, ptr %args
  %from.at = getelementptr ptr, ptr %args, i64 1
  %from = load ptr, ptr %from.at
  %to.at = getelementptr ptr, ptr %args, i64 2
  %to = load ptr, ptr %to.at
  %chosen.step = load i64, ptr %steps
  %from.step.at = getelementptr i64, ptr %steps, i64 1
  %from.step = load i64, ptr %from.step.at
  %to.step.at = getelementptr i64, ptr %steps, i64 2
  %to.step = load i64, ptr %to.step.at
  br label %next
next:
  %n = phi i64 [ 0, %entry ], [ %n1, %one ]
  %c.at = phi ptr [ %chosen, %entry ], [ %c.at1, %one ]
  %x.at = phi ptr [ %from, %entry ], [ %x.at1, %one ]
  %y.at = phi ptr [ %to, %entry ], [ %y.at1, %one ]
  %more = icmp slt i64 %n, %count
  br i1 %more, label %one, label %end
one:
  %c = load i8, ptr %c.at
  %wanted = icmp ne i8 %c, 0
  %x = load iBITS, ptr %x.at, align 1
  %y = load iBITS, ptr %y.at, align 1
  %z = select i1 %wanted, iBITS %x, iBITS %y
  store iBITS %z, ptr %y.at, align 1
  %c.at1 = getelementptr i8, ptr %c.at, i64 %chosen.step
  %x.at1 = getelementptr i8, ptr %x.at, i64 %from.step
  %y.at1 = getelementptr i8, ptr %y.at, i64 %to.step
  %n1 = add i64 %n, 1
  br label %next
end:
  ret void
}
"""
#: what moves elements: name -> types in LLVM's language, and the instruction
_MOVES = {
    "widen": ("float", "double", "fpext float %x to double"),
    "narrow": ("double", "float", "fptrunc double %x to float"),
    "copy1": ("i8", "i8", "add i8 %x, 0"),
    "copy4": ("i32", "i32", "add i32 %x, 0"),
    "copy8": ("i64", "i64", "add i64 %x, 0"),
}


def _text() -> str:
    kernels = [
        _KERNEL.replace("ARRAYS", str(n)).replace("BEHIND", str(n + 1)) for n in range(1, _MOST_ARRAYS + 1)
    ]
    moves = [
        _MOVE.replace("NAME", name)
        .replace("SOURCE", source)
        .replace("RESULT", result)
        .replace("CHANGED", changed)
        for name, (source, result, changed) in _MOVES.items()
    ]
    takes = [_TAKE.replace("BYTES", str(n)).replace("BITS", str(8 * n)) for n in (4, 8)]
    return "".join([_THROUGH, *kernels, *moves, *takes])


@cache
def _native() -> dict[str, int]:
    """Addresses: of the kernels for so many arrays, and of what moves elements.

    Raises:
        RuntimeError: LLVM cannot compile it here.
    """
    text = _text()
    names = (*[f"kernel{n}" for n in range(1, _MOST_ARRAYS + 1)], *_MOVES, "take4", "take8")
    return jit.load("steps", text, lambda: text, names).symbols


class Unknown(Exception):
    """A ufunc has no such loop, or it is not found where it should be."""


class Loop(NamedTuple):
    """A C function that goes over elements, and its data."""

    address: int
    data: int


def move(name: str) -> Loop:
    """A loop of ours: "widen", "narrow", "copy1", "copy4", "copy8"; "take4", "take8" of what is chosen.

    Raises:
        Unknown: there is none of that name.
    """
    if name not in _native():
        raise Unknown
    return Loop(_native()[name], 0)


class _Table(ctypes.Structure):
    """The beginning of `PyUFuncObject`, behind its header."""

    _fields_ = [
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
    ]


@cache
def loop(ufunc: np.ufunc, types: str) -> Loop:
    """The loop of a ufunc for operands of these types, as "dd->d".

    Raises:
        Unknown: there is none, or it does not do what the ufunc does.
    """
    if HEADER is None or types not in ufunc.types or ufunc.nout != 1:
        raise Unknown
    table = _Table.from_address(id(ufunc) + HEADER)
    facts = table.nin, table.nout, table.nargs, table.ntypes
    if facts != (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes):
        raise Unknown
    at = ufunc.types.index(types)
    found = Loop(table.functions[at] or 0, (table.data[at] or 0) if table.data else 0)
    if not found.address or not _does(found, ufunc, types):
        raise Unknown
    return found


def _does(found: Loop, ufunc: np.ufunc, types: str) -> bool:
    """Whether a loop gives what the ufunc does, of some numbers."""
    inputs = [np.linspace(0.25, 2 + n, 19).astype(char) for n, char in enumerate(types.split("->")[0])]
    out = np.zeros(19, types[-1])
    with np.errstate(all="ignore"):
        expected = ufunc(*inputs)
    arrays = [*inputs, out]
    args = (ctypes.c_void_p * 3)(*[a.ctypes.data for a in arrays])
    steps = (ctypes.c_int64 * 3)(*[a.itemsize for a in arrays])
    _LOOP(found.address)(args, (ctypes.c_int64 * 1)(19), steps, found.data)
    return expected.dtype == out.dtype and expected.tobytes() == out.tobytes()


class Place(NamedTuple):
    """Where the elements of an operand are: the number of its array, bytes from its beginning, from element to element, and from
    one time to the next."""

    array: int
    begin: int
    step: int
    next: int = 0


class Steps:
    """A job, written down step by step.

    Args:
        given: the arrays it is called with; they are number 0 and so on.
        shape, kind: of the array that it makes, which comes after them.

    Attributes:
        ufuncs: those that were asked for, where somebody notes it.
    """

    def __init__(self, given: Sequence[np.ndarray], shape: tuple[int, ...], kind: np.dtype) -> None:
        self.given = [(a.shape, a.strides, a.dtype) for a in given]
        self.made = shape, kind
        self.out = len(given)
        self.steps: list[tuple[int, ...]] = []
        self.constants: list[tuple[int, int, bytes]] = []
        self.scratch = 0
        self.ufuncs: set[np.ufunc] = set()

    def room(self, count: int) -> int:
        """Scratch memory for so many elements of 8 bytes; where it begins."""
        begin, self.scratch = self.scratch, self.scratch + 8 * count
        return begin

    def spare(self, begin: int, step: int = 8, next: int = 0) -> Place:
        """A place in the scratch memory."""
        return Place(self.out + 1, begin, step, next)

    def do(self, loop: Loop, count: int, times: int, *operands: Place | float | bytes) -> None:
        """Go over `count` elements, `times` times; an operand may be a number (float64), or a word that begins with it."""
        places = []
        for number, operand in enumerate(operands):
            if isinstance(operand, Place):
                places.append(operand)
            else:
                word = operand if isinstance(operand, bytes) else struct.pack("=d", operand)
                self.constants.append((len(self.steps), number, word))
                places.append(Place(-1, 0, 0))
        places += [Place(-1, 0, 0)] * (3 - len(places))
        columns = [[getattr(p, field) for p in places] for field in ("step", "next", "array", "begin")]
        self.steps.append((*loop, count, times, *[word for column in columns for word in column]))

    def function(self) -> Callable[..., np.ndarray | None] | None:
        """The job as a function of its arrays, see `direct`; None if it is too large."""
        arrays = self.out + 1
        if arrays > _MOST_ARRAYS:
            return None
        behind = 8 * (arrays + 1 + _WORDS * len(self.steps))
        words = [list(step) for step in self.steps]
        for n, (step, operand, _) in enumerate(self.constants):
            words[step][13 + operand] = behind + 8 * n
        told = b"".join([struct.pack(f"={_WORDS}q", *step) for step in words])
        told += b"".join([word for _, _, word in self.constants])
        job = direct.Job(
            _native()[f"kernel{arrays}"],
            self.given,
            self.made,
            (0,) * arrays,
            phases=[(len(self.steps), told)],
            scratch=self.scratch,
        )
        return direct.caller(job)


__all__ = ["Loop", "Place", "Steps", "Unknown", "loop", "move"]
