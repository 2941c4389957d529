"""Kernels on several threads: the caller and workers that wait in native code.

A job is a number of tasks. Who does which is left to chance, so a task's result must not depend on it (Note [Kernel] in
`jit`). The caller always works too, and never waits for a worker that has not begun.

NumPy's BLAS has threads of its own, which what is set here does not change.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rushlight import errors
from rushlight.lock import LOCK
from rushlight.native import cpu, handover

__all__ = [
    "crew",
    "get_num_interop_threads",
    "get_num_threads",
    "kernel",
    "run",
    "set_num_interop_threads",
    "set_num_threads",
]

#: how long a worker looks for the next job before it goes to sleep, and how long if the last job came that soon (see
#: `handover`); waking it takes from 10 to 50 microseconds
_SPIN_SECONDS = 10e-6
_PATIENCE_SECONDS = 100e-6

_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_CALLS: dict[int, Callable[[int | bytes, int, int], None]] = {}


class _Pool(Protocol):
    """Workers."""

    def run(self, address: int, params: int | bytes, tasks: int, in_order: bool) -> None: ...
    def resize(self, threads: int) -> None: ...


_threads: int | None = None  # how many may compute; asked of the system when first needed
_pool: _Pool | None = None


# ---- running ----


def kernel(address: int) -> Callable[[int | bytes, int, int], None]:
    """The kernel at this address as a function of (params, first, last), which runs without the GIL."""
    call = _CALLS.get(address)
    if call is None:
        call = _CALLS[address] = _KERNEL(address)
    return call


def run(address: int, params: int | bytes, tasks: int, in_order: bool = False) -> None:
    """Do tasks 0 to `tasks` - 1 of the job that `params` describes, on as many threads as are allowed.

    Several threads may call this at once: one gets the workers, the others do their own work. An interrupt is raised when
    all is done.

    Args:
        address: of a kernel's machine code.
        params: what the kernel reads its job from, or the address of that.
        in_order: let all threads begin tasks from the first to the last: where neighbours share what they read. Else each begins
            with a part of its own, at the end where the last job left its cache.
    """
    if tasks > 1 and (_threads or get_num_threads()) > 1:
        (_pool or _started()).run(address, params, tasks, in_order)
    elif tasks > 0:
        kernel(address)(params, 0, tasks)


def _started() -> _Pool:
    """The pool, made now unless another thread was quicker."""
    global _pool
    with LOCK:
        if _pool is None:
            pool = _Futex() if handover.supported() else _portable()
            pool.resize(get_num_threads())
            _pool = pool
        return _pool


def _portable() -> _Pool:
    from rushlight.native.portable import Portable

    return Portable(kernel)


class _Futex:
    """Workers that sleep in native code; see `handover`.

    Attributes:
        state: address of their state. It is never freed: they may look at it until the process has ended.
        addresses: of what hands a job over to them, in parts and in order.
        workers: how many there are; `wanted`: how many there are to be.
    """

    def __init__(self) -> None:
        from rushlight.native import jit

        text = handover.text()
        native = jit.load("handover", text, lambda: text, ("run", "sweep", "worker", "spin")).symbols
        self.state = _forever(handover.SIZE)
        self.workers = self.wanted = 0
        self._deafen = _deafener()
        self.addresses = native["sweep"], native["run"]
        owner = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
        self._sweep, self._run = map(owner, self.addresses)
        self._worker = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(native["worker"])
        self._pauses = _spins(ctypes.CFUNCTYPE(None, ctypes.c_int64)(native["spin"]))

    def run(self, address: int, params: int | bytes, tasks: int, in_order: bool) -> None:
        if self.workers < self.wanted and self.workers < tasks - 1:
            self._hire(min(self.wanted, tasks - 1))
        (self._run if in_order else self._sweep)(self.state, address, params, tasks)

    def resize(self, threads: int) -> None:
        """Let so many threads compute. Workers are started when a job has tasks for them; too many sleep."""
        self.wanted = min(threads - 1, handover.MOST)
        self._set(handover.WORKERS, self.wanted)
        # With fewer CPUs than threads, who looks for work keeps somebody else from doing it.
        room = threads <= cpu.threads()
        self._set(handover.SPINS, self._pauses if room else 0)
        self._set(handover.PATIENCE, round(_PATIENCE_SECONDS * 1e9) if room else 0)
        _CREW.tell(self)

    def _set(self, field: int, value: int) -> None:
        ctypes.c_int32.from_address(self.state + field).value = value

    def _hire(self, number: int) -> None:
        """Start workers until there are so many. (Two threads at once may start one too many, which will sleep.)"""
        # (a thread that starts while the interpreter ends may find it gone)
        if not threading.main_thread().is_alive():
            self.wanted = number = self.workers
        try:
            while self.workers < number:
                self.workers += 1
                start_new_thread(_work, (self._worker, self.state, self._deafen))
        except RuntimeError:  # the system has no more, or the interpreter is at its end
            self.wanted = self.workers
        _CREW.tell(self)


def _work(worker: Callable[[int], None], state: int, deafen: Callable[[], Any]) -> None:
    """Where a worker begins."""
    deafen()
    worker(state)


def _deafener() -> Callable[[], Any]:
    """What makes the thread that calls it leave signals to others, but for those that its own mistakes would raise."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        return lambda: None
    own = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}
    others = signal.valid_signals() - own
    return lambda: signal.pthread_sigmask(signal.SIG_BLOCK, others)


