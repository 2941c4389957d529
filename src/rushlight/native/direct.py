"""Kernels at once: one call, of a function that is told all but its arguments when it is made.

To find the address of an array from Python takes as long as to add up a thousand numbers, and so do making the array for the
result and every argument of a foreign call. So a job becomes a built-in function of Python's own kind (`METH_FASTCALL`), whose code
looks into the arrays itself, and makes of a block of 8-byte words what Note [Kernel] in `jit` says:

    what `_HEAD` names
    of the array that is made: its sizes
    of each argument: its place among the parameters, the address of its dtype, how many dimensions, the bytes from its first element to
    the one where the loop begins, sizes, strides; or what `_facts` says
    the parameters that all phases share, with room for what is put in its place
    for each phase: its tasks, words of parameters, and these

Note [Declined]: such a function gives None, and does nothing, if its arguments are anything but what it was made for: NumPy's own arrays
with exactly these layouts, and NumPy's numbers of exactly these types. So it may be tried before one knows what it is given. It
declines, too, where there are workers to be started first.

Note [Crew]: what is large is handed to other threads (see `handover`) from the same call, and nobody else is kept from running
meanwhile: the interpreter's lock is given back. What is small keeps it.

Note [Layouts]: where the fields of an array are, compiled extensions know from NumPy's headers, which keep it so
(`PyArray_DIMS` and its like); where the value of a number is (`PyArrayScalar_VAL`), and how NumPy's functions are found
(`_ARRAY_API`), too. `_start` tries all three.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rushlight.memory import HEADER
from rushlight.native import jit

#: bytes of scratch memory that may lie on the caller's stack
STACKED = 1 << 14
#: words of parameters at most
_MOST = 1024
#: calls that Python passes arguments to in a row of pointers
_FASTCALL = 0x80
#: where NumPy's table of functions has those used here, see `__multiarray_api.h`
_ARRAY_TYPE, _NEW_FROM_DESCR = 2, 94

#: what is to be known of an array: shape, strides, dtype
Facts = tuple[tuple[int, ...], tuple[int, ...], np.dtype]


class Memory(NamedTuple):
    """An argument that is any array: scratch memory."""


class Number(NamedTuple):
    """An argument that is a number of NumPy's of this type, which fits in a word."""

    kind: np.dtype


#: how blocks tell these from an array's number of dimensions
_MEMORY, _NUMBER = -1, -2
#: what a block begins with: the kernel's address; how many arguments; whether an array is made, else which argument is given back; bytes
#: of scratch memory, and its place among the parameters; words of parameters that all phases share; phases; the most tasks of a phase;
#: the crew's address, or 0; words of facts; addresses of `Py_IncRef`, `PyEval_SaveThread`, `PyEval_RestoreThread`, the type of arrays,
#: `PyArray_NewFromDescr` and None; of the array that is made the dtype, the bytes to where the loop begins, its place, its dimensions
_HEAD = tuple(
    "kernel arguments makes returned scratch scratch_place words phases most crew facts "
    "keep release acquire arrays new none dtype begin place dims".split()
)
_AT = {name: str(n) for n, name in enumerate(_HEAD)}

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
  %given = word %block arguments
  %enough = icmp eq i64 %number, %given
  br i1 %enough, label %number.right, label %declined
number.right:
  %words = word %block words
  %type = word %block arrays
  %made.dims = word %block dims
  %made.sizes = getelementptr i64, ptr %block, i64 HEAD
  %facts0 = getelementptr i64, ptr %made.sizes, i64 %made.dims
  %all.facts = word %block facts
  %shared = getelementptr i64, ptr %facts0, i64 %all.facts
  call void @copy(ptr %shared, ptr %params, i64 %words)
  br label %argument
argument:
  %n = phi i64 [ 0, %number.right ], [ %n1, %placed ]
  %facts = phi ptr [ %facts0, %number.right ], [ %facts1, %placed ]
  %left = icmp slt i64 %n, %given
  br i1 %left, label %look, label %all
