"""Small kernels at once: one call, of a function that is told all but the arrays when it is made.

To find the address of an array from Python takes as long as to add up a thousand numbers, and so do making the array for the
result and every argument of a foreign call. So a job becomes a built-in function of Python's own kind (`METH_FASTCALL`), whose code
looks into the arrays itself, and makes of a block of 8-byte words what Note [Kernel] in `jit` says:

    the kernel's address, how many arrays are given, whether one is made, bytes of scratch memory, words of parameters, phases
    addresses: of `Py_IncRef`, `PyArray_NewFromDescr`, the type of arrays, None, the dtype of the array that is made
    of the array that is made: the bytes to where the loop begins in it, how many dimensions, their sizes
    of each array that is given: the address of its dtype, how many dimensions, the bytes to where the loop begins, sizes, strides
    the parameters that all phases share, with room for the addresses of arrays and scratch memory, which come first
    for each phase: its tasks, words of parameters, and these

Note [Declined]: such a function gives None, and does nothing, if its arguments are anything but NumPy's own arrays with exactly the
layout that it was made for. So it may be tried before one knows what it is given.

Note [Layouts]: where the fields of an array are, compiled extensions know from NumPy's headers, which keep it so
(`PyArray_DIMS` and its like); how NumPy's functions are found, too (`_ARRAY_API`). `_start` tries both.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from rushlight.memory import HEADER
from rushlight.native import jit

#: bytes of scratch memory that may lie on the caller's stack
_STACKED = 1 << 14
#: words of parameters at most
_MOST = 1024
#: calls that Python passes arguments to in a row of pointers
_FASTCALL = 0x80
#: where NumPy's table of functions has those used here, see `__multiarray_api.h`
_ARRAY_TYPE, _NEW_FROM_DESCR = 2, 94

#: what is to be known of an array: shape, strides, dtype
Facts = tuple[tuple[int, ...], tuple[int, ...], np.dtype]

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
define internal i1 @same(ptr %x, ptr %y, i64 %words) {
entry:
  br label %next
next:
  %n = phi i64 [ 0, %entry ], [ %n1, %word ]
  %more = icmp slt i64 %n, %words
  br i1 %more, label %word, label %end
word:
  %x.n = getelementptr i64, ptr %x, i64 %n
  %x.value = load i64, ptr %x.n
  %y.n = getelementptr i64, ptr %y, i64 %n
  %y.value = load i64, ptr %y.n
  %n1 = add i64 %n, 1
  %alike = icmp eq i64 %x.value, %y.value
  br i1 %alike, label %next, label %end
end:
  %all = phi i1 [ true, %next ], [ false, %word ]
  ret i1 %all
}
define ptr @direct(ptr %self, ptr %args, i64 %number) {
entry:
  %block = getelementptr i8, ptr %self, i64 CONTENT
  %params = alloca i64, i64 MOST, align 16
  %given = word %block 1
  %type = word %block 8
  %made.dims = word %block 12
  %made.sizes = getelementptr i64, ptr %block, i64 13
  %facts0 = getelementptr i64, ptr %made.sizes, i64 %made.dims
  %enough = icmp eq i64 %number, %given
  br i1 %enough, label %array, label %declined
array:
  %n = phi i64 [ 0, %entry ], [ %n1, %accepted ]
  %facts = phi ptr [ %facts0, %entry ], [ %facts1, %accepted ]
  %left = icmp slt i64 %n, %given
  br i1 %left, label %look, label %all
look:
  %arg = pointer %args %n
  %type.at = getelementptr i8, ptr %arg, i64 TYPE
  %its.type = load i64, ptr %type.at
  %is.array = icmp eq i64 %its.type, %type
  br i1 %is.array, label %layout, label %declined
layout:
  %fields = getelementptr i8, ptr %arg, i64 HEADER
  %data = word %fields 0
  %dims.at = getelementptr i64, ptr %fields, i64 1
  %dims.32 = load i32, ptr %dims.at
  %dims = sext i32 %dims.32 to i64
  %sizes = pointer %fields 2
  %steps = pointer %fields 3
  %dtype = word %fields 5
  %wanted.dtype = word %facts 0
  %wanted.dims = word %facts 1
  %same.dtype = icmp eq i64 %dtype, %wanted.dtype
  %same.dims = icmp eq i64 %dims, %wanted.dims
  %plausible = and i1 %same.dtype, %same.dims
  br i1 %plausible, label %compare, label %declined
compare:
  %begin = word %facts 2
  %begins.at = add i64 %data, %begin
  %wanted.sizes = getelementptr i64, ptr %facts, i64 3
  %wanted.steps = getelementptr i64, ptr %wanted.sizes, i64 %dims
  %facts1 = getelementptr i64, ptr %wanted.steps, i64 %dims
  %same.sizes = call i1 @same(ptr %sizes, ptr %wanted.sizes, i64 %dims)
  %same.steps = call i1 @same(ptr %steps, ptr %wanted.steps, i64 %dims)
  %same.layout = and i1 %same.sizes, %same.steps
  br i1 %same.layout, label %accepted, label %declined
accepted:
  %slot = getelementptr i64, ptr %params, i64 %n
  store i64 %begins.at, ptr %slot
  %n1 = add i64 %n, 1
  br label %array
all:
  %keep = pointer %block 6
  %makes = word %block 2
  %is.made = icmp ne i64 %makes, 0
  br i1 %is.made, label %make, label %keep.last
make:
  %make.array = pointer %block 7
  %type.ptr = inttoptr i64 %type to ptr
  %made.dtype = pointer %block 10
  %made.dims.32 = trunc i64 %made.dims to i32
  call void %keep(ptr %made.dtype)
  %made = call ptr %make.array(ptr %type.ptr, ptr %made.dtype, i32 %made.dims.32, ptr %made.sizes, ptr null, ptr null, i32 0, ptr null)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %error, label %place
place:
  %made.data.at = getelementptr i8, ptr %made, i64 HEADER
  %made.data = load i64, ptr %made.data.at
  %made.begin = word %block 11
  %made.begins.at = add i64 %made.data, %made.begin
  %made.slot = getelementptr i64, ptr %params, i64 %given
  store i64 %made.begins.at, ptr %made.slot
  br label %run
keep.last:
  %last.n = sub i64 %given, 1
  %last = pointer %args %last.n
  call void %keep(ptr %last)
  br label %run
run:
  %result = phi ptr [ %made, %place ], [ %last, %keep.last ]
  %kernel = pointer %block 0
  %bytes = word %block 3
  %words = word %block 4
  %phases = word %block 5
  %arrays = add i64 %given, %makes
  %scratch = alloca i8, i64 %bytes, align 64
  store i64 IN_USE, ptr %scratch
  %scratch.slot = getelementptr ptr, ptr %params, i64 %arrays
  store ptr %scratch, ptr %scratch.slot
  %scalars.to = getelementptr ptr, ptr %scratch.slot, i64 1
  call void @copy(ptr %facts, ptr %scalars.to, i64 %words)
  %told.to = getelementptr i64, ptr %scalars.to, i64 %words
  %first = getelementptr i64, ptr %facts, i64 %words
  br label %next
next:
  %done = phi i64 [ 0, %run ], [ %done1, %phase ]
  %at = phi ptr [ %first, %run ], [ %following, %phase ]
  %more = icmp slt i64 %done, %phases
  br i1 %more, label %phase, label %end
phase:
  %tasks = word %at 0
  %told.words = word %at 1
  %told = getelementptr i64, ptr %at, i64 2
  call void @copy(ptr %told, ptr %told.to, i64 %told.words)
  call void %kernel(ptr %params, i64 0, i64 %tasks)
  %following = getelementptr i64, ptr %told, i64 %told.words
  %done1 = add i64 %done, 1
  br label %next
end:
  ret ptr %result
declined:
  %none = pointer %block 9
  %keep.none = pointer %block 6
  call void %keep.none(ptr %none)
  ret ptr %none
error:
  ret ptr null
}
"""


