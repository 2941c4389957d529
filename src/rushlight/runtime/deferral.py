"""Where a large elementwise operation becomes an expression, or is left to NumPy.

What decides is the operation, the types and the sizes alone. `eager()` and `RUSHLIGHT_FUSE=0` compute each operation at once,
by the same loops, so that not a bit changes; `RUSHLIGHT_TIER=numpy` does without loops of our own, and `RUSHLIGHT_TIER=jit`
uses them for the smallest arrays too.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor, storage, watch
from rushlight.dtypes import ALL, BFLOAT16, WIDE, dtype
from rushlight.graph.expr import MOST_BYTES, Outline, Pending, array_of, forget, settle
from rushlight.graph.fragment import Untraceable, char
from rushlight.graph.trace import identity, trace
from rushlight.layout import NUMBER, broadcast, result_strides, row_strides
from rushlight.lock import LOCK
from rushlight.memory import address

#: the sum of a large expression that waits, weakly: one at most, since it keeps what its expression reads; see `totals`
TOTALS: list[weakref.ref[Pending]] = []
#: readers of one memory, among which those that are done are looked for
MANY = 16


def _tier() -> str:
    """`RUSHLIGHT_TIER`."""
    chosen = os.environ.get("RUSHLIGHT_TIER", "auto")
    if chosen not in ("auto", "numpy", "jit"):
        raise ValueError(f"RUSHLIGHT_TIER must be auto, numpy or jit, but is {chosen!r}")
    return chosen


TIER = _tier()
#: elements from which on an operation is a loop of ours: results of what is one pass of NumPy's; of what takes it much longer than
#: moving the elements; of what takes it some twenty passes, as polynomials do; of several polynomials, whose loop takes long
#: to compile; operands of reductions; of scans. Smaller ones NumPy does before our loop would have begun.
FROM, FROM_COSTLY, FROM_SERIES, FROM_PIECES, FROM_REDUCED, FROM_SCANNED = (
    (1, 1, 1, 1, 1, 1) if TIER == "jit" else (1 << 18, 1 << 14, 1 << 11, 1 << 19, 1 << 13, 1 << 12)
)
#: elements from which on a sum that a gradient may be wanted of waits: computing it takes ten times as long as what waiting costs
FROM_TOTAL = 1 if TIER == "jit" else 1 << 19
#: functions of one operand are loops of ours from here on, and up to `FROM_COSTLY` computed at once: there is nothing else to do;
#: so are rows that are normalised (softmax, layer_norm), which take NumPy several passes
FROM_MAPPED = 1 if TIER == "jit" else 1 << 12


#: operations on float16 and bfloat16, whose elements NumPy converts one by one, several times over
FROM_HALF = 1 if TIER == "jit" else 1 << 12


@cache
def can_compile() -> bool:
    """Whether there is a compiler here; found out when first asked, since that takes a while."""
    with LOCK:
        from rushlight.native import jit

        if not jit.available():
            return False
        from rushlight.graph import fuse, reduction, scan

        _LOOPS.reduced, _LOOPS.ready = reduction.reduced, reduction.ready
        _LOOPS.scanned, _LOOPS.scan_ready = scan.scanned, scan.ready
        _LOOPS.mapped = fuse.mapped
        from rushlight.runtime import totals

        _LOOPS.total = totals.total
        return True


class _Loops:
    """What is imported late, so that every call need not ask for it again."""

    reduced: Any
    ready: Any
    scanned: Any
    scan_ready: Any
    mapped: Any
    total: Any


_LOOPS = _Loops()


class _Switches:
    """How operations on large tensors are computed.

    Attributes:
        fuse: whether they may wait for one another.
    """

    __slots__ = ("fuse",)

    def __init__(self) -> None:
        self.fuse = os.environ.get("RUSHLIGHT_FUSE", "1") not in ("0", "")


SWITCHES = _Switches()


@contextmanager
def eager() -> Iterator[None]:
    """Compute every operation when it is called. Results do not change by a bit; large expressions take more time.

    Example:
        >>> import rushlight as torch
        >>> with torch.eager():
        ...     y = torch.ones(300, 300) * 2 + 1
        >>> y.sum()
        tensor(270000.)
    """
    before, SWITCHES.fuse = SWITCHES.fuse, False
    try:
        yield
    finally:
        SWITCHES.fuse = before


def launch(
    name: str,
    function: Callable,
    operands: tuple,
    computed: tuple[dtype, ...],
    result: dtype,
    attrs: dict | None = None,
    as_number: Callable[..., Any] = lambda value, kind: value._a if isinstance(value, Tensor) else value,
    strides_of: Callable = result_strides,
    least: int = FROM,
    waits: int = 0,
) -> Any:
    """The result of an elementwise operation as a pending array; an array if it may not wait; None if NumPy is to do it.

    Args:
        function: its meaning on arrays.
        operands: tensors and numbers.
        computed: for each operand the type that it enters the computation with; half types are computed in float32.
        result: the type of the result.
        as_number: (number or tensor without dimensions, its type in `computed`) -> the number that enters.
        strides_of: the strides that the result gets, see `rushlight.layout`.
        least: the size of a result, in elements, from which on loops of our own are used.
        waits: the size from which on results may wait.

    Raises:
        RuntimeError: shapes that do not go together.
    """
    if _STORED[result.index] is None:
        return None
    for value in operands:
        if isinstance(value, Tensor) and value._a.size >= least:
            break
    else:  # a large result that is broadcast, or none
        if _extent(operands)[1] < least:
            return None
    args: list[Any] = list(operands)
    layouts: list[_Layout] = []
    tensors, waiting = [], False
    for n, value in enumerate(operands):
        if not isinstance(value, Tensor) or not value._a.ndim:
            layouts.append(None)
            args[n] = np.asarray(as_number(value, computed[n]))[()]
            continue
        a = value._a
        if type(a) is Pending:
            if a.value is not None:
                a = a.value
            waiting = True
        args[n] = a
        layouts.append((a.shape, a.strides, value._dtype))
        tensors.append(value)
    key: tuple | None = (name, function, computed, result, strides_of, *layouts)
    if attrs:
        named = [(attr, identity(value)) for attr, value in attrs.items()]
        key = None if any(fact is None for _, fact in named) else (key, *named)
    outline = _OUTLINES.get(key)
    if outline is None:
        shape, size, first = _extent(operands)
        if not size or first is None or not can_compile():
            return None
        outline = _outline(name, function, computed, result, attrs or {}, strides_of, shape, layouts)
        if outline is None:
            return None
        if key is not None:
            if len(_OUTLINES) >= _MOST_OUTLINES:
                _OUTLINES.clear()
            _OUTLINES[key] = outline
    if waiting:
        for n, a in enumerate(args):
            if type(a) is Pending and a.work is None and a.shape != outline.shape:
                args[n] = a.look()
    p = Pending(outline, args)
    if p.heavy():  # what it is made of first: computed with it, operands that are about to die would be stored all the same
        p = Pending(outline, list(map(array_of, args)))
    at_once = not SWITCHES.fuse or p.nbytes > MOST_BYTES or p.size < waits
    if not at_once:
        ref = weakref.ref(p)
        for t in tensors:
            buffer = t._buf
            found = watch(storage(t)) if buffer is None or buffer.watch is None else buffer.watch
            at_once = at_once or found.exposed
            found.readers.append(ref)
            if len(found.readers) > MANY:
                forget(found.readers)
    return p.look() if at_once else p


#: the shape, strides and type of an operand; None for a number
_Layout = tuple[tuple[int, ...], tuple[int, ...], dtype] | None
#: the outlines of calls, by the facts that they follow from; forgotten all at once when there are many
_OUTLINES: dict[tuple | None, Outline] = {}
_MOST_OUTLINES = 4096


def _outline(
    name: str,
    function: Callable,
    computed: tuple[dtype, ...],
    result: dtype,
    attrs: dict,
    strides_of: Callable,
    shape: tuple[int, ...],
    layouts: list[_Layout],
) -> Outline | None:
    """What `launch` leaves waiting for operands like these; None if NumPy is to do it."""
    casts: list[tuple[str, ...]] = []
    for kind, layout in zip(computed, layouts):
        cast = _ENTERS[kind.index]
        if cast is None or layout is not None and _STORED[layout[2].index] is None:
            return None
        # (copying looks at no bit)
        casts.append(cast[-1:] if layout is None else cast[:1] if function is np.positive else cast)
    try:
        fragment = trace(function, tuple([cast[-1] for cast in casts]), attrs)
    except Untraceable:
        return None
    walked = [
        NUMBER if layout is None else (layout[0], layout[1], layout[2].itemsize, layout[2] is not kind)
        for layout, kind in zip(layouts, computed)
    ]
    strides = strides_of(shape, result.itemsize, tuple(walked))
    return Outline(name, fragment, tuple(casts), shape, result.numpy, strides)


#: by the index of a type: its kind in memory, and the kinds that an operand passes through on the way to the one that is
#: computed in (a half is rounded to before it becomes a float32)
_STORED = ["E" if d is BFLOAT16 else char(d.numpy) for d in ALL]
_ENTERS: list[Any] = [
    None
    if _STORED[d.index] is None
    else ("E" if d is BFLOAT16 else d.numpy.char, WIDE[d].numpy.char)
    if d in WIDE
    else (char(d.numpy),)
    for d in ALL
]


def _extent(operands: tuple) -> tuple[tuple[int, ...], int, Any]:
    """The shape of the result, its elements, and the first array that has dimensions."""
    first: Any = None
    shape: tuple[int, ...] = ()
    for t in operands:
        if isinstance(t, Tensor):
            a = t._a
            if first is None and a.ndim:
                first, shape = a, a.shape
            elif a.shape != shape:
                shape = broadcast(shape, a.shape)
    size = 1
    for n in shape:
        size *= n
    return shape, size, first


def tensor_on(a: Any, kind: dtype) -> Tensor:
    """A tensor on what `launch` gave."""
    t = new_tensor(a, kind)
    if type(a) is Pending:
        a.holders.append(weakref.ref(t))
    return t


def reduced(
    function: Callable,
    arrays: tuple,
    dims: tuple[int, ...],
    keepdim: bool = True,
    attrs: dict | None = None,
    to: np.dtype | None = None,
    least: int = FROM_REDUCED,
) -> Any:
    """What a function that reduces large arrays over `dims` gives, by a loop of our own; None if NumPy is to do it.

    A result, or a tuple of them; see `rushlight.graph.reduction.reduced`.

    Args:
        least: the size of the first array, in elements, from which on it is worth a loop.
    """
    if not arrays[0].size or arrays[0].size < least or not can_compile():
        return None
    made = _LOOPS.reduced(function, arrays, dims, keepdim, attrs, to)
    return made[0] if made is not None and len(made) == 1 else made


def ready(
    function: Callable,
    a: np.ndarray,
    dims: tuple[int, ...],
    keepdim: bool,
    attrs: dict | None = None,
    to: np.dtype | None = None,
) -> Callable[[np.ndarray], Any] | None:
    """The loop that `reduced` ran for a call like this one, as a function that gives the result, or None of an array that is not
    alike; None if there is none."""
    if a.size < FROM_REDUCED or not can_compile():
        return None
    return _LOOPS.ready(function, a, dims, keepdim, attrs, to)


def mapped(
    function: Callable, arrays: Sequence[np.ndarray], shape: tuple[int, ...], kind: np.dtype
) -> Callable[..., Any] | None:
    """An elementwise function of arrays with these layouts, whose result is not large, as a loop of our own: it gives the result,
    row-major, of this shape and type, or None of arrays that are not alike. None if there is no such loop.
    """
    return _LOOPS.mapped(function, arrays, shape, kind) if can_compile() else None


def total(name: str, t: Tensor, call: tuple, attrs: dict | None, otherwise: Callable) -> Tensor:
    """The sum of all elements of a tensor that waits itself, computed when somebody looks; see `rushlight.runtime.totals.total`."""
    return _LOOPS.total(name, t, call, attrs, otherwise)


def scanned(ufunc: np.ufunc, a: Any, dim: int, wide: np.dtype, kind: np.dtype, reverse: bool = False) -> Any:
    """`ufunc.accumulate` of a large array by a loop of our own, row-major; None if NumPy is to do it.

    See `rushlight.graph.scan.scanned`.
    """
    if not a.size or a.size < FROM_SCANNED or not can_compile():
        return None
    return _LOOPS.scanned(ufunc, a, dim, wide, kind, reverse)


def scan_ready(
    ufunc: np.ufunc, a: np.ndarray, dim: int, wide: np.dtype, kind: np.dtype
) -> Callable[[np.ndarray], Any] | None:
    """The loop that `scanned` ran for a call like this one, forwards; as `ready`."""
    if a.size < FROM_SCANNED or not can_compile():
        return None
    return _LOOPS.scan_ready(ufunc, a, dim, wide, kind)


def stepwise(function: Callable, arrays: Sequence, outs: Sequence) -> Callable[[int], None] | None:
    """A loop of ours for each step of a sequence, long or wide enough for that; None if NumPy is to do it.

    See `rushlight.graph.stepwise.stepwise`.
    """
    if not outs[0].size or outs[0].size < FROM_SERIES or not can_compile():
        return None
    from rushlight.graph.stepwise import stepwise

    return stepwise(function, arrays, outs)


def written(new: Pending, t: Tensor) -> bool:
    """Make a pending result the content of `t`, which must have its shape and type; False if it has to be copied.

    1. Where `t` itself still waits, its expression is replaced; all handles on it show the new one.
    2. Otherwise it is computed straight into the memory of `t`.
    """
    old = t._a
    if type(old) is not Pending or old.value is not None or new.work is not None:
        return computed_into(new, array_of(old))
    buffer: Any = storage(t)
    if buffer.array is not old or new.value is not None:
        return False
    handles = [h for ref in old.holders if (h := ref()) is not None and h._a is old]
    # (the handles, the buffer, this function, `getrefcount`; anybody else keeps the old values, or is a handle not known here)
    known = len(handles) + 3 + sum([arg is old for arg in new.args])
    if old.strides != new.strides or sys.getrefcount(old) > known:
        return False
    for h in handles:
        h._a = new
        new.holders.append(weakref.ref(h))
    buffer.array = new
    watch(buffer).readers = new.readers
    return True


def computed_into(p: Pending, out: np.ndarray) -> bool:
    """Compute what is pending straight into memory that exists; False if it has to be computed elsewhere first.

    The expression may read that memory, element for element as it is written.
    """
    if (
        p.value is not None
        or p.work is not None
        or char(out.dtype) is None
        or 0 in out.strides
        or out.shape != p.shape
    ):
        return False
    from rushlight.graph.fuse import inputs_of, store

    with LOCK:
        for a in inputs_of(p):
            same = a.shape == out.shape and a.strides == out.strides and a.itemsize == out.itemsize
            if np.may_share_memory(a, out) and not (same and address(a) == address(out)):
                return False
        store(p, out)
    return True


#: words and their kinds, by bytes: what is copied is not looked at
_WORDS = {word.itemsize: (word, str(char(word))) for word in map(np.dtype, ("u1", "u2", "u4", "u8"))}


def copied_into(a: Any, out: np.ndarray) -> bool:
    """Copy an array to other memory, for its shape and type, by a loop of our own; False if NumPy is to do it, which is as
    fast where both lie in the same order without gaps."""
    word, kind = _WORDS.get(a.itemsize, (None, ""))
    alike = a.flags.c_contiguous and out.flags.c_contiguous or a.flags.f_contiguous and out.flags.f_contiguous
    if word is None or a.size < FROM or alike or 0 in out.strides or not can_compile():
        return False
    from rushlight.graph.fuse import store

    a, out = array_of(a).view(word), out.view(word)
    outline = _copy(kind, a.shape, word, a.strides, out.strides)
    with LOCK:
        store(Pending(outline, (a,)), out)
    return True


@lru_cache(_MOST_OUTLINES)
def _copy(
    kind: str, shape: tuple[int, ...], word: np.dtype, walked: tuple[int, ...], strides: tuple[int, ...]
) -> Outline:
    """Copying elements that lie at the steps `walked`."""
    return Outline("copy", trace(np.positive, (kind,), {}), ((kind,),), shape, word, strides)


def filled(shape: tuple[int, ...], value: Any) -> Any:
    """A large array that shows a number (of a NumPy type) at every place, row-major, pending if it may be; None if NumPy is to do it."""
    kind = char(value.dtype)
    if kind is None or not can_compile():
        return None
    p = Pending(_filling(kind, shape, value.dtype), (value,))
    return p if SWITCHES.fuse and p.nbytes <= MOST_BYTES else p.look()


@lru_cache(_MOST_OUTLINES)
def _filling(kind: str, shape: tuple[int, ...], of: np.dtype) -> Outline:
    return Outline(
        "full", trace(np.positive, (kind,), {}), ((kind,),), shape, of, row_strides(shape, of.itemsize, ())
    )


def large(a: Any) -> bool:
    """Whether an operation on this array may be one of our own loops."""
    return a.size >= FROM and can_compile()


def before_write(t: Tensor) -> None:
    """Compute what reads the memory of `t`, which is about to be written to."""
    buffer = t._buf
    if buffer is not None and buffer.watch is not None:
        settle(buffer.watch.readers)