look:
  %arg = pointer %args %n
  %place = word %facts 0
  %wanted.dtype = word %facts 1
  %wanted.dims = word %facts 2
  %begin = word %facts 3
  %wanted.sizes = getelementptr i64, ptr %facts, i64 4
  %type.at = getelementptr i8, ptr %arg, i64 TYPE
  %its.type = load i64, ptr %type.at
  %fields = getelementptr i8, ptr %arg, i64 HEADER
  %value = word %fields 0
  %is.number = icmp eq i64 %wanted.dims, NUMBER
  br i1 %is.number, label %a.number, label %an.array
a.number:
  %same.type = icmp eq i64 %its.type, %wanted.dtype
  %masked = and i64 %value, %begin
  br i1 %same.type, label %placed, label %declined
an.array:
  %is.array = icmp eq i64 %its.type, %type
  br i1 %is.array, label %layout, label %declined
layout:
  %begins.at = add i64 %value, %begin
  %any.layout = icmp eq i64 %wanted.dims, MEMORY
  br i1 %any.layout, label %placed, label %kind
kind:
  %dims.at = getelementptr i64, ptr %fields, i64 1
  %dims.32 = load i32, ptr %dims.at
  %dims = sext i32 %dims.32 to i64
  %sizes = pointer %fields 2
  %steps = pointer %fields 3
  %dtype = word %fields 5
  %same.dtype = icmp eq i64 %dtype, %wanted.dtype
  %same.dims = icmp eq i64 %dims, %wanted.dims
  %plausible = and i1 %same.dtype, %same.dims
  br i1 %plausible, label %compare, label %declined
compare:
  %wanted.steps = getelementptr i64, ptr %wanted.sizes, i64 %dims
  %behind = getelementptr i64, ptr %wanted.steps, i64 %dims
  %same.sizes = call i1 @same(ptr %sizes, ptr %wanted.sizes, i64 %dims)
  %same.steps = call i1 @same(ptr %steps, ptr %wanted.steps, i64 %dims)
  %same.layout = and i1 %same.sizes, %same.steps
  br i1 %same.layout, label %placed, label %declined
placed:
  %put = phi i64 [ %masked, %a.number ], [ %begins.at, %layout ], [ %begins.at, %compare ]
  %facts1 = phi ptr [ %wanted.sizes, %a.number ], [ %wanted.sizes, %layout ], [ %behind, %compare ]
  %slot = getelementptr i64, ptr %params, i64 %place
  store i64 %put, ptr %slot
  %n1 = add i64 %n, 1
  br label %argument
all:
  %crew = pointer %block crew
  %alone = icmp eq ptr %crew, null
  br i1 %alone, label %manned, label %count
count:
  %is.ready = word %crew 0
  %hired = word %crew 3
  %wanted = word %crew 4
  %most = word %block most
  %useful.workers = sub i64 %most, 1
  %ready = icmp ne i64 %is.ready, 0
  %hired.all = icmp sge i64 %hired, %wanted
  %hired.enough = icmp sge i64 %hired, %useful.workers
  %hired.some = or i1 %hired.all, %hired.enough
  %manned.so.far = and i1 %ready, %hired.some
  %nobody.needed = icmp sle i64 %most, 1
  %go = or i1 %manned.so.far, %nobody.needed
  br i1 %go, label %manned, label %declined
manned:
  %keep = pointer %block keep
  %makes = word %block makes
  %is.made = icmp ne i64 %makes, 0
  br i1 %is.made, label %make, label %keep.given
make:
  %make.array = pointer %block new
  %type.ptr = inttoptr i64 %type to ptr
  %made.dtype = pointer %block dtype
  %made.dims.32 = trunc i64 %made.dims to i32
  call void %keep(ptr %made.dtype)
  %made = call ptr %make.array(ptr %type.ptr, ptr %made.dtype, i32 %made.dims.32, ptr %made.sizes, ptr null, ptr null, i32 0, ptr null)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %error, label %place.made
place.made:
  %made.data.at = getelementptr i8, ptr %made, i64 HEADER
  %made.data = load i64, ptr %made.data.at
  %made.begin = word %block begin
  %made.begins.at = add i64 %made.data, %made.begin
  %made.place = word %block place
  %made.slot = getelementptr i64, ptr %params, i64 %made.place
  store i64 %made.begins.at, ptr %made.slot
  br label %run
keep.given:
  %back = word %block returned
  %given.back = pointer %args %back
  call void %keep(ptr %given.back)
  br label %run