def _forever(size: int) -> int:
    """Address of zeroed memory that begins on a line of the cache and is never freed."""
    make = ctypes.pythonapi.PyMem_RawCalloc
    make.restype, make.argtypes = ctypes.c_void_p, [ctypes.c_size_t, ctypes.c_size_t]
    start = make(1, size + 128)
    if start is None:
        raise MemoryError(f"no memory for the {size} bytes of the thread pool")
    return start + -start % 128


def _spins(spin: Callable[[int], None]) -> int:
    """How many pauses fill `_SPIN_SECONDS`: from a few to hundreds, by the model of CPU."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        spin(1000)
        times.append(time.perf_counter() - began)
    return max(1, int(1000 * _SPIN_SECONDS / min(times)))


class _Crew:
    """What machine code has to know to hand a job over by itself, in words: whether it may, else Python has to see to it first; the
    address of what does it in parts (0: nobody is to help) and of the workers' state; how many workers there are, and are to be; the
    address of what does it in order.

    Attributes:
        address: of the words, once anybody asked; never freed.
    """

    def __init__(self) -> None:
        self.address = 0

    def told(self) -> int:
        """The address, of words that are right."""
        if not self.address:
            with LOCK:
                self.address = self.address or _forever(6 * 8)
        self.tell(_pool)
        return self.address

    def tell(self, pool: _Pool | None) -> None:
        """Write down what applies now. (Whoever reads it holds the interpreter's lock, but may do so between any two of these words.)"""
        if not self.address:
            return
        words = (ctypes.c_int64 * 6).from_address(self.address)
        words[0] = 0
        if isinstance(pool, _Futex):
            words[3], words[4], words[2] = pool.workers, pool.wanted, pool.state
            words[1], words[5] = pool.addresses
            words[0] = 1
        else:
            words[1] = 0
            words[0] = pool is None and get_num_threads() == 1


_CREW = _Crew()


def crew() -> int:
    """The address of what machine code has to know to hand jobs over; 0 where it cannot."""
    return _CREW.told() if handover.supported() else 0


def _after_fork() -> None:
    """In the child, which has no workers, and whose copy of their state may be of any moment."""
    global _pool
    _pool = None
    _CREW.tell(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---- how many ----


def get_num_threads() -> int:
    """How many threads compute large results.

    At first that is `RUSHLIGHT_NUM_THREADS`; else as many as may run at once (CPUs of this process, quota of its control
    group), and no more than `OMP_NUM_THREADS`. NumPy's matrix products have threads of their own.

    Raises:
        ValueError: `RUSHLIGHT_NUM_THREADS` is not a positive number.

    Example:
        >>> import rushlight as torch
        >>> torch.get_num_threads() >= 1
        True
    """
    global _threads
    if _threads is None:
        _threads = _default()
    return _threads


def set_num_threads(num: int) -> None:
    """Let `num` threads compute large results. Results do not depend on it by a bit.

    Raises:
        RuntimeError: not an integer, or not positive.
        ValueError: beyond 32 bits.

    Example:
        >>> import rushlight as torch
        >>> before = torch.get_num_threads()
        >>> torch.set_num_threads(2)
        >>> torch.get_num_threads()
        2
        >>> torch.set_num_threads(before)
    """
    global _threads
    _threads = _checked(num)
    if _pool is None:
        _CREW.tell(None)
    else:
        _pool.resize(_threads)


_interop_threads: int | None = None


def get_num_interop_threads() -> int:
    """How many operations PyTorch would compute at once; here it is one after the other, in the thread that asks."""
    return _interop_threads or get_num_threads()


def set_num_interop_threads(num: int) -> None:
    """Say how many operations to compute at once, which changes nothing here.

    Raises:
        RuntimeError: not an integer, or not positive.
    """
    global _interop_threads
    if type(num) is not int:
        raise RuntimeError(f"set_num_interop_threads expects an int, but got {type(num).__name__}")
    if num <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _interop_threads = num


def _checked(num: Any) -> int:
    if isinstance(num, bool) or not isinstance(num, int | np.integer):
        raise RuntimeError(f"set_num_threads expects an int, but got {errors.type_name(num)}")
    num = int(num)
    if num.bit_length() > 31 and num != -(1 << 31):
        fits = -(1 << 63) <= num < 1 << 63
        raise ValueError("Overflow when unpacking long" if fits else "Overflow when unpacking long long")
    if num <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    return num


def _default() -> int:
    chosen = os.environ.get("RUSHLIGHT_NUM_THREADS")
    if chosen:
        if not chosen.isdecimal() or int(chosen) == 0:
            raise ValueError(f"RUSHLIGHT_NUM_THREADS must be a positive number, but is {chosen!r}")
        return int(chosen)
    with contextlib.suppress(ValueError):
        openmp = int(
            os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        )  # a list has a number for each level
        if openmp > 0:
            return min(openmp, cpu.threads())
    return cpu.threads()
