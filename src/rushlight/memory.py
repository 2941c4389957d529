"""The memory pool: large results come from recycled blocks, so that no page is faulted twice.

The system clears every fresh page before a program may write to it, which costs more than most arithmetic on
it: of the time that `a * b` takes for 64 MB in fresh memory, the multiplication is the smaller part. So blocks of
`LARGE` bytes and more are kept when the last array on them dies, and handed out again. Smaller arrays
are none of the pool's business: the C library recycles those.

Note [The C library]: what is smaller than a threshold, glibc keeps when it is freed, unless there is twice as much of it
at the end of its heap. The threshold is 128 KiB at first, and grows to the size of the largest block that was freed
(malloc(3), M_MMAP_THRESHOLD); until then a training step that makes some arrays of 400 KiB has their pages
cleared in every step, a quarter of its time. So one block of `_TAUGHT` bytes is freed here, as most programs do
sooner or later. Where the environment sets the threshold, that stands.

Note [Leases]: a block is lent as a flat uint8 array made for that loan. NumPy makes that array the base of all
that shows its memory (views, views of views, the arrays behind exported buffers and DLPack capsules), because
below it comes no further array. A weak reference to it is therefore called when the last of them has died, and
not before.

Note [Returns]: that call may come in any thread and between any two instructions, also between two of this module.
So nothing here waits for anybody: what threads share is changed by single operations on dicts and deques, each of
which happens wholly or not at all. The running count of bytes in use only steers; what `stats` says is counted anew.

Note [Size]: kept blocks never make the process larger than its own peak. The bytes lent and kept together stay
within the most that was ever lent at once, and those kept within the limit; the blocks unused for longest
go first.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rushlight import cgroups, errors

__all__ = ["LARGE", "Stats", "empty_cache", "get_limit", "reset_peak_stats", "set_limit", "stats"]

#: bytes from which on a result comes from the pool; a function of nothing but its size
LARGE = 1 << 20

#: bytes of the block that teaches the C library what to keep; twice as many is the most that it keeps
_TAUGHT = 1 << 22
np.empty(_TAUGHT - (1 << 13), np.uint8)

_BYTE = np.dtype(np.uint8)
_HUGE_PAGE = 1 << 21
_HUGE_PAGES: int | None = getattr(mmap, "MADV_HUGEPAGE", None)
#: memory of this process alone: a child sees it as it was at the fork
_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


class Stats(NamedTuple):
    """What the pool does at the moment; sizes are those of blocks, in bytes.

    Attributes:
        in_use: lent to arrays that are alive.
        pooled: kept for reuse.
        limit: the most that may be kept.
        peak: the most that was in use at once, since the start or `reset_peak_stats()`.
        reused: requests that were answered with a kept block.
        mapped: requests that took fresh memory from the system.
    """

    in_use: int
    pooled: int
    limit: int
    peak: int
    reused: int
    mapped: int


class Block:
    """A piece of memory from the system, given back when this object dies."""

    __slots__ = ("map", "start", "size", "returned")

    def __init__(self, size: int) -> None:
        """Map `size` bytes, aligned to a huge page if one fits in. What is not touched takes no memory."""
        slack = _HUGE_PAGE if size >= _HUGE_PAGE and _HUGE_PAGES is not None else 0
        self.map = mmap.mmap(-1, size + slack, **_PRIVATE)
        self.start = 0
        self.size = size
        self.returned = 0
        if slack:
            at = np.frombuffer(self.map, _BYTE, 1).__array_interface__["data"][0]
            self.start = -at % _HUGE_PAGE
            try:
                self.map.madvise(_HUGE_PAGES)  # type: ignore[arg-type]
            except OSError:  # a kernel without them
                pass

    def lend(self) -> np.ndarray:
        """The memory as a flat array that is the base of whatever will show it; see Note [Leases]."""
        return np.frombuffer(self.map, _BYTE, self.size, self.start)


class Loan(weakref.ref):
    """A reference to the flat array of a block that is lent."""

    __slots__ = ("block",)
    block: Block


def block_size(nbytes: int) -> int:
    """The size class: eight to each doubling, so that at most an eighth of a block lies idle."""
    step = 1 << (nbytes - 1).bit_length() - 4
    return -(-nbytes // step) * step


class Pool:
    """Blocks by size, those kept and those lent.

    Attributes:
        make: size -> Block, or an OSError.
        kept: size -> blocks for reuse, unused for longest first.
        lent: the loans whose arrays are alive, by identity.
        highest: the most bytes that were ever in use at once; see Note [Size].
        poison: whether memory is filled with 0xFF (NaN, -1) while nobody owns it, to find what reads it.
    """

    def __init__(self, make: Callable[[int], Block] = Block) -> None:
        self.make = make
        self.bound: int | None = None
        self.kept: dict[int, deque[Block]] = {}
        self.lent: dict[int, Loan] = {}
        self.in_use = self.peak = self.highest = 0
        self.reused = self.mapped = self.returns = 0
        self.poison = False

    @property
    def limit(self) -> int:
        """The most bytes that may be kept; found out when first asked for, since asking the system takes a while."""
        if self.bound is None:
            self.bound = default_limit()
        return self.bound

    def lend(self, nbytes: int, size: int = 0) -> tuple[np.ndarray, bool]:
        """A block's memory as a flat array, and whether it is fresh (all zeros).

        The array's death is what ends the loan.

        Args:
            size: the size class of `nbytes`, where it is known.
        """
        size = size or block_size(nbytes)
        kept = self.kept.get(size)
        if kept is None:
            kept = self.kept.setdefault(size, deque())
        try:
            block = kept.pop()
            fresh = False
            self.reused += 1
        except IndexError:
            block = self._mapped(size, nbytes)
            fresh = True
            self.mapped += 1
        flat = block.lend()
        if fresh and self.poison:
            fresh = False
            flat.fill(0xFF)
        loan = Loan(flat, self._came_back)
        loan.block = block
        self.lent[id(loan)] = loan
        self.in_use = used = self.in_use + size
        if used > self.peak:
            self.peak = used
        if used > self.highest:
            self.highest = used
        return flat, fresh

    def _mapped(self, size: int, nbytes: int) -> Block:
        """Fresh memory, after dropping what Note [Size] does not allow beside it; all that is kept, if the system has no more."""
        self.highest = max(self.highest, self.in_use + size)
        self.trim(size)
        try:
            return self.make(size)
        except (OSError, ValueError, OverflowError, MemoryError):
            pooled = self.pooled()
            self.release()
        try:
            return self.make(size)
        except (OSError, ValueError, OverflowError, MemoryError):
            raise errors.OutOfMemory(nbytes, pooled, self.in_use) from None

    def _came_back(self, loan: Loan) -> None:
        """The last array on a block has died. (At exit too, when this module's globals are gone.)"""
        if self.lent.pop(id(loan), None) is None:
            return
        block = loan.block
        self.in_use -= block.size
        if self.poison:
            block.lend().fill(0xFF)
        self.returns += 1
        block.returned = self.returns
        self.kept[block.size].append(block)
        if (
            self.highest > self.limit
        ):  # (else no more is kept than was lent once; a return adds nothing to both together)
            self.trim()

    def pooled(self) -> int:
        """Bytes kept."""
        return sum([size * len(blocks) for size, blocks in list(self.kept.items())])

    def trim(self, room: int = 0) -> None:
        """Drop blocks until no more are kept than Note [Size] allows, with `room` more bytes in use."""
        allowed = max(0, min(self.limit, self.highest - self.in_use - room))
        while self.pooled() > allowed:
            try:
                oldest = min(
                    [blocks for blocks in list(self.kept.values()) if blocks],
                    key=lambda blocks: blocks[0].returned,
                )
                oldest.popleft()
            except (IndexError, ValueError):  # another thread was quicker
                continue

    def release(self) -> None:
        """Give all that is kept back to the system."""
        for blocks in list(self.kept.values()):
            blocks.clear()

    def recount(self) -> None:
        """Take the bytes in use from the loans themselves: an interrupt may have come between a loan and its count."""
        self.in_use = sum([loan.block.size for loan in list(self.lent.values())])

    def after_fork(self) -> None:
        """In the child: what is kept stays the parent's; what other threads had on loan is never returned."""
        self.release()
        self.recount()


# ---- how much may be kept ----


def default_limit() -> int:
    """A quarter of the memory that this process may use: the machine's, or its control group's."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 30
    return min([memory, *_group_limits()]) // 4


def _group_limits() -> list[int]:
    """The memory limits of this process's control group and of those around it (Linux)."""
    texts = [text.strip() for text in cgroups.read("memory", "memory.max", "memory.limit_in_bytes")]
    return [int(text) for text in texts if text.isdecimal()]  # the others say "max"


def _chosen_limit() -> int | None:
    """`RUSHLIGHT_POOL`, if it is set."""
    chosen = os.environ.get("RUSHLIGHT_POOL")
    if not chosen:
        return None
    if not chosen.isdecimal():
        raise ValueError(
            f"RUSHLIGHT_POOL must be a number of bytes (0 switches the memory pool off), but is {chosen!r}"
        )
    return int(chosen)


# ---- for the rest of the library ----

POOL = Pool()
POOL.bound = _chosen_limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.after_fork)
POOL.poison = os.environ.get("RUSHLIGHT_POISON", "0") not in ("", "0")