run:
  %result = phi ptr [ %made, %place.made ], [ %given.back, %keep.given ]
  %kernel = pointer %block kernel
  %bytes = word %block scratch
  %phases = word %block phases
  %own = icmp ne i64 %bytes, 0
  br i1 %own, label %stacked, label %begin.phases
stacked:
  %scratch = alloca i8, i64 %bytes, align 64
  store i64 IN_USE, ptr %scratch
  %scratch.place = word %block scratch_place
  %scratch.slot = getelementptr ptr, ptr %params, i64 %scratch.place
  store ptr %scratch, ptr %scratch.slot
  br label %begin.phases
begin.phases:
  %first = getelementptr i64, ptr %shared, i64 %words
  %told.to = getelementptr i64, ptr %params, i64 %words
  br i1 %alone, label %next, label %release
release:
  %release.lock = pointer %block release
  %thread = call ptr %release.lock()
  br label %next
next:
  %done = phi i64 [ 0, %begin.phases ], [ 0, %release ], [ %done1, %after ]
  %at = phi ptr [ %first, %begin.phases ], [ %first, %release ], [ %following, %after ]
  %thread.state = phi ptr [ null, %begin.phases ], [ %thread, %release ], [ %thread.state, %after ]
  %more = icmp slt i64 %done, %phases
  br i1 %more, label %phase, label %end
phase:
  %tasks = word %at 0
  %told.words = word %at 1
  %told = getelementptr i64, ptr %at, i64 2
  call void @copy(ptr %told, ptr %told.to, i64 %told.words)
  %one.task = icmp eq i64 %tasks, 1
  %by.one = or i1 %alone, %one.task
  br i1 %by.one, label %call, label %shared.out
shared.out:
  %sweep = pointer %crew 1
  %in.order = pointer %crew 5
  %again = icmp ugt i64 %phases, 2
  %hand.over = select i1 %again, ptr %in.order, ptr %sweep
  %state = pointer %crew 2
  %nobody = icmp eq ptr %sweep, null
  br i1 %nobody, label %call, label %hand
hand:
  call void %hand.over(ptr %state, ptr %kernel, ptr %params, i64 %tasks)
  br label %after
call:
  call void %kernel(ptr %params, i64 0, i64 %tasks)
  br label %after
after:
  %following = getelementptr i64, ptr %told, i64 %told.words
  %done1 = add i64 %done, 1
  br label %next
end:
  br i1 %alone, label %give, label %acquire
acquire:
  %acquire.lock = pointer %block acquire
  call void %acquire.lock(ptr %thread.state)
  br label %give
give:
  ret ptr %result
declined:
  %none = pointer %block none
  %keep.none = pointer %block keep
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
            f"%{m[1]}.there = getelementptr i64, ptr {m[3]}, i64 {_AT.get(m[4], m[4])}\n"
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
        "HEAD": len(_HEAD),
        "TYPE": (HEADER or 0) - 8,
        "MEMORY": _MEMORY,
        "NUMBER": _NUMBER,
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


#: functions refer to theirs as long as they are
_DEFINITIONS: list[_Definition] = []


class _Start:
    """What makes functions, and addresses that their blocks need."""

    def __init__(self) -> None:
        """Raises: RuntimeError, AttributeError: not as it should be."""
        text = _text()
        native = jit.load("direct", text, lambda: text, ("direct",))
        self.definition = _Definition(b"loop", native.address, _FASTCALL, None)
        _DEFINITIONS.append(self.definition)
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
        called = (python.Py_IncRef, python.PyEval_SaveThread, python.PyEval_RestoreThread)
        keep, release, acquire = [ctypes.cast(function, ctypes.c_void_p).value for function in called]
        self.head = {
            "keep": keep,
            "release": release,
            "acquire": acquire,
            "new": new,
            "arrays": array_type,
            "none": id(None),
        }
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
    """Whether arrays and numbers are seen, refused and made as they should be, by a job that has nothing to do."""
    a = np.arange(6.0).reshape(2, 3)
    layouts = [(b.shape, b.strides, b.dtype) for b in (a, a.T)]
    for (shape, strides, kind), given in itertools.product(layouts, (a, a.T, a[:1], a > 1, a.tolist())):
        alike = isinstance(given, np.ndarray) and (given.shape, given.strides, given.dtype) == (
            shape,
            strides,
            kind,
        )
        job = Job(0, [(shape, strides, kind)], (shape, kind), (0, 0))
        made = start.function(_block(start, job))(given)
        if (made is not None) != alike or alike and (made.shape, made.dtype) != (shape, kind):
            return False
    return all(_held(number) for number in (np.float32(-0.7), np.float64(0.7), np.int64(-5), np.bool_(True)))