def _text() -> str:
    """The module, in LLVM's language: `word` and `pointer` are loads of the nth word there."""
    whole = re.sub(
        r"%(\S+) = (word|pointer) (\S+) (\S+)",
        lambda m: (
            f"%{m[1]}.there = getelementptr i64, ptr {m[3]}, i64 {m[4]}\n"
            f"  %{m[1]} = load {'i64' if m[2] == 'word' else 'ptr'}, ptr %{m[1]}.there"
        ),
        _TEXT,
    )
    # (what marks the piece of scratch memory that belongs to the caller's thread as in use, where there are pieces)
    constants = {
        "MOST": _MOST,
        "IN_USE": -2,
        "CONTENT": _CONTENT,
        "HEADER": HEADER,
        "TYPE": (HEADER or 0) - 8,
    }
    return re.sub("|".join(constants), lambda m: str(constants[m[0]]), whole)


#: where the content of a bytes object begins
_CONTENT = bytes.__basicsize__ - 1


class _Definition(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Start:
    """What makes functions, and addresses that their blocks need."""

    def __init__(self) -> None:
        """Raises: RuntimeError, AttributeError: not as it should be."""
        text = _text()
        native = jit.load("direct", text, lambda: text, ("direct",))
        self.definition = _Definition(b"loop", native.address, _FASTCALL, None)
        python: Any = ctypes.pythonapi
        capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
        table_of = python.PyCapsule_GetPointer
        table_of.restype, table_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        table = table_of(capsule, None)
        array_type, new = (
            (ctypes.c_void_p * (n + 1)).from_address(table)[n] for n in (_ARRAY_TYPE, _NEW_FROM_DESCR)
        )
        if array_type != id(np.ndarray) or new is None:
            raise RuntimeError("NumPy's functions are not where they should be")
        keep = ctypes.cast(python.Py_IncRef, ctypes.c_void_p).value
        self.addresses = struct.pack("=4Q", keep, new, array_type, id(None))
        self._new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
            ("PyCFunction_NewEx", python)
        )

    def function(self, block: bytes) -> Callable[..., Any]:
        return self._new(ctypes.addressof(self.definition), block, None)


