"""Pending arrays: results that are computed when someone looks, as part of one loop with their neighbours.

A `Pending` stands where a tensor's NumPy array would be. It knows its shape, strides and type, so whatever asks
only these finds them; everything else (an attribute, an operator, a NumPy function) is a look, which computes it and goes on
with the array. So nothing can see memory that has not been written.

Note [Hazards]: an expression reads the memory of arrays that exist. Before that memory is written to, the pending
arrays that read it are computed (`Buffer.readers`, `settle`). That is the only hazard. Memory that others can
write to unseen (a NumPy array that shares it) is never read later: its readers are computed at once.

Note [Liveness]: when a pending array is computed, so are those it is made of, in the same loop; they are stored only if
somebody else still holds them. Python's reference counts tell: those from expressions of this loop are known, and any other means
that somebody may look. To be wrong costs a store or a second computation, never a value.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.graph.fragment import DTYPES, Fragment
from rushlight.lock import LOCK

#: what may be waiting in one expression: instructions, arrays it reads, and operations on top of one another
MOST_INSTRUCTIONS = 96
MOST_INPUTS = 8
MOST_DEPTH = 32
#: bytes of a result that may wait; that there is no memory for more is said by the call
MOST_BYTES = 1 << 30


class Flags:
    """What NumPy says about the memory that a pending array will have: fresh, dense and writeable."""

    __slots__ = ("c_contiguous", "f_contiguous")
    writeable = owndata = aligned = behaved = True

    def __init__(self, shape: tuple[int, ...], strides: tuple[int, ...], item: int) -> None:
        self.c_contiguous = _walks(shape, strides, item)
        self.f_contiguous = _walks(shape[::-1], strides[::-1], item)

    forc = property(lambda self: self.c_contiguous or self.f_contiguous)
    contiguous = property(lambda self: self.c_contiguous)
    fnc = property(lambda self: self.f_contiguous and not self.c_contiguous)
    carray = property(lambda self: self.c_contiguous)
    farray = fnc


def _walks(shape: tuple[int, ...], strides: tuple[int, ...], step: int) -> bool:
    for n, stride in zip(reversed(shape), reversed(strides)):
        if n != 1 and stride != step:
            return False
        step *= n
    return True


class Outline:
    """An elementwise operation on operands of certain types and layouts: all that a pending array is, but for what it is made of.

    Alike calls share one, so that it stands for all of this where work is looked up that was done before.

    Attributes:
        name: the operation's.
        fragment: the instructions.
        casts: for each operand the kinds that it passes through on the way to the one computed in.
        shape, dtype, strides, size, nbytes, itemsize, ndim: those of the result.
        weight: how many instructions it comes to.
        given: the values of the numbers that the instructions bring, each of its kind.
        quick: what computed one that was made of different arrays, each in memory, as a function of the operands, which gives None if it
            is not to be used; None before that.
    """

    __slots__ = (
        "name",
        "fragment",
        "casts",
        "shape",
        "dtype",
        "strides",
        "ndim",
        "size",
        "nbytes",
        "itemsize",
        "weight",
        "given",
        "quick",
    )

    def __init__(
        self,
        name: str,
        fragment: Fragment,
        casts: tuple,
        shape: tuple[int, ...],
        dtype: np.dtype,
        strides: tuple[int, ...],
    ) -> None:
        self.name = name
        self.fragment = fragment
        self.casts = casts
        self.shape = shape
        self.dtype = dtype
        self.strides = strides
        self.ndim = len(shape)
        self.size = math.prod(shape)
        self.itemsize = dtype.itemsize
        self.nbytes = self.size * dtype.itemsize
        self.weight = len(fragment.insts) + 1
        self.given = [DTYPES[kind].type(value) for kind, value in fragment.numbers]
        self.quick: Any = None


class Pending:
    """An elementwise result that is not computed yet.

    Attributes:
        shape, dtype, strides, size, nbytes, itemsize, ndim: those of the array to be.
        outline: what is done.
        args: for each operand a Pending, or the array to be read, or a number.
        depth, inputs, instructions: how much waits in it.
        value: the array, once it is computed.
        holders: the tensors that show it, to be given the array when there is one.
        readers: the pending arrays made of this one; those that remain when it is computed read its memory.
        work: what computes it, if it is no expression but a reduction; see `rushlight.graph.together`.
    """

    __slots__ = (
        "shape",
        "dtype",
        "strides",
        "ndim",
        "size",
        "nbytes",
        "itemsize",
        "outline",
        "args",
        "depth",
        "instructions",
        "inputs",
        "value",
        "holders",
        "readers",
        "temporary",
        "work",
        "__weakref__",
    )

    #: fresh memory is nobody's view
    base = None

    def __init__(self, outline: Outline, args: Sequence[Any]) -> None:
        self.outline = outline
        self.args = args
        self.shape = outline.shape
        self.dtype = outline.dtype
        self.strides = outline.strides
        self.ndim = outline.ndim
        self.size = outline.size
        self.itemsize = outline.itemsize
        self.nbytes = outline.nbytes
        self.value: np.ndarray | None = None
        self.holders: list[weakref.ref] = []
        self.readers: list[weakref.ref] = []
        self.temporary = False
        self.work: Any = None
        depth, instructions = 0, outline.weight
        inputs = set()
        for arg in args:
            if type(arg) is np.ndarray or type(arg) is Pending and arg.work is not None:
                inputs.add(id(arg))
            elif type(arg) is Pending:
                if arg.depth > depth:
                    depth = arg.depth
                instructions += arg.instructions
                inputs |= arg.inputs
        self.depth = depth + 1
        self.instructions = instructions
        self.inputs = inputs

    def heavy(self) -> bool:
        """Whether so much waits below it that it is better computed now."""
        return (
            self.depth > MOST_DEPTH or self.instructions > MOST_INSTRUCTIONS or len(self.inputs) > MOST_INPUTS
        )

    # ---- looking ----

    def look(self) -> np.ndarray:
        """The array, computed if it has not been.

        Raises:
            MemoryError: there is no memory for it; it stays pending.
        """
        value = self.value
        if value is None:
            with LOCK:
                if self.value is None:
                    if self.work is None:
                        _LOOPS.compute(self)
                    else:
                        self.work.compute(self)
                value = self.value
        assert value is not None
        return value

    def settled(self, value: np.ndarray) -> None:
        """Take the computed array, forget how, and give it to the tensors that show this."""
        self.value = value
        self.work = None
        self.args = ()
        self.inputs = _NONE
        self.depth = self.instructions = 0
        for ref in self.holders:
            t = ref()
            if t is not None and t._a is self:
                t._a = value
                if t._buf is not None and t._buf.array is self:
                    t._buf.array = value
        self.holders = []

    @property
    def flags(self) -> Any:
        return Flags(self.shape, self.strides, self.itemsize) if self.value is None else self.value.flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__array_interface__", "__array_struct__"):
            raise AttributeError(name)
        return getattr(self.look(), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self.look()
        if dtype is not None and dtype != value.dtype:
            return value.astype(dtype)
        return value.copy() if copy else value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            kwargs["out"] = tuple([array_of(a) for a in kwargs["out"]])
        if "where" in kwargs:
            kwargs["where"] = array_of(kwargs["where"])
        return getattr(ufunc, method)(*[array_of(a) for a in inputs], **kwargs)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        return function(*_looked(args), **{name: _looked(value) for name, value in kwargs.items()})


#: the arrays that what is computed waits for
_NONE: set[int] = set()


class _Loops:
    """What computes pending arrays; `rushlight.graph.fuse`, which comes with the compiler, says it when it is first needed."""

    compute: Callable[[Pending], None]


_LOOPS = _Loops()


def computed_by(compute: Callable[[Pending], None]) -> None:
    """Say what computes pending arrays."""
    _LOOPS.compute = compute  # type: ignore[method-assign]


def array_of(value: Any) -> Any:
    """The array, where a pending one may stand."""
    return value.look() if type(value) is Pending else value


def computed(value: Any) -> Any:
    """The array of what is computed already, or is a reduction, which is computed; an expression, and anything else, itself."""
    if type(value) is Pending and (value.value is not None or value.work is not None):
        return value.look()
    return value


def _looked(value: Any) -> Any:
    if type(value) is Pending:
        return value.look()
    if type(value) in (tuple, list):
        return type(value)([_looked(v) for v in value])
    return value


def _delegated(name: str) -> Callable:
    def method(self: Pending, *args: Any) -> Any:
        return getattr(self.look(), name)(*_looked(args))

    method.__name__ = name
    return method


for _name in (
    "add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv rfloordiv ifloordiv mod rmod imod "
    "pow rpow ipow matmul rmatmul and rand iand or ror ior xor rxor ixor lshift rlshift ilshift rshift rrshift irshift "
    "neg pos abs invert lt le gt ge eq ne getitem setitem len iter bool int float complex index contains "
    "dlpack dlpack_device copy deepcopy reduce_ex"
).split():
    setattr(Pending, f"__{_name}__", _delegated(f"__{_name}__"))
Pending.__hash__ = object.__hash__  # type: ignore[method-assign,assignment]


def forget(readers: list[weakref.ref]) -> None:
    """Drop those that are computed, or gone."""
    readers[:] = [ref for ref in readers if (p := ref()) is not None and p.value is None]


def settle(readers: list[weakref.ref]) -> None:
    """Compute the pending arrays that read some memory, which is about to be written to; see Note [Hazards]."""
    while readers:
        ref = readers.pop()
        for total in _totals_of(ref()):  # (they need nothing stored that nobody else holds: nobody may, here)
            total.look()
        p = ref()
        if p is not None and p.value is None:
            p.look()


def _totals_of(p: Pending | None) -> list[Pending]:
    """The sums that wait for what is made of `p`."""
    if p is None or not p.readers or p.value is not None:
        return []
    found: list[Pending] = []
    seen, stack = {id(p)}, [p]
    while stack:
        for ref in stack.pop().readers:
            q = ref()
            if q is not None and q.value is None and id(q) not in seen:
                seen.add(id(q))
                (stack if q.work is None else found).append(q)
    return found