def _held(number: Any) -> bool:
    """Whether a number's value is where it should be."""
    content = (ctypes.c_char * number.nbytes).from_address(id(number) + (HEADER or 0))
    return bytes(content) == number.tobytes() and type(number).__basicsize__ >= (HEADER or 0) + 8


class Job(NamedTuple):
    """What a function does.

    Attributes:
        address: of the kernel.
        given: its arguments.
        made: shape and type of the array that is made, row-major, as the last of the kernel's; if none is, the last array that is given
            is given back.
        begins: of each array the bytes from its first element to the one where the loop begins.
        scalars: the parameters after the arrays and the scratch memory, whole words; first, with room for these, the numbers that
            are given.
        phases: of each, its tasks and the parameters after the scalars.
        scratch: bytes of scratch memory on the caller's stack, whose first word says that one piece of it is in use.
        crew: what `threads.crew` gives, if other threads help.
    """

    address: int
    given: Sequence[Facts | Memory | Number]
    made: tuple[tuple[int, ...], np.dtype] | None
    begins: Sequence[int]
    scalars: bytes = b""
    phases: Sequence[tuple[int, bytes]] = ()
    scratch: int = 0
    crew: int = 0


def _block(start: _Start, job: Job) -> bytes:
    """What the code reads, see above."""
    arrays = [n for n, fact in enumerate(job.given) if type(fact) is tuple]
    count = len(arrays) + (job.made is not None)
    shape, kind = job.made or ((), np.dtype(np.float64))
    facts = _facts(job.given, job.begins, count)
    head: dict[str, Any] = {
        **start.head,
        "kernel": job.address,
        "arguments": len(job.given),
        "makes": job.made is not None,
        "returned": arrays[-1],
        "scratch": job.scratch,
        "scratch_place": count,
        "words": count + 1 + len(job.scalars) // 8,
        "phases": len(job.phases),
        "most": max([tasks for tasks, _ in job.phases], default=0),
        "crew": job.crew,
        "facts": len(facts),
        "dtype": id(_known(kind)),
        "begin": job.begins[-1],
        "place": count - 1,
        "dims": len(shape),
    }
    words = [*[int(head[name]) for name in _HEAD], *shape, *facts]
    return b"".join(
        [
            struct.pack(f"={len(words)}q", *words),
            bytes(8 * (count + 1)),
            job.scalars,
            *[struct.pack("=2q", tasks, len(told) // 8) + told for tasks, told in job.phases],
        ]
    )


def _known(kind: np.dtype) -> np.dtype:
    """The dtype that lives as long as the process: its address stands for it."""
    return np.dtype(kind.type)


def _facts(given: Sequence[Facts | Memory | Number], begins: Sequence[int], count: int) -> list[int]:
    """What blocks say of arguments. Of memory: its place, and that it has any layout; of a number: its place, the address of its type,
    that it is one, and which bits of its word count."""
    found: list[int] = []
    arrays = numbers = 0
    for fact in given:
        if isinstance(fact, Memory):
            found += [count, 0, _MEMORY, 0]
        elif isinstance(fact, Number):
            numbers += 1
            mask = (1 << 8 * fact.kind.itemsize) - 1
            found += [count + numbers, id(fact.kind.type), _NUMBER, mask - (mask >> 63 << 64)]
        else:
            shape, strides, kind = fact
            found += [arrays, id(_known(kind)), len(shape), begins[arrays], *shape, *strides]
            arrays += 1
    return found


def caller(job: Job) -> Callable[..., Any] | None:
    """A job as a function of its arguments; None where it is too large, or there are no such functions.

    It gives the array that it makes, or the last that is given; see Note [Declined].
    """
    start = _start()
    if start is None or job.scratch > STACKED:
        return None
    words = len(job.given) + 2 + len(job.scalars) // 8 + max([len(told) // 8 for _, told in job.phases])
    return None if words > _MOST else start.function(_block(start, job))