def array(shape: tuple[int, ...], kind: np.dtype, strides: tuple[int, ...] | None = None) -> np.ndarray:
    """An array of any content, as `np.empty` gives; from the pool if it is large.

    Args:
        strides: in bytes, dense; row-major if not given.

    Raises:
        MemoryError: neither the pool nor the system has the memory.
    """
    nbytes = kind.itemsize
    for n in shape:
        nbytes *= n
    if nbytes < LARGE or POOL.bound == 0:
        return np.empty(shape, kind) if strides is None else np.ndarray(shape, kind, None, 0, strides)
    return np.ndarray(shape, kind, POOL.lend(nbytes)[0], 0, strides)


def maker(
    shape: tuple[int, ...], kind: np.dtype, strides: tuple[int, ...] | None = None
) -> Callable[[], np.ndarray]:
    """`array` of one layout as a function, which is quicker."""
    nbytes = math.prod(shape) * kind.itemsize
    if nbytes < LARGE:
        return lambda: array(shape, kind, strides)
    size = block_size(nbytes)

    def make() -> np.ndarray:
        if POOL.bound == 0:
            return array(shape, kind, strides)
        return np.ndarray(shape, kind, POOL.lend(nbytes, size)[0], 0, strides)

    return make


def zeros(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """A row-major array of zeros. Memory fresh from the system is zero already, and takes no room until it is written to."""
    nbytes = math.prod(shape) * kind.itemsize
    if nbytes < LARGE or POOL.limit == 0:
        return np.zeros(shape, kind)
    flat, fresh = POOL.lend(nbytes)
    if not fresh:
        flat[:nbytes] = 0
    return np.ndarray(shape, kind, flat)


def _interface_address(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


def _header_address(a: np.ndarray) -> int:
    if type(a) is np.ndarray:
        return _pointer(id(a) + _HEADER).value or 0
    return _interface_address(a)


#: An array's pointer follows the object's header: compiled extensions read it there (`PyArray_DATA`), so it stays there. A tenth of
#: the time that a whole `__array_interface__` takes; where an interpreter lays objects out otherwise, that is asked.
_HEADER = object.__basicsize__
_pointer = ctypes.c_void_p.from_address


def _in_header() -> bool:
    if sys.implementation.name != "cpython":
        return False
    whole = np.empty(4)
    return all(
        _header_address(a) == _interface_address(a) for a in (whole, whole[1:], whole[:0], np.empty(0))
    )


#: how many bytes after the beginning of an array's object its address is; None where it is not found so
HEADER = _HEADER if _in_header() else None
#: where an array's first element is
address: Callable[[np.ndarray], int] = _interface_address if HEADER is None else _header_address


def owned(a: np.ndarray) -> bool:
    """Whether no other array shows the memory of this one: it is NumPy's, or a block lent to this array alone."""
    base = a.base
    if base is None:
        return True
    return sys.getrefcount(base) <= 3 and any(type(r) is Loan for r in weakref.getweakrefs(base))


def lent_alone(a: Any, views: int = 0) -> bool:
    """Whether nobody can have another array on this memory: it is this array's, a block's, or an array's that only
    this one still refers to, and `views` that are known.
    """
    base = a.base
    if base is None or any(type(r) is Loan for r in weakref.getweakrefs(base)):
        return True
    return type(base) is np.ndarray and base.base is None and sys.getrefcount(base) <= 3 + views


# ---- for users ----


def stats() -> Stats:
    """What the pool holds and did: bytes in use, kept, the limit, the peak, requests answered.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(1024, 1024)
        >>> before = torch.memory.stats()
        >>> del x
        >>> after = torch.memory.stats()
        >>> before.in_use - after.in_use
        4194304
    """
    POOL.recount()
    POOL.trim()
    return Stats(POOL.in_use, POOL.pooled(), POOL.limit, POOL.peak, POOL.reused, POOL.mapped)


def empty_cache() -> None:
    """Give all memory that is kept for reuse back to the system; what tensors hold stays.

    Example:
        >>> import rushlight as torch
        >>> torch.memory.empty_cache()
        >>> torch.memory.stats().pooled
        0
    """
    POOL.release()


def set_limit(nbytes: int | None) -> None:
    """Keep at most this many bytes for reuse; 0 switches the pool off, None returns to the default.

    Raises:
        TypeError: neither an integer nor None.
        ValueError: a negative number.

    Example:
        >>> import rushlight as torch
        >>> torch.memory.set_limit(512 << 20)
        >>> torch.memory.get_limit()
        536870912
        >>> torch.memory.set_limit(None)
    """
    if nbytes is not None:
        if isinstance(nbytes, bool) or not hasattr(nbytes, "__index__"):
            raise TypeError(f"set_limit() takes a number of bytes or None, not {type(nbytes).__name__}")
        nbytes = nbytes.__index__()
        if nbytes < 0:
            raise ValueError(f"set_limit() takes a number of bytes that is not negative, but got {nbytes}")
    POOL.bound = default_limit() if nbytes is None else nbytes
    POOL.trim()


def get_limit() -> int:
    """The most bytes that are kept for reuse: by default a quarter of the memory this process may use."""
    return POOL.limit


def reset_peak_stats() -> None:
    """Let `stats().peak` start again from what is in use now."""
    POOL.recount()
    POOL.peak = POOL.in_use