@cache
def _start() -> _Start | None:
    """The same, tried; None where Python or NumPy is another."""
    if HEADER is None:
        return None
    try:
        start = _Start()
        return start if _tried(start) else None
    except (AttributeError, ValueError, RuntimeError):
        return None


def _tried(start: _Start) -> bool:
    """Whether arrays are seen, refused and made as they should be, by a job that has nothing to do."""
    a = np.arange(6.0).reshape(2, 3)
    layouts = [(b.shape, b.strides, b.dtype) for b in (a, a.T)]
    for (shape, strides, kind), given in itertools.product(layouts, (a, a.T, a[:1], a > 1, a.tolist())):
        alike = isinstance(given, np.ndarray) and (given.shape, given.strides, given.dtype) == (
            shape,
            strides,
            kind,
        )
        made = start.function(_block(start, 0, [(shape, strides, kind)], (shape, kind), (0, 0), b"", (), 8))(
            given
        )
        if (made is not None) != alike or alike and (made.shape, made.dtype) != (shape, kind):
            return False
    return True


def _block(
    start: _Start,
    address: int,
    given: Sequence[Facts],
    made: tuple[tuple[int, ...], np.dtype] | None,
    begins: Sequence[int],
    scalars: bytes,
    phases: Sequence[tuple[int, bytes]],
    scratch: int,
) -> bytes:
    """What the code reads, see above."""
    shape, kind = made or ((), given[0][2])
    numbers = [begins[-1], len(shape), *shape]
    for (its_shape, strides, its_kind), begin in zip(given, begins):
        numbers += [id(its_kind), len(its_shape), begin, *its_shape, *strides]
    return b"".join(
        [
            struct.pack(
                "=6q", address, len(given), made is not None, max(scratch, 8), len(scalars) // 8, len(phases)
            ),
            start.addresses,
            struct.pack(f"={1 + len(numbers)}q", id(kind), *numbers),
            scalars,
            *[struct.pack("=2q", tasks, len(told) // 8) + told for tasks, told in phases],
        ]
    )


def caller(
    address: int,
    given: Sequence[Facts],
    made: tuple[tuple[int, ...], np.dtype] | None,
    begins: Sequence[int],
    scalars: bytes,
    phases: Sequence[tuple[int, bytes]],
    scratch: int,
) -> Callable[..., Any] | None:
    """A kernel's job as a function of its arrays; None where it is not small, or there are no such functions.

    It gives the array that it makes, or the last that is given; see Note [Declined].

    Args:
        address: of the kernel.
        given: the arrays that it is called with.
        made: shape and type of the last array, if it is to be made, row-major.
        begins: of each array the bytes from its first element to the one where the loop begins.
        scalars: the parameters after the arrays and the scratch memory, whole words.
        phases: of each, its tasks and the parameters after the scalars; at least one.
        scratch: bytes of scratch memory; its first word says that one piece of it is in use.
    """
    words = len(given) + 2 + len(scalars) // 8 + max([len(told) // 8 for _, told in phases])
    start = _start()
    if start is None or scratch > _STACKED or words > _MOST:
        return None
    # (types that live as long as the process: their addresses stand for them)
    known = [(shape, strides, np.dtype(kind.type)) for shape, strides, kind in given]
    result = made and (made[0], np.dtype(made[1].type))
    return start.function(_block(start, address, known, result, begins, scalars, phases, scratch))
